//! The crowd: shoppers who arrive whether or not the shop keeps up, and an honest account of what they met.
//!
//! # The way of a latency sample
//!
//! 1. [`spec`] reads from the scenario who comes, how often and for how long.
//! 2. [`arrivals`] says *when* each shopper comes: a Poisson process that waits for nobody. [`persona`] says who it
//!    is, [`mix`] where a shopper goes from each [`step`].
//! 3. [`plan`] makes whole sessions of these, from a seed and before anything is sent. What happens later, failures
//!    included, changes nothing in it.
//! 4. A worker wakes up at the *intended* instant of a step: the arrival, or the previous answer and the think time
//!    after it. This is the partly-open model of Schroeder, Wierman and Harchol-Balter (NSDI 2006): new shoppers
//!    come as they like, and each shopper waits for answers as people do.
//! 5. [`shopper`] says *what* to send, and learns from the answers. It neither sends nor waits.
//! 6. The connection sends; how late that was is recorded. The answer ends the sample, and so does a failure:
//!    **response time** counts from the intended instant, **service time** from the send. Only the former tells
//!    what a stalled shop, or a stalled generator, did to its shoppers (coordinated omission).
//! 7. The worker's tally keeps a histogram of each per step and phase, and hands them over every second. The
//!    collector merges histograms, never quantiles, and tells the second as an [`Event`].
//! 8. At the end the generator judges itself (`validity`): a measurement it disturbed is not valid.
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
//! What is not here: the shop, faults, and the record's files. This crate knows the shop's public API and nothing of
//! its services.

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
