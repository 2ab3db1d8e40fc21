//! Reading scenario files: YAML in which every value remembers where it stood.
//!
//! A scenario is written by hand, so its reader has one duty above all: to name *every* mistake in one go,
//! each with file, line and column and with what was probably meant. Serde stops at the first one, hence this
//! small crate. It knows YAML, units and spelling; what a shop, a load or a fault is, the crates above know.
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
