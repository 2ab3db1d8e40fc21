//! What several faults do to one request, in a fixed order: first the delays, which add up; then the first fault that ends
//! the request; else, once there is a response, the faults that change its body. Served requests and calls share it.

use axum::http::StatusCode;
use bytes::Bytes;
use tracing::{Instrument, Span};

use super::body::{self, Delivery};
use super::request_fault::{FaultAction, Injection};
use crate::problem::ApiError;

/// The injections of one request.
pub(crate) struct Injections {
    delays: Vec<Injection>,
    interruption: Option<Injection>,
    body: Vec<Injection>,
    /// The span of the request.
    span: Span,
    /// The names of the faults that had a hit.
    hit_by: Vec<String>,
}

/// How a request ends that is not served, or a call that is not sent.
pub(crate) enum Interruption {
    /// With this error response.
    Response(ApiError),
    /// With a connection reset.
    Reset,
    /// With a refused connection.
    ConnectionRefused,
}

impl Injections {
    /// `None` without an injection. Only one fault can end a request, and a request that is ended has no body to change:
    /// the other faults are left out and count no hit.
    pub(crate) fn new(found: Vec<Injection>, span: &Span) -> Option<Self> {
        if found.is_empty() {
            return None;
        }
        let mut all = Self {
            delays: Vec::new(),
            interruption: None,
            body: Vec::new(),
            span: span.clone(),
            hit_by: Vec::new(),
        };
        for injection in found {
            match injection.action {
                FaultAction::Delay(_) => all.delays.push(injection),
                FaultAction::Error(_)
                | FaultAction::Abort
                | FaultAction::Hang
                | FaultAction::Refuse => {
                    all.interruption.get_or_insert(injection);
                }
                FaultAction::SlowBody(_) | FaultAction::Truncate | FaultAction::Corrupt => {
                    all.body.push(injection);
                }
            }
        }
        if all.interruption.is_some() {
            all.body.clear();
        }
        Some(all)
    }

    /// Applies everything that comes before the request is served or sent. With an [`Interruption`] it must not be.
    pub(crate) async fn before(&mut self) -> Option<Interruption> {
        for injection in &self.delays {
            if let FaultAction::Delay(delay) = injection.action {
                // The fault may have ended during an earlier delay.
                if injection.ended().is_cancelled() {
                    continue;
                }
                injection.hit();
                self.hit_by.push(injection.fault().to_owned());
                let ended = injection.ended();
                let waited = async {
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        // The end of the fault releases the request.
                        () = ended.cancelled() => {}
                    }
                };
                waited.instrument(injection.span()).await;
            }
        }
        let last = self.interruption.as_ref();
        let injection = last.filter(|i| !i.ended().is_cancelled())?;
        injection.hit();
        self.hit_by.push(injection.fault().to_owned());
        let span = injection.span();
        async {
            match injection.action {
                FaultAction::Error(status) => {
                    let status = StatusCode::from_u16(status);
                    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    Interruption::Response(injected_error(injection, status))
                }
                FaultAction::Hang => {
                    injection.ended().cancelled().await;
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    Interruption::Response(injected_error(injection, status))
                }
                FaultAction::Refuse => Interruption::ConnectionRefused,
                _ => Interruption::Reset,
            }
        }
        .instrument(span)
        .await
        .into()
    }

    /// The names of the faults that had a hit so far, separated by commas.
    pub(crate) fn names(&self) -> Option<String> {
        (!self.hit_by.is_empty()).then(|| self.hit_by.join(","))
    }

    /// Whether some fault changes the body of the response.
    pub(crate) fn change_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// How to deliver the body of the response. An empty body cannot be changed, and counts no hit.
    pub(crate) fn deliver(&mut self, body: Bytes) -> Delivery {
        let mut delivery = Delivery::new(body);
        if delivery.is_empty() || self.body.is_empty() {
            return delivery;
        }
        for injection in &mut self.body {
            if injection.ended().is_cancelled() {
                continue;
            }
            injection.hit();
            self.hit_by.push(injection.fault().to_owned());
            let _in_span = injection.span().entered();
            match injection.action {
                FaultAction::Corrupt => {
                    delivery.bytes = body::corrupt(&delivery.bytes, &mut injection.rng);
                }
                FaultAction::Truncate => delivery.truncated = true,
                FaultAction::SlowBody(bytes_per_s) => {
                    delivery.slow_down(bytes_per_s, injection.ended());
                }
                _ => {}
            }
        }
        delivery
    }
}

/// Records the faults' names on the span of the request. Once, because a tracing backend may keep every value of an
/// attribute that is set twice; and on drop, because a request may be abandoned at any point.
impl Drop for Injections {
    fn drop(&mut self) {
        if let Some(names) = self.names() {
            self.span.record("shop.fault", names);
        }
    }
}

fn injected_error(injection: &Injection, status: StatusCode) -> ApiError {
    ApiError::new(status, "injected-fault", "A fault was injected here")
        .detail(format!("the fault is called `{}`", injection.fault()))
}
