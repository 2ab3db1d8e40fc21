//! Proxies on the edges between services, and what they do to the one call that they are armed for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use shop_contract::Role;
use tokio::net::{TcpListener, TcpStream};

use crate::processes::{Name, Processes};

/// What can befall a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// It is answered with 503 and never arrives.
    Fails,
    /// It takes effect, and its answer never comes.
    AnswerLost,
    /// Who makes it is killed before it arrives.
    CallerDiesBefore,
    /// Who makes it is killed when it has taken effect, before the answer comes.
    CallerDiesAfter,
    /// Who is asked is killed before it arrives.
    CalleeDiesBefore,
    /// Who is asked is killed when it has taken effect; the answer is lost.
    CalleeDiesAfter,
    /// Not a failure: the reservation that it is about is released first, so that it is refused.
    ReleasedFirst,
}

impl Blow {
    /// All that are failures.
    pub(crate) const ALL: [Self; 6] = [
        Self::Fails,
        Self::AnswerLost,
        Self::CallerDiesBefore,
        Self::CallerDiesAfter,
        Self::CalleeDiesBefore,
        Self::CalleeDiesAfter,
    ];
}

/// A blow to the next call of a kind.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) callee: Role,
    pub(crate) method: &'static str,
    /// The path; a segment `*` is any one.
    pub(crate) path: &'static str,
    pub(crate) blow: Blow,
}

impl Strike {
    fn is_for(&self, callee: Role, method: &Method, path: &str) -> bool {
        let (asked, given): (Vec<_>, Vec<_>) =
            (self.path.split('/').collect(), path.split('/').collect());
        let same = |(a, g): (&&str, &&str)| *a == "*" || a == g;
        self.callee == callee
            && self.method == method.as_str()
            && asked.len() == given.len()
            && asked.iter().zip(&given).all(same)
    }
}

/// The strikes that have not fallen yet, shared by all proxies of a shop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Armed(Arc<Mutex<Strikes>>);

#[derive(Debug, Default)]
struct Strikes {
    waiting: Vec<Strike>,
    /// Met their call, and are not through with it.
    falling: usize,
}

impl Armed {
    pub(crate) fn with(&self, strikes: Vec<Strike>) {
        self.0.lock().unwrap().waiting = strikes;
    }

    /// Whether all have fallen, and whoever was to die is dead.
    pub(crate) fn are_through(&self) -> bool {
        let strikes = self.0.lock().unwrap();
        strikes.waiting.is_empty() && strikes.falling == 0
    }

    /// The blow for a call, once. Strikes fall in their order: the second waits for the first.
    pub(crate) fn take(&self, callee: Role, method: &Method, path: &str) -> Option<Falling> {
        let mut strikes = self.0.lock().unwrap();
        let first = strikes.waiting.first()?;
        if !first.is_for(callee, method, path) {
            return None;
        }
        let blow = strikes.waiting.remove(0).blow;
        strikes.falling += 1;
        Some(Falling {
            blow,
            armed: self.clone(),
        })
    }
}

/// A blow that has met its call. It has fallen when this is dropped.
pub(crate) struct Falling {
    blow: Blow,
    armed: Armed,
}

impl Falling {
    pub(crate) fn blow(&self) -> Blow {
        self.blow
    }
}

impl Drop for Falling {
    fn drop(&mut self) {
        self.armed.0.lock().unwrap().falling -= 1;
    }
}

/// One edge: calls of `caller` to `callee`.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) caller: Name,
    pub(crate) callee: Name,
    pub(crate) upstream: SocketAddr,
    pub(crate) armed: Armed,
    pub(crate) processes: Processes,
}

/// The connection is dropped without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

impl Edge {
    /// Opens a proxy and gives its address.
    pub(crate) async fn open(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().serve(stream));
            }
        });
        address
    }

    async fn serve(self, stream: TcpStream) {
        let pass = service_fn(|request| self.pass(request));
        // Every way that it can end, also cut off by us, is a way that a connection ends.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), pass)
            .await;
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let path = request.uri().path().to_owned();
        let falling = self.armed.take(self.callee.0, request.method(), &path);
        let caller_gone = || self.processes.kill(self.caller);
        match falling.as_ref().map(Falling::blow) {
            None => self.forward(request).await,
            Some(Blow::Fails) => {
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok(answer)
            }
            Some(Blow::AnswerLost) => {
                let _ = self.forward(request).await;
                drop(falling);
                // The caller gives up some time; then the connection ends, and this with it.
                std::future::pending::<Result<_, Cut>>().await
            }
            Some(Blow::CallerDiesBefore) => {
                caller_gone();
                Err(Cut)
            }
            Some(Blow::CallerDiesAfter) => {
                let _ = self.forward(request).await;
                caller_gone();
                Err(Cut)
            }
            Some(Blow::CalleeDiesBefore) => {
                self.processes.kill(self.callee);
                self.forward(request).await
            }
            Some(Blow::CalleeDiesAfter) => {
                let _ = self.forward(request).await;
                self.processes.kill(self.callee);
                Err(Cut)
            }
            Some(Blow::ReleasedFirst) => {
                let mut release = Request::new(Full::default());
                *release.method_mut() = Method::DELETE;
                *release.headers_mut() = request.headers().clone();
                release.headers_mut().remove(http::header::CONTENT_LENGTH);
                let reservation = path.trim_end_matches("/commit");
                let released = self.send(release, reservation).await?;
                assert!(released.status().is_success(), "{released:?}");
                self.forward(request).await
            }
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let path = request.uri().path_and_query().unwrap().to_string();
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        self.send(Request::from_parts(head, Full::new(body)), &path)
            .await
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        path: &str,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        *request.uri_mut() = format!("http://{}{path}", self.upstream).parse().unwrap();
        // A connection for each call: one that was kept could belong to a process that has died since.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build::<_, Full<Bytes>>(HttpConnector::new());
        let answer = client.request(request).await.map_err(|_| Cut)?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove(http::header::TRANSFER_ENCODING);
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
