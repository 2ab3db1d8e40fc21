//! Hedging: its delay, its cost, and its use of the retries' budget.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{
    Deadline, Hedge, HedgeConfig, Moment, NoHedge, RetryBudget, RetryBudgetConfig, may_hedge,
};

use crate::virtual_time::{Draws, Later, at_ms, ms};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn patience_is_the_quantile_of_what_was_seen_and_little_more(
        us in prop::collection::vec(1_000u64..10_000_000, 50..400),
    ) {
        let mut hedge = Hedge::new(HedgeConfig::default());
        for (n, us) in us.iter().enumerate() {
            hedge.observe(at_ms(n as u64), Duration::from_micros(*us));
        }
        let patience = hedge.patience(at_ms(1000)).unwrap();
        let mut sorted = us.clone();
        sorted.sort_unstable();
        let rank = (0.95 * us.len() as f64).ceil() as usize - 1;
        let exact = Duration::from_micros(sorted[rank]);
        prop_assert!(patience + ms(1) >= exact, "{patience:?} for {exact:?}");
        prop_assert!(patience <= exact.mul_f64(1.2).max(ms(5)), "{patience:?} for {exact:?}");
    }

    #[test]
    fn retries_and_hedges_together_stay_within_the_budget(
        asked in prop::collection::vec((any::<bool>(), 0u64..200, 0u8..4), 1..600),
    ) {
        let config = RetryBudgetConfig { floor_per_s: 1.0, ..RetryBudgetConfig::default() };
        let mut budget = RetryBudget::new(config);
        let (mut requests, mut extra): (Vec<Moment>, Vec<Moment>) = (Vec::new(), Vec::new());
        let mut clock = 0;
        for (hedge, gap, calls) in asked {
            clock += gap;
            let now = at_ms(clock);
            for _ in 0..calls {
                budget.record_request(now);
                requests.push(now);
            }
            let granted = if hedge {
                may_hedge(now, None, &mut budget).is_ok()
            } else {
                budget.try_withdraw(now)
            };
            if granted {
                extra.push(now);
                let within = |all: &[Moment]| {
                    all.iter().filter(|at| now.since(**at) < ms(10_000)).count() as f64
                };
                let paid = 0.2 * within(&requests) + 10.0;
                prop_assert!(within(&extra) <= paid + 1e-6, "{} of {paid}", within(&extra));
            }
        }
    }
}

#[test]
fn nothing_is_hedged_without_enough_recent_observations() {
    let mut hedge = Hedge::new(HedgeConfig::default());
    for n in 0..49 {
        hedge.observe(at_ms(n), ms(20));
    }
    assert_eq!(hedge.patience(at_ms(50)), None);
    hedge.observe(at_ms(50), ms(20));
    assert!(hedge.patience(at_ms(50)).is_some());
    assert_eq!(hedge.patience(at_ms(31_000)), None);
}

#[test]
fn quick_reads_are_not_hedged_within_the_floor() {
    let mut hedge = Hedge::new(HedgeConfig::default());
    for n in 0..1000 {
        hedge.observe(at_ms(n), Duration::from_micros(300));
    }
    assert_eq!(hedge.patience(at_ms(1000)), Some(ms(5)));
}

#[test]
fn a_hedge_without_time_takes_no_token() {
    let mut budget = RetryBudget::new(RetryBudgetConfig::default());
    let now = at_ms(1000);
    let near = Some(Deadline::after(now, ms(4)));
    for _ in 0..1000 {
        assert_eq!(
            may_hedge(now, near, &mut budget),
            Err(NoHedge::DeadlineNear)
        );
    }
    let granted = (0..1000)
        .filter(|_| may_hedge(now, None, &mut budget).is_ok())
        .count();
    assert_eq!(granted, 100, "the whole floor is still there");
    let far = Some(Deadline::after(now, ms(800)));
    assert_eq!(may_hedge(now, far, &mut budget), Err(NoHedge::BudgetSpent));
}

/// A peer as a caller with hedging sees it: how long its tries take is drawn when they are sent.
struct SimulatedPeer {
    hedge: Hedge,
    budget: RetryBudget,
    draws: Draws,
    reads: u64,
    hedges: u64,
    waited: Vec<Duration>,
}

