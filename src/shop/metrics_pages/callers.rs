//! What every process counts of those that it calls, read off its metrics, and what of it is new since the last look.

use std::collections::BTreeMap;

use results::record::Edge;

use super::{Pages, Process, pages, samples};

/// What one process counts of each role that it calls, since it started. A breaker is as it is now.
type Counts = BTreeMap<String, Edge>;

/// One process's page, read.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    process: Process,
    counts: Counts,
}

/// Asks every process at once. Who does not answer is left out; what it counted meanwhile is in the next look.
pub(crate) async fn callers(shop: &(impl Pages + ?Sized)) -> Vec<Told> {
    let pages = pages(shop, |_| true).await.into_iter();
    pages
        .map(|(process, page)| Told {
            process,
            counts: read(&page),
        })
        .collect()
}

/// What was told before, so that only what is new is counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger(BTreeMap<Process, Counts>);

impl Ledger {
    /// What is new: `cart→product`, all replicas together. Edges on which nothing happens are left out.
    pub(crate) fn take(&mut self, told: Vec<Told>) -> BTreeMap<String, Edge> {
        let mut edges: BTreeMap<String, Edge> = BTreeMap::new();
        for Told { process, counts } in told {
            let before = self.0.insert(process, counts.clone()).unwrap_or_default();
            for (callee, now) in counts {
                let before = before.get(&callee).copied().unwrap_or_default();
                // A process that was started again counts from zero.
                let before = if now.attempts < before.attempts {
                    Edge::default()
                } else {
                    before
                };
                let new = Edge {
                    attempts: now.attempts - before.attempts,
                    failures: now.failures.saturating_sub(before.failures),
                    retries: now.retries.saturating_sub(before.retries),
                    breaker_open: now.breaker_open,
                };
                if new != Edge::default() {
                    let edge = edges.entry(format!("{}→{callee}", process.0)).or_default();
                    add(edge, new);
                }
            }
        }
        edges
    }
}

/// Adds what was counted of the same edge elsewhere, or at another time.
pub(crate) fn add(edge: &mut Edge, more: Edge) {
    edge.attempts += more.attempts;
    edge.failures += more.failures;
    edge.retries += more.retries;
    edge.breaker_open |= more.breaker_open;
}

/// Reads an OpenMetrics page.
fn read(page: &str) -> Counts {
    let mut counts = Counts::new();
    for sample in samples(page) {
        let Some(callee) = sample.label("server_address") else {
            continue;
        };
        let mut edge = |change: fn(&mut Edge, f64)| {
            change(counts.entry(callee.to_owned()).or_default(), sample.value);
        };
        match sample.name {
            "shop_client_retries_total" => edge(|e, n| e.retries += n as u64),
            "shop_circuit_breaker_state" => edge(|e, state| e.breaker_open |= state > 0.0),
            "http_client_request_duration_seconds_count" => {
                edge(|e, n| e.attempts += n as u64);
                if sample.label("error_type").is_some_and(is_failure) {
                    edge(|e, n| e.failures += n as u64);
                }
            }
            _ => {}
        }
    }
    counts
}

/// An answer that says no is an answer; none, or one of 500 and more, is a failure.
fn is_failure(error_type: &str) -> bool {
    match error_type.parse::<u16>() {
        Ok(status) => status >= 500,
        Err(_) => !error_type.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use shop_contract::Role;

    use super::*;

    const PAGE: &str = r#"
# TYPE http_client_request_duration_seconds histogram
http_client_request_duration_seconds_count{service_name="cart",http_request_method="GET",url_template="/products/{id}",server_address="product",server_port="1",http_response_status_code="200",error_type=""} 100
http_client_request_duration_seconds_count{service_name="cart",server_address="product",server_port="1",http_response_status_code="404",error_type="404"} 5
http_client_request_duration_seconds_count{service_name="cart",server_address="product",server_port="2",http_response_status_code="503",error_type="503"} 3
http_client_request_duration_seconds_count{service_name="cart",server_address="product",server_port="2",error_type="connect"} 2
http_client_request_duration_seconds_bucket{service_name="cart",server_address="product",le="0.1"} 9
shop_client_retries_total{service_name="cart",server_address="product"} 4
shop_circuit_breaker_state{service_name="cart",server_address="product",server_port="1"} 0
shop_circuit_breaker_state{service_name="cart",server_address="product",server_port="2"} 2
shop_circuit_breaker_state{service_name="cart",server_address="user",server_port="3"} 0
"#;

    fn told(replica: u32, attempts: u64, breaker_open: bool) -> Told {
        let edge = Edge {
            attempts,
            retries: attempts / 10,
            breaker_open,
            ..Edge::default()
        };
        Told {
            process: (Role::Cart, replica),
            counts: Counts::from([("product".to_owned(), edge)]),
        }
    }

    #[test]
    fn a_page_says_whom_a_process_calls_and_how_that_goes() {
        let counts = read(PAGE);
        let expected = Edge {
            attempts: 110,
            failures: 5,
            retries: 4,
            breaker_open: true,
        };
        assert_eq!(counts["product"], expected);
        assert_eq!(counts["user"], Edge::default());
    }

    #[test]
    fn only_what_is_new_is_counted_and_replicas_are_one() {
        let mut ledger = Ledger::default();
        ledger.take(vec![told(0, 100, false), told(1, 50, false)]);
        let new = ledger.take(vec![told(0, 130, false), told(1, 70, true)]);
        let edge = new["cart→product"];
        assert_eq!(
            (edge.attempts, edge.retries, edge.breaker_open),
            (50, 5, true)
        );
        assert!(ledger.take(vec![told(0, 130, false)]).is_empty());
    }

    #[test]
    fn a_process_that_was_started_again_counts_from_zero() {
        let mut ledger = Ledger::default();
        ledger.take(vec![told(0, 100, true)]);
        assert!(ledger.take(Vec::new()).is_empty(), "it is dead");
        let new = ledger.take(vec![told(0, 20, false)]);
        assert_eq!(new["cart→product"].attempts, 20);
    }
}
