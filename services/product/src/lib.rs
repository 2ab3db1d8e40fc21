//! The product service: the catalogue, as lists and searches.
//!
//! Most of a shop's traffic ends here, so every read has an index: lists start at a cursor and never count or skip,
//! search looks words up. Changes are rare: an administrator's new price or title, the sales of confirmed orders, and
//! the products that inventory runs out of. So reads are cached for a moment ([`showcase`]).
//!
//! A product's page asks inventory for the present stock. Without an answer, the page comes without it.
//!
//! Read `migrations/` first, then [`catalogue`], [`listing`], [`words`] and [`availability`] for the rules, [`store`]
//! for their SQL, [`cache`] and [`showcase`] for the caches, [`live`] for the call, [`api`] for the handlers. [`seed`]
//! generates the products; [`vocabulary`] has all the words of their titles, and so everything that a search can find.

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

/// Opens the service's database and adds the products that are missing.
///
/// # Errors
/// The database cannot be opened.
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
/// An address cannot be listened on, or the database cannot be opened.
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
        // Nothing in a catalogue is promised, so there is nothing to audit. The stock is audited at inventory.
        audit: Audit::empty(),
        workers: {
            let mut workers = events::workers(&kit, &showcase, &shutdown);
            workers.push(Box::pin(showcase.tend(shutdown.clone())));
            workers
        },
    };
    service::run(kit, service, shutdown).await
}
