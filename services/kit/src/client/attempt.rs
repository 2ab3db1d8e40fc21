//! One attempt of a call: one request on the wire, one client span, one sample in the metrics.

use std::time::{Duration, Instant};

use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use metrics::{counter, histogram};
use shop_contract::Role;
use shop_contract::headers::{CALLER, NOT_AT_FAULT, SERVICE_KEY, SHED};
use shop_resilience::{Deadline, Outcome, RetryReason};
use tracing::Instrument;

use super::answer::{Answer, CallError};
use super::call::Call;
use super::peer::{AttemptGuard, port};
use crate::Kit;
use crate::context::Context;
use crate::faults::{Injections, Interruption, RequestInfo};
use crate::telemetry::trace_context::context_of;
use crate::telemetry::{names, propagation, urls};

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The time of an attempt without deadlines.
const WITHOUT_DEADLINES: Duration = Duration::from_secs(10);
/// An attempt gives up this long before the deadline, so that breaker and balancer still learn of its failure.
/// Otherwise it would be dropped with the request that it belongs to.
const MARGIN: Duration = Duration::from_millis(2);

/// An attempt without an answer.
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) error: CallError,
}

/// How an attempt ended.
pub(super) type Answered = Result<(Answer, Outcome), Failed>;

/// Which of a call's attempts it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    number: u32,
    hedge: bool,
}

impl Try {
    pub(super) const FIRST: Self = Self::number(1);
    /// Sent beside the first one, which is still in flight.
    pub(super) const HEDGE: Self = Self {
        number: 2,
        hedge: true,
    };

    /// The attempts in order, from 1.
    pub(super) const fn number(number: u32) -> Self {
        Self {
            number,
            hedge: false,
        }
    }
}

impl Failed {
    fn new(peer: Role, reason: RetryReason) -> Self {
        Self {
            outcome: Outcome::Retryable {
                reason,
                retry_after: None,
            },
            error: CallError::Transport(peer, reason.as_str()),
        }
    }
}

pub(super) async fn send(
    kit: &Kit,
    guard: AttemptGuard,
    call: &Call,
    context: &Context,
    which: Try,
) -> Answered {
    let peer = call.peer();
    let span = tracing::info_span!(
        "call",
        otel.name = format!("{} {}", call.method, call.template()),
        otel.kind = "client",
        http.request.method = call.method.as_str(),
        url.template = call.template(),
        url.full = urls::full(guard.address(), &call.path),
        server.address = peer.name(),
        server.port = port(guard.address()).parse::<i64>().ok(),
        network.protocol.version = "1.1",
        http.request.resend_count = (which.number > 1).then(|| i64::from(which.number) - 1),
        shop.hedge = which.hedge.then_some(true),
        http.response.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        shop.fault = tracing::field::Empty,
    );
    let server_port = port(guard.address());
    kit.metrics().record(|| {
        counter!(
            names::ATTEMPTS,
            "server_address" => peer.name(),
            "server_port" => server_port.clone(),
        )
        .increment(1);
    });
    let started = Instant::now();
    let now = kit.now();
    let limit = match context.deadline {
        Some(deadline) => deadline
            .for_try(now, call.per_try)
            .remaining(now)
            .saturating_sub(MARGIN),
        None => WITHOUT_DEADLINES,
    };
    // A callee that had less time than usual is not blamed for a timeout.
    let in_a_hurry = context
        .deadline
        .is_some_and(|d| d.remaining(now) < call.per_try);
    let request = request(kit, &guard, call, context, limit, &span);
    let injections = kit.faults().for_call(|| {
        let by = kit.config().role;
        let token = context.authorization.as_ref();
        RequestInfo::calling(peer, &call.method, call.template(), by, token)
    });
    let exchange = exchange(kit, request, peer, Injections::new(injections, &span));
    let result = match tokio::time::timeout(limit, exchange)
        .instrument(span.clone())
        .await
    {
        Ok(result) => result,
        Err(_) => Err(Failed::new(peer, RetryReason::Timeout)),
    };
    let (status, outcome, error) = match &result {
        Ok((answer, outcome)) => {
            let code = answer.status.as_u16();
            let error = if code >= 400 {
                code.to_string()
            } else {
                String::new()
            };
            span.record("http.response.status_code", i64::from(code));
            (code.to_string(), *outcome, error)
        }
        Err(failed) => {
            let reason = match failed.outcome {
                Outcome::Retryable { reason, .. } => reason.as_str(),
                _ => "other",
            };
            (String::new(), failed.outcome, reason.to_owned())
        }
    };
    if !error.is_empty() {
        span.record("error.type", &error);
        span.record("otel.status_code", "ERROR");
    }
    if speaks_of_the_callee(&result, in_a_hurry) {
        guard.finish(kit.now(), started.elapsed(), outcome);
    } else {
        drop(guard);
    }
    let _in_span = span.enter();
    kit.metrics().record(|| {
        histogram!(
            names::HTTP_CLIENT_DURATION,
            "http_request_method" => call.method.as_str().to_owned(),
            "url_template" => call.template(),
            "server_address" => peer.name(),
            "server_port" => server_port,
            "http_response_status_code" => status,
            "error_type" => error,
        )
        .record(started.elapsed().as_secs_f64());
    });
    result
}

