//! HTTP proxies between services. Each injects a fault into the one call for which it is armed.

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

use crate::processes::{Processes, ReplicaId};

/// A fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFault {
    /// The proxy responds with 503. The call does not reach the callee.
    Fails,
    /// The call takes effect. Its response is lost.
    ResponseLost,
    /// The caller is killed before the call reaches the callee.
    CallerDiesBefore,
    /// The caller is killed after the call took effect and before it gets the response.
    CallerDiesAfter,
    /// The callee is killed before the call reaches it.
    CalleeDiesBefore,
    /// The callee is killed after the call took effect. The response is lost.
    CalleeDiesAfter,
    /// No failure: the call's reservation is released first, so that the callee refuses the call.
    ReleasedFirst,
}

impl CallFault {
    /// All failures.
    pub(crate) const ALL: [Self; 6] = [
        Self::Fails,
        Self::ResponseLost,
        Self::CallerDiesBefore,
        Self::CallerDiesAfter,
        Self::CalleeDiesBefore,
        Self::CalleeDiesAfter,
    ];
}

/// A fault for the next call that matches.
#[derive(Debug, Clone)]
pub(crate) struct ArmedFault {
    pub(crate) callee: Role,
    pub(crate) method: &'static str,
    /// The path. `*` matches any segment.
    pub(crate) path: &'static str,
    pub(crate) fault: CallFault,
}

impl ArmedFault {
    fn matches(&self, callee: Role, method: &Method, path: &str) -> bool {
        let (pattern, segments): (Vec<_>, Vec<_>) =
            (self.path.split('/').collect(), path.split('/').collect());
        let matches = |(p, s): (&&str, &&str)| *p == "*" || p == s;
        self.callee == callee
            && self.method == method.as_str()
            && pattern.len() == segments.len()
            && pattern.iter().zip(&segments).all(matches)
    }
}

/// The faults that are not done yet, shared by all proxies of a shop.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArmedFaults(Arc<Mutex<FaultQueue>>);

#[derive(Debug, Default)]
struct FaultQueue {
    waiting: Vec<ArmedFault>,
    /// The number of faults that matched their call and are not done.
    active: usize,
}

impl ArmedFaults {
    pub(crate) fn set(&self, faults: Vec<ArmedFault>) {
        self.0.lock().unwrap().waiting = faults;
    }

    /// Whether all faults are done, including kills.
    pub(crate) fn all_done(&self) -> bool {
        let queue = self.0.lock().unwrap();
        queue.waiting.is_empty() && queue.active == 0
    }

    /// Takes the fault of a call, if it is the first in the queue. The others wait for it.
    pub(crate) fn take(&self, callee: Role, method: &Method, path: &str) -> Option<ActiveFault> {
        let mut queue = self.0.lock().unwrap();
        let first = queue.waiting.first()?;
        if !first.matches(callee, method, path) {
            return None;
        }
        let fault = queue.waiting.remove(0).fault;
        queue.active += 1;
        Some(ActiveFault {
            fault,
            armed: self.clone(),
        })
    }
}

/// A fault that matched its call. It is done when this is dropped.
pub(crate) struct ActiveFault {
    fault: CallFault,
    armed: ArmedFaults,
}

impl ActiveFault {
    pub(crate) fn fault(&self) -> CallFault {
        self.fault
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.armed.0.lock().unwrap().active -= 1;
    }
}

/// A proxy for the calls of `caller` to `callee`.
#[derive(Clone)]
pub(crate) struct HttpProxy {
    pub(crate) caller: ReplicaId,
    pub(crate) callee: ReplicaId,
    pub(crate) upstream: SocketAddr,
    pub(crate) armed: ArmedFaults,
    pub(crate) processes: Processes,
}

/// The connection is closed without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

impl HttpProxy {
    /// Opens the proxy and gives its address.
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
        // Errors are expected: faults close connections.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), pass)
            .await;
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let path = request.uri().path().to_owned();
        let active = self.armed.take(self.callee.0, request.method(), &path);
        let kill_caller = || self.processes.kill(self.caller);
        match active.as_ref().map(ActiveFault::fault) {
            None => self.forward(request).await,
            Some(CallFault::Fails) => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok(response)
            }
            Some(CallFault::ResponseLost) => {
                let _ = self.forward(request).await;
                drop(active);
                // The caller gives up at its deadline. Then the connection and this future end.
                std::future::pending::<Result<_, Closed>>().await
            }
            Some(CallFault::CallerDiesBefore) => {
                kill_caller();
                Err(Closed)
            }
            Some(CallFault::CallerDiesAfter) => {
                let _ = self.forward(request).await;
                kill_caller();
                Err(Closed)
            }
            Some(CallFault::CalleeDiesBefore) => {
                self.processes.kill(self.callee);
                self.forward(request).await
            }
            Some(CallFault::CalleeDiesAfter) => {
                let _ = self.forward(request).await;
                self.processes.kill(self.callee);
                Err(Closed)
            }
            Some(CallFault::ReleasedFirst) => {
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

    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let path = request.uri().path_and_query().unwrap().to_string();
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        self.send(Request::from_parts(head, Full::new(body)), &path)
            .await
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        path: &str,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        *request.uri_mut() = format!("http://{}{path}", self.upstream).parse().unwrap();
        // A new connection for each call, because the process behind an old one may have been killed.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build::<_, Full<Bytes>>(HttpConnector::new());
        let response = client.request(request).await.map_err(|_| Closed)?;
        let (mut head, body) = response.into_parts();
        head.headers.remove(http::header::TRANSFER_ENCODING);
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
