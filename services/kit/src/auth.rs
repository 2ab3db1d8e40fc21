//! Authentication: a shopper with a signed token, or another service with the service key.
//!
//! Each service checks a token's signature by itself, also behind the gateway, so a mistake in the gateway's routes gives
//! nobody access.

pub(crate) mod credentials;
pub mod ed25519;
pub(crate) mod verifier;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use shop_contract::Role;
use shop_contract::headers::IDEMPOTENCY_KEY;
use shop_contract::operation;
use shop_contract::user::{ADMIN, Claims};

use crate::Kit;
use crate::client::Call;
use crate::context::Context;
use crate::problem::ApiError;
use credentials::has_service_key;
pub use credentials::{bearer, constant_time_eq};
pub use verifier::Verifier;

impl Kit {
    /// Checks a shopper's token with the keys that the user service publishes.
    ///
    /// # Errors
    /// 401 for an invalid token, 503 when the keys cannot be fetched.
    pub async fn verify(&self, token: &str) -> Result<Claims, ApiError> {
        let fetch_keys = || async {
            let call = Call::to(&operation::user::KEYS);
            let answer = self.call(call, &Context::background()).await?;
            Ok(answer.ok(Role::User)?)
        };
        self.verifier().verify(token, fetch_keys).await
    }
}

/// A shopper, as a handler's argument: 401 without a valid token.
#[derive(Debug, Clone)]
pub struct Caller(pub Claims);

impl Caller {
    /// 404 unless `owner` is the caller: other shoppers' things do not exist for the caller.
    ///
    /// # Errors
    /// 404.
    pub fn owns(&self, owner: &str, what: &str) -> Result<(), ApiError> {
        if self.0.sub == owner {
            Ok(())
        } else {
            Err(ApiError::not_found(what))
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Kit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let kit = Kit::from_ref(state);
        let token = bearer(&parts.headers)
            .ok_or_else(|| ApiError::unauthorized("there is no `Authorization: Bearer` header"))?;
        kit.verify(token).await.map(Caller)
    }
}

/// An administrator, as a handler's argument: 401 without a valid token, 403 without the role.
#[derive(Debug, Clone)]
pub struct Admin(pub Claims);

impl<S> FromRequestParts<S> for Admin
where
    Kit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(claims) = Caller::from_request_parts(parts, state).await?;
        if claims.role == ADMIN {
            Ok(Self(claims))
        } else {
            Err(ApiError::forbidden("this needs the role `admin`"))
        }
    }
}

/// Another service, as a handler's argument: 404 without the service key, as the path does not exist for other callers.
#[derive(Debug, Clone, Copy)]
pub struct Service;

impl<S> FromRequestParts<S> for Service
where
    Kit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let kit = Kit::from_ref(state);
        if has_service_key(&kit, &parts.headers) {
            Ok(Self)
        } else {
            Err(ApiError::not_found("path"))
        }
    }
}

/// The idempotency key of a request.
///
/// # Errors
/// 400 without one, or with one that is not 1 to 128 visible characters.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|v| v.to_str().ok())
        .filter(|k| (1..=128).contains(&k.len()) && k.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(|| {
            ApiError::bad_request("the header `Idempotency-Key` needs 1 to 128 visible characters")
        })
}
