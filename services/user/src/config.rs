//! The service's own settings.

/// The accounts when the shop opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserConfig {
    /// Registered customers.
    pub customers: u64,
}
