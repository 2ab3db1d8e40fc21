//! The notification service: one message per channel to a customer about the outcome of an order.
//!
//! Orders arrive as events, which may come twice and in any order. The inbox with the events' ids prevents handling one
//! event twice; the message's own key prevents two messages about the same fact.
//!
//! Messages are stored in the service's database. With a mail server, e-mail is queued there and sent by a worker, so
//! that nothing waits for the server. Text messages and pushes stay there, in the form that a provider would get.
//!
//! Read `migrations/` first, then [`channel`], [`message`], [`template`] and [`retry`] for the rules, which are pure;
//! [`store`] for the SQL, [`mail`] and [`mod@sender`] for SMTP, [`api`] for the handlers.

pub mod api;
pub mod channel;
pub mod config;
pub mod mail;
pub mod message;
pub mod retry;
pub mod sender;
pub mod store;
pub mod subscriber;
pub mod template;

use std::sync::LazyLock;

use shop_kit::audit::Audit;
use shop_kit::config::ServiceConfig;
use shop_kit::service::{self, ServeError, Service};
use shop_kit::store::Store;
use shop_kit::{Kit, events};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use mail::Mailer;
use sender::Sender;
use store::Notifications;
use subscriber::Writer;
use template::Templates;

pub use api::router;
pub use config::NotificationConfig;

static MIGRATIONS: LazyLock<Migrator> =
    shop_kit::migrations!["../migrations/0001_notifications.sql"];

/// Opens the service's database and reads the templates.
///
/// # Errors
/// The database cannot be opened.
pub async fn open(kit: &Kit, own: &NotificationConfig) -> Result<Writer, ServeError> {
    let store = Store::open(kit, &MIGRATIONS).await?;
    let templates = Templates::read().map_err(|e| ServeError::Setup(e.to_string()))?;
    let sends_mail = own.smtp_url.is_some();
    let notifications = Notifications::new(store, kit.metrics().clone(), sends_mail);
    Ok(Writer::new(notifications, templates))
}

/// The worker that sends mail. `None`: there is no mail server.
///
/// # Errors
/// The URL is not one of a mail server.
pub fn sender(
    kit: &Kit,
    own: &NotificationConfig,
    notifications: &Notifications,
) -> Result<Option<Sender>, ServeError> {
    let Some(url) = &own.smtp_url else {
        return Ok(None);
    };
    let mailer = Mailer::new(url).map_err(|e| ServeError::Setup(e.to_string()))?;
    Ok(Some(Sender::new(
        kit.clone(),
        notifications.clone(),
        mailer,
    )))
}

/// Serves until `shutdown`.
///
/// # Errors
/// An address cannot be listened on, the database cannot be opened, or the mail server's URL is wrong.
pub async fn serve(
    config: ServiceConfig,
    own: NotificationConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let kit = Kit::new(config);
    let writer = open(&kit, &own).await?;
    let held = writer.notifications().clone();
    let mut workers = events::workers(&kit, &writer, &shutdown);
    if let Some(sender) = sender(&kit, &own, &held)? {
        workers.push(Box::pin(sender.run(shutdown.clone())));
    }
    let service = Service {
        store: Some(held.store().clone()),
        routes: router(&kit, writer),
        audit: Audit::of(held),
        workers,
    };
    service::run(kit, service, shutdown).await
}
