//! When each fault begins and ends, and with which seed. Pure: time and observations are passed in, and randomness
//! comes from the run's seed. So the same scenario and seed give the same faults on every machine.
//!
//! Most faults have a fixed time. A fault that waits for another fault or for a breaker gets its window from
//! [`Schedule::observe`], and is then like the others.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Begin, Breaker, Fault, Window};
use crate::seed::seed_of;

mod scheduled;

pub use scheduled::ScheduledFault;

/// The begin or end of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// Inject the fault.
    Begin(Arc<ScheduledFault>),
    /// End it: clear it, or start the process that it killed.
    End(Arc<ScheduledFault>),
}

impl Transition {
    /// The fault that begins or ends.
    pub fn scheduled(&self) -> &Arc<ScheduledFault> {
        match self {
            Self::Begin(scheduled) | Self::End(scheduled) => scheduled,
        }
    }

    /// When it is due, from the run's start.
    pub fn at(&self) -> Duration {
        match self {
            Self::Begin(scheduled) => scheduled.window.from,
            Self::End(scheduled) => scheduled.window.to,
        }
    }

    /// The order of transitions at the same time: ends come before begins, but a fault of no length begins before it
    /// ends.
    fn rank(&self) -> u8 {
        match self {
            Self::End(scheduled) if scheduled.window.from < scheduled.window.to => 0,
            Self::Begin(_) => 1,
            Self::End(_) => 2,
        }
    }
}

/// Something that a fault can wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// A fault in force has ended.
    Ended(String),
    /// A fault could not be injected. Faults that wait for its end are skipped.
    Refused(String),
    /// A breaker was seen open.
    BreakerOpened(Breaker),
}

/// A fault that will not happen.
#[derive(Debug, Clone, PartialEq)]
pub struct SkippedFault {
    /// The fault, with a window of no length at the time when it was skipped.
    pub scheduled: Arc<ScheduledFault>,
    /// Why it was skipped.
    pub reason: String,
}

/// A fault without a window.
#[derive(Debug, Clone)]
struct WaitingFault {
    fault: Fault,
    seed: u64,
}

/// The faults of a run in the order of time. It returns each transition when it is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    faults: Vec<Fault>,
    scheduled: Vec<Arc<ScheduledFault>>,
    ahead: VecDeque<Transition>,
    waiting: Vec<WaitingFault>,
    skipped: Vec<SkippedFault>,
    end: Duration,
}

impl Schedule {
    /// A schedule of `faults` with unique names, under the run's seed.
    pub fn new(faults: impl IntoIterator<Item = Fault>, seed: u64) -> Self {
        let mut schedule = Self {
            faults: faults.into_iter().collect(),
            scheduled: Vec::new(),
            ahead: VecDeque::new(),
            waiting: Vec::new(),
            skipped: Vec::new(),
            end: Duration::MAX,
        };
        // Sorted by name, so that the order in the file does not matter.
        schedule.faults.sort_by(|a, b| a.name.cmp(&b.name));
        for fault in &schedule.faults {
            let seed = seed_of(&fault.name, seed);
            let fault = fault.clone();
            match fault.window() {
                Some(window) => schedule.scheduled.push(Arc::new(ScheduledFault {
                    fault,
                    window,
                    seed,
                })),
                None => schedule.waiting.push(WaitingFault { fault, seed }),
            }
        }
        schedule.scheduled.sort_by_key(|s| s.window.from);
        schedule.ahead = schedule.scheduled.iter().flat_map(transitions).collect();
        schedule.sort();
        schedule
    }

    /// Sets the end of the load, from the run's start. Waiting faults end there at the latest.
    #[must_use]
    pub fn until(mut self, end: Duration) -> Self {
        self.end = end;
        self
    }

    /// Removes and returns the transitions due at `elapsed` or before, in order.
    pub fn due(&mut self, elapsed: Duration) -> Vec<Transition> {
        let count = self.ahead.partition_point(|t| t.at() <= elapsed);
        self.ahead.drain(..count).collect()
    }

    /// When the next known transition is due; `None` when there is none.
    pub fn next_at(&self) -> Option<Duration> {
        self.ahead.front().map(Transition::at)
    }

