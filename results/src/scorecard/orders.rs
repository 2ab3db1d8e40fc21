//! An estimate of the orders and the revenue that a fault cost.
//!
//! The plan has the purchases that shoppers intend, during the fault as well as before it, whatever the shop replies.
//! The expected orders are the share of planned purchases that were promised before the fault, times the purchases
//! planned during it. Random variation in who buys when is in the plan and cancels out. Revenue is estimated in the
//! same way, from the mean value of a planned purchase.
//!
//! **The margin** is two standard deviations of the remaining variation: which purchases succeed, and what is in their
//! carts, in both time spans. It also includes half a second of purchases, because the plan's instants assume a shop
//! that replies at once.

use crate::record::{Interval, OrderOutcome, Orders, Revenue};

use super::run_data::RunData;
use super::window::Window;

/// How many seconds before the fault are used for the share of purchases that succeed. Purchases are rare.
const BASELINE_S: f64 = 30.0;

/// How many seconds real purchases may lag behind planned ones.
const MAX_LAG_S: f64 = 0.5;

/// Orders and revenue. `None` if no purchase was planned in undisturbed seconds before.
pub(super) fn estimate(run: &RunData<'_>, window: Window) -> Option<(Orders, Revenue)> {
    let before: Vec<&Interval> = run
        .intervals
        .iter()
        .filter(|second| second.t_s <= window.from_s && second.t_s > window.from_s - BASELINE_S)
        .filter(|second| second.faults.is_empty())
        .collect();
    let planned_before: u64 = before.iter().map(|second| second.planned.purchases).sum();
    if planned_before == 0 {
        return None;
    }
    let planned: f64 = window
        .seconds(run.intervals)
        .map(|second| second.planned.purchases as f64 * window.share_of(second))
        .sum();
    let in_window = |t_s: f64| {
        // Replies after the end of the load are in no interval.
        let last = window.to_s >= run.end_s();
        t_s > window.from_s && (t_s <= window.to_s || last)
    };
    let in_before = |t_s: f64| {
        let mut seconds = before.iter();
        seconds.any(|second| t_s <= second.t_s && t_s > second.t_s - 1.0)
    };

    let mut orders = Orders::default();
    let (mut promised_before, mut promised) = (Vec::new(), 0);
    for entry in run.ledger {
        let total = entry.total_minor.unwrap_or(0);
        let is_promise = entry.outcome == OrderOutcome::Promised;
        if is_promise && in_before(entry.t_s) {
            promised_before.push(total as f64);
        }
        if in_window(entry.t_s) {
            match entry.outcome {
                OrderOutcome::Promised => {
                    orders.promised += 1;
                    promised += total;
                }
                OrderOutcome::Accepted => orders.accepted += 1,
                OrderOutcome::Refused => orders.refused += 1,
                OrderOutcome::Unknown => orders.unknown += 1,
            }
        }
    }
    let rate = planned / window.length_s().max(1.0);
    let each = vec![1.0; promised_before.len()];
    (orders.expected, orders.margin) = expect(&each, planned_before as f64, planned, rate);
    let (worth, margin) = expect(&promised_before, planned_before as f64, planned, rate);
    let revenue = Revenue {
        promised_minor: promised,
        expected_minor: worth.round() as i64,
        margin_minor: margin.round() as i64,
    };
    Some((orders, revenue))
}

/// The expected total of `planned` purchases, when the `before` planned ones brought these `values` (failed ones
/// brought nothing), and its margin.
fn expect(values: &[f64], before: f64, planned: f64, rate: f64) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / before;
    let squares = values.iter().map(|v| v * v).sum::<f64>() / before;
    let variance = (squares - mean * mean).max(0.0);
    let both = variance * planned * (1.0 + planned / before);
    (mean * planned, 2.0 * both.sqrt() + MAX_LAG_S * rate * mean)
}
