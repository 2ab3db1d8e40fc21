//! The keeper of one child: a task that holds it, watches it, and does what it is ordered.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::signals;
use super::usage::{self, Usage};
use crate::http::Http;
use crate::serve::START_LATE_MS;

/// Between two looks at `/readyz` of a child that is starting.
const READY_POLL: Duration = Duration::from_millis(10);
/// Between two looks at what a child uses.
const USAGE_POLL: Duration = Duration::from_millis(500);
/// How long a child may take to end when asked to.
const GRACE: Duration = Duration::from_millis(2_000);
/// How long a child that was killed, stopped or paused on purpose may take to be ready again.
const RESTART: Duration = Duration::from_secs(30);
/// The wait before a crashed child is started again: this, doubled with each crash, up to the other.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a service may take from the environment of whoever runs the shop: settings of telemetry, the same for all of them.
const MEANT_FOR_SERVICES: [&str; 2] = ["DOORBUSTER_LOG", "DOORBUSTER_TRACES_PER_SECOND"];

/// What a child is started with.
pub(super) struct Start {
    pub exe: PathBuf,
    pub role: &'static str,
    pub log: PathBuf,
    pub environment: Vec<(String, String)>,
    pub admin: SocketAddr,
    pub http: Http,
}

/// Where a child stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Ready,
    /// Stopped in its tracks, on purpose.
    Paused,
    Down,
    /// It ended before it was ever ready; trying again would end alike.
    Failed(String),
}

impl State {
    /// As the record calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Paused => "paused",
            State::Down | State::Failed(_) => "down",
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, String>>;

/// What a keeper can be ordered.
pub(super) enum Order {
    /// Kill it, and leave it dead. Answered with its pid when it is.
    Kill(Reply<u32>),
    /// Ask it to end, and leave it so. Answered with its pid when it has ended.
    Stop(Reply<u32>),
    /// Start it again, to be ready that much later than it would be. Answered when it is ready.
    Restart(Duration, Reply<()>),
    /// Stop it in its tracks, for so long at most. Answered with its pid when it stands.
    Pause(Duration, Reply<u32>),
    /// Let it go on. Answered when it serves again.
    Resume(Reply<()>),
}

#[derive(Default)]
struct Known {
    state: Option<State>,
    pid: Option<u32>,
    former: Usage,
    current: Usage,
    /// How it died, each time that nobody had ordered it.
    crashes: Vec<String>,
}

/// A hold on the keeper's task.
pub(super) struct Keeper {
    known: Arc<Mutex<Known>>,
    orders: mpsc::Sender<Order>,
}

impl Keeper {
    /// Starts a child and its keeper.
    pub(super) fn start(start: Start, stop: CancellationToken, tasks: &TaskTracker) -> Self {
        let (orders, inbox) = mpsc::channel(4);
        let known = Arc::new(Mutex::new(Known::default()));
        let task = Task {
            start,
            known: Arc::clone(&known),
            stop,
            inbox,
            waiting: None,
            late: None,
        };
        tasks.spawn(task.run());
        Self { known, orders }
    }

    /// Where the child stands.
    pub(super) fn state(&self) -> State {
        lock(&self.known).state.clone().unwrap_or(State::Starting)
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.known).pid
    }

    /// How it died, each time that nobody had ordered it.
    pub(crate) fn crashes(&self) -> Vec<String> {
        lock(&self.known).crashes.clone()
    }

    /// What it has used so far, in all its lives.
    pub(super) fn used(&self) -> Usage {
        let known = lock(&self.known);
        known.current.after(known.former)
    }

