//! Header names that services agree on, beyond the standard ones.

/// The key under which a repeated request is recognised as the same one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What a caller calls its request by. The gateway makes one where there is none.
pub const REQUEST_ID: &str = "x-request-id";
/// Shared secret of the services; whoever sends it is one of them.
pub const SERVICE_KEY: &str = "x-service-key";
/// The role of the service that asks. It counts for something only beside [`SERVICE_KEY`].
pub const CALLER: &str = "x-caller";
/// Set on 503 answers of a callee that refused work to protect itself: such a call is not retried.
pub const SHED: &str = "x-shed";
/// Set on 503 answers of a callee that is well and whose own dependency is not: the caller's breaker towards it stays shut.
pub const NOT_AT_FAULT: &str = "x-not-at-fault";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
