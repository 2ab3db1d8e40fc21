//! The service's own settings.

/// How large the catalogue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductConfig {
    /// Products in it when the shop opens.
    pub products: u64,
}
