//! A fake shop backend, and a run of the injector on it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::proxy::Proxies;
use chaos::{
    AdminClient, Begin, BoxFuture, Breaker, BreakerWatch, CallerHits, Counts, Fault, FaultKind,
    FaultStatuses, InjectError, Injector, ProcessAction, ProcessFault, Processes, Schedule,
    ServiceFault, Target,
};
use results::record::{FaultEvent, FaultEventKind, FaultRow};
use shop_contract::faults::{Distribution, FaultEffect};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::target::{AdminStub, PATIENCE};

/// The run's seed in every test.
pub(crate) const SEED: u64 = 7;

/// A shop backend without processes, which logs the actions on them.
#[derive(Default)]
pub(crate) struct FakeShop {
    /// Admin addresses by role and replica; `None` while a replica is down.
    pub(crate) addresses: Mutex<BTreeMap<String, Vec<Option<SocketAddr>>>>,
    /// The actions in order: `kill order/1`, `start order/1`.
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) refuse_kill: bool,
    pub(crate) start_takes: Duration,
    /// The errors of the next starts. Later starts succeed.
    pub(crate) starts_fail: Mutex<VecDeque<&'static str>>,
    /// The failed attempts that the callers report, one value for each query. The last value is repeated.
    pub(crate) counts: Mutex<VecDeque<Option<u64>>>,
    /// The same for all attempts.
    pub(crate) attempts: Mutex<VecDeque<Option<u64>>>,
    /// The number of queries before breakers are open. They never open if it is `None`.
    pub(crate) opens_after: Mutex<Option<u32>>,
    /// The proxies on the paths.
    pub(crate) proxies: Option<Proxies>,
}

/// The counts of the only caller: the next value, or the last one again.
fn next_counts(counts: &Mutex<VecDeque<Option<u64>>>) -> Option<Counts> {
    let mut counts = counts.lock().unwrap();
    let count = if counts.len() > 1 {
        counts.pop_front()
    } else {
        counts.front().copied()
    };
    Some(Counts::from([("gateway/0".to_owned(), count.flatten()?)]))
}

impl FakeShop {
    /// A shop with one role, whose replicas have these endpoints.
    pub(crate) fn with(role: &str, replicas: &[&AdminStub]) -> Self {
        let shop = Self::default();
        for (n, stub) in replicas.iter().enumerate() {
            shop.set_address(role, n, Some(stub.address));
        }
        shop
    }

    pub(crate) fn set_address(&self, role: &str, replica: usize, address: Option<SocketAddr>) {
        let mut addresses = self.addresses.lock().unwrap();
        let replicas = addresses.entry(role.to_owned()).or_default();
        replicas.resize(replicas.len().max(replica + 1), None);
        replicas[replica] = address;
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn take_down(
        &self,
        action: &str,
        role: &str,
        replica: u32,
    ) -> Result<Option<u32>, InjectError> {
        if self.refuse_kill {
            return Err(Self::failure(role, replica, "operation not permitted"));
        }
        self.note(format!("{action} {role}/{replica}"));
        Ok(Some(4711))
    }

    async fn start(&self, role: &str, replica: u32, delay: Duration) -> Result<(), InjectError> {
        let delayed = match delay {
            Duration::ZERO => String::new(),
            delay => format!(" with a delay of {delay:?}"),
        };
        self.note(format!("start {role}/{replica}{delayed}"));
        tokio::time::sleep(self.start_takes + delay).await;
        match self.starts_fail.lock().unwrap().pop_front() {
            Some(reason) => Err(Self::failure(role, replica, reason)),
            None => Ok(()),
        }
    }

    fn failure(role: &str, replica: u32, reason: &str) -> InjectError {
        InjectError::Process {
            target: format!("{role}/{replica}"),
            reason: reason.to_owned(),
        }
    }
}

impl Processes for FakeShop {
    fn replicas(&self, role: &str) -> u32 {
        let addresses = self.addresses.lock().unwrap();
        addresses.get(role).map_or(0, |r| r.len() as u32)
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        let addresses = self.addresses.lock().unwrap();
        *addresses.get(role)?.get(replica as usize)?
    }

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        Box::pin(async move {
            match action {
                ProcessAction::Kill => self.take_down("kill", role, replica),
                ProcessAction::Stop => self.take_down("stop", role, replica),
                ProcessAction::Pause { at_most } => {
                    self.take_down(&format!("pause for {at_most:?} at most:"), role, replica)
                }
                ProcessAction::Start { delay } => {
                    self.start(role, replica, delay).await.map(|()| None)
                }
                ProcessAction::Resume => {
                    self.note(format!("resume {role}/{replica}"));
                    Ok(None)
                }
            }
        })
    }
}

impl CallerHits for FakeShop {
    fn failed_attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async move { next_counts(&self.counts) })
    }

    fn attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async move { next_counts(&self.attempts) })
    }
}

