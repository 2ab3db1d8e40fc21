//! Faults for the shop: reading them from scenarios, scheduling, injecting and ending them, and counting their hits.
//!
//! # From scenario to record
//!
//! 1. **Reading.** [`spec::read`] turns `faults:` into a list of [`Fault`]s and notes every mistake with line and
//!    column. [`KINDS`] is the table of all kinds. A [`Storm`] is turned into plain faults, drawn from the run's seed,
//!    before the run begins.
//! 2. **Scheduling.** [`Schedule`] is pure. It derives each fault's window and seed from the scenario and the run's
//!    seed, and returns each [`Transition`] when it is due. A fault that waits for another fault or for a breaker gets
//!    its window when that is observed. The schedule's digest lines are part of the plan's digest.
//! 3. **Injecting.** [`Injector::run`] waits for due times and runs each fault in a task of its own: asked, in force,
//!    ended, or refused. There are three sorts of fault:
//!    - *Service faults* (`latency`) are injected at the target's admin endpoint by [`AdminClient`], with a time to
//!      live: the target ends them even if the injector dies. A restarted replica has lost its fault and gets it again
//!      for the remaining time.
//!    - *Process faults* (`kill`, `pause`) are actions on [`Processes`]: child processes or Docker containers.
//!    - *Path faults* (`tcp-latency`) are toxics in the proxies of [`Paths`], with a time to live.
//! 4. **Counting.** The target counts the requests that the fault affected. A dead target cannot, so its callers do:
//!    [`CallerHits`]. A proxy counts connections. Hits are in [`FaultStatuses`] while the fault is in force, and in its
//!    [`FaultRow`](results::record::FaultRow) afterwards. The run reports a fault without hits as unproven.
//! 5. **Limiting.** [`AbortMonitor`] checks every second whether to stop the run. [`Shrink`] searches for the fewest
//!    faults that break the expectations. Both are pure.
//! 6. **Ending.** Faults end at their time, when the run is stopped, and when the run is dropped: service and path
//!    faults are cleared, killed processes are started, and paused ones are resumed.
//!
//! The run measures detection and recovery times from the shoppers' metrics. This crate does not depend on the load.

pub mod abort;
pub mod admin;
pub mod backend;
pub mod error;
pub mod fault;
pub mod injector;
pub mod kinds;
pub mod path;
pub mod proxy;
pub mod schedule;
mod seed;
mod shop;
pub mod shrink;
pub mod spec;
pub mod storm;

pub use abort::{AbortCondition, AbortMonitor};
pub use admin::AdminClient;
pub use backend::{BoxFuture, BreakerWatch, CallerHits, Counts, Paths, ProcessAction, Processes};
pub use error::InjectError;
pub use fault::{Begin, Breaker, Fault, FaultKind, ProcessFault, ServiceFault, Target, Window};
pub use injector::{FaultStatus, FaultStatuses, Injector};
pub use kinds::{Aim, COMMON_KEYS, KINDS, Kind, KindInfo, PathKind, ProcessKind, ServiceKind};
pub use path::{Direction, PathEffect, PathFault};
pub use schedule::{Observed, Schedule, ScheduledFault, SkippedFault, Transition};
pub use shrink::Shrink;
pub use storm::Storm;
