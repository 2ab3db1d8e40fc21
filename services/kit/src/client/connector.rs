//! The HTTP client of a process: its connections, and how long they are kept.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::connections::HEADER_TIMEOUT;

/// The limit for connecting. On one machine or in one cluster it takes a millisecond or never succeeds.
const CONNECT: Duration = Duration::from_millis(500);
/// How long an idle connection is kept. Shorter than a service keeps it ([`HEADER_TIMEOUT`]), or a request would sometimes be
/// sent on a connection that is just being closed; that is a failure, and without a key it is not repeated.
const IDLE: Duration = HEADER_TIMEOUT.saturating_sub(Duration::from_secs(5));

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A new client with a connection pool of its own.
pub(crate) fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(64)
        .build(connector)
}
