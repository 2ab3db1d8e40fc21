//! Counts the hits of a fault on a replica that is down or paused from its callers' metrics: failed and unanswered calls.

use chaos::Counts;
use shop_contract::Role;
use shop_kit::telemetry::scrape::{Sample, samples};

use super::scrape::{MetricsPages, pages};

/// The implementation of [`chaos::CallerHits::failed_attempts`].
pub(crate) async fn failed_attempts(
    shop: &(impl MetricsPages + ?Sized),
    role: &str,
    replica: u32,
) -> Option<Counts> {
    count_at_callers(shop, role, replica, failed).await
}

/// The implementation of [`chaos::CallerHits::attempts`].
pub(crate) async fn attempts(
    shop: &(impl MetricsPages + ?Sized),
    role: &str,
    replica: u32,
) -> Option<Counts> {
    count_at_callers(shop, role, replica, started).await
}

/// Reads a count from an OpenMetrics page: of calls to a role, at the replica with this port.
type Count = fn(page: &str, role: &str, port: u16) -> u64;

async fn count_at_callers(
    shop: &(impl MetricsPages + ?Sized),
    role: &str,
    replica: u32,
    count: Count,
) -> Option<Counts> {
    if role == Role::Gateway.name() {
        // The gateway's callers are the shoppers. The run counts their failures in its own record.
        return None;
    }
    let callee = (role.parse().ok()?, replica);
    // The callee may be paused, and it does not call itself.
    let pages = pages(shop, |replica| replica != callee).await;
    let counts = pages.into_iter().filter_map(|(caller, page)| {
        let port = shop.port_for(caller, callee)?;
        let (caller, n) = caller;
        Some((format!("{caller}/{n}"), count(&page, role, port)))
    });
    Some(counts.collect())
}

/// Attempts at a replica that failed to connect, lost the connection, or timed out.
fn failed(page: &str, role: &str, port: u16) -> u64 {
    let name = "http_client_request_duration_seconds_count";
    let without_answer = |s: &Sample<'_>| {
        let error = s.label("error_type");
        matches!(error, Some("connect" | "reset" | "timeout"))
    };
    sum(page, name, role, port, without_answer)
}

/// Attempts at a replica that were started.
fn started(page: &str, role: &str, port: u16) -> u64 {
    sum(page, "shop_client_attempts_total", role, port, |_| true)
}

/// The sum of the selected series of one name and one replica.
fn sum(
    page: &str,
    name: &str,
    role: &str,
    port: u16,
    selected: impl Fn(&Sample<'_>) -> bool,
) -> u64 {
    let port = port.to_string();
    samples(page)
        .filter(|s| s.name == name && s.has("server_address", role) && s.has("server_port", &port))
        .filter(selected)
        .map(|s| s.value as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{failed, started};

    #[test]
    fn only_attempts_at_that_replica_count() {
        let page = r#"
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="connect"} 3
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="reset"} 2
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="timeout"} 4
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type=""} 100
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="2",error_type="connect"} 7
http_client_request_duration_seconds_count{service_name="gateway",server_address="cart",server_port="1",error_type="connect"} 9
shop_client_attempts_total{service_name="gateway",server_address="order",server_port="1"} 12
shop_client_attempts_total{service_name="gateway",server_address="order",server_port="2"} 13
"#;
        assert_eq!(failed(page, "order", 1), 9);
        assert_eq!(started(page, "order", 1), 12);
    }
}
