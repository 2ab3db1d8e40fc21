//! The channels that reach a customer, pure.
//!
//! An account has an e-mail address and nothing more. Who also gets text messages or pushes is derived from the
//! account's id, and so are number and device, so they are always the same. The numbers are from the range that the
//! British regulator reserves for fiction.

/// A way to reach a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// E-mail. Every customer has it.
    Email,
    /// A text message.
    Sms,
    /// A push notification to a phone.
    Push,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Push];

    /// Its name in the database, in answers and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
        }
    }

    /// The channels of a customer: e-mail, and for a quarter of the customers each also text messages or pushes.
    pub fn of(user_id: &str) -> Vec<Self> {
        match digest(user_id) % 4 {
            0 => vec![Self::Email, Self::Sms],
            1 => vec![Self::Email, Self::Push],
            _ => vec![Self::Email],
        }
    }

    /// The customer's address on this channel.
    pub fn recipient(self, user_id: &str, email: &str) -> String {
        match self {
            Self::Email => email.to_owned(),
            Self::Sms => format!("+447700900{:03}", digest(user_id) / 4 % 1000),
            Self::Push => format!("device-{:016x}", digest(user_id)),
        }
    }
}

/// FNV-1a, 64 bits: the same on every platform and in every release, unlike the standard library's hash.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_mail_and_some_have_one_channel_more() {
        let all: Vec<_> = (0..1000)
            .map(|n| Channel::of(&format!("u-{n:06}")))
            .collect();
        assert!(all.iter().all(|c| c[0] == Channel::Email && c.len() <= 2));
        for channel in [Channel::Sms, Channel::Push] {
            let those = all.iter().filter(|c| c.contains(&channel)).count();
            assert!((150..350).contains(&those), "{channel:?}: {those}");
        }
    }

    #[test]
    fn a_customer_keeps_number_and_device() {
        assert_eq!(Channel::Email.recipient("u-1", "a@b"), "a@b");
        let number = Channel::Sms.recipient("u-1", "a@b");
        assert_eq!(number, Channel::Sms.recipient("u-1", "c@d"));
        assert!(
            number.starts_with("+447700900") && number.len() == 13,
            "{number}"
        );
        assert_ne!(
            Channel::Push.recipient("u-1", ""),
            Channel::Push.recipient("u-2", "")
        );
    }
}
