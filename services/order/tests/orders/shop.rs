//! The other services, in a few lines: idempotent as the real ones are, and failing on demand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_kit::Kit;
use shop_kit::events::Relay;
use shop_order::drive::Driver;
use shop_order::store::Orders;
use shop_testkit::{Identity, ask_get, ask_post, config, serve};
use tempfile::TempDir;

/// When a failing call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before it took effect.
    Before,
    /// After it took effect: the answer is lost.
    After,
}

/// The state of the other services.
#[derive(Debug, Default)]
pub(crate) struct FakeState {
    pub cart: Vec<Value>,
    pub in_stock: bool,
    pub card_good: bool,
    /// By order: held, committed or released.
    pub reservations: HashMap<String, &'static str>,
    /// By key: captured, declined or refunded.
    pub payments: HashMap<String, &'static str>,
    pub events: Vec<Value>,
    /// The call that fails, when, and how many times.
    pub failing: Option<(&'static str, When, u32)>,
}

#[derive(Clone, Default)]
pub(crate) struct FakeServices(Arc<Mutex<FakeState>>);

impl FakeServices {
    fn router(&self) -> Router {
        Router::new()
            .route("/cart", get(cart))
            .route("/reservations", post(reserve))
            .route("/reservations/{id}/commit", post(commit))
            .route("/reservations/{id}", delete(release))
            .route("/payments", post(pay))
            .route("/payments/{id}/refund", post(refund))
            .route("/events", post(event))
            .layer(middleware::from_fn_with_state(self.clone(), fail))
            .with_state(self.clone())
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut FakeState) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }
}

/// The name of a call, as [`FakeState::failing`] has it.
fn call(method: &Method, path: &str) -> &'static str {
    match (method.as_str(), path) {
        ("POST", "/reservations") => "reserve",
        ("POST", p) if p.ends_with("/commit") => "commit",
        ("DELETE", _) => "release",
        ("POST", "/payments") => "charge",
        ("POST", p) if p.ends_with("/refund") => "refund",
        ("POST", "/events") => "event",
        _ => "cart",
    }
}

