//! The guard process of a run on containers: undoes disruptions if the run dies before it has undone them.
//!
//! Docker has no time to live: a paused container stays paused for ever. So the run registers each disruption with the guard
//! before it happens, over the guard's standard input. When that input ends, the run has ended, and the guard undoes what
//! is still in effect. The guard also resumes a container whose pause exceeds its limit while the run lives.
//!
//! The guard has its own process group and ignores SIGINT and SIGTERM. Limit: it cannot help if it is killed together with
//! the run, for example when the machine stops.

pub(super) mod pending;

use std::fmt::Arguments;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bollard::Docker;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex, mpsc};

use super::api;
use crate::runtime;
use pending::{PendingUndo, UndoList};

/// The line that the guard prints when it is ready.
const READY: &str = "ready";
/// The time limit until then.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for the guard to end at the end of a run.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the guard tries to undo one disruption.
const UNDO_TIMEOUT: Duration = Duration::from_secs(60);
/// The wait between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// A run's handle of its guard process.
pub(super) struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Guard {
    /// Starts the guard and waits until it is ready. Its log is `guard.log` in `logs`.
    ///
    /// # Errors
    /// The guard cannot be started, or does not reach Docker.
    pub(super) async fn start(logs: &Path) -> Result<Self> {
        let exe = std::env::current_exe().context("this program's own file cannot be found")?;
        let file = logs.join("guard.log");
        let log = std::fs::File::create(&file)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        let mut command = Command::new(exe);
        command
            .args(["chaos", "guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command
            .spawn()
            .context("the guard process cannot be started")?;
        let pipe = child.stdin.take();
        let out = child
            .stdout
            .take()
            .context("the guard process has no standard output")?;
        let mut line = String::new();
        let mut reader = BufReader::new(out);
        let read = tokio::time::timeout(START_TIMEOUT, reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) || line.trim() != READY {
            bail!(
                "the guard process, which restores containers if this run dies, did not start; see {}",
                file.display()
            );
        }
        Ok(Self {
            pipe: Mutex::new(pipe),
            child: Mutex::new(child),
        })
    }

    /// Registers the undo of a disruption that is about to happen.
    ///
    /// # Errors
    /// The guard has ended. The disruption must not happen then.
    pub(super) async fn register(&self, id: &str, undo: PendingUndo) -> Result<()> {
        let sent = self.send(&undo.line(id)).await;
        sent.context(
            "the guard process, which restores containers if this run dies, has ended; so nothing is disrupted",
        )
    }

    /// Removes the undo of a container, which is done.
    pub(super) async fn complete(&self, id: &str) {
        if let Err(e) = self.send(&UndoList::done_line(id)).await {
            tracing::warn!(error = %e, "the guard process has ended");
        }
    }

    async fn send(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().await;
        let pipe = pipe.as_mut().context("the guard process is closed")?;
        pipe.write_all(line.as_bytes()).await?;
        pipe.flush().await?;
        Ok(())
    }

    /// Closes the guard's input and waits for its end. The guard undoes what is still pending.
    pub(super) async fn close(&self) {
        drop(self.pipe.lock().await.take());
        let mut child = self.child.lock().await;
        if tokio::time::timeout(END_TIMEOUT, child.wait())
            .await
            .is_err()
        {
            tracing::warn!("the guard process is still restoring containers");
        }
    }
}

/// The guard process: `doorbuster chaos guard`, started by a run. Gives the exit code.
///
/// # Errors
/// No Docker.
pub(crate) fn guard() -> Result<u8> {
    runtime::runtime()?.block_on(async {
        // The run handles the signals, and then closes the guard.
        tokio::spawn(runtime::first_signal());
        let api = api::connect().await?;
        writeln!(std::io::stdout(), "{READY}").context("the run has ended")?;
        let mut lines = lines();
        let mut pending = UndoList::default();
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => pending.read(&line, Instant::now()),
                    None => break,
                },
                () = at(pending.next_due()) => {
                    for (id, undo) in pending.due(Instant::now()) {
                        note(format_args!("{id}: its pause has exceeded the limit"));
                        undo_with_retries(&api, &id, undo).await;
                    }
                }
            }
        }
        for (id, undo) in pending.all() {
            note(format_args!(
                "{id}: the run has ended without undoing its disruption"
            ));
            undo_with_retries(&api, &id, undo).await;
        }
        Ok(0)
    })
}

/// Writes to the log. Errors, such as a full disk, are ignored: they must not stop an undo.
fn note(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The lines of standard input, until its end.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (tx, rx) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tx.send(line).is_err() {
                return;
            }
        }
    });
    rx
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Undoes a disruption, with retries until [`UNDO_TIMEOUT`].
async fn undo_with_retries(api: &Docker, id: &str, pending: PendingUndo) {
    let until = Instant::now() + UNDO_TIMEOUT;
    loop {
        match undo(api, id, pending).await {
            Ok(()) => return note(format_args!("{id}: restored")),
            Err(e) => note(format_args!("{id}: {e:#}")),
        }
        if Instant::now() > until {
            return note(format_args!(
                "{id}: given up; restore it with `docker unpause` or `docker start`"
            ));
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

async fn undo(api: &Docker, id: &str, pending: PendingUndo) -> Result<()> {
    let state = api::inspect(api, id).await?.state.unwrap_or_default();
    let (running, paused) = (
        state.running.unwrap_or(false),
        state.paused.unwrap_or(false),
    );
    let done = match pending {
        PendingUndo::Start if !running => api.start_container(id, None).await,
        // A container that was killed while paused, and still runs, is paused.
        PendingUndo::Start | PendingUndo::Resume(_) if paused => api.unpause_container(id).await,
        // The container runs.
        PendingUndo::Start | PendingUndo::Resume(_) => Ok(()),
    };
    done.map_err(|e| anyhow::anyhow!("Docker: {}", api::words(&e)))
}
