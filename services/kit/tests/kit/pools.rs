//! An exhausted database pool: visible in the metrics, a 503, and overload for the adaptive limit.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use shop_contract::Role;
use shop_kit::audit::Audit;
use shop_kit::problem::ApiError;
use shop_kit::store::Store;
use shop_kit::{Kit, admin, server};
use shop_testkit::{ask_get, config, metric};
use sqlx::migrate::Migrator;
use tower::ServiceExt;

use crate::TIMEOUT;

struct Shop {
    kit: Kit,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let migrations = tempfile::tempdir().unwrap();
    let kit = Kit::new(config(Role::Cart, folder.path(), BTreeMap::new()));
    let none = Migrator::new(migrations.path()).await.unwrap();
    let store = Store::open(&kit, &none).await.unwrap();
    Shop {
        kit,
        store,
        _folder: folder,
    }
}

/// The metrics page, as Prometheus scrapes it.
async fn page(shop: &Shop) -> String {
    let router = admin::router(shop.kit.clone(), Some(shop.store.clone()), Audit::empty());
    let request = axum::http::Request::get("/metrics")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX);
    String::from_utf8(body.await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_exhausted_pool_is_visible_and_means_overload() {
    let shop = shop().await;
    let sqlite = shop.kit.config().database_url.starts_with("sqlite:");
    let pool = if sqlite { "write" } else { "shared" };
    let of_pool = |name: &str| metric(name).label("db_client_connection_pool_name", pool);
    let used = of_pool("db_client_connection_count").label("db_client_connection_state", "used");
    let timeouts = of_pool("db_client_connection_timeouts_total");
    // The connection that opened the database is released in the background.
    let start = std::time::Instant::now();
    let before = loop {
        let page = page(&shop).await;
        if used.value_in(&page) == 0.0 {
            break page;
        }
        assert!(start.elapsed() < TIMEOUT, "the connection was not released");
        tokio::task::yield_now().await;
    };
    assert_eq!(timeouts.value_in(&before), 0.0);
    let max = of_pool("db_client_connection_max").value_in(&before);

    let mut held = Vec::new();
    let refused = loop {
        match shop.store.begin().await {
            Ok(transaction) => held.push(transaction),
            Err(e) => break e,
        }
    };
    assert_eq!(held.len() as f64, max);
    let after = page(&shop).await;
    assert_eq!(used.value_in(&after), max);
    assert_eq!(timeouts.value_in(&after), 1.0);
    let waits = of_pool("db_client_connection_wait_time_seconds_count").value_in(&after);
    assert!(waits >= max, "{waits}");
    assert!(refused.is_overload(), "{refused}");
    let response = ApiError::from(refused).into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("x-shed"));
}

#[tokio::test]
async fn the_limit_shrinks_when_no_connection_becomes_free() {
    let kit = Kit::new(config(Role::Cart, &std::env::temp_dir(), BTreeMap::new()));
    let exhausted = || async { ApiError::overloaded("no connection") };
    let routes = server::stack(&kit, Router::new().route("/cart", get(exhausted)));
    let initial = kit.limiter().limit();
    let start = std::time::Instant::now();
    // The limit adapts ten times a second, after at least ten results.
    while kit.limiter().limit() == initial {
        assert!(start.elapsed() < TIMEOUT, "it did not shrink");
        let (status, _) = ask_get("/cart").send(&routes).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(kit.limiter().limit() < initial);
    let shed = metric("shop_requests_shed_total").label("reason", "database");
    let shed = shed.value_in(&kit.metrics().render());
    assert!(shed >= 10.0, "{shed}");
}
