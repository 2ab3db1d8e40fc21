//! The cart service: the products that a shopper has picked, one cart per account.
//!
//! A line keeps the title and the price that the shopper was shown. They are read from the product service when the
//! line is set, and this price is what will be charged. The event of a confirmed order removes the bought pieces, and
//! only those: lines that were added meanwhile stay.
//!
//! Read `migrations/` first, then [`cart`] for the rules, [`store`] for the SQL and [`api`] for the handlers.

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

/// Opens the service's database.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit) -> Result<Carts, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    Ok(Carts::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, or the database cannot be opened.
pub async fn serve(config: ServiceConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let carts = open(&kit).await?;
    let service = Service {
        store: Some(carts.store().clone()),
        workers: events::workers(&kit, &carts, &shutdown),
        routes: router(&kit, carts),
        // Nothing in a cart is promised, so there is nothing to audit.
        audit: Audit::empty(),
    };
    service::run(kit, service, shutdown).await
}
