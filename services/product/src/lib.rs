//! The product service: the catalogue, to leaf through and to search.
//!
//! Most of a shop's traffic ends here, so every way to read it has an index: lists go from a cursor's place onwards
//! and never count or skip, search looks words up. What changes it is rare: an administrator's new price or title,
//! and what others tell in events: the sales of confirmed orders, and which products inventory runs out of. So what
//! is read is kept for a moment in memory ([`showcase`]).
//!
//! A product's page asks inventory for the stock of this moment, and comes without it rather than not at all.
//!
//! Read `migrations/` first, then [`catalogue`], [`listing`], [`words`] and [`availability`] for the rules, [`store`]
//! for their SQL, [`cache`] and [`showcase`] for what stands before it, [`live`] for the call, [`api`] for the paths.
//! [`seed`] makes the products up; [`vocabulary`] is all the words that their titles have, and so what a search can
//! find.

pub mod api;
pub mod availability;
pub mod cache;
pub mod catalogue;
pub mod config;
pub mod listing;
pub mod live;
pub mod seed;
pub mod showcase;
pub mod store;
mod subscriber;
pub mod vocabulary;
pub mod words;

use std::sync::LazyLock;

use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use shop_kit::{Kit, events};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use showcase::Showcase;
use store::Catalogue;

pub use api::router;
pub use config::ProductConfig;

static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_catalogue.sql"];

/// Opens the catalogue of a shop and adds the products that it does not have yet.
///
/// # Errors
/// A database that does not work.
pub async fn open(kit: &Kit, own: &ProductConfig) -> Result<Showcase, ServeError> {
    let config = kit.config();
    let store = Store::open(kit, &MIGRATIONS).await?;
    let catalogue = Catalogue::new(store);
    let seed = config.seed;
    catalogue
        .seed(own.products, |n| seed::product(seed, n))
        .await?;
    Ok(Showcase::new(
        catalogue,
        kit.config().resilience.caches,
        kit.metrics(),
    ))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address or a database that does not work.
pub async fn serve(
    config: ServiceConfig,
    own: ProductConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let showcase = open(&kit, &own).await?;
    let service = Service {
        store: Some(showcase.store().clone()),
        routes: router(&kit, showcase.clone()),
        // A catalogue promises nothing that could be broken; the stock is the inventory's.
        audit: Audit::empty(),
        workers: {
            let mut workers = events::workers(&kit, &showcase, &shutdown);
            workers.push(Box::pin(showcase.tend(shutdown.clone())));
            workers
        },
    };
    service::run(kit, service, shutdown).await
}