    /// Gives an order and waits for its answer.
    pub(super) async fn order<T>(
        &self,
        order: impl FnOnce(Reply<T>) -> Order,
    ) -> Result<T, String> {
        let gone = || "the shop is closing".to_owned();
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(order(reply)).await;
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    start: Start,
    known: Arc<Mutex<Known>>,
    stop: CancellationToken,
    inbox: mpsc::Receiver<Order>,
    /// Who waits for the child to be ready again.
    waiting: Option<Reply<()>>,
    /// How much later than usual its next life is to be ready. Of that one alone.
    late: Option<Duration>,
}

/// How a child's life ended.
enum End {
    /// The shop closes.
    Stopped,
    /// By an order; it stays dead until the next one.
    Ordered,
    Crashed {
        was_ready: bool,
        how: String,
    },
}

impl Task {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        let mut lived = false;
        loop {
            let end = self.one_life().await;
            let ready_once = lived;
            lived |= !matches!(
                end,
                End::Crashed {
                    was_ready: false,
                    ..
                }
            );
            match end {
                End::Stopped => return,
                End::Ordered => {
                    if !self.await_restart().await {
                        return;
                    }
                    wait = FIRST_WAIT;
                }
                End::Crashed {
                    was_ready: false,
                    how,
                } if !ready_once => {
                    let why = format!("{how}{}", last_words(&self.start.log));
                    self.set(State::Failed(why));
                    return;
                }
                // Having served before, it may well serve again.
                End::Crashed { how, .. } => {
                    let how = format!("{how}{}", last_words(&self.start.log));
                    tracing::warn!(
                        role = self.start.role,
                        how,
                        "a service died; starting it again"
                    );
                    lock(&self.known).crashes.push(how);
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    fn set(&self, state: State) {
        lock(&self.known).state = Some(state);
    }

    /// From the child's start to its end.
    async fn one_life(&mut self) -> End {
        self.set(State::Starting);
        let mut child = match spawn(&self.start, self.late.take()) {
            Ok(child) => child,
            Err(how) => {
                return End::Crashed {
                    was_ready: false,
                    how,
                };
            }
        };
        // Taken out, for waiting for a child closes what is left in it.
        let _lifeline = child.stdin.take();
        let pid = child.id().unwrap_or_default();
        lock(&self.known).pid = Some(pid);
        let end = self.watch(&mut child, pid).await;
        let mut known = lock(&self.known);
        known.former = known.current.after(known.former);
        known.current = Usage::default();
        known.pid = None;
        known.state = Some(State::Down);
        drop(known);
        end
    }

    async fn watch(&mut self, child: &mut Child, pid: u32) -> End {
        let mut ready = false;
        // Until when it stands still, at most.
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
                    return End::Crashed { was_ready: ready, how };
                }
                () = self.stop.cancelled() => {
                    self.look(pid);
                    end(child, pid).await;
                    return End::Stopped;
                }
                () = at(paused), if paused.is_some() => {
                    // Nobody said so in time; whoever paused it may be gone.
                    paused = None;
                    self.go_on(pid, ready);
                }
                _ = poll_ready.tick(), if awaited && paused.is_none() => {
                    let limit = Duration::from_millis(250);
                    if self.start.http.get(self.start.admin, "/readyz", limit).await.is_ok() {
                        ready = true;
                        self.set(State::Ready);
                        if let Some(reply) = self.waiting.take() {
                            let _ = reply.send(Ok(()));
                        }
                    }
                }
                _ = poll_usage.tick() => self.look(pid),
                Some(order) = self.inbox.recv() => match order {
                    Order::Kill(reply) => {
                        self.look(pid);
                        match child.kill().await {
                            Ok(()) => {
                                let _ = reply.send(Ok(pid));
                                return End::Ordered;
                            }
                            Err(e) => drop(reply.send(Err(e.to_string()))),
                        }
                    }
                    Order::Stop(reply) => {
                        self.look(pid);
                        self.set(State::Down);
                        end(child, pid).await;
                        let _ = reply.send(Ok(pid));
                        return End::Ordered;
                    }
                    Order::Restart(_, reply) if ready => drop(reply.send(Ok(()))),
                    Order::Restart(_, reply) => self.waiting = Some(reply),
                    // The end of the first would end the second as well.
                    Order::Pause(_, reply) if paused.is_some() => {
                        drop(reply.send(Err("it stands still already".to_owned())));
                    }
                    Order::Pause(most, reply) => {
                        let done = signals::pause(pid).await;
                        if done.is_ok() {
                            paused = Some(Instant::now() + most);
                            self.set(State::Paused);
                        }
                        let _ = reply.send(done.map(|()| pid));
                    }
                    Order::Resume(reply) => {
                        if paused.take().is_some() {
                            self.go_on(pid, ready);
                        }
                        self.waiting = Some(within(RESTART, reply));
                    }
                },
            }
        }
    }

