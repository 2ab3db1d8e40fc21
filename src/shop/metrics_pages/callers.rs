//! Counts the calls between services per second, from the callers' metrics.

use std::collections::BTreeMap;

use results::record::Edge;
use shop_kit::telemetry::scrape::samples;

use super::scrape::{MetricsPages, pages};
use crate::shop::replica::ReplicaId;

/// One process's totals for each role that it calls, since its start. The breaker state is the current one.
type Counts = BTreeMap<String, Edge>;

/// The totals of one process.
#[derive(Debug, Clone)]
pub(crate) struct CallCounts {
    caller: ReplicaId,
    counts: Counts,
}

/// Scrapes every process. One that does not answer is left out; the next scrape includes what it counted meanwhile.
pub(crate) async fn call_counts(shop: &(impl MetricsPages + ?Sized)) -> Vec<CallCounts> {
    let pages = pages(shop, |_| true).await.into_iter();
    pages
        .map(|(caller, page)| CallCounts {
            caller,
            counts: read(&page),
        })
        .collect()
}

/// Turns totals into increments. Keeps the last totals of every process.
#[derive(Debug, Default)]
pub(crate) struct CallDeltas(BTreeMap<ReplicaId, Counts>);

impl CallDeltas {
    /// The increments since the last call, by edge (`cart→product`), summed over replicas. Idle edges are left out.
    pub(crate) fn advance(&mut self, totals: Vec<CallCounts>) -> BTreeMap<String, Edge> {
        let mut edges: BTreeMap<String, Edge> = BTreeMap::new();
        for CallCounts { caller, counts } in totals {
            let before = self.0.insert(caller, counts.clone()).unwrap_or_default();
            for (callee, now) in counts {
                let before = before.get(&callee).copied().unwrap_or_default();
                // A process that was restarted counts from zero.
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
                    let edge = edges.entry(format!("{}→{callee}", caller.0)).or_default();
                    add(edge, new);
                }
            }
        }
        edges
    }
}

/// Adds counts of the same edge.
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

/// A call fails without a response, or with a status of 500 or more.
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

    fn totals(replica: u32, attempts: u64, breaker_open: bool) -> CallCounts {
        let edge = Edge {
            attempts,
            retries: attempts / 10,
            breaker_open,
            ..Edge::default()
        };
        CallCounts {
            caller: (Role::Cart, replica),
            counts: Counts::from([("product".to_owned(), edge)]),
        }
    }

    #[test]
    fn a_page_has_the_calls_and_failures_of_each_callee() {
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
    fn only_increments_are_counted_and_replicas_are_summed() {
        let mut deltas = CallDeltas::default();
        deltas.advance(vec![totals(0, 100, false), totals(1, 50, false)]);
        let new = deltas.advance(vec![totals(0, 130, false), totals(1, 70, true)]);
        let edge = new["cart→product"];
        assert_eq!(
            (edge.attempts, edge.retries, edge.breaker_open),
            (50, 5, true)
        );
        assert!(deltas.advance(vec![totals(0, 130, false)]).is_empty());
    }

    #[test]
    fn a_restarted_process_counts_from_zero() {
        let mut deltas = CallDeltas::default();
        deltas.advance(vec![totals(0, 100, true)]);
        assert!(deltas.advance(Vec::new()).is_empty(), "it is down");
        let new = deltas.advance(vec![totals(0, 20, false)]);
        assert_eq!(new["cart→product"].attempts, 20);
    }
}
