//! The notification service: tells customers what became of their orders, once each.
//!
//! It learns of orders by events, which may come twice and in any order. An event's id in the inbox keeps one event
//! from being acted on twice; the message's own key keeps two events about the same thing from becoming two messages.
//! Messages are kept in the service's database.
//!
//! Read `migrations/` first, then [`message`] for what is said, [`store`] for the SQL, [`api`] for the paths.

pub mod api;
pub mod message;
pub mod store;

use std::sync::Arc;

use shop_kit::Kit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use store::Notifications;

pub use api::router;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Opens the service's database.
///
/// # Errors
/// A database that does not work.
pub async fn open(kit: &Kit) -> Result<Notifications, ServeError> {
    let url = &kit.config().database_url;
    let store = Store::open(url, &MIGRATIONS, kit.metrics().clone()).await?;
    Ok(Notifications::new(store))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address or a database that does not work.
pub async fn serve(config: ServiceConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let notifications = open(&kit).await?;
    let held = notifications.clone();
    let service = Service {
        routes: router(&kit, notifications.clone()),
        audit: Arc::new(move || {
            let held = held.clone();
            Box::pin(async move { Ok(held.audit().await?) })
        }),
        store: Some(notifications.store().clone()),
        workers: Vec::new(),
    };
    service::run(kit, service, shutdown).await
}
