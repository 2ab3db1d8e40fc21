//! The summary in the terminal, compared with golden files.
//!
//! To accept a change of the layout: delete the golden file, run the test once (it fails and writes the file), and
//! review the difference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use results::expect::{Evidence, Expectation, Limit, Quantile, conclude, judge};
use results::record::*;
use results::summary::{Style, line, render};
use std::time::Duration;

const DIR: &str = "runs/2026-11-21T065730Z-demo";

#[track_caller]
fn assert_golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    match std::fs::read_to_string(&path) {
        Ok(golden) => assert_eq!(text, golden, "differs from {name}:\n{text}"),
        Err(_) => {
            std::fs::write(&path, text).expect("the golden directory is there");
            panic!("{name} was not there and has been written; look at it:\n{text}");
        }
    }
}

fn step(step: &str, phase: &str, requests: u64, failed: u64, ms: [f64; 4]) -> StepRow {
    let [p50, p95, p99, max] = ms.map(|ms| (ms * 1000.0) as u64);
    StepRow {
        step: step.to_owned(),
        phase: phase.to_owned(),
        requests,
        ok: requests - failed,
        failed,
        errors: match failed {
            0 => BTreeMap::new(),
            n => BTreeMap::from([("http_503".to_owned(), n - 1), ("timeout".to_owned(), 1)]),
        },
        response_us: Quantiles {
            min: p50 / 2,
            p50,
            p90: p95,
            p95,
            p99,
            p999: max,
            max,
        },
        service_us: Quantiles {
            p99: p99 * 9 / 10,
            ..Quantiles::default()
        },
    }
}

/// The scorecard of a slow bank.
fn card() -> Score {
    Score {
        from_s: 12.0,
        to_s: 23.0,
        steady_error_ratio: Some(0.004),
        steady: BTreeMap::from([(
            "buy_confirm".to_owned(),
            StepSteady {
                error_ratio: 0.0,
                p90_us: 58_400,
            },
        )]),
        felt_s: Some(2.0),
        breakers: vec!["payment→bank".to_owned()],
        requests: Requests {
            all: 1740,
            failed: 21,
            affected: Some(96),
        },
        orders: Some(Orders {
            promised: 61,
            expected: 74.6,
            margin: 9.2,
            accepted: 4,
            refused: 2,
            unknown: 1,
        }),
        revenue: Some(Revenue {
            promised_minor: 812_340,
            expected_minor: 1_003_000,
            margin_minor: 170_000,
        }),
        retries: Some(Retries {
            before: Some(1.0),
            during: Some(1.384),
        }),
        retries_everywhere: Some(Retries {
            before: Some(1.0),
            during: Some(1.02),
        }),
        budget: Budget {
            failed: 21,
            allowed: 17.4,
            spent: Some(1.21),
            worst: Some("buy_confirm".to_owned()),
        },
        unknown: vec![
            "order-down overlapped: what each cost is counted for all of them".to_owned(),
        ],
    }
}

fn demo() -> RunSummary {
    let phase = |name: &str, from_s, to_s, measure| PhaseRow {
        name: name.to_owned(),
        from_s,
        to_s,
        measure,
    };
    let fault = |name: &str, kind: &str, target: &str, started_s, ended_s, hits| FaultRow {
        name: name.to_owned(),
        kind: kind.to_owned(),
        target: target.to_owned(),
        started_s,
        ended_s,
        hits,
        recovered_s: Some(0.0),
        ..FaultRow::default()
    };
    let process = |role: &str, replica, mib: u64, cpu_s| ResourceRow {
        role: role.to_owned(),
        replica,
        peak_rss_bytes: mib << 20,
        cpu_s,
    };
    let started_at = "2026-11-21T06:57:30.655348874Z"
        .parse()
        .expect("a timestamp");
    let plan = PlanDigest {
        sessions: 1410,
        steps: 6533,
        digest: "2c26b46b".to_owned(),
    };
    RunSummary {
        duration_s: 50.04,
        verdict: Verdict::Pass,
        generator: Generator {
            offered: 6210,
            sent: 6210,
            dropped: 0,
            lateness_us: Lateness {
                p50: 35,
                p99: 50,
                max: 1210,
            },
            valid: true,
        },
        phases: vec![
            phase("warm-up", 0.0, 5.0, false),
            phase("steady", 5.0, 25.0, true),
            phase("rush", 25.0, 35.0, true),
            phase("recovery", 35.0, 50.04, true),
        ],
        steps: vec![
            step("home", "steady", 1240, 0, [2.1, 5.25, 9.9, 24.0]),
            step("customer_registration", "steady", 1, 0, [0.8; 4]),
            step("buy_confirm", "steady", 137, 1, [41.0, 390.0, 412.0, 655.0]),
            step("home", "rush", 2418, 0, [2.4, 7.7, 18.2, 61.0]),
            step("search", "rush", 831, 0, [3.4, 8.1, 12.3, 31.0]),
            step("buy_confirm", "rush", 301, 9, [52.0, 610.0, 1240.0, 3010.0]),
            step("home", "recovery", 3500, 1, [2.2, 6.1, 11.5, 30.2]),
            step("never_taken", "recovery", 0, 0, [0.0; 4]),
            step("buy_confirm", "recovery", 96, 0, [44.0, 98.0, 138.0, 151.0]),
        ],
        faults: vec![
            FaultRow {
                detected_s: Some(2.0),
                detected_by: vec![
                    "p90 of buy_confirm".to_owned(),
                    "breaker payment→bank".to_owned(),
                ],
                recovered_s: Some(3.0),
                score: Some(card()),
                ..fault("bank-slow", "latency", "bank", 12.0, 20.0, 412)
            },
            fault("order-down", "kill", "order/1", 30.0, 33.2, 17),
        ],
        audit: AuditRow {
            complete: true,
            orders_promised: 428,
            orders_found: 428,
            orders_unknown: 3,
            unknown_came_true: 2,
            unknown_did_not: 1,
            ..AuditRow::default()
        },
        metastability: Some(MetastabilityRow {
            verdict: Metastability::Recovered,
            ..MetastabilityRow::default()
        }),
        resources: vec![
            process("gateway", 0, 31, 8.13),
            process("order", 0, 38, 6.9),
            process("order", 1, 37, 5.42),
            process("product", 0, 44, 4.0),
            process("bank", 0, 19, 0.7),
        ],
        ..RunSummary::new("demo", 7, "0.1.0", started_at, plan)
    }
}

