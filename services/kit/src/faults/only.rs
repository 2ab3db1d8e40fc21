//! Which requests a fault may touch. Pure.

use std::cell::OnceCell;

use http::{HeaderValue, Method};
use serde::Deserialize;
use shop_contract::Role;
use shop_contract::faults::Only;

/// What there is to be asked about a request.
pub(crate) struct Asked<'a> {
    calling: Option<Role>,
    method: &'a Method,
    template: &'a str,
    caller: Option<Role>,
    authorization: Option<&'a HeaderValue>,
    shopper: OnceCell<Option<String>>,
}

impl<'a> Asked<'a> {
    /// A request to be served, and the service that asks, where it is one.
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

    /// A call to be made by a service to a role, in the course of a request with this authorization.
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

    /// The user on whose behalf it is asked: the subject of its token, *whose signature is not checked here*. A caller
    /// who makes one up gains nothing but a fault, or its absence. To check it could take a call to the user service,
    /// which a fault must not cause, and the handler checks it in any case before it does anything.
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

/// An [`Only`], with what it takes to be asked quickly.
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

    /// Whether a fault may touch this request. The shopper is looked at last, since a token has to be read for it.
    pub(super) fn admits(&self, asked: &Asked<'_>) -> bool {
        let only = &self.only;
        let or_any = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        only.calling == asked.calling
            && or_any(&self.method, asked.method.as_str())
            && or_any(&self.path, asked.template)
            && (only.caller.is_none() || only.caller == asked.caller)
            && self.admits_shopper(asked)
    }

    fn admits_shopper(&self, asked: &Asked<'_>) -> bool {
        let only = &self.only;
        if only.shopper.is_none() && only.shoppers.is_none() {
            return true;
        }
        let Some(shopper) = asked.shopper() else {
            return false;
        };
        only.shopper.as_deref().is_none_or(|s| s == shopper)
            && only.shoppers.is_none_or(|s| lot(self.seed, shopper) < s)
    }
}

/// What a fault's name makes of the shoppers: the same at every replica, each of which has draws of its own.
pub(super) fn seed_of(fault: &str) -> u64 {
    fnv1a(fault.bytes())
}

/// FNV-1a, 64 bits. It has to be the same on every machine and in every release, which the standard library's hashers do
/// not promise.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A shopper's lot under a seed, evenly from 0 up to 1: FNV-1a over seed and id, then the finaliser of SplitMix64,
/// without which similar ids would have similar lots.
fn lot(seed: u64, shopper: &str) -> f64 {
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
