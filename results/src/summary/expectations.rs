//! The table of expectations: first each missed one, then those that held, as briefly as possible.

use super::style::Style;
use super::table::{Cell, Column, GAP, INDENT, Meaning, Table, wrapped};
use crate::expect::Quantile;
use crate::format::{percent, written};
use crate::record::{ExpectationRow, RunSummary, StepMetric};

/// A line of the table.
struct Line {
    text: String,
    held: bool,
    observed: String,
}

/// Every expectation with what was observed. Empty if the scenario expects nothing.
pub(super) fn table(summary: &RunSummary, style: Style) -> String {
    if summary.expectations.is_empty() {
        return String::new();
    }
    let lines = lines(summary);
    let texts = lines.iter().map(|line| line.text.chars().count() + 2);
    let before = INDENT.len() + texts.fold("Expectations".len(), usize::max) + GAP.len();
    let width = style.width().saturating_sub(before);
    let mut table = Table::new(vec![Column::left("Expectations"), Column::left("observed")]);
    for line in lines {
        let observed = wrapped("", "", &line.observed, width);
        for (i, part) in observed.lines().enumerate() {
            let name = match (i, line.held) {
                (0, true) => Cell::new("✓", Meaning::Good).then(&format!(" {}", line.text)),
                (0, false) => Cell::new(format!("✗ {}", line.text), Meaning::Bad),
                _ => Cell::plain(""),
            };
            let meaning = if line.held {
                Meaning::Plain
            } else {
                Meaning::Bad
            };
            table.row(vec![name, Cell::new(part, meaning)]);
        }
    }
    table.render(style)
}

fn lines(summary: &RunSummary) -> Vec<Line> {
    let rows = &summary.expectations;
    let single = |row: &ExpectationRow| Line {
        text: row.text.clone(),
        held: row.held,
        observed: row.observed.clone(),
    };
    let mut lines: Vec<Line> = rows.iter().filter(|row| !row.held).map(single).collect();
    for (i, row) in rows.iter().enumerate().filter(|(_, row)| row.held) {
        let Some(metric) = &row.metric else {
            lines.push(single(row));
            continue;
        };
        if same_except_phase(metric, &rows[..i]).next().is_some() {
            continue;
        }
        let mut phases: Vec<(&str, String)> = Vec::new();
        for (other, metric) in same_except_phase(metric, &rows[i..]) {
            if phases.iter().all(|(phase, _)| *phase != metric.phase) {
                phases.push((&metric.phase, value(other, metric, summary)));
            }
        }
        lines.push(match phases.len() {
            ..2 => single(row),
            _ => Line {
                text: format!("{} {} ≤ {}", metric.step, metric.column, metric.limit),
                held: true,
                observed: phases
                    .iter()
                    .map(|(phase, value)| format!("{phase} {value}"))
                    .collect::<Vec<_>>()
                    .join(" · "),
            },
        });
    }
    lines
}

/// The rows that held and differ from `metric` only in their phase. None if the limit is unknown: two limits on one
/// metric must not be merged.
fn same_except_phase<'r>(
    metric: &'r StepMetric,
    rows: &'r [ExpectationRow],
) -> impl Iterator<Item = (&'r ExpectationRow, &'r StepMetric)> {
    let held = rows.iter().filter(|row| row.held);
    let metrics = held.filter_map(|row| Some((row, row.metric.as_ref()?)));
    metrics.filter(move |(_, other)| {
        let key = |f: &'r StepMetric| (&f.step, &f.column, &f.limit);
        !metric.limit.is_empty() && key(other) == key(metric)
    })
}

/// The value alone, without the number of requests that `row` shows with it.
fn value(row: &ExpectationRow, metric: &StepMetric, summary: &RunSummary) -> String {
    let mut steps = summary.steps.iter();
    let step = steps.find(|s| s.step == metric.step && s.phase == metric.phase);
    let mut quantiles = Quantile::ALL.into_iter();
    let quantile = quantiles.find(|quantile| quantile.name() == metric.column);
    match (step, quantile) {
        (Some(step), Some(quantile)) => written(quantile.of(&step.response_us)),
        (Some(step), None) if step.failed == 0 => "none".to_owned(),
        (Some(step), None) => percent(step.failed as f64 / step.requests.max(1) as f64),
        (None, _) => row.observed.clone(),
    }
}
