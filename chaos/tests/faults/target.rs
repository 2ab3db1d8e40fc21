//! A stand-in for a service's admin endpoint: `/faults` as the contract has it, on a real socket. It counts no time;
//! a test says what happens to it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use shop_contract::faults::{FaultOrder, FaultState, FaultStates};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than this no condition takes; the test has failed then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the endpoint holds and was asked.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) active: Vec<FaultState>,
    pub(crate) ended: Vec<FaultState>,
    /// Every order that arrived, refused ones included.
    pub(crate) orders: Vec<FaultOrder>,
    /// Method and path of each call.
    pub(crate) calls: Vec<String>,
    /// The `Authorization` of the latest call.
    pub(crate) authorization: Option<String>,
    /// Says no to every order.
    pub(crate) refusal: Option<(StatusCode, &'static str)>,
    /// Does what it is asked to, but the answer to an order never leaves.
    pub(crate) mute: bool,
}

/// The stand-in; it ends when dropped.
pub(crate) struct AdminStub {
    pub(crate) address: SocketAddr,
    memory: watch::Sender<Memory>,
    server: JoinHandle<()>,
}

impl AdminStub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = watch::Sender::new(Memory::default());
        let routes = axum::Router::new()
            .route("/faults", get(list).post(inject))
            .route("/faults/{name}", delete(clear))
            .layer(middleware::from_fn_with_state(memory.clone(), note))
            .with_state(memory.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            memory,
            server,
        }
    }

    /// Changes what it holds: hits, a restart, a refusal.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Memory)) {
        self.memory.send_modify(change);
    }

    pub(crate) fn hit(&self, name: &str, hits: u64) {
        self.change(|m| {
            let fault = m.active.iter_mut().find(|f| f.name == name);
            fault.expect("the fault is in force").hits = hits;
        });
    }

    /// As after a restart of its process.
    pub(crate) fn forget(&self) {
        self.change(|m| {
            m.active.clear();
            m.ended.clear();
        });
    }

    /// Ends the fault as its time to live would.
    pub(crate) fn expire(&self, name: &str) {
        self.change(|m| {
            end(m, name);
        });
    }

    /// Stops listening, as a dead process does.
    pub(crate) async fn die(&mut self) {
        self.server.abort();
        assert!((&mut self.server).await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn until(&self, what: &str, condition: impl FnMut(&Memory) -> bool) {
        let mut memory = self.memory.subscribe();
        let reached = tokio::time::timeout(PATIENCE, memory.wait_for(condition)).await;
        assert!(reached.is_ok(), "never: {what}; {:?}", self.memory.borrow());
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Memory) -> T) -> T {
        read(&self.memory.borrow())
    }
}

impl Drop for AdminStub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(
    State(memory): State<watch::Sender<Memory>>,
    request: Request,
    next: Next,
) -> Response {
    memory.send_modify(|m| {
        m.calls
            .push(format!("{} {}", request.method(), request.uri().path()));
        m.authorization = request
            .headers()
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap().to_owned());
    });
    next.run(request).await
}

async fn list(State(memory): State<watch::Sender<Memory>>) -> Json<FaultStates> {
    let m = memory.borrow();
    Json(FaultStates {
        active: m.active.clone(),
        ended: m.ended.clone(),
    })
}

async fn inject(
    State(memory): State<watch::Sender<Memory>>,
    Json(order): Json<FaultOrder>,
) -> Response {
    let state = FaultState {
        name: order.name.clone(),
        kind: order.effect.kind().to_owned(),
        hits: 0,
        remaining_ms: order.ttl_ms,
    };
    let mut refusal = None;
    memory.send_modify(|m| {
        m.orders.push(order);
        refusal = m.refusal;
        if refusal.is_none() {
            m.active.push(state.clone());
        }
    });
    if memory.borrow().mute {
        return std::future::pending().await;
    }
    match refusal {
        Some((status, detail)) => (
            status,
            Json(serde_json::json!({ "title": "No", "detail": detail })),
        )
            .into_response(),
        None => (StatusCode::CREATED, Json(state)).into_response(),
    }
}

async fn clear(State(memory): State<watch::Sender<Memory>>, Path(name): Path<String>) -> Response {
    let mut state = None;
    memory.send_modify(|m| state = end(m, &name));
    match state {
        Some(state) => Json(state).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn end(memory: &mut Memory, name: &str) -> Option<FaultState> {
    let index = memory.active.iter().position(|f| f.name == name)?;
    let mut state = memory.active.remove(index);
    state.remaining_ms = 0;
    memory.ended.push(state.clone());
    Some(state)
}
