//! A fake admin endpoint of a service: `/faults` of the contract, on a real socket. It has no timers: tests trigger all
//! changes.

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

/// The limit for waiting. A test fails when it is reached.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The faults of the endpoint, and the calls that it got.
#[derive(Debug, Default)]
pub(crate) struct EndpointState {
    pub(crate) active: Vec<FaultState>,
    pub(crate) ended: Vec<FaultState>,
    /// All orders, including refused ones.
    pub(crate) orders: Vec<FaultOrder>,
    /// Method and path of each call.
    pub(crate) calls: Vec<String>,
    /// The `Authorization` of the latest call.
    pub(crate) authorization: Option<String>,
    /// Refuses every order with this.
    pub(crate) refusal: Option<(StatusCode, &'static str)>,
    /// Executes orders without replying.
    pub(crate) mute: bool,
}

/// The fake endpoint. It ends when dropped.
pub(crate) struct AdminStub {
    pub(crate) address: SocketAddr,
    state: watch::Sender<EndpointState>,
    server: JoinHandle<()>,
}

impl AdminStub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(EndpointState::default());
        let routes = axum::Router::new()
            .route("/faults", get(list).post(inject))
            .route("/faults/{name}", delete(clear))
            .layer(middleware::from_fn_with_state(state.clone(), note))
            .with_state(state.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            state,
            server,
        }
    }

    /// Changes its state.
    pub(crate) fn change(&self, change: impl FnOnce(&mut EndpointState)) {
        self.state.send_modify(change);
    }

    pub(crate) fn hit(&self, name: &str, hits: u64) {
        self.change(|m| {
            let fault = m.active.iter_mut().find(|f| f.name == name);
            fault.expect("the fault is in force").hits = hits;
        });
    }

    /// Loses all faults, as in a restart.
    pub(crate) fn forget(&self) {
        self.change(|m| {
            m.active.clear();
            m.ended.clear();
        });
    }

    /// Ends the fault, as by its time to live.
    pub(crate) fn expire(&self, name: &str) {
        self.change(|m| {
            end(m, name);
        });
    }

    /// Stops listening, like a dead process.
    pub(crate) async fn die(&mut self) {
        self.server.abort();
        assert!((&mut self.server).await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn until(&self, what: &str, condition: impl FnMut(&EndpointState) -> bool) {
        let mut state = self.state.subscribe();
        let reached = tokio::time::timeout(PATIENCE, state.wait_for(condition)).await;
        assert!(reached.is_ok(), "never: {what}; {:?}", self.state.borrow());
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&EndpointState) -> T) -> T {
        read(&self.state.borrow())
    }
}

impl Drop for AdminStub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn note(
    State(endpoint): State<watch::Sender<EndpointState>>,
    request: Request,
    next: Next,
) -> Response {
    endpoint.send_modify(|m| {
        m.calls
            .push(format!("{} {}", request.method(), request.uri().path()));
        m.authorization = request
            .headers()
            .get(header::AUTHORIZATION)
            .map(|v| v.to_str().unwrap().to_owned());
    });
    next.run(request).await
}

async fn list(State(endpoint): State<watch::Sender<EndpointState>>) -> Json<FaultStates> {
    let m = endpoint.borrow();
    Json(FaultStates {
        active: m.active.clone(),
        ended: m.ended.clone(),
    })
}

async fn inject(
    State(endpoint): State<watch::Sender<EndpointState>>,
    Json(order): Json<FaultOrder>,
) -> Response {
    let state = FaultState {
        name: order.name.clone(),
        kind: order.effect.kind().to_owned(),
        hits: 0,
        remaining_ms: order.ttl_ms,
    };
    let mut refusal = None;
    endpoint.send_modify(|m| {
        m.orders.push(order);
        refusal = m.refusal;
        if refusal.is_none() {
            m.active.push(state.clone());
        }
    });
    if endpoint.borrow().mute {
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

async fn clear(
    State(endpoint): State<watch::Sender<EndpointState>>,
    Path(name): Path<String>,
) -> Response {
    let mut state = None;
    endpoint.send_modify(|m| state = end(m, &name));
    match state {
        Some(state) => Json(state).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn end(endpoint: &mut EndpointState, name: &str) -> Option<FaultState> {
    let index = endpoint.active.iter().position(|f| f.name == name)?;
    let mut state = endpoint.active.remove(index);
    state.remaining_ms = 0;
    endpoint.ended.push(state.clone());
    Some(state)
}
