//! Runs a plan against a shop: starts the workers, passes on what they tell, sums it up.

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

/// How a plan is run; nothing in here changes what is planned.
#[derive(Clone, Default)]
pub struct Options {
    /// Threads that send. By default one for every two cores: the shop, if it is on this machine, needs some too.
    pub workers: Option<NonZeroUsize>,
    /// Zero of all times, to be shared with whatever else runs on the same schedule. By default now.
    pub start: Option<Instant>,
    /// What idempotency keys start with. Keys follow from the seed, so whoever sends the same plan twice to the same
    /// shop needs two prefixes, or the second run is given the orders of the first.
    pub key_prefix: String,
    /// Where the load tells its [`metrics`](crate::metrics) while it runs, beside the events.
    pub metrics: Option<SharedRecorder>,
}

/// What a load came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The generator's account of itself.
    pub generator: Generator,
    /// Why the measurement is not valid; empty when it is.
    pub doubts: Vec<String>,
    /// A row per step and measured phase.
    pub steps: Vec<StepRow>,
    /// Every phase that was entered.
    pub phases: Vec<PhaseRow>,
    /// Every order that a shopper sent, as told by [`Event::Ledger`] before. The only thing here that grows with the
    /// length of a run.
    pub ledger: Vec<LedgerEntry>,
    /// Whether the end came before its time.
    pub interrupted: bool,
}

/// A load that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No thread, runtime or timer for a worker.
    #[error("cannot start a worker of the load generator: {0}")]
    Worker(#[from] std::io::Error),
    /// A worker died of a mistake in this program.
    #[error("a worker of the load generator panicked; its metrics are lost")]
    Panicked,
}

/// Sends a plan to a shop. Returns when the last phase is over and every answer has come or its time is up; when
/// `shutdown` is cancelled, at once, with what was measured until then.
///
/// `observe` is called for every [`Event`] as it comes, from this task: it should be quick, and whatever it delays
/// is told late but timed rightly, since workers have threads of their own. Dropping the future stops the load.
///
/// # Errors
/// When workers cannot be started. Failures of the shop are metrics, not errors.
pub async fn run(
    plan: &Plan,
    target: Target,
    options: Options,
    shutdown: CancellationToken,
    mut observe: impl FnMut(Event),
) -> Result<Outcome, EngineError> {
    allow_many_sockets();
    let workers = options.workers.map_or_else(default_workers, usize::from);
    let halt = shutdown.child_token();
    // However this function is left, the workers end.
    let _guard = halt.clone().drop_guard();
    // Unbounded, so that no worker ever waits; it holds a message per second and order, and is read all the time.
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
            // A share of a load is another load: when one worker cannot go on, none does.
            let together = config.halt.clone().drop_guard();
            worker::run(config)?;
            together.disarm();
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
    // The channel is closed, so all of them have ended or are about to.
    for thread in threads {
        thread.join().map_err(|_| EngineError::Panicked)??;
    }
    let interrupted = halt.is_cancelled();
    let sum = collector.finish(interrupted);
    Ok(Outcome {
        generator: sum.generator,
        doubts: sum.doubts,
        steps: sum.steps,
        phases: sum.phases,
        ledger,
        interrupted,
    })
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}

/// Every shopper holds a socket, and the usual limit of 1024 descriptors is a habit from other times: raises it as
/// far as this process may.
fn allow_many_sockets() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let most = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, most) {
            tracing::debug!(%error, "the limit on open files stays as it is");
        }
    }
}
