//! Every error that crosses the wire: problem details (RFC 9457) with a stable `type`.

use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

const PREFIX: &str = "urn:doorbuster:problem:";

/// An error as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:doorbuster:problem:` and a stable slug, such as `out-of-stock`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The trace to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The order concerned, where the problem concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
