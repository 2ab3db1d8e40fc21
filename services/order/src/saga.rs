//! The saga, pure: which step comes next, and what an answer means.
//!
//! Each step may be asked any number of times under the order's id and takes effect once. That is what allows the one
//! rule for silence: an answer that is not clear changes nothing, and the step is asked again.

use shop_contract::order::OrderStatus;

use crate::order::{OrderEvent, OrderState};

/// Something to ask of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Hold the stock.
    Reserve,
    /// Charge the card.
    Charge,
    /// Let the stock leave.
    Commit,
    /// Give the money back.
    Refund {
        /// Which.
        payment_id: String,
    },
    /// Put the stock back.
    Release,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done, now or before.
    Done,
    /// Charged, now or before.
    Paid(String),
    /// No, for a reason of business. Nothing was done.
    Refused(String),
    /// Nothing that can be relied on: it may be done or not.
    Unknown,
}

/// The step that an order waits for; none at its end.
pub fn next(order: &OrderState) -> Option<Step> {
    match order.status {
        OrderStatus::Placed => Some(Step::Reserve),
        OrderStatus::Reserved => Some(Step::Charge),
        OrderStatus::Paid => Some(Step::Commit),
        OrderStatus::Confirmed | OrderStatus::Cancelled => None,
        // Money first: a shopper misses it more than the shop misses its goods.
        OrderStatus::Cancelling => Some(match &order.payment_id {
            Some(payment_id) if !order.refunded => Step::Refund {
                payment_id: payment_id.clone(),
            },
            _ => Step::Release,
        }),
    }
}

/// What an answer makes of the order; nothing, when it must be asked again.
pub fn conclude(step: &Step, outcome: StepOutcome) -> Option<OrderEvent> {
    match (step, outcome) {
        (_, StepOutcome::Unknown) => None,
        (Step::Reserve, StepOutcome::Done) => Some(OrderEvent::Reserved),
        (Step::Charge, StepOutcome::Paid(payment_id)) => Some(OrderEvent::Paid { payment_id }),
        (Step::Commit, StepOutcome::Done) => Some(OrderEvent::Confirmed),
        (Step::Refund { .. }, StepOutcome::Done) => Some(OrderEvent::Refunded),
        (Step::Release, StepOutcome::Done) => Some(OrderEvent::Cancelled),
        // A commit that is refused turns a paid order round, too: the refund then comes first.
        (Step::Reserve | Step::Charge | Step::Commit, StepOutcome::Refused(reason)) => {
            Some(OrderEvent::Cancelling { reason })
        }
        // An undoing cannot be refused; whoever says so must be asked again, and looked at.
        (Step::Refund { .. } | Step::Release, StepOutcome::Refused(_)) => None,
        (Step::Charge, StepOutcome::Done) | (_, StepOutcome::Paid(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Placed;
    use proptest::prelude::*;
    use shop_contract::Money;

    /// What the other services hold for one order, each step idempotent, as they are.
    #[derive(Debug, Default)]
    struct FakeServices {
        held: bool,
        released: bool,
        committed: bool,
        charges: u32,
        refunds: u32,
        in_stock: bool,
        card_good: bool,
    }

    impl FakeServices {
        fn perform(&mut self, step: &Step) -> StepOutcome {
            match step {
                Step::Reserve if self.released => {
                    StepOutcome::Refused("reservation-released".to_owned())
                }
                Step::Reserve if !self.in_stock => StepOutcome::Refused("out-of-stock".to_owned()),
                Step::Reserve => {
                    self.held = true;
                    StepOutcome::Done
                }
                Step::Charge if !self.card_good => StepOutcome::Refused("card-declined".to_owned()),
                Step::Charge => {
                    self.charges = 1;
                    StepOutcome::Paid("p".to_owned())
                }
                Step::Commit if self.held && !self.released => {
                    self.committed = true;
                    StepOutcome::Done
                }
                Step::Commit => StepOutcome::Refused("reservation-released".to_owned()),
                Step::Refund { .. } => {
                    self.refunds = self.charges;
                    StepOutcome::Done
                }
                Step::Release => {
                    self.released = true;
                    StepOutcome::Done
                }
            }
        }
    }

    /// How one attempt at a step goes.
    #[derive(Debug, Clone, Copy)]
    enum Delivery {
        Answered,
        RequestLost,
        ReplyLost,
    }

    fn order() -> OrderState {
        OrderState::new(Placed {
            order_id: "o".to_owned(),
            user_id: "u".to_owned(),
            email: String::new(),
            key: "k".to_owned(),
            card: "tok_good".to_owned(),
            items: Vec::new(),
            total: Money::of(100),
            at_ms: 0,
            traceparent: None,
        })
    }

    fn delivery() -> impl Strategy<Value = Delivery> {
        prop_oneof![
            Just(Delivery::Answered),
            Just(Delivery::RequestLost),
            Just(Delivery::ReplyLost)
        ]
    }

    proptest! {
        /// Whatever is lost on the way, before or after it took effect: once answers come, the order ends, and what
        /// the services hold fits its end.
        #[test]
        fn money_and_stock_fit_the_orders_end(
            in_stock: bool,
            card_good: bool,
            meddled: bool,
            deliveries in prop::collection::vec(delivery(), 0..40),
        ) {
            let mut services = FakeServices { in_stock, card_good, ..FakeServices::default() };
            let mut order = order();
            let mut deliveries = deliveries.into_iter();
            let mut asked = 0;
            while let Some(step) = next(&order) {
                asked += 1;
                prop_assert!(asked < 100, "the saga does not end");
                // Somebody releases the reservation behind the saga's back, right before the commit.
                if meddled && step == Step::Commit && !services.committed {
                    services.released = true;
                }
                let outcome = match deliveries.next().unwrap_or(Delivery::Answered) {
                    Delivery::Answered => services.perform(&step),
                    Delivery::RequestLost => StepOutcome::Unknown,
                    Delivery::ReplyLost => { services.perform(&step); StepOutcome::Unknown }
                };
                if let Some(event) = conclude(&step, outcome) {
                    order.apply(&event);
                }
            }
            if in_stock && card_good && !meddled {
                prop_assert_eq!(order.status, OrderStatus::Confirmed);
                prop_assert!(services.committed && services.charges == 1 && services.refunds == 0);
            } else {
                prop_assert_eq!(order.status, OrderStatus::Cancelled);
                prop_assert!(!services.committed && services.released);
                prop_assert_eq!(services.charges, services.refunds);
            }
        }
    }
}
