//! A stub of the shop: replies as the API describes, fails where a test wants it, and counts requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::{Full, Limited};
use loadgen::mix::Mix;
use loadgen::{Event, Load, Options, Outcome, Phase, Plan, Target};
use serde_json::{Value, json};
use shop_contract::headers::IDEMPOTENCY_KEY;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How the stub behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StubBehavior {
    Normal,
    /// Every reply has this status.
    Status(u16),
    /// The connection breaks in the middle of the reply to an order.
    OrdersBreak,
    /// Orders get no reply.
    OrdersHang,
    /// No request gets a reply.
    AllHang,
    /// No request gets a reply between these milliseconds from the start.
    Stall(u64, u64),
    /// Every reply closes its connection.
    Close,
    /// Every body is JSON of another shape.
    WrongJson,
}

#[derive(Clone)]
pub(crate) struct Stub {
    behavior: StubBehavior,
    pub(crate) address: SocketAddr,
    pub(crate) opened: Instant,
    /// Requests by method and path. Ids and values of queries are left out.
    requests: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Idempotency keys of orders.
    keys: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub(crate) async fn open(behavior: StubBehavior) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Stub {
            behavior,
            address: listener.local_addr().unwrap(),
            opened: Instant::now(),
            requests: Arc::default(),
            keys: Arc::default(),
        };
        let app = Router::new().fallback(serve).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        stub
    }

    /// How many requests it got, such as `GET /products/search`.
    pub(crate) fn requests(&self, name: &str) -> u64 {
        self.requests
            .lock()
            .unwrap()
            .get(name)
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    /// Runs a load against the stub to its end.
    pub(crate) async fn run(&self, load: Load) -> (Outcome, Vec<Event>) {
        self.run_with(load, self.options()).await
    }

    pub(crate) async fn run_with(&self, load: Load, options: Options) -> (Outcome, Vec<Event>) {
        let mut events = Vec::new();
        let plan = Plan::new(load, 7, 1000);
        let never = CancellationToken::new();
        let run = loadgen::run(&plan, Target::from(self.address), options, never, |e| {
            events.push(e);
        });
        (run.await.unwrap(), events)
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            start: Some(self.opened),
            ..Options::default()
        }
    }
}

/// Shoppers with short think times for one second. Each takes `steps` on average, following `mix`.
pub(crate) fn load(mix: Mix, rate: f64, steps: u32) -> Load {
    let think = Duration::from_millis(10);
    Load {
        mix,
        think,
        session: think * steps,
        phases: vec![phase("warm-up", 200, rate), phase("steady", 800, rate)],
        timeout: Duration::from_secs(5),
        max_sessions: 1000,
    }
}

/// A phase of this many milliseconds. Measured unless it is a warm-up.
pub(crate) fn phase(name: &str, ms: u64, rate: f64) -> Phase {
    Phase {
        name: name.to_owned(),
        lasts: Duration::from_millis(ms),
        from_rate: rate,
        to_rate: rate,
        measure: name != "warm-up",
    }
}

pub(crate) fn mix(yaml: &str) -> Mix {
    let doc = syntax::Document::parse("mix", yaml).unwrap();
    let mix = Mix::read(doc.root()).unwrap();
    doc.finish().unwrap();
    mix
}

async fn serve(State(stub): State<Stub>, request: Request<Body>) -> Response<Body> {
    let name = endpoint(&request);
    *stub
        .requests
        .lock()
        .unwrap()
        .entry(name.clone())
        .or_default() += 1;
    let order = name == "POST /orders";
    if order {
        let key = request.headers()[IDEMPOTENCY_KEY].to_str().unwrap();
        stub.keys.lock().unwrap().push(key.to_owned());
    }
    match stub.behavior {
        StubBehavior::Status(status) => return reply(status, &json!({})),
        StubBehavior::WrongJson => return reply(200, &json!(["unexpected"])),
        // A body longer than its limit fails in the server in the middle of the reply.
        StubBehavior::OrdersBreak if order => {
            return Response::new(Body::new(Limited::new(Full::from("{\"id\":"), 1)));
        }
        StubBehavior::OrdersHang if order => std::future::pending().await,
        StubBehavior::AllHang => std::future::pending().await,
        StubBehavior::Stall(from, to) => {
            let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
            if (from..to).contains(&stub.opened.elapsed()) {
                tokio::time::sleep_until((stub.opened + to).into()).await;
            }
        }
        _ => {}
    }
    let mut response = good_reply(&name);
    if stub.behavior == StubBehavior::Close {
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Method and path. Ids become `*`. Of the query only the sort order and the presence of a category are kept.
fn endpoint(request: &Request<Body>) -> String {
    let (method, uri) = (request.method(), request.uri());
    let query = uri.query().unwrap_or("");
    let sort = query.split('&').find(|q| q.starts_with("sort="));
    let kind = match sort {
        Some(sort) if query.contains("category=") => format!(" category {sort}"),
        Some(sort) => format!(" {sort}"),
        None => String::new(),
    };
    let path: Vec<_> = uri
        .path()
        .split('/')
        .map(|part| if part.contains('_') { "*" } else { part })
        .collect();
    format!("{method} {}{kind}", path.join("/"))
}

fn good_reply(name: &str) -> Response<Body> {
    let money = json!({"minor": 1999, "currency": "EUR"});
    let product = |id: &str| {
        json!({"id": id, "title": "Lamp", "description": "It shines.", "category": "garden",
               "price": money, "sold": 3, "added_at_ms": 0})
    };
    let item = json!({"product_id": "p_1", "title": "Lamp", "quantity": 1, "unit_price": money});
    let order = json!({"id": "o_1", "status": "confirmed", "items": [item], "total": money,
                       "placed_at_ms": 0});
    let user = json!({"id": "u_1", "email": "a@shop.example", "name": "A", "role": "customer"});
    let session = json!({"token": "t", "user_id": "u_1", "expires_in_s": 3600});
    match name {
        "POST /users" => reply(201, &user),
        "POST /users/login" => reply(200, &session),
        "GET /users/*" => reply(200, &user),
        "POST /orders" => reply(201, &order),
        "GET /orders/*" => reply(200, &order),
        "GET /orders" => reply(200, &json!({"items": [order]})),
        "GET /cart" | "PUT /cart/items/*" => reply(200, &json!({"items": [item], "total": money})),
        "GET /products/*" | "PUT /products/*" => reply(200, &product("p_1")),
        lists if lists.starts_with("GET /products") => {
            reply(200, &json!({"items": [product("p_1"), product("p_2")]}))
        }
        _ => reply(404, &json!({})),
    }
}

fn reply(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
