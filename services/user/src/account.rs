//! The rules of accounts, pure.

use shop_contract::user::{NewUser, SEEDED_PASSWORD};

/// The longest address that mail can be sent to (RFC 5321).
const MAX_EMAIL: usize = 254;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// The shortest password, in characters.
const MIN_PASSWORD: usize = 8;
/// The longest password, in characters.
const MAX_PASSWORD: usize = 256;

/// Why an account is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An invalid address.
    #[error("`email` must be an address such as `someone@example.org`")]
    Email,
    /// No name, or one that is too long.
    #[error("`name` must have 1 to {MAX_NAME} characters")]
    Name,
    /// Too short or too long.
    #[error("`password` must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")]
    Password,
    /// The published password of the seeded customers.
    #[error("`password` is a published one; choose another")]
    Published,
}

/// The normal form of an address, in which it is stored and looked up.
pub fn normal_email(email: &str) -> String {
    email.trim_matches(' ').to_lowercase()
}

/// Checks a registration and returns address and name in normal form.
///
/// Only mail can prove that an address works. This check finds typing mistakes.
///
/// # Errors
/// The first mistake.
pub fn check(new: &NewUser) -> Result<(String, String), Invalid> {
    let email = normal_email(&new.email);
    let (local, domain) = email.split_once('@').ok_or(Invalid::Email)?;
    // Addresses in other letters need SMTPUTF8 on every server of the way.
    let odd = |c: char| !c.is_ascii_graphic() || c == '@';
    if local.is_empty()
        || !domain.contains('.')
        || domain.starts_with('.')
        || domain.ends_with('.')
        || new.email.len() > MAX_EMAIL
        || local.contains(odd)
        || domain.contains(odd)
    {
        return Err(Invalid::Email);
    }
    let name = new.name.trim();
    let long = new.name.chars().count() > MAX_NAME;
    if name.is_empty() || long || new.name.contains(char::is_control) {
        return Err(Invalid::Name);
    }
    if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&new.password.chars().count()) {
        return Err(Invalid::Password);
    }
    if new.password == SEEDED_PASSWORD {
        return Err(Invalid::Published);
    }
    Ok((email, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(email: &str, name: &str, password: &str) -> NewUser {
        NewUser {
            email: email.to_owned(),
            name: name.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn an_address_is_kept_trimmed_and_in_lower_case() {
        let kept = check(&new(" Ada@Example.ORG ", " Ada ", "difference")).unwrap();
        assert_eq!(kept, ("ada@example.org".to_owned(), "Ada".to_owned()));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for email in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@home",
            "a b@x.org",
            "a@b@x.org",
            "a@.x",
            "adä@example.org",
            "ada@example.org\n",
        ] {
            let result = check(&new(email, "Ada", "difference"));
            assert_eq!(result, Err(Invalid::Email), "{email:?}");
        }
    }

    #[test]
    fn names_and_passwords_have_bounds() {
        assert_eq!(
            check(&new("a@x.org", " ", "difference")),
            Err(Invalid::Name)
        );
        assert_eq!(
            check(&new("a@x.org", "Ada", "short")),
            Err(Invalid::Password)
        );
        let endless = "x".repeat(MAX_PASSWORD + 1);
        assert_eq!(
            check(&new("a@x.org", "Ada", &endless)),
            Err(Invalid::Password)
        );
        assert_eq!(
            check(&new("a@x.org", "Ada", SEEDED_PASSWORD)),
            Err(Invalid::Published)
        );
    }
}
