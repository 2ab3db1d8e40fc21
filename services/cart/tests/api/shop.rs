//! A cart service with its surroundings: tokens, and a stand-in for the user and the product service on a socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use shop_contract::product::Product;
use shop_contract::{Money, Role};
use shop_kit::Kit;
use shop_kit::net::Lease;
use shop_testkit::{Ask, Identity, ask_get, ask_post, config, serve};
use tempfile::TempDir;

/// The service under test. The product service beside it knows every product whose id begins with `p-`.
pub(crate) struct Shop {
    pub api: Router,
    identity: Identity,
    products: Products,
    _held: Option<Lease>,
    _folder: TempDir,
}

/// The fake product service.
#[derive(Clone)]
struct Products {
    /// The present price of every product.
    price: Arc<AtomicI64>,
    /// The requested ids.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let products = Products::new();
        let address = serve(products.router()).await;
        Self::with(products, address, None).await
    }

    /// With a product service that refuses every connection.
    pub(crate) async fn without_products() -> Self {
        let lease = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let address = lease.address().to_string();
        Self::with(Products::new(), address, Some(lease)).await
    }

    async fn with(products: Products, address: String, held: Option<Lease>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::start().await;
        let peers = BTreeMap::from([
            (Role::User, vec![identity.address.clone()]),
            (Role::Product, vec![address]),
        ]);
        let kit = Kit::new(config(Role::Cart, folder.path(), peers));
        let carts = shop_cart::open(&kit).await.unwrap();
        Self {
            api: shop_cart::router(&kit, carts),
            identity,
            products,
            _held: held,
            _folder: folder,
        }
    }

    /// Sets the price of every product.
    pub(crate) fn price(&self, minor: i64) {
        self.products.price.store(minor, Ordering::SeqCst);
    }

    /// The ids that were requested from the product service.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.products.asked.lock().unwrap().clone()
    }

    pub(crate) async fn cart(&self, user: &str) -> Value {
        let (status, cart) = self.send(user, ask_get("/cart")).await;
        assert_eq!(status, StatusCode::OK, "{cart}");
        cart
    }

    pub(crate) async fn set(&self, user: &str, product: &str, n: u32) -> (StatusCode, Value) {
        let ask = Ask::new(Method::PUT, &format!("/cart/items/{product}"));
        self.send(user, ask.json(json!({ "quantity": n }))).await
    }

    pub(crate) async fn delete(&self, user: &str, product: &str) -> (StatusCode, Value) {
        let ask = Ask::new(Method::DELETE, &format!("/cart/items/{product}"));
        self.send(user, ask).await
    }

    /// Delivers an event, as another service does.
    pub(crate) async fn deliver(&self, event: &Value) -> StatusCode {
        let ask = ask_post("/events", event.clone()).as_service();
        ask.send(&self.api).await.0
    }

    /// Sends a request as a shopper.
    pub(crate) async fn send(&self, user: &str, ask: Ask) -> (StatusCode, Value) {
        let token = self.identity.token(user);
        ask.with_token(&token).send(&self.api).await
    }
}

impl Products {
    fn new() -> Self {
        Self {
            price: Arc::new(AtomicI64::new(1999)),
            asked: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/products/{id}", get(product))
            .with_state(self.clone())
    }
}

async fn product(
    State(products): State<Products>,
    Path(id): Path<String>,
) -> Result<Json<Product>, StatusCode> {
    products.asked.lock().unwrap().push(id.clone());
    if id == "broken" {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if !id.starts_with("p-") {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(Json(Product {
        title: format!("Kettle {id}"),
        id,
        description: String::new(),
        category: "kitchen".to_owned(),
        price: Money::of(products.price.load(Ordering::SeqCst)),
        sold: 0,
        added_at_ms: 0,
        availability: None,
    }))
}
