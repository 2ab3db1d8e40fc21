//! The check of a service's document against its router and against the copy in `docs/openapi`.

use std::path::Path;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::ask::{Ask, ask_get};

/// Set it to write the copies anew, and look at the difference before you commit.
const RENEW: &str = "DOORBUSTER_RENEW_DOCUMENTS";

/// Checks `/openapi.json` of a router against `docs/openapi/<name>.json`, and each of its paths against the router:
/// described methods exist, others are refused.
pub async fn check_document(api: &Router, name: &str) {
    let (status, document) = ask_get("/openapi.json").send(api).await;
    assert_eq!(status, StatusCode::OK);
    check_copy(name, &document);
    let paths = document["paths"].as_object().unwrap();
    assert!(!paths.is_empty());
    for (template, methods) in paths {
        let path = template.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let ask = Ask::new(method.parse::<Method>().unwrap(), &path).as_service();
            let (status, answer) = ask.send(api).await;
            let there = methods.get(method.to_ascii_lowercase()).is_some();
            if there {
                let nowhere = answer["detail"] == "no such path";
                assert!(
                    status != StatusCode::METHOD_NOT_ALLOWED && !nowhere,
                    "{method} {path}"
                );
                let responses = &methods[method.to_ascii_lowercase()]["responses"];
                assert!(
                    responses.get(status.as_str()).is_some(),
                    "{method} {path}: {status}"
                );
            } else {
                assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            }
        }
    }
}

fn check_copy(name: &str, document: &Value) {
    let copies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi");
    let copy = copies.join(format!("{name}.json"));
    if std::env::var_os(RENEW).is_some() {
        std::fs::create_dir_all(&copies).unwrap();
        let text = serde_json::to_string_pretty(document).unwrap();
        std::fs::write(&copy, text + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&copy).unwrap_or_default();
    let kept: Value = serde_json::from_str(&text).unwrap_or_default();
    assert!(
        kept == *document,
        "docs/openapi/{name}.json does not match the code. If the code is right, run the test again with {RENEW}=1 and \
         commit the change"
    );
}
