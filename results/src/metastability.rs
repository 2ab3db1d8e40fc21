//! Whether a shop recovers on its own: once the trigger is gone and the load is as before, does the goodput come back?
//!
//! An overloaded system can keep itself overloaded by its own retries, queues and cold caches, long after the trigger
//! has ended (Bronson et al., *Metastable Failures in Distributed Systems*, HotOS 2021). So goodput is checked after
//! the last fault plus [`SETTLE_S`] seconds.
//!
//! **Load.** Shoppers arrive whatever the shop does, but within a session each step waits for the reply to the one
//! before. So the steps sent per second do not measure the load: a shop that does not reply gets few requests. The
//! *load* is therefore the arrival rate of the scenario, and the *demand* is the number of steps that the plan has in
//! each second: the steps that shoppers would take if every reply came at once. Neither depends on the shop. *Goodput*
//! is the number of successful steps over the demand, so random variation of arrivals cancels out. It is too low if
//! steps fail, and also if the shop hangs and steps are not taken.
//!
//! **Trigger.** A fault that starts before the others and outlasts them is no trigger but a condition of the
//! experiment, such as a disk that is always slow. It affects both time spans that are compared.
//!
//! **Rule.** The goodput is taken over the last [`MAX_SECONDS`] seconds with an arrival rate within [`TOLERANCE`] of
//! that before the first fault. It must reach the goodput before, minus [`TOLERANCE`]. If it does not, but as many
//! steps succeed as before, the demand is merely higher, and the verdict is unknown. It is also unknown with fewer than
//! [`MIN_SECONDS`] such seconds, or fewer than [`MIN_DEMAND`] steps in either time span. More goodput than before is
//! good: delayed shoppers catch up. So a run needs about fifteen seconds after its last fault.

use crate::record::{FaultRow, Interval, Metastability, MetastabilityRow};
use crate::steady::BASELINE_S;

/// How far load and goodput may differ from the time before, as a share.
pub const TOLERANCE: f64 = 0.10;

/// Time for effects of a fault to fade, in seconds.
pub const SETTLE_S: f64 = 5.0;

/// How many of the last seconds are compared at most.
pub const MAX_SECONDS: usize = 10;

/// With fewer seconds the verdict is unknown.
pub const MIN_SECONDS: usize = 5;

/// With fewer planned steps the verdict is unknown: a few steps that came a second later would decide it.
pub const MIN_DEMAND: u64 = 50;

/// A fault that ends within this many seconds of the run's end was in force until the end.
const END_MARGIN_S: f64 = 2.0;

/// Checks the seconds of a run, in order of time. `None` if nothing was injected.
pub fn check(intervals: &[Interval], faults: &[FaultRow]) -> Option<MetastabilityRow> {
    let triggers = triggers(faults, intervals.last().map_or(0.0, |last| last.t_s));
    let started_s = triggers.iter().map(|f| f.started_s);
    let started_s = started_s.min_by(f64::total_cmp)?;
    let ended_s = triggers.iter().map(|f| f.ended_s).max_by(f64::total_cmp)?;
    let before = Totals::of(intervals.iter().filter(|second| {
        second.t_s <= started_s && second.t_s > started_s - BASELINE_S && second.measure
    }));
    let mut row = MetastabilityRow {
        trigger_ended_s: ended_s,
        arrivals_before: before.arrivals(),
        ok_before: before.ok_per_s(),
        goodput_before: before.goodput(),
        ..MetastabilityRow::default()
    };
    if before.is_too_little() {
        row.why = Some("too little was measured before the first fault".to_owned());
        return Some(row);
    }
    let as_before = |second: &&Interval| {
        let off = second.planned.arrival_rate - row.arrivals_before;
        off.abs() <= TOLERANCE * row.arrivals_before
    };
    let later = intervals.iter().rev();
    let later = later.take_while(|second| second.t_s - 1.0 >= ended_s + SETTLE_S);
    let after = Totals::of(later.filter(as_before).take(MAX_SECONDS));
    row.arrivals_after = after.arrivals();
    row.ok_after = after.ok_per_s();
    row.goodput_after = after.goodput();
    if after.is_too_little() {
        row.why = Some(format!(
            "there were {} seconds with the former load {SETTLE_S} s after the last fault; {MIN_SECONDS} are needed",
            after.seconds
        ));
        return Some(row);
    }
    // Arrivals may be as before and the demand still higher, because shoppers of a rush are still in the shop.
    let min_goodput = (1.0 - TOLERANCE) * row.goodput_before;
    let as_much = min_goodput * before.demand_per_s().min(after.demand_per_s());
    if row.goodput_after >= min_goodput {
        row.verdict = Metastability::Recovered;
    } else if row.ok_after < as_much {
        row.verdict = Metastability::Metastable;
    } else {
        row.why = Some(format!(
            "as many steps succeed as before, but the plan has {:.0} steps a second now and had {:.0} before",
            after.demand_per_s(),
            before.demand_per_s()
        ));
    }
    Some(row)
}

