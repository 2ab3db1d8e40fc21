//! The callers of a dead or paused replica bear witness: what they could not send it, and what it did not answer, is
//! in their metrics.

use std::time::Duration;

use chaos::{BoxFuture, CallerHits};
use shop_contract::Role;

use super::{Member, Supervisor};

/// What each caller is given to answer. A caller that is itself dead is left out.
const LIMIT: Duration = Duration::from_millis(500);

impl CallerHits for Supervisor {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move {
            if role == Role::Gateway.name() {
                // Its callers are the shoppers, who are not processes of the shop: the run counts what they met.
                return None;
            }
            let port = self.member(role, replica)?.shop.address().port();
            let mut total = None;
            for caller in self.members.iter() {
                if let Some(failed) = self.failed_at(caller, role, port).await {
                    *total.get_or_insert(0) += failed;
                }
            }
            total
        })
    }
}

impl Supervisor {
    async fn failed_at(&self, caller: &Member, role: &str, port: u16) -> Option<u64> {
        let metrics = self
            .http
            .get(caller.admin.address(), "/metrics", LIMIT)
            .await
            .ok()?;
        Some(failed_attempts(&metrics, role, port))
    }
}

/// The attempts in an OpenMetrics page that met nobody at a replica, lost whom they met, or waited in vain.
fn failed_attempts(metrics: &str, role: &str, port: u16) -> u64 {
    let (role, port) = (
        format!("server_address=\"{role}\""),
        format!("server_port=\"{port}\""),
    );
    metrics
        .lines()
        .filter(|line| {
            line.starts_with("http_client_request_duration_seconds_count{")
                && line.contains(&role)
                && line.contains(&port)
                && ["connect", "reset", "timeout"]
                    .iter()
                    .any(|e| line.contains(&format!("error_type=\"{e}\"")))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::failed_attempts;

    #[test]
    fn only_failures_to_reach_that_replica_count() {
        let page = r#"
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="connect"} 3
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="reset"} 2
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type="timeout"} 4
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="1",error_type=""} 100
http_client_request_duration_seconds_count{service_name="gateway",server_address="order",server_port="2",error_type="connect"} 7
http_client_request_duration_seconds_count{service_name="gateway",server_address="cart",server_port="1",error_type="connect"} 9
"#;
        assert_eq!(failed_attempts(page, "order", 1), 9);
    }
}
