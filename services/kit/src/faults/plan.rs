//! What several faults do to one request, in one order: first the waits, which add up; then the first fault that puts
//! an end to it; else, once there is an answer, whatever spoils its body. Served requests and calls share it.

use axum::http::StatusCode;
use bytes::Bytes;
use tracing::{Instrument, Span};

use super::body::{self, Delivery};
use super::touch::{Does, Touch};
use crate::problem::ApiError;

/// What is to happen to a request that some fault touches.
pub(crate) struct Plan {
    waits: Vec<Touch>,
    stop: Option<Touch>,
    spoilers: Vec<Touch>,
    /// Of the request.
    span: Span,
    /// The names of the faults that had a hit.
    done: Vec<String>,
}

/// How a request ends that is not served, or a call that is not made.
pub(crate) enum Stop {
    /// By this answer.
    Answer(ApiError),
    /// By a reset connection.
    Reset,
    /// By a connection that does not come about.
    Refused,
}

impl Plan {
    /// `None` where nothing is to happen. Only one fault can put an end to a request, and what is not answered has no
    /// body to spoil: the others are left out, and have no hit.
    pub(crate) fn of(touches: Vec<Touch>, span: &Span) -> Option<Self> {
        if touches.is_empty() {
            return None;
        }
        let mut plan = Self {
            waits: Vec::new(),
            stop: None,
            spoilers: Vec::new(),
            span: span.clone(),
            done: Vec::new(),
        };
        for touch in touches {
            match touch.does {
                Does::Wait(_) => plan.waits.push(touch),
                Does::Error(_) | Does::Abort | Does::Hang | Does::Refuse => {
                    plan.stop.get_or_insert(touch);
                }
                Does::SlowBody(_) | Does::Truncate | Does::Corrupt => plan.spoilers.push(touch),
            }
        }
        if plan.stop.is_some() {
            plan.spoilers.clear();
        }
        Some(plan)
    }

    /// Everything that comes before the request is served or sent. With a [`Stop`] it is to be neither.
    pub(crate) async fn before(&mut self) -> Option<Stop> {
        for touch in &self.waits {
            if let Does::Wait(delay) = touch.does {
                // It may have ended while another one kept the request waiting.
                if touch.over().is_cancelled() {
                    continue;
                }
                touch.hit();
                self.done.push(touch.fault().to_owned());
                let over = touch.over();
                let waited = async {
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        // A fault that is over holds nobody any longer.
                        () = over.cancelled() => {}
                    }
                };
                waited.instrument(touch.span()).await;
            }
        }
        let touch = self.stop.as_ref().filter(|t| !t.over().is_cancelled())?;
        touch.hit();
        self.done.push(touch.fault().to_owned());
        let span = touch.span();
        async {
            match touch.does {
                Does::Error(status) => {
                    let status = StatusCode::from_u16(status);
                    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    Stop::Answer(injected(touch, status))
                }
                Does::Hang => {
                    touch.over().cancelled().await;
                    Stop::Answer(injected(touch, StatusCode::SERVICE_UNAVAILABLE))
                }
                Does::Refuse => Stop::Refused,
                _ => Stop::Reset,
            }
        }
        .instrument(span)
        .await
        .into()
    }

    /// The names of the faults that had a hit so far, separated by commas.
    pub(crate) fn names(&self) -> Option<String> {
        (!self.done.is_empty()).then(|| self.done.join(","))
    }

    /// Whether the body of the answer is to be spoilt.
    pub(crate) fn spoils(&self) -> bool {
        !self.spoilers.is_empty()
    }

    /// How the body of the answer is to be delivered. One without a byte cannot be spoilt, and is no hit.
    pub(crate) fn spoil(&mut self, body: Bytes) -> Delivery {
        let mut delivery = Delivery::of(body);
        if delivery.is_empty() || self.spoilers.is_empty() {
            return delivery;
        }
        for touch in &mut self.spoilers {
            if touch.over().is_cancelled() {
                continue;
            }
            touch.hit();
            self.done.push(touch.fault().to_owned());
            let _shown = touch.span().entered();
            match touch.does {
                Does::Corrupt => delivery.bytes = body::corrupt(&delivery.bytes, &mut touch.draws),
                Does::Truncate => delivery.breaks_off = true,
                Does::SlowBody(bytes_per_s) => delivery.slow_down(bytes_per_s, touch.over()),
                _ => {}
            }
        }
        delivery
    }
}

/// Names the faults at the span of the request that they touched. Once, since whoever keeps spans may keep each value of
/// an attribute; and here, since a request may be given up at any point.
impl Drop for Plan {
    fn drop(&mut self) {
        if let Some(names) = self.names() {
            self.span.record("shop.fault", names);
        }
    }
}

fn injected(touch: &Touch, status: StatusCode) -> ApiError {
    ApiError::new(status, "injected-fault", "A fault was injected here")
        .detail(format!("the fault is called `{}`", touch.fault()))
}
