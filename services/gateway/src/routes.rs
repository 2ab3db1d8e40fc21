//! Which paths are public, who answers them, and what a caller must show.

use std::time::Duration;

use axum::routing::MethodFilter;
use shop_contract::Role;

/// One public route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
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
}

const fn route(method: MethodFilter, template: &'static str, service: Role) -> Route {
    Route {
        method,
        template,
        service,
        needs_token: false,
        repeatable: false,
        knows_keys: false,
        hedged: false,
        per_try: Duration::from_secs(2),
    }
}

const fn with_token(route: Route) -> Route {
    Route {
        needs_token: true,
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
    route(MethodFilter::POST, "/users", Role::User),
    Route {
        // A log-in changes nothing.
        repeatable: true,
        ..route(MethodFilter::POST, "/users/login", Role::User)
    },
    with_token(route(MethodFilter::GET, "/users/{id}", Role::User)),
    route(MethodFilter::GET, "/.well-known/jwks.json", Role::User),
    hedged(route(MethodFilter::GET, "/products", Role::Product)),
    route(MethodFilter::GET, "/products/search", Role::Product),
    hedged(route(MethodFilter::GET, "/products/{id}", Role::Product)),
    with_token(route(MethodFilter::PUT, "/products/{id}", Role::Product)),
    hedged(route(
        MethodFilter::GET,
        "/stock/{product_id}",
        Role::Inventory,
    )),
    with_token(route(
        MethodFilter::PUT,
        "/stock/{product_id}",
        Role::Inventory,
    )),
    hedged(with_token(route(MethodFilter::GET, "/cart", Role::Cart))),
    with_token(route(
        MethodFilter::PUT,
        "/cart/items/{product_id}",
        Role::Cart,
    )),
    with_token(route(
        MethodFilter::DELETE,
        "/cart/items/{product_id}",
        Role::Cart,
    )),
    hedged(with_token(route(MethodFilter::GET, "/orders", Role::Order))),
    Route {
        knows_keys: true,
        // The order waits for the bank, and a dead replica's order for another one to take it up.
        per_try: Duration::from_secs(4),
        ..with_token(route(MethodFilter::POST, "/orders", Role::Order))
    },
    hedged(with_token(route(
        MethodFilter::GET,
        "/orders/{id}",
        Role::Order,
    ))),
    with_token(route(MethodFilter::GET, "/payments/{id}", Role::Payment)),
    with_token(route(
        MethodFilter::GET,
        "/notifications",
        Role::Notification,
    )),
];
