//! Writes down what a run tells while it goes on, and shows it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Event;
use results::hlog::LatencyLog;
use results::record::{FaultEvent, FaultEventKind, Interval, LedgerEntry};
use results::run_dir::{Lines, RecordError, RunDir};

use crate::progress::Progress;
use crate::supervisor::Supervisor;

/// The files of a run that grow while it goes on. Cloning shares them.
#[derive(Clone)]
pub(super) struct Recorder {
    files: Arc<Mutex<Files>>,
    shop: Supervisor,
    progress: Arc<Progress>,
}

struct Files {
    intervals: Lines<Interval>,
    ledger: Lines<LedgerEntry>,
    faults: Lines<FaultEvent>,
    latency: LatencyLog,
    /// In force now.
    active: BTreeSet<String>,
    /// In force at some time since the last interval.
    seen: BTreeSet<String>,
    /// The first thing that could not be written. A record with holes is none, so the run says so at its end.
    failed: Option<RecordError>,
}

impl Files {
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
    pub(super) fn open(
        dir: &RunDir,
        started_at: Timestamp,
        shop: Supervisor,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let files = Files {
            intervals: dir.intervals()?,
            ledger: dir.ledger()?,
            faults: dir.faults()?,
            latency: LatencyLog::create(dir, started_at)?,
            active: BTreeSet::new(),
            seen: BTreeSet::new(),
            failed: None,
        };
        Ok(Self {
            files: Arc::new(Mutex::new(files)),
            shop,
            progress,
        })
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that the load told.
    pub(super) fn load(&self, event: Event) {
        let mut files = self.files();
        if files.failed.is_some() {
            return;
        }
        match event {
            Event::Interval(mut interval) => {
                interval.services = self.shop.states();
                let active = files.active.clone();
                let seen = std::mem::replace(&mut files.seen, active);
                interval.faults = seen.into_iter().collect();
                let written = files.intervals.append(&interval);
                files.note(written);
                let flushed = files.latency.flush();
                files.note(flushed);
                self.progress.interval(&interval);
            }
            Event::Histogram(h) => {
                let written =
                    files
                        .latency
                        .write(h.step, h.clock, h.start_s, h.lasts, &h.histogram);
                files.note(written);
            }
            Event::Ledger(entry) => {
                let written = files.ledger.append(&entry);
                files.note(written);
            }
        }
    }

    /// Something that happened to a fault.
    pub(super) fn fault(&self, event: &FaultEvent) {
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
    pub(super) fn finish(&self) -> Result<()> {
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
