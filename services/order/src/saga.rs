//! The saga, pure: which step comes next, and what its result means.
//!
//! Each step may be repeated under the order's id and takes effect once. That allows one rule for unclear answers: they
//! change nothing, and the step is repeated.

use shop_contract::order::OrderStatus;

use crate::order::{OrderEvent, OrderState};

/// A request to another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Holds the stock.
    Reserve,
    /// Charges the card.
    Charge,
    /// Lets the stock leave.
    Commit,
    /// Gives the money back.
    Refund {
        /// The payment.
        payment_id: String,
    },
    /// Puts the stock back.
    Release,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done, now or before.
    Done,
    /// Charged, now or before.
    Paid(String),
    /// Refused for a business reason. Nothing was done.
    Refused(String),
    /// Unclear: it may be done or not.
    Unknown,
}

/// The step that an order waits for. `None`: it has ended.
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

/// The event that a result causes. `None`: the step is to be repeated.
pub fn conclude(step: &Step, outcome: StepOutcome) -> Option<OrderEvent> {
    match (step, outcome) {
        (_, StepOutcome::Unknown) => None,
        (Step::Reserve, StepOutcome::Done) => Some(OrderEvent::Reserved),
        (Step::Charge, StepOutcome::Paid(payment_id)) => Some(OrderEvent::Paid { payment_id }),
        (Step::Commit, StepOutcome::Done) => Some(OrderEvent::Confirmed),
        (Step::Refund { .. }, StepOutcome::Done) => Some(OrderEvent::Refunded),
        (Step::Release, StepOutcome::Done) => Some(OrderEvent::Cancelled),
        // A refused commit cancels a paid order too. The refund then comes first.
        (Step::Reserve | Step::Charge | Step::Commit, StepOutcome::Refused(reason)) => {
            Some(OrderEvent::Cancelling { reason })
        }
        // Undoing cannot be refused. It is repeated, and somebody should look at it.
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

    /// The state of the other services for one order. Each step is idempotent, as in the real services.
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

    /// How one attempt at a step ends.
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
        /// Requests and replies may be lost in any order. Once replies arrive, the order ends, and the services' state
        /// fits its end.
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
                // Another party releases the reservation right before the commit.
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
