//! A database pool that is used up: shown, answered with 503, and told to the limit on requests.

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
use shop_testkit::{ask_get, config};
use sqlx::migrate::Migrator;
use tower::ServiceExt;

use crate::{PATIENCE, figure};

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
    let url = &kit.config().database_url;
    let store = Store::open(url, &none, kit.metrics().clone(), kit.wall_clock().clone())
        .await
        .unwrap();
    Shop {
        kit,
        store,
        _folder: folder,
    }
}

/// The figures, as a Prometheus reads them.
async fn page(shop: &Shop) -> String {
    let router = admin::router(shop.kit.clone(), Some(shop.store.clone()), Audit::nothing());
    let request = axum::http::Request::get("/metrics")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX);
    String::from_utf8(body.await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_seen_and_means_too_much_at_once() {
    let shop = shop().await;
    let sqlite = shop.kit.config().database_url.starts_with("sqlite:");
    let pool = if sqlite { "write" } else { "shared" };
    let of_pool = ("db_client_connection_pool_name", pool);
    let used = ("db_client_connection_state", "used");
    // The one that opened the database goes back in its own time.
    let start = std::time::Instant::now();
    let before = loop {
        let page = page(&shop).await;
        if figure(&page, "db_client_connection_count", &[of_pool, used]) == 0.0 {
            break page;
        }
        assert!(start.elapsed() < PATIENCE, "no connection went back");
        // It goes back in a task, which needs its turn.
        tokio::task::yield_now().await;
    };
    assert_eq!(
        figure(&before, "db_client_connection_timeouts_total", &[of_pool]),
        0.0
    );
    let most = figure(&before, "db_client_connection_max", &[of_pool]);

    let mut held = Vec::new();
    let refused = loop {
        match shop.store.begin().await {
            Ok(transaction) => held.push(transaction),
            Err(e) => break e,
        }
    };
    assert_eq!(held.len() as f64, most);
    let after = page(&shop).await;
    assert_eq!(
        figure(&after, "db_client_connection_count", &[of_pool, used]),
        most
    );
    assert_eq!(
        figure(&after, "db_client_connection_timeouts_total", &[of_pool]),
        1.0
    );
    let waits = figure(
        &after,
        "db_client_connection_wait_time_seconds_count",
        &[of_pool],
    );
    assert!(waits >= most, "{waits}");
    assert!(refused.is_overload(), "{refused}");
    let answer = ApiError::from(refused).into_response();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("x-shed"));
}

#[tokio::test]
async fn the_limit_shrinks_when_requests_wait_in_vain_for_a_connection() {
    let kit = Kit::new(config(Role::Cart, &std::env::temp_dir(), BTreeMap::new()));
    let used_up = || async { ApiError::overloaded("no connection") };
    let routes = server::stack(&kit, Router::new().route("/cart", get(used_up)));
    let at_first = kit.limiter().limit();
    let start = std::time::Instant::now();
    // It adapts ten times a second, by no fewer than ten results.
    while kit.limiter().limit() == at_first {
        assert!(start.elapsed() < PATIENCE, "it did not shrink");
        let (status, _) = ask_get("/cart").send(&routes).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(kit.limiter().limit() < at_first);
    let reason = [("reason", "database")];
    let shed = figure(&kit.metrics().render(), "shop_requests_shed_total", &reason);
    assert!(shed >= 10.0, "{shed}");
}