    /// Handles an observation at `elapsed`: faults that waited for it get their window or are skipped.
    pub fn observe(&mut self, seen: &Observed, elapsed: Duration) {
        if let Observed::Refused(name) = seen {
            self.skip_after(name, elapsed);
            return;
        }
        let matches = |w: &mut WaitingFault| match (&w.fault.begins, seen) {
            (Begin::After { fault, .. }, Observed::Ended(name)) => fault == name,
            (Begin::When { breaker, .. }, Observed::BreakerOpened(open)) => breaker == open,
            _ => false,
        };
        let matched: Vec<WaitingFault> = self.waiting.extract_if(.., matches).collect();
        for WaitingFault { fault, seed } in matched {
            let (Begin::After { wait, .. } | Begin::When { wait, .. }) = fault.begins else {
                continue;
            };
            let window = Window::new(elapsed.saturating_add(wait), fault.length());
            if window.from >= self.end {
                let reason = "it was due after the end of the load";
                self.skip(WaitingFault { fault, seed }, elapsed, reason.to_owned());
                continue;
            }
            let window = Window {
                to: window.to.min(self.end),
                ..window
            };
            let scheduled = Arc::new(ScheduledFault {
                fault,
                window,
                seed,
            });
            self.ahead.extend(transitions(&scheduled));
            self.scheduled.push(scheduled);
        }
        self.sort();
    }

    /// Skips all waiting faults at `elapsed`.
    pub fn skip_waiting(&mut self, elapsed: Duration) {
        for waiting in std::mem::take(&mut self.waiting) {
            let reason = match &waiting.fault.begins {
                Begin::When { breaker, .. } => {
                    format!("the breaker {breaker} was not seen open while the load lasted")
                }
                Begin::After { fault, .. } => format!("{fault} did not end while the load lasted"),
                Begin::At(_) => continue,
            };
            self.skip(waiting, elapsed, reason);
        }
    }

    /// Removes and returns the faults skipped since the last call.
    pub fn skipped(&mut self) -> Vec<SkippedFault> {
        std::mem::take(&mut self.skipped)
    }

    /// Whether faults still wait for an observation.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The breakers that faults wait for.
    pub fn breakers(&self) -> BTreeSet<Breaker> {
        let breaker = |w: &WaitingFault| match &w.fault.begins {
            Begin::When { breaker, .. } => Some(breaker.clone()),
            _ => None,
        };
        self.waiting.iter().filter_map(breaker).collect()
    }

    /// When the load ends; [`Duration::MAX`] unless [`Schedule::until`] set it.
    pub fn end(&self) -> Duration {
        self.end
    }

    /// Every fault, by name.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Every fault that has a window, in the order of time.
    pub fn scheduled(&self) -> &[Arc<ScheduledFault>] {
        &self.scheduled
    }

    /// The planned window of a fault, once it has one.
    pub fn window(&self, fault: &str) -> Option<Window> {
        let scheduled = self.scheduled.iter().find(|s| s.fault.name == fault)?;
        Some(scheduled.window)
    }

    /// One line per fault for the digest of the run's plan, the same on every machine and in every release. In the
    /// order of time, with waiting faults last. Call it before the first [`Schedule::observe`].
    pub fn digest_lines(&self) -> Vec<String> {
        let known = self.scheduled.iter().map(|s| s.digest_line());
        let waiting = self
            .waiting
            .iter()
            .map(|w| scheduled::waiting_line(&w.fault, w.seed));
        known.chain(waiting).collect()
    }

    /// Skips the faults that wait for the end of `name`, and those that wait for them.
    fn skip_after(&mut self, name: &str, elapsed: Duration) {
        let waits = |w: &mut WaitingFault| matches!(&w.fault.begins, Begin::After { fault, .. } if fault == name);
        let skipped: Vec<WaitingFault> = self.waiting.extract_if(.., waits).collect();
        for waiting in skipped {
            let next = waiting.fault.name.clone();
            self.skip(waiting, elapsed, format!("{name} was not injected"));
            self.skip_after(&next, elapsed);
        }
    }

    fn skip(&mut self, waiting: WaitingFault, elapsed: Duration, reason: String) {
        let scheduled = Arc::new(ScheduledFault {
            window: Window::new(elapsed, Duration::ZERO),
            fault: waiting.fault,
            seed: waiting.seed,
        });
        self.skipped.push(SkippedFault { scheduled, reason });
    }

    fn sort(&mut self) {
        self.ahead
            .make_contiguous()
            .sort_by_key(|transition| (transition.at(), transition.rank()));
    }
}

fn transitions(scheduled: &Arc<ScheduledFault>) -> [Transition; 2] {
    [
        Transition::Begin(scheduled.clone()),
        Transition::End(scheduled.clone()),
    ]
}
