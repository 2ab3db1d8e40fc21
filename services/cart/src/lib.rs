//! The cart service: what a shopper has picked, one cart per account.
//!
//! A line keeps title and price as the shopper was shown them, looked up at the product service when the line is
//! set; what the shopper sees in the cart is what will be charged. When an order is confirmed, its event takes the
//! bought pieces out, and only those: what was put in meanwhile stays.
//!
//! Read `migrations/` first, then [`cart`] for the rules, [`store`] for their SQL and [`api`] for the paths.

pub mod api;
pub mod cart;
pub mod store;
mod subscriber;

use std::sync::LazyLock;

use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use shop_kit::{Kit, events};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use store::Carts;

pub use api::router;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_carts.sql"];

/// Opens the carts of a shop.
///
/// # Errors
/// A database that does not work.
pub async fn open(kit: &Kit) -> Result<Carts, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    Ok(Carts::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address or a database that does not work.
pub async fn serve(config: ServiceConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let carts = open(&kit).await?;
    let service = Service {
        store: Some(carts.store().clone()),
        workers: events::workers(&kit, &carts, &shutdown),
        routes: router(&kit, carts),
        // A cart promises nothing that could be broken.
        audit: Audit::empty(),
    };
    service::run(kit, service, shutdown).await
}
