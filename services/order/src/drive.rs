//! Drives orders through their saga: in the request that placed an order, and later in the recovery.

use std::time::Duration;

use metrics::counter;
use shop_contract::Role;
use shop_contract::events::{Envelope, Event, OrderCancelled, OrderConfirmed};
use shop_contract::order::OrderStatus;
use shop_kit::Kit;
use shop_kit::events::{Relay, envelope};
use shop_kit::store::StoreError;
use shop_kit::telemetry::{names, propagation};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::order::{OrderEvent, OrderState};
use crate::saga::{self, Step, StepOutcome};
use crate::steps;
use crate::store::{Appended, Orders};

/// The lease of an order, counted from its last renewal: other replicas leave the order alone until then. It is short,
/// so that a shopper whose replica died still gets an answer. If a slow replica is overtaken, both request the same
/// steps under the same keys, and only one of them stores the result.
pub const LEASE: Duration = Duration::from_millis(1500);
/// How often the lease is renewed while a step waits for its answer.
const RENEW: Duration = Duration::from_millis(500);
/// How long until a step without an answer is repeated.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the recovery looks for orders without a lease.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many orders the recovery takes up at once.
const BATCH: i64 = 32;

/// The subscribers of confirmed and of cancelled orders.
pub(crate) const ON_CONFIRMED: &[Role] = &[Role::Notification, Role::Cart, Role::Product];
const ON_CANCELLED: &[Role] = &[Role::Notification];

/// Drives orders. Cloning shares.
#[derive(Clone)]
pub struct Driver {
    kit: Kit,
    orders: Orders,
    relay: Relay,
    under_way: TaskTracker,
}

impl Driver {
    /// A driver for these orders.
    pub fn new(kit: Kit, orders: Orders, relay: Relay) -> Self {
        kit.metrics().record(|| {
            for outcome in ["confirmed", "card-declined", "out-of-stock"] {
                counter!(names::ORDERS, "outcome" => outcome).increment(0);
            }
            counter!(names::REVENUE, "currency" => shop_contract::money::CURRENCY).increment(0);
        });
        Self {
            kit,
            orders,
            relay,
            under_way: TaskTracker::new(),
        }
    }

    /// The orders.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The kit.
    pub fn kit(&self) -> &Kit {
        &self.kit
    }

    /// Drives an order in its own task, as far as it goes: it continues when the request that began it is gone.
    pub fn start(&self, order: OrderState) -> JoinHandle<Result<OrderState, StoreError>> {
        let driver = self.clone();
        let work = async move { driver.drive(order).await };
        self.under_way.spawn(work.in_current_span())
    }

    /// Drives an order until it ends, or until a step has no answer.
    async fn drive(&self, mut order: OrderState) -> Result<OrderState, StoreError> {
        while let Some(step) = saga::next(&order) {
            let outcome = self.perform(&order, &step).await?;
            let Some(event) = saga::conclude(&step, outcome) else {
                self.orders
                    .lease(&order, self.kit.unix_ms() + ms(PAUSE))
                    .await?;
                break;
            };
            if !self.append(&mut order, event, &step).await? {
                break;
            }
        }
        Ok(order)
    }

    /// Requests a step, and renews the order's lease until the answer comes: a slow bank must not be asked by every
    /// replica at once.
    async fn perform(&self, order: &OrderState, step: &Step) -> Result<StepOutcome, StoreError> {
        let asked = steps::perform(&self.kit, order, step);
        tokio::pin!(asked);
        loop {
            tokio::select! {
                outcome = &mut asked => return Ok(outcome),
                () = tokio::time::sleep(RENEW) => {
                    self.orders.lease(order, self.kit.unix_ms() + ms(LEASE)).await?;
                }
            }
        }
    }

    /// Adds an event. False if another replica was faster: that replica then drives the order.
    async fn append(
        &self,
        order: &mut OrderState,
        event: OrderEvent,
        step: &Step,
    ) -> Result<bool, StoreError> {
        let mut after = order.clone();
        after.apply(&event);
        let (outgoing, subscribers) = event_for_others(&after, &event, self.kit.unix_ms());
        let lease_until = self.kit.unix_ms() + ms(LEASE);
        let appended = self
            .orders
            .append(
                &after,
                &event,
                lease_until,
                outgoing.as_ref().map(|t| (t, subscribers)),
            )
            .await?;
        match appended {
            Appended::Yes => *order = after,
            Appended::Behind(newer) => {
                tracing::info!(
                    order_id = order.id(),
                    ?step,
                    "another replica moved the order"
                );
                *order = *newer;
                return Ok(false);
            }
        }
        if order.status.is_final() {
            self.count(order);
            self.relay.wake();
        }
        Ok(true)
    }

    fn count(&self, order: &OrderState) {
        let confirmed = order.status == OrderStatus::Confirmed;
        let outcome = match &order.reason {
            Some(reason) if !confirmed => reason.clone(),
            _ => "confirmed".to_owned(),
        };
        let total = &order.placed.total;
        self.kit.metrics().record(|| {
            counter!(names::ORDERS, "outcome" => outcome).increment(1);
            if confirmed {
                counter!(names::REVENUE, "currency" => total.currency.clone())
                    .increment(total.minor.unsigned_abs());
            }
        });
    }

    /// Recovers orders until shutdown, then waits for those in progress.
    pub async fn recover(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(e) = self.recover_batch().await {
                tracing::warn!(error = %e, "orders left lying cannot be looked for");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Takes up orders without a lease and drives them, once. Returns their number.
    ///
    /// # Errors
    /// A database error.
    pub async fn recover_batch(&self) -> Result<usize, StoreError> {
        let now = self.kit.unix_ms();
        let ids = self.orders.take_up(now, now + ms(LEASE), BATCH).await?;
        for id in &ids {
            let Some(order) = self.orders.load(id).await? else {
                continue;
            };
            let span =
                tracing::info_span!("recover", otel.name = "recover order", shop.order.id = id);
            // Late work for an order belongs to the trace in which it was placed.
            let parent = propagation::from_traceparent(order.placed.traceparent.as_deref());
            let _ = span.set_parent(parent);
            tracing::info!(
                order_id = id,
                status = order.status.name(),
                "taking up an order"
            );
            // Not awaited: one order that hangs must not delay the others. Its lease prevents taking it up twice, and
            // the next look finds whatever went wrong.
            span.in_scope(|| self.start(order));
        }
        Ok(ids.len())
    }
}

fn ms(duration: Duration) -> i64 {
    duration.as_millis() as i64
}

/// The event for other services, where there is one.
fn event_for_others(
    order: &OrderState,
    event: &OrderEvent,
    now_ms: i64,
) -> (Option<Envelope>, &'static [Role]) {
    let placed = &order.placed;
    let outgoing = |event| Some(envelope(Role::Order, &placed.order_id, now_ms, event));
    match event {
        OrderEvent::Confirmed => {
            let event = Event::OrderConfirmed(OrderConfirmed {
                order_id: placed.order_id.clone(),
                user_id: placed.user_id.clone(),
                email: placed.email.clone(),
                items: placed.items.clone(),
                total: placed.total.clone(),
                placed_at_ms: placed.at_ms,
            });
            (outgoing(event), ON_CONFIRMED)
        }
        OrderEvent::Cancelled => {
            let event = Event::OrderCancelled(OrderCancelled {
                order_id: placed.order_id.clone(),
                user_id: placed.user_id.clone(),
                email: placed.email.clone(),
                reason: order.reason.clone().unwrap_or_default(),
            });
            (outgoing(event), ON_CANCELLED)
        }
        _ => (None, &[]),
    }
}
