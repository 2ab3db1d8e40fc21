//! Faults: what may go wrong with the shop, when, and the proof that it did.
//!
//! # The way of a fault
//!
//! 1. **A scenario names it.** [`spec::read`] turns `faults:` into a list of [`Fault`]s and notes every mistake with
//!    line and column. [`KINDS`] is the table of what there is.
//!    A [`Storm`] is drawn from the run's seed and becomes plain faults before anything begins.
//! 2. **The schedule says when.** [`Schedule`] is pure: from the faults and the run's seed it derives each fault's
//!    window and seed, and hands out [`Action`]s as they become due. A fault that waits for another's end or for a
//!    breaker gets its window when the schedule is told so. Its digest lines go into the plan's digest.
//! 3. **The injector brings it about.** [`Injector::run`] waits for due times and gives each fault a task that takes
//!    it through its course: asked, in force, ended, or refused.
//!    - A fault *in a service* (`latency`) is asked for at the target's admin endpoint by [`AdminClient`], with a
//!      time to live: it ends there by itself when everything on this side has died. A replica that was restarted
//!      meanwhile has lost it and is given it again for the time that remains.
//!    - A fault *of a process* (`kill`, `pause`) is done by [`Processes`]: child processes, Docker or Kubernetes.
//!    - A fault *of a path* (`tcp-latency`) is a toxic in each proxy that [`Paths`] has on the way, with a time to live.
//! 4. **It proves itself.** The target counts the requests that the fault touched. A dead target cannot, so its callers
//!    do: [`CallerHits`]. A proxy counts the connections. The figures are on the [`Board`] while it is in force and in its
//!    [`FaultRow`](results::record::FaultRow) afterwards. A fault without hits shows nothing, and the run says so.
//! 5. **It can be too much.** [`Guard`] judges the run's seconds and says when to stop; [`Shrink`] looks for the fewest
//!    faults that break what was expected. Both are pure.
//! 6. **It ends,** at its time, when the run is told to stop, and also when the run is dropped: what was slowed is
//!    cleared, what was killed is started again, what was paused goes on.
//!
//! How long detection and recovery took is for the run to say, which sees the shoppers' figures; this crate does
//! not, and knows nothing of the load.

pub mod admin;
pub mod fault;
pub mod injector;
pub mod kinds;
pub mod path;
pub mod processes;
pub mod proxy;
pub mod safety;
pub mod schedule;
pub mod shrink;
pub mod spec;
pub mod storm;
pub mod watch;

pub use admin::AdminClient;
pub use fault::{Begin, Breaker, Fault, FaultKind, InService, ProcessFault, Target, Window};
pub use injector::{Board, FaultNow, Injector};
pub use kinds::{Aim, COMMON_KEYS, KINDS, KindInfo};
pub use path::{Direction, PathEffect, PathFault};
pub use processes::{BoxFuture, CallerHits, Counts, InjectError, Paths, Processes, Struck};
pub use safety::{Abort, Guard};
pub use schedule::{Action, Missed, Observed, Planned, Schedule};
pub use shrink::Shrink;
pub use storm::Storm;
pub use watch::Watch;
