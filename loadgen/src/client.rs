//! One shopper's connection: HTTP/1.1, kept alive as a browser does, one request at a time.
//!
//! A request is sent once. If the connection was already closed before any byte was written, the request is sent on a
//! new connection. All other failures are reported: a generator that retries silently hides the failures that it is
//! built to find.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::header::{self, HeaderValue};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use shop_contract::headers::IDEMPOTENCY_KEY;
use tokio::net::TcpStream;

use crate::request::{Failure, Reply, Request};
use crate::target::Target;

/// The longest body that is read, in bytes. The longest list of the shop is far shorter.
const MAX_BODY: usize = 4 << 20;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("doorbuster-loadgen/", env!("CARGO_PKG_VERSION")));
/// Marks every trace as synthetic.
const BAGGAGE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("baggage"),
    HeaderValue::from_static("synthetic_request=true"),
);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

type Sender = SendRequest<Full<Bytes>>;

/// A connection to the shop. It is opened when first needed, and again when the server has closed it.
pub(crate) struct Connection<'t> {
    target: &'t Target,
    sender: Option<Sender>,
}

impl<'t> Connection<'t> {
    pub(crate) fn new(target: &'t Target) -> Self {
        Self {
            target,
            sender: None,
        }
    }

    /// Sends one request and reads its complete reply. The timeout includes connecting. Must run inside a
    /// [`tokio::task::LocalSet`].
    pub(crate) async fn send(
        &mut self,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        // The sender is put back only after a complete reply. Otherwise dropping it closes the connection, so a late
        // reply can never be taken for the reply to the next request.
        let sender = self.sender.take();
        let exchange = exchange(self.target, sender, request);
        let (reply, sender) = tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| Failure::Timeout)??;
        self.sender = Some(sender);
        Ok(reply)
    }
}

async fn exchange(
    target: &Target,
    sender: Option<Sender>,
    request: &Request,
) -> Result<(Reply, Sender), Failure> {
    let mut request = http_request(target, request)?;
    let mut sender = match still_open(sender).await {
        Some(sender) => sender,
        None => connect(target).await?,
    };
    let mut reconnected = false;
    let response = loop {
        match sender.try_send_request(request).await {
            Ok(response) => break response,
            Err(mut e) => match e.take_message() {
                Some(unsent) if !reconnected => {
                    request = unsent;
                    sender = connect(target).await?;
                    reconnected = true;
                }
                _ => return Err(failure_of(e.error())),
            },
        }
    };
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(|e| match e.downcast_ref::<hyper::Error>() {
            Some(e) => failure_of(e),
            None => Failure::BadReply,
        })?;
    let body = body.to_bytes();
    Ok((Reply { status, body }, sender))
}

/// The sender, unless the server has closed its connection.
async fn still_open(sender: Option<Sender>) -> Option<Sender> {
    let mut sender = sender?;
    sender.ready().await.ok()?;
    Some(sender)
}

async fn connect(target: &Target) -> Result<Sender, Failure> {
    let stream = TcpStream::connect(target.addresses()).await.map_err(|e| {
        if is_local_shortage(&e) {
            Failure::Generator
        } else {
            Failure::Connect
        }
    })?;
    // Without this a small request could wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Connect)?;
    // The task ends when the sender is dropped or the server closes. The request reports the same error.
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "connection ended");
        }
    });
    Ok(sender)
}

/// Whether connecting failed because this machine ran out of descriptors, ports or memory.
fn is_local_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    if let Some(errno) = rustix::io::Errno::from_io_error(error) {
        use rustix::io::Errno;
        return matches!(
            errno,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL
        );
    }
    error.kind() == io::ErrorKind::AddrNotAvailable
}

fn failure_of(error: &hyper::Error) -> Failure {
    // A parse error is a bad reply of the server. An incomplete message is a broken connection.
    if error.is_parse() {
        Failure::BadReply
    } else {
        Failure::Reset
    }
}

/// The HTTP request on the wire. An invalid path comes from the shop's own replies, such as a product's id.
fn http_request(target: &Target, request: &Request) -> Result<http::Request<Full<Bytes>>, Failure> {
    let (baggage, synthetic) = BAGGAGE;
    let mut builder = http::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header(header::HOST, target.host())
        .header(header::USER_AGENT, AGENT)
        .header(baggage, synthetic);
    if let Some(token) = &request.token {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(key) = &request.key {
        builder = builder.header(IDEMPOTENCY_KEY, key);
    }
    let body = match &request.body {
        Some(body) => {
            builder = builder.header(header::CONTENT_TYPE, JSON);
            Bytes::from(body.clone())
        }
        None => Bytes::new(),
    };
    builder.body(Full::new(body)).map_err(|_| Failure::BadReply)
}
