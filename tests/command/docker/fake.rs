//! A fake of Docker: implements the part of its API that the command uses. Each container is a service as a child process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shop_kit::net::Lease;
use tempfile::TempDir;

use crate::harness::signal;

pub(crate) const TOKEN: &str = "sesame";
/// The address of this machine in containers.
pub(crate) const GATEWAY: &str = "127.0.0.2";
const ROLES: [(&str, u32); 10] = [
    ("gateway", 0),
    ("user", 0),
    ("product", 0),
    ("inventory", 0),
    ("cart", 0),
    ("order", 0),
    ("order", 1),
    ("payment", 0),
    ("notification", 0),
    ("bank", 0),
];

/// A container.
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The status of a container without a process: `running`, `exited` or `paused`.
    pub(crate) status: &'static str,
    settings: Vec<(String, String)>,
    role: &'static str,
    shop: Option<Lease>,
    admin: Option<Lease>,
    process: Option<Child>,
    paused: bool,
    starts: u32,
}

impl Container {
    /// A container of a project, without a process.
    pub(crate) fn without_process(project: &str, role: &'static str, replica: u32) -> Self {
        let labels = [
            ("com.docker.compose.project", project),
            ("com.docker.compose.service", role),
            ("doorbuster.role", role),
            ("doorbuster.replica", &replica.to_string()),
        ];
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            name: format!("{project}-{role}-{replica}"),
            labels: labels.map(own).into(),
            status: "running",
            settings: Vec::new(),
            role,
            shop: None,
            admin: None,
            process: None,
            paused: false,
            starts: 1,
        }
    }

    fn start(&mut self) {
        let (shop, admin) = (self.shop.as_ref().unwrap(), self.admin.as_ref().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_doorbuster"))
            .args(["serve", self.role])
            .args(["--listen", &shop.address().to_string()])
            .args(["--admin", &admin.address().to_string()])
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        (self.process, self.paused) = (Some(child), false);
        self.starts += 1;
    }

    fn end(&mut self, how: &str) {
        if let Some(mut child) = self.process.take() {
            signal(&child, "-CONT");
            signal(&child, how);
            child.wait().unwrap();
        }
    }

    pub(crate) fn status(&mut self) -> &'static str {
        let Some(child) = &mut self.process else {
            return if self.admin.is_some() {
                "exited"
            } else {
                self.status
            };
        };
        if child.try_wait().unwrap().is_some() {
            self.process = None;
            return "exited";
        }
        if self.paused { "paused" } else { "running" }
    }

    /// Kills the process, as when Docker executes a request late.
    pub(crate) fn die(&mut self) {
        self.end("-KILL");
    }

    fn pause(&mut self) {
        signal(self.process.as_ref().unwrap(), "-STOP");
        self.paused = true;
    }

    fn resume(&mut self) {
        match &self.process {
            Some(child) => signal(child, "-CONT"),
            None => self.status = "running",
        }
        self.paused = false;
    }

    fn has_labels(&self, wanted: &[Value]) -> bool {
        wanted
            .iter()
            .all(|label| match label.as_str().unwrap().split_once('=') {
                Some((key, value)) => self.labels.get(key).is_some_and(|v| v == value),
                None => self.labels.contains_key(label.as_str().unwrap()),
            })
    }

    fn inspected(&mut self) -> Value {
        let status = self.status();
        let running = status != "exited";
        let port = |inside: &str, lease: &Option<Lease>| {
            let port = lease.as_ref().map(|l| l.address().port().to_string());
            (
                inside.to_owned(),
                json!([{"HostIp": "127.0.0.1", "HostPort": port.unwrap_or_default()}]),
            )
        };
        let ports: BTreeMap<String, Value> = [
            port(&self.inside(&self.shop, 8080), &self.shop),
            port(&self.inside(&self.admin, 9080), &self.admin),
        ]
        .into();
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        json!({
            "Id": self.name,
            "Name": format!("/{}", self.name),
            "State": {
                "Status": status,
                "Running": running,
                "Paused": status == "paused",
                "Pid": self.process.as_ref().map_or(0, Child::id),
                "ExitCode": if running { 0 } else { 137 },
                "StartedAt": format!("start {}", self.starts),
            },
            "Config": {"Env": settings, "Labels": self.labels},
            "HostConfig": {"PortBindings": ports},
            "NetworkSettings": {"Ports": if running && self.admin.is_some() { json!(ports) } else { json!({}) }, "Networks": {}},
        })
    }

    /// The port inside the container. Here it equals the published port.
    fn inside(&self, lease: &Option<Lease>, default: u16) -> String {
        let port = lease.as_ref().map_or(default, |l| l.address().port());
        format!("{port}/tcp")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.end("-KILL");
    }
}

