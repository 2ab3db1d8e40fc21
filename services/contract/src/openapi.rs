//! OpenAPI 3.1 documents, made from operations.
//!
//! A service's document describes the operations that it has handlers for; the gateway's describes the public ones. Both
//! come from [`document`] and the same constants, so they cannot contradict each other.
//!
//! Schemas are derived from the wire types, with the bounds that the handlers check. What all operations have in common
//! is in [`common`].

pub mod common;
mod scope;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::operation::{Answer, Auth, NamedSchema, Parameter, ParameterLocation, schema};
use crate::problem::Problem;
use crate::role::Role;
use common::Refusals;

pub use crate::operation::{
    self, Operation, bank, cart, inventory, notification, order, payment, product, user,
};
pub use scope::DocumentScope;

/// The version of the interface, independent of the program's version. It grows with incompatible changes.
const VERSION: &str = "1";

/// The document of some operations.
pub fn document(scope: DocumentScope, operations: &[&Operation]) -> Value {
    let mut parts = Parts {
        scope,
        schemas: BTreeMap::new(),
        responses: BTreeMap::new(),
    };
    parts.keep(schema::<Problem>());
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = parts.operation(operation);
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.method.name().to_owned(), described);
    }
    let mut tags: Vec<Role> = operations.iter().map(|o| o.service).collect();
    tags.sort_unstable();
    tags.dedup();
    let tags = tags.iter().map(|r| common::tag(*r));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": common::info(scope, VERSION),
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": parts.schemas,
            "responses": parts.responses,
            "headers": common::headers(scope),
            "securitySchemes": common::security_schemes(scope),
        },
    });
    plain_words(&mut document);
    document
}

/// The parts of a document, collected while its operations are described.
struct Parts {
    scope: DocumentScope,
    schemas: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
}

impl Parts {
    fn operation(&mut self, operation: &Operation) -> Value {
        let parameters = operation.parameters.iter().map(parameter);
        let parameters = parameters.chain(common::header_parameters(operation));
        let mut described = json!({
            "operationId": operation.id,
            "tags": [operation.service.name()],
            "summary": operation.summary,
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": self.answers(operation),
            "security": match operation.auth {
                Auth::Nothing => json!([]),
                Auth::Token | Auth::Admin => json!([{"token": []}]),
                Auth::ServiceKey => json!([{"serviceKey": []}]),
            },
        });
        if !operation.description.is_empty() {
            described["description"] = json!(operation.description);
        }
        if let Some(body) = operation.body {
            described["requestBody"] = json!({
                "required": true,
                "content": {"application/json": {"schema": self.keep(body())}},
            });
        }
        described
    }

    fn answers(&mut self, operation: &Operation) -> Value {
        let mut answers = Map::new();
        for answer in operation.answers {
            let described = self.answer(answer);
            answers.insert(answer.status.to_string(), described);
        }
        for (status, refusals) in common::refusals(operation, self.scope) {
            answers.insert(status.to_string(), self.refusal(status, &refusals));
        }
        for (status, when) in common::BEFORE_ROUTING {
            answers.insert(status.to_string(), json!({"description": when}));
        }
        Value::Object(answers)
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let mut described = json!({"description": answer.when});
        if let Some(body) = answer.body {
            described["content"] = json!({"application/json": {"schema": self.keep(body())}});
        }
        if let Some(headers) = common::answer_headers(self.scope) {
            described["headers"] = headers;
        }
        described
    }

    /// A refusal by the server stack alone is described once, as a component, and referred to.
    fn refusal(&mut self, status: u16, refusals: &Refusals) -> Value {
        let described = common::refusal(status, refusals, self.scope);
        if !refusals.own.is_empty() {
            return described;
        }
        let mut name = status.to_string();
        for (slug, _) in &refusals.common {
            name = format!("{name}.{slug}");
        }
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        self.responses.insert(name, described);
        reference
    }

    /// Adds a schema, with all that it refers to, and returns a reference to it.
    fn keep(&mut self, named: NamedSchema) -> Value {
        let reference = json!({"$ref": format!("#/components/schemas/{}", named.name)});
        self.schemas.extend(named.refers_to);
        self.schemas.insert(named.name, named.schema);
        reference
    }
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": match parameter.location {
            ParameterLocation::Path => "path",
            ParameterLocation::Query => "query",
        },
        "required": parameter.required,
        "description": parameter.about,
        "schema": (parameter.schema)(),
    })
}

/// Doc comments become descriptions. Their links lead nowhere outside of the code, so they are removed.
fn plain_words(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`");
                    }
                    other => plain_words(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_words),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
