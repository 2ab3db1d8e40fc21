//! What a plan asks of the shop, second by second, if every answer came at once.
//!
//! It follows from the seed alone. Whatever the shop does, this is what its crowd had in mind, and so what its goodput
//! and its orders can be held against.

use std::time::Duration;

use results::record::Planned;

use crate::plan::Plan;
use crate::spec::{Load, Phase};
use crate::step::Step;

impl Plan {
    /// The demand in each second, the first second first. Logging in is no step of a walk and not counted. Walks the
    /// whole plan once.
    pub fn demand(&self) -> Vec<Planned> {
        let total = self.load().total();
        let seconds = total.as_secs_f64().ceil() as usize;
        let mut demand = vec![Planned::default(); seconds];
        for (second, planned) in demand.iter_mut().enumerate() {
            planned.arrival_rate = rate(self.load(), second as f64);
        }
        let mut note = |at: Duration, add: &dyn Fn(&mut Planned)| {
            if at < total
                && let Some(planned) = demand.get_mut(at.as_secs() as usize)
            {
                add(planned);
            }
        };
        for session in self.sessions() {
            let mut at = session.at;
            note(at, &|planned| planned.sessions += 1);
            for step in session.walk {
                at += step.think;
                note(at, &|planned| {
                    planned.steps += 1;
                    planned.purchases += u64::from(step.step == Step::BuyConfirm);
                });
            }
        }
        demand
    }
}

/// Arrivals per second that a load asks for, on average over the second that begins at `from`, as far as the load lasts.
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

/// The rate some time into a phase. It changes evenly, so its mean over a stretch is that of the middle.
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
    fn the_rate_is_what_the_phases_ask_for() {
        let demand = plan().demand();
        assert_eq!(demand.len(), 15);
        let rates: Vec<f64> = demand.iter().map(|second| second.arrival_rate).collect();
        assert!(rates[..10].iter().all(|rate| *rate == 20.0));
        // Half a second at 20/s, and half of one in which it grows to 25/s.
        assert!((rates[10] - 21.25).abs() < 1e-9, "{rates:?}");
        assert!((rates[12] - 40.0).abs() < 1e-9, "{rates:?}");
        assert!(
            (rates[14] - 57.5).abs() < 1e-9,
            "the half second that is left: {rates:?}"
        );
    }

    #[test]
    fn everyone_who_comes_and_every_step_before_the_end_is_counted_once() {
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
        let sum = |of: fn(&Planned) -> u64| demand.iter().map(of).sum::<u64>();
        assert_eq!(sum(|second| second.sessions), sessions);
        assert_eq!(sum(|second| second.steps), steps);
        assert_eq!(sum(|second| second.purchases), purchases);
        assert!(purchases > 0);
    }
}
