//! When to stop an experiment: conditions on the requests of the shoppers, checked every second. Pure: the seconds are
//! passed in.
//!
//! ```yaml
//! abort:
//!   - { errors: 50%, for: 5s }
//!   - { step: buy_confirm, p99: 10s, for: 5s }
//! ```
//!
//! The run then ends all faults, injects no more, and stops the load.

use std::time::Duration;

use results::expect::Limit;
use results::record::{Interval, StepInterval};
use syntax::units::show_duration;

/// The timestamps of seconds may be off by this much.
const SLACK_S: f64 = 0.25;

/// A condition on which the experiment stops.
#[derive(Debug, Clone, PartialEq)]
pub struct AbortCondition {
    /// The step to watch; all steps together when `None`.
    pub step: Option<String>,
    /// The condition is met at this value or more.
    pub limit: Limit,
    /// How long it must be met without a break.
    pub lasts: Duration,
}

/// Checks the conditions every second.
#[derive(Debug, Clone)]
pub struct AbortMonitor {
    watched: Vec<Watched>,
}

#[derive(Debug, Clone)]
struct Watched {
    condition: AbortCondition,
    /// When the current series of seconds began in which the condition is met, in seconds of the run.
    since_s: Option<f64>,
}

impl AbortMonitor {
    /// A monitor of these conditions.
    pub fn new(conditions: impl IntoIterator<Item = AbortCondition>) -> Self {
        let watched = |condition| Watched {
            condition,
            since_s: None,
        };
        Self {
            watched: conditions.into_iter().map(watched).collect(),
        }
    }

    /// Checks one second. Returns the reason to stop, if there is one.
    ///
    /// A second without replies is ignored: it neither meets nor interrupts a condition. So a rare step is judged by
    /// the seconds in which it was taken.
    pub fn check(&mut self, second: &Interval) -> Option<String> {
        self.watched.iter_mut().find_map(|w| w.check(second))
    }
}

impl Watched {
    fn check(&mut self, second: &Interval) -> Option<String> {
        let metrics = match &self.condition.step {
            None => &second.all,
            Some(step) => second.steps.get(step)?,
        };
        if metrics.requests == 0 {
            return None;
        }
        let Some(value) = self.condition.exceeded(metrics) else {
            self.since_s = None;
            return None;
        };
        let since_s = *self.since_s.get_or_insert((second.t_s - 1.0).max(0.0));
        let lasted = second.t_s - since_s + SLACK_S >= self.condition.lasts.as_secs_f64();
        lasted.then(|| self.condition.reason(&value))
    }
}

impl AbortCondition {
    /// The value, if it is at the limit or more.
    fn exceeded(&self, metrics: &StepInterval) -> Option<String> {
        match self.limit {
            Limit::Errors { at_most } => {
                let ratio = metrics.failed as f64 / metrics.requests as f64;
                (ratio >= at_most).then(|| percent(ratio))
            }
            Limit::Response { quantile, at_most } => {
                let value = Duration::from_micros(quantile.of(&metrics.response_us));
                (value >= at_most).then(|| format!("{:.2}s", value.as_secs_f64()))
            }
        }
    }

    fn reason(&self, value: &str) -> String {
        let steps = match &self.step {
            None => "all steps together".to_owned(),
            Some(step) => step.clone(),
        };
        let (metric, limit) = match self.limit {
            Limit::Errors { at_most } => ("errors", percent(at_most)),
            Limit::Response { quantile, at_most } => (quantile.name(), show_duration(at_most)),
        };
        format!(
            "{metric} of {steps} were at {limit} or more for {}, {value} at last",
            show_duration(self.lasts)
        )
    }
}

fn percent(ratio: f64) -> String {
    let digits = format!("{:.1}", ratio * 100.0);
    format!("{}%", digits.trim_end_matches(".0"))
}
