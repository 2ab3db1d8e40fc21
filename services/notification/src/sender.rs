//! The worker that sends queued mail.
//!
//! It is independent of events and requests, so a slow mail server delays only mail. A mail is marked as sent after the
//! server has accepted it. If the worker dies in between, the mail is sent again, under the same `Message-ID`.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use shop_kit::Kit;
use shop_kit::queue::{self, Queue, RunningTasks};
use shop_kit::store::StoreError;
use shop_kit::telemetry::{names, propagation};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::channel::Channel;
use crate::mail::Mailer;
use crate::retry::{self, Next};
use crate::store::Notifications;
use crate::store::queue::Mail;

/// Mails that may be in flight at once.
const MOST_UNDER_WAY: usize = 8;
/// Sends mails. Cloning shares.
#[derive(Clone)]
pub struct Sender {
    kit: Kit,
    notifications: Notifications,
    mailer: Arc<Mailer>,
}

impl Sender {
    /// A sender of these notifications.
    pub fn new(kit: Kit, notifications: Notifications, mailer: Mailer) -> Self {
        kit.metrics().record(|| {
            for outcome in ["sent", "deferred", "failed"] {
                let channel = Channel::Email.name();
                counter!(names::NOTIFICATIONS, "channel" => channel, "outcome" => outcome)
                    .increment(0);
            }
        });
        Self {
            kit,
            notifications,
            mailer: Arc::new(mailer),
        }
    }

    /// Sends until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        queue::work(&self, &shutdown).await;
    }

    async fn send(&self, mail: Mail) -> Result<(), StoreError> {
        let span = tracing::info_span!(
            "mail",
            otel.name = "send mail",
            otel.kind = "client",
            messaging.system = "smtp",
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.message.id = mail.id,
            error.type = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        // It is sent later and elsewhere, but it belongs to the trace of its cause.
        let parent = propagation::from_traceparent(mail.traceparent.as_deref());
        let _ = span.set_parent(parent);
        let work = async {
            let result = self.mailer.send(&mail).await;
            let age =
                Duration::from_millis((self.kit.unix_ms() - mail.created_at_ms).max(0) as u64);
            let next = retry::next(result, mail.attempts, age);
            self.report(&mail, &next);
            self.notifications.settle(&mail.id, &next).await
        };
        work.instrument(span).await
    }

    fn report(&self, mail: &Mail, next: &Next) {
        let outcome = match next {
            Next::Sent => "sent",
            Next::Again(wait, why) => {
                let (attempt, wait_ms) = (mail.attempts, wait.as_millis() as u64);
                tracing::debug!(
                    notification = mail.id,
                    attempt,
                    wait_ms,
                    error = why,
                    "a mail was not taken"
                );
                "deferred"
            }
            Next::GiveUp(why) => {
                tracing::warn!(notification = mail.id, error = why, "a mail was given up");
                "failed"
            }
        };
        if !matches!(next, Next::Sent) {
            let span = tracing::Span::current();
            span.record("error.type", outcome);
            span.record("otel.status_code", "ERROR");
        }
        self.kit.metrics().record(|| {
            let channel = Channel::Email.name();
            counter!(names::NOTIFICATIONS, "channel" => channel, "outcome" => outcome).increment(1);
        });
    }
}

impl Queue for Sender {
    const WHAT: &'static str = "mails";

    async fn start(&self, under_way: &mut RunningTasks) -> Result<bool, StoreError> {
        let queued = self.notifications.queued().await?;
        self.kit
            .metrics()
            .record(|| gauge!(names::QUEUE_DEPTH, "queue" => "mail").set(queued as f64));
        let room = MOST_UNDER_WAY.saturating_sub(under_way.len());
        // Most looks find nothing; they must not block the writers.
        if queued == 0 || room == 0 {
            return Ok(false);
        }
        for mail in self.notifications.take_up(room as i64).await? {
            let sender = self.clone();
            under_way.spawn(async move { sender.send(mail).await });
        }
        // There is capacity for another one when one of these has ended.
        Ok(false)
    }

    async fn woken(&self) {
        self.notifications.woken().await;
    }
}
