//! Schemas of parameters that several operations have.

use serde_json::{Value, json};

/// Any text but the empty one. PostgreSQL cannot store U+0000.
pub(super) fn text() -> Value {
    json!({"type": "string", "minLength": 1, "pattern": "^[^\\x00]*$"})
}

/// The length of a list.
pub(super) fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
}
