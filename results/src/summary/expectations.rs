//! The expectations: what was missed first and one by one, what held as briefly as can be.

use super::style::Style;
use super::table::{Cell, Column, GAP, INDENT, Paint, Table, wrapped};
use crate::expect::Quantile;
use crate::format::{percent, written};
use crate::record::{ExpectationRow, RunSummary, StepMetric};

/// A line of the table, before it is laid out.
struct Line {
    text: String,
    held: bool,
    observed: String,
}

/// Every expectation with what was observed; empty when the scenario expects nothing.
pub(super) fn table(summary: &RunSummary, style: Style) -> String {
    if summary.expectations.is_empty() {
        return String::new();
    }
    let lines = lines(summary);
    let texts = lines.iter().map(|line| line.text.chars().count() + 2);
    let before = INDENT.len() + texts.fold("Expectations".len(), usize::max) + GAP.len();
    let room = style.width().saturating_sub(before);
    let mut table = Table::new(vec![Column::left("Expectations"), Column::left("observed")]);
    for line in lines {
        let observed = wrapped("", "", &line.observed, room);
        for (i, part) in observed.lines().enumerate() {
            let name = match (i, line.held) {
                (0, true) => Cell::new("✓", Paint::Good).then(&format!(" {}", line.text)),
                (0, false) => Cell::new(format!("✗ {}", line.text), Paint::Bad),
                _ => Cell::plain(""),
            };
            let paint = if line.held { Paint::Plain } else { Paint::Bad };
            table.row(vec![name, Cell::new(part, paint)]);
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
        if alike(metric, &rows[..i]).next().is_some() {
            continue;
        }
        let mut phases: Vec<(&str, String)> = Vec::new();
        for (other, metric) in alike(metric, &rows[i..]) {
            if phases.iter().all(|(phase, _)| *phase != metric.phase) {
                phases.push((&metric.phase, seen(other, metric, summary)));
            }
        }
        lines.push(match phases.len() {
            ..2 => single(row),
            _ => Line {
                text: format!("{} {} ≤ {}", metric.step, metric.column, metric.limit),
                held: true,
                observed: phases
                    .iter()
                    .map(|(phase, seen)| format!("{phase} {seen}"))
                    .collect::<Vec<_>>()
                    .join(" · "),
            },
        });
    }
    lines
}

/// The rows that held and differ from `metric` in nothing but their phase. None where the limit is not known:
/// two limits on one metric must not become one.
fn alike<'r>(
    metric: &'r StepMetric,
    rows: &'r [ExpectationRow],
) -> impl Iterator<Item = (&'r ExpectationRow, &'r StepMetric)> {
    let held = rows.iter().filter(|row| row.held);
    let metrics = held.filter_map(|row| Some((row, row.metric.as_ref()?)));
    metrics.filter(move |(_, other)| {
        let what = |f: &'r StepMetric| (&f.step, &f.column, &f.limit);
        !metric.limit.is_empty() && what(other) == what(metric)
    })
}

/// The metric itself, without the number of requests that `row` gives with it.
fn seen(row: &ExpectationRow, metric: &StepMetric, summary: &RunSummary) -> String {
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
