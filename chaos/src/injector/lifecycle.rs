//! The lifecycle of one fault: asked, in force, ended, or refused. It sends an event for each and writes the row.

use std::sync::Arc;
use std::time::Duration;

use results::record::{FaultEvent, FaultEventKind, FaultRow};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::injection::Injection;
use super::status::{FaultStatus, FaultStatuses};
use crate::schedule::{Observed, ScheduledFault};

/// Runs one fault and reports on it.
pub(super) struct Lifecycle {
    pub(super) scheduled: Arc<ScheduledFault>,
    pub(super) clock: Clock,
    pub(super) events: mpsc::UnboundedSender<FaultEvent>,
    pub(super) statuses: Arc<watch::Sender<FaultStatuses>>,
    /// Between two checks of a fault in force.
    pub(super) check_interval: Duration,
}

impl Lifecycle {
    /// Runs the fault until `end` is cancelled or the fault ends by itself. Returns its row, and the observation for
    /// faults that wait for it.
    pub(super) async fn run(
        self,
        mut injection: Box<dyn Injection>,
        end: CancellationToken,
    ) -> (FaultRow, Observed) {
        let name = self.scheduled.fault.name.clone();
        let mut row = empty_row(&self.scheduled);
        self.report(FaultEventKind::Asked, None, None);
        let result = injection.begin().await;
        row.started_s = self.clock.elapsed().as_secs_f64();
        match result {
            Err(error) => {
                row.ended_s = row.started_s;
                let detail = Some(error.to_string());
                self.report_at(row.started_s, FaultEventKind::Refused, None, detail);
                return (row, Observed::Refused(name));
            }
            Ok(detail) => {
                self.report_at(row.started_s, FaultEventKind::InForce, None, detail);
            }
        }
        self.update_status(|status| status.active = true);

        let last_known = self.monitor(injection.as_mut(), &end).await;

        let problem = injection.end().await;
        row.ended_s = self.clock.elapsed().as_secs_f64();
        let hits = injection.total_hits().await.or(last_known);
        row.hits = hits.unwrap_or(0);
        self.update_status(|status| {
            status.active = false;
            status.hits = row.hits;
        });
        let unproven = || "the number of its hits is unknown".to_owned();
        row.end_error.clone_from(&problem);
        let detail = problem.or_else(|| hits.is_none().then(unproven));
        self.report_at(row.ended_s, FaultEventKind::Ended, hits, detail);
        (row, Observed::Ended(name))
    }

    /// Reports a fault that is skipped, and returns its row.
    pub(super) fn skip(self, reason: String) -> FaultRow {
        let row = empty_row(&self.scheduled);
        self.report_at(row.started_s, FaultEventKind::Refused, None, Some(reason));
        row
    }

    /// Checks the fault regularly. Returns the last known hits when the fault is to end or has ended.
    async fn monitor(&self, injection: &mut dyn Injection, end: &CancellationToken) -> Option<u64> {
        let mut last_known = None;
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => return last_known,
                () = sleep(self.check_interval) => {}
            }
            let found = injection.check().await;
            if let Some(hits) = found.hits {
                last_known = Some(hits);
                self.update_status(|status| status.hits = hits);
            }
            if let Some(detail) = found.repaired {
                self.report(FaultEventKind::InForce, found.hits, Some(detail));
            }
            if found.gone {
                return last_known;
            }
        }
    }

    fn update_status(&self, change: impl FnOnce(&mut FaultStatus)) {
        self.statuses.send_modify(|statuses| {
            if let Some(status) = statuses.get_mut(&self.scheduled.fault.name) {
                change(status);
            }
        });
    }

    fn report(&self, event: FaultEventKind, hits: Option<u64>, detail: Option<String>) {
        self.report_at(self.clock.elapsed().as_secs_f64(), event, hits, detail);
    }

    fn report_at(
        &self,
        t_s: f64,
        event: FaultEventKind,
        hits: Option<u64>,
        detail: Option<String>,
    ) {
        let fault = &self.scheduled.fault;
        // The receiver may be closed; the fault goes on without it.
        let _ = self.events.send(FaultEvent {
            t_s,
            fault: fault.name.clone(),
            kind: fault.kind.name().to_owned(),
            target: fault.target.to_string(),
            event,
            hits,
            detail,
        });
    }
}

/// The row of a fault that has only been scheduled.
pub(super) fn empty_row(scheduled: &ScheduledFault) -> FaultRow {
    let at = scheduled.window.from.as_secs_f64();
    FaultRow {
        name: scheduled.fault.name.clone(),
        kind: scheduled.fault.kind.name().to_owned(),
        target: scheduled.fault.target.to_string(),
        started_s: at,
        ended_s: at,
        ..FaultRow::default()
    }
}
