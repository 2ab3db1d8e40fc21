//! The dead man's switch: a small process beside a run, that mends the containers which a fault has struck when the run
//! dies before it has.
//!
//! Docker knows no time to live: a container that was paused stays so for ever. So each blow is told to the guard
//! beforehand, over its standard input, and when that ends, however the run has died, the guard undoes what was not
//! undone. It also ends a pause that has lasted too long while the run lives. It is in a process group of its own and minds
//! neither Ctrl-C nor SIGTERM. What it cannot help: being killed together with the run, as when the machine stops.

mod debts;

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
use crate::{run, signals};
pub(super) use debts::Debt;
use debts::Debts;

/// What the guard says when it is there.
const READY: &str = "ready";
/// How long it may take to say so.
const STARTS: Duration = Duration::from_secs(10);
/// How long it may take to end when it has nothing to do any more.
const ENDS: Duration = Duration::from_secs(10);
/// How long it tries to undo a blow after the run's end.
const TRIES: Duration = Duration::from_secs(60);
/// Between two attempts.
const BETWEEN: Duration = Duration::from_millis(500);

/// A run's hold on its guard.
pub(super) struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Guard {
    /// Starts it, and waits until it is there. It writes its log among `logs`.
    ///
    /// # Errors
    /// It cannot be started, or does not reach Docker.
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
            .context("the guard of the containers does not start")?;
        let pipe = child.stdin.take();
        let out = child
            .stdout
            .take()
            .context("the guard of the containers is mute")?;
        let mut line = String::new();
        let mut reader = BufReader::new(out);
        let said = tokio::time::timeout(STARTS, reader.read_line(&mut line)).await;
        if !matches!(said, Ok(Ok(_))) || line.trim() != READY {
            bail!(
                "the guard that mends containers if this run dies is not there; {} says why",
                file.display()
            );
        }
        Ok(Self {
            pipe: Mutex::new(pipe),
            child: Mutex::new(child),
        })
    }

    /// Tells what will have to be undone at a container.
    ///
    /// # Errors
    /// The guard is gone. Nothing is to be struck then.
    pub(super) async fn owe(&self, id: &str, debt: Debt) -> Result<()> {
        let told = self.tell(&debt.line(id)).await;
        told.context(
            "the guard that mends containers if this run dies is gone, so nothing is struck",
        )
    }

    /// Tells that it was undone.
    pub(super) async fn paid(&self, id: &str) {
        if let Err(e) = self.tell(&Debts::paid_line(id)).await {
            tracing::warn!(error = %e, "the guard of the containers is gone");
        }
    }

    async fn tell(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().await;
        let pipe = pipe.as_mut().context("it was told to end")?;
        pipe.write_all(line.as_bytes()).await?;
        pipe.flush().await?;
        Ok(())
    }

    /// Lets it go. It undoes what is left, and a little time is given to it for that.
    pub(super) async fn close(&self) {
        drop(self.pipe.lock().await.take());
        let mut child = self.child.lock().await;
        if tokio::time::timeout(ENDS, child.wait()).await.is_err() {
            tracing::warn!("the guard still mends containers");
        }
    }
}

/// The guard itself: `doorbuster chaos guard`, which only a run starts. Gives the exit code.
///
/// # Errors
/// No Docker.
pub(crate) fn guard() -> Result<u8> {
    run::runtime()?.block_on(async {
        // They are meant for the run, which ends in order and takes us with it.
        tokio::spawn(signals::first());
        let api = api::connect().await?;
        writeln!(std::io::stdout(), "{READY}").context("nobody waits for the guard")?;
        let mut lines = lines();
        let mut debts = Debts::default();
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => debts.read(&line, Instant::now()),
                    None => break,
                },
                () = at(debts.next_due()) => {
                    for (id, debt) in debts.due(Instant::now()) {
                        note(format_args!("{id} has stood still for too long"));
                        pay(&api, &id, debt).await;
                    }
                }
            }
        }
        for (id, debt) in debts.all() {
            note(format_args!("the run is gone and has left {id}"));
            pay(&api, &id, debt).await;
        }
        Ok(0)
    })
}

/// Writes into the log, where that can be: a full disk keeps no container from being mended.
fn note(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The lines of standard input, until its end.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (say, heard) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if say.send(line).is_err() {
                return;
            }
        }
    });
    heard
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Undoes a blow, as often as it takes.
async fn pay(api: &Docker, id: &str, debt: Debt) {
    let until = Instant::now() + TRIES;
    loop {
        match undo(api, id, debt).await {
            Ok(()) => return note(format_args!("{id} goes on")),
            Err(e) => note(format_args!("{id}: {e:#}")),
        }
        if Instant::now() > until {
            return note(format_args!(
                "{id} is left as it is; `docker unpause` or `docker start` it"
            ));
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn undo(api: &Docker, id: &str, debt: Debt) -> Result<()> {
    let state = api::inspect(api, id).await?.state.unwrap_or_default();
    let (running, paused) = (
        state.running.unwrap_or(false),
        state.paused.unwrap_or(false),
    );
    let done = match debt {
        Debt::Start if !running => api.start_container(id, None).await,
        // One that was killed while it stood still, and lives after all, stands still.
        Debt::Start | Debt::Resume(_) if paused => api.unpause_container(id).await,
        // It runs already.
        Debt::Start | Debt::Resume(_) => Ok(()),
    };
    done.map_err(|e| anyhow::anyhow!("Docker says: {}", api::words(&e)))
}
