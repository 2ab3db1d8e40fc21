//! The API is compatible with Toxiproxy's clients: paths, statuses, bodies and texts.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chaos::proxy::{Proxies, api};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::fixture::echo;

struct Api(Router);

impl Api {
    fn new() -> Self {
        Self(api::router(Proxies::new(7, CancellationToken::new())))
    }

    async fn call(&self, line: &str, body: impl ToString) -> (StatusCode, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", "toxiproxy-cli")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn with_proxy() -> Self {
        let api = Self::new();
        let spec = json!({ "name": "p", "listen": "localhost:0", "upstream": echo().await });
        assert_eq!(api.call("POST /proxies", spec).await.0, 201);
        api
    }
}

#[tokio::test]
async fn a_proxy_is_created_changed_and_deleted() {
    let api = Api::with_proxy().await;
    let (status, shown) = api.call("GET /proxies/p", "").await;
    assert_eq!(status, 200);
    let listen = shown["listen"].as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"));
    assert_eq!(
        (&shown["enabled"], &shown["toxics"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        shown["connections"],
        json!({ "total": 0, "open": 0, "dial_failed": 0 })
    );
    let (_, all) = api.call("GET /proxies", "").await;
    assert_eq!(all, json!({ "p": shown }));

    for method in ["POST", "PATCH"] {
        let line = format!("{method} /proxies/p");
        let (status, off) = api.call(&line, json!({ "enabled": false })).await;
        assert_eq!((status.as_u16(), &off["enabled"]), (200, &json!(false)));
        let (_, on) = api.call(&line, json!({ "enabled": true })).await;
        assert_eq!(
            (&on["enabled"], &on["listen"]),
            (&json!(true), &shown["listen"])
        );
    }
    let (status, body) = api.call("DELETE /proxies/p", "").await;
    assert_eq!((status.as_u16(), body), (204, Value::Null));
    let gone = json!({ "error": "proxy not found", "status": 404 });
    assert_eq!(
        api.call("DELETE /proxies/p", "").await,
        (StatusCode::NOT_FOUND, gone)
    );
}

#[tokio::test]
async fn a_toxic_is_added_changed_and_removed() {
    let api = Api::with_proxy().await;
    let toxic = json!({ "type": "latency", "attributes": { "latency": 100, "jitter": 10 } });
    let (status, created) = api.call("POST /proxies/p/toxics", toxic.clone()).await;
    assert_eq!(status, 200);
    let expected = json!({
        "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1.0,
        "attributes": { "latency": 100, "jitter": 10 }, "hits": { "connections": 0, "bytes": 0 },
    });
    assert_eq!(created, expected);
    assert_eq!(api.call("POST /proxies/p/toxics", toxic).await.0, 409);

    let path = "/proxies/p/toxics/latency_downstream";
    for method in ["POST", "PATCH"] {
        let change = json!({ "toxicity": 0.5, "attributes": { "latency": 1000 } });
        let (status, changed) = api.call(&format!("{method} {path}"), change).await;
        assert_eq!((status.as_u16(), &changed["toxicity"]), (200, &json!(0.5)));
        assert_eq!(
            changed["attributes"],
            json!({ "latency": 1000, "jitter": 10 })
        );
    }
    let (_, changed) = api
        .call(&format!("PATCH {path}"), json!({ "attributes": null }))
        .await;
    assert_eq!(changed["toxicity"], json!(0.5));
    assert_eq!(api.call(&format!("GET {path}"), "").await.1, changed);
    assert_eq!(
        api.call("GET /proxies/p/toxics", "").await.1,
        json!([changed])
    );
    assert_eq!(api.call(&format!("DELETE {path}"), "").await.0, 204);
    let (status, gone) = api.call(&format!("GET {path}"), "").await;
    assert_eq!(
        (status.as_u16(), &gone["error"]),
        (404, &json!("toxic not found"))
    );
}

#[tokio::test]
async fn a_toxic_shows_its_time_to_live() {
    let api = Api::with_proxy().await;
    let toxic = json!({ "type": "timeout", "stream": "upstream", "ttl_ms": 60_000 });
    let (_, created) = api.call("POST /proxies/p/toxics", toxic).await;
    assert_eq!(
        (&created["name"], &created["ttl_ms"]),
        (&json!("timeout_upstream"), &json!(60_000))
    );
    assert!(created["ends_in_ms"].as_u64().unwrap() <= 60_000);
    let line = "POST /proxies/p/toxics/timeout_upstream";
    let (_, longer) = api.call(line, json!({ "ttl_ms": 600_000 })).await;
    assert!(longer["ends_in_ms"].as_u64().unwrap() > 60_000, "{longer}");
}

#[tokio::test]
async fn populate_creates_replaces_and_keeps_proxies() {
    let api = Api::new();
    let upstream = echo().await;
    let spec = |name: &str, listen: &str, upstream: &str| json!({ "name": name, "listen": listen, "upstream": upstream, "toxics": null });
    let (status, created) = api
        .call(
            "POST /populate",
            json!([
                spec("a", "127.0.0.1:0", &upstream.to_string()),
                { "name": "b", "listen": "127.0.0.1:0", "upstream": upstream, "enabled": false },
            ]),
        )
        .await;
    assert_eq!(status, 201);
    let created = &created["proxies"];
    assert_eq!(
        (&created[0]["name"], &created[0]["enabled"]),
        (&json!("a"), &json!(true))
    );
    assert_eq!(
        (&created[1]["name"], &created[1]["enabled"]),
        (&json!("b"), &json!(false))
    );

    api.call("POST /proxies/a/toxics", json!({ "type": "noop" }))
        .await;
    let listen = created[0]["listen"].as_str().unwrap().to_owned();
    let again = json!([spec("a", &listen, &upstream.to_string())]);
    let (_, same) = api.call("POST /populate", again).await;
    assert_eq!(same["proxies"][0]["toxics"].as_array().unwrap().len(), 1);
    let other = json!([spec("a", &listen, "127.0.0.1:1")]);
    let (_, replaced) = api.call("POST /populate", other).await;
    assert_eq!(replaced["proxies"][0]["upstream"], "127.0.0.1:1");
    assert_eq!(replaced["proxies"][0]["toxics"], json!([]));

    let wrong = json!([spec("c", "127.0.0.1:0", "h:1"), { "upstream": "h:1" }]);
    let (status, reply) = api.call("POST /populate", wrong).await;
    assert_eq!(status, 400);
    assert_eq!(reply["error"], "missing required field: name at proxy 2");
    assert_eq!(
        (&reply["status"], &reply["proxies"]),
        (&json!(400), &json!([]))
    );
    assert_eq!(api.call("GET /proxies/c", "").await.0, 404);
}

#[tokio::test]
async fn errors_have_the_statuses_and_texts_of_toxiproxy() {
    let api = Api::with_proxy().await;
    let proxy = |body: Value| ("POST /proxies", body.to_string());
    let toxic = |body: Value| ("POST /proxies/p/toxics", body.to_string());
    for ((line, body), status, text) in [
        (proxy(json!({})), 400, "missing required field: name"),
        (
            proxy(json!({ "name": "q" })),
            400,
            "missing required field: upstream",
        ),
        (
            proxy(json!({ "name": "p", "upstream": "h:1" })),
            409,
            "proxy already exists",
        ),
        (
            proxy(json!({ "name": "q", "upstream": "h:1", "listen": "local373" })),
            500,
            "missing port in address",
        ),
        (("POST /proxies", "{".to_owned()), 400, "bad request body: "),
        (
            ("PATCH /proxies/q", "{}".to_owned()),
            404,
            "proxy not found",
        ),
        (
            ("POST /proxies/q/toxics", "nonsense".to_owned()),
            404,
            "proxy not found",
        ),
        (
            toxic(json!({ "type": "latencey" })),
            400,
            "invalid toxic type: `latencey`, did you mean `latency`?",
        ),
        (
            toxic(json!({ "type": "latency", "stream": "sideways" })),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            toxic(json!({ "type": "latency", "attributes": { "latency": -1 } })),
            400,
            "bad request body: latency is a whole number",
        ),
        (
            toxic(json!({ "type": "latency", "toxicity": 2 })),
            400,
            "bad request body: toxicity 2",
        ),
        (
            ("DELETE /proxies/p/toxics/t", String::new()),
            404,
            "toxic not found",
        ),
    ] {
        let (actual, reply) = api.call(line, body).await;
        assert_eq!(
            (actual.as_u16(), &reply["status"]),
            (status, &json!(status)),
            "{reply}"
        );
        assert!(reply["error"].as_str().unwrap().contains(text), "{reply}");
    }
}

#[tokio::test]
async fn reset_version_and_metrics_work_and_browsers_are_refused() {
    let api = Api::with_proxy().await;
    api.call("POST /proxies/p/toxics", json!({ "type": "noop" }))
        .await;
    assert_eq!(api.call("POST /reset", "").await.0, 204);
    assert_eq!(api.call("GET /proxies/p/toxics", "").await.1, json!([]));
    let (_, version) = api.call("GET /version", "").await;
    assert!(version["version"].as_str().unwrap().starts_with("2."));
    assert_eq!(api.call("GET /metrics", "").await.0, 200);

    let browser = Request::get("/proxies").header("user-agent", "Mozilla/5.0 (X11)");
    let request = browser.body(Body::empty()).unwrap();
    let refused = api.0.clone().oneshot(request).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
