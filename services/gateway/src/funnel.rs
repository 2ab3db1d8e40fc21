//! The shop's funnel: steps towards an order, counted at the gateway.
//!
//! It counts answers, not shoppers: a shopper who looks at five products takes the step five times, and an order that
//! is repeated under the same key counts again.

use axum::http::StatusCode;
use metrics::counter;
use shop_kit::Kit;
use shop_kit::telemetry::names;

/// A step towards an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A list of products was shown.
    List,
    /// A search was answered.
    Search,
    /// A product was shown.
    Product,
    /// A product was put into a cart.
    Cart,
    /// An order was asked for, whatever the outcome.
    Checkout,
    /// An order was confirmed at once.
    Confirmed,
}

impl Step {
    const ALL: [Self; 6] = [
        Self::List,
        Self::Search,
        Self::Product,
        Self::Cart,
        Self::Checkout,
        Self::Confirmed,
    ];

    /// Its label in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Search => "search",
            Self::Product => "product",
            Self::Cart => "cart",
            Self::Checkout => "checkout",
            Self::Confirmed => "confirmed",
        }
    }

    /// Whether the request counts, whatever the answer.
    pub(crate) fn is_taken_by_asking(self) -> bool {
        self == Self::Checkout
    }

    /// The step that an answer of this status completes.
    pub(crate) fn reached(self, status: StatusCode) -> Option<Self> {
        match self {
            Self::Checkout => (status == StatusCode::CREATED).then_some(Self::Confirmed),
            step => status.is_success().then_some(step),
        }
    }
}

/// Sets every step to zero, so that a rate over the first one is not lost.
pub(crate) fn declare(kit: &Kit) {
    for step in Step::ALL {
        count(kit, step, 0);
    }
}

pub(crate) fn count(kit: &Kit, step: Step, by: u64) {
    kit.metrics()
        .record(|| counter!(names::FUNNEL, "step" => step.name()).increment(by));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_successful_answers_count_and_an_unfinished_order_is_not_confirmed() {
        let (ok, created) = (StatusCode::OK, StatusCode::CREATED);
        assert_eq!(Step::Product.reached(ok), Some(Step::Product));
        assert_eq!(Step::Product.reached(StatusCode::NOT_FOUND), None);
        assert_eq!(Step::Checkout.reached(created), Some(Step::Confirmed));
        assert_eq!(Step::Checkout.reached(StatusCode::ACCEPTED), None);
        assert_eq!(Step::Checkout.reached(StatusCode::PAYMENT_REQUIRED), None);
    }
}
