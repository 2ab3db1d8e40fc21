//! The processes of a shop: each can be killed, and started again where it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use shop_contract::Role;

/// A role and the number of its replica.
pub(crate) type Name = (Role, u32);

/// What a process is started with.
pub(crate) struct Start {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log: PathBuf,
}

struct Process {
    start: Start,
    child: Option<Child>,
}

/// All processes of a shop. Cloning shares them; the last one that goes takes them along, since their standard input
/// ends with it.
#[derive(Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<BTreeMap<Name, Process>>>);

impl Processes {
    /// Starts a process.
    pub(crate) fn start(&self, name: Name, start: Start) {
        let child = Some(spawn(name, &start));
        let mut all = self.0.lock().unwrap();
        all.insert(name, Process { start, child });
    }

    /// SIGKILL. Returns when it is dead. One that is dead already stays so: two replicas may make the same call, and
    /// both be struck.
    pub(crate) fn kill(&self, name: Name) {
        let mut all = self.0.lock().unwrap();
        if let Some(mut child) = all.get_mut(&name).unwrap().child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts what is dead, and says what that was.
    pub(crate) fn revive(&self) -> Vec<Name> {
        let mut all = self.0.lock().unwrap();
        let mut revived = Vec::new();
        for (&name, process) in all.iter_mut() {
            if process.child.is_none() {
                process.child = Some(spawn(name, &process.start));
                revived.push(name);
            }
        }
        revived
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        let names: Vec<Name> = self.0.lock().unwrap().keys().copied().collect();
        for name in names {
            self.kill(name);
        }
    }

    /// The last lines of every log, for the message of a test that failed.
    pub(crate) fn last_words(&self) -> String {
        let all = self.0.lock().unwrap();
        let mut text = String::new();
        for ((role, replica), process) in all.iter() {
            let log = std::fs::read_to_string(&process.start.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(5).collect();
            for line in lines.iter().rev() {
                text += &format!("{role}/{replica}: {line}\n");
            }
        }
        text
    }
}

fn spawn((role, _): Name, start: &Start) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&start.log)
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
        .envs(start.environment.iter().map(|(k, v)| (k, v)))
        // Its end tells the child that we are gone.
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
