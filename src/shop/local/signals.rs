//! What a child can be told through the operating system. Whoever calls holds the child, so that its id is no other's.

use std::time::Duration;

/// How long a stopped process may take until it stands; the signal reaches each of its threads by itself.
const STANDS: Duration = Duration::from_secs(1);

/// Asks it to end.
#[cfg(unix)]
pub(super) fn terminate(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::TERM)
}

/// Lets it go on.
#[cfg(unix)]
pub(super) fn resume(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::CONT)
}

/// Stops it in its tracks; resolves when it stands.
#[cfg(unix)]
pub(super) async fn pause(pid: u32) -> Result<(), String> {
    send(pid, rustix::process::Signal::STOP)?;
    let until = tokio::time::Instant::now() + STANDS;
    // Where the system does not show it, the signal alone has to do.
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
const NONE: &str = "this system has no signals";

/// There is no way here.
#[cfg(not(unix))]
pub(super) fn terminate(_: u32) -> Result<(), String> {
    Err(NONE.to_owned())
}

/// There is no way here.
#[cfg(not(unix))]
pub(super) fn resume(_: u32) -> Result<(), String> {
    Err(NONE.to_owned())
}

/// There is no way here.
#[cfg(not(unix))]
pub(super) async fn pause(_: u32) -> Result<(), String> {
    Err(NONE.to_owned())
}
