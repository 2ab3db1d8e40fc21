//! An operation: a method and a path of the shop, described once for its server, its callers and its documents.
//!
//! Each service has a file with its operations as constants, such as [`inventory::COMMIT`]. The service binds a handler
//! to each of them, callers call them, the gateway lists those that are public, and [`crate::openapi`] describes them.

pub mod bank;
pub mod cart;
pub mod events;
pub mod inventory;
pub mod notification;
pub mod order;
pub mod path;
pub mod payment;
pub mod product;
mod schemas;
pub mod user;

use std::time::Duration;

use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::events::{self as wire_events, Envelope};
use crate::role::Role;

/// The HTTP methods that the shop uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates something or starts an action.
    Post,
    /// Replaces something.
    Put,
    /// Removes something.
    Delete,
}

impl Method {
    /// Its name in OpenAPI documents: lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// What a caller must present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    Nothing,
    /// A shopper's token.
    Token,
    /// An administrator's token.
    Admin,
    /// The services' key.
    ServiceKey,
}

/// Which requests a service refuses last when it is overloaded. Most important first.
///
/// The kit translates it to `shop_resilience::Priority`; this crate imports no other of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Work that finishes an order, or without which nothing works, such as the keys of tokens.
    Critical,
    /// A shopper is buying.
    Buying,
    /// A shopper is looking around.
    Browsing,
}

/// The schema of a type, with the schemas that it refers to.
pub struct NamedSchema {
    /// Its name among the document's components.
    pub name: String,
    /// Its schema.
    pub schema: Value,
    /// The other types, by name.
    pub refers_to: Vec<(String, Value)>,
}

/// The schema of a wire type.
pub fn schema<T: ToSchema>() -> NamedSchema {
    // A derived schema is plain data, so it always has a JSON form.
    let json = |schema| serde_json::to_value(schema).unwrap_or_default();
    let mut others = Vec::new();
    T::schemas(&mut others);
    NamedSchema {
        name: T::name().into_owned(),
        schema: json(<T as PartialSchema>::schema()),
        refers_to: others.into_iter().map(|(n, s)| (n, json(s))).collect(),
    }
}

/// A parameter in the path or in the query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name on the wire.
    pub name: &'static str,
    /// Path or query.
    pub location: ParameterLocation,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Its description in documents.
    pub about: &'static str,
    /// Its schema.
    pub schema: fn() -> Value,
    /// Whether its value is an order's id, which the request log then shows.
    pub is_order_id: bool,
}

impl Parameter {
    /// A segment of the path.
    pub const fn path(name: &'static str, about: &'static str, schema: fn() -> Value) -> Self {
        Self {
            name,
            location: ParameterLocation::Path,
            required: true,
            about,
            schema,
            is_order_id: false,
        }
    }

    /// An optional parameter of the query.
    pub const fn query(name: &'static str, about: &'static str, schema: fn() -> Value) -> Self {
        Self {
            name,
            location: ParameterLocation::Query,
            required: false,
            about,
            schema,
            is_order_id: false,
        }
    }

    /// The same parameter, required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same parameter, with an order's id as its value.
    #[must_use]
    pub const fn order_id(self) -> Self {
        Self {
            is_order_id: true,
            ..self
        }
    }
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterLocation {
    /// In the path.
    Path,
    /// In the query.
    Query,
}

/// A successful answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it means.
    pub when: &'static str,
    /// Its body, as JSON.
    pub body: Option<fn() -> NamedSchema>,
}

impl Answer {
    /// An answer with a body.
    pub const fn json(status: u16, when: &'static str, body: fn() -> NamedSchema) -> Self {
        Self {
            status,
            when,
            body: Some(body),
        }
    }

    /// An answer without a body.
    pub const fn empty(status: u16, when: &'static str) -> Self {
        Self {
            status,
            when,
            body: None,
        }
    }
}

/// A refusal by the operation itself. [`crate::openapi`] adds those of the server stack.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Its status.
    pub status: u16,
    /// The kind of its problem, one of [`crate::problem::SLUGS`].
    pub slug: &'static str,
    /// When it occurs.
    pub when: &'static str,
}

