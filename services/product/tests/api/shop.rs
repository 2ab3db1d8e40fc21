//! A product service with its surroundings: a stocked catalogue, and stand-ins for its peers on sockets.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_contract::headers::SERVICE_KEY;
use shop_contract::product::{Product, ProductPage};
use shop_kit::Kit;
use shop_kit::config::ServiceConfig;
use shop_product::ProductConfig;
use shop_testkit::{Ask, ConfirmedOrder, Identity, KEY, ask_get, ask_post, config};
use tempfile::TempDir;

/// Products of a shop in these tests.
pub(crate) const PRODUCTS: u64 = 250;

/// The service under test.
pub(crate) struct Shop {
    pub(crate) api: Router,
    kit: Kit,
    identity: Identity,
    _folder: Option<TempDir>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut shop = Self::open_in(folder.path(), 7, PRODUCTS).await;
        shop._folder = Some(folder);
        shop
    }

    /// A shop with an inventory at an address.
    pub(crate) async fn open_beside(inventory: String) -> Self {
        Self::open_with(inventory, |_| {}).await
    }

    /// The same with another configuration.
    pub(crate) async fn open_with(inventory: String, other: fn(&mut ServiceConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inventory = Some(inventory);
        let mut shop = Self::start(folder.path(), 7, PRODUCTS, inventory, other).await;
        shop._folder = Some(folder);
        shop
    }

    /// Opens the shop in a folder, or a new one, without an address of inventory.
    pub(crate) async fn open_in(folder: &Path, seed: u64, products: u64) -> Self {
        Self::start(folder, seed, products, None, |_| {}).await
    }

    async fn start(
        folder: &Path,
        seed: u64,
        products: u64,
        inventory: Option<String>,
        other: fn(&mut ServiceConfig),
    ) -> Self {
        let identity = Identity::start().await;
        let mut peers = BTreeMap::from([(Role::User, vec![identity.address.clone()])]);
        peers.extend(inventory.map(|address| (Role::Inventory, vec![address])));
        let mut config = config(Role::Product, folder, peers);
        config.seed = seed;
        other(&mut config);
        let kit = Kit::new(config);
        let showcase = shop_product::open(&kit, &ProductConfig { products })
            .await
            .unwrap();
        Self {
            api: shop_product::router(&kit, showcase),
            kit,
            identity,
            _folder: None,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        ask_get(path).send(&self.api).await
    }

    pub(crate) async fn product(&self, id: &str) -> Product {
        let (status, body) = self.get(&format!("/products/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// The page with the stock of the view.
    pub(crate) async fn viewed(&self, id: &str) -> Product {
        let (status, body) = self.get(&format!("/products/{id}?stock=view")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value(body).unwrap()
    }

    pub(crate) async fn page(&self, query: &str) -> ProductPage {
        let (status, body) = self.get(&format!("/products?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        serde_json::from_value(body).unwrap()
    }

    /// Every product of a list, page after page.
    pub(crate) async fn all(&self, query: &str) -> Vec<Product> {
        let mut page = self.page(query).await;
        let mut all = Vec::new();
        loop {
            assert!(!page.items.is_empty(), "an empty page was promised");
            all.append(&mut page.items);
            assert!(all.len() <= PRODUCTS as usize, "the list does not end");
            let Some(next) = page.next else { return all };
            page = self.page(&format!("{query}&cursor={next}")).await;
        }
    }

    pub(crate) async fn found(&self, q: &str) -> Vec<Product> {
        let (status, body) = self.get(&format!("/products/search?q={q}")).await;
        assert_eq!(status, StatusCode::OK, "{q}: {body}");
        let page: ProductPage = serde_json::from_value(body).unwrap();
        assert_eq!(page.next, None);
        page.items
    }

    /// Changes a product with a role's token, or without a token.
    pub(crate) async fn put(
        &self,
        id: &str,
        role: Option<&str>,
        change: Value,
    ) -> (StatusCode, Value) {
        let mut ask = Ask::new(Method::PUT, &format!("/products/{id}")).json(change);
        if let Some(role) = role {
            ask = ask.with_token(&self.identity.token_as("u-1", role));
        }
        ask.send(&self.api).await
    }

    /// Delivers an event: as another service does, with the services' key.
    pub(crate) async fn deliver(&self, event: &Value, key: Option<&str>) -> StatusCode {
        let ask = ask_post("/events", event.clone()).header(SERVICE_KEY, key.unwrap_or(KEY));
        ask.send(&self.api).await.0
    }
}

/// A value of the service's metrics page.
pub(crate) fn metric(shop: &Shop, name: &str, labels: &[(&str, &str)]) -> f64 {
    let all = shop_testkit::metric(name);
    let metric = labels
        .iter()
        .fold(all, |m, (name, value)| m.label(*name, *value));
    metric.value_in(&shop.kit.metrics().render())
}

/// An event of inventory: pieces and version of these products.
pub(crate) fn stocked(event_id: &str, told_ms: i64, levels: &[(&str, i64, i64)]) -> Value {
    let level = |(id, available, version): &(&str, i64, i64)| json!({"product_id": id, "available": available, "version": version});
    let levels: Vec<Value> = levels.iter().map(level).collect();
    json!({
        "id": event_id, "source": "inventory", "subject": "o-1", "time_ms": told_ms,
        "type": "stock.changed",
        "data": {"levels": levels},
    })
}

/// The event of a confirmed order for these quantities.
pub(crate) fn confirmed(event_id: &str, bought: &[(&str, u32)]) -> Value {
    let order = ConfirmedOrder {
        event_id,
        bought,
        ..ConfirmedOrder::default()
    };
    order.event()
}
