//! The order service: accepts orders and brings each to one of two ends.
//!
//! An order is first stored as *placed*, together with its shopper's idempotency key. From there a saga moves it on, a
//! step at a time: the stock is *reserved*, the card charged (*paid*), the stock committed (*confirmed*). When a step
//! is refused, the order is *cancelling*: what was taken is given back, and it ends *cancelled*. A step without a clear
//! answer leaves the order as it is. The same step is repeated under the same key, by this replica or another, until
//! the answer is known.
//!
//! Read `migrations/` first. Then [`order`] and [`saga`] for the rules, which are pure; [`drive`] for what moves an
//! order along them; [`steps`] for the calls; [`store`] for the SQL; [`api`] for the handlers.

pub mod api;
pub mod drive;
pub mod order;
pub mod saga;
pub mod steps;
pub mod store;

use std::sync::LazyLock;

use shop_contract::events;
use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::events::Relay;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use drive::Driver;
use store::Orders;

pub use api::router;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_orders.sql"];

/// Opens the service's database.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit) -> Result<Orders, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    Ok(Orders::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, or the database cannot be opened.
pub async fn serve(config: ServiceConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let orders = open(&kit).await?;
    // These subscribers include those of cancelled orders.
    let relay =
        Relay::new(kit.clone(), orders.store().clone()).to(events::ORDERS, drive::ON_CONFIRMED);
    let driver = Driver::new(kit.clone(), orders.clone(), relay.clone());
    let service = Service {
        routes: router(&kit, driver.clone()),
        audit: Audit::of(orders.clone()),
        store: Some(orders.store().clone()),
        workers: vec![
            Box::pin(relay.run(shutdown.clone())),
            Box::pin(driver.recover(shutdown.clone())),
        ],
    };
    service::run(kit, service, shutdown).await
}
