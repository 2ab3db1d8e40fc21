//! The process monitor of one child: a task that owns the child, restarts it when it crashes, and executes commands.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::signals;
use super::usage::{self, Usage};
use crate::environment::START_LATE_MS;
use crate::http::HttpClient;

/// The interval of polls of `/readyz` while a child starts.
const READY_POLL: Duration = Duration::from_millis(10);
/// The interval of polls of a child's memory and CPU time.
const USAGE_POLL: Duration = Duration::from_millis(500);
/// The time limit for a child to end after SIGTERM.
const GRACE: Duration = Duration::from_millis(2_000);
/// The time limit for a child to be ready again after a kill, stop or pause.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait before a crashed child is restarted. Doubles with each crash, up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Variables of the harness's environment that services inherit: settings of telemetry.
const INHERITED: [&str; 2] = ["DOORBUSTER_LOG", "DOORBUSTER_TRACES_PER_SECOND"];

/// How a child is started.
pub(super) struct StartOptions {
    pub exe: PathBuf,
    pub role: &'static str,
    pub log: PathBuf,
    pub environment: Vec<(String, String)>,
    pub admin: SocketAddr,
    pub http: HttpClient,
}

/// The state of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Ready,
    /// Stopped by SIGSTOP.
    Paused,
    Down,
    /// Ended before it was ever ready. It is not restarted, because it would fail again.
    Failed(String),
}

impl State {
    /// The name in the record.
    pub(super) fn name(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Paused => "paused",
            State::Down | State::Failed(_) => "down",
        }
    }
}

type ReplyTx<T> = oneshot::Sender<Result<T, String>>;

/// A command to a process monitor. The result goes to the sender in it.
pub(super) enum Command {
    /// Kills the child and leaves it down. Result: its pid, once it has ended.
    Kill(ReplyTx<u32>),
    /// Stops the child with SIGTERM and leaves it down. Result: its pid, once it has ended.
    Stop(ReplyTx<u32>),
    /// Starts the child, with its readiness delayed by this much. Result: once it is ready.
    Restart(Duration, ReplyTx<()>),
    /// Pauses the child, for this long at most. Result: its pid, once it has stopped.
    Pause(Duration, ReplyTx<u32>),
    /// Resumes the child. Result: once it is ready.
    Resume(ReplyTx<()>),
}

#[derive(Default)]
struct Status {
    state: Option<State>,
    pid: Option<u32>,
    /// Usage of the child's earlier processes.
    earlier: Usage,
    current: Usage,
    /// How the child ended, for each exit that no command caused.
    crashes: Vec<String>,
}

/// A handle of the monitor's task.
pub(super) struct ProcessMonitor {
    status: Arc<Mutex<Status>>,
    commands: mpsc::Sender<Command>,
}

impl ProcessMonitor {
    /// Starts a child and its monitor.
    pub(super) fn start(
        options: StartOptions,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (commands, rx) = mpsc::channel(4);
        let status = Arc::new(Mutex::new(Status::default()));
        let task = Task {
            options,
            status: Arc::clone(&status),
            stop,
            rx,
            waiting: None,
            late: None,
        };
        tasks.spawn(task.run());
        Self { status, commands }
    }

    /// The state of the child.
    pub(super) fn state(&self) -> State {
        lock(&self.status).state.clone().unwrap_or(State::Starting)
    }

    /// The process id, while the child runs.
    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.status).pid
    }

    /// How the child ended, for each exit that no command caused.
    pub(super) fn crashes(&self) -> Vec<String> {
        lock(&self.status).crashes.clone()
    }

    /// The usage of the child so far, over all its processes.
    pub(super) fn used(&self) -> Usage {
        let status = lock(&self.status);
        status.current.after(status.earlier)
    }

    /// Sends a command and waits for its result.
    pub(super) async fn send<T>(
        &self,
        command: impl FnOnce(ReplyTx<T>) -> Command,
    ) -> Result<T, String> {
        let closing = || "the shop is closing".to_owned();
        let (tx, rx) = oneshot::channel();
        let sent = self.commands.send(command(tx)).await;
        sent.map_err(|_| closing())?;
        rx.await.map_err(|_| closing())?
    }
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    options: StartOptions,
    status: Arc<Mutex<Status>>,
    stop: CancellationToken,
    rx: mpsc::Receiver<Command>,
    /// The caller that waits until the child is ready again.
    waiting: Option<ReplyTx<()>>,
    /// The delay of the readiness of the next start only.
    late: Option<Duration>,
}

