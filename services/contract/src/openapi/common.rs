//! The parts that all documents share: problems, refusals by the server stack, headers, authentication.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::scope::DocumentScope;
use crate::headers;
use crate::operation::{Auth, Operation, ParameterLocation};
use crate::problem::{MEDIA_TYPE, PREFIX};
use crate::role::Role;

/// Answers before routing, hence without a body and a request id.
pub(super) const BEFORE_ROUTING: [(u16, &str); 2] = [
    (414, "The path and the query are longer than 64 KiB"),
    (431, "More than 100 headers, or too much in them"),
];

/// The refusals with one status: slugs and their meaning.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// By the server stack, with the same text everywhere.
    pub common: Vec<(&'static str, &'static str)>,
    /// By the operation itself.
    pub own: Vec<(&'static str, &'static str)>,
}

/// All refusals of an operation, by status.
pub(super) fn refusals(operation: &Operation, scope: DocumentScope) -> BTreeMap<u16, Refusals> {
    let mut all: BTreeMap<u16, Refusals> = BTreeMap::new();
    for own in operation.refusals {
        let refusals = all.entry(own.status).or_default();
        refusals.own.push((own.slug, own.when));
    }
    let mut add = |status: u16, slug, when| {
        let refusals = all.entry(status).or_default();
        refusals.common.push((slug, when));
    };
    let is_public = scope == DocumentScope::Public;
    let has_body = operation.body.is_some();
    let needs_token = operation.needs_token();
    if is_public || has_body || operation.keyed || !operation.parameters.is_empty() {
        let when = "The path, the query, a header or the body cannot be read";
        add(400, "bad-request", when);
    }
    if needs_token {
        add(
            401,
            "unauthorized",
            "There is no token, or none that is good",
        );
    }
    if operation.auth == Auth::Admin {
        add(403, "forbidden", "The token is not an administrator's");
    }
    if operation.auth == Auth::ServiceKey || operation.has(ParameterLocation::Path) {
        let when = "There is no such thing, or none that this caller may know of";
        add(404, "not-found", when);
    }
    if is_public {
        add(408, "too-slow", "The body did not arrive in time");
    }
    if is_public || has_body {
        add(413, "too-large", "The body is larger than 64 KiB");
    }
    if has_body {
        let when = "The body is not `application/json`";
        add(415, "unsupported-media-type", when);
    }
    if is_public {
        let when = "This caller asks too often; `Retry-After` says when it may again";
        add(429, "rate-limited", when);
    }
    add(
        500,
        "internal",
        "Something went wrong here; the log knows what",
    );
    let when = "There is more work than can be done. Do not repeat the request";
    add(503, "overloaded", when);
    if is_public || operation.calls || needs_token {
        let when = "Something that is needed does not answer";
        add(503, "dependency-unavailable", when);
        let when = "Too much waits for something that is needed. Do not repeat the request";
        add(503, "dependency-busy", when);
    }
    if needs_token {
        let when = "The keys to check tokens with cannot be had just now";
        add(503, "keys-unavailable", when);
    }
    add(
        504,
        "deadline-exceeded",
        "The time for this request is over",
    );
    all
}

/// The refusals with one status, as a response.
pub(super) fn refusal(status: u16, refusals: &Refusals, scope: DocumentScope) -> Value {
    let all: Vec<_> = refusals.own.iter().chain(&refusals.common).collect();
    let mut slugs: Vec<&str> = all.iter().map(|(slug, _)| *slug).collect();
    slugs.sort_unstable();
    slugs.dedup();
    let kinds: Vec<String> = slugs.iter().map(|s| format!("{PREFIX}{s}")).collect();
    let texts: Vec<String> = all
        .iter()
        .map(|(s, when)| format!("`{s}`: {when}"))
        .collect();
    let mut response = json!({
        "description": texts.join(". "),
        "content": {MEDIA_TYPE: {"schema": {"allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"type": {"enum": kinds}, "status": {"const": status}}},
        ]}}},
    });
    let mut own = answer_headers(scope).unwrap_or_else(|| json!({}));
    match status {
        401 => own["WWW-Authenticate"] = reference("WWW-Authenticate"),
        429 | 503 => own["Retry-After"] = reference("Retry-After"),
        _ => {}
    }
    if own.as_object().is_some_and(|o| !o.is_empty()) {
        response["headers"] = own;
    }
    response
}

