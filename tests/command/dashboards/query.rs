//! Checks a PromQL expression against the exposed series.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{self, BinaryExpr, Expr, LabelModifier, token};

use super::page::Series;

/// Functions for counters. A counter must not be used without one.
const OF_COUNTERS: [&str; 3] = ["rate", "irate", "increase"];

/// Gauges whose names end like those of counters, by convention.
const GAUGES: [&str; 3] = [
    "db_client_connection_count",
    "process_open_file_descriptor_count",
    "process_thread_count",
];

/// An expression as Grafana sends it, with all services selected.
pub(super) fn filled_in(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "4s")
        .replace("$__range", "60s")
        .replace("$service", ".+")
}

/// Parses an expression. Gives its mistakes, and the labels of its result.
pub(super) fn check(expression: &str, there: &Series) -> (Vec<String>, BTreeSet<String>) {
    let mut checker = Checker {
        there,
        wrong: Vec::new(),
    };
    let labels = match parser::parse(expression) {
        Ok(parsed) => checker.labels(&parsed, false),
        Err(error) => {
            checker.wrong.push(format!("cannot be read: {error}"));
            BTreeSet::new()
        }
    };
    (checker.wrong, labels)
}

struct Checker<'s> {
    there: &'s Series,
    wrong: Vec<String>,
}

impl Checker<'_> {
    /// The labels of an expression's series. `counted`: whether a counter is allowed here.
    fn labels(&mut self, expression: &Expr, counted: bool) -> BTreeSet<String> {
        match expression {
            Expr::VectorSelector(selector) => {
                self.selector(selector.name.as_deref(), &selector.matchers, counted)
            }
            Expr::MatrixSelector(selector) => {
                self.selector(selector.vs.name.as_deref(), &selector.vs.matchers, counted)
            }
            Expr::Aggregate(aggregate) => {
                let inner = self.labels(&aggregate.expr, counted);
                let Some(LabelModifier::Include(by)) = &aggregate.modifier else {
                    return BTreeSet::new();
                };
                self.known(&by.labels, &inner);
                by.labels.iter().cloned().collect()
            }
            Expr::Binary(binary) => {
                let counted = counted || is_new_series(binary);
                let left = self.labels(&binary.lhs, counted);
                let right = self.labels(&binary.rhs, counted);
                if let Some(matching) = binary.modifier.as_ref().and_then(|m| m.matching.as_ref()) {
                    let on = &matching.labels().labels;
                    self.known(on, &left);
                    self.known(on, &right);
                }
                left.union(&right).cloned().collect()
            }
            Expr::Paren(inner) => self.labels(&inner.expr, counted),
            Expr::Unary(inner) => self.labels(&inner.expr, counted),
            Expr::Subquery(inner) => self.labels(&inner.expr, counted),
            Expr::Call(call) => {
                let counted = counted || OF_COUNTERS.contains(&call.func.name);
                let mut labels = BTreeSet::new();
                for argument in &call.args.args {
                    labels.extend(self.labels(argument, counted));
                }
                labels
            }
            _ => BTreeSet::new(),
        }
    }

    /// Checks one selector: its name and its label matchers.
    fn selector(
        &mut self,
        name: Option<&str>,
        matchers: &Matchers,
        counted: bool,
    ) -> BTreeSet<String> {
        let Some(name) = name else {
            self.wrong.push("a selector has no name".to_owned());
            return BTreeSet::new();
        };
        if !self.there.has(name) {
            self.wrong.push(format!("nothing exposes `{name}`"));
            return BTreeSet::new();
        }
        let counter = ["_total", "_bucket", "_count", "_sum"];
        if !counted && !GAUGES.contains(&name) && counter.iter().any(|end| name.ends_with(end)) {
            self.wrong
                .push(format!("the counter `{name}` is taken as it is"));
        }
        let wanted = |seen: &str, matcher: &Matcher| match &matcher.op {
            MatchOp::Equal => seen == matcher.value,
            MatchOp::NotEqual => seen != matcher.value,
            MatchOp::Re(regex) => regex.is_match(seen),
            MatchOp::NotRe(regex) => !regex.is_match(seen),
        };
        let matchers_by_label: Vec<_> = matchers
            .matchers
            .iter()
            .map(|m| (m.name.as_str(), move |seen: &str| wanted(seen, m)))
            .collect();
        let matchers_by_label: Vec<_> = matchers_by_label
            .iter()
            .map(|(label, j)| (*label, j as &dyn Fn(&str) -> bool))
            .collect();
        if !self.there.matches(name, &matchers_by_label) {
            self.wrong
                .push(format!("no series is as wanted: `{name}{{{matchers}}}`"));
        }
        self.there.labels(name)
    }

    fn known(&mut self, wanted: &[String], there: &BTreeSet<String>) {
        for label in wanted.iter().filter(|l| !there.contains(*l)) {
            self.wrong
                .push(format!("no series has the label `{label}`"));
        }
    }
}

/// Whether this is `counter unless counter offset …`: for a series that did not exist then, the counter is the increase.
fn is_new_series(binary: &BinaryExpr) -> bool {
    let (Expr::VectorSelector(now), Expr::VectorSelector(then)) = (&*binary.lhs, &*binary.rhs)
    else {
        return false;
    };
    binary.op.id() == token::T_LUNLESS && now.name == then.name && then.offset.is_some()
}