fn judged(mut summary: RunSummary, p99: Duration) -> RunSummary {
    let response = Limit::Response {
        quantile: Quantile::P99,
        at_most: p99,
    };
    let expectations = [
        Expectation::Step {
            step: "buy_confirm".to_owned(),
            in_phase: None,
            limits: vec![response, Limit::Errors { at_most: 0.05 }],
        },
        Expectation::Recovery {
            within: Duration::from_secs(10),
        },
        Expectation::AuditClean,
    ];
    conclude(&expectations, &mut summary, &[]);
    summary
}

#[test]
fn a_run_that_passed() {
    let summary = judged(demo(), Duration::from_secs(2));
    assert_eq!(summary.verdict, Verdict::Pass);
    assert_golden("pass.txt", &render(&summary, DIR, Style::PLAIN));
}

#[test]
fn a_run_that_failed() {
    let mut summary = demo();
    let search = summary.steps.iter_mut().find(|row| row.step == "search");
    *search.unwrap() = step("search", "rush", 31, 31, [0.004, 0.9, 1.1, 1.2]);
    summary.faults[0].recovered_s = None;
    summary.metastability = Some(MetastabilityRow {
        verdict: Metastability::Metastable,
        trigger_ended_s: 33.2,
        arrivals_before: 15.0,
        arrivals_after: 15.0,
        ok_before: 196.4,
        ok_after: 61.3,
        goodput_before: 0.99,
        goodput_after: 0.31,
        why: None,
    });
    summary.audit.orders_found = 427;
    summary.audit.violations = (1..=7)
        .map(|n| format!("order o-{n} was promised to its shopper and is not confirmed"))
        .collect();
    let summary = judged(summary, Duration::from_millis(800));
    assert_eq!(summary.verdict, Verdict::Fail);
    assert_golden("fail.txt", &render(&summary, DIR, Style::PLAIN));
}

#[test]
fn a_run_that_is_invalid() {
    let mut summary = demo();
    summary.generator.valid = false;
    summary.generator.dropped = 800;
    summary.generator.sent = 5410;
    summary.generator.lateness_us.p99 = 81_000;
    summary.generator.lateness_us.max = 240_000;
    summary.faults[1].hits = 0;
    let summary = judged(summary, Duration::from_secs(2));
    assert_eq!(summary.verdict, Verdict::Invalid);
    assert_golden("invalid.txt", &render(&summary, DIR, Style::PLAIN));
}

fn wide(width: usize) -> Style {
    Style {
        colour: false,
        width,
    }
}

#[test]
fn a_wide_terminal_shows_the_maxima() {
    let summary = judged(demo(), Duration::from_secs(2));
    assert_golden("wide.txt", &render(&summary, DIR, wide(140)));
}

#[test]
fn phases_that_do_not_fit_beside_each_other_follow_below() {
    let summary = judged(demo(), Duration::from_secs(2));
    assert_golden("narrow.txt", &render(&summary, DIR, wide(78)));
    for width in [78, 90, 100, 120, 160] {
        let text = render(&summary, DIR, wide(width));
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
            assert_eq!(line, line.trim_end(), "trailing space");
        }
        let blocks = text.matches("  Steps ").count();
        assert_eq!(blocks, if width < 100 { 2 } else { 1 }, "{width}:\n{text}");
    }
}

