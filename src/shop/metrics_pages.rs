//! Reads the `/metrics` pages of the shop's processes.
//!
//! [`breakers`], [`callers`] and [`caller_hits`] evaluate the pages, in the same way for every backend.

pub(crate) mod breakers;
pub(crate) mod caller_hits;
pub(crate) mod callers;
mod scrape;

pub(crate) use scrape::MetricsPages;
