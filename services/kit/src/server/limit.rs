//! Load shedding: requests beyond the adaptive limit are refused.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shop_resilience::{Priority, Served};

use super::counters::{self, DATABASE};
use super::request_log::RequestLogFields;
use crate::Kit;
use crate::context::Context;
use crate::problem::ApiError;
use crate::response_marks::Overloaded;

pub(super) async fn limit(State(kit): State<Kit>, request: Request, next: Next) -> Response {
    if !kit.config().resilience.shedding {
        return next.run(request).await;
    }
    let priority = request
        .extensions()
        .get::<Context>()
        .map_or(Priority::Browsing, |c| c.priority);
    let permit = match kit.limiter().admit(priority) {
        Ok(permit) => permit,
        Err(reason) => {
            let mut response = ApiError::shed(reason.as_str()).into_response();
            mark_shed(&kit, &mut response, reason.as_str());
            return response;
        }
    };
    let mut response = next.run(request).await;
    // Only the latency of a request that was served shows how long work takes.
    permit.release(if response.extensions().get::<Overloaded>().is_some() {
        mark_shed(&kit, &mut response, DATABASE);
        Served::Overloaded
    } else if response.status().is_success() {
        Served::Ok
    } else {
        Served::Discarded
    });
    response
}

fn mark_shed(kit: &Kit, response: &mut Response, reason: &'static str) {
    counters::shed(kit, reason, 1);
    RequestLogFields::of(response).shed = Some(reason);
}
