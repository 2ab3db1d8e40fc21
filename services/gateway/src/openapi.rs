//! The public document: what the services say of the routes that the gateway lets through.

use axum::Router;
use shop_contract::openapi::operation::Operation;
use shop_contract::openapi::{DocumentScope, document};
use shop_kit::openapi::serving;

use crate::routes::TABLE;

/// Serves it. It is the gateway's own answer: no token, no allowance, nobody behind is asked.
pub(crate) fn routes() -> Router {
    let public: Vec<&Operation> = TABLE.iter().map(|route| route.operation).collect();
    serving(&document(DocumentScope::Public, &public))
}
