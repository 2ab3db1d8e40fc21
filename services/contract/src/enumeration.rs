//! The schema of a text that is one of a few words.

use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// A string schema with these values.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    let words = words.into_iter().map(Value::from);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
}
