//! The public routes: operations of the services that the gateway lets through.

use shop_contract::operation::{
    Operation, cart, inventory, notification, order, payment, product, user,
};

use crate::funnel::Step;

/// A public route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The operation: which service answers, what a caller must present, and how it is called.
    pub operation: &'static Operation,
    /// The step of the funnel that its answer is.
    pub step: Option<Step>,
}

const fn route(operation: &'static Operation) -> Route {
    Route {
        operation,
        step: None,
    }
}

const fn step(step: Step, operation: &'static Operation) -> Route {
    Route {
        operation,
        step: Some(step),
    }
}

/// Every public route. Reservations, charges, taking payments and events are not among them.
pub const TABLE: &[Route] = &[
    route(&user::REGISTER),
    route(&user::LOGIN),
    route(&user::ACCOUNT),
    route(&user::KEYS),
    step(Step::List, &product::LIST),
    step(Step::Search, &product::SEARCH),
    step(Step::Product, &product::ONE),
    route(&product::CHANGE),
    route(&inventory::STOCK),
    route(&inventory::RESTOCK),
    route(&cart::ONE),
    step(Step::Cart, &cart::SET),
    route(&cart::REMOVE),
    route(&order::LIST),
    step(Step::Checkout, &order::CHECKOUT),
    route(&order::SHOW),
    route(&payment::SHOW),
    route(&notification::LIST),
];
