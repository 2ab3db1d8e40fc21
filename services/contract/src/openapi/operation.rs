//! One path and method, as its service and its callers see it.

use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::Role;

/// A method that the shop has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something, or has something done.
    Post,
    /// Sets something to what the body says.
    Put,
    /// Takes something away.
    Delete,
}

impl Method {
    /// As documents write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// What a caller must show.
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

/// A type by its name, with all that its schema refers to.
pub struct NamedSchema {
    /// Its name among the components.
    pub name: String,
    /// Its schema.
    pub schema: Value,
    /// Other types by their names.
    pub refers_to: Vec<(String, Value)>,
}

/// The schema of a wire type.
pub fn schema<T: ToSchema>() -> NamedSchema {
    // What derive makes is plain data, which always has a JSON form.
    let json = |schema| serde_json::to_value(schema).unwrap_or_default();
    let mut others = Vec::new();
    T::schemas(&mut others);
    NamedSchema {
        name: T::name().into_owned(),
        schema: json(<T as PartialSchema>::schema()),
        refers_to: others.into_iter().map(|(n, s)| (n, json(s))).collect(),
    }
}

/// A part of the path or of the query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// As callers write it.
    pub name: &'static str,
    /// Where.
    pub location: ParameterLocation,
    /// Whether it has to be there.
    pub required: bool,
    /// What it says.
    pub about: &'static str,
    /// What it may be.
    pub schema: fn() -> Value,
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
        }
    }

    /// A part of the query that may be left out.
    pub const fn query(name: &'static str, about: &'static str, schema: fn() -> Value) -> Self {
        Self {
            name,
            location: ParameterLocation::Query,
            required: false,
            about,
            schema,
        }
    }

    /// The same, and it has to be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterLocation {
    /// In the path.
    Path,
    /// In the query.
    Query,
}

/// An answer to a request that was done.
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
    /// With a body.
    pub const fn json(status: u16, when: &'static str, body: fn() -> NamedSchema) -> Self {
        Self {
            status,
            when,
            body: Some(body),
        }
    }

    /// Without one.
    pub const fn empty(status: u16, when: &'static str) -> Self {
        Self {
            status,
            when,
            body: None,
        }
    }
}

/// An answer to a request that was not done, of which the stack knows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Its status.
    pub status: u16,
    /// The kind of its problem, one of [`crate::problem::SLUGS`].
    pub slug: &'static str,
    /// When it comes.
    pub when: &'static str,
}

impl Refusal {
    /// A refusal.
    pub const fn new(status: u16, slug: &'static str, when: &'static str) -> Self {
        Self { status, slug, when }
    }
}

/// A path and a method: what it takes, what it gives, what it refuses.
///
/// What follows from the rest is not repeated here: that a body may be too large, a token no good, the service
/// overloaded. See [`super::common`].
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Who answers.
    pub service: Role,
    /// The method.
    pub method: Method,
    /// The path's template.
    pub path: &'static str,
    /// Its name, the same for ever: clients are generated from it.
    pub id: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else is to be known.
    pub description: &'static str,
    /// What a caller must show.
    pub auth: Auth,
    /// Whether it needs an `Idempotency-Key`.
    pub keyed: bool,
    /// Whether it calls other services to do its work.
    pub calls: bool,
    /// What path and query say.
    pub parameters: &'static [Parameter],
    /// What the body says.
    pub body: Option<fn() -> NamedSchema>,
    /// Its good answers.
    pub answers: &'static [Answer],
    /// Its own refusals.
    pub refusals: &'static [Refusal],
}

impl Operation {
    /// An operation that asks for nothing and takes nothing.
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
            keyed: false,
            calls: false,
            parameters: &[],
            body: None,
            answers,
            refusals: &[],
        }
    }

    /// Whether it has parameters in that location.
    pub fn has(&self, location: ParameterLocation) -> bool {
        self.parameters.iter().any(|p| p.location == location)
    }
}
