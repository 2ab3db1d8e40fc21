//! Problem details (RFC 9457) with a stable `type`: the body of every error.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::enumeration::one_of;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The prefix of every `type`; the slug follows.
pub const PREFIX: &str = "urn:doorbuster:problem:";

/// Every slug on the shop's listeners, sorted. The admin listeners add `not-ready` and `fault-exists`.
pub const SLUGS: [&str; 28] = [
    "bad-request",
    "bank-unavailable",
    "cancelled",
    "card-declined",
    "deadline-exceeded",
    "dependency-busy",
    "dependency-unavailable",
    "email-taken",
    "empty-cart",
    "forbidden",
    "internal",
    "invalid",
    "key-reused",
    "keys-unavailable",
    "method-not-allowed",
    "not-captured",
    "not-found",
    "nothing-to-refund",
    "out-of-stock",
    "overloaded",
    "rate-limited",
    "reservation-committed",
    "reservation-released",
    "too-large",
    "too-slow",
    "unauthorized",
    "unsupported-media-type",
    "wrong-credentials",
];

/// An error as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:doorbuster:problem:` and a stable slug, such as `out-of-stock`.
    #[serde(rename = "type")]
    #[schema(schema_with = kind_schema)]
    pub kind: String,
    /// The kind in words; the same for every problem of the kind.
    #[schema(example = "There is nothing here")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// This occurrence in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "no such product")]
    pub detail: Option<String>,
    /// The trace to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "0af7651916cd43dd8448eb211c80319c")]
    pub trace_id: Option<String>,
    /// The order concerned, where the problem concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "0197a1b2-0000-7000-8000-000000000001")]
    pub order_id: Option<String>,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(status: u16, slug: &str, title: &str) -> Self {
        Self {
            kind: format!("{PREFIX}{slug}"),
            title: title.to_owned(),
            status,
            detail: None,
            trace_id: None,
            order_id: None,
        }
    }

    /// The kind without its prefix.
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(PREFIX).unwrap_or(&self.kind)
    }
}

/// The schema of a problem's `type`.
fn kind_schema() -> Object {
    let kinds = SLUGS.map(|slug| format!("{PREFIX}{slug}"));
    one_of(kinds.iter().map(String::as_str))
        .description(Some("Which kind of problem; it never changes its meaning"))
        .build()
}
