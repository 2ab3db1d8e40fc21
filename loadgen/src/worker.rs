//! One worker: a thread with its own runtime, which runs its share of the sessions.
//!
//! While the load runs, workers share only the metrics recorder, if there is one. Its counters are atomic, and a
//! histogram is locked only while a value is added. So no worker waits for the work of another.

use std::io;
use std::rc::Rc;

use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::session;
use crate::timer::Timer;
use crate::worker_context::{WorkerConfig, WorkerContext};

/// Runs a worker on this thread until its share of the load is over.
///
/// # Errors
/// When the runtime or its timer cannot be created.
pub(crate) fn run(config: WorkerConfig) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Poll sockets and the timer more often than by default: a burst of replies must not delay a send.
        .event_interval(13)
        .build()?;
    LocalSet::new().block_on(&runtime, drive(config))
}

async fn drive(config: WorkerConfig) -> io::Result<()> {
    let timeout = config.plan.load().timeout;
    let context = Rc::new(WorkerContext::new(config, Timer::start()?));
    let end = context.end;
    let heartbeat = tokio::task::spawn_local(heartbeat(context.clone()));
    let sessions = TaskTracker::new();
    admit(&context, &sessions).await;
    sessions.close();
    // A request under way may take as long as the timeout allows.
    let last_replies = async {
        context
            .timer
            .until(context.config.start + end + timeout)
            .await;
        context.stop.cancel();
    };
    tokio::select! {
        biased;
        () = sessions.wait() => {}
        () = last_replies => sessions.wait().await,
        () = context.stop.cancelled() => sessions.wait().await,
    }
    // The load lasts for all of its phases, even when no session is left.
    context.until(end).await;
    heartbeat.abort();
    context.report_second(true);
    Ok(())
}

/// Starts the sessions, each at its instant of arrival.
async fn admit(context: &Rc<WorkerContext>, sessions: &TaskTracker) {
    let config = &context.config;
    let max_sessions = config
        .plan
        .load()
        .max_sessions
        .div_ceil(config.workers as u64);
    for session in config.plan.share(config.worker, config.workers) {
        // Rounding can move an arrival of the last microsecond to the end, where no step is begun.
        if session.at >= context.end || !context.until(session.at).await {
            return;
        }
        if context.active_sessions() >= max_sessions {
            context.dropped();
            continue;
        }
        context.session_started();
        let context = context.clone();
        sessions.spawn_local(async move {
            session::run(&context, session).await;
            context.session_ended();
        });
    }
}

/// Reports every second and notes how late it woke up. It is due even when nothing is sent.
async fn heartbeat(context: Rc<WorkerContext>) {
    loop {
        let due = context.second_ends();
        context.timer.until(context.config.start + due).await;
        context.stalled(context.now().saturating_sub(due));
        context.report_second(false);
    }
}
