//! Checks shoppers' tokens against the keys that the user service publishes.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use parking_lot::Mutex;
use shop_contract::user::{Claims, ISSUER};

use super::ed25519;
use crate::clock::WallClock;
use crate::problem::ApiError;

/// The time between two fetches of the keys, so that many made-up key ids do not cause many fetches.
const FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long an expired token is still valid, for clocks that differ.
const LEEWAY_S: u64 = 5;
/// The size of the cache of verified tokens. The requests of a session carry the same token, and a signature check costs
/// more than everything else that most requests do.
const CACHED_TOKENS: usize = 4096;

/// Checks tokens at the service's own time of day, which a fault may have skewed.
pub struct Verifier {
    clock: WallClock,
    cache: Mutex<Cache>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, DecodingKey>,
    fetched_at: Option<Instant>,
    /// Whether the last fetch failed: then a token with an unknown key may be valid.
    fetch_failed: bool,
    verified: HashMap<String, Claims>,
}

/// What the cache holds for a token.
enum CacheEntry {
    Verified(Claims),
    Key(DecodingKey),
    Missing { may_fetch: bool },
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(WallClock::default())
    }
}

impl Verifier {
    /// A verifier without keys: it fetches them when it needs them.
    pub fn new(clock: WallClock) -> Self {
        ed25519::install();
        Self {
            clock,
            cache: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Checks a token; `fetch_keys` fetches the published keys when one is missing.
    ///
    /// # Errors
    /// 401 for an invalid token; the error of `fetch_keys`.
    pub async fn verify<F>(
        &self,
        token: &str,
        fetch_keys: impl FnOnce() -> F,
    ) -> Result<Claims, ApiError>
    where
        F: Future<Output = Result<JwkSet, ApiError>>,
    {
        let kid = decode_header(token)
            .ok()
            .and_then(|h| h.kid)
            .ok_or_else(|| ApiError::unauthorized("the token cannot be read"))?;
        let entry = match self.look_up(token, &kid) {
            CacheEntry::Missing { .. } => {
                // One fetch for all requests that miss the key at the same time.
                let _fetching = self.fetching.lock().await;
                match self.look_up(token, &kid) {
                    CacheEntry::Missing { may_fetch: true } => {
                        // Set before the outcome, so that a user service that is down is not asked once per request.
                        {
                            let mut cache = self.cache.lock();
                            cache.fetched_at = Some(Instant::now());
                            cache.fetch_failed = true;
                        }
                        let fetched = fetch_keys().await?;
                        self.add_keys(&fetched);
                        self.look_up(token, &kid)
                    }
                    entry => entry,
                }
            }
            entry => entry,
        };
        let key = match entry {
            CacheEntry::Verified(claims) => return Ok(claims),
            CacheEntry::Key(key) => key,
            CacheEntry::Missing { .. } if self.cache.lock().fetch_failed => {
                let detail = "the keys to check tokens with cannot be had just now";
                return Err(ApiError::unavailable("keys-unavailable", detail));
            }
            CacheEntry::Missing { .. } => {
                return Err(ApiError::unauthorized("the token's key is not known"));
            }
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        // Expiry is checked below, by the service's own clock.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|e| ApiError::unauthorized(format!("the token is not good: {e}")))?
            .claims;
        if claims.exp + LEEWAY_S < self.now_s() {
            return Err(ApiError::unauthorized(
                "the token is not good: it has expired",
            ));
        }
        let mut cache = self.cache.lock();
        if cache.verified.len() >= CACHED_TOKENS {
            cache.verified.clear();
        }
        cache.verified.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }

    /// Seconds since 1970.
    fn now_s(&self) -> u64 {
        self.clock.unix_ms().unsigned_abs() / 1000
    }

    fn look_up(&self, token: &str, kid: &str) -> CacheEntry {
        let mut cache = self.cache.lock();
        if let Some(claims) = cache.verified.get(token) {
            if claims.exp > self.now_s() {
                return CacheEntry::Verified(claims.clone());
            }
            cache.verified.remove(token);
        }
        if let Some(key) = cache.keys.get(kid) {
            return CacheEntry::Key(key.clone());
        }
        let now = Instant::now();
        let may_fetch = cache
            .fetched_at
            .is_none_or(|at| now.duration_since(at) >= FETCH_INTERVAL);
        CacheEntry::Missing { may_fetch }
    }

    fn add_keys(&self, set: &JwkSet) {
        let mut cache = self.cache.lock();
        cache.fetch_failed = false;
        for jwk in &set.keys {
            if let (Some(kid), Ok(key)) = (&jwk.common.key_id, DecodingKey::from_jwk(jwk)) {
                cache.keys.insert(kid.clone(), key);
            }
        }
    }
}
