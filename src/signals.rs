//! The signals that ask a process to end.

use std::io;

/// Resolves at the first SIGINT or SIGTERM. After this call neither ends the process by itself.
///
/// # Errors
/// They cannot be received.
pub(crate) async fn first() -> io::Result<()> {
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
