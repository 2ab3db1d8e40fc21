//! Bad input: one clear line each, exit code 1, and nothing is started.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{SMALL, TestDir, stderr};

/// Nothing was started and nothing was written.
fn untouched(test_dir: &TestDir) {
    assert!(
        !test_dir.path().join("runs").exists(),
        "a run's folder was made"
    );
}

#[test]
fn five_mistakes_get_five_messages_with_line_and_column() {
    let text = "\
name: five
load:
  think: 3
  phases:
    - { name: steady, for: 5s, arrivals: 10/s, colour: red }
faults:
  - { name: slow, at: 1s, for: 1s, target: bnak, kind: latency, delay: 1ms }
  - { name: dead, at: 1s, target: order/5, kind: kill, restart: 1s }
expect:
  - { step: buy_confrim, errors: 1% }
";
    let test_dir = TestDir::with(text);
    for command in ["check", "run"] {
        let output = test_dir.run(&[command, "s.yaml"]);
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 5, "{message}");
        for (line, test_dir) in lines.iter().zip([
            "s.yaml:3:",
            "s.yaml:5:",
            "s.yaml:7:",
            "s.yaml:8:",
            "s.yaml:10:",
        ]) {
            assert!(line.contains(test_dir), "{line}");
        }
        assert!(lines[2].contains("did you mean `bank`?"), "{message}");
        assert!(
            lines[4].contains("did you mean `buy_confirm`?"),
            "{message}"
        );
        untouched(&test_dir);
    }
}

#[test]
fn a_missing_scenario_is_one_clear_line() {
    let test_dir = TestDir::with(SMALL);
    let output = test_dir.run(&["run", "none.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("none.yaml"), "{message}");
    untouched(&test_dir);
}

#[test]
fn a_taken_port_is_one_clear_line_that_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let test_dir = TestDir::with(SMALL);
    let output = test_dir.run(&["run", "s.yaml", "--port", &port, "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.contains(&port) && message.contains("--port"),
        "{message}"
    );
}

#[test]
fn an_output_folder_that_cannot_be_made_is_one_clear_line() {
    let test_dir = TestDir::with(SMALL);
    std::fs::write(test_dir.path().join("file"), "").unwrap();
    let mut folders = vec!["file/runs".to_owned()];
    // Root writes where others may not, so for root a read-only folder is none.
    let shut = test_dir.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(shut.join("probe"), "").is_err() {
        folders.push("shut/runs".to_owned());
    } else {
        // The kernel's own folder is read-only for everyone.
        folders.push("/proc/runs".to_owned());
    }
    for folder in folders {
        let output = test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet", "--out", &folder]);
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(&folder), "{message}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_exit_code_1_and_help_is_0() {
    let test_dir = TestDir::with(SMALL);
    assert_eq!(test_dir.run(&["rnu"]).status.code(), Some(1));
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["up", "--help"],
        &["load", "--help"],
        &["serve", "--help"],
        &["health", "--help"],
        &["audit", "--help"],
        &["check", "--help"],
        &["chaos", "proxy", "--help"],
        &["chaos", "inject", "--help"],
        &["chaos", "list", "--help"],
        &["chaos", "clear", "--help"],
    ] {
        let output = test_dir.run(command);
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            help.contains("Example"),
            "{command:?} has no example:\n{help}"
        );
    }
}

#[test]
fn an_option_that_would_be_ignored_is_refused() {
    let test_dir = TestDir::with(SMALL);
    for (args, named) in [
        (&["up", "s.yaml", "--without", "retries"][..], "--without"),
        (&["up", "s.yaml", "--ablate"], "--ablate"),
        (&["up", "s.yaml", "--json"], "--json"),
        (&["up", "s.yaml", "--metrics", "127.0.0.1:0"], "--metrics"),
        (&["up", "s.yaml", "--shrink"], "--shrink"),
        (&["run", "s.yaml", "--ablate", "--shrink"], "--shrink"),
        (
            &["run", "s.yaml", "--ablate=caches", "--shrink"],
            "--ablate",
        ),
        (
            &["run", "s.yaml", "--docker", "--port", "1"],
            "--port (DOORBUSTER_PORT)",
        ),
        (
            &[
                "load",
                "s.yaml",
                "--target",
                "http://127.0.0.1:1",
                "--topology",
                "t.json",
            ],
            "--topology",
        ),
        (&["load", "s.yaml", "--keep-data"], "--keep-data"),
        (&["check", "s.yaml", "--seed", "1"], "--seed"),
    ] {
        let output = test_dir.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let message = stderr(&output);
        assert!(message.contains(named), "{args:?}: {message}");
    }
    assert!(!test_dir.path().join("runs").exists(), "no run has started");
}

#[test]
fn an_unknown_pattern_is_refused_with_a_suggestion() {
    let test_dir = TestDir::with(SMALL);
    for args in [
        &["run", "s.yaml", "--without", "retries,breaker"][..],
        &["run", "s.yaml", "--ablate=breaker"],
        &["serve", "cart", "--without", "breaker"],
    ] {
        let output = test_dir.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let message = stderr(&output);
        let suggestion = "did you mean `breakers`?";
        assert!(message.contains(suggestion), "{args:?}: {message}");
    }
}