/// Whether breaker and balancer should count the result for the replica.
fn speaks_of_the_callee(result: &Answered, in_a_hurry: bool) -> bool {
    match result {
        Ok((answer, _)) => {
            let too_late = in_a_hurry && answer.status == StatusCode::GATEWAY_TIMEOUT;
            !too_late && !answer.headers.contains_key(NOT_AT_FAULT)
        }
        Err(failed) => {
            let timeout = Outcome::Retryable {
                reason: RetryReason::Timeout,
                retry_after: None,
            };
            !(in_a_hurry && failed.outcome == timeout)
        }
    }
}

fn request(
    kit: &Kit,
    guard: &AttemptGuard,
    call: &Call,
    context: &Context,
    limit: Duration,
    span: &tracing::Span,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let uri = format!("http://{}{}", guard.address(), call.path);
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(uri)
        .body(Full::new(call.body.clone()))?;
    let headers = request.headers_mut();
    headers.extend(call.headers.clone());
    // The bank is an outside party and must not get the services' key.
    if call.peer() != Role::Bank
        && let Ok(key) = HeaderValue::from_str(&kit.config().service_key)
    {
        headers.insert(SERVICE_KEY, key);
        let role = kit.config().role.name();
        headers.insert(CALLER, HeaderValue::from_static(role));
    }
    if context.deadline.is_some() {
        headers.insert(
            Deadline::HEADER,
            HeaderValue::from(limit.as_millis() as u64),
        );
    }
    propagation::inject(&context_of(span), headers);
    Ok(request)
}

/// Sends the request and reads its answer, with the faults that affect either. Everything that judges the result is
/// outside of it, so it cannot tell an injected fault from a real one.
async fn exchange(
    kit: &Kit,
    request: Result<Request<Full<Bytes>>, http::Error>,
    peer: Role,
    mut injections: Option<Injections>,
) -> Answered {
    let request = request.map_err(|e| Failed {
        outcome: Outcome::Rejected,
        error: CallError::Body(e.to_string()),
    })?;
    let reset = || Failed::new(peer, RetryReason::Reset);
    let interruption = match &mut injections {
        Some(injections) => injections.before().await,
        None => None,
    };
    let response = match interruption {
        Some(Interruption::Response(error)) => error.into_response().map(Either::Left),
        Some(Interruption::Reset) => return Err(reset()),
        Some(Interruption::ConnectionRefused) => {
            return Err(Failed::new(peer, RetryReason::Connect));
        }
        None => {
            let sent = kit.http().request(request).await;
            let response = sent.map_err(|e| match e.is_connect() {
                true => Failed::new(peer, RetryReason::Connect),
                false => reset(),
            })?;
            response.map(Either::Right)
        }
    };
    let (head, body) = response.into_parts();
    let mut body = Limited::new(body, MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|_| reset())?
        .to_bytes();
    if let Some(injections) = &mut injections {
        body = injections.deliver(body).read().await.map_err(|_| reset())?;
    }
    let shed = head.headers.contains_key(SHED);
    let outcome = Outcome::of_status(head.status.as_u16(), shed, retry_after(&head.headers));
    let answer = Answer {
        status: head.status,
        headers: head.headers,
        body,
    };
    Ok((answer, outcome))
}

/// `Retry-After` in seconds; the shop does not use dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
