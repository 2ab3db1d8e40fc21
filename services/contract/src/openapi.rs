//! Which path takes and gives what, as OpenAPI 3.1.
//!
//! Every path of the shop is an [`Operation`], one file of them per service. A service binds its handlers to them, so
//! it has no path that is not described here; the gateway names those that it lets through. Both have their document
//! from [`document`], hence they cannot say different things of the same path.
//!
//! Schemas come from the wire types, by derive, with the bounds that the handlers keep. The rest of a document is put
//! together here, and what all paths share is written down once: [`common`].

pub mod bank;
pub mod cart;
pub mod common;
pub mod inventory;
pub mod notification;
pub mod operation;
pub mod order;
pub mod payment;
pub mod product;
pub mod user;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Object, Ref};

use crate::events::Envelope;
use crate::{Problem, Role, problem};
use common::Refusals;
use operation::{
    Answer, Auth, Method, NamedSchema, Operation, Parameter, ParameterLocation, schema,
};

/// The version of the interface, which is not the program's: it grows when something is taken away or means another
/// thing than before.
const VERSION: &str = "1";

/// Where a document is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentScope {
    /// At a service, for the other services.
    Service(Role),
    /// At the gateway, for everyone. It refuses more: whoever asks too often, and bodies that take too long.
    Public,
}

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

/// What a document is put together from.
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

    /// A refusal that the stack states in the same words everywhere is described once and referred to.
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

    /// Keeps a schema with all that it refers to, and gives a reference to it.
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

/// Comments of the code become descriptions; their links lead nowhere outside of it.
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

const TAKEN_IN: &[Answer] = &[Answer::empty(204, "Taken in, now or before")];

/// What every subscriber has for the events of others.
const fn event(service: Role) -> Operation {
    Operation {
        description: "The same event may come several times; it takes effect once.",
        auth: Auth::ServiceKey,
        body: Some(schema::<Envelope>),
        ..Operation::new(
            service,
            Method::Post,
            "/events",
            "takeEvent",
            "Takes in an event",
            TAKEN_IN,
        )
    }
}

/// Any text. That PostgreSQL cannot hold U+0000 is what makes it less than any.
fn text() -> Value {
    json!({"type": "string", "minLength": 1, "pattern": "^[^\\x00]*$"})
}

/// The length of a list.
fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
}

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    let words = words.into_iter().map(Value::from);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
}

/// One of [`crate::product::CATEGORIES`].
pub(crate) fn category() -> Object {
    one_of(crate::product::CATEGORIES)
        .description(Some("The department"))
        .build()
}

/// The role of an account.
pub(crate) fn account_role() -> Object {
    one_of([crate::user::CUSTOMER, crate::user::ADMIN])
        .description(Some("What it may do"))
        .build()
}

/// The `type` of a problem.
pub(crate) fn problem_kind() -> Object {
    let kinds = problem::SLUGS.map(|slug| format!("{}{slug}", problem::PREFIX));
    one_of(kinds.iter().map(String::as_str))
        .description(Some("Which kind of problem; it never changes its meaning"))
        .build()
}

/// Money that is more than none.
pub(crate) fn some_money() -> Schema {
    let minor = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    AllOfBuilder::new()
        .item(Ref::from_schema_name("Money"))
        .item(ObjectBuilder::new().property("minor", minor))
        .description(Some("How much, at least one minor unit"))
        .build()
        .into()
}

#[cfg(test)]
mod tests;