/// How a child's process ended.
enum Exit {
    /// The shop closes.
    Stopped,
    /// By a command. The child stays down until the next command.
    Commanded,
    Crashed {
        was_ready: bool,
        how: String,
    },
}

impl Task {
    async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        let mut was_ever_ready = false;
        loop {
            let exit = self.run_once().await;
            let ready_before = was_ever_ready;
            was_ever_ready |= !matches!(
                exit,
                Exit::Crashed {
                    was_ready: false,
                    ..
                }
            );
            match exit {
                Exit::Stopped => return,
                Exit::Commanded => {
                    if !self.await_restart().await {
                        return;
                    }
                    backoff = FIRST_BACKOFF;
                }
                Exit::Crashed {
                    was_ready: false,
                    how,
                } if !ready_before => {
                    let why = format!("{how}{}", log_tail(&self.options.log));
                    self.set(State::Failed(why));
                    return;
                }
                // It was ready before, so a restart may help.
                Exit::Crashed { how, .. } => {
                    let how = format!("{how}{}", log_tail(&self.options.log));
                    tracing::warn!(
                        role = self.options.role,
                        how,
                        "a service crashed; restarting it"
                    );
                    lock(&self.status).crashes.push(how);
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(backoff) => {}
                    }
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    fn set(&self, state: State) {
        lock(&self.status).state = Some(state);
    }

    /// Starts the child once and monitors it until it ends.
    async fn run_once(&mut self) -> Exit {
        self.set(State::Starting);
        let mut child = match spawn(&self.options, self.late.take()) {
            Ok(child) => child,
            Err(how) => {
                return Exit::Crashed {
                    was_ready: false,
                    how,
                };
            }
        };
        // Taken out of the child, because waiting for a child closes its standard input.
        let _lifeline = child.stdin.take();
        let pid = child.id().unwrap_or_default();
        lock(&self.status).pid = Some(pid);
        let exit = self.watch(&mut child, pid).await;
        let mut status = lock(&self.status);
        status.earlier = status.current.after(status.earlier);
        status.current = Usage::default();
        status.pid = None;
        status.state = Some(State::Down);
        drop(status);
        exit
    }

    async fn watch(&mut self, child: &mut Child, pid: u32) -> Exit {
        let mut ready = false;
        // The latest end of the current pause.
        let mut paused: Option<Instant> = None;
        let mut poll_ready = tokio::time::interval(READY_POLL);
        let mut poll_usage = tokio::time::interval(USAGE_POLL);
        loop {
            let awaited = !ready || self.waiting.is_some();
            tokio::select! {
                exit = child.wait() => {
                    let how = match exit {
                        Ok(status) => status.to_string(),
                        Err(e) => e.to_string(),
                    };
                    return Exit::Crashed { was_ready: ready, how };
                }
                () = self.stop.cancelled() => {
                    self.measure(pid);
                    terminate(child, pid).await;
                    return Exit::Stopped;
                }
                () = at(paused), if paused.is_some() => {
                    // No resume came in time; the caller may have ended.
                    paused = None;
                    self.resume(pid, ready);
                }
                _ = poll_ready.tick(), if awaited && paused.is_none() => {
                    let limit = Duration::from_millis(250);
                    if self.options.http.get(self.options.admin, "/readyz", limit).await.is_ok() {
                        ready = true;
                        self.set(State::Ready);
                        if let Some(tx) = self.waiting.take() {
                            let _ = tx.send(Ok(()));
                        }
                    }
                }
                _ = poll_usage.tick() => self.measure(pid),
                Some(command) = self.rx.recv() => match command {
                    Command::Kill(tx) => {
                        self.measure(pid);
                        match child.kill().await {
                            Ok(()) => {
                                let _ = tx.send(Ok(pid));
                                return Exit::Commanded;
                            }
                            Err(e) => drop(tx.send(Err(e.to_string()))),
                        }
                    }
                    Command::Stop(tx) => {
                        self.measure(pid);
                        self.set(State::Down);
                        terminate(child, pid).await;
                        let _ = tx.send(Ok(pid));
                        return Exit::Commanded;
                    }
                    Command::Restart(_, tx) if ready => drop(tx.send(Ok(()))),
                    Command::Restart(_, tx) => self.waiting = Some(tx),
                    // The end of the first pause would also end the second.
                    Command::Pause(_, tx) if paused.is_some() => {
                        drop(tx.send(Err("it is paused already".to_owned())));
                    }
                    Command::Pause(most, tx) => {
                        let done = signals::pause(pid).await;
                        if done.is_ok() {
                            paused = Some(Instant::now() + most);
                            self.set(State::Paused);
                        }
                        let _ = tx.send(done.map(|()| pid));
                    }
                    Command::Resume(tx) => {
                        if paused.take().is_some() {
                            self.resume(pid, ready);
                        }
                        self.waiting = Some(with_timeout(RESTART_TIMEOUT, tx));
                    }
                },
            }
        }
    }

    fn resume(&self, pid: u32, ready: bool) {
        if let Err(e) = signals::resume(pid) {
            tracing::error!(pid, error = e, "a paused service cannot be resumed");
        }
        self.set(if ready { State::Ready } else { State::Starting });
    }

    fn measure(&self, pid: u32) {
        if let Some(used) = usage::of(pid) {
            lock(&self.status).current = used;
        }
    }

    /// Waits for the command to start the child again. False if the shop closes instead.
    async fn await_restart(&mut self) -> bool {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                command = self.rx.recv() => match command {
                    Some(Command::Restart(late, tx)) => {
                        self.waiting = Some(with_timeout(RESTART_TIMEOUT + late, tx));
                        self.late = (!late.is_zero()).then_some(late);
                        return true;
                    }
                    Some(Command::Kill(tx) | Command::Stop(tx) | Command::Pause(_, tx)) => {
                        drop(tx.send(Err("it is down already".to_owned())));
                    }
                    Some(Command::Resume(tx)) => drop(tx.send(Err("it is down".to_owned()))),
                    None => return false,
                }
            }
        }
    }
}

