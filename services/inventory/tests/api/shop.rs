//! An inventory with its surroundings: a stocked database, and stand-ins for its peers on sockets.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_contract::audit::AuditLine;
use shop_contract::events::{Envelope, Event, StockLevel};
use shop_inventory::InventoryConfig;
use shop_inventory::store::Inventory;
use shop_kit::Kit;
use shop_kit::audit::AuditSource;
use shop_testkit::{Ask, Identity, ask_get, ask_post, config};
use sqlx::Row;
use tempfile::TempDir;

/// The service under test.
pub(crate) struct Shop {
    pub api: Router,
    pub inventory: Inventory,
    pub kit: Kit,
    identity: Identity,
    _folder: Option<TempDir>,
}

impl Shop {
    /// Twenty products, ten pieces of each.
    pub(crate) async fn open() -> Self {
        Self::open_beside(None).await
    }

    /// The same with a product service at an address.
    pub(crate) async fn open_beside(product: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut shop = Self::open_in(folder.path(), 20, product).await;
        shop._folder = Some(folder);
        shop
    }

    /// Opens the shop that is in a folder, or a new one.
    pub(crate) async fn open_in(folder: &Path, products: u64, product: Option<String>) -> Self {
        let identity = Identity::start().await;
        let mut peers = BTreeMap::from([(Role::User, vec![identity.address.clone()])]);
        peers.extend(product.map(|address| (Role::Product, vec![address])));
        let kit = Kit::new(config(Role::Inventory, folder, peers));
        let own = InventoryConfig {
            products,
            stock: 10,
        };
        let inventory = shop_inventory::open(&kit, &own).await.unwrap();
        Self {
            api: shop_inventory::router(&kit, inventory.clone()),
            inventory,
            kit,
            identity,
            _folder: None,
        }
    }

    pub(crate) async fn reserve(
        &self,
        id: &str,
        product: &str,
        quantity: u32,
    ) -> (StatusCode, Value) {
        let body = json!({"id": id, "items": [{"product_id": product, "quantity": quantity}]});
        ask_post("/reservations", body)
            .as_service()
            .send(&self.api)
            .await
    }

    pub(crate) async fn settle(&self, method: Method, path: &str) -> (StatusCode, Value) {
        Ask::new(method, path).as_service().send(&self.api).await
    }

    pub(crate) async fn release(&self, id: &str) -> StatusCode {
        let path = format!("/reservations/{id}");
        self.settle(Method::DELETE, &path).await.0
    }

    /// Restocks with a role's token, or without a token.
    pub(crate) async fn restock(
        &self,
        product: &str,
        role: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut ask = Ask::new(Method::PUT, &format!("/stock/{product}")).json(body);
        if let Some(role) = role {
            ask = ask.with_token(&self.identity.token_as("u-1", role));
        }
        ask.send(&self.api).await
    }

    pub(crate) async fn available(&self, product: &str) -> i64 {
        let (_, body) = ask_get(&format!("/stock/{product}")).send(&self.api).await;
        body["available"].as_i64().unwrap()
    }

    /// (available, reserved, committed) over all products, after checking that there are no contradictions.
    pub(crate) async fn sums(&self) -> (i64, i64, i64) {
        let (sums, contradictions) = self.audit().await;
        assert_eq!(contradictions, 0);
        sums
    }

    /// The sums as above, and the number of products with contradictions.
    pub(crate) async fn audit(&self) -> ((i64, i64, i64), i64) {
        let lines = self.inventory.sums().await.unwrap();
        let stock = lines.iter().find_map(|line| match line {
            AuditLine::Stock {
                available,
                reserved,
                committed,
                contradictions,
                ..
            } => Some(((*available, *reserved, *committed), *contradictions)),
            _ => None,
        });
        stock.unwrap()
    }

    /// The events in the outbox, by subject.
    pub(crate) async fn published(&self) -> Vec<(String, Vec<StockLevel>)> {
        let rows = sqlx::query("SELECT payload, subscriber FROM outbox ORDER BY id")
            .fetch_all(self.inventory.store().reader())
            .await
            .unwrap();
        let read = |row: &sqlx::any::AnyRow| {
            assert_eq!(row.get::<String, _>("subscriber"), "product");
            let payload: String = row.get("payload");
            assert!(payload.len() < 60 * 1024, "no subscriber would read it");
            let envelope: Envelope = serde_json::from_str(&payload).unwrap();
            match envelope.event {
                Event::StockChanged(stock) => (envelope.subject, stock.levels),
                other => panic!("{other:?}"),
            }
        };
        rows.iter().map(read).collect()
    }

    /// The events since the opening: subject, product, pieces.
    pub(crate) async fn later_events(&self) -> Vec<(String, String, i64)> {
        let published = self.published().await.into_iter();
        published
            .filter(|(subject, _)| subject != "opening")
            .flat_map(|(subject, levels)| {
                levels
                    .into_iter()
                    .map(move |l| (subject.clone(), l.product_id, l.available))
            })
            .collect()
    }

    /// Changes the database as no operation does.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        let writer = self.inventory.store().writer();
        sqlx::query(sql).execute(writer).await.unwrap();
    }
}
