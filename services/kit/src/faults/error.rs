//! Why a fault is refused.

/// Why a fault was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    /// A fault of that name is active.
    #[error("a fault named `{0}` is in force already; end it first or choose another name")]
    NameTaken(String),
    /// A value is invalid, or this service cannot inject such a fault.
    #[error("{0}")]
    Invalid(String),
}
