//! The rules of charges, pure.

use shop_contract::bank::{CARD_DECLINED, CARD_GOOD, ChargeStatus, NewCharge, is_card_token};

/// The most characters of a reference.
const MAX_TEXT: usize = 128;

/// Why the bank refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An invalid amount, card or reference.
    #[error("{0}")]
    Invalid(&'static str),
    /// The key was used for another charge.
    #[error("this key was used for a charge of another amount, card or reference")]
    KeyReused,
    /// Nothing was taken, so nothing can be refunded.
    #[error("this charge was declined; nothing was taken")]
    NothingTaken,
    /// There is no such charge.
    #[error("there is no such charge")]
    Unknown,
}

/// How the bank treats a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Always accepted.
    Good,
    /// Always declined.
    Bad,
    /// Accepted most of the time.
    Ordinary,
}

impl Card {
    /// Reads a card token.
    ///
    /// # Errors
    /// Not a token of this bank.
    pub fn of(token: &str) -> Result<Self, Refusal> {
        match token {
            CARD_GOOD => Ok(Self::Good),
            CARD_DECLINED => Ok(Self::Bad),
            token if is_card_token(token) => Ok(Self::Ordinary),
            _ => Err(Refusal::Invalid(
                "`card` is no token of this bank; they begin with `tok_`",
            )),
        }
    }
}

/// Checks a new charge.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn check(new: &NewCharge) -> Result<Card, Refusal> {
    if new.amount.minor < 1 {
        return Err(Refusal::Invalid("`amount.minor` must be at least 1"));
    }
    let currency = new.amount.currency.as_bytes();
    if currency.len() != 3 || !currency.iter().all(u8::is_ascii_uppercase) {
        return Err(Refusal::Invalid(
            "`amount.currency` must be an ISO 4217 code such as EUR",
        ));
    }
    if new.reference.is_empty() || new.reference.chars().count() > MAX_TEXT {
        return Err(Refusal::Invalid(
            "`reference` must have 1 to 128 characters",
        ));
    }
    Card::of(&new.card)
}

/// Whether a charge with this status is to be refunded now; false when it was refunded before.
///
/// # Errors
/// [`Refusal::NothingTaken`] for a declined one.
pub fn refunds(status: ChargeStatus) -> Result<bool, Refusal> {
    match status {
        ChargeStatus::Captured => Ok(true),
        ChargeStatus::Refunded => Ok(false),
        ChargeStatus::Declined => Err(Refusal::NothingTaken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shop_contract::Money;

    #[test]
    fn cards_are_recognised_by_their_token() {
        assert_eq!(Card::of(CARD_GOOD), Ok(Card::Good));
        assert_eq!(Card::of(CARD_DECLINED), Ok(Card::Bad));
        assert_eq!(Card::of("tok_4242"), Ok(Card::Ordinary));
        for token in ["", "tok_", "4242424242424242", "tok_a b"] {
            assert!(Card::of(token).is_err(), "{token:?}");
        }
    }

    #[test]
    fn a_charge_needs_an_amount_a_currency_and_a_reference() {
        let good = NewCharge {
            amount: Money::of(1),
            card: CARD_GOOD.to_owned(),
            reference: "r".to_owned(),
        };
        assert_eq!(check(&good), Ok(Card::Good));
        let wrong = |change: fn(&mut NewCharge)| {
            let mut new = good.clone();
            change(&mut new);
            check(&new)
        };
        assert!(wrong(|n| n.amount.minor = 0).is_err());
        assert!(wrong(|n| n.amount.currency = "euro".to_owned()).is_err());
        assert!(wrong(|n| n.reference.clear()).is_err());
    }

    #[test]
    fn a_captured_charge_is_refunded_once() {
        assert_eq!(refunds(ChargeStatus::Captured), Ok(true));
        assert_eq!(refunds(ChargeStatus::Refunded), Ok(false));
        assert_eq!(refunds(ChargeStatus::Declined), Err(Refusal::NothingTaken));
    }
}
