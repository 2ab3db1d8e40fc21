//! Whether a shop gets well by itself: the trigger is gone, the load is as before, does the goodput come back?
//!
//! An overloaded system can keep itself overloaded by its own retries, queues and cold caches after what threw it over
//! has long ended (Bronson et al., *Metastable Failures in Distributed Systems*, HotOS 2021). So it is looked at once
//! the last fault is over and has had [`SETTLE_S`] seconds to fade.
//!
//! **What the load is.** Shoppers arrive whatever the shop does, but within a visit each step waits for the answer to
//! the one before. So steps sent per second are no measure of the load: a shop that answers nothing is asked little. The
//! *load* is therefore the rate of arrivals that the scenario asks for, and the *demand* what the plan has in each
//! second: the steps that the crowd would take if every answer came at once. Neither depends on the shop. *Goodput* is
//! the steps answered as they should be, over the demand; chance in who arrives is in both and drops out. A shop that
//! fails has a goodput too low because steps fail, one that hangs because they do not come about.
//!
//! **The trigger.** A fault that is in force throughout, before the others and still when they have long ended, is no
//! trigger but a condition of the experiment, such as a disk that is slow all the time. It is in both stretches that are
//! compared.
//!
//! **The rule.** Of the last [`TAIL`] seconds whose rate of arrivals is within [`WITHIN`] of that before the first fault,
//! the goodput must be within [`WITHIN`] of what it was before, or more. Where it is not, but as many steps succeed as
//! before, the crowd merely asks for more than it did: nothing is said. With fewer than [`LEAST`] such seconds, or fewer than
//! [`DEMAND`] steps in either stretch, nothing is said. More than before is no fault: shoppers who were held up catch up.
//! A final phase that is too short says nothing either, so give a run some fifteen seconds after its last fault.

use crate::record::{FaultRow, Interval, Metastability, MetastabilityRow};
use crate::steady::BEFORE_S;

/// How far load and goodput may be from what they were before, as a share of it.
pub const WITHIN: f64 = 0.10;

/// Time that an effect is given to fade before it counts as staying.
pub const SETTLE_S: f64 = 5.0;

/// The last so many seconds are looked at.
pub const TAIL: usize = 10;

/// With fewer seconds than these nothing is said.
pub const LEAST: usize = 5;

/// With fewer planned steps than these nothing is said: a handful that came a second later would decide.
pub const DEMAND: u64 = 50;

/// A fault that ends within so many seconds of the run's end was in force until then.
const TO_THE_END_S: f64 = 2.0;

/// Looks at the seconds of a run in the order of time. None when nothing was injected.
pub fn check(intervals: &[Interval], faults: &[FaultRow]) -> Option<MetastabilityRow> {
    let triggers = triggers(faults, intervals.last().map_or(0.0, |last| last.t_s));
    let began_s = triggers.iter().map(|f| f.started_s);
    let began_s = began_s.min_by(f64::total_cmp)?;
    let ended_s = triggers.iter().map(|f| f.ended_s).max_by(f64::total_cmp)?;
    let before = Stretch::of(intervals.iter().filter(|second| {
        second.t_s <= began_s && second.t_s > began_s - BEFORE_S && second.measure
    }));
    let mut row = MetastabilityRow {
        trigger_ended_s: ended_s,
        arrivals_before: before.arrivals(),
        ok_before: before.ok_per_s(),
        goodput_before: before.goodput(),
        ..MetastabilityRow::default()
    };
    if before.is_thin() {
        row.why = Some("too little was measured before the first fault".to_owned());
        return Some(row);
    }
    let as_before = |second: &&Interval| {
        let off = second.planned.arrival_rate - row.arrivals_before;
        off.abs() <= WITHIN * row.arrivals_before
    };
    let later = intervals.iter().rev();
    let later = later.take_while(|second| second.t_s - 1.0 >= ended_s + SETTLE_S);
    let after = Stretch::of(later.filter(as_before).take(TAIL));
    row.arrivals_after = after.arrivals();
    row.ok_after = after.ok_per_s();
    row.goodput_after = after.goodput();
    if after.is_thin() {
        row.why = Some(format!(
            "there were {} seconds with the load as it was before, {SETTLE_S} s and more after the last fault; {LEAST} are needed",
            after.seconds
        ));
        return Some(row);
    }
    // Arrivals may be as before and the demand still higher: a rush leaves its shoppers behind.
    let least = (1.0 - WITHIN) * row.goodput_before;
    let as_much = least * before.demand_per_s().min(after.demand_per_s());
    if row.goodput_after >= least {
        row.verdict = Metastability::Recovered;
    } else if row.ok_after < as_much {
        row.verdict = Metastability::Metastable;
    } else {
        row.why = Some(format!(
            "as many steps succeed as before, but the crowd still asks for {:.0} a second, before {:.0}",
            after.demand_per_s(),
            before.demand_per_s()
        ));
    }
    Some(row)
}

