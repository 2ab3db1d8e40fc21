//! The statistics of a worker. Their size depends on steps and phases, never on the number of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use results::quantiles::{self, new_histogram};
use results::record::{Quantiles, StepInterval};

use crate::request::Failure;
use crate::step::Step;

/// The instants of one step, from the start of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// When it was due.
    pub(crate) intended: Duration,
    /// When it was sent.
    pub(crate) sent: Duration,
    /// When its last byte arrived or it failed.
    pub(crate) done: Duration,
}

/// Counts and latencies of one step.
#[derive(Debug, Clone)]
pub(crate) struct StepStats {
    ok: u64,
    failures: BTreeMap<Failure, u64>,
    pub(crate) response: Histogram<u64>,
    pub(crate) service: Histogram<u64>,
}

/// Counts and latencies of all steps in some span of time.
#[derive(Debug, Clone)]
pub(crate) struct LoadStats {
    pub(crate) offered: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) lateness: Histogram<u64>,
    /// How late the worker's heartbeat was at most.
    pub(crate) stall: Duration,
    /// By step and the phase of its intended instant.
    pub(crate) steps: BTreeMap<(usize, Step), StepStats>,
    /// Sessions in progress at the end of the time span.
    pub(crate) active_sessions: u64,
}

/// The statistics of one worker for one second.
#[derive(Debug)]
pub(crate) struct WorkerReport {
    /// Which worker, from 0.
    pub(crate) worker: usize,
    /// Which second, from 1.
    pub(crate) second: u64,
    /// When it was sent, from the start of the load.
    pub(crate) at: Duration,
    pub(crate) stats: LoadStats,
    /// Whether it is the worker's last report.
    pub(crate) last: bool,
}

impl Default for StepStats {
    fn default() -> Self {
        Self {
            ok: 0,
            failures: BTreeMap::new(),
            response: new_histogram(),
            service: new_histogram(),
        }
    }
}

impl StepStats {
    pub(crate) fn record(&mut self, timing: Timing, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.ok += 1,
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
        let since = |from| timing.done.saturating_sub(from);
        quantiles::record(&mut self.response, since(timing.intended));
        quantiles::record(&mut self.service, since(timing.sent));
    }

    pub(crate) fn merge(&mut self, other: &StepStats) {
        self.ok += other.ok;
        for (failure, n) in &other.failures {
            *self.failures.entry(*failure).or_default() += n;
        }
        add(&mut self.response, &other.response);
        add(&mut self.service, &other.service);
    }

    /// How often it failed for this reason.
    pub(crate) fn failed_by(&self, failure: Failure) -> u64 {
        self.failures.get(&failure).copied().unwrap_or_default()
    }

    /// Counts and quantiles in the format of the record.
    pub(crate) fn summary(&self) -> StepInterval {
        let failed = self.failures.values().sum();
        let errors = self.failures.iter().map(|(f, n)| (f.to_string(), *n));
        StepInterval {
            requests: self.ok + failed,
            ok: self.ok,
            failed,
            errors: errors.collect(),
            response_us: Quantiles::of(&self.response),
            service_us: Quantiles::of(&self.service),
        }
    }
}

impl Default for LoadStats {
    fn default() -> Self {
        Self {
            offered: 0,
            sent: 0,
            dropped: 0,
            lateness: new_histogram(),
            stall: Duration::ZERO,
            steps: BTreeMap::new(),
            active_sessions: 0,
        }
    }
}

impl LoadStats {
    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.offered == 0 && self.steps.is_empty()
    }

    /// Counts a step that is being sent.
    pub(crate) fn sent(&mut self, lateness: Duration) {
        self.offered += 1;
        self.sent += 1;
        quantiles::record(&mut self.lateness, lateness);
    }

    /// Counts a step that could not be sent because all sessions were in use.
    pub(crate) fn dropped(&mut self) {
        self.offered += 1;
        self.dropped += 1;
    }

    /// Counts a completed step.
    pub(crate) fn record(
        &mut self,
        phase: usize,
        step: Step,
        timing: Timing,
        result: Result<(), Failure>,
    ) {
        let stats = self.steps.entry((phase, step)).or_default();
        stats.record(timing, result);
    }

    /// Adds the statistics of another worker or time span. Sessions in progress are added too, so their sum means
    /// something only if both belong to the same second.
    pub(crate) fn merge(&mut self, other: &LoadStats) {
        self.offered += other.offered;
        self.sent += other.sent;
        self.dropped += other.dropped;
        add(&mut self.lateness, &other.lateness);
        self.stall = self.stall.max(other.stall);
        for (key, stats) in &other.steps {
            self.steps.entry(*key).or_default().merge(stats);
        }
        self.active_sessions += other.active_sessions;
    }

    /// By step, over all phases.
    pub(crate) fn by_step(&self) -> BTreeMap<Step, StepStats> {
        let mut steps: BTreeMap<Step, StepStats> = BTreeMap::new();
        for ((_, step), stats) in &self.steps {
            steps.entry(*step).or_default().merge(stats);
        }
        steps
    }

    /// Over all steps and phases.
    pub(crate) fn all(&self) -> StepStats {
        let mut all = StepStats::default();
        for stats in self.steps.values() {
            all.merge(stats);
        }
        all
    }
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other)
        .expect("all histograms have the same bounds and digits");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(intended: u64, sent: u64, done: u64) -> Timing {
        let ms = Duration::from_millis;
        Timing {
            intended: ms(intended),
            sent: ms(sent),
            done: ms(done),
        }
    }

    #[test]
    fn a_late_send_counts_in_the_response_time_and_not_in_the_service_time() {
        let mut stats = StepStats::default();
        stats.record(timing(100, 600, 700), Err(Failure::Timeout));
        let seen = stats.summary();
        assert_eq!((seen.requests, seen.ok, seen.failed), (1, 0, 1));
        assert_eq!(seen.errors["timeout"], 1);
        assert!(stats.response.equivalent(seen.response_us.max, 600_000));
        assert!(stats.service.equivalent(seen.service_us.max, 100_000));
    }

    #[test]
    fn stats_of_two_workers_add_up_without_loss() {
        let (mut a, mut b) = (LoadStats::default(), LoadStats::default());
        a.sent(Duration::from_millis(1));
        a.record(0, Step::Home, timing(0, 0, 10), Ok(()));
        b.sent(Duration::from_millis(3));
        b.record(0, Step::Home, timing(0, 0, 30), Err(Failure::Http(503)));
        b.record(1, Step::Home, timing(0, 0, 20), Ok(()));
        b.dropped();
        a.merge(&b);
        assert_eq!((a.offered, a.sent, a.dropped), (3, 2, 1));
        assert_eq!(a.lateness.len(), 2);
        assert_eq!(a.steps[&(0, Step::Home)].summary().requests, 2);
        let all = a.all().summary();
        assert_eq!(all, a.by_step()[&Step::Home].summary());
        assert_eq!((all.requests, all.ok, all.errors["http_503"]), (3, 2, 1));
    }
}
