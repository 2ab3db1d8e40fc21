//! The callers of a dead or paused replica bear witness: what they could not send it, and what it did not answer, is
//! in their metrics.

use chaos::{BoxFuture, CallerHits, Counts};
use shop_contract::Role;

use super::page::{Sample, samples};
use super::{Member, Supervisor};

impl CallerHits for Supervisor {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(self.told_by_callers(role, replica, failed_attempts))
    }

    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(self.told_by_callers(role, replica, attempts))
    }
}

/// Reads a count off an OpenMetrics page: of a role, at the replica of this port.
type Count = fn(page: &str, role: &str, port: u16) -> u64;

impl Supervisor {
    async fn told_by_callers(&self, role: &str, replica: u32, count: Count) -> Option<Counts> {
        if role == Role::Gateway.name() {
            // Its callers are the shoppers, who are not processes of the shop: the run counts what they met.
            return None;
        }
        let callee = self.member(role, replica)?;
        // The one that it is about may stand still, and its own calls go to others.
        let others = |m: &Member| (m.role, m.replica) != (callee.role, callee.replica);
        let pages = self.pages(others).await;
        let told = self.members.iter().filter_map(|caller| {
            let page = pages.get(&(caller.role, caller.replica))?;
            let count = count(page, role, self.port_for(caller, callee));
            Some((caller.target(), count))
        });
        Some(told.collect())
    }

    /// The port that a caller's figures about a replica are under: that of the proxy, where one is between them.
    fn port_for(&self, caller: &Member, callee: &Member) -> u16 {
        let who = |m: &Member| (m.role, m.replica);
        self.proxied
            .address(who(caller), who(callee), callee.shop.address())
            .port()
    }
}

/// The attempts that met nobody at a replica, lost whom they met, or waited in vain.
fn failed_attempts(page: &str, role: &str, port: u16) -> u64 {
    let name = "http_client_request_duration_seconds_count";
    let failed = |s: &Sample<'_>| {
        let error = s.label("error_type");
        matches!(error, Some("connect" | "reset" | "timeout"))
    };
    sum(page, name, role, port, failed)
}

/// The attempts that were begun.
fn attempts(page: &str, role: &str, port: u16) -> u64 {
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
    use super::{attempts, failed_attempts};

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
        assert_eq!(failed_attempts(page, "order", 1), 9);
        assert_eq!(attempts(page, "order", 1), 12);
    }
}
