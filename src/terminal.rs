//! What a user sees: progress on standard error, results on standard output.

pub(crate) mod output;
pub(crate) mod progress;
