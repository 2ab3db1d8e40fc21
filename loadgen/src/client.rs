//! One shopper's connection: HTTP/1.1, kept alive as a browser keeps it, one request at a time.
//!
//! A request is sent once. There is one exception, which is none: when the connection turns out to be closed
//! before a byte of the request was written, it is sent on a new one. Everything else is the shopper's to see; a
//! generator that quietly tries again hides the failures that it was built to find.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderName, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use shop_contract::headers::IDEMPOTENCY_KEY;
use tokio::net::TcpStream;

use crate::call::{Answer, Call, Failure};
use crate::target::Target;

/// The longest body that is read; the shop's longest list is far shorter.
const LONGEST_BODY: usize = 4 << 20;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("doorbuster-loadgen/", env!("CARGO_PKG_VERSION")));
/// Says in every trace that nobody real was waiting.
const BAGGAGE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("baggage"),
    HeaderValue::from_static("synthetic_request=true"),
);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

type Sender = SendRequest<Full<Bytes>>;

/// A connection to the shop, opened at first need and again when the server has closed it.
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

    /// Makes one request and reads its whole answer, connecting included in `timeout`. Must run inside a
    /// [`tokio::task::LocalSet`].
    pub(crate) async fn call(&mut self, call: &Call, timeout: Duration) -> Result<Answer, Failure> {
        // The sender goes back only after a whole answer: dropping it closes the connection, and a late answer to
        // one request must never be taken for the answer to the next.
        let sender = self.sender.take();
        let exchange = exchange(self.target, sender, call);
        let (answer, sender) = tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| Failure::Timeout)??;
        self.sender = Some(sender);
        Ok(answer)
    }
}

async fn exchange(
    target: &Target,
    sender: Option<Sender>,
    call: &Call,
) -> Result<(Answer, Sender), Failure> {
    let mut request = request(target, call)?;
    let mut sender = match open(sender).await {
        Some(sender) => sender,
        None => connect(target).await?,
    };
    let mut fresh = false;
    let response = loop {
        match sender.try_send_request(request).await {
            Ok(response) => break response,
            Err(mut e) => match e.take_message() {
                Some(unsent) if !fresh => {
                    request = unsent;
                    sender = connect(target).await?;
                    fresh = true;
                }
                _ => return Err(broken(e.error())),
            },
        }
    };
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST_BODY)
        .collect()
        .await
        .map_err(|e| match e.downcast_ref::<hyper::Error>() {
            Some(e) => broken(e),
            None => Failure::BadAnswer,
        })?;
    let body = body.to_bytes();
    Ok((Answer { status, body }, sender))
}

/// The connection in use, unless the server has closed it.
async fn open(sender: Option<Sender>) -> Option<Sender> {
    let mut sender = sender?;
    sender.ready().await.ok()?;
    Some(sender)
}

async fn connect(target: &Target) -> Result<Sender, Failure> {
    let stream = TcpStream::connect(target.addresses()).await.map_err(|e| {
        if ours(&e) {
            Failure::Generator
        } else {
            Failure::Connect
        }
    })?;
    // Small requests must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failure::Connect)?;
    // It ends when the sender is dropped, or the server closes; its error is also the request's.
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "connection ended");
        }
    });
    Ok(sender)
}

/// Whether connecting failed for want of this machine's own descriptors, ports or memory.
fn ours(error: &io::Error) -> bool {
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

fn broken(error: &hyper::Error) -> Failure {
    // A parse error is nonsense from the server; a message that just stops is a broken connection.
    if error.is_parse() {
        Failure::BadAnswer
    } else {
        Failure::Reset
    }
}

/// The request on the wire. A path that is none came out of the shop's own answers, such as a product's id.
fn request(target: &Target, call: &Call) -> Result<Request<Full<Bytes>>, Failure> {
    let (baggage, synthetic) = BAGGAGE;
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .header(header::HOST, target.host())
        .header(header::USER_AGENT, AGENT)
        .header(baggage, synthetic);
    if let Some(token) = &call.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(key) = &call.key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let body = match &call.body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, JSON);
            Bytes::from(body.clone())
        }
        None => Bytes::new(),
    };
    request
        .body(Full::new(body))
        .map_err(|_| Failure::BadAnswer)
}
