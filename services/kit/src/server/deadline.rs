//! Deadline, priority and token of a request are read here and put into its [`Context`]; a request past its deadline ends.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shop_contract::operation::{self, Operation};
use shop_contract::role::Role;
use shop_resilience::{Deadline, Priority};

use super::counters;
use super::request_log::RequestLogFields;
use crate::Kit;
use crate::context::Context;
use crate::problem::ApiError;
use crate::response_marks::DeadlineExceeded;

pub(super) async fn keep(State(kit): State<Kit>, mut request: Request, next: Next) -> Response {
    let now = kit.now();
    let deadline = kit.config().resilience.deadlines.then(|| {
        let sent = request.headers().get(Deadline::HEADER);
        let usual = Deadline::after(now, kit.default_timeout());
        let asked = sent
            .and_then(|v| v.to_str().ok())
            .and_then(|v| Deadline::from_header(v, now))
            .unwrap_or(usual);
        // A client from outside gets no more than the usual time. Services may ask for more.
        if kit.config().role == Role::Gateway && asked.at() > usual.at() {
            usual
        } else {
            asked
        }
    });
    let operation = request.extensions().get::<&'static Operation>();
    let context = Context {
        deadline,
        priority: operation.map_or(Priority::Browsing, |o| priority(o)),
        authorization: request.headers().get(AUTHORIZATION).cloned(),
    };
    request.extensions_mut().insert(context);
    let Some(deadline) = deadline else {
        return next.run(request).await;
    };
    if !deadline.admits(now, Deadline::FLOOR) {
        return missed(&kit, ApiError::deadline().into_response(), "arrival");
    }
    match tokio::time::timeout(deadline.remaining(now), next.run(request)).await {
        // The handler noticed it, most likely before a call.
        Ok(response) if response.extensions().get::<DeadlineExceeded>().is_some() => {
            missed(&kit, response, "work")
        }
        Ok(response) => response,
        Err(_) => missed(&kit, ApiError::deadline().into_response(), "work"),
    }
}

/// The operation's priority, as the policies have it.
fn priority(operation: &Operation) -> Priority {
    match operation.priority {
        operation::Priority::Critical => Priority::Critical,
        operation::Priority::Buying => Priority::Buying,
        operation::Priority::Browsing => Priority::Browsing,
    }
}

fn missed(kit: &Kit, mut response: Response, at: &'static str) -> Response {
    counters::deadline_missed(kit, at, 1);
    RequestLogFields::of(&mut response).deadline = Some(at);
    response
}
