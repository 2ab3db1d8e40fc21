//! Writes down what a run tells while it goes on, and shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Event;
use results::hlog::LatencyLog;
use results::record::{Edge, FaultEvent, FaultEventKind, Interval, LedgerEntry, PlannedDemand};
use results::run_dir::{Lines, RecordError, RunDir};

use crate::figures::Figures;
use crate::pages::add;
use crate::progress::Progress;

/// Tells the state of each process of the shop, where that is known.
pub(crate) type States = dyn Fn() -> BTreeMap<String, String> + Send + Sync;

/// The files of a run that grow while it goes on. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Recorder {
    files: Arc<Mutex<Files>>,
    states: Arc<States>,
    progress: Arc<Progress>,
    figures: Figures,
}

struct Files {
    intervals: Lines<Interval>,
    ledger: Lines<LedgerEntry>,
    faults: Lines<FaultEvent>,
    latency: LatencyLog,
    /// What the plan has in each second.
    demand: Vec<PlannedDemand>,
    /// What services told of those that they call, by the second it belongs to, until that second is written.
    callers: BTreeMap<u64, BTreeMap<String, Edge>>,
    /// In force now.
    active: BTreeSet<String>,
    /// In force at some time since the last interval.
    seen: BTreeSet<String>,
    /// The first thing that could not be written. A record with holes is none, so the run says so at its end.
    failed: Option<RecordError>,
}

impl Files {
    /// What the plan has in a second, the first of which is 1.
    fn planned_in(&self, second: u64) -> PlannedDemand {
        let index = usize::try_from(second).ok().and_then(|n| n.checked_sub(1));
        let planned = index.and_then(|index| self.demand.get(index));
        planned.copied().unwrap_or_default()
    }

    /// What was told up to a second, and is not written yet.
    fn called_until(&mut self, second: u64) -> BTreeMap<String, Edge> {
        let later = self.callers.split_off(&(second + 1));
        let mut edges: BTreeMap<String, Edge> = BTreeMap::new();
        for (edge, told) in std::mem::replace(&mut self.callers, later)
            .into_values()
            .flatten()
        {
            add(edges.entry(edge).or_default(), told);
        }
        edges
    }

    fn note(&mut self, written: Result<(), RecordError>) {
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
    /// A file that cannot be made.
    pub(crate) fn open(
        dir: &RunDir,
        started_at: Timestamp,
        states: Arc<States>,
        progress: Arc<Progress>,
        figures: Figures,
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
            figures,
        })
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that the load told.
    pub(crate) fn load(&self, event: Event) {
        let mut files = self.files();
        if files.failed.is_some() {
            return;
        }
        match event {
            Event::Interval(mut interval) => {
                self.figures.at(interval.t_s);
                interval.services = (self.states)();
                let active = files.active.clone();
                let seen = std::mem::replace(&mut files.seen, active);
                interval.faults = seen.into_iter().collect();
                let second = interval.t_s.ceil() as u64;
                interval.planned = files.planned_in(second);
                interval.callers = files.called_until(second);
                let written = files.intervals.append(&interval);
                files.note(written);
                let flushed = files.latency.flush();
                files.note(flushed);
                self.progress.interval(&interval);
            }
            Event::Histogram(h) => {
                let written = files
                    .latency
                    .write(h.step, h.kind, h.start_s, h.lasts, &h.histogram);
                files.note(written);
            }
            Event::Ledger(entry) => {
                let written = files.ledger.append(&entry);
                files.note(written);
            }
        }
    }

    /// What services told of those that they call, in a second of the load.
    pub(super) fn callers(&self, second: u64, told: BTreeMap<String, Edge>) {
        self.files().callers.insert(second, told);
    }

    /// Something that happened to a fault.
    pub(super) fn fault(&self, event: &FaultEvent) {
        self.figures.fault(event, Instant::now());
        let mut files = self.files();
        if event.event == FaultEventKind::InForce {
            files.active.insert(event.fault.clone());
            files.seen.insert(event.fault.clone());
        } else if event.event == FaultEventKind::Ended {
            files.active.remove(&event.fault);
        }
        let written = files.faults.append(event);
        files.note(written);
        drop(files);
        if let Some(line) = shown(event) {
            self.progress.say(&line);
        }
    }

    /// Whether everything was written.
    ///
    /// # Errors
    /// The first thing that was not.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.files().failed.take() {
            Some(e) => Err(e.into()),
            None => Ok(()),
        }
    }
}

fn shown(event: &FaultEvent) -> Option<String> {
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
