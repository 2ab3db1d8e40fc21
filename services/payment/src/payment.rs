//! The rules of payments, pure.

use shop_contract::bank::ChargeStatus;
use shop_contract::payment::{NewPayment, PaymentStatus};

/// What the bank's answer means for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankReply {
    /// A charge in this state.
    Charge(ChargeStatus),
    /// Declined.
    Declined,
    /// Nothing that can be relied on. The money may have been taken.
    Nothing,
}

impl BankReply {
    /// Reads the bank's answer to a charge: its status, the charge it tells of, and the problem it states. A yes that
    /// tells of no charge is nothing to rely on: without the charge's id the money could not be given back.
    pub fn of_answer(status: u16, charge: Option<ChargeStatus>, problem: Option<&str>) -> Self {
        match (status, problem) {
            (200 | 201, _) => charge.map_or(Self::Nothing, Self::Charge),
            (402, _) => Self::Declined,
            // The bank will say so for ever: what it cannot read, it has not charged.
            (422, Some("invalid")) => Self::Declined,
            _ => Self::Nothing,
        }
    }

    /// The state that a pending payment moves to; none where it stays pending.
    pub fn settles(self) -> Option<PaymentStatus> {
        match self {
            Self::Charge(ChargeStatus::Captured) => Some(PaymentStatus::Captured),
            Self::Charge(ChargeStatus::Refunded) => Some(PaymentStatus::Refunded),
            Self::Charge(ChargeStatus::Declined) | Self::Declined => Some(PaymentStatus::Declined),
            Self::Nothing => None,
        }
    }
}

/// Why a payment cannot be asked for like that.
///
/// # Errors
/// What is wrong, in words.
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
