//! Passwords: hashed slowly, on purpose, on threads that serve no requests.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// Memory of one hash. With [`PASSES`] and one lane this is the leanest of the equivalent settings in OWASP's Password
/// Storage Cheat Sheet: nine services share one machine, and a rush of logins must not need gigabytes.
const MEMORY_KIB: u32 = 7168;
/// Passes over that memory.
const PASSES: u32 = 5;

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash function failed, or a stored hash is invalid.
    #[error("a password cannot be hashed: {0}")]
    Hash(#[from] Error),
    /// The parameters are not accepted.
    #[error("the hash parameters are not accepted: {0}")]
    Parameters(#[from] argon2::Error),
    /// The task ended without a result.
    #[error("the hashing task did not finish")]
    Lost,
}

/// Hashes and checks passwords. Cloning shares the semaphore.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// As many hashes at a time as there are cores. More would need more memory and finish no sooner.
    permits: Arc<Semaphore>,
    decoy: Arc<str>,
}

impl Passwords {
    /// Hashes `decoy` once, to check passwords against where there is no account.
    ///
    /// # Errors
    /// The hash function failed.
    pub async fn new(decoy: &str) -> Result<Self, PasswordError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            permits: Arc::new(Semaphore::new(
                available_parallelism().map_or(1, usize::from),
            )),
            decoy: "".into(),
        };
        passwords.decoy = passwords.hash(decoy.to_owned()).await?.into();
        Ok(passwords)
    }

    /// The hash of the decoy.
    pub fn decoy(&self) -> &str {
        &self.decoy
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// The hash function failed.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let argon2 = self.argon2.clone();
        self.with_permit(move || Ok(argon2.hash_password(password.as_bytes())?.to_string()))
            .await
    }

    /// Whether the password has the hash `stored`. Without a stored hash it is false, after the same time: an attacker
    /// who measures it must not learn which addresses have accounts.
    ///
    /// # Errors
    /// The stored hash is invalid.
    pub async fn is(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let exists = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.decoy.to_string());
        let argon2 = self.argon2.clone();
        let same = self
            .with_permit(
                move || match argon2.verify_password(password.as_bytes(), hash.as_str()) {
                    Ok(()) => Ok(true),
                    Err(Error::PasswordInvalid) => Ok(false),
                    Err(e) => Err(e.into()),
                },
            )
            .await?;
        Ok(exists && same)
    }

    /// Runs `work` on a thread for blocking work, with a permit. The permit is held until the work ends, not the
    /// request: a request that was given up still occupies its core.
    async fn with_permit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Lost)?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| PasswordError::Lost)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_no_other() {
        let passwords = Passwords::new("nobody's").await.unwrap();
        let hash = passwords.hash("difference".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{hash}");
        let is = |p: &str, h: Option<&str>| passwords.is(p.to_owned(), h.map(str::to_owned));
        assert!(is("difference", Some(&hash)).await.unwrap());
        assert!(!is("analytical", Some(&hash)).await.unwrap());
        assert!(is("difference", Some("not a hash")).await.is_err());
    }

    #[tokio::test]
    async fn without_an_account_no_password_is_accepted_not_even_the_decoy() {
        let passwords = Passwords::new("nobody's").await.unwrap();
        assert!(!passwords.is("nobody's".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn equal_passwords_have_different_hashes() {
        let passwords = Passwords::new("nobody's").await.unwrap();
        let again = passwords.hash("nobody's".to_owned()).await.unwrap();
        assert_ne!(again, passwords.decoy());
    }
}
