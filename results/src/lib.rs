//! The run record: the data that a run leaves behind, and what follows from it.
//!
//! The terminal, the console, the report, the gate and the exit code all read this record and nothing else, so they
//! cannot disagree. The modules, in the order in which a run uses them:
//!
//! 1. [`run_dir`] makes the directory of the run, and writes and reads its files.
//! 2. [`record`] has the types of those files. Read it to learn a format.
//! 3. [`quantiles`] has the histogram configuration for latencies, and its summary as a row.
//! 4. [`hlog`] writes those histograms, second by second, to a log that other tools can read.
//! 5. [`recovery`] measures how long shoppers felt a fault, [`scorecard`] what it cost, and [`metastability`] whether
//!    the goodput came back.
//! 6. [`expect`] reads what a scenario expects, judges the record by it, and decides the verdict and the exit code.
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
