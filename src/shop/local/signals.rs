//! Signals to a child process. The caller holds the child, so its process id cannot have been reused.

use std::time::Duration;

/// The time limit until a process has stopped. The signal stops each thread separately.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends SIGTERM.
#[cfg(unix)]
pub(super) fn terminate(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::TERM)
}

/// Sends SIGCONT.
#[cfg(unix)]
pub(super) fn resume(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::CONT)
}

/// Sends SIGSTOP and waits until the process has stopped.
#[cfg(unix)]
pub(super) async fn pause(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::STOP)?;
    let until = tokio::time::Instant::now() + STOP_TIMEOUT;
    // On systems without `/proc` the state cannot be checked.
    while super::usage::state(pid).is_some_and(|s| s != 'T') && tokio::time::Instant::now() < until
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[cfg(unix)]
fn send(pid: u32, signal: rustix::process::Signal) -> Result<(), String> {
    use rustix::process::{Pid, kill_process};
    let pid = Pid::from_raw(pid.cast_signed()).ok_or("it is not running")?;
    kill_process(pid, signal).map_err(|e| e.to_string())
}

#[cfg(not(unix))]
const UNSUPPORTED: &str = "this system has no signals";

/// Not supported on this system.
#[cfg(not(unix))]
pub(super) fn terminate(_: u32) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}

/// Not supported on this system.
#[cfg(not(unix))]
pub(super) fn resume(_: u32) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}

/// Not supported on this system.
#[cfg(not(unix))]
pub(super) async fn pause(_: u32) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}
