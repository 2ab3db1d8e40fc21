//! Runs a plan against a shop: starts the workers, forwards their events and sums up.

use std::num::NonZeroUsize;
use std::thread::JoinHandle;
use std::time::Instant;

use results::record::{Generator, LedgerEntry, PhaseRow, StepRow};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::collector::Collector;
use crate::event::Event;
use crate::metrics::SharedRecorder;
use crate::plan::Plan;
use crate::target::Target;
use crate::worker;
use crate::worker_context::{Message, WorkerConfig};

/// How a plan is run. None of these options changes the plan.
#[derive(Clone, Default)]
pub struct Options {
    /// Number of sending threads. The default is one per two cores, since the shop may need the others.
    pub workers: Option<NonZeroUsize>,
    /// The instant that all times count from. The default is now. Give it to share a schedule, such as that of faults.
    pub start: Option<Instant>,
    /// The prefix of idempotency keys. Keys follow from the seed. Two runs of one plan against the same shop need
    /// different prefixes, else the second run receives the orders of the first.
    pub key_prefix: String,
    /// Recorder of the load's [`metrics`](crate::metrics). Events are emitted either way.
    pub metrics: Option<SharedRecorder>,
}

/// The outcome of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The generator's report on itself.
    pub generator: Generator,
    /// Reasons why the measurement is not valid. Empty when it is valid.
    pub doubts: Vec<String>,
    /// One row per step and measured phase.
    pub steps: Vec<StepRow>,
    /// Every phase that was entered.
    pub phases: Vec<PhaseRow>,
    /// Every order that a shopper sent, also emitted as [`Event::Ledger`]. Nothing else here grows with the length of a
    /// run.
    pub ledger: Vec<LedgerEntry>,
    /// Whether the load was ended early.
    pub interrupted: bool,
}

/// A load that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No thread, runtime or timer for a worker.
    #[error("cannot start a worker of the load generator: {0}")]
    Worker(#[from] std::io::Error),
    /// A bug in this program ended a worker.
    #[error("a worker of the load generator panicked; its measurements are lost")]
    Panicked,
}

/// Sends a plan to a shop. Returns when the last phase is over and every reply has come or has timed out. When
/// `shutdown` is cancelled it returns at once, with the measurements so far.
///
/// `observe` is called for every [`Event`], on this task. It should be quick. If it is slow, events arrive late, but
/// their times are right, because workers have their own threads. Dropping the future stops the load.
///
/// # Errors
/// When workers cannot be started. Failures of the shop are measurements, not errors.
pub async fn run(
    plan: &Plan,
    target: Target,
    options: Options,
    shutdown: CancellationToken,
    mut observe: impl FnMut(Event),
) -> Result<Outcome, EngineError> {
    raise_open_file_limit();
    let workers = options.workers.map_or_else(default_workers, usize::from);
    let halt = shutdown.child_token();
    // The workers end however this function returns.
    let _guard = halt.clone().drop_guard();
    // Unbounded, so that no worker waits. It is read all the time, and gets one message per worker and second and one
    // per order.
    let (tx, mut rx) = mpsc::unbounded_channel();
    let start = options.start.unwrap_or_else(Instant::now);
    let mut threads: Vec<JoinHandle<std::io::Result<()>>> = Vec::with_capacity(workers);
    for worker in 0..workers {
        let config = WorkerConfig {
            worker,
            workers,
            plan: plan.clone(),
            target: target.clone(),
            start,
            key_prefix: options.key_prefix.clone(),
            metrics: options.metrics.clone(),
            halt: halt.clone(),
            tx: tx.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("loadgen-{worker}"));
        threads.push(thread.spawn(move || {
            // A part of the load is a different load. So when one worker fails, all of them stop.
            let halt_on_error = config.halt.clone().drop_guard();
            worker::run(config)?;
            halt_on_error.disarm();
            Ok(())
        })?);
    }
    drop(tx);

    let mut collector = Collector::new(plan.load(), workers);
    let mut ledger = Vec::new();
    while let Some(message) = rx.recv().await {
        match message {
            Message::Ledger(entry) => {
                ledger.push(entry.clone());
                observe(Event::Ledger(entry));
            }
            Message::Report(report) => collector.take(*report).into_iter().for_each(&mut observe),
        }
    }
    // The channel is closed, so all workers have ended or are about to.
    for thread in threads {
        thread.join().map_err(|_| EngineError::Panicked)??;
    }
    let interrupted = halt.is_cancelled();
    let totals = collector.finish(interrupted);
    Ok(Outcome {
        generator: totals.generator,
        doubts: totals.doubts,
        steps: totals.steps,
        phases: totals.phases,
        ledger,
        interrupted,
    })
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}

/// Raises the limit on open files to the maximum for this process. Every shopper holds a socket, and the usual limit is
/// 1024.
fn raise_open_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let most = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, most) {
            tracing::debug!(%error, "cannot raise the limit on open files");
        }
    }
}
