//! The credentials of a request: the shopper's token, and the service key.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use shop_contract::Role;
use shop_contract::headers::{CALLER, SERVICE_KEY};
use subtle::ConstantTimeEq;

use crate::Kit;

/// The bearer token of a request, if it has one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// Whether a request has the service key.
pub(super) fn has_service_key(kit: &Kit, headers: &HeaderMap) -> bool {
    let given = headers.get(SERVICE_KEY).map(|v| v.as_bytes());
    given.is_some_and(|g| constant_time_eq(g, kit.config().service_key.as_bytes()))
}

/// The calling service. A caller without the service key can set any name, so its name is ignored.
pub(crate) fn calling_service(kit: &Kit, headers: &HeaderMap) -> Option<Role> {
    let name = headers.get(CALLER)?.to_str().ok()?;
    let role = name.parse().ok()?;
    has_service_key(kit, headers).then_some(role)
}

/// Compares secrets in a time that does not depend on where they differ. Only their lengths can be learned from it.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
