//! The public document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shop_contract::Role;
use shop_gateway::routes::TABLE;
use shop_gateway::{Limits, RateLimits};
use shop_kit::Kit;
use shop_testkit::{ask_get, check_document, config, serve};

/// A gateway whose services refuse everything with a status that every path has.
async fn gateway() -> Router {
    let refusing = Router::new()
        .fallback(|| async { (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!({}))) });
    let everyone = serve(refusing).await;
    let peers: BTreeMap<Role, Vec<String>> = Role::ALL.map(|r| (r, vec![everyone.clone()])).into();
    let kit = Kit::new(config(Role::Gateway, &std::env::temp_dir(), peers));
    shop_gateway::router(&kit, &Arc::new(RateLimits::new(Limits::default())))
}

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&gateway().await, "shop").await;
}

#[tokio::test]
async fn the_document_has_the_public_routes_and_no_others() {
    let (status, document) = ask_get("/openapi.json").send(&gateway().await).await;
    assert_eq!(status, StatusCode::OK, "without a token");
    let paths = document["paths"].as_object().unwrap().iter();
    let described: BTreeSet<(String, String)> = paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (path.clone(), method.clone()))
        })
        .collect();
    let routes = TABLE.iter().map(|route| {
        let method = route.operation.method.name();
        (route.operation.path.to_owned(), method.to_owned())
    });
    assert_eq!(described, routes.collect::<BTreeSet<_>>());
}

/// Both are made from the contract; the checked-in copies must agree as well.
#[test]
fn the_public_document_agrees_with_those_of_the_services() {
    let copy = |name: &str| -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi");
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let shop = copy("shop");
    for route in TABLE {
        let (path, method) = (route.operation.path, route.operation.method.name());
        let service = copy(route.operation.service.name());
        let (outside, inside) = (
            &shop["paths"][path][method],
            &service["paths"][path][method],
        );
        for part in [
            "operationId",
            "summary",
            "description",
            "parameters",
            "requestBody",
            "security",
        ] {
            assert_eq!(outside[part], inside[part], "{method} {path}: {part}");
        }
        let answers = inside["responses"].as_object().unwrap();
        assert!(!answers.is_empty(), "{method} {path}");
        for status in answers.keys() {
            assert!(
                outside["responses"].get(status).is_some(),
                "{method} {path}: {status}"
            );
        }
    }
}
