//! Helpers: run the command, wait for conditions, read records.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Polls until there is a value.
pub(crate) fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Some(found) = poll() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("timed out waiting for {what}");
}

/// A temporary folder with a scenario, in which the command runs.
pub(crate) struct TestDir {
    pub(crate) folder: TempDir,
}

impl TestDir {
    pub(crate) fn with(scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s.yaml"), scenario).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorbuster"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The folder of the newest run.
    pub(crate) fn run_dir(&self) -> PathBuf {
        let mut runs: Vec<PathBuf> = std::fs::read_dir(self.path().join("runs"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.is_dir())
            .collect();
        runs.sort();
        runs.pop().unwrap()
    }

    pub(crate) fn record(&self) -> Value {
        json(&self.run_dir().join("run.json"))
    }

    /// The process ids of the run's services, from its record.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let topology = until("the topology", || {
            let runs = self.path().join("runs");
            let entries = std::fs::read_dir(runs).ok()?;
            let run = entries.flatten().map(|e| e.path()).find(|p| p.is_dir())?;
            let text = std::fs::read_to_string(run.join("topology.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let rows = topology.as_array().unwrap();
        rows.iter()
            .map(|r| r["pid"].as_u64().unwrap() as u32)
            .collect()
    }
}

pub(crate) fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether a process runs. A zombie does not.
pub(crate) fn alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process: `T` stopped, `Z` zombie.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.trim_start().chars().next()
}

pub(crate) fn signal(child: &Child, name: &str) {
    kill(child.id(), name);
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(name)
        .arg(pid.to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Waits for the end, and gives the duration.
pub(crate) fn wait(child: &mut Child) -> (ExitStatus, Duration) {
    let start = Instant::now();
    let status = until("the end of the command", || child.try_wait().unwrap());
    (status, start.elapsed())
}

/// A shop that is up. Dropping this closes it.
pub(crate) struct RunningShop {
    child: Child,
    pub(crate) gateway: SocketAddr,
    test_dir: TestDir,
}

impl RunningShop {
    /// Opens the shop of [`SMALL`].
    pub(crate) fn open(environment: &[(&str, &str)]) -> Self {
        Self::with(SMALL, environment)
    }

    /// Opens the shop of a scenario.
    pub(crate) fn with(scenario: &str, environment: &[(&str, &str)]) -> Self {
        let test_dir = TestDir::with(scenario);
        let mut child = test_dir
            .command(&["up", "s.yaml", "--port", "0", "--quiet"])
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let gateway = until("the gateway's address", || {
            let line = lines.next().expect("the shop did not open").unwrap();
            line.split("http://").nth(1)?.trim().parse().ok()
        });
        Self {
            child,
            gateway,
            test_dir,
        }
    }

    /// One request to the gateway: status and JSON.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let (status, body) = http(self.gateway, method, path, headers, body);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Runs another command in the same folder to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.test_dir.run(args)
    }

    /// Starts another command in the same folder.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.test_dir.command(args).spawn().unwrap()
    }

    /// The folder of its run.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.test_dir.run_dir()
    }
}

/// One request: status and body.
pub(crate) fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, String) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += &body;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    (status, body.to_owned())
}

impl Drop for RunningShop {
    fn drop(&mut self) {
        signal(&self.child, "-TERM");
        let _ = self.child.wait();
    }
}

/// A small shop with a short load, of about six seconds.
pub(crate) const SMALL: &str = "\
name: small
seed: 11
shop: { products: 100, customers: 50, replicas: { order: 2 } }
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - { name: steady, for: 6s, arrivals: 4/s }
faults:
  - { name: bank-slow, at: 1s, for: 2s, target: bank, kind: latency, delay: 100ms }
  - { name: order-down, at: 3s, target: order/1, kind: kill, restart: 1500ms }
expect:
  - { step: home, errors: 20% }
  - { audit: clean }
";
