//! Which paths are public, who answers them, and what a caller must show.

use std::time::Duration;

use axum::routing::MethodFilter;
use shop_contract::Role;
use shop_contract::openapi::operation::{Auth, Operation};
use shop_contract::openapi::{cart, inventory, notification, order, payment, product, user};
use shop_kit::openapi::filter;

use crate::funnel::Step;

/// One public route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// What the contract says of it; what follows from that is not said here again.
    pub operation: &'static Operation,
    /// Its method.
    pub method: MethodFilter,
    /// Its template; the service behind has the same one.
    pub template: &'static str,
    /// Who answers.
    pub service: Role,
    /// Whether a good token is needed to get through.
    pub needs_token: bool,
    /// Whether it may be tried again although its method does not say so.
    pub repeatable: bool,
    /// Whether the service recognises a repetition by its `Idempotency-Key`, so that with one it may be tried again.
    pub knows_keys: bool,
    /// Whether a second replica is asked when the answer is long in coming. Reads that somebody waits for and that cost
    /// their service little. A search is not: it is the dearest read of the shop, and a product service that is slow has
    /// too many of them already.
    pub hedged: bool,
    /// How long one try may take.
    pub per_try: Duration,
    /// Which step of the funnel it is.
    pub step: Option<Step>,
}

const fn route(operation: &'static Operation) -> Route {
    Route {
        operation,
        method: filter(operation.method),
        template: operation.path,
        service: operation.service,
        needs_token: matches!(operation.auth, Auth::Token | Auth::Admin),
        repeatable: false,
        hedged: false,
        knows_keys: operation.keyed,
        per_try: Duration::from_secs(2),
        step: None,
    }
}

const fn step(step: Step, route: Route) -> Route {
    Route {
        step: Some(step),
        ..route
    }
}

const fn hedged(route: Route) -> Route {
    Route {
        hedged: true,
        ..route
    }
}

/// Every public route. What is not here does not exist outside: reservations, charges, taking payments, events.
pub const TABLE: &[Route] = &[
    route(&user::REGISTER),
    Route {
        // A log-in changes nothing.
        repeatable: true,
        ..route(&user::LOGIN)
    },
    route(&user::ACCOUNT),
    route(&user::KEYS),
    step(Step::List, hedged(route(&product::LIST))),
    step(Step::Search, route(&product::SEARCH)),
    step(Step::Product, hedged(route(&product::ONE))),
    route(&product::CHANGE),
    hedged(route(&inventory::STOCK)),
    route(&inventory::RESTOCK),
    hedged(route(&cart::ONE)),
    step(Step::Cart, route(&cart::SET)),
    route(&cart::REMOVE),
    hedged(route(&order::LIST)),
    Route {
        // The order waits for the bank, and a dead replica's order for another one to take it up.
        per_try: Duration::from_secs(4),
        ..step(Step::Checkout, route(&order::CHECKOUT))
    },
    hedged(route(&order::SHOW)),
    route(&payment::SHOW),
    route(&notification::LIST),
];