/// The lines on expectations.
fn expectations(summary: &RunSummary) -> Vec<String> {
    let text = render(summary, DIR, wide(140));
    let lines = text.lines().map(|line| line.trim().to_owned());
    lines
        .filter(|line| line.starts_with(['✓', '✗']) && line.contains('≤'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn p99_of_home(ms: u64, phase: Option<&str>) -> Expectation {
    Expectation::Step {
        step: "home".to_owned(),
        in_phase: phase.map(str::to_owned),
        limits: vec![Limit::Response {
            quantile: Quantile::P99,
            at_most: Duration::from_millis(ms),
        }],
    }
}

#[test]
fn held_limits_are_merged_and_missed_ones_come_first() {
    let mut summary = demo();
    let expected = [p99_of_home(15, None), p99_of_home(15, Some("steady"))];
    summary.expectations = judge(&expected, &Evidence::of(&summary, &[]));
    assert_eq!(
        expectations(&summary),
        [
            "✗ home p99 ≤ 15ms in rush 18.2ms of 2418 requests",
            "✓ home p99 ≤ 15ms steady 9.9ms · recovery 11.5ms",
        ]
    );
}

#[test]
fn different_limits_on_one_metric_are_not_merged() {
    let mut summary = demo();
    let expected = [
        p99_of_home(10, Some("steady")),
        p99_of_home(20, Some("rush")),
    ];
    summary.expectations = judge(&expected, &Evidence::of(&summary, &[]));
    let one_by_one = [
        "✓ home p99 ≤ 10ms in steady 9.9ms of 1240 requests",
        "✓ home p99 ≤ 20ms in rush 18.2ms of 2418 requests",
    ];
    assert_eq!(expectations(&summary), one_by_one);
    // Old records have no limits.
    for row in &mut summary.expectations {
        row.metric.as_mut().unwrap().limit.clear();
    }
    assert_eq!(expectations(&summary), one_by_one);
}

#[test]
fn a_quantile_that_missed_its_limit_has_a_column() {
    let mut summary = demo();
    assert!(!render(&summary, DIR, wide(140)).contains("p95"));
    let expected = Expectation::Step {
        step: "buy_confirm".to_owned(),
        in_phase: Some("rush".to_owned()),
        limits: vec![Limit::Response {
            quantile: Quantile::P95,
            at_most: Duration::from_millis(500),
        }],
    };
    summary.expectations = judge(&[expected], &Evidence::of(&summary, &[]));
    let colour = Style {
        colour: true,
        width: 140,
    };
    let text = render(&summary, DIR, colour);
    assert!(text.contains("\u{1b}[1;31m610\u{1b}[0m"), "{text}");
}

#[test]
fn colour_marks_the_missed_value_and_changes_no_text() {
    let summary = judged(demo(), Duration::from_millis(800));
    let colour = Style {
        colour: true,
        ..Style::PLAIN
    };
    let text = render(&summary, DIR, colour);
    assert_golden("colour.txt", &text);
    assert!(text.contains("\u{1b}[1;31m1240\u{1b}[0m"), "{text}");
    assert!(!text.contains("\u{1b}[1;31m412"), "{text}");
    let mut plain = String::new();
    for (i, piece) in text.split('\u{1b}').enumerate() {
        let from = if i == 0 {
            0
        } else {
            piece.find('m').unwrap() + 1
        };
        plain.push_str(&piece[from..]);
    }
    assert_eq!(plain, render(&summary, DIR, Style::PLAIN));
}

#[test]
fn lines_of_seconds_are_aligned() {
    let second = |t_s, phase: &str, requests, failed, p50, p99| Interval {
        t_s,
        phase: phase.to_owned(),
        sessions_active: requests - 13,
        all: StepInterval {
            requests,
            failed,
            response_us: Quantiles {
                p50,
                p99,
                ..Quantiles::default()
            },
            ..StepInterval::default()
        },
        ..Interval::default()
    };
    let quiet = second(1.0, "warm-up", 20, 0, 2_100, 9_800);
    let mut busy = second(12.0, "steady", 131, 2, 3_140, 1_240_000);
    busy.dropped = 4;
    busy.faults = vec!["bank-slow".to_owned(), "order-down".to_owned()];
    busy.services = [
        ("bank/0", "ready"),
        ("order/0", "starting"),
        ("order/1", "down"),
    ]
    .map(|(process, state)| (process.to_owned(), state.to_owned()))
    .into();
    let text = format!("{}\n{}\n", line(&quiet), line(&busy));
    assert_golden("lines.txt", &text);
}

#[test]
fn a_summary_survives_its_file() {
    let out = tempfile::tempdir().unwrap();
    let started = "2026-11-21T06:57:30Z".parse().unwrap();
    let run = results::run_dir::RunDir::create(out.path(), "demo", started).unwrap();
    let summary = judged(demo(), Duration::from_millis(800));
    run.write_summary(&summary).unwrap();
    let read = results::run_dir::read_summary(run.path()).unwrap();
    assert_eq!(read, summary);
}
