//! The HTTP client below all calls of a process, with its connection pool.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::connections::HEADER_TIMEOUT;

/// How long connecting may take. On one machine or in one cluster it takes a millisecond, or it never succeeds.
const CONNECT: Duration = Duration::from_millis(500);
/// How long an idle connection is kept: less than a service keeps it ([`HEADER_TIMEOUT`]). Otherwise a request would now and
/// then be sent on a connection that is being closed. That is a failure, and without a key it is not repeated.
const IDLE: Duration = HEADER_TIMEOUT.saturating_sub(Duration::from_secs(5));

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A client without connections.
pub(crate) fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(64)
        .build(connector)
}
