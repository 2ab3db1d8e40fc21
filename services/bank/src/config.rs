//! The bank's settings.

use std::time::Duration;

/// How the bank is to behave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BankConfig {
    /// Half of its answers take longer than this.
    pub median: Duration,
    /// The share of ordinary cards that it declines, 0 to 1.
    pub decline_ratio: f64,
    /// The share of charges that it makes and never answers, 0 to 1.
    pub silent_ratio: f64,
}

impl Default for BankConfig {
    fn default() -> Self {
        Self {
            median: Duration::from_millis(40),
            decline_ratio: 0.02,
            silent_ratio: 0.002,
        }
    }
}
