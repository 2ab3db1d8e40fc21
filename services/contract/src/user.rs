//! Accounts and tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::enumeration::one_of;

/// `POST /users`: 201 with a [`User`]; 409 `email-taken`; 422 for an e-mail or password that cannot be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    /// In visible ASCII characters; spaces around it are dropped, and it is kept in lower case.
    #[schema(
        min_length = 5,
        max_length = 254,
        pattern = "^ *[!-?A-~]+@[!-\\-/-?A-~][!-?A-~]*\\.[!-?A-~]*[!-\\-/-?A-~] *$",
        example = "ada@shop.example"
    )]
    pub email: String,
    /// Shown on messages: 1 to 100 characters, none of them a control character, not all of them spaces.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$",
        example = "Ada"
    )]
    pub name: String,
    /// 8 to 256 characters, and not [`SEEDED_PASSWORD`].
    #[schema(
        min_length = 8,
        max_length = 256,
        pattern = "^[^\\x00]*$",
        example = "difference engine"
    )]
    pub password: String,
}

/// An account, without its secret. `GET /users/{id}` gives it to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The account.
    #[schema(min_length = 1, example = "0197a1b2-0000-7000-8000-000000000000")]
    pub id: String,
    /// Where messages go.
    #[schema(example = "ada@shop.example")]
    pub email: String,
    /// Who it is.
    #[schema(example = "Ada")]
    pub name: String,
    /// `customer` or `admin`.
    #[schema(schema_with = role_schema)]
    pub role: String,
}

/// `POST /users/login`: 200 with a [`Session`]; 401 `wrong-credentials`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Login {
    /// As registered.
    #[schema(pattern = "^[^\\x00]*$", example = "customer-0@shop.example")]
    pub email: String,
    /// In clear; the connection is what protects it.
    #[schema(pattern = "^[^\\x00]*$", example = "a-made-up-shopper")]
    pub password: String,
}

/// A signed token and whose it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// To be sent as `Authorization: Bearer`.
    pub token: String,
    /// Its subject.
    pub user_id: String,
    /// Seconds that it is good for.
    #[schema(example = 3600)]
    pub expires_in_s: u64,
}

/// `GET /.well-known/jwks.json`: the keys to check tokens with (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySet {
    /// The keys that are in use.
    #[schema(min_items = 1)]
    pub keys: Vec<PublicKey>,
}

/// The public half of a signing key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKey {
    /// `OKP`: a key on a curve named by `crv`.
    #[schema(pattern = "^OKP$", example = "OKP")]
    pub kty: String,
    /// The curve.
    #[schema(pattern = "^Ed25519$", example = "Ed25519")]
    pub crv: String,
    /// The key: 32 bytes in base64url.
    #[schema(
        pattern = "^[A-Za-z0-9_-]{43}$",
        example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    )]
    pub x: String,
    /// Its name, which is in the head of each token that it signed.
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    pub kid: String,
    /// What it signs with.
    #[schema(pattern = "^EdDSA$", example = "EdDSA")]
    pub alg: String,
}

/// The claims of a token, signed with EdDSA under a key of `/.well-known/jwks.json`.
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
/// The password of seeded accounts, which have nothing in them. `POST /users` refuses it, so no real account has it.
pub const SEEDED_PASSWORD: &str = "a-made-up-shopper";

/// The schema of an account's role.
fn role_schema() -> Object {
    one_of([CUSTOMER, ADMIN])
        .description(Some("What it may do"))
        .build()
}
