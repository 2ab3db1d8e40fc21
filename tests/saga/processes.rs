//! The processes of a shop. Each can be killed and restarted at the same address.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use shop_contract::Role;

/// A role and the number of the replica.
pub(crate) type ReplicaId = (Role, u32);

/// How a process is started.
pub(crate) struct StartOptions {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log: PathBuf,
}

struct Process {
    options: StartOptions,
    child: Option<Child>,
}

/// All processes of a shop. Clones share them. The processes end with the last clone, because their standard input ends.
#[derive(Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<BTreeMap<ReplicaId, Process>>>);

impl Processes {
    /// Starts a process.
    pub(crate) fn start(&self, name: ReplicaId, options: StartOptions) {
        let child = Some(spawn(name, &options));
        let mut all = self.0.lock().unwrap();
        all.insert(name, Process { options, child });
    }

    /// Kills a process with SIGKILL and waits for its end. Does nothing if it is down: two faults may kill the same process.
    pub(crate) fn kill(&self, name: ReplicaId) {
        let mut all = self.0.lock().unwrap();
        if let Some(mut child) = all.get_mut(&name).unwrap().child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Restarts processes that are down, and gives their names.
    pub(crate) fn restart_dead(&self) -> Vec<ReplicaId> {
        let mut all = self.0.lock().unwrap();
        let mut restarted = Vec::new();
        for (&name, process) in all.iter_mut() {
            if process.child.is_none() {
                process.child = Some(spawn(name, &process.options));
                restarted.push(name);
            }
        }
        restarted
    }

    /// Kills all processes.
    pub(crate) fn kill_all(&self) {
        let names: Vec<ReplicaId> = self.0.lock().unwrap().keys().copied().collect();
        for name in names {
            self.kill(name);
        }
    }

    /// The last lines of every log, for the message of a failed test.
    pub(crate) fn log_tails(&self) -> String {
        let all = self.0.lock().unwrap();
        let mut text = String::new();
        for ((role, replica), process) in all.iter() {
            let log = std::fs::read_to_string(&process.options.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(5).collect();
            for line in lines.iter().rev() {
                text += &format!("{role}/{replica}: {line}\n");
            }
        }
        text
    }
}

fn spawn((role, _): ReplicaId, options: &StartOptions) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&options.log)
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorbuster"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("DOORBUSTER_") || name.starts_with("OTEL_") {
            command.env_remove(&*name);
        }
    }
    command
        .args(["serve", role.name()])
        .envs(options.environment.iter().map(|(k, v)| (k, v)))
        // Its end tells the child that the test has ended.
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
