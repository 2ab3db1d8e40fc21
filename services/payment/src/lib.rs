//! The payment service: takes money through the bank, once, and gives it back, once.
//!
//! The bank is slow, declines, and sometimes takes the money without answering. A payment is therefore stored as
//! *pending* before the bank is asked, and the request is repeated under the same key until the bank's answer is known.
//! A missing answer decides nothing.
//!
//! Read `migrations/` first, then [`payment`] for the rules, [`store`] for their SQL, [`api`] for the handlers.

pub mod api;
pub mod payment;
pub mod store;

use std::sync::LazyLock;

use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use store::Payments;

pub use api::router;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_payments.sql"];

/// Opens the service's database.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit) -> Result<Payments, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    Ok(Payments::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, or the database cannot be opened.
pub async fn serve(config: ServiceConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let payments = open(&kit).await?;
    let service = Service {
        routes: router(&kit, payments.clone()),
        audit: Audit::of(payments.clone()),
        store: Some(payments.store().clone()),
        workers: Vec::new(),
    };
    service::run(kit, service, shutdown).await
}
