//! The inventory service: how many there are, and for which order they are held.
//!
//! An order's stock is first *held*, then *committed* (the goods leave) or *released* (they go back). Each of the
//! three may be asked for any number of times and happens once, because the order's id is the reservation's id.
//! A release also stands for a reservation that never came: should its request arrive late, it finds the door shut.
//!
//! Whoever shows the stock to shoppers is told when a product becomes scarce, sells out or comes back: in events
//! written with the change itself. Figures within a band are told to nobody; who needs them asks.
//!
//! Read `migrations/` first, then [`reservation`] and [`stock`] for the rules, [`store`] for their SQL, [`api`] for
//! the paths.

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

/// Opens the inventory of a shop and stocks it where it is new.
///
/// # Errors
/// A database that does not work.
pub async fn open(kit: &Kit, own: &InventoryConfig) -> Result<Inventory, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    let inventory = Inventory::new(store);
    inventory.seed(own.products, own.stock).await?;
    Ok(inventory)
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address or a database that does not work.
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
