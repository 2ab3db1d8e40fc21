//! The load generator: simulated shoppers who arrive whether or not the shop keeps up, and an honest measurement.
//!
//! # How a latency sample is made
//!
//! 1. [`spec`] reads the load of a scenario: who arrives, how often and for how long.
//! 2. [`arrivals`] decides *when* shoppers arrive: an open Poisson process. [`persona`] decides who a shopper is, and
//!    [`mix`] where a shopper goes after each [`step`].
//! 3. [`plan`] combines these into whole sessions, from a seed and before anything is sent. Nothing that happens later,
//!    failures included, changes the plan.
//! 4. A worker wakes up at the *intended* instant of a step: the arrival, or the previous reply plus the think time.
//!    This is the partly-open model of Schroeder, Wierman and Harchol-Balter (NSDI 2006): arrivals are independent, and
//!    each shopper waits for its own replies.
//! 5. [`shopper`] decides *what* to send and learns from the replies. It does no I/O and does not wait.
//! 6. The connection sends, and the lateness of the send is recorded. The reply or a failure ends the sample.
//!    **Response time** counts from the intended instant, **service time** from the send. Only response time shows what
//!    a stalled shop, or a stalled generator, did to its shoppers (coordinated omission).
//! 7. The worker keeps a histogram of both per step and phase, and reports them every second. The collector merges
//!    histograms, never quantiles, and emits each second as an [`Event`].
//! 8. At the end the generator checks itself (`validity`). If it disturbed the measurement, the measurement is not
//!    valid.
//!
//! ```no_run
//! # async fn example(node: syntax::Node<'_>) -> Result<(), Box<dyn std::error::Error>> {
//! use loadgen::{Event, Load, Options, Plan, Target};
//! let load = Load::read(node).ok_or("not a load")?;
//! let plan = Plan::new(load, 7, 1000);
//! let target = Target::resolve("http://127.0.0.1:8080")?;
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! let outcome = loadgen::run(&plan, target, Options::default(), shutdown, |event| {
//!     if let Event::Interval(second) = event {
//!         println!("{:>4} {}", second.t_s, second.all.requests);
//!     }
//! })
//! .await?;
//! assert!(outcome.generator.valid, "{:?}", outcome.doubts);
//! # Ok(())
//! # }
//! ```
//!
//! Not in this crate: the shop, faults, and the files of the record. It uses the shop's public API only.

pub mod arrivals;
mod client;
mod collector;
mod demand;
mod engine;
mod event;
pub mod metrics;
pub mod mix;
pub mod persona;
pub mod plan;
pub mod request;
mod session;
pub mod shopper;
pub mod spec;
mod stats;
pub mod step;
mod target;
mod timer;
mod validity;
mod worker;
mod worker_context;

pub use engine::{EngineError, Options, Outcome, run};
pub use event::{Event, StepHistogram};
pub use plan::{Plan, PlanLine};
pub use spec::{Load, Phase};
pub use step::STEPS;
pub use target::{Target, TargetError};
