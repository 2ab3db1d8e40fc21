//! The course of one fault: asked, in force, ended, or refused. It reports each station and writes the row.

use std::sync::Arc;
use std::time::Duration;

use results::record::{FaultEvent, FaultEventKind, FaultRow};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::injection::Injection;
use super::{Board, Clock, FaultNow};
use crate::schedule::{Observed, Planned};

/// What it takes to follow one fault.
pub(super) struct Course {
    pub(super) planned: Arc<Planned>,
    pub(super) clock: Clock,
    pub(super) events: mpsc::UnboundedSender<FaultEvent>,
    pub(super) board: Arc<watch::Sender<Board>>,
    pub(super) poll: Duration,
}

impl Course {
    /// Follows the fault until `over` is cancelled, or until it is gone by itself. Gives its row and what others may
    /// have waited for.
    pub(super) async fn run(
        self,
        mut injection: Box<dyn Injection>,
        over: CancellationToken,
    ) -> (FaultRow, Observed) {
        let name = self.planned.fault.name.clone();
        let mut row = empty_row(&self.planned);
        self.report(FaultEventKind::Asked, None, None);
        let begun = injection.begin().await;
        row.started_s = self.clock.elapsed().as_secs_f64();
        match begun {
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
        self.post(|now| now.active = true);

        let last_known = self.look_after(injection.as_mut(), &over).await;

        let trouble = injection.end().await;
        row.ended_s = self.clock.elapsed().as_secs_f64();
        let hits = injection.total().await.or(last_known);
        row.hits = hits.unwrap_or(0);
        self.post(|now| {
            now.active = false;
            now.hits = row.hits;
        });
        let unproven = || "how many requests it hit is not known".to_owned();
        row.end_error.clone_from(&trouble);
        let detail = trouble.or_else(|| hits.is_none().then(unproven));
        self.report_at(row.ended_s, FaultEventKind::Ended, hits, detail);
        (row, Observed::Ended(name))
    }

    /// Tells of a fault that does not come, and gives its row.
    pub(super) fn miss(self, why: String) -> FaultRow {
        let row = empty_row(&self.planned);
        self.report_at(row.started_s, FaultEventKind::Refused, None, Some(why));
        row
    }

    /// Returns the last known count of hits when the fault is to end, or has.
    async fn look_after(
        &self,
        injection: &mut dyn Injection,
        over: &CancellationToken,
    ) -> Option<u64> {
        let mut last_known = None;
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => return last_known,
                () = sleep(self.poll) => {}
            }
            let seen = injection.look().await;
            if let Some(hits) = seen.hits {
                last_known = Some(hits);
                self.post(|now| now.hits = hits);
            }
            if let Some(detail) = seen.repaired {
                self.report(FaultEventKind::InForce, seen.hits, Some(detail));
            }
            if seen.gone {
                return last_known;
            }
        }
    }

    /// Changes this fault's place on the board.
    fn post(&self, change: impl FnOnce(&mut FaultNow)) {
        self.board.send_modify(|board| {
            if let Some(now) = board.get_mut(&self.planned.fault.name) {
                change(now);
            }
        });
    }

    fn report(&self, event: FaultEventKind, hits: Option<u64>, detail: Option<String>) {
        self.report_at(self.clock.elapsed().as_secs_f64(), event, hits, detail);
    }

    /// Nobody may be listening any more; the fault takes its course all the same.
    fn report_at(
        &self,
        t_s: f64,
        event: FaultEventKind,
        hits: Option<u64>,
        detail: Option<String>,
    ) {
        let fault = &self.planned.fault;
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

/// The row of a fault of which nothing is known but its plan.
pub(super) fn empty_row(planned: &Planned) -> FaultRow {
    let at = planned.window.from.as_secs_f64();
    FaultRow {
        name: planned.fault.name.clone(),
        kind: planned.fault.kind.name().to_owned(),
        target: planned.fault.target.to_string(),
        started_s: at,
        ended_s: at,
        ..FaultRow::default()
    }
}
