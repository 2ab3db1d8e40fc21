//! A run in the terminal: one line per second while it lasts, and the closing summary.
//!
//! Both are computed from the record alone. The caller decides on colour and width; nothing here reads the environment.
//! Colour never carries information that is not in the text.

pub mod ablation;
mod expectations;
mod groups;
mod scorecard;
mod steps;
mod style;
mod table;

use crate::expect::goodput_seen;
use crate::format::{bytes, count, latency};
use crate::record::{
    FaultRow, Interval, Metastability, ResourceRow, RunSummary, StepInterval, Verdict,
};
pub use style::Style;
use table::{Cell, Column, Meaning, Table, wrapped};

/// How many contradictions are shown. The others are in `run.json`.
const SHOWN_VIOLATIONS: usize = 5;

/// How many roles the line on resources names.
const SHOWN_ROLES: usize = 3;

/// The closing summary of a run, whose record is in `dir`. Ends with a newline.
pub fn render(summary: &RunSummary, dir: &str, style: Style) -> String {
    let blocks = [
        headline(summary, style),
        steps::table(summary, style),
        faults(summary, style),
        scorecard::cards(summary, style),
        expectations::table(summary, style),
        footer(summary, dir, style),
    ];
    let mut text = String::new();
    for block in blocks.iter().filter(|block| !block.is_empty()) {
        text.push('\n');
        text.push_str(block);
    }
    text.push('\n');
    text
}

