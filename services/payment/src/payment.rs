//! The rules of payments, pure.

use shop_contract::bank::ChargeStatus;
use shop_contract::payment::{NewPayment, PaymentStatus};

/// What the bank's answer means for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankReply {
    /// A charge with this status.
    Charge(ChargeStatus),
    /// Declined.
    Declined,
    /// Unclear. The money may have been taken.
    Nothing,
}

impl BankReply {
    /// Reads the bank's answer to a charge: its status, the status of the charge in it, and its problem. A success
    /// without a charge is unclear: without the charge's id the money could not be given back.
    pub fn of_answer(status: u16, charge: Option<ChargeStatus>, problem: Option<&str>) -> Self {
        match (status, problem) {
            (200 | 201, _) => charge.map_or(Self::Nothing, Self::Charge),
            (402, _) => Self::Declined,
            // Final: the bank has not charged what it cannot read.
            (422, Some("invalid")) => Self::Declined,
            _ => Self::Nothing,
        }
    }

    /// The status that a pending payment changes to. `None`: it stays pending.
    pub fn settles(self) -> Option<PaymentStatus> {
        match self {
            Self::Charge(ChargeStatus::Captured) => Some(PaymentStatus::Captured),
            Self::Charge(ChargeStatus::Refunded) => Some(PaymentStatus::Refunded),
            Self::Charge(ChargeStatus::Declined) | Self::Declined => Some(PaymentStatus::Declined),
            Self::Nothing => None,
        }
    }
}

/// Checks a new payment.
///
/// # Errors
/// The mistake, in words.
pub fn check(new: &NewPayment) -> Result<(), String> {
    if new.amount.minor <= 0 {
        return Err(format!("the amount must be positive, not {}", new.amount));
    }
    let currency = new.amount.currency.as_bytes();
    if currency.len() != 3 || !currency.iter().all(u8::is_ascii_uppercase) {
        return Err("`amount.currency` must be an ISO 4217 code such as EUR".to_owned());
    }
    if new.order_id.is_empty() || new.user_id.is_empty() || new.card.is_empty() {
        return Err("`order_id`, `user_id` and `card` are needed".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_settles_a_payment() {
        let settles = |status| BankReply::of_answer(status, None, None).settles();
        for (charge, payment) in [
            (ChargeStatus::Captured, PaymentStatus::Captured),
            (ChargeStatus::Refunded, PaymentStatus::Refunded),
        ] {
            let reply = BankReply::of_answer(200, Some(charge), None);
            assert_eq!(reply.settles(), Some(payment));
        }
        assert_eq!(settles(201), None, "a yes without a charge");
        assert_eq!(settles(402), Some(PaymentStatus::Declined));
        let unreadable = BankReply::of_answer(422, None, Some("invalid"));
        assert_eq!(unreadable.settles(), Some(PaymentStatus::Declined));
        assert_eq!(
            BankReply::of_answer(422, None, Some("key-reused")).settles(),
            None
        );
        for silent in [400, 404, 408, 429, 500, 502, 503, 504] {
            assert_eq!(
                settles(silent),
                None,
                "{silent} says nothing about the money"
            );
        }
    }
}