/// The faults without those that are in force throughout. All of them if none remains.
fn triggers(faults: &[FaultRow], end_s: f64) -> Vec<&FaultRow> {
    let (short, long): (Vec<_>, Vec<_>) = faults
        .iter()
        .partition(|f| f.ended_s < end_s - END_MARGIN_S);
    let first_s = short.iter().map(|f| f.started_s).min_by(f64::total_cmp);
    let throughout = |f: &&FaultRow| first_s.is_some_and(|first| f.started_s + BASELINE_S <= first);
    if long.iter().all(throughout) && !short.is_empty() {
        short
    } else {
        faults.iter().collect()
    }
}

impl MetastabilityRow {
    /// The goodput in the last seconds as a share of the goodput before.
    pub fn share(&self) -> f64 {
        if self.goodput_before > 0.0 {
            self.goodput_after / self.goodput_before
        } else {
            0.0
        }
    }
}

/// Totals over some seconds.
#[derive(Default)]
struct Totals {
    seconds: usize,
    rates: f64,
    ok: u64,
    demand: u64,
}

impl Totals {
    fn of<'r>(seconds: impl Iterator<Item = &'r Interval>) -> Self {
        seconds.fold(Self::default(), |sum, second| Self {
            seconds: sum.seconds + 1,
            rates: sum.rates + second.planned.arrival_rate,
            ok: sum.ok + second.all.ok,
            demand: sum.demand + second.planned.steps,
        })
    }

    fn is_too_little(&self) -> bool {
        self.seconds < MIN_SECONDS || self.demand < MIN_DEMAND
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

    /// Forty seconds under a constant load, each with `ok` successful steps of a hundred planned.
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
    fn a_shop_with_its_former_goodput_has_recovered() {
        let row = check(
            &run(|t| if t > 12 && t <= 24 { 20 } else { 95 }),
            &[fault(12.0, 20.0)],
        );
        let row = row.unwrap();
        assert_eq!(row.verdict, Metastability::Recovered);
        assert_eq!((row.ok_before, row.ok_after), (95.0, 95.0));
        assert_eq!(row.share(), 1.0);
        // Delayed shoppers catch up.
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
    fn the_baseline_ends_with_the_first_fault_and_the_check_follows_the_last() {
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
    fn a_fault_in_force_throughout_is_no_trigger() {
        let down = run(|t| if t > 12 { 30 } else { 100 });
        let disk = fault(1.0, 39.5);
        let row = check(&down, &[disk.clone(), fault(12.0, 14.0)]).unwrap();
        assert_eq!(
            (row.verdict, row.trigger_ended_s),
            (Metastability::Metastable, 14.0)
        );
        // As the only fault it is the trigger.
        let row = check(&down, std::slice::from_ref(&disk)).unwrap();
        assert_eq!(row.verdict, Metastability::Unknown);
        // A fault that ends within the last seconds is not in force throughout.
        let row = check(&down, &[fault(1.0, 31.0), fault(12.0, 14.0)]).unwrap();
        assert_eq!(row.trigger_ended_s, 31.0);
        // A fault that begins with the others has no time before them.
        let row = check(&down, &[fault(11.0, 39.5), fault(12.0, 14.0)]).unwrap();
        assert_eq!(row.trigger_ended_s, 39.5);
    }

    #[test]
    fn a_rush_that_is_still_in_the_shop_leaves_the_verdict_unknown() {
        let mut rush = run(|_| 100);
        for second in rush.iter_mut().filter(|second| second.t_s > 12.0) {
            second.planned.steps = 250;
        }
        let row = check(&rush, &[fault(12.0, 20.0)]).unwrap();
        assert_eq!(row.verdict, Metastability::Unknown);
        assert!(
            row.why
                .unwrap()
                .contains("the plan has 250 steps a second now and had 100 before")
        );
        // Fewer successes than before, under a higher demand, are metastable.
        for second in rush.iter_mut().filter(|second| second.t_s > 12.0) {
            second.all.ok = 60;
        }
        assert_eq!(verdict(&rush), Metastability::Metastable);
    }

    #[test]
    fn a_lower_load_or_a_short_run_leaves_the_verdict_unknown() {
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