/// The faults without those that are in force throughout; all of them where that leaves none.
fn triggers(faults: &[FaultRow], end_s: f64) -> Vec<&FaultRow> {
    let (short, long): (Vec<_>, Vec<_>) = faults
        .iter()
        .partition(|f| f.ended_s < end_s - TO_THE_END_S);
    let first_s = short.iter().map(|f| f.started_s).min_by(f64::total_cmp);
    let throughout = |f: &&FaultRow| first_s.is_some_and(|first| f.started_s + BEFORE_S <= first);
    if long.iter().all(throughout) && !short.is_empty() {
        short
    } else {
        faults.iter().collect()
    }
}

impl MetastabilityRow {
    /// The goodput in the last seconds as a share of what it was before.
    pub fn share(&self) -> f64 {
        if self.goodput_before > 0.0 {
            self.goodput_after / self.goodput_before
        } else {
            0.0
        }
    }
}

/// Some seconds together.
#[derive(Default)]
struct Stretch {
    seconds: usize,
    rates: f64,
    ok: u64,
    demand: u64,
}

impl Stretch {
    fn of<'r>(seconds: impl Iterator<Item = &'r Interval>) -> Self {
        seconds.fold(Self::default(), |sum, second| Self {
            seconds: sum.seconds + 1,
            rates: sum.rates + second.planned.arrival_rate,
            ok: sum.ok + second.all.ok,
            demand: sum.demand + second.planned.steps,
        })
    }

    fn is_thin(&self) -> bool {
        self.seconds < LEAST || self.demand < DEMAND
    }

    fn arrivals(&self) -> f64 {
        self.rates / self.seconds.max(1) as f64
    }

    fn ok_per_s(&self) -> f64 {
        self.ok as f64 / self.seconds.max(1) as f64
    }

    fn demand_per_s(&self) -> f64 {
        self.demand as f64 / self.seconds.max(1) as f64
    }

    fn goodput(&self) -> f64 {
        self.ok as f64 / self.demand.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PlannedDemand, StepInterval};

    /// Forty seconds under an even load, each with `ok` steps of a hundred planned.
    fn run(ok: impl Fn(u32) -> u64) -> Vec<Interval> {
        let second = |t: u32| Interval {
            t_s: f64::from(t),
            measure: true,
            all: StepInterval {
                requests: ok(t),
                ok: ok(t),
                ..StepInterval::default()
            },
            planned: PlannedDemand {
                arrival_rate: 10.0,
                steps: 100,
                ..PlannedDemand::default()
            },
            ..Interval::default()
        };
        (1..=40).map(second).collect()
    }

    fn fault(started_s: f64, ended_s: f64) -> FaultRow {
        FaultRow {
            started_s,
            ended_s,
            ..FaultRow::default()
        }
    }

    fn verdict(intervals: &[Interval]) -> Metastability {
        check(intervals, &[fault(12.0, 20.0)]).unwrap().verdict
    }

    #[test]
    fn a_shop_that_is_itself_again_has_recovered() {
        let row = check(
            &run(|t| if t > 12 && t <= 24 { 20 } else { 95 }),
            &[fault(12.0, 20.0)],
        );
        let row = row.unwrap();
        assert_eq!(row.verdict, Metastability::Recovered);
        assert_eq!((row.ok_before, row.ok_after), (95.0, 95.0));
        assert_eq!(row.share(), 1.0);
        // Those who were held up catch up.
        let crowded = run(|t| if t > 20 { 130 } else { 95 });
        assert_eq!(verdict(&crowded), Metastability::Recovered);
    }

    #[test]
    fn a_shop_that_stays_down_under_the_same_load_is_metastable() {
        let down = run(|t| if t > 12 { 30 } else { 100 });
        let row = check(&down, &[fault(12.0, 20.0)]).unwrap();
        assert_eq!(row.verdict, Metastability::Metastable);
        assert!((row.share() - 0.3).abs() < 1e-9);
        let nearly = |after| run(move |t| if t > 12 { after } else { 100 });
        assert_eq!(verdict(&nearly(90)), Metastability::Recovered);
        assert_eq!(verdict(&nearly(89)), Metastability::Metastable);
    }

    #[test]
    fn the_first_fault_sets_the_measure_and_the_last_one_the_time() {
        let down = run(|t| if t > 12 { 30 } else { 100 });
        let faults = [fault(25.0, 27.0), fault(12.0, 14.0)];
        let row = check(&down, &faults).unwrap();
        assert_eq!(
            (row.verdict, row.trigger_ended_s),
            (Metastability::Metastable, 27.0)
        );
        assert_eq!(row.goodput_before, 1.0);
    }

    #[test]
    fn a_fault_that_is_there_all_the_time_is_no_trigger() {
        let down = run(|t| if t > 12 { 30 } else { 100 });
        let disk = fault(1.0, 39.5);
        let row = check(&down, &[disk.clone(), fault(12.0, 14.0)]).unwrap();
        assert_eq!(
            (row.verdict, row.trigger_ended_s),
            (Metastability::Metastable, 14.0)
        );
        // Alone it is what happened.
        let row = check(&down, std::slice::from_ref(&disk)).unwrap();
        assert_eq!(row.verdict, Metastability::Unknown);
        // One that ends in the stretch that is looked at afterwards is over in some of it.
        let row = check(&down, &[fault(1.0, 31.0), fault(12.0, 14.0)]).unwrap();
        assert_eq!(row.trigger_ended_s, 31.0);
        // One that begins with the others has no stretch before them.
        let row = check(&down, &[fault(11.0, 39.5), fault(12.0, 14.0)]).unwrap();
        assert_eq!(row.trigger_ended_s, 39.5);
    }

    #[test]
    fn a_rush_that_is_still_in_the_shop_is_no_sign_of_anything() {
        let mut rush = run(|_| 100);
        for second in rush.iter_mut().filter(|second| second.t_s > 12.0) {
            second.planned.steps = 250;
        }
        let row = check(&rush, &[fault(12.0, 20.0)]).unwrap();
        assert_eq!(row.verdict, Metastability::Unknown);
        assert!(
            row.why
                .unwrap()
                .contains("still asks for 250 a second, before 100")
        );
        // Less than before, though more is asked for, is one.
        for second in rush.iter_mut().filter(|second| second.t_s > 12.0) {
            second.all.ok = 60;
        }
        assert_eq!(verdict(&rush), Metastability::Metastable);
    }

    #[test]
    fn a_load_that_went_away_or_a_run_that_ended_proves_nothing() {
        let mut lighter = run(|t| if t > 12 { 30 } else { 100 });
        for second in lighter.iter_mut().filter(|second| second.t_s > 24.0) {
            second.planned.arrival_rate = 8.9;
        }
        assert_eq!(verdict(&lighter), Metastability::Unknown);
        let cut = &run(|_| 100)[..29];
        let row = check(cut, &[fault(12.0, 20.0)]).unwrap();
        assert_eq!(row.verdict, Metastability::Unknown);
        assert!(row.why.unwrap().contains("there were 4 seconds"));
        let at_once = check(&run(|_| 100), &[fault(2.0, 20.0)]).unwrap();
        assert!(at_once.why.unwrap().contains("before the first fault"));
        assert_eq!(check(&run(|_| 100), &[]), None);
    }
}
