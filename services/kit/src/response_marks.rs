//! Marks that inner layers leave on a response, as extensions, for outer layers to act on.

/// The request found no free resource of this service, such as a database connection. The adaptive limit counts it as
/// overload, which latency alone would show late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overloaded;

/// The request's deadline passed before there was a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineExceeded;

/// The response must not be sent: its connection is reset instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResetConnection;
