//! The run record: what a run leaves behind, and what may be concluded from it.
//!
//! The terminal, the console, the report, the gate and the exit code all read this record and nothing else, so
//! they can never disagree. The way through this crate is the way of a run:
//!
//! 1. [`run_dir`] makes the directory of the run, and holds the writers and readers of its files.
//! 2. [`record`] has the shapes of those files. Whoever wants to know a format reads it there.
//! 3. [`quantiles`] has the one histogram that latencies go into, and its summary in a row.
//! 4. [`hlog`] keeps those histograms, second by second, in a log that other tools can read.
//! 5. [`recovery`] says from the seconds how long a fault was felt, [`scorecard`] what it cost, and [`metastability`]
//!    whether the goodput came back.
//! 6. [`expect`] reads what a scenario expects, judges the record by it, and has the verdict and the exit code.
//! 7. [`summary`] shows the record in a terminal.
//!
//! Only [`run_dir`] and [`hlog`] touch files. Everything else is a pure function of the record, without a clock.

pub mod ablation;
pub mod expect;
mod format;
pub mod hlog;
pub mod metastability;
pub mod quantiles;
pub mod record;
pub mod recovery;
pub mod run_dir;
pub mod scorecard;
mod steady;
pub mod summary;
