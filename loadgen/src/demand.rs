//! The demand of a plan: what shoppers would do in each second if every reply came at once.
//!
//! It follows from the seed alone and does not depend on the shop. Goodput and orders are compared with it.

use std::time::Duration;

use results::record::PlannedDemand;

use crate::plan::Plan;
use crate::spec::{Load, Phase};
use crate::step::Step;

impl Plan {
    /// The demand in each second, starting with the first. Logins are not counted, since they are no steps of a walk.
    /// Iterates over the whole plan once.
    pub fn demand(&self) -> Vec<PlannedDemand> {
        let total = self.load().total();
        let seconds = total.as_secs_f64().ceil() as usize;
        let mut demand = vec![PlannedDemand::default(); seconds];
        for (second, planned) in demand.iter_mut().enumerate() {
            planned.arrival_rate = rate(self.load(), second as f64);
        }
        let mut add = |at: Duration, update: &dyn Fn(&mut PlannedDemand)| {
            if at < total
                && let Some(planned) = demand.get_mut(at.as_secs() as usize)
            {
                update(planned);
            }
        };
        for session in self.sessions() {
            let mut at = session.at;
            add(at, &|planned| planned.sessions += 1);
            for step in session.walk {
                at += step.think;
                add(at, &|planned| {
                    planned.steps += 1;
                    planned.purchases += u64::from(step.step == Step::BuyConfirm);
                });
            }
        }
        demand
    }
}

/// The mean arrival rate of a load in the second that begins at `from`, or in the part of it that the load lasts.
fn rate(load: &Load, from: f64) -> f64 {
    let (mut begins, mut arrivals, mut lasts) = (0.0, 0.0, 0.0);
    for phase in &load.phases {
        let length = phase.lasts.as_secs_f64();
        let a = (from - begins).clamp(0.0, length);
        let b = (from + 1.0 - begins).clamp(0.0, length);
        arrivals += rate_at(phase, (a + b) / 2.0) * (b - a);
        lasts += b - a;
        begins += length;
    }
    if lasts > 0.0 { arrivals / lasts } else { 0.0 }
}

/// The rate some time into a phase. It changes linearly, so the mean of a time span is the rate in its middle.
fn rate_at(phase: &Phase, into: f64) -> f64 {
    let length = phase.lasts.as_secs_f64();
    if length <= 0.0 {
        return 0.0;
    }
    phase.from_rate + (phase.to_rate - phase.from_rate) * into / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mix;

    fn plan() -> Plan {
        let phase = |name: &str, lasts, from_rate, to_rate| Phase {
            name: name.to_owned(),
            lasts: Duration::from_millis(lasts),
            from_rate,
            to_rate,
            measure: true,
        };
        let load = Load {
            mix: Mix::named("ordering").unwrap(),
            think: Duration::from_millis(300),
            session: Duration::from_secs(3),
            phases: vec![
                phase("steady", 10_500, 20.0, 20.0),
                phase("ramp", 4_000, 20.0, 60.0),
            ],
            timeout: Duration::from_secs(10),
            max_sessions: 100,
        };
        Plan::new(load, 7, 100)
    }

    #[test]
    fn the_arrival_rate_is_that_of_the_phases() {
        let demand = plan().demand();
        assert_eq!(demand.len(), 15);
        let rates: Vec<f64> = demand.iter().map(|second| second.arrival_rate).collect();
        assert!(rates[..10].iter().all(|rate| *rate == 20.0));
        // Half a second at 20/s, and half a second in which it grows to 25/s.
        assert!((rates[10] - 21.25).abs() < 1e-9, "{rates:?}");
        assert!((rates[12] - 40.0).abs() < 1e-9, "{rates:?}");
        assert!(
            (rates[14] - 57.5).abs() < 1e-9,
            "the half second that is left: {rates:?}"
        );
    }

    #[test]
    fn every_session_and_every_step_before_the_end_is_counted_once() {
        let plan = plan();
        let demand = plan.demand();
        let total = plan.load().total();
        let (mut sessions, mut steps, mut purchases) = (0, 0, 0);
        for session in plan.sessions() {
            sessions += 1;
            let mut at = session.at;
            for step in &session.walk {
                at += step.think;
                steps += u64::from(at < total);
                purchases += u64::from(at < total && step.step == Step::BuyConfirm);
            }
        }
        let sum = |of: fn(&PlannedDemand) -> u64| demand.iter().map(of).sum::<u64>();
        assert_eq!(sum(|second| second.sessions), sessions);
        assert_eq!(sum(|second| second.steps), steps);
        assert_eq!(sum(|second| second.purchases), purchases);
        assert!(purchases > 0);
    }
}
