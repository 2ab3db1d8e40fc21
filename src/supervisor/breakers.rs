//! Breakers as their callers show them, for faults that wait for one to open.

use std::time::Duration;

use chaos::{BoxFuture, Breaker, Watch};

use super::Supervisor;

/// What each caller is given to answer.
const LIMIT: Duration = Duration::from_millis(500);

impl Watch for Supervisor {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            let mut seen = None;
            let callers = self.members.iter();
            for caller in callers.filter(|m| m.role.name() == breaker.caller) {
                let page = self.http.get(caller.admin.address(), "/metrics", LIMIT);
                if let Ok(page) = page.await {
                    seen = Some(seen == Some(true) || is_open(&page, &breaker.callee));
                }
            }
            seen
        })
    }
}

/// Whether an OpenMetrics page shows a breaker towards a role that is open, or half-open, as one is that was open.
fn is_open(metrics: &str, callee: &str) -> bool {
    let callee = format!("server_address=\"{callee}\"");
    metrics
        .lines()
        .filter(|line| line.starts_with("shop_circuit_breaker_state{") && line.contains(&callee))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .any(|state| state > 0.0)
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn a_breaker_is_open_when_any_of_its_endpoints_is() {
        let page = r#"
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="1"} 0
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="2"} 2
shop_circuit_breaker_state{service_name="payment",server_address="order",server_port="3"} 0
"#;
        assert!(is_open(page, "bank"));
        assert!(!is_open(page, "order"));
        assert!(!is_open(page, "cart"));
    }
}
