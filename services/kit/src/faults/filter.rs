//! Which requests a fault applies to. Pure.

use std::cell::OnceCell;

use http::{HeaderValue, Method};
use serde::Deserialize;
use shop_contract::Role;
use shop_contract::faults::Only;

/// The properties of a request that a filter can match.
pub(crate) struct RequestInfo<'a> {
    calling: Option<Role>,
    method: &'a Method,
    template: &'a str,
    caller: Option<Role>,
    authorization: Option<&'a HeaderValue>,
    shopper: OnceCell<Option<String>>,
}

impl<'a> RequestInfo<'a> {
    /// A request to be served. `caller` is the calling service, if it is one.
    pub(crate) fn served(
        method: &'a Method,
        template: &'a str,
        caller: Option<Role>,
        authorization: Option<&'a HeaderValue>,
    ) -> Self {
        Self {
            calling: None,
            method,
            template,
            caller,
            authorization,
            shopper: OnceCell::new(),
        }
    }

    /// A call to `role`, made by the service `by` while it serves a request with this authorization.
    pub(crate) fn calling(
        role: Role,
        method: &'a Method,
        template: &'a str,
        by: Role,
        authorization: Option<&'a HeaderValue>,
    ) -> Self {
        Self {
            calling: Some(role),
            ..Self::served(method, template, Some(by), authorization)
        }
    }

    /// The shopper: the subject of the token, *whose signature is not checked here*. A caller with a made-up token gains
    /// nothing but a fault, or its absence. Checking it could take a call to the user service, which a fault must not cause;
    /// the handler checks it in any case before it acts.
    fn shopper(&self) -> Option<&str> {
        let read = || {
            let token = self.authorization?.to_str().ok()?.strip_prefix("Bearer ")?;
            let subject = jsonwebtoken::dangerous::insecure_decode_claims::<Subject>(token);
            Some(subject.ok()?.sub)
        };
        self.shopper.get_or_init(read).as_deref()
    }
}

#[derive(Deserialize)]
struct Subject {
    sub: String,
}

/// An [`Only`], parsed for quick matching.
#[derive(Debug)]
pub(super) struct Filter {
    only: Only,
    method: Option<String>,
    path: Option<String>,
    seed: u64,
}

impl Filter {
    pub(super) fn new(only: &Only, seed: u64) -> Self {
        let (method, path) = match &only.route {
            None => (None, None),
            Some(route) => match route.trim().split_once(' ') {
                Some((method, path)) => {
                    (Some(method.to_ascii_uppercase()), Some(path.trim().into()))
                }
                None => (None, Some(route.trim().to_owned())),
            },
        };
        Self {
            only: only.clone(),
            method,
            path,
            seed,
        }
    }

    /// Whether the fault applies to this request. The shopper comes last, as the token has to be decoded for it.
    pub(super) fn matches(&self, request: &RequestInfo<'_>) -> bool {
        let only = &self.only;
        let is_or_any =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        only.calling == request.calling
            && is_or_any(&self.method, request.method.as_str())
            && is_or_any(&self.path, request.template)
            && (only.caller.is_none() || only.caller == request.caller)
            && self.matches_shopper(request)
    }

    fn matches_shopper(&self, request: &RequestInfo<'_>) -> bool {
        let only = &self.only;
        if only.shopper.is_none() && only.shoppers.is_none() {
            return true;
        }
        let Some(shopper) = request.shopper() else {
            return false;
        };
        only.shopper.as_deref().is_none_or(|s| s == shopper)
            && only
                .shoppers
                .is_none_or(|s| position(self.seed, shopper) < s)
    }
}

/// The seed for picking shoppers, from the fault's name: the same at every replica, although each has its own draws.
pub(super) fn seed_of(fault: &str) -> u64 {
    fnv1a(fault.bytes())
}

/// FNV-1a, 64 bits. The result must be the same on every machine and in every release, which the standard library's
/// hashers do not promise.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A shopper's position under a seed, uniform in [0, 1): FNV-1a over seed and id, then the finaliser of SplitMix64, without
/// which similar ids would have similar positions. A share `s` of the shoppers is those with a position below `s`.
fn position(seed: u64, shopper: &str) -> f64 {
    let mut mixed = fnv1a(seed.to_le_bytes().into_iter().chain(shopper.bytes()));
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
    }
    mixed ^= mixed >> 31;
    // The 53 bits that a double holds.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
