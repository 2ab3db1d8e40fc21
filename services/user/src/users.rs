//! The state of the user service's handlers.

use std::sync::Arc;

use crate::password::Passwords;
use crate::store::Accounts;
use crate::token::Signer;

/// The accounts, and what checks and proves identity. Cloning shares.
#[derive(Clone)]
pub struct Users {
    /// The accounts.
    pub accounts: Accounts,
    /// Checks and hashes passwords.
    pub passwords: Passwords,
    /// Signs tokens.
    pub signer: Arc<Signer>,
}