impl BreakerWatch for FakeShop {
    fn is_open<'a>(&'a self, _: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            let mut opens_after = self.opens_after.lock().unwrap();
            let left = opens_after.as_mut()?;
            let open = *left == 0;
            *left = left.saturating_sub(1);
            Some(open)
        })
    }
}

/// A latency of a whole role, from the start.
pub(crate) fn slow(role: &str, lasts: Duration) -> Fault {
    Fault {
        name: format!("{role}-slow"),
        begins: Begin::At(Duration::ZERO),
        lasts: Some(lasts),
        target: Target::role(role),
        kind: FaultKind::Service(ServiceFault {
            share: 0.5,
            ..ServiceFault::on_all(FaultEffect::Latency {
                delay_us: 300_000,
                jitter_us: 100_000,
                distribution: Distribution::Uniform,
            })
        }),
    }
}

/// A kill of one replica of the order service.
pub(crate) fn kill(replica: u32, at: u64, restart: u64) -> Fault {
    Fault {
        name: format!("order-{replica}-down"),
        begins: Begin::At(Duration::from_secs(at)),
        lasts: None,
        target: Target::replica("order", replica),
        kind: FaultKind::Process(ProcessFault::Kill {
            restart: Duration::from_secs(restart),
        }),
    }
}

/// Another process fault of the first replica of the order service.
pub(crate) fn process_fault(fault: ProcessFault, at: u64, lasts: Option<u64>) -> Fault {
    Fault {
        lasts: lasts.map(Duration::from_secs),
        kind: FaultKind::Process(fault),
        ..kill(0, at, 0)
    }
}

/// A running injector.
pub(crate) struct Run {
    pub(crate) shutdown: CancellationToken,
    events: mpsc::UnboundedReceiver<FaultEvent>,
    statuses: watch::Receiver<FaultStatuses>,
    task: JoinHandle<Vec<FaultRow>>,
    /// The limit for the next event and for the end. It can be long in virtual time.
    pub(crate) patience: Duration,
}

impl Run {
    pub(crate) fn start(shop: &Arc<FakeShop>, faults: Vec<Fault>) -> Self {
        Self::start_checking_every(shop, faults, Duration::from_millis(5))
    }

    pub(crate) fn start_checking_every(
        shop: &Arc<FakeShop>,
        faults: Vec<Fault>,
        check_interval: Duration,
    ) -> Self {
        Self::start_until(shop, faults, check_interval, Duration::MAX)
    }

    /// Starts a run with a load that ends.
    pub(crate) fn start_until(
        shop: &Arc<FakeShop>,
        faults: Vec<Fault>,
        check_interval: Duration,
        end: Duration,
    ) -> Self {
        let (events_tx, events) = mpsc::unbounded_channel();
        let admin = AdminClient::new(Some("sesame".to_owned()));
        let injector = Injector::new(shop.clone(), shop.clone(), admin, events_tx)
            .with_breakers(shop.clone())
            .with_paths(shop.clone())
            .with_check_interval(check_interval);
        let statuses = injector.statuses();
        let shutdown = CancellationToken::new();
        let schedule = Schedule::new(faults, SEED).until(end);
        let task = tokio::spawn(injector.run(schedule, Instant::now(), shutdown.clone()));
        Self {
            shutdown,
            events,
            statuses,
            task,
            patience: PATIENCE,
        }
    }

    /// The next event. Fails if it is of another kind.
    pub(crate) async fn event(&mut self, kind: FaultEventKind) -> FaultEvent {
        let event = tokio::time::timeout(self.patience, self.events.recv()).await;
        let event = event
            .expect("an event in time")
            .expect("a running injector");
        assert_eq!(event.event, kind, "{event:?}");
        event
    }

    /// Waits until a fault in force has these hits.
    pub(crate) async fn until_hits(&mut self, fault: &str, hits: u64) {
        let shown = |statuses: &FaultStatuses| {
            statuses
                .get(fault)
                .is_some_and(|f| f.active && f.hits == hits)
        };
        let seen = tokio::time::timeout(self.patience, self.statuses.wait_for(shown)).await;
        assert!(seen.is_ok(), "never {hits} hits of {fault}");
    }

    pub(crate) fn statuses(&self) -> FaultStatuses {
        self.statuses.borrow().clone()
    }

    /// The rows, after every fault has ended at its time.
    pub(crate) async fn rows(self) -> Vec<FaultRow> {
        let rows = tokio::time::timeout(self.patience, self.task).await;
        rows.expect("an end in time").unwrap()
    }

    /// Stops the run and waits for the rows.
    pub(crate) async fn stop(self) -> Vec<FaultRow> {
        self.shutdown.cancel();
        self.rows().await
    }

    /// Drops the future of the running injector.
    pub(crate) async fn abandon(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