/// The request headers of an operation.
pub(super) fn header_parameters(operation: &Operation) -> impl Iterator<Item = Value> + use<> {
    let key = operation.keyed.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "The same key is the same request, however often it is sent: 1 to 128 visible characters.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
            "example": "checkout-7",
        })
    });
    let id = json!({
        "name": "X-Request-Id",
        "in": "header",
        "required": false,
        "description": "What the caller calls its request by, for the logs. Anything but 1 to 64 of `A-Z a-z 0-9 . _ -` is not used.",
        "schema": {"type": "string"},
        "example": "cart-page-17",
    });
    key.into_iter().chain([id])
}

/// The headers of every answer.
pub(super) fn answer_headers(scope: DocumentScope) -> Option<Value> {
    // Only the gateway sets ids and returns them. A service identifies requests by their trace.
    (scope == DocumentScope::Public).then(|| json!({"X-Request-Id": reference("X-Request-Id")}))
}

/// The header components.
pub(super) fn headers(scope: DocumentScope) -> Value {
    let mut all = json!({
        "Retry-After": {
            "description": "Seconds after which the request may be sent again; not on what was refused as `overloaded`.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {
            "description": "What to show.",
            "schema": {"type": "string", "const": "Bearer"},
        },
    });
    if scope == DocumentScope::Public {
        all["X-Request-Id"] = json!({
            "description": "The caller's own id of the request, or a new one.",
            "required": true,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        });
    }
    all
}

fn reference(header: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{header}")})
}

/// The ways of authentication.
pub(super) fn security_schemes(scope: DocumentScope) -> Value {
    let mut all = json!({
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token from `POST /users/login`, signed with EdDSA under a key of `/.well-known/jwks.json`.",
        },
    });
    if matches!(scope, DocumentScope::Service(_)) {
        all["serviceKey"] = json!({
            "type": "apiKey",
            "in": "header",
            "name": headers::SERVICE_KEY,
            "description": "What the services know each other by. It does not pass the gateway.",
        });
    }
    all
}

/// The `info` of a document.
pub(super) fn info(scope: DocumentScope, version: &str) -> Value {
    const RULES: &str = "Money is an integer of minor units with a currency, times are milliseconds since 1970. What \
        is not in a schema is ignored in requests. Every error is a problem (RFC 9457) whose `type` never changes its \
        meaning. A path that is not here is answered 404 `not-found`, a method that a path has not 405 \
        `method-not-allowed` with `Allow`. `X-Deadline-Ms` says how many milliseconds the caller still waits; what \
        does not come about in that time is answered 504.";
    let (title, about) = match scope {
        DocumentScope::Public => (
            "The shop".to_owned(),
            "The public API of the shop, as the gateway serves it.".to_owned(),
        ),
        DocumentScope::Service(role) => (
            format!("The {role} service"),
            purpose(role).to_owned() + ".",
        ),
    };
    json!({
        "title": title,
        "description": format!("{about} {RULES}"),
        "version": version,
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    })
}

/// The tag of a service's operations.
pub(super) fn tag(role: Role) -> Value {
    json!({"name": role.name(), "description": purpose(role)})
}

fn purpose(role: Role) -> &'static str {
    match role {
        Role::Gateway => "The one door of the shop",
        Role::User => "Accounts, log-in, tokens",
        Role::Product => "The catalogue",
        Role::Inventory => "Stock and reservations",
        Role::Cart => "What a shopper has picked, one cart per account",
        Role::Order => "Orders, each seen through to one of two ends",
        Role::Payment => "Taking money and giving it back, once",
        Role::Notification => "Messages to customers",
        Role::Bank => "An outside party that charges cards",
    }
}
