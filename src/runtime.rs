//! The asynchronous runtime of the harness, its signals and its log.

use std::io;

use anyhow::{Context, Result};
use results::run_dir::RunDir;
use tokio_util::sync::CancellationToken;

/// Starts a runtime with two threads. The load runs on threads of its own.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the system gives no threads")
}

/// Writes the harness's log to `logs/doorbuster.log` of a run. A folder that cannot be written has been reported before.
pub(crate) fn log_to(dir: &RunDir) {
    if let Ok(file) = std::fs::File::create(dir.logs().join("doorbuster.log")) {
        let filter = std::env::var("DOORBUSTER_LOG").unwrap_or_else(|_| "info".to_owned());
        let _ = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter(filter)
            .with_writer(file)
            .try_init();
    }
}

/// A token that the first SIGINT or SIGTERM cancels.
pub(crate) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        match first_signal().await {
            Ok(()) => cancel.cancel(),
            Err(e) => tracing::error!(error = %e, "signals cannot be received"),
        }
    });
    stop
}

/// Resolves at the first SIGINT or SIGTERM. After this call neither ends the process by itself.
///
/// # Errors
/// They cannot be received.
pub(crate) async fn first_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
