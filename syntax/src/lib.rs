//! Reads scenario files: YAML in which every value has its position.
//!
//! Scenarios are written by hand. So the reader reports *every* mistake at once, each with file, line and column and
//! with what was probably meant. Serde stops at the first mistake, which is why this small crate exists. It handles
//! YAML, units and spelling. The crates above it define what a shop, a load or a fault is.
//!
//! ```
//! use syntax::{Document, units};
//! let doc = Document::parse("demo.yaml", "for: 5s\narrivals: 10/s\n").unwrap();
//! let mut map = doc.root().map().unwrap();
//! let lasts = map.required("for", units::duration);
//! let rate = map.required("arrivals", units::rate);
//! map.finish();
//! doc.finish().unwrap();
//! assert_eq!(lasts.unwrap().as_secs(), 5);
//! assert_eq!(rate.unwrap(), 10.0);
//! ```

mod document;
mod mistakes;
mod nearest;
pub mod units;

pub use document::{Document, Map, Node};
pub use mistakes::{Mistake, Mistakes};
pub use nearest::{did_you_mean, nearest};
