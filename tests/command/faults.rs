//! `doorbuster chaos` on a shop that is up: faults are injected, listed and cleared, and end by themselves.

use std::net::SocketAddr;
use std::process::{Child, Output};

use serde_json::Value;

use crate::harness::{RunningShop, SMALL, TestDir, http, json, signal, stderr, until, wait};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A shop that is up, and a folder for the commands.
struct Setup {
    up: RunningShop,
    test_dir: TestDir,
    topology: String,
}

impl Setup {
    fn open() -> Self {
        let up = RunningShop::open(&[]);
        let topology = up.run_dir().join("topology.json").display().to_string();
        Self {
            up,
            test_dir: TestDir::with(SMALL),
            topology,
        }
    }

    /// `doorbuster chaos …` on this shop.
    fn chaos(&self, args: &[&str]) -> Output {
        self.test_dir.run(&self.args(args))
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.test_dir.command(&self.args(args)).spawn().unwrap()
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let test_dir = ["--topology", &self.topology];
        ["chaos"]
            .iter()
            .chain(args)
            .chain(&test_dir)
            .copied()
            .collect()
    }

    fn admins(&self, role: &str) -> Vec<SocketAddr> {
        let topology = json(self.topology.as_ref());
        let rows = topology.as_array().unwrap().iter();
        rows.filter(|r| r["role"] == role)
            .map(|r| r["admin"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// The faults in force at a role, by name, one for each replica that has them.
    fn held(&self, role: &str) -> Vec<String> {
        let names = |admin| {
            let (_, body) = http(admin, "GET", "/faults", &[], &Value::Null);
            let states: Value = serde_json::from_str(&body).unwrap();
            let active = states["active"].as_array().unwrap().clone();
            active
                .into_iter()
                .map(|s| s["name"].as_str().unwrap().to_owned())
        };
        self.admins(role).into_iter().flat_map(names).collect()
    }

    fn browse(&self) {
        let (status, _) = self.up.call("GET", "/products?limit=3", &[], &Value::Null);
        assert_eq!(status, 200);
    }
}

#[test]
fn a_fault_is_shown_with_its_hits_until_it_has_ended() {
    let stage = Setup::open();
    let mut child = stage.spawn(&[
        "inject",
        "target: product, kind: latency, delay: 5ms, for: 3s, name: slow",
    ]);
    until("the fault", || {
        (stage.held("product") == ["slow"]).then_some(())
    });
    stage.browse();
    stage.browse();
    let listed = stage.chaos(&["list"]);
    let shown = stdout(&listed);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    assert!(shown.contains("slow   latency  product/0"), "{shown}");
    wait(&mut child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let message = stdout(&output);
    assert!(message.starts_with("slow is over after 3."), "{message}");
    assert!(message.contains("hits"), "{message}");
    assert!(stage.held("product").is_empty());
    let listed = stdout(&stage.chaos(&["list"]));
    assert_eq!(listed, "no fault is in force\n");
}

#[test]
fn a_detached_fault_is_at_every_replica_until_it_is_cleared() {
    let stage = Setup::open();
    let args = [
        "inject",
        "target: order, kind: latency, delay: 5ms, for: 10m",
        "--detach",
    ];
    let output = stage.chaos(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("doorbuster chaos clear latency-order"));
    assert_eq!(stage.held("order"), ["latency-order", "latency-order"]);
    // The name is in use, so the second fault is refused, and the first stays.
    let again = stage.chaos(&args);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("latency-order"),
        "{}",
        stderr(&again)
    );
    assert_eq!(stage.held("order").len(), 2);

    let other = stage.chaos(&["clear", "something-else"]);
    assert_eq!(stdout(&other), "no fault something-else was in force\n");
    assert_eq!(stage.held("order").len(), 2);
    let cleared = stage.chaos(&["clear", "latency-order"]);
    assert_eq!(cleared.status.code(), Some(0), "{}", stderr(&cleared));
    assert_eq!(stdout(&cleared).lines().count(), 2);
    assert!(stage.held("order").is_empty());
}

#[test]
fn clearing_ends_every_fault_and_ignores_services_that_are_down() {
    let stage = Setup::open();
    for role in ["bank", "cart"] {
        let fault = format!("target: {role}, kind: latency, delay: 5ms, for: 10m");
        let output = stage.chaos(&["inject", &fault, "--detach"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    // A port on which nothing listens.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let down = format!("user={}", unused.local_addr().unwrap());
    drop(unused);
    // A listener that never answers.
    let silent_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("order={}", silent_listener.local_addr().unwrap());
    let bank = format!("bank={}", stage.admins("bank")[0]);
    let cart = format!("cart={}", stage.admins("cart")[0]);
    let clear = |admins: &[&str]| {
        let named = admins.iter().flat_map(|a| ["--admin", a]);
        let args: Vec<&str> = ["chaos", "clear"].into_iter().chain(named).collect();
        stage.test_dir.run(&args)
    };
    let output = clear(&[&bank, &down]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("user/0 is down"),
        "{}",
        stderr(&output)
    );
    assert!(stage.held("bank").is_empty());
    assert_eq!(stage.held("cart"), ["latency-cart"]);
    let output = clear(&[&cart, &silent]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("order/0 did not answer"),
        "{}",
        stderr(&output)
    );
    assert!(stage.held("cart").is_empty(), "the others are cleared");
}

#[test]
fn ctrl_c_ends_the_fault_and_after_a_kill_it_ends_by_itself() {
    let stage = Setup::open();
    let fault = "target: bank, kind: latency, delay: 5ms, for: 10m, name: mine";
    let mut child = stage.spawn(&["inject", fault]);
    until("the fault", || {
        (stage.held("bank") == ["mine"]).then_some(())
    });
    signal(&child, "-INT");
    let (status, _) = wait(&mut child);
    assert_eq!(status.code(), Some(0));
    assert!(stage.held("bank").is_empty());

    let mut child = stage.spawn(&["inject", &fault.replace("10m", "3s")]);
    until("the fault", || {
        (stage.held("bank") == ["mine"]).then_some(())
    });
    signal(&child, "-KILL");
    wait(&mut child);
    until("the end of the fault", || {
        stage.held("bank").is_empty().then_some(())
    });
    stage.browse();
}

#[test]
fn mistakes_have_their_column_and_nothing_is_injected() {
    let stage = Setup::open();
    let message = |fault: &str| {
        let output = stage.chaos(&["inject", fault]);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    assert_eq!(
        message("target: bnk, kind: latency, for: 3s, at: 5s"),
        "fault:1:1: `delay` is missing\n\
         fault:1:9: the shop has no `bnk`; did you mean `bank`?\n\
         fault:1:42: `at` belongs to scenarios; here the fault begins at once\n"
    );
    let kill = message("target: bank, kind: kill, restart: 3s");
    assert!(kill.contains("doorbuster run"), "{kill}");
    let path = message("target: payment->bank, kind: tcp-reset, for: 3s");
    assert!(path.contains("doorbuster chaos proxy"), "{path}");
    let test_dir = TestDir::with(SMALL);
    let nowhere = test_dir.run(&["chaos", "list"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        stderr(&nowhere).contains("doorbuster up"),
        "{}",
        stderr(&nowhere)
    );
    let wrong = test_dir.run(&["chaos", "list", "--topology", "s.yaml"]);
    assert!(
        stderr(&wrong).contains("topology.json"),
        "{}",
        stderr(&wrong)
    );
    let wrong = test_dir.run(&["chaos", "list", "--admin", "bnk=127.0.0.1:1"]);
    assert!(
        stderr(&wrong).contains("no role `bnk`"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn the_token_is_sent_to_admin_listeners() {
    let test_dir = TestDir::with(SMALL);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let admin = address.to_string();
    let mut bank = test_dir
        .command(&[
            "serve",
            "bank",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &admin,
        ])
        .env("DOORBUSTER_SERVICE_KEY", "a key")
        .env("DOORBUSTER_ADMIN_TOKEN", "sesame")
        .spawn()
        .unwrap();
    until("the admin listener", || {
        std::net::TcpStream::connect(address).ok()
    });
    let named = format!("bank={admin}");
    let without = test_dir.run(&["chaos", "clear", "--admin", &named]);
    assert_eq!(without.status.code(), Some(1));
    let message = stderr(&without);
    assert!(message.contains("DOORBUSTER_ADMIN_TOKEN"), "{message}");
    let with = test_dir
        .command(&["chaos", "clear", "--admin", &named])
        .env("DOORBUSTER_ADMIN_TOKEN", "sesame")
        .output()
        .unwrap();
    assert_eq!(with.status.code(), Some(0), "{}", stderr(&with));
    signal(&bank, "-TERM");
    wait(&mut bank);
}
