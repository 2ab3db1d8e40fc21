//! Resilience policies: deadlines, retries, hedges, breakers, bulkheads, balancing, shedding.
//!
//! All of them are pure: no clock, no socket, no task, no lock, no source of randomness. Time is passed in as a
//! [`Moment`], a random draw as an `f64` from 0 up to 1. So a test needs no sleep, and a simulated shop runs the same
//! code in virtual time. The kit owns the clock, the locks and the sockets.
//!
//! # The way of a call
//!
//! A request arrives. Three questions come before any work:
//!
//! 1. Is there time? [`Deadline::from_header`] reads the time that the caller still waits, [`Deadline::admits`] refuses
//!    work that nobody would wait for.
//! 2. Is there capacity? [`Limiter::try_acquire`] accepts it by [`Priority`], refusing browsing before buying. The
//!    limit adapts to how much slower requests have become than they usually are.
//! 3. Which replica? The service calls another one, if its [`Bulkhead`] has a slot. Endpoints with an open [`Breaker`]
//!    are left out, then [`Balancer::pick`] takes the cheaper of two at random.
//!
//! The answer is turned into an [`Outcome`], for the breaker, the balancer and, after a failure, for
//! [`RetryPolicy::may_retry`]. That needs a failure that another try may cure and a token of the [`RetryBudget`], and
//! returns how long to wait. When the answer to a read is slow, [`Hedge::patience`] says when to ask a second replica
//! as well, and [`may_hedge`] takes a token from the same budget.
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
//! let available: Vec<usize> = (0..2).filter(|&i| breakers[i].is_available(now)).collect();
//! let i = balancer.pick(now, (0.3, 0.7), &available, &[]).expect("two breakers are closed");
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
//! let elsewhere = balancer.pick(now + wait, (0.3, 0.7), &available, &[i]);
//! assert_eq!(elsewhere, Some(1 - i));
//! ```
//!
//! The [`TokenBucket`] does not belong to a call: it decides how many traces are kept a second.
//!
//! # Where the numbers come from
//!
//! Each policy has a config struct whose `Default` is what the shop uses. Each field documents the reason for its
//! value, and each module names its paper or its model. To switch a policy off, do not call it.

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
