//! What each fault cost, in sentences: estimates need explanation.

use super::style::Style;
use super::table::{INDENT, Meaning, wrapped};
use crate::format::{count, latency, percent};
use crate::record::{FaultRow, Orders, Retries, Revenue, RunSummary, Score};

/// How many breakers and deviations are named. The others are in `run.json`.
const NAMED: usize = 3;

/// The cards of all faults that have one.
pub(super) fn cards(summary: &RunSummary, style: Style) -> String {
    let cards: Vec<(&FaultRow, &Score)> = summary
        .faults
        .iter()
        .filter_map(|fault| Some((fault, fault.score.as_ref()?)))
        .collect();
    let Some(longest) = cards
        .iter()
        .map(|(fault, _)| fault.name.chars().count())
        .max()
    else {
        return String::new();
    };
    let title = "Scorecard";
    let name_width = longest.max(title.len()) + 3;
    let then = " ".repeat(INDENT.len() + name_width);
    let about = Meaning::Context.on(
        "from its start until recovery, against the seconds before",
        style,
    );
    let mut text = format!(
        "{INDENT}{}{}{about}\n",
        Meaning::Name.on(title, style),
        " ".repeat(name_width - title.len()),
    );
    for (fault, score) in cards {
        let first = format!("{INDENT}{:<name_width$}", fault.name);
        let clauses = clauses(fault, score).join(" · ");
        text.push_str(&wrapped(&first, &then, &clauses, style.width()));
        for unknown in &score.unknown {
            text.push_str(&wrapped(
                &then,
                &then,
                &format!("({unknown})"),
                style.width(),
            ));
        }
    }
    text
}

fn clauses(fault: &FaultRow, score: &Score) -> Vec<String> {
    let mut clauses = vec![noticed(fault, score), requests(score)];
    clauses.extend(score.orders.as_ref().map(orders));
    clauses.extend(score.revenue.as_ref().map(revenue));
    let attempts = |scope: &str, retries: &Option<Retries>| {
        let Retries { before, during } = (*retries)?;
        // No retries: nothing to show.
        (before != Some(1.0) || during != Some(1.0)).then(|| {
            let format = |f: Option<f64>| f.map_or("no call".to_owned(), |f| format!("{f:.2}"));
            format!(
                "attempts per call {scope} {}, before {}",
                format(during),
                format(before)
            )
        })
    };
    let role = fault.target.split('/').next().unwrap_or(&fault.target);
    clauses.extend(attempts(&format!("of {role}"), &score.retries));
    clauses.extend(attempts("in the whole shop", &score.retries_everywhere));
    clauses.push(budget(score));
    clauses
}

fn noticed(fault: &FaultRow, score: &Score) -> String {
    let Some(after_s) = fault.detected_s else {
        return "not noticed".to_owned();
    };
    let mut by: Vec<String> = fault.detected_by.iter().take(NAMED).cloned().collect();
    if fault.detected_by.len() > NAMED {
        by.push(format!("{} more", fault.detected_by.len() - NAMED));
    }
    let slow = score.steady.iter().find(|(step, _)| {
        let sign = format!("p90 of {step}");
        fault
            .detected_by
            .first()
            .is_some_and(|first| *first == sign)
    });
    if let (Some((_, steady)), Some(first)) = (slow, by.first_mut()) {
        first.push_str(&format!(" ({} before)", latency(steady.p90_us)));
    }
    let mut text = format!("noticed after {after_s:.1} s by {}", by.join(", "));
    if score.felt_s.is_none() {
        text.push_str(", not by shoppers");
    }
    text
}

fn requests(score: &Score) -> String {
    let requests = &score.requests;
    let all = count(requests.all);
    let failed = match (requests.failed, score.steady_error_ratio) {
        (0, _) => "none failed".to_owned(),
        (n, None) => format!("{} failed", count(n)),
        (n, Some(0.0)) => format!("{} failed, none before", count(n)),
        (n, Some(before)) => format!("{} failed, {} before", count(n), percent(before)),
    };
    match requests.affected {
        None => format!("{all} requests, {failed}"),
        Some(0) => format!("no more of {all} requests affected than before, {failed}"),
        Some(n) => format!("at least {} of {all} requests affected, {failed}", count(n)),
    }
}

fn orders(orders: &Orders) -> String {
    let mut text = format!(
        "{} orders promised, {:.0} ± {:.0} expected",
        count(orders.promised),
        orders.expected,
        orders.margin
    );
    for (n, what) in [
        (orders.accepted, "accepted"),
        (orders.refused, "refused"),
        (orders.unknown, "of unknown outcome"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {} {what}", count(n)));
        }
    }
    text
}

fn revenue(revenue: &Revenue) -> String {
    let minor = |n: i64| count(u64::try_from(n).unwrap_or(0));
    format!(
        "{} in revenue, {} ± {} expected (minor units)",
        minor(revenue.promised_minor),
        minor(revenue.expected_minor),
        minor(revenue.margin_minor)
    )
}

fn budget(score: &Score) -> String {
    let budget = &score.budget;
    match (budget.spent, budget.failed) {
        (_, 0) => "no error budget spent".to_owned(),
        (None, n) => format!("{} errors where none are allowed", count(n)),
        (Some(spent), _) => {
            let mut text = format!("{:.0}% of the error budget spent", 100.0 * spent);
            if let Some(worst) = budget.worst.as_ref().filter(|_| spent > 1.0) {
                text.push_str(&format!(", most by {worst}"));
            }
            text
        }
    }
}
