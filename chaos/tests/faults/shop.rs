//! A stand-in for the supervisor and the callers, and a run of the injector to watch.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::proxy::Proxies;
use chaos::{
    AdminClient, Begin, Board, BoxFuture, Breaker, CallerHits, Counts, Fault, FaultKind, InService,
    InjectError, Injector, ProcessFault, Processes, Schedule, Struck, Target, Watch,
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

/// Processes that exist in name only, and the count of their callers.
#[derive(Default)]
pub(crate) struct FakeShop {
    /// Admin addresses by role and replica; none while a replica is down.
    pub(crate) addresses: Mutex<BTreeMap<String, Vec<Option<SocketAddr>>>>,
    /// `kill order/1`, `restart order/1`, in order.
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) refuse_kill: bool,
    pub(crate) restart_takes: Duration,
    /// Outcomes of the restarts to come; when used up, they succeed.
    pub(crate) restarts_fail: Mutex<VecDeque<&'static str>>,
    /// The failed attempts that the callers count, one answer after the other; the last one stays.
    pub(crate) counts: Mutex<VecDeque<Option<u64>>>,
    /// The same of all attempts that were begun.
    pub(crate) begun: Mutex<VecDeque<Option<u64>>>,
    /// How often breakers are looked at before they are open; none opens when it is absent.
    pub(crate) opens_after: Mutex<Option<u32>>,
    /// What is on the paths, where something is.
    pub(crate) proxies: Option<Proxies>,
}

/// What the only caller says; its last word stays.
fn next(counts: &Mutex<VecDeque<Option<u64>>>) -> Option<Counts> {
    let mut counts = counts.lock().unwrap();
    let count = if counts.len() > 1 {
        counts.pop_front()
    } else {
        counts.front().copied()
    };
    Some(Counts::from([("gateway/0".to_owned(), count.flatten()?)]))
}

impl FakeShop {
    /// A role whose replicas are these endpoints.
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

    fn strike(&self, how: &str, role: &str, replica: u32) -> Result<Struck, InjectError> {
        if self.refuse_kill {
            return Err(Self::failure(role, replica, "operation not permitted"));
        }
        self.note(format!("{how} {role}/{replica}"));
        Ok(Struck { pid: 4711 })
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

    fn kill<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(async move { self.strike("kill", role, replica) })
    }

    fn stop<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(async move { self.strike("stop", role, replica) })
    }

    fn restart<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        late: Duration,
    ) -> BoxFuture<'a, Result<(), InjectError>> {
        Box::pin(async move {
            let lateness = match late {
                Duration::ZERO => String::new(),
                late => format!(" {late:?} late"),
            };
            self.note(format!("restart {role}/{replica}{lateness}"));
            tokio::time::sleep(self.restart_takes + late).await;
            match self.restarts_fail.lock().unwrap().pop_front() {
                Some(reason) => Err(Self::failure(role, replica, reason)),
                None => Ok(()),
            }
        })
    }

    fn pause<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        most: Duration,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(async move { self.strike(&format!("pause for {most:?} at most:"), role, replica) })
    }

    fn resume<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Result<(), InjectError>> {
        Box::pin(async move {
            self.note(format!("resume {role}/{replica}"));
            Ok(())
        })
    }
}

impl CallerHits for FakeShop {
    fn failed_attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async move { next(&self.counts) })
    }

    fn attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async move { next(&self.begun) })
    }
}

impl Watch for FakeShop {
    fn is_open<'a>(&'a self, _: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            let mut looks = self.opens_after.lock().unwrap();
            let left = looks.as_mut()?;
            let open = *left == 0;
            *left = left.saturating_sub(1);
            Some(open)
        })
    }
}

/// A latency that covers the whole role, from the start.
pub(crate) fn slow(role: &str, lasts: Duration) -> Fault {
    Fault {
        name: format!("{role}-slow"),
        begins: Begin::At(Duration::ZERO),
        lasts: Some(lasts),
        target: Target::role(role),
        kind: FaultKind::InService(InService {
            share: 0.5,
            ..InService::on_all(FaultEffect::Latency {
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

/// Something else that happens to the first replica of the order service.
pub(crate) fn strike(fault: ProcessFault, at: u64, lasts: Option<u64>) -> Fault {
    Fault {
        lasts: lasts.map(Duration::from_secs),
        kind: FaultKind::Process(fault),
        ..kill(0, at, 0)
    }
}

/// An injector at work.
pub(crate) struct Run {
    pub(crate) shutdown: CancellationToken,
    events: mpsc::UnboundedReceiver<FaultEvent>,
    board: watch::Receiver<Board>,
    task: JoinHandle<Vec<FaultRow>>,
    /// How long an event or the end may take: longer in virtual time, where it costs nothing.
    pub(crate) patience: Duration,
}

impl Run {
    pub(crate) fn start(shop: &Arc<FakeShop>, faults: Vec<Fault>) -> Self {
        Self::start_polling(shop, faults, Duration::from_millis(5))
    }

    pub(crate) fn start_polling(shop: &Arc<FakeShop>, faults: Vec<Fault>, poll: Duration) -> Self {
        Self::start_until(shop, faults, poll, Duration::MAX)
    }

    /// With a load that ends.
    pub(crate) fn start_until(
        shop: &Arc<FakeShop>,
        faults: Vec<Fault>,
        poll: Duration,
        end: Duration,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let admin = AdminClient::new(Some("sesame".to_owned()));
        let injector = Injector::new(shop.clone(), shop.clone(), admin, sender)
            .with_watch(shop.clone())
            .with_paths(shop.clone())
            .with_poll(poll);
        let board = injector.board();
        let shutdown = CancellationToken::new();
        let schedule = Schedule::new(faults, SEED).until(end);
        let task = tokio::spawn(injector.run(schedule, Instant::now(), shutdown.clone()));
        Self {
            shutdown,
            events,
            board,
            task,
            patience: PATIENCE,
        }
    }

    /// The next event, which must be of this kind.
    pub(crate) async fn event(&mut self, kind: FaultEventKind) -> FaultEvent {
        let event = tokio::time::timeout(self.patience, self.events.recv()).await;
        let event = event
            .expect("an event in time")
            .expect("a running injector");
        assert_eq!(event.event, kind, "{event:?}");
        event
    }

    /// Waits until the board shows these hits of a fault that is in force.
    pub(crate) async fn until_hits(&mut self, fault: &str, hits: u64) {
        let shown = |board: &Board| board.get(fault).is_some_and(|f| f.active && f.hits == hits);
        let seen = tokio::time::timeout(self.patience, self.board.wait_for(shown)).await;
        assert!(seen.is_ok(), "never {hits} hits of {fault}");
    }

    pub(crate) fn board(&self) -> Board {
        self.board.borrow().clone()
    }

    /// The rows, when every fault has ended by its own time.
    pub(crate) async fn rows(self) -> Vec<FaultRow> {
        let rows = tokio::time::timeout(self.patience, self.task).await;
        rows.expect("an end in time").unwrap()
    }

    /// Tells it to stop and waits for the rows.
    pub(crate) async fn stop(self) -> Vec<FaultRow> {
        self.shutdown.cancel();
        self.rows().await
    }

    /// Drops the injector's future in the middle of its work.
    pub(crate) async fn drop_it(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
