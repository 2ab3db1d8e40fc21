//! When each fault begins and ends, and with which seed. Pure: time and what was seen are passed in, randomness comes
//! from the run's seed, so that the same scenario and seed give the same faults on every machine.
//!
//! Most faults have their instant from the beginning. Those that wait for another fault or for a breaker get theirs
//! when [`Schedule::observe`] is told of it, and from then on are like the others.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Begin, Breaker, Fault, Window};

mod planned;

pub use planned::Planned;
pub(crate) use planned::fnv1a;
pub(crate) use planned::seed_of;

/// What is to be done at an instant.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Bring the fault about.
    Inject(Arc<Planned>),
    /// End it: clear it, or start again what it killed.
    End(Arc<Planned>),
}

impl Action {
    /// The fault it is about.
    pub fn planned(&self) -> &Arc<Planned> {
        match self {
            Self::Inject(planned) | Self::End(planned) => planned,
        }
    }

    /// When it is due, from the run's start.
    pub fn at(&self) -> Duration {
        match self {
            Self::Inject(planned) => planned.window.from,
            Self::End(planned) => planned.window.to,
        }
    }

    /// Its place among actions of the same instant: what ends makes room for what begins, but a fault of no length
    /// still begins before it ends.
    fn rank(&self) -> u8 {
        match self {
            Self::End(planned) if planned.window.from < planned.window.to => 0,
            Self::Inject(_) => 1,
            Self::End(_) => 2,
        }
    }
}

/// Something that happened in the run, for which a fault may have waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// A fault that was in force no longer is.
    Ended(String),
    /// A fault could not be brought about. What waits for its end waits in vain.
    Refused(String),
    /// A breaker was seen open.
    BreakerOpened(Breaker),
}

/// A fault that did not come, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    /// The fault, with a window of no length at the instant when that was certain.
    pub planned: Arc<Planned>,
    /// Why, in words.
    pub why: String,
}

/// A fault whose instant is not known yet.
#[derive(Debug, Clone)]
struct Waiting {
    fault: Fault,
    seed: u64,
}

/// The faults of a run in the order of time, handed out as they become due.
#[derive(Debug, Clone)]
pub struct Schedule {
    faults: Vec<Fault>,
    planned: Vec<Arc<Planned>>,
    ahead: VecDeque<Action>,
    waiting: Vec<Waiting>,
    missed: Vec<Missed>,
    end: Duration,
}

impl Schedule {
    /// A schedule of `faults` (names unique) under the run's seed.
    pub fn new(faults: impl IntoIterator<Item = Fault>, seed: u64) -> Self {
        let mut schedule = Self {
            faults: faults.into_iter().collect(),
            planned: Vec::new(),
            ahead: VecDeque::new(),
            waiting: Vec::new(),
            missed: Vec::new(),
            end: Duration::MAX,
        };
        // By name where nothing else decides: the order in the file must not.
        schedule.faults.sort_by(|a, b| a.name.cmp(&b.name));
        for fault in &schedule.faults {
            let seed = planned::seed_of(&fault.name, seed);
            let fault = fault.clone();
            match fault.window() {
                Some(window) => schedule.planned.push(Arc::new(Planned {
                    fault,
                    window,
                    seed,
                })),
                None => schedule.waiting.push(Waiting { fault, seed }),
            }
        }
        schedule.planned.sort_by_key(|p| p.window.from);
        schedule.ahead = schedule.planned.iter().flat_map(both).collect();
        schedule.arrange();
        schedule
    }

    /// Cuts what has no instant yet to this end, from the run's start: that of the load.
    #[must_use]
    pub fn until(mut self, end: Duration) -> Self {
        self.end = end;
        self
    }

    /// Takes out every action due at `elapsed` or before, in order.
    pub fn due(&mut self, elapsed: Duration) -> Vec<Action> {
        let count = self.ahead.partition_point(|a| a.at() <= elapsed);
        self.ahead.drain(..count).collect()
    }

    /// When the next action is due; `None` when all that are known have been taken out.
    pub fn next_at(&self) -> Option<Duration> {
        self.ahead.front().map(Action::at)
    }

