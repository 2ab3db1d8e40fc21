//! The runs of an ablation in the terminal.

use super::style::Style;
use super::table::{Cell, Column, Meaning, Table, wrapped};
use crate::ablation::{Ablation, Arm};
use crate::format::{count, latency, percent, rate};
use crate::record::Verdict;

/// The table of runs, and what failed in each.
pub fn render(ablation: &Ablation, style: Style) -> String {
    let mut table = Table::new(vec![
        Column::left("Without"),
        Column::left("verdict"),
        Column::right("goodput"),
        Column::right("").spare(1),
        Column::right("errors"),
        Column::right("buy p99"),
        Column::right("orders"),
    ]);
    let with_all = ablation.arms.first();
    for arm in &ablation.arms {
        let against = match (&arm.without, with_all) {
            (Some(_), Some(with_all)) if with_all.goodput_per_s > 0.0 => {
                change(arm.goodput_per_s / with_all.goodput_per_s - 1.0)
            }
            _ => String::new(),
        };
        let (word, meaning) = match arm.verdict {
            Verdict::Pass => ("pass", Meaning::Good),
            Verdict::Fail => ("fail", Meaning::Bad),
            Verdict::Invalid => ("invalid", Meaning::Uncertain),
        };
        table.row(vec![
            Cell::new(arm.without.as_deref().unwrap_or("(all on)"), Meaning::Name),
            Cell::new(word, meaning),
            Cell::plain(rate(arm.goodput_per_s)),
            Cell::new(against, Meaning::Context),
            Cell::plain(percent(arm.error_ratio)),
            Cell::plain(arm.buy_p99_us.map_or("–".to_owned(), latency)),
            Cell::plain(count(arm.orders)),
        ]);
    }
    let mut text = format!(
        "\n  What each pattern is worth in {}, seed {}\n\n{}",
        ablation.scenario,
        ablation.seed,
        table.render(style)
    );
    let has_findings = |arm: &&Arm| !(arm.broken.is_empty() && arm.doubts.is_empty());
    for arm in ablation.arms.iter().filter(has_findings) {
        let name = match &arm.without {
            Some(pattern) => format!("without {pattern}"),
            None => "with all on".to_owned(),
        };
        text += &format!("\n  {}\n", Meaning::Name.on(&name, style));
        for doubt in &arm.doubts {
            text += &wrapped("    ? ", "      ", doubt, style.width());
        }
        for broken in &arm.broken {
            text += &wrapped("    ✗ ", "      ", broken, style.width());
        }
    }
    for pattern in ablation.unneeded_patterns() {
        text += &format!(
            "\n  The scenario declares that it relies on {pattern}, and passed without it.\n"
        );
    }
    text
}

/// `-64 %`, `+3 %`.
fn change(ratio: f64) -> String {
    format!("{:+.0} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(without: Option<&str>, verdict: Verdict, goodput_per_s: f64) -> Arm {
        Arm {
            without: without.map(str::to_owned),
            verdict,
            goodput_per_s,
            error_ratio: 0.015,
            buy_p99_us: Some(44_000),
            orders: 1234,
            broken: match verdict {
                Verdict::Pass => Vec::new(),
                _ => vec!["home errors ≤ 1%: 9%".to_owned()],
            },
            doubts: Vec::new(),
            record: "runs/x".to_owned(),
        }
    }

    #[test]
    fn the_table_compares_each_run_with_all_patterns_and_lists_failures() {
        let ablation = Ablation {
            scenario: "storm".to_owned(),
            seed: 7,
            relies_on: vec!["caches".to_owned()],
            arms: vec![
                arm(None, Verdict::Pass, 100.0),
                arm(Some("shedding"), Verdict::Fail, 40.0),
                arm(Some("caches"), Verdict::Pass, 97.0),
            ],
        };
        let text = render(&ablation, Style::PLAIN);
        let line = |start: &str| {
            let found = text.lines().find(|l| l.trim_start().starts_with(start));
            let words = found.unwrap_or_else(|| panic!("{start} in\n{text}"));
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("(all on)"), "(all on) pass 100 1.5% 44.0 ms 1,234");
        assert_eq!(
            line("shedding"),
            "shedding fail 40.0 -60 % 1.5% 44.0 ms 1,234"
        );
        assert_eq!(line("✗"), "✗ home errors ≤ 1%: 9%");
        assert!(line("The scenario declares").contains("relies on caches"));
    }
}