/// A sender that passes a result on to `reply`, or an error after the time limit.
fn with_timeout(limit: Duration, reply: ReplyTx<()>) -> ReplyTx<()> {
    let (tx, rx) = oneshot::channel();
    tokio::spawn(async move {
        let result = match tokio::time::timeout(limit, rx).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the shop is closing".to_owned()),
            Err(_) => Err(format!("not ready {} s later", limit.as_secs())),
        };
        let _ = reply.send(result);
    });
    tx
}

/// Resolves at an instant. Without one, never.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn spawn(options: &StartOptions, late: Option<Duration>) -> Result<Child, String> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&options.log)
        .map_err(|e| format!("its log {} cannot be written: {e}", options.log.display()))?;
    let output = log.try_clone().map_err(|e| e.to_string())?;
    let mut command = tokio::process::Command::new(&options.exe);
    // Variables of the harness are not passed on: one database URL for all services would be wrong.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOORBUSTER_")
            && !INHERITED.iter().any(|inherited| name == *inherited)
        {
            command.env_remove(name);
        }
    }
    command
        .args(["serve", options.role])
        .envs(options.environment.iter().map(|(k, v)| (k, v)))
        .envs(late.map(|late| (START_LATE_MS, late.as_millis().to_string())))
        // Kept open and never written to. Its end tells the child that the harness has ended.
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(log)
        .kill_on_drop(true);
    // A process group of its own: Ctrl-C goes to the harness only, which then stops its children.
    #[cfg(unix)]
    command.process_group(0);
    command
        .spawn()
        .map_err(|e| format!("{} cannot be started: {e}", options.exe.display()))
}

/// Ends a child with SIGTERM, and with SIGKILL after the grace period. A paused child is resumed, so that it can react.
async fn terminate(child: &mut Child, pid: u32) {
    let signalled = signals::terminate(pid).and_then(|()| signals::resume(pid));
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    if signalled.is_ok() && ended.is_ok() {
        return;
    }
    if let Err(e) = child.kill().await {
        tracing::warn!(pid, error = %e, "a service could not be killed");
    }
}

/// The last line of a log, for an error message.
fn log_tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    match text.lines().rev().find(|l| !l.trim().is_empty()) {
        Some(line) => format!("; its log {} ends with: {line}", log.display()),
        None => format!("; its log {} is empty", log.display()),
    }
}
