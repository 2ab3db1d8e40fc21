//! The rules about money: captures and refunds, per order and in total.

use results::record::AuditRow;
use shop_contract::bank::ChargeStatus;
use shop_contract::payment::PaymentStatus;

use crate::holdings::{Holdings, OrderHeld};

/// Compares the payments of an order that has ended with the bank's charges.
pub(super) fn check_order(
    id: &str,
    order: &OrderHeld,
    held: &Holdings,
    wrong: &mut impl FnMut(String),
) {
    let payments = held.payments.get(id).map_or(&[][..], Vec::as_slice);
    let captured: Vec<_> = payments
        .iter()
        .filter(|(_, status, _)| *status == PaymentStatus::Captured)
        .collect();
    let due = usize::from(order.is_confirmed());
    if captured.len() != due {
        wrong(format!(
            "{} payments are captured, {due} should be",
            captured.len()
        ));
    }
    if let Some((_, _, amount)) = captured.iter().find(|(.., a)| *a != order.total_minor) {
        wrong(format!("{amount} was taken for {}", order.total_minor));
    }
    for (payment, status, amount) in payments {
        if *status == PaymentStatus::Pending {
            wrong(format!("payment {payment} is still pending"));
        }
        let due_if = |is: PaymentStatus| if *status == is { *amount } else { 0 };
        let taken = charged(held, payment, ChargeStatus::Captured);
        let due = due_if(PaymentStatus::Captured);
        if taken != due {
            wrong(format!(
                "the bank took {taken} for payment {payment}, {due} is due"
            ));
        }
        let given_back = charged(held, payment, ChargeStatus::Refunded);
        let due = due_if(PaymentStatus::Refunded);
        if given_back != due {
            wrong(format!(
                "the bank gave back {given_back} for payment {payment}, {due} is due"
            ));
        }
        let charges = held.charges.get(payment).map_or(0, Vec::len);
        if charges > 1 {
            wrong(format!(
                "the bank charged payment {payment} {charges} times"
            ));
        }
    }
}

/// Compares the bank's totals with the total of the confirmed orders.
pub(super) fn check_sums(held: &Holdings, row: &mut AuditRow, violations: &mut Vec<String>) {
    let charges = || held.charges.values().flatten();
    let sum = |of: &[ChargeStatus]| -> i64 {
        let wanted = charges().filter(|(status, _)| of.contains(status));
        wanted.map(|(_, amount)| amount).sum()
    };
    row.captured_minor = sum(&[ChargeStatus::Captured, ChargeStatus::Refunded]);
    row.refunded_minor = sum(&[ChargeStatus::Refunded]);
    let confirmed = held.orders.values().filter(|o| o.is_confirmed());
    row.confirmed_minor = confirmed.map(|o| o.total_minor).sum();
    let kept = row.captured_minor - row.refunded_minor;
    if kept != row.confirmed_minor {
        violations.push(format!(
            "money: the bank took {} and gave back {}, which leaves {kept}; the confirmed orders come to {}",
            row.captured_minor, row.refunded_minor, row.confirmed_minor
        ));
    }
}

/// Counts payments that are captured or pending without an open or confirmed order.
pub(super) fn orphaned_payments(held: &Holdings) -> u64 {
    let mut orphans = 0;
    for (order, payments) in &held.payments {
        let order = held.orders.get(order);
        let kept = payments.iter().filter(|(_, status, _)| match status {
            PaymentStatus::Captured => {
                order.is_none_or(|o| o.status.is_final() && !o.is_confirmed())
            }
            PaymentStatus::Pending => order.is_none_or(|o| o.status.is_final()),
            PaymentStatus::Declined | PaymentStatus::Refunded => false,
        });
        orphans += kept.count() as u64;
    }
    orphans
}

/// Counts charges for a payment that does not exist, or that was declined or refunded.
pub(super) fn orphaned_charges(held: &Holdings) -> u64 {
    let payments = held.payments.values().flatten();
    let expecting: std::collections::BTreeSet<&str> = payments
        .filter(|(_, status, _)| matches!(status, PaymentStatus::Captured | PaymentStatus::Pending))
        .map(|(id, ..)| id.as_str())
        .collect();
    let charges = held.charges.iter();
    let stray = charges.filter(|(payment, _)| !expecting.contains(payment.as_str()));
    let taken = stray.flat_map(|(_, charges)| charges);
    taken
        .filter(|(status, _)| *status == ChargeStatus::Captured)
        .count() as u64
}

/// The sum of a payment's charges with one status.
fn charged(held: &Holdings, payment: &str, wanted: ChargeStatus) -> i64 {
    let charges = held.charges.get(payment).map_or(&[][..], Vec::as_slice);
    let of_status = charges.iter().filter(|(status, _)| *status == wanted);
    of_status.map(|(_, amount)| amount).sum()
}
