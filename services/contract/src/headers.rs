//! Names of headers that only the shop uses.

/// The key under which a repeated request is recognised as the same one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The caller's id of a request. The gateway sets one where there is none.
pub const REQUEST_ID: &str = "x-request-id";
/// The services' shared secret; a request with it comes from a service.
pub const SERVICE_KEY: &str = "x-service-key";
/// The role of the calling service. It is ignored without [`SERVICE_KEY`].
pub const CALLER: &str = "x-caller";
/// On a 503 answer: the callee refused because of overload. The call is not retried.
pub const SHED: &str = "x-shed";
/// On a 503 answer: a dependency of the callee failed, not the callee. The caller's breaker does not count it.
pub const NOT_AT_FAULT: &str = "x-not-at-fault";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