/// A later action of the caller.
enum Due {
    /// The first try was not answered in time, and would take this long.
    Patience { sent: Moment, takes: Duration },
    /// The call has ended; its first try had been in flight for this long.
    Over { first: Duration },
}

impl SimulatedPeer {
    fn new() -> Self {
        Self {
            hedge: Hedge::new(HedgeConfig::default()),
            budget: RetryBudget::new(RetryBudgetConfig::default()),
            draws: Draws(7),
            reads: 0,
            hedges: 0,
            waited: Vec::new(),
        }
    }

    /// A hundred reads a second from `from_s` to `to_s`; returns the share that was hedged.
    fn reads(&mut self, from_s: u64, to_s: u64, latency: impl Fn(&mut Draws) -> Duration) -> f64 {
        let (reads, hedges) = (self.reads, self.hedges);
        let mut later = Later::new();
        for at in (from_s * 1000..to_s * 1000).step_by(10) {
            let now = at_ms(at);
            while let Some((when, due)) = later.next_until(now) {
                self.act(&mut later, when, due, &latency);
            }
            self.reads += 1;
            self.budget.record_request(now);
            let takes = latency(&mut self.draws);
            match self.hedge.patience(now) {
                Some(patience) if takes > patience => {
                    later.add(now + patience, Due::Patience { sent: now, takes });
                }
                _ => {
                    self.waited.push(takes);
                    later.add(now + takes, Due::Over { first: takes });
                }
            }
        }
        (self.hedges - hedges) as f64 / (self.reads - reads) as f64
    }

    fn act(
        &mut self,
        later: &mut Later<Due>,
        now: Moment,
        due: Due,
        latency: &impl Fn(&mut Draws) -> Duration,
    ) {
        match due {
            Due::Over { first } => self.hedge.observe(now, first),
            Due::Patience { sent, takes } => {
                let mut over = sent + takes;
                if may_hedge(now, None, &mut self.budget).is_ok() {
                    self.hedges += 1;
                    over = over.min(now + latency(&mut self.draws));
                }
                let first = over.since(sent);
                self.waited.push(first);
                later.add(over, Due::Over { first });
            }
        }
    }

    fn p99(&self) -> Duration {
        let mut waited = self.waited.clone();
        waited.sort_unstable();
        waited[waited.len() * 99 / 100]
    }
}

/// 10 to 20 ms, and half a second for one in fifty.
fn stumbling(draws: &mut Draws) -> Duration {
    if draws.draw() < 0.02 {
        ms(500)
    } else {
        Duration::from_secs_f64(0.010 + 0.010 * draws.draw())
    }
}

#[test]
fn hedging_cuts_the_tail_of_an_occasionally_slow_peer_for_a_twentieth_of_its_load() {
    let mut peer = SimulatedPeer::new();
    let asked_twice = peer.reads(0, 60, stumbling);
    assert!(peer.p99() < ms(60), "{:?}", peer.p99());
    assert!((0.01..0.07).contains(&asked_twice), "{asked_twice}");
}

#[test]
fn hedging_does_not_lower_its_own_delay() {
    // Tries that lost to a hedge are reported as well. Without them the quantile would fall with each minute.
    let mut peer = SimulatedPeer::new();
    peer.reads(0, 60, stumbling);
    let in_the_tenth_minute = peer.reads(60, 600, stumbling);
    assert!(in_the_tenth_minute < 0.07, "{in_the_tenth_minute}");
}

#[test]
fn a_peer_that_became_slow_is_hedged_within_the_budget_and_soon_rarely() {
    let mut peer = SimulatedPeer::new();
    let slow = |draws: &mut Draws| Duration::from_secs_f64(0.200 + 0.100 * draws.draw());
    peer.reads(0, 60, stumbling);
    let at_first = peer.reads(60, 90, slow);
    // A fifth of the calls, and the floor of ten a second, which at a hundred calls a second is a tenth of them.
    assert!(at_first <= 0.3 + 0.1, "{at_first}");
    let afterwards = peer.reads(90, 150, slow);
    assert!(afterwards < 0.1, "{afterwards}");
}
