//! Writes the files of the record that grow during a run, and shows progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Event;
use results::hlog::LatencyLog;
use results::record::{Edge, FaultEvent, FaultEventKind, Interval, LedgerEntry, PlannedDemand};
use results::run_dir::{Lines, RecordError, RunDir};

use crate::harness_metrics::HarnessMetrics;
use crate::shop::metrics_pages::callers::add;
use crate::terminal::progress::Progress;

/// Gives the state of each process of the shop, if it is known.
pub(crate) type States = dyn Fn() -> BTreeMap<String, String> + Send + Sync;

/// The files of the record that grow during a run. Clones share them.
#[derive(Clone)]
pub(crate) struct Recorder {
    files: Arc<Mutex<Files>>,
    states: Arc<States>,
    progress: Arc<Progress>,
    metrics: HarnessMetrics,
}

struct Files {
    intervals: Lines<Interval>,
    ledger: Lines<LedgerEntry>,
    faults: Lines<FaultEvent>,
    latency: LatencyLog,
    /// The planned load of each second.
    demand: Vec<PlannedDemand>,
    /// The calls between services, by second, until that second is written.
    callers: BTreeMap<u64, BTreeMap<String, Edge>>,
    /// Faults in force now.
    active: BTreeSet<String>,
    /// Faults in force at any time since the last interval.
    seen: BTreeSet<String>,
    /// The first write error. The run fails with it at its end, because the record is incomplete.
    failed: Option<RecordError>,
}

impl Files {
    /// The planned load of a second. The first second is 1.
    fn planned_in(&self, second: u64) -> PlannedDemand {
        let index = usize::try_from(second).ok().and_then(|n| n.checked_sub(1));
        let planned = index.and_then(|index| self.demand.get(index));
        planned.copied().unwrap_or_default()
    }

    /// Takes the calls between services up to a second.
    fn take_calls_until(&mut self, second: u64) -> BTreeMap<String, Edge> {
        let later = self.callers.split_off(&(second + 1));
        let mut edges: BTreeMap<String, Edge> = BTreeMap::new();
        for (edge, calls) in std::mem::replace(&mut self.callers, later)
            .into_values()
            .flatten()
        {
            add(edges.entry(edge).or_default(), calls);
        }
        edges
    }

    fn check(&mut self, written: Result<(), RecordError>) {
        if let Err(e) = written {
            tracing::error!(error = %e, "the record cannot be written");
            self.failed.get_or_insert(e);
        }
    }
}

impl Recorder {
    /// Opens the files.
    ///
    /// # Errors
    /// A file cannot be created.
    pub(crate) fn open(
        dir: &RunDir,
        started_at: Timestamp,
        states: Arc<States>,
        progress: Arc<Progress>,
        metrics: HarnessMetrics,
        demand: Vec<PlannedDemand>,
    ) -> Result<Self> {
        let files = Files {
            intervals: dir.intervals()?,
            ledger: dir.ledger()?,
            faults: dir.faults()?,
            latency: LatencyLog::create(dir, started_at)?,
            demand,
            callers: BTreeMap::new(),
            active: BTreeSet::new(),
            seen: BTreeSet::new(),
            failed: None,
        };
        Ok(Self {
            files: Arc::new(Mutex::new(files)),
            states,
            progress,
            metrics,
        })
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event of the load.
    pub(crate) fn load(&self, event: Event) {
        let mut files = self.files();
        if files.failed.is_some() {
            return;
        }
        match event {
            Event::Interval(mut interval) => {
                self.metrics.set_time(interval.t_s);
                interval.services = (self.states)();
                let active = files.active.clone();
                let seen = std::mem::replace(&mut files.seen, active);
                interval.faults = seen.into_iter().collect();
                let second = interval.t_s.ceil() as u64;
                interval.planned = files.planned_in(second);
                interval.callers = files.take_calls_until(second);
                let written = files.intervals.append(&interval);
                files.check(written);
                let flushed = files.latency.flush();
                files.check(flushed);
                self.progress.interval(&interval);
            }
            Event::Histogram(h) => {
                let written = files
                    .latency
                    .write(h.step, h.kind, h.start_s, h.lasts, &h.histogram);
                files.check(written);
            }
            Event::Ledger(entry) => {
                let written = files.ledger.append(&entry);
                files.check(written);
            }
        }
    }

    /// Takes the calls between services in a second of the load.
    pub(super) fn callers(&self, second: u64, calls: BTreeMap<String, Edge>) {
        self.files().callers.insert(second, calls);
    }

    /// Records an event of a fault.
    pub(super) fn fault(&self, event: &FaultEvent) {
        self.metrics.fault(event, Instant::now());
        let mut files = self.files();
        if event.event == FaultEventKind::InForce {
            files.active.insert(event.fault.clone());
            files.seen.insert(event.fault.clone());
        } else if event.event == FaultEventKind::Ended {
            files.active.remove(&event.fault);
        }
        let written = files.faults.append(event);
        files.check(written);
        drop(files);
        if let Some(line) = line(event) {
            self.progress.line(&line);
        }
    }

    /// Checks that everything was written.
    ///
    /// # Errors
    /// The first write error.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.files().failed.take() {
            Some(e) => Err(e.into()),
            None => Ok(()),
        }
    }
}

/// The progress line of an event, if it has one.
fn line(event: &FaultEvent) -> Option<String> {
    let hits = event
        .hits
        .map(|h| format!(", {h} hits"))
        .unwrap_or_default();
    let what = match event.event {
        FaultEventKind::Asked => return None,
        FaultEventKind::InForce => "in force",
        FaultEventKind::Ended => "over",
        FaultEventKind::Refused => "could not be injected",
    };
    let detail = match (&event.detail, event.event) {
        (Some(detail), FaultEventKind::Refused) => format!(": {detail}"),
        _ => String::new(),
    };
    Some(format!(
        "{:>6.1} s  fault {} ({} of {}) {what}{hits}{detail}",
        event.t_s, event.fault, event.kind, event.target
    ))
}