    fn go_on(&self, pid: u32, ready: bool) {
        if let Err(e) = signals::resume(pid) {
            tracing::error!(pid, error = e, "a paused service cannot be resumed");
        }
        self.set(if ready { State::Ready } else { State::Starting });
    }

    fn look(&self, pid: u32) {
        if let Some(used) = usage::of(pid) {
            lock(&self.known).current = used;
        }
    }

    /// Waits, dead, for the order to start again. False when the shop closes instead.
    async fn await_restart(&mut self) -> bool {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                order = self.inbox.recv() => match order {
                    Some(Order::Restart(late, reply)) => {
                        self.waiting = Some(within(RESTART + late, reply));
                        self.late = (!late.is_zero()).then_some(late);
                        return true;
                    }
                    Some(Order::Kill(reply) | Order::Stop(reply) | Order::Pause(_, reply)) => {
                        drop(reply.send(Err("it is dead already".to_owned())));
                    }
                    Some(Order::Resume(reply)) => drop(reply.send(Err("it is dead".to_owned()))),
                    None => return false,
                }
            }
        }
    }
}

/// A reply that is given with an error when it does not come in time.
fn within(limit: Duration, reply: Reply<()>) -> Reply<()> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let answer = match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the shop is closing".to_owned()),
            Err(_) => Err(format!("not ready {} s later", limit.as_secs())),
        };
        let _ = reply.send(answer);
    });
    sender
}

/// At an instant; never without one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn spawn(start: &Start, late: Option<Duration>) -> Result<Child, String> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&start.log)
        .map_err(|e| format!("its log {} cannot be written: {e}", start.log.display()))?;
    let output = log.try_clone().map_err(|e| e.to_string())?;
    let mut command = Command::new(&start.exe);
    // What is set for the harness is not meant for its services: one database URL for all of them would be chaos.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOORBUSTER_")
            && !MEANT_FOR_SERVICES.iter().any(|meant| name == *meant)
        {
            command.env_remove(name);
        }
    }
    command
        .args(["serve", start.role])
        .envs(start.environment.iter().map(|(k, v)| (k, v)))
        .envs(late.map(|late| (START_LATE_MS, late.as_millis().to_string())))
        // Held open and never written to: its end tells the child that we are gone.
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(log)
        .kill_on_drop(true);
    // A group of its own: Ctrl-C in the terminal is for us alone, and we end the children in order.
    #[cfg(unix)]
    command.process_group(0);
    command
        .spawn()
        .map_err(|e| format!("{} cannot be started: {e}", start.exe.display()))
}

/// Asks a child to end, and kills it when it does not. One that stands still cannot hear, so it is told to go on.
async fn end(child: &mut Child, pid: u32) {
    let asked = signals::terminate(pid).and_then(|()| signals::resume(pid));
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    if asked.is_ok() && ended.is_ok() {
        return;
    }
    if let Err(e) = child.kill().await {
        tracing::warn!(pid, error = %e, "a service could not be killed");
    }
}

/// The last line of a log, for an error message.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    match text.lines().rev().find(|l| !l.trim().is_empty()) {
        Some(line) => format!("; its log {} ends with: {line}", log.display()),
        None => format!("; its log {} is empty", log.display()),
    }
}
