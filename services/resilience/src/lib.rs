//! What keeps a shop standing when a part of it does not: deadlines, retries, hedges, breakers, bulkheads, balancing,
//! shedding.
//!
//! Everything here decides and nothing here acts. There is no clock, no socket, no task, no lock and no source of
//! randomness: time comes in as a [`Moment`], a random draw as a plain `f64` from 0 up to 1. So a test needs no
//! sleep, and a simulated shop drives the same code in virtual time. The kit owns the clock, the locks and the
//! sockets.
//!
//! # The way of a call
//!
//! A request arrives. Three questions are asked before any work is done for it:
//!
//! 1. Is there still time? [`Deadline::from_header`] reads what the caller has left, [`Deadline::admits`] refuses
//!    work that nobody would wait for.
//! 2. Is there room? [`Limiter::try_acquire`] takes it in by [`Priority`], browsing refused before buying.
//!    The limit adapts to how much slower requests have become than they usually are.
//! 3. Whom to ask next? The service calls another one, if its [`Bulkhead`] still has a place. Endpoints whose [`Breaker`] is shut to them are left out,
//!    then [`Balancer::pick`] takes the cheaper of two at random.
//!
//! The answer comes back as an [`Outcome`]. It goes to the breaker, to the balancer, and, when it was not good, to
//! [`RetryPolicy::may_retry`]. That one asks for a reason to believe in a second try, and a token of the
//! [`RetryBudget`], before it says how long to wait. When an answer to a read is long in coming, [`Hedge::patience`]
//! says from when on a second replica may be asked as well, and [`may_hedge`] pays for it from the same budget.
//!
//! ```
//! use std::time::Duration;
//! use shop_resilience::*;
//!
//! let now = Moment::ORIGIN;
//! let deadline = Deadline::after(now, Duration::from_millis(800));
//! let mut budget = RetryBudget::new(RetryBudgetConfig::default());
//! let mut breakers = [Breaker::new(BreakerConfig::default()), Breaker::new(BreakerConfig::default())];
//! let mut balancer = Balancer::new(BalanceConfig::default(), 2);
//! let retries = RetryPolicy::default();
//!
//! budget.record_request(now);
//! let open_to_us: Vec<usize> = (0..2).filter(|&i| breakers[i].is_available(now)).collect();
//! let i = balancer.pick(now, (0.3, 0.7), &open_to_us, &[]).expect("two breakers are closed");
//! let (Admission::Yes(pass) | Admission::Probe(pass)) = breakers[i].admit(now) else { panic!("it is closed") };
//! balancer.started(i);
//! let sent = deadline.for_try(now, Duration::from_millis(250)).to_header(now);
//! assert_eq!(sent, "250");
//!
//! // 40 ms later the endpoint has answered 503.
//! let now = now + Duration::from_millis(40);
//! let outcome = Outcome::of_status(503, false, None);
//! breakers[i].on_result(now, pass, !outcome.trips_breaker());
//! balancer.finished(i, now, Duration::from_millis(40), !outcome.is_penalised());
//! let tried = Tried { attempt: 1, outcome, repeatable: true, deadline: Some(deadline), now, draw: 0.5 };
//! let wait = retries.may_retry(&tried, &mut budget).expect("first try, time and budget left");
//! assert!(wait <= Duration::from_millis(25));
//! let elsewhere = balancer.pick(now + wait, (0.3, 0.7), &open_to_us, &[i]);
//! assert_eq!(elsewhere, Some(1 - i));
//! ```
//!
//! Beside the way of a call stands the [`TokenBucket`]: how many traces of it are kept a second.
//!
//! # Where the numbers come from
//!
//! Each policy has a config struct whose `Default` is what the shop runs with. Each field says why it has that
//! value, and each module names its paper or its model. To switch a policy off, do not ask it.

mod balance;
mod breaker;
mod bucket;
mod budget;
mod bulkhead;
mod deadline;
mod hedge;
mod limit;
mod moment;
mod outcome;
mod retry;
mod window;

pub use balance::{BalanceConfig, Balancer};
pub use breaker::{Admission, Breaker, BreakerConfig, BreakerState, Pass};
pub use bucket::TokenBucket;
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use bulkhead::{Bulkhead, BulkheadConfig, BulkheadSlot};
pub use deadline::Deadline;
pub use hedge::{Hedge, HedgeConfig, NoHedge, may_hedge};
pub use limit::{LimitConfig, Limiter, Permit, Priority, Served, Shed, ShedReason};
pub use moment::Moment;
pub use outcome::{Outcome, RetryReason};
pub use retry::{NoRetry, RetryPolicy, Tried};
