//! Accounts and tokens.

use serde::{Deserialize, Serialize};

/// `POST /users`: 201 with a [`User`]; 409 `email-taken`; 422 for an e-mail or password that cannot be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewUser {
    /// Lower-cased and trimmed by the service.
    pub email: String,
    /// Shown on messages.
    pub name: String,
    /// At least 8 characters.
    pub password: String,
}

/// An account, without its secret. `GET /users/{id}` gives it to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account.
    pub id: String,
    /// Where messages go.
    pub email: String,
    /// Who it is.
    pub name: String,
    /// `customer` or `admin`.
    pub role: String,
}

/// `POST /users/login`: 200 with a [`Session`]; 401 `wrong-credentials`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// As registered.
    pub email: String,
    /// In clear; the connection is what protects it.
    pub password: String,
}

/// A signed token and whose it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// To be sent as `Authorization: Bearer`.
    pub token: String,
    /// Its subject.
    pub user_id: String,
    /// Seconds that it is good for.
    pub expires_in_s: u64,
}

/// What a token says, signed with EdDSA under a key of `/.well-known/jwks.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// User id.
    pub sub: String,
    /// `customer` or `admin`.
    pub role: String,
    /// For messages about orders.
    pub email: String,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Expires at, seconds since 1970.
    pub exp: u64,
    /// Always [`ISSUER`].
    pub iss: String,
}

/// The issuer of every token.
pub const ISSUER: &str = "doorbuster-user";
/// The role of a shopper.
pub const CUSTOMER: &str = "customer";
/// The role that may change the catalogue.
pub const ADMIN: &str = "admin";

/// Seeded customers: `customer-<n>@shop.example` for n from 0, all with [`SEEDED_PASSWORD`].
pub fn seeded_email(n: u64) -> String {
    format!("customer-{n}@shop.example")
}

/// The seeded administrator, with [`SEEDED_PASSWORD`] as well.
pub const SEEDED_ADMIN: &str = "admin@shop.example";
/// A password for made-up accounts that hold nothing; a real account never has it, for `POST /users` refuses it.
pub const SEEDED_PASSWORD: &str = "a-made-up-shopper";