/// A request that fails.
pub(crate) struct FailingRequest {
    /// The request: `kill shop-order-1`, or `json shop-order-1` for an inspection.
    pub(crate) call: &'static str,
    /// The action after which it fails.
    pub(crate) after: Option<&'static str>,
    /// How often it fails.
    pub(crate) times: u32,
    pub(crate) failure: Failure,
}

/// How a request fails.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// It is not executed. The response has this status.
    Status(u16),
    /// It is executed, and the connection is lost before the response.
    ResponseLost,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) failing: Vec<FailingRequest>,
    pub(crate) containers: Vec<Container>,
    /// The requests other than inspections: `kill shop-order-1`.
    pub(crate) actions: Vec<String>,
}

impl State {
    /// How a request fails, if it does.
    fn failure_of(&mut self, call: &str) -> Option<Failure> {
        let actions = &self.actions;
        let happened = |action: &str| actions.iter().any(|a| a == action);
        let due =
            |f: &&mut FailingRequest| f.call == call && f.times > 0 && f.after.is_none_or(happened);
        let failing = self.failing.iter_mut().find(due)?;
        failing.times -= 1;
        Some(failing.failure)
    }
}

/// The fake.
pub(crate) struct Fake {
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
    _data: TempDir,
}

impl Fake {
    /// A fake with these containers.
    pub(crate) fn with(containers: Vec<Container>) -> Self {
        let state = Arc::new(Mutex::new(State {
            containers,
            ..State::default()
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        let app = Router::new().fallback(move |method: Method, uri: Uri| async move {
            // Ending a child blocks.
            let answer = tokio::task::spawn_blocking(move || answer(&shared, &method, &uri));
            // A handler that panics closes the connection.
            let lost = |e: tokio::task::JoinError| resume_unwind(e.into_panic());
            answer.await.unwrap_or_else(lost)
        });
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            host,
            state,
            _runtime: runtime,
            _data: tempfile::tempdir().unwrap(),
        }
    }

    /// A fake with a project whose shop is up.
    pub(crate) fn shop(project: &str) -> Self {
        let fake = Self::with(Vec::new());
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let leased = ROLES.map(|test_dir| {
            (
                test_dir,
                Lease::take(any).unwrap(),
                Lease::take(any).unwrap(),
            )
        });
        let mut peers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((role, _), shop, _) in &leased {
            peers
                .entry(role)
                .or_default()
                .push(shop.address().to_string());
        }
        let peers: Vec<String> = peers
            .into_iter()
            .map(|(r, at)| format!("{r}={}", at.join(",")))
            .collect();
        for ((role, replica), shop, admin) in leased {
            let settings = [
                ("DOORBUSTER_ADMIN_TOKEN", TOKEN.to_owned()),
                ("DOORBUSTER_SERVICE_KEY", "a key for this test".to_owned()),
                ("DOORBUSTER_REPLICA", replica.to_string()),
                ("DOORBUSTER_PEERS", peers.join(";")),
                ("DOORBUSTER_LISTEN", shop.address().to_string()),
                ("DOORBUSTER_ADMIN", admin.address().to_string()),
                ("DOORBUSTER_PRODUCTS", "100".to_owned()),
                ("DOORBUSTER_CUSTOMERS", "50".to_owned()),
                ("DOORBUSTER_DATA", fake._data.path().display().to_string()),
            ];
            let mut container = Container::without_process(project, role, replica);
            container.settings = settings.map(|(k, v)| (k.to_owned(), v)).into();
            (container.shop, container.admin) = (Some(shop), Some(admin));
            container.start();
            fake.state().containers.push(container);
        }
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The status of each container, by name.
    pub(crate) fn statuses(&self) -> BTreeMap<String, &'static str> {
        let mut state = self.state();
        let status = |c: &mut Container| (c.name.clone(), c.status());
        state.containers.iter_mut().map(status).collect()
    }

    pub(crate) fn all_run(&self) -> bool {
        self.statuses().values().all(|status| *status == "running")
    }
}

fn answer(state: &Mutex<State>, method: &Method, uri: &Uri) -> Response {
    let mut state = state.lock().unwrap();
    let path: Vec<&str> = uri.path().split('/').filter(|p| !p.is_empty()).collect();
    let path = match &path[..] {
        [version, rest @ ..] if version.starts_with("v1.") => rest,
        path => path,
    };
    let refused =
        |status, what: String| (status, axum::Json(json!({"message": what}))).into_response();
    match (method.as_str(), path) {
        ("GET", ["version"]) => axum::Json(json!({"ApiVersion": "1.41"})).into_response(),
        ("GET", ["containers", "json"]) => {
            let wanted = labels(uri);
            let listed = state
                .containers
                .iter_mut()
                .filter(|c| c.has_labels(&wanted));
            let listed = listed.map(|c| {
                json!({"Id": c.name, "Names": [format!("/{}", c.name)], "Labels": c.labels, "State": c.status()})
            });
            axum::Json(Value::Array(listed.collect())).into_response()
        }
        (_, ["containers", id, what]) => {
            let Some(index) = state.containers.iter().position(|c| c.name == *id) else {
                return refused(StatusCode::NOT_FOUND, format!("No such container: {id}"));
            };
            if method == Method::POST {
                state.actions.push(format!("{what} {id}"));
            }
            let failure = state.failure_of(&format!("{what} {id}"));
            if let Some(Failure::Status(status)) = failure {
                let status = StatusCode::from_u16(status).unwrap();
                return refused(status, "out of order".to_owned());
            }
            let container = &mut state.containers[index];
            let status = container.status();
            match (*what, status) {
                ("json", _) => return axum::Json(container.inspected()).into_response(),
                ("stats", _) => {
                    let used = json!({
                        "cpu_stats": {"cpu_usage": {"total_usage": 5_000_000_000u64}},
                        "memory_stats": {"usage": 9_000_000, "stats": {"inactive_file": 1_000_000}},
                    });
                    return axum::Json(used).into_response();
                }
                ("kill", "running" | "paused") => container.end("-KILL"),
                ("stop", "running" | "paused") => container.end("-TERM"),
                ("start", "exited") => container.start(),
                ("start", _) => return StatusCode::NOT_MODIFIED.into_response(),
                ("pause", "running") => container.pause(),
                ("unpause", "paused") => container.resume(),
                _ => return refused(StatusCode::CONFLICT, format!("{id} is {status}")),
            }
            if let Some(Failure::ResponseLost) = failure {
                drop(state);
                resume_unwind(Box::new("the connection is lost"));
            }
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", ["networks", "bridge"]) => {
            let ipam = json!({"Config": [{"Subnet": "127.0.0.0/8", "Gateway": GATEWAY}]});
            axum::Json(json!({"Name": "bridge", "IPAM": ipam})).into_response()
        }
        _ => refused(StatusCode::NOT_FOUND, "page not found".to_owned()),
    }
}

/// The labels in a list request: `filters={"label":["key=value"]}`, percent-encoded.
fn labels(uri: &Uri) -> Vec<Value> {
    let query = uri.query().unwrap_or_default().split('&');
    let filters = query
        .filter_map(|part| part.strip_prefix("filters="))
        .next();
    let filters: Value = serde_json::from_str(&decoded(filters.unwrap_or("{}"))).unwrap();
    filters["label"].as_array().cloned().unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut out) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(out).unwrap()
}
