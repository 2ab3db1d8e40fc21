//! Draws events from JetStream for a subscriber: the counterpart of `POST /events`.
//!
//! Each role has one durable consumer per destination, which its replicas share: the server remembers what was taken,
//! whoever of them took it. An event is acknowledged after the transaction that acts on it, so one whose replica dies
//! comes again. There is no last try: a subscriber whose database is away for an hour gets its events after an hour,
//! as it does over HTTP. Only what can never be read is given up, since no later try could read it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer};
use async_nats::jetstream::{AckKind, Message};
use futures_util::{FutureExt, StreamExt};
use http::Method;
use metrics::{counter, gauge};
use shop_contract::events::Envelope;
use shop_contract::headers::TRACEPARENT;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::nats::{Nats, NatsError};
use super::{Subscriber, process, wait_ms};
use crate::Kit;
use crate::faults::{Asked, Plan};
use crate::telemetry::{names, propagation};

/// Events that may be worked on at once. No more are asked for than can be begun, so none waits here while another
/// replica is idle.
const MOST_UNDER_WAY: usize = 16;
/// How long the server holds a request for events when there are none. After a broken connection, nothing is drawn
/// until the last request has run out.
const HELD: Duration = Duration::from_secs(2);
/// How much longer than that its answer may be on the way.
const GRACE: Duration = Duration::from_millis(500);
/// After this long without an acknowledgement an event comes again. Longer than a transaction can take.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// How long to wait when NATS does not work.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the length of the queue is asked for, at most.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// How long a look at what has come already may take then, should the server not answer.
const MOMENT: Duration = Duration::from_millis(100);
/// How long events under way have to finish once the service is to stop.
const LAST: Duration = Duration::from_secs(1);