/// One second as one line, for output that is not a terminal.
pub fn line(interval: &Interval) -> String {
    let StepInterval {
        requests,
        failed,
        response_us,
        ..
    } = &interval.all;
    let mut line = format!(
        "{:>4.0} s  {:<10} sessions {:<5} {:>5} req/s  errors {:<6} p50 {:<8} p99 {:<8}",
        interval.t_s,
        interval.phase,
        interval.sessions_active,
        requests,
        short_percent(*failed, *requests),
        latency(response_us.p50),
        latency(response_us.p99),
    );
    if interval.dropped > 0 {
        line.push_str(&format!("  dropped {}", interval.dropped));
    }
    if !interval.faults.is_empty() {
        line.push_str(&format!("  faults {}", interval.faults.join(",")));
    }
    for state in ["starting", "down"] {
        let mut processes: Vec<&str> = Vec::new();
        for (process, is) in &interval.services {
            if is == state {
                processes.push(process);
            }
        }
        if !processes.is_empty() {
            line.push_str(&format!("  {state} {}", processes.join(",")));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A percentage to one decimal, so that a column of them has a stable width.
fn short_percent(failed: u64, requests: u64) -> String {
    let percent = 100.0 * failed as f64 / requests.max(1) as f64;
    match failed {
        1.. if percent < 0.05 => "<0.1%".to_owned(),
        _ => format!("{percent:.1}%"),
    }
}

fn headline(summary: &RunSummary, style: Style) -> String {
    let (word, meaning) = match summary.verdict {
        Verdict::Pass => ("✓ PASS", Meaning::Good),
        Verdict::Fail => ("✗ FAIL", Meaning::Bad),
        Verdict::Invalid => ("? INVALID", Meaning::Uncertain),
    };
    let sessions = match summary.plan.sessions {
        1 => "1 session".to_owned(),
        n => format!("{} sessions", count(n)),
    };
    let facts = format!(
        "seed {} · {:.1} s · {sessions} · {} · doorbuster {}",
        summary.seed,
        summary.duration_s,
        to_the_second(&summary.started_at),
        summary.version
    );
    let before = format!("  {word}  {}   ", summary.scenario).chars().count();
    let facts = wrapped(&" ".repeat(before), "    ", &facts, style.width());
    let mut text = format!(
        "  {}  {}   ",
        meaning.on(word, style),
        Meaning::Name.on(&summary.scenario, style)
    );
    for (i, line) in facts.lines().enumerate() {
        text.push_str(if i > 0 { "    " } else { "" });
        text.push_str(&Meaning::Context.on(line.trim_start(), style));
        text.push('\n');
    }
    // A missed expectation is shown in the table of expectations, not here.
    let is_new = |reason: &&String| {
        let mut rows = summary.expectations.iter();
        !rows.any(|row| **reason == format!("{}: {}", row.text, row.observed))
    };
    for reason in summary.reasons.iter().filter(is_new) {
        text.push_str(&wrapped("    ", "    ", reason, style.width()));
    }
    text
}

/// A timestamp to the second. If it cannot be parsed, it is shown as it is.
fn to_the_second(instant: &str) -> String {
    match instant.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => instant.to_owned(),
    }
}

fn faults(summary: &RunSummary, style: Style) -> String {
    if summary.faults.is_empty() {
        return String::new();
    }
    let mut table = Table::new(vec![
        Column::left("Faults"),
        Column::left("what").spare(2),
        Column::right("in force").spare(1),
        Column::right("hits"),
        Column::right("detected"),
        Column::right("recovered"),
    ]);
    for fault in &summary.faults {
        let hits = match fault.hits {
            0 => Cell::new("none", Meaning::Bad),
            hits => Cell::plain(count(hits)),
        };
        table.row(vec![
            Cell::plain(&fault.name),
            Cell::new(
                format!("{} on {}", fault.kind, fault.target),
                Meaning::Context,
            ),
            Cell::plain(format!("{:.1} – {:.1} s", fault.started_s, fault.ended_s)),
            hits,
            detected(fault),
            recovered(fault),
        ]);
    }
    table.render(style)
}

fn detected(fault: &FaultRow) -> Cell {
    match fault.detected_s {
        Some(s) => Cell::plain(format!("after {s:.1} s")),
        None => Cell::new("never felt", Meaning::Context),
    }
}

fn recovered(fault: &FaultRow) -> Cell {
    match (fault.detected_s, fault.recovered_s) {
        (_, None) => Cell::new("not recovered", Meaning::Bad),
        (None, Some(_)) => Cell::new("–", Meaning::Context),
        // A breaker detected it, and shoppers did not feel it.
        (_, Some(_)) if fault.score.as_ref().is_some_and(|s| s.felt_s.is_none()) => {
            Cell::new("never felt", Meaning::Context)
        }
        (_, Some(s)) if s < 0.05 => Cell::plain("at once"),
        (_, Some(s)) => Cell::plain(format!("after {s:.1} s")),
    }
}

/// The lines that consist of a name and a sentence.
fn footer(summary: &RunSummary, dir: &str, style: Style) -> String {
    let mut text = String::new();
    let mut put = |name: &str, sentence: &str| {
        let first = format!("  {:<12}", name);
        text.push_str(&wrapped(&first, "              ", sentence, style.width()));
    };
    let kinds = steps::error_kinds(summary);
    if !kinds.is_empty() {
        put("Errors", &kinds);
    }
    if let Some(row) = &summary.metastability
        && row.verdict == Metastability::Metastable
    {
        put(
            "Goodput",
            &format!("✗ did not come back · {}", goodput_seen(row)),
        );
    }
    put("Audit", &audit(summary));
    let violations = &summary.audit.violations;
    for violation in violations.iter().take(SHOWN_VIOLATIONS) {
        put("", violation);
    }
    if violations.len() > SHOWN_VIOLATIONS {
        let more = violations.len() - SHOWN_VIOLATIONS;
        put("", &format!("and {more} more in run.json"));
    }
    put("Generator", &generator(summary));
    if !summary.resources.is_empty() {
        put("Resources", &resources(&summary.resources));
    }
    put("Record", dir);
    text
}

fn audit(summary: &RunSummary) -> String {
    let audit = &summary.audit;
    let mark = match (audit.complete, audit.is_clean()) {
        (_, false) => "✗ ",
        (true, true) => "✓ ",
        (false, true) => "not completed · ",
    };
    let mut text = format!(
        "{mark}{} orders promised, {} found",
        count(audit.orders_promised),
        count(audit.orders_found)
    );
    if audit.orders_unknown > 0 {
        text.push_str(&format!(
            " · {} whose outcome no shopper learned",
            count(audit.orders_unknown)
        ));
        if audit.unknown_came_true + audit.unknown_did_not > 0 {
            text.push_str(&format!(
                ": {} came true, {} did not",
                count(audit.unknown_came_true),
                count(audit.unknown_did_not)
            ));
        }
    }
    match audit.violations.len() {
        0 => {}
        1 => text.push_str(" · 1 contradiction:"),
        n => text.push_str(&format!(" · {} contradictions:", count(n as u64))),
    }
    text
}

fn generator(summary: &RunSummary) -> String {
    let generator = &summary.generator;
    let late = &generator.lateness_us;
    format!(
        "{} {} steps offered, {} sent, {} dropped · sends late by p50 {}, p99 {}, max {}",
        if generator.valid { "✓" } else { "✗" },
        count(generator.offered),
        count(generator.sent),
        count(generator.dropped),
        latency(late.p50),
        latency(late.p99),
        latency(late.max),
    )
}

fn resources(rows: &[ResourceRow]) -> String {
    let peak: u64 = rows.iter().map(|row| row.peak_rss_bytes).sum();
    let mut roles: Vec<(&str, f64)> = Vec::new();
    for row in rows {
        match roles.iter_mut().find(|(role, _)| *role == row.role) {
            Some((_, cpu_s)) => *cpu_s += row.cpu_s,
            None => roles.push((&row.role, row.cpu_s)),
        }
    }
    roles.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let busiest: Vec<String> = roles
        .iter()
        .take(SHOWN_ROLES)
        .map(|(role, cpu_s)| format!("{role} {cpu_s:.1} s"))
        .collect();
    format!(
        "{} in {} processes, each at its peak · most CPU: {}",
        bytes(peak),
        rows.len(),
        busiest.join(", ")
    )
}
