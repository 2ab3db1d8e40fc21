//! Merges the reports of all workers: one interval per second for the record, and totals for the summary.
//!
//! Pure: it takes reports and returns events. Every worker reports once a second with a sequence number. A second is
//! complete when all workers that still run have reported it.

use std::collections::BTreeMap;
use std::time::Duration;

use results::hlog::LatencyKind;
use results::record::{Generator, Interval, Lateness, PhaseRow, StepRow};

use crate::event::{Event, StepHistogram};
use crate::request::Failure;
use crate::spec::Load;
use crate::stats::{LoadStats, WorkerReport};
use crate::validity::{SelfMeasurement, doubts};

/// The seconds that are not complete yet, and the totals of those that are.
pub(crate) struct Collector<'l> {
    load: &'l Load,
    /// The last second that each worker has reported. `u64::MAX` after its last report.
    reported: Vec<u64>,
    pending: BTreeMap<u64, LoadStats>,
    totals: LoadStats,
    /// When the latest report was sent.
    ended: Duration,
}

/// The totals when all workers have ended.
pub(crate) struct Totals {
    pub(crate) generator: Generator,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) phases: Vec<PhaseRow>,
    pub(crate) doubts: Vec<String>,
}

impl<'l> Collector<'l> {
    pub(crate) fn new(load: &'l Load, workers: usize) -> Self {
        Self {
            load,
            reported: vec![0; workers],
            pending: BTreeMap::new(),
            totals: LoadStats::default(),
            ended: Duration::ZERO,
        }
    }

    /// Takes a worker's report. Returns the events of the seconds that it completes.
    pub(crate) fn take(&mut self, report: WorkerReport) -> Vec<Event> {
        let second = report.second;
        self.ended = self.ended.max(report.at);
        self.pending.entry(second).or_default().merge(&report.stats);
        self.reported[report.worker] = if report.last { u64::MAX } else { second };
        let complete = self.reported.iter().copied().min().unwrap_or(u64::MAX);
        let mut events = Vec::new();
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() > complete {
                break;
            }
            let (second, stats) = entry.remove_entry();
            self.events(second, &stats, &mut events);
            self.totals.merge(&stats);
        }
        events
    }

    fn events(&self, second: u64, stats: &LoadStats, events: &mut Vec<Event>) {
        let from = Duration::from_secs(second - 1);
        // The last second may be shorter.
        let to = Duration::from_secs(second).min(self.ended).max(from);
        if to - from < Duration::from_secs(1) && stats.is_empty() {
            return;
        }
        // A second that ends with a phase belongs to that phase: phases do not include their end.
        let phase = self
            .load
            .phase_at(to.saturating_sub(Duration::from_nanos(1)));
        let mut interval = Interval {
            t_s: to.as_secs_f64(),
            phase: phase.map(|p| p.name.clone()).unwrap_or_default(),
            measure: phase.is_some_and(|p| p.measure),
            offered: stats.offered,
            sent: stats.sent,
            dropped: stats.dropped,
            sessions_active: stats.active_sessions,
            lateness_us: Lateness::of(&stats.lateness),
            all: stats.all().summary(),
            ..Interval::default()
        };
        for (step, step_stats) in stats.by_step() {
            let name = step.name();
            interval.steps.insert(name.to_owned(), step_stats.summary());
            for (kind, histogram) in [
                (LatencyKind::Response, step_stats.response),
                (LatencyKind::Service, step_stats.service),
            ] {
                events.push(Event::Histogram(StepHistogram {
                    step: name,
                    kind,
                    start_s: from.as_secs_f64(),
                    lasts: to - from,
                    histogram,
                }));
            }
        }
        events.push(Event::Interval(Box::new(interval)));
    }

    /// The totals, after the last report of every worker.
    pub(crate) fn finish(self, interrupted: bool) -> Totals {
        let all = self.totals.all();
        let lateness_us = Lateness::of(&self.totals.lateness);
        let doubts = doubts(&SelfMeasurement {
            offered: self.totals.offered,
            dropped: self.totals.dropped,
            own_failures: all.failed_by(Failure::Generator),
            lateness_us,
            stall: self.totals.stall,
            response_p99_us: all.summary().response_us.p99,
        });
        Totals {
            generator: Generator {
                offered: self.totals.offered,
                sent: self.totals.sent,
                dropped: self.totals.dropped,
                lateness_us,
                valid: doubts.is_empty(),
            },
            steps: self.steps(),
            phases: self.phases(interrupted),
            doubts,
        }
    }

    /// Measured phases only, in the order of phases and steps.
    fn steps(&self) -> Vec<StepRow> {
        let rows = self
            .totals
            .steps
            .iter()
            .filter_map(|((phase, step), step_stats)| {
                let phase = self.load.phases.get(*phase).filter(|p| p.measure)?;
                let seen = step_stats.summary();
                Some(StepRow {
                    step: step.name().to_owned(),
                    phase: phase.name.clone(),
                    requests: seen.requests,
                    ok: seen.ok,
                    failed: seen.failed,
                    errors: seen.errors,
                    response_us: seen.response_us,
                    service_us: seen.service_us,
                })
            });
        rows.collect()
    }

    fn phases(&self, interrupted: bool) -> Vec<PhaseRow> {
        // The workers may wait for replies beyond the last phase. That time belongs to no phase.
        let end = if interrupted {
            self.ended.min(self.load.total())
        } else {
            self.load.total()
        };
        let mut from = Duration::ZERO;
        let mut rows = Vec::new();
        for phase in &self.load.phases {
            if from >= end {
                break;
            }
            let to = from + phase.lasts;
            rows.push(PhaseRow {
                name: phase.name.clone(),
                from_s: from.as_secs_f64(),
                to_s: to.min(end).as_secs_f64(),
                measure: phase.measure,
            });
            from = to;
        }
        rows
    }
}
