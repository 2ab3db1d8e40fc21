//! The callers of a dead or paused replica bear witness: what they could not send it, and what it did not answer, is
//! in their metrics.

use chaos::Counts;
use shop_contract::Role;

use super::{Pages, Sample, pages, samples};

/// What [`chaos::CallerHits::failed_attempts`] asks for.
pub(crate) async fn failed_attempts(
    shop: &(impl Pages + ?Sized),
    role: &str,
    replica: u32,
) -> Option<Counts> {
    told_by_callers(shop, role, replica, failed).await
}

/// What [`chaos::CallerHits::attempts`] asks for.
pub(crate) async fn attempts(
    shop: &(impl Pages + ?Sized),
    role: &str,
    replica: u32,
) -> Option<Counts> {
    told_by_callers(shop, role, replica, begun).await
}

/// Reads a count off an OpenMetrics page: of a role, at the replica of this port.
type Count = fn(page: &str, role: &str, port: u16) -> u64;

async fn told_by_callers(
    shop: &(impl Pages + ?Sized),
    role: &str,
    replica: u32,
    count: Count,
) -> Option<Counts> {
    if role == Role::Gateway.name() {
        // Its callers are the shoppers, who are not processes of the shop: the run counts what they met.
        return None;
    }
    let callee = (role.parse().ok()?, replica);
    // The one that it is about may stand still, and its own calls go to others.
    let pages = pages(shop, |process| process != callee).await;
    let told = pages.into_iter().filter_map(|(caller, page)| {
        let port = shop.port_for(caller, callee)?;
        let (caller, n) = caller;
        Some((format!("{caller}/{n}"), count(&page, role, port)))
    });
    Some(told.collect())
}

/// The attempts that met nobody at a replica, lost whom they met, or waited in vain.
fn failed(page: &str, role: &str, port: u16) -> u64 {
    let name = "http_client_request_duration_seconds_count";
    let without_answer = |s: &Sample<'_>| {
        let error = s.label("error_type");
        matches!(error, Some("connect" | "reset" | "timeout"))
    };
    sum(page, name, role, port, without_answer)
}

/// The attempts that were begun.
fn begun(page: &str, role: &str, port: u16) -> u64 {
    sum(page, "shop_client_attempts_total", role, port, |_| true)
}

/// The sum of the series of this name about a replica.
fn sum(page: &str, name: &str, role: &str, port: u16, which: impl Fn(&Sample<'_>) -> bool) -> u64 {
    let port = port.to_string();
    samples(page)
        .filter(|s| s.name == name && s.has("server_address", role) && s.has("server_port", &port))
        .filter(which)
        .map(|s| s.value as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{begun, failed};

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
        assert_eq!(begun(page, "order", 1), 12);
    }
}