/// Draws the events of one destination until told to stop.
pub(super) async fn run<S: Subscriber>(
    kit: Kit,
    nats: Arc<Nats>,
    subscriber: S,
    destination: &'static str,
    shutdown: CancellationToken,
) {
    let mut under_way = JoinSet::new();
    let drawer = Drawer {
        kit,
        nats,
        subscriber,
        destination,
    };
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let drawn = tokio::select! {
            drawn = drawer.draw(&mut under_way, &shutdown) => drawn,
            // What waits for the server within it is not to be waited for.
            () = at_the_latest(&shutdown) => break,
        };
        match drawn {
            Ok(()) => failing = false,
            // The connection's own events are in the log already.
            Err(NatsError::Away) => {}
            Err(e) => {
                drawer.nats.doubt();
                // Once, and not again with every try until it works.
                if !failing {
                    tracing::warn!(error = %e, destination, "no events can be drawn; it is tried on");
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
        while let Some(done) = under_way.join_next().await {
            told(done);
        }
        drawer.nats.flush().await;
    };
    if tokio::time::timeout(LAST, end).await.is_err() {
        tracing::info!(destination, "events under way will come again");
    }
}

struct Drawer<S> {
    kit: Kit,
    nats: Arc<Nats>,
    subscriber: S,
    destination: &'static str,
}

impl<S: Subscriber> Drawer<S> {
    /// Draws until the end, or for as long as the server goes along.
    async fn draw(
        &self,
        under_way: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), NatsError> {
        let refused = NatsError::refused("nothing drawn");
        let mut consumer = self.consumer().await?;
        let mut measured: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            let room = MOST_UNDER_WAY.saturating_sub(under_way.len());
            if room == 0 {
                if let Some(done) = under_way.join_next().await {
                    told(done);
                }
                continue;
            }
            if measured.is_none_or(|at| at.elapsed() > MEASURE_EVERY) {
                self.measure(&mut consumer).await?;
                measured = Some(Instant::now());
            }
            let request = consumer.batch().max_messages(room).expires(HELD);
            let mut batch = request.messages().await.map_err(|e| refused(e.into()))?;
            loop {
                tokio::select! {
                    next = tokio::time::timeout(HELD + GRACE, batch.next()) => match next {
                        Ok(Some(message)) => {
                            self.begin(message.map_err(&refused)?, under_way);
                        }
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    },
                    Some(done) = under_way.join_next() => told(done),
                    () = shutdown.cancelled() => {
                        // What has come already is ours; left lying, it would come again only after `ACK_WAIT`.
                        while let Some(Some(Ok(message))) = batch.next().now_or_never() {
                            self.begin(message, under_way);
                        }
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&self, message: Message, under_way: &mut JoinSet<()>) {
        let (kit, subscriber) = (self.kit.clone(), self.subscriber.clone());
        under_way.spawn(take(kit, subscriber, self.destination, message));
    }

    /// The role's durable consumer, made by whoever comes first.
    async fn consumer(&self) -> Result<Consumer<Config>, NatsError> {
        let jetstream = self.nats.ready().await?;
        let name = durable(self.kit.config().role.name(), self.destination);
        let config = Config {
            durable_name: Some(name),
            filter_subject: self.nats.subject(self.destination)?,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            ..Config::default()
        };
        let made = jetstream.create_consumer_on_stream(config, self.nats.stream()?);
        made.await
            .map_err(|e| NatsError::refused("the consumer cannot be made")(e.into()))
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

/// Resolves a moment after the token was cancelled.
async fn at_the_latest(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(MOMENT).await;
}

/// `notification-orders` for the notification service's share of `shop.orders`.
fn durable(role: &str, destination: &str) -> String {
    let what = destination.rsplit('.').next().unwrap_or(destination);
    format!("{role}-{what}")
}

async fn take<S: Subscriber>(kit: Kit, subscriber: S, destination: &'static str, message: Message) {
    let answer = match serde_json::from_slice::<Envelope>(&message.payload) {
        Ok(envelope) => {
            let header = message.headers.as_ref().and_then(|h| h.get(TRACEPARENT));
            let parent = header.map_or(envelope.traceparent.as_deref(), |h| Some(h.as_str()));
            let parent = propagation::from_traceparent(parent);
            if is_stopped(&kit, &envelope, &parent).await {
                return acknowledge(&message, again(&message)).await;
            }
            let act = subscriber.take(&envelope);
            match process(&kit, "nats", Some(parent), &envelope, act).await {
                Ok(_) => AckKind::Ack,
                Err(e) => {
                    let delivered = deliveries(&message);
                    tracing::warn!(event = envelope.id, delivered, error = %e, "an event could not be acted on and comes again");
                    again(&message)
                }
            }
        }
        Err(e) => {
            let sequence = message.info().map_or(0, |i| i.stream_sequence);
            tracing::error!(destination, sequence, error = %e, "an event that cannot be read was given up; it stays in the stream under this number");
            kit.metrics().record(|| {
                counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => "", "outcome" => "unreadable")
                    .increment(1);
            });
            AckKind::Term
        }
    };
    acknowledge(&message, answer).await;
}

async fn acknowledge(message: &Message, answer: AckKind) {
    if let Err(e) = message.ack_with(answer).await {
        tracing::debug!(error = %e, "an acknowledgement was not sent; the event comes again");
    }
}

/// How often an event has come by now.
fn deliveries(message: &Message) -> i64 {
    message.info().map_or(1, |i| i.delivered)
}

fn again(message: &Message) -> AckKind {
    let wait = wait_ms(deliveries(message)) as u64;
    AckKind::Nak(Some(Duration::from_millis(wait)))
}

/// Has a drawn event suffer what it would if it were pushed: true if that kept it from being acted on. There is no
/// answer whose body could suffer. The span stands where the request's would.
async fn is_stopped(kit: &Kit, envelope: &Envelope, parent: &opentelemetry::Context) -> bool {
    let source = envelope.source.parse().ok();
    let touches = kit
        .faults()
        .at_request(|| Asked::served(&Method::POST, shop_contract::events::PATH, source, None));
    if touches.is_empty() {
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
    let Some(mut plan) = Plan::of(touches, &span) else {
        return false;
    };
    let is_stopped = plan.before().instrument(span.clone()).await.is_some();
    if is_stopped {
        span.record("error.type", "failed");
        span.record("otel.status_code", "ERROR");
    }
    is_stopped
}

fn told(done: Result<(), JoinError>) {
    if let Err(e) = done {
        tracing::error!(error = %e, "an event's handler panicked; the event comes again");
    }
}
