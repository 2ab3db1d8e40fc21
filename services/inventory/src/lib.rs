//! The inventory service: stock, and the orders that it is held for.
//!
//! An order's stock is first *held*, then *committed* (the goods leave) or *released* (they go back). Each of the three
//! may be repeated and takes effect once, because the order's id is the reservation's id. An id may be released before
//! its reservation comes; a reservation that arrives later is then refused.
//!
//! When a product becomes scarce, sells out or comes back, an event is written in the same transaction, for the
//! services that show the stock to shoppers. Changes within a band are not published.
//!
//! Read `migrations/` first, then [`reservation`] and [`stock`] for the rules, [`store`] for their SQL, [`api`] for the
//! handlers.

pub mod api;
pub mod config;
pub mod reservation;
pub mod stock;
pub mod store;

use std::sync::LazyLock;

use shop_contract::{Role, events};
use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::events::Relay;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use store::Inventory;

pub use api::router;
pub use config::InventoryConfig;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_stock.sql"];

/// Opens the service's database and stocks a new shop.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit, own: &InventoryConfig) -> Result<Inventory, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    let inventory = Inventory::new(store);
    inventory.seed(own.products, own.stock).await?;
    Ok(inventory)
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, or the database cannot be opened.
pub async fn serve(
    config: ServiceConfig,
    own: InventoryConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let inventory = open(&kit, &own).await?;
    let relay =
        Relay::new(kit.clone(), inventory.store().clone()).to(events::STOCK, &[Role::Product]);
    let service = Service {
        routes: router(&kit, inventory.clone()),
        audit: Audit::of(inventory.clone()),
        store: Some(inventory.store().clone()),
        workers: vec![Box::pin(relay.run(shutdown.clone()))],
    };
    service::run(kit, service, shutdown).await
}