    /// Takes in what happened at `elapsed`: faults that waited for it get their instant, or wait no longer.
    pub fn observe(&mut self, seen: &Observed, elapsed: Duration) {
        if let Observed::Refused(name) = seen {
            self.give_up_after(name, elapsed);
            return;
        }
        let hit = |w: &mut Waiting| match (&w.fault.begins, seen) {
            (Begin::After { fault, .. }, Observed::Ended(name)) => fault == name,
            (Begin::When { breaker, .. }, Observed::BreakerOpened(open)) => breaker == open,
            _ => false,
        };
        let called: Vec<Waiting> = self.waiting.extract_if(.., hit).collect();
        for Waiting { fault, seed } in called {
            let (Begin::After { wait, .. } | Begin::When { wait, .. }) = fault.begins else {
                continue;
            };
            let window = Window::new(elapsed.saturating_add(wait), fault.length());
            if window.from >= self.end {
                let why = "its turn came when the load was over";
                self.miss(Waiting { fault, seed }, elapsed, why.to_owned());
                continue;
            }
            let window = Window {
                to: window.to.min(self.end),
                ..window
            };
            let planned = Arc::new(Planned {
                fault,
                window,
                seed,
            });
            self.ahead.extend(both(&planned));
            self.planned.push(planned);
        }
        self.arrange();
    }

    /// Stops waiting, at `elapsed`: what was waited for did not happen.
    pub fn give_up(&mut self, elapsed: Duration) {
        for waiting in std::mem::take(&mut self.waiting) {
            let why = match &waiting.fault.begins {
                Begin::When { breaker, .. } => {
                    format!("the breaker {breaker} was not seen open while the load lasted")
                }
                Begin::After { fault, .. } => format!("{fault} did not end while the load lasted"),
                Begin::At(_) => continue,
            };
            self.miss(waiting, elapsed, why);
        }
    }

    /// Takes out the faults of which it is certain by now that they do not come.
    pub fn missed(&mut self) -> Vec<Missed> {
        std::mem::take(&mut self.missed)
    }

    /// Whether faults still wait for something to happen.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The breakers that faults wait for.
    pub fn breakers(&self) -> BTreeSet<Breaker> {
        let breaker = |w: &Waiting| match &w.fault.begins {
            Begin::When { breaker, .. } => Some(breaker.clone()),
            _ => None,
        };
        self.waiting.iter().filter_map(breaker).collect()
    }

    /// When the load ends; [`Duration::MAX`] when that was not said.
    pub fn end(&self) -> Duration {
        self.end
    }

    /// Every fault, by name.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Every fault that has its instant, in the order of time.
    pub fn planned(&self) -> &[Arc<Planned>] {
        &self.planned
    }

    /// The planned window of a fault, once its instant is known.
    pub fn window(&self, fault: &str) -> Option<Window> {
        let planned = self.planned.iter().find(|p| p.fault.name == fault)?;
        Some(planned.window)
    }

    /// One line per fault, the same on every machine and in every release, for the digest of the run's plan. In the
    /// order of time; those that wait for something come last. To be asked before anything was observed.
    pub fn digest_lines(&self) -> Vec<String> {
        let known = self.planned.iter().map(|p| p.digest_line());
        let waiting = self
            .waiting
            .iter()
            .map(|w| planned::waiting_line(&w.fault, w.seed));
        known.chain(waiting).collect()
    }

    fn give_up_after(&mut self, name: &str, elapsed: Duration) {
        let vain = |w: &mut Waiting| matches!(&w.fault.begins, Begin::After { fault, .. } if fault == name);
        let vain: Vec<Waiting> = self.waiting.extract_if(.., vain).collect();
        for waiting in vain {
            let of = waiting.fault.name.clone();
            self.miss(waiting, elapsed, format!("{name} did not come about"));
            self.give_up_after(&of, elapsed);
        }
    }

    fn miss(&mut self, waiting: Waiting, elapsed: Duration, why: String) {
        let planned = Planned {
            window: Window::new(elapsed, Duration::ZERO),
            fault: waiting.fault,
            seed: waiting.seed,
        };
        let planned = Arc::new(planned);
        self.missed.push(Missed { planned, why });
    }

    fn arrange(&mut self) {
        self.ahead
            .make_contiguous()
            .sort_by_key(|action| (action.at(), action.rank()));
    }
}

fn both(planned: &Arc<Planned>) -> [Action; 2] {
    [
        Action::Inject(planned.clone()),
        Action::End(planned.clone()),
    ]
}
