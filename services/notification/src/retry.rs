//! What happens to a mail after a try to send it, pure.

use std::time::Duration;

/// The result of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendResult {
    /// The mail server accepted it.
    Accepted,
    /// Try later: no connection, no answer, or a 4xx answer.
    Deferred(String),
    /// Give up: a 5xx answer, or an invalid address.
    Rejected(String),
}

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// None: it is sent.
    Sent,
    /// Try again after this long.
    Again(Duration, String),
    /// Give it up.
    GiveUp(String),
}

/// The wait after the first try, doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two tries. It is short for mail, since the server is one's own and comes back.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Mail that is this old is useless. RFC 5321 (4.5.4.1) has four to five days for letters; this is news about an order.
const TOO_OLD: Duration = Duration::from_secs(24 * 3600);

/// What to do after the `attempts`-th try, of a mail of this age.
pub fn next(result: SendResult, attempts: u32, age: Duration) -> Next {
    match result {
        SendResult::Accepted => Next::Sent,
        SendResult::Rejected(why) => Next::GiveUp(why),
        SendResult::Deferred(why) if age >= TOO_OLD => Next::GiveUp(why),
        SendResult::Deferred(why) => {
            let doubled = FIRST_WAIT * 2u32.pow(attempts.saturating_sub(1).min(16));
            Next::Again(doubled.min(LONGEST_WAIT), why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_now() -> SendResult {
        SendResult::Deferred("421".to_owned())
    }

    #[test]
    fn tries_come_ever_more_slowly_up_to_a_bound() {
        let wait = |attempts| match next(not_now(), attempts, Duration::ZERO) {
            Next::Again(wait, _) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(1), FIRST_WAIT);
        assert_eq!(wait(3), FIRST_WAIT * 4);
        assert_eq!(wait(u32::MAX), LONGEST_WAIT);
        assert!((1..40).all(|n| wait(n) <= wait(n + 1)));
    }

    #[test]
    fn a_refusal_is_final_and_so_is_a_day_without_success() {
        let why = || "550".to_owned();
        assert_eq!(
            next(SendResult::Rejected(why()), 1, Duration::ZERO),
            Next::GiveUp(why())
        );
        assert_eq!(next(not_now(), 1, TOO_OLD), Next::GiveUp("421".to_owned()));
        assert_eq!(next(SendResult::Accepted, 9, TOO_OLD), Next::Sent);
    }
}
