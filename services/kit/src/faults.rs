//! Faults that a service injects into itself, each with a time to live.
//!
//! The service that holds a fault also ends it, by its own clock: a fault ends on time even if the injector that asked
//! for it has died. The words used here:
//!
//! | word | type | meaning |
//! |---|---|---|
//! | fault | [`FaultOrder`](shop_contract::faults::FaultOrder) | what an operator asks for at `POST /faults` |
//! | registry | [`Faults`] | the faults of one service: active and ended, with their hits |
//! | injector | [`FaultInjector`] | applies faults of one sort, the database's or the process's, until a [`FaultGuard`] is dropped |
//! | injection | `Injection` | what one fault does to one request: a `FaultAction`, and the count to add the hit to |
//! | injections | `Injections` | all injections of one request, in the order in which they apply |
//! | hit | [`FaultHits`] | one request, or one piece of database work, that a fault actually changed |
//!
//! Request faults are decided by pure code over a passed-in time and seeded draws (`request_fault`, `filter`). The server stack
//! (`inject_faults`) and the client's attempts apply them.

mod body;
mod check;
mod error;
mod filter;
mod hits;
mod inbound;
mod injections;
mod injector;
pub(crate) mod process;
pub(crate) mod registry;
mod request_fault;

pub use error::FaultRefused;
pub(crate) use filter::RequestInfo;
pub use hits::FaultHits;
pub(crate) use inbound::inject_faults;
pub(crate) use injections::{Injections, Interruption};
pub use injector::{FaultGuard, FaultInjector};
pub use registry::Faults;