async fn fail(State(services): State<FakeServices>, request: Request, next: Next) -> Response {
    let name = call(request.method(), request.uri().path());
    let fails = services.with(|s| match &mut s.failing {
        Some((which, when, times)) if *which == name && *times > 0 => {
            *times -= 1;
            Some(*when)
        }
        _ => None,
    });
    match fails {
        Some(When::Before) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(When::After) => {
            next.run(request).await;
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        None => next.run(request).await,
    }
}

fn problem(status: u16, slug: &str) -> Response {
    let body =
        json!({"type": format!("urn:doorbuster:problem:{slug}"), "title": slug, "status": status});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

async fn cart(State(services): State<FakeServices>) -> Json<Value> {
    let items = services.with(|s| s.cart.clone());
    Json(json!({"items": items, "total": {"minor": 0, "currency": "EUR"}}))
}

async fn reserve(State(services): State<FakeServices>, Json(body): Json<Value>) -> Response {
    let id = body["id"].as_str().unwrap().to_owned();
    services.with(|s| {
        if !s.in_stock {
            return problem(409, "out-of-stock");
        }
        match s.reservations.get(&id) {
            Some(&"released") => return problem(409, "reservation-released"),
            Some(_) => {}
            None => drop(s.reservations.insert(id, "held")),
        }
        StatusCode::CREATED.into_response()
    })
}

async fn commit(State(services): State<FakeServices>, Path(id): Path<String>) -> Response {
    services.with(|s| match s.reservations.get_mut(&id) {
        Some(status) if *status != "released" => {
            *status = "committed";
            StatusCode::OK.into_response()
        }
        _ => problem(409, "reservation-released"),
    })
}

async fn release(State(services): State<FakeServices>, Path(id): Path<String>) -> StatusCode {
    services.with(|s| s.reservations.insert(id, "released"));
    StatusCode::OK
}

async fn pay(State(services): State<FakeServices>, Json(body): Json<Value>) -> Response {
    let order = body["order_id"].as_str().unwrap().to_owned();
    services.with(|s| {
        let good = if s.card_good { "captured" } else { "declined" };
        let status = *s.payments.entry(order.clone()).or_insert(good);
        if status == "declined" {
            return problem(402, "card-declined");
        }
        let body =
            json!({"id": order, "order_id": order, "status": status, "amount": body["amount"]});
        (StatusCode::CREATED, Json(body)).into_response()
    })
}

async fn refund(State(services): State<FakeServices>, Path(id): Path<String>) -> StatusCode {
    services.with(|s| s.payments.insert(id, "refunded"));
    StatusCode::OK
}

async fn event(State(services): State<FakeServices>, Json(body): Json<Value>) -> StatusCode {
    services.with(|s| s.events.push(body));
    StatusCode::NO_CONTENT
}

/// An order service beside these services.
pub(crate) struct Shop {
    pub api: Router,
    pub driver: Driver,
    pub orders: Orders,
    pub relay: Relay,
    pub services: FakeServices,
    pub identity: Identity,
    folder: TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let services = FakeServices::default();
        services.with(|s| {
            s.in_stock = true;
            s.card_good = true;
            s.cart = vec![
                json!({"product_id": "p-00001", "title": "Kettle", "quantity": 2,
                "unit_price": {"minor": 250, "currency": "EUR"}}),
            ];
        });
        let identity = Identity::start().await;
        let folder = tempfile::tempdir().unwrap();
        Self::replica(services, identity, folder).await
    }

    async fn replica(services: FakeServices, identity: Identity, folder: TempDir) -> Self {
        let other = serve(services.router()).await;
        let mut peers: BTreeMap<Role, Vec<String>> = [
            Role::Cart,
            Role::Inventory,
            Role::Payment,
            Role::Notification,
            Role::Product,
        ]
        .map(|role| (role, vec![other.clone()]))
        .into();
        peers.insert(Role::User, vec![identity.address.clone()]);
        let mut config = config(Role::Order, folder.path(), peers);
        // One attempt per call: repetitions here are the saga's.
        config.resilience.retries = false;
        config.resilience.breakers = false;
        let kit = Kit::new(config);
        let orders = shop_order::open(&kit).await.unwrap();
        let relay = Relay::new(kit.clone(), orders.store().clone());
        let driver = Driver::new(kit.clone(), orders.clone(), relay.clone());
        Self {
            api: shop_order::router(&kit, driver.clone()),
            driver,
            orders,
            relay,
            services,
            identity,
            folder,
        }
    }

    /// A new process on the same database, as after a kill.
    pub(crate) async fn reopened(self) -> Self {
        let Self {
            services,
            identity,
            folder,
            orders,
            ..
        } = self;
        orders.store().close().await;
        Self::replica(services, identity, folder).await
    }

    pub(crate) async fn checkout(&self, user: &str, key: &str, card: &str) -> (StatusCode, Value) {
        let token = self.identity.token(user);
        let ask = ask_post("/orders", json!({"card": card}));
        ask.with_key(key).with_token(&token).send(&self.api).await
    }

    pub(crate) async fn list(&self, user: &str) -> Vec<Value> {
        let token = self.identity.token(user);
        let (_, body) = ask_get("/orders").with_token(&token).send(&self.api).await;
        body["items"].as_array().unwrap().clone()
    }

    /// Recovers until the only order has ended, and returns its status.
    pub(crate) async fn settle(&self, user: &str) -> String {
        for _ in 0..600 {
            let status = self.list(user).await[0]["status"]
                .as_str()
                .unwrap()
                .to_owned();
            if status == "confirmed" || status == "cancelled" {
                return status;
            }
            self.driver.recover_batch().await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the order does not come to its end");
    }
}
