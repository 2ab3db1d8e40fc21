//! Pulls events from JetStream for a subscriber: the counterpart of `POST /events`.
//!
//! Each role has one durable consumer per destination, shared by its replicas: the server records what was processed, whichever
//! replica it was. An event is acknowledged after the transaction that processes it, so it is redelivered if its replica dies.
//! Redelivery has no limit: a subscriber whose database is down for an hour gets its events after an hour, as over HTTP. Only
//! an event that cannot be parsed is given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer};
use async_nats::jetstream::{AckKind, Message};
use futures_util::{FutureExt, StreamExt};
use http::Method;
use metrics::{counter, gauge};
use shop_contract::events::{Envelope, PATH};
use shop_contract::headers::TRACEPARENT;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::nats::{Nats, NatsError};
use super::outbox::wait_ms;
use super::subscriber::{Subscriber, process};
use crate::Kit;
use crate::faults::{Injections, RequestInfo};
use crate::telemetry::{names, propagation};

/// Events processed at once. No more are requested than can be started, so none waits here while another replica is idle.
const MAX_RUNNING: usize = 16;
/// How long the server holds a pull request without events. After a broken connection, nothing is pulled until the last request
/// has expired.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// The time for its response to arrive after that.
const GRACE: Duration = Duration::from_millis(500);
/// An event without an acknowledgement is redelivered after this time. Longer than a transaction can take.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// The wait after a failure of NATS.
const PAUSE: Duration = Duration::from_millis(250);
/// The minimum time between two queries of the queue length.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);
/// How long after the shutdown signal a worker may still wait for the server.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(100);
/// How long running events may take to finish after the shutdown signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Pulls and processes the events of one destination until shutdown.
pub(super) async fn run<S: Subscriber>(
    kit: Kit,
    nats: Arc<Nats>,
    subscriber: S,
    destination: &'static str,
    shutdown: CancellationToken,
) {
    let mut running = JoinSet::new();
    let worker = PullWorker {
        kit,
        nats,
        subscriber,
        destination,
    };
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let pulled = tokio::select! {
            pulled = worker.pull(&mut running, &shutdown) => pulled,
            // It may be waiting for the server.
            () = shutdown_and_grace(&shutdown) => break,
        };
        match pulled {
            Ok(()) => failing = false,
            // Connection events are logged already.
            Err(NatsError::Disconnected) => {}
            Err(e) => {
                worker.nats.forget_stream();
                // Once per outage, not with every attempt.
                if !failing {
                    tracing::warn!(error = %e, destination, "events could not be pulled; trying again");
                }
                failing = true;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    let end = async {
        while let Some(done) = running.join_next().await {
            log_panic(done);
        }
        worker.nats.flush().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, end).await.is_err() {
        tracing::info!(destination, "unfinished events will be redelivered");
    }
}

struct PullWorker<S> {
    kit: Kit,
    nats: Arc<Nats>,
    subscriber: S,
    destination: &'static str,
}

impl<S: Subscriber> PullWorker<S> {
    /// Pulls until shutdown, or until the server fails.
    async fn pull(
        &self,
        running: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), NatsError> {
        let refused = NatsError::refused("nothing pulled");
        let mut consumer = self.consumer().await?;
        let mut measured: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            let free = MAX_RUNNING.saturating_sub(running.len());
            if free == 0 {
                if let Some(done) = running.join_next().await {
                    log_panic(done);
                }
                continue;
            }
            if measured.is_none_or(|at| at.elapsed() > MEASURE_INTERVAL) {
                self.measure(&mut consumer).await?;
                measured = Some(Instant::now());
            }
            let request = consumer.batch().max_messages(free).expires(PULL_EXPIRES);
            let mut batch = request.messages().await.map_err(|e| refused(e.into()))?;
            loop {
                tokio::select! {
                    next = tokio::time::timeout(PULL_EXPIRES + GRACE, batch.next()) => match next {
                        Ok(Some(message)) => {
                            self.start(message.map_err(&refused)?, running);
                        }
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    },
                    Some(done) = running.join_next() => log_panic(done),
                    () = shutdown.cancelled() => {
                        // Messages that have arrived are processed; otherwise they would be redelivered only after `ACK_WAIT`.
                        while let Some(Some(Ok(message))) = batch.next().now_or_never() {
                            self.start(message, running);
                        }
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn start(&self, message: Message, running: &mut JoinSet<()>) {
        let (kit, subscriber) = (self.kit.clone(), self.subscriber.clone());
        running.spawn(receive(kit, subscriber, self.destination, message));
    }

    /// The role's durable consumer, created if it does not exist.
    async fn consumer(&self) -> Result<Consumer<Config>, NatsError> {
        let jetstream = self.nats.ready().await?;
        let name = durable_name(self.kit.config().role.name(), self.destination);
        let config = Config {
            durable_name: Some(name),
            filter_subject: self.nats.subject(self.destination)?,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            ..Config::default()
        };
        let created = jetstream.create_consumer_on_stream(config, self.nats.stream()?);
        created
            .await
            .map_err(|e| NatsError::refused("the consumer could not be created")(e.into()))
    }

    async fn measure(&self, consumer: &mut Consumer<Config>) -> Result<(), NatsError> {
        let info = consumer.info().await;
        let info = info.map_err(|e| NatsError::refused("the consumer is gone")(e.into()))?;
        let waiting = info.num_pending as f64 + info.num_ack_pending as f64;
        let queue = self.destination;
        self.kit
            .metrics()
            .record(|| gauge!(names::QUEUE_DEPTH, "queue" => queue).set(waiting));
        Ok(())
    }
}

/// Resolves [`SHUTDOWN_GRACE`] after the token was cancelled.
async fn shutdown_and_grace(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(SHUTDOWN_GRACE).await;
}

/// The name of the durable consumer: `notification-orders` for `shop.orders` at the notification service.
fn durable_name(role: &str, destination: &str) -> String {
    let what = destination.rsplit('.').next().unwrap_or(destination);
    format!("{role}-{what}")
}

async fn receive<S: Subscriber>(
    kit: Kit,
    subscriber: S,
    destination: &'static str,
    message: Message,
) {
    let ack = match serde_json::from_slice::<Envelope>(&message.payload) {
        Ok(envelope) => {
            let header = message.headers.as_ref().and_then(|h| h.get(TRACEPARENT));
            let parent = header.map_or(envelope.traceparent.as_deref(), |h| Some(h.as_str()));
            let parent = propagation::from_traceparent(parent);
            if is_interrupted(&kit, &envelope, &parent).await {
                return acknowledge(&message, redeliver(&message)).await;
            }
            let handling = subscriber.handle(&envelope);
            match process(&kit, "nats", Some(parent), &envelope, handling).await {
                Ok(_) => AckKind::Ack,
                Err(e) => {
                    let delivered = deliveries(&message);
                    tracing::warn!(event = envelope.id, delivered, error = %e, "an event could not be processed and will be redelivered");
                    redeliver(&message)
                }
            }
        }
        Err(e) => {
            let sequence = message.info().map_or(0, |i| i.stream_sequence);
            tracing::error!(destination, sequence, error = %e, "an event could not be parsed and was given up; it stays in the stream under this number");
            kit.metrics().record(|| {
                counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => "", "outcome" => "unreadable")
                    .increment(1);
            });
            AckKind::Term
        }
    };
    acknowledge(&message, ack).await;
}

async fn acknowledge(message: &Message, ack: AckKind) {
    if let Err(e) = message.ack_with(ack).await {
        tracing::debug!(error = %e, "an acknowledgement was not sent; the event will be redelivered");
    }
}

/// How often an event has been delivered.
fn deliveries(message: &Message) -> i64 {
    message.info().map_or(1, |i| i.delivered)
}

fn redeliver(message: &Message) -> AckKind {
    let wait = wait_ms(deliveries(message)) as u64;
    AckKind::Nak(Some(Duration::from_millis(wait)))
}

/// Applies the faults of `POST /events` to a pulled event: true if one of them keeps it from being processed. There is no
/// response, so body faults do nothing. The span takes the place of the request's span.
async fn is_interrupted(kit: &Kit, envelope: &Envelope, parent: &opentelemetry::Context) -> bool {
    let source = envelope.source.parse().ok();
    let found = kit
        .faults()
        .for_request(|| RequestInfo::served(&Method::POST, PATH, source, None));
    if found.is_empty() {
        return false;
    }
    let destination = envelope.event.destination();
    let span = tracing::info_span!(
        "receive",
        otel.name = format!("receive {destination}"),
        otel.kind = "client",
        messaging.system = "nats",
        messaging.operation.name = "receive",
        messaging.operation.type = "receive",
        messaging.destination.name = destination,
        messaging.message.id = envelope.id,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        shop.fault = tracing::field::Empty,
    );
    let _ = span.set_parent(parent.clone());
    let Some(mut injections) = Injections::new(found, &span) else {
        return false;
    };
    let is_interrupted = injections.before().instrument(span.clone()).await.is_some();
    if is_interrupted {
        span.record("error.type", "failed");
        span.record("otel.status_code", "ERROR");
    }
    is_interrupted
}

fn log_panic(done: Result<(), JoinError>) {
    if let Err(e) = done {
        tracing::error!(error = %e, "an event's handler panicked; the event will be redelivered");
    }
}
