//! The kit between real sockets: what a service gets from its peers and its database when they are slow or gone.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod bulkheads;
mod hedges;
mod pools;

use std::time::{Duration, Instant};

use shop_kit::Kit;
use shop_kit::context::Context;
use shop_resilience::Priority;

/// The longest that any condition may take to come about. Nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The value of the only series of a page that begins with `name` and has these labels.
fn figure(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let mut lines = page.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|l| l.starts_with('{'))
            && labels
                .iter()
                .all(|(k, v)| line.contains(&format!("{k}=\"{v}\"")))
    });
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} with {labels:?} in:\n{page}"));
    assert_eq!(lines.next(), None, "more than one {name} with {labels:?}");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The same of a service's figures.
fn of(kit: &Kit, name: &str, labels: &[(&str, &str)]) -> f64 {
    figure(&kit.metrics().render(), name, labels)
}

fn as_a(priority: Priority) -> Context {
    Context {
        priority,
        ..Context::background()
    }
}
