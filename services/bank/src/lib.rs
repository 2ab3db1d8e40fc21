//! The bank: an outside party. It is slow, it declines, and it does its work before it answers: a caller that hangs up
//! early has been charged all the same.
//!
//! It knows neither shoppers nor orders and asks for no authentication. Two requests under one key are one charge.
//! [`BankBehavior`] decides delays and refusals from seed and key alone, so the same run has the same bank.
//!
//! Read `migrations/` first, then [`charge`] for the rules, [`behavior`], [`store`] for the SQL and [`api`] for the
//! handlers.

pub mod api;
pub mod behavior;
pub mod charge;
pub mod config;
pub mod store;

use std::sync::LazyLock;

use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

pub use behavior::BankBehavior;
pub use config::BankConfig;
use store::Charges;

pub use api::router;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_charges.sql"];

/// Opens the bank's database.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit) -> Result<Charges, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    Ok(Charges::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, or the database cannot be opened.
pub async fn serve(
    config: ServiceConfig,
    bank: BankConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let charges = open(&kit).await?;
    let audit = Audit::of(charges.clone());
    let service = Service {
        store: Some(charges.store().clone()),
        routes: router(&kit, charges, BankBehavior::of(bank)),
        audit,
        workers: Vec::new(),
    };
    service::run(kit, service, shutdown).await
}