impl Refusal {
    /// A refusal.
    pub const fn new(status: u16, slug: &'static str, when: &'static str) -> Self {
        Self { status, slug, when }
    }
}

/// A method and a path: what the request has in it, what the answers are, and how it is called and served.
///
/// What follows from these fields is not repeated here: that a body may be too large, a token invalid, the service
/// overloaded. See [`crate::openapi`].
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The service that answers.
    pub service: Role,
    /// The method.
    pub method: Method,
    /// The path's template: `/orders/{id}`.
    pub path: &'static str,
    /// Its id in documents. It never changes: clients are generated from it.
    pub id: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Further documentation; may be empty.
    pub description: &'static str,
    /// What a caller must present.
    pub auth: Auth,
    /// Which requests are refused before it under overload.
    pub priority: Priority,
    /// How long one try may take.
    pub per_try: Duration,
    /// Whether it needs an `Idempotency-Key`. With one it may be repeated.
    pub keyed: bool,
    /// Whether it may be repeated although its method is POST and it has no key: the service recognises a repetition by
    /// the path or the body, or the request changes nothing.
    pub repeatable: bool,
    /// Whether a second replica may be asked when the first is slow. Only for GET, for reads that somebody waits for
    /// and that cost the service little.
    pub hedged: bool,
    /// Whether its handler calls other services.
    pub calls: bool,
    /// The parameters of path and query.
    pub parameters: &'static [Parameter],
    /// The body.
    pub body: Option<fn() -> NamedSchema>,
    /// Its successful answers.
    pub answers: &'static [Answer],
    /// Its own refusals.
    pub refusals: &'static [Refusal],
}

const TAKEN_IN: &[Answer] = &[Answer::empty(204, "Taken in, now or before")];

impl Operation {
    /// How long one try may take, unless the operation says otherwise.
    pub const PER_TRY: Duration = Duration::from_secs(2);

    /// An operation without authentication, parameters and body, of the lowest priority.
    pub const fn new(
        service: Role,
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        answers: &'static [Answer],
    ) -> Self {
        Self {
            service,
            method,
            path,
            id,
            summary,
            description: "",
            auth: Auth::Nothing,
            priority: Priority::Browsing,
            per_try: Self::PER_TRY,
            keyed: false,
            repeatable: false,
            hedged: false,
            calls: false,
            parameters: &[],
            body: None,
            answers,
            refusals: &[],
        }
    }

    /// How a subscriber receives an event.
    pub(crate) const fn event(service: Role) -> Self {
        Self {
            description: "The same event may come several times; it takes effect once.",
            auth: Auth::ServiceKey,
            priority: Priority::Critical,
            repeatable: true,
            body: Some(schema::<Envelope>),
            ..Self::new(
                service,
                Method::Post,
                wire_events::PATH,
                "takeEvent",
                "Takes in an event",
                TAKEN_IN,
            )
        }
    }

    /// Whether it has parameters in that location.
    pub fn has(&self, location: ParameterLocation) -> bool {
        self.parameters.iter().any(|p| p.location == location)
    }

    /// Whether a shopper's or an administrator's token is needed.
    pub fn needs_token(&self) -> bool {
        matches!(self.auth, Auth::Token | Auth::Admin)
    }

    /// Whether a request may be repeated that may have taken effect; `has_key`: it has an `Idempotency-Key`.
    pub fn may_repeat(&self, has_key: bool) -> bool {
        self.method != Method::Post || self.repeatable || (self.keyed && has_key)
    }

    /// The order's id in a path of this operation, as it was sent (percent-encoded), where the path has one.
    pub fn order_id_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let parameter = self.parameters.iter().find(|p| p.is_order_id)?;
        let mut segments = self.path.split('/').zip(path.split('/'));
        let is_it = |template: &str| {
            let name = template.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            name == Some(parameter.name)
        };
        segments
            .find(|(template, _)| is_it(template))
            .map(|(_, segment)| segment)
    }
}
