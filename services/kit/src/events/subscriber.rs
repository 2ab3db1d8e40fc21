//! A subscriber's side: how an event is processed, whichever transport brings it.

use std::time::Instant;

use axum::http::StatusCode;
use metrics::{counter, histogram};
use shop_contract::events::{Envelope, kinds};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Kit;
use crate::problem::ApiError;
use crate::store::StoreError;
use crate::telemetry::names;

/// The outcome in metrics of an event that could not be processed or delivered.
pub(super) const FAILED: &str = "failed";

/// How a subscriber handled an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// It was processed.
    Processed,
    /// It had been processed before.
    Duplicate,
    /// This subscriber does not process such events.
    Ignored,
}

impl EventOutcome {
    /// Its value of the label `outcome`.
    fn name(self) -> &'static str {
        match self {
            Self::Processed => "done",
            Self::Duplicate => "duplicate",
            Self::Ignored => "unwanted",
        }
    }
}

/// From whether the event was new.
impl From<bool> for EventOutcome {
    fn from(new: bool) -> Self {
        if new {
            Self::Processed
        } else {
            Self::Duplicate
        }
    }
}

/// Processes events. The same code for both transports.
pub trait Subscriber: Clone + Send + Sync + 'static {
    /// The destinations of its events, see [`Event::destination`](shop_contract::events::Event::destination).
    const DESTINATIONS: &'static [&'static str];

    /// Processes an event, in one transaction with its row in the inbox ([`first_time`](super::first_time)).
    ///
    /// # Errors
    /// Errors of the database. The event will be delivered again.
    fn handle(
        &self,
        envelope: &Envelope,
    ) -> impl Future<Output = Result<EventOutcome, StoreError>> + Send;
}

/// Receives an event at `POST /events`: `handling` returns its outcome, or whether it was new. Responds with 204.
///
/// # Errors
/// The error of `handling`, as 500: the relay will deliver the event again.
pub async fn receive<T: Into<EventOutcome>>(
    kit: &Kit,
    envelope: &Envelope,
    handling: impl Future<Output = Result<T, StoreError>>,
) -> Result<StatusCode, ApiError> {
    process(kit, "http", None, envelope, handling).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Declares the outcomes at zero, so that a rate over the first event is not lost.
pub(super) fn declare_metrics(kit: &Kit, destination: &'static str) {
    let outcomes = [
        EventOutcome::Processed,
        EventOutcome::Duplicate,
        EventOutcome::Ignored,
    ];
    kit.metrics().record(|| {
        for kind in kinds(destination) {
            for outcome in outcomes.map(EventOutcome::name).into_iter().chain([FAILED]) {
                counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => *kind, "outcome" => outcome)
                    .increment(0);
            }
        }
    });
}

/// Processes an event in a span, and records its metrics. The span's parent is `parent`, else the current context.
pub(super) async fn process<T: Into<EventOutcome>>(
    kit: &Kit,
    system: &'static str,
    parent: Option<opentelemetry::Context>,
    envelope: &Envelope,
    handling: impl Future<Output = Result<T, StoreError>>,
) -> Result<EventOutcome, StoreError> {
    let destination = envelope.event.destination();
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        messaging.system = system,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = destination,
        messaging.message.id = envelope.id,
        shop.order.id = envelope.subject,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        shop.fault = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        let _ = span.set_parent(parent);
    }
    let started = Instant::now();
    let result = handling.instrument(span.clone()).await.map(Into::into);
    let outcome = result.as_ref().map_or(FAILED, |o: &EventOutcome| o.name());
    if result.is_err() {
        span.record("error.type", outcome);
        span.record("otel.status_code", "ERROR");
    }
    let _in_span = span.enter();
    kit.metrics().record(|| {
        let kind = envelope.event.kind();
        counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => kind, "outcome" => outcome)
            .increment(1);
        histogram!(names::MESSAGING_PROCESS, "messaging_destination_name" => destination, "event" => kind)
            .record(started.elapsed().as_secs_f64());
    });
    result
}
