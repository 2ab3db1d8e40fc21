//! Who is calling: a shopper with a signed token, or another service with the services' key.
//!
//! Services trust nothing unsigned. Each checks the token's signature by itself against the keys that the user
//! service publishes, also behind the gateway, so that a mistake in the gateway's routes opens no door.

pub mod ed25519;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use shop_contract::Role;
use shop_contract::headers::{CALLER, IDEMPOTENCY_KEY, SERVICE_KEY};
use shop_contract::user::{ADMIN, Claims, ISSUER};

use crate::Kit;
use crate::clock::WallClock;
use crate::problem::ApiError;

/// Between two look-ups of the keys, so that a flood of made-up key ids does not become a flood of look-ups.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);
/// How long an expired token is still good, for clocks that differ.
const LEEWAY_S: u64 = 5;
/// Verified tokens that are remembered. A session's requests all carry the same one, and a signature check
/// costs more than everything else that most requests do.
const REMEMBERED: usize = 4096;

/// Checks tokens, as of a time of day: its own service's, right or wrong.
pub struct Verifier {
    clock: WallClock,
    known: Mutex<Known>,
    looking_up: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    looked_up: Option<Instant>,
    /// Whether the last look-up brought nothing: then it is not known whether a token is good.
    in_the_dark: bool,
    verified: HashMap<String, Claims>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(WallClock::default())
    }
}

enum Seen {
    Good(Claims),
    Key(DecodingKey),
    Unknown { may_look_up: bool },
}

impl Verifier {
    /// A verifier that knows no keys yet.
    pub fn new(clock: WallClock) -> Self {
        ed25519::install();
        Self {
            clock,
            known: Mutex::default(),
            looking_up: tokio::sync::Mutex::default(),
        }
    }

    /// Checks a token; `keys` fetches the published keys when one is missing.
    ///
    /// # Errors
    /// 401 for a token that is not good; whatever `keys` failed with.
    pub async fn verify<F>(&self, token: &str, keys: impl FnOnce() -> F) -> Result<Claims, ApiError>
    where
        F: Future<Output = Result<JwkSet, ApiError>>,
    {
        let kid = decode_header(token)
            .ok()
            .and_then(|h| h.kid)
            .ok_or_else(|| ApiError::unauthorized("the token cannot be read"))?;
        let seen = match self.seen(token, &kid) {
            Seen::Unknown { .. } => {
                // One look-up for all who miss the key at the same time.
                let _turn = self.looking_up.lock().await;
                match self.seen(token, &kid) {
                    Seen::Unknown { may_look_up: true } => {
                        // Counted before its outcome: a user service that is down is not asked once per request.
                        {
                            let mut known = self.lock();
                            known.looked_up = Some(Instant::now());
                            known.in_the_dark = true;
                        }
                        let fetched = keys().await?;
                        self.learn(&fetched);
                        self.seen(token, &kid)
                    }
                    seen => seen,
                }
            }
            seen => seen,
        };
        let key = match seen {
            Seen::Good(claims) => return Ok(claims),
            Seen::Key(key) => key,
            Seen::Unknown { .. } if self.lock().in_the_dark => {
                let detail = "the keys to check tokens with cannot be had just now";
                return Err(ApiError::unavailable("keys-unavailable", detail));
            }
            Seen::Unknown { .. } => {
                return Err(ApiError::unauthorized("the token's key is not known"));
            }
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        // Whether it has expired is for our own clock to say, not for the system's.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|e| ApiError::unauthorized(format!("the token is not good: {e}")))?
            .claims;
        if claims.exp + LEEWAY_S < self.now_s() {
            return Err(ApiError::unauthorized(
                "the token is not good: it has expired",
            ));
        }
        let mut known = self.lock();
        if known.verified.len() >= REMEMBERED {
            known.verified.clear();
        }
        known.verified.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }

    /// Seconds since 1970.
    fn now_s(&self) -> u64 {
        self.clock.unix_ms().unsigned_abs() / 1000
    }

    fn seen(&self, token: &str, kid: &str) -> Seen {
        let mut known = self.lock();
        if let Some(claims) = known.verified.get(token) {
            if claims.exp > self.now_s() {
                return Seen::Good(claims.clone());
            }
            known.verified.remove(token);
        }
        if let Some(key) = known.keys.get(kid) {
            return Seen::Key(key.clone());
        }
        let now = Instant::now();
        let may_look_up = known
            .looked_up
            .is_none_or(|at| now.duration_since(at) >= LOOK_UP_EVERY);
        Seen::Unknown { may_look_up }
    }

    fn learn(&self, set: &JwkSet) {
        let mut known = self.lock();
        known.in_the_dark = false;
        for jwk in &set.keys {
            if let (Some(kid), Ok(key)) = (&jwk.common.key_id, DecodingKey::from_jwk(jwk)) {
                known.keys.insert(kid.clone(), key);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a request, if it has one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// A shopper, as an argument of a handler: 401 without a good token.
#[derive(Debug, Clone)]
pub struct Caller(pub Claims);

impl Caller {
    /// 404 unless `owner` is the caller: what is somebody else's does not exist.
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

/// An administrator, as an argument of a handler: 401 without a good token, 403 without the role.
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

/// Another service, as an argument of a handler: 404 without the services' key, since to everyone else such a path
/// does not exist.
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
        if has_the_key(&kit, &parts.headers) {
            Ok(Self)
        } else {
            Err(ApiError::not_found("path"))
        }
    }
}

fn has_the_key(kit: &Kit, headers: &HeaderMap) -> bool {
    let given = headers.get(SERVICE_KEY).map(|v| v.as_bytes());
    given.is_some_and(|g| same(g, kit.config().service_key.as_bytes()))
}

/// Which service asks. Whoever has not the services' key may call itself what it likes.
pub(crate) fn calling_service(kit: &Kit, headers: &HeaderMap) -> Option<Role> {
    let name = headers.get(CALLER)?.to_str().ok()?;
    let role = name.parse().ok()?;
    has_the_key(kit, headers).then_some(role)
}

/// Compares without telling by its duration where the first difference is.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

/// The idempotency key of a request: 400 without one, or with one that is not 1 to 128 visible characters.
///
/// # Errors
/// 400.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|v| v.to_str().ok())
        .filter(|k| (1..=128).contains(&k.len()) && k.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(|| {
            ApiError::bad_request("the header `Idempotency-Key` needs 1 to 128 visible characters")
        })
}
