//! The service's own settings.

/// The stock when the shop opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventoryConfig {
    /// Products in stock: those of the catalogue.
    pub products: u64,
    /// Pieces of each product.
    pub stock: u32,
}
