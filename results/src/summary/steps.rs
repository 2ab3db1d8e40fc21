//! The table of steps: one row per step, with the measured phases side by side.

use std::collections::BTreeMap;

use super::groups::{Group, Groups};
use super::style::Style;
use super::table::{Cell, Meaning};
use crate::expect::Quantile;
use crate::format::{count, millis, rate, share, trimmed};
use crate::record::{PhaseRow, RunSummary, StepRow};

/// A column of each phase.
#[derive(Debug, Clone, Copy)]
enum Column {
    Rate,
    Response(Quantile),
    Max,
    Errors,
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Response(quantile) => quantile.name(),
            Self::Max => "max",
            Self::Errors => "err",
        }
    }

    /// Its name in expectations. `None` if no expectation can limit it.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Response(quantile) => Some(quantile.name()),
            Self::Errors => Some("errors"),
            Self::Rate | Self::Max => None,
        }
    }
}

/// Every step that was taken, in every measured phase. Values that missed an expectation are marked.
pub(super) fn table(summary: &RunSummary, style: Style) -> String {
    let with_max = pivot(summary, &columns(summary, true));
    let without = pivot(summary, &columns(summary, false));
    // The maximum is the least informative column. It is left out if phases would not fit side by side otherwise.
    match with_max.blocks(style) > without.blocks(style) {
        true => without.render(style),
        false => with_max.render(style),
    }
}

/// The failures of all steps by kind, most frequent first. Empty if there were none.
pub(super) fn error_kinds(summary: &RunSummary) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, n) in summary.steps.iter().flat_map(|row| &row.errors) {
        *kinds.entry(kind).or_default() += n;
    }
    let mut kinds: Vec<(&str, u64)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let shown: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{} {kind}", count(*n)))
        .collect();
    shown.join(" · ")
}

/// Always median and p99, and any other quantile that missed an expectation.
fn columns(summary: &RunSummary, max: bool) -> Vec<Column> {
    let shown = |quantile: &Quantile| match quantile {
        Quantile::P50 | Quantile::P99 => true,
        other => missed(summary).any(|(_, _, column)| column == other.name()),
    };
    let mut columns = vec![Column::Rate];
    columns.extend(
        Quantile::ALL
            .into_iter()
            .filter(shown)
            .map(Column::Response),
    );
    if max {
        columns.push(Column::Max);
    }
    columns.push(Column::Errors);
    columns
}

/// Step, phase and column of each value that missed an expectation.
fn missed(summary: &RunSummary) -> impl Iterator<Item = (&str, &str, &str)> {
    let rows = summary.expectations.iter().filter(|row| !row.held);
    let metrics = rows.filter_map(|row| row.metric.as_ref());
    metrics.map(|m| (m.step.as_str(), m.phase.as_str(), m.column.as_str()))
}

fn pivot(summary: &RunSummary, columns: &[Column]) -> Groups {
    let mut names: Vec<String> = Vec::new();
    for row in summary.steps.iter().filter(|row| row.requests > 0) {
        if !names.contains(&row.step) {
            names.push(row.step.clone());
        }
    }
    let mut groups = Vec::new();
    // If nothing was measured, the reasons say so. Empty columns would add nothing.
    let measured = |phase: &&PhaseRow| phase.measure && !names.is_empty();
    for phase in summary.phases.iter().filter(measured) {
        let row = |step: &String| {
            let mut cells = Vec::new();
            for column in columns {
                cells.push(cell(*column, step, phase, summary));
            }
            cells
        };
        groups.push(Group {
            heading: phase.name.clone(),
            remark: span(phase),
            titles: columns.iter().map(|column| column.title()).collect(),
            rows: names.iter().map(row).collect(),
        });
    }
    Groups {
        title: "Steps",
        note: "rate /s, times ms",
        names,
        groups,
    }
}

/// Start and end of a phase in the run: `5 – 25 s`.
fn span(phase: &PhaseRow) -> String {
    let [from, to] = [phase.from_s, phase.to_s].map(|s| trimmed(format!("{s:.1}")));
    format!("{from} – {to} s")
}

fn cell(column: Column, step: &str, phase: &PhaseRow, summary: &RunSummary) -> Cell {
    let has_missed = column
        .name()
        .is_some_and(|name| missed(summary).any(|metric| metric == (step, &phase.name, name)));
    let taken = |row: &&StepRow| row.step == step && row.phase == phase.name && row.requests > 0;
    let shown = match summary.steps.iter().find(taken) {
        Some(row) => of_row(column, row, phase),
        None => Cell::new("–", Meaning::Context),
    };
    if has_missed {
        shown.with_meaning(Meaning::Bad)
    } else {
        shown
    }
}

fn of_row(column: Column, row: &StepRow, phase: &PhaseRow) -> Cell {
    let us = &row.response_us;
    match column {
        Column::Rate => {
            let lasted_s = phase.to_s - phase.from_s;
            let shown = match lasted_s > 0.0 {
                true => rate(row.requests as f64 / lasted_s),
                false => "–".to_owned(),
            };
            Cell::new(shown, Meaning::Context)
        }
        Column::Response(quantile) => Cell::plain(millis(quantile.of(us))),
        Column::Max => Cell::new(millis(us.max), Meaning::Context),
        Column::Errors => match row.failed {
            0 => Cell::new("·", Meaning::Context),
            _ if row.ok == 0 => Cell::new("100%", Meaning::Bad),
            failed => Cell::new(share(failed, row.requests), Meaning::Uncertain),
        },
    }
}
