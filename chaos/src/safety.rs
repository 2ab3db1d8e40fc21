//! When an experiment is to stop: conditions on what shoppers meet, judged second by second. Pure: the seconds are
//! passed in.
//!
//! ```yaml
//! abort:
//!   - { errors: 50%, for: 5s }
//!   - { step: buy_confirm, p99: 10s, for: 5s }
//! ```
//!
//! What happens then is the run's to do: the faults are removed at once, none comes any more, the crowd is sent home.

use std::time::Duration;

use results::expect::Limit;
use results::record::{Interval, StepInterval};
use syntax::units::show_duration;

/// A second's figures may come a moment early or late.
const SLACK_S: f64 = 0.25;

/// One condition to stop at.
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// The step that it looks at; all steps together when absent.
    pub step: Option<String>,
    /// What is too much: a figure that reaches it.
    pub limit: Limit,
    /// For how long without a break.
    pub lasts: Duration,
}

/// Watches over a run.
#[derive(Debug, Clone)]
pub struct Guard {
    watched: Vec<Watched>,
}

#[derive(Debug, Clone)]
struct Watched {
    condition: Abort,
    /// The beginning of the first bad second of those that are going on.
    since_s: Option<f64>,
}

impl Guard {
    /// A guard that knows these conditions.
    pub fn new(conditions: impl IntoIterator<Item = Abort>) -> Self {
        let watched = |condition| Watched {
            condition,
            since_s: None,
        };
        Self {
            watched: conditions.into_iter().map(watched).collect(),
        }
    }

    /// Takes in a second. Gives the reason in words when it is the one that is too much.
    ///
    /// A second in which nothing was answered says nothing: it neither clears a condition nor fulfils it, so that a
    /// step that is rarely taken is judged by the seconds in which it was.
    pub fn judge(&mut self, second: &Interval) -> Option<String> {
        self.watched.iter_mut().find_map(|w| w.judge(second))
    }
}

impl Watched {
    fn judge(&mut self, second: &Interval) -> Option<String> {
        let figures = match &self.condition.step {
            None => &second.all,
            Some(step) => second.steps.get(step)?,
        };
        if figures.requests == 0 {
            return None;
        }
        let Some(seen) = self.condition.reached(figures) else {
            self.since_s = None;
            return None;
        };
        let since_s = *self.since_s.get_or_insert((second.t_s - 1.0).max(0.0));
        let lasted = second.t_s - since_s + SLACK_S >= self.condition.lasts.as_secs_f64();
        lasted.then(|| self.condition.reason(&seen))
    }
}

impl Abort {
    /// What was seen, where it reaches the limit.
    fn reached(&self, figures: &StepInterval) -> Option<String> {
        match self.limit {
            Limit::Errors { at_most } => {
                let ratio = figures.failed as f64 / figures.requests as f64;
                (ratio >= at_most).then(|| percent(ratio))
            }
            Limit::Response { quantile, at_most } => {
                let seen = Duration::from_micros(quantile.of(&figures.response_us));
                (seen >= at_most).then(|| format!("{:.2}s", seen.as_secs_f64()))
            }
        }
    }

    fn reason(&self, seen: &str) -> String {
        let whose = match &self.step {
            None => "all steps together".to_owned(),
            Some(step) => step.clone(),
        };
        let (what, limit) = match self.limit {
            Limit::Errors { at_most } => ("errors", percent(at_most)),
            Limit::Response { quantile, at_most } => (quantile.name(), show_duration(at_most)),
        };
        format!(
            "{what} of {whose} were at {limit} or more for {}, {seen} at last",
            show_duration(self.lasts)
        )
    }
}

fn percent(ratio: f64) -> String {
    let digits = format!("{:.1}", ratio * 100.0);
    format!("{}%", digits.trim_end_matches(".0"))
}
