//! The state of circuit breakers, read from the callers' metrics. Faults can wait for a breaker to open.

use chaos::Breaker;
use shop_kit::telemetry::scrape::samples;

use super::scrape::{MetricsPages, pages};

/// Whether a breaker is open or half-open at any of its callers. `None` if no caller answers.
pub(crate) async fn is_open(
    shop: &(impl MetricsPages + ?Sized),
    breaker: &Breaker,
) -> Option<bool> {
    let pages = pages(shop, |(role, _)| role.name() == breaker.caller).await;
    let open = |page: &String| has_open_breaker(page, &breaker.callee);
    (!pages.is_empty()).then(|| pages.values().any(open))
}

/// Whether a page has an open or half-open breaker towards a role. A half-open breaker was open before.
fn has_open_breaker(page: &str, callee: &str) -> bool {
    samples(page)
        .filter(|s| s.name == "shop_circuit_breaker_state" && s.has("server_address", callee))
        .any(|s| s.value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::has_open_breaker;

    #[test]
    fn a_breaker_is_open_when_any_of_its_endpoints_is() {
        let page = r#"
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="1"} 0
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="2"} 2
shop_circuit_breaker_state{service_name="payment",server_address="order",server_port="3"} 0
"#;
        assert!(has_open_breaker(page, "bank"));
        assert!(!has_open_breaker(page, "order"));
        assert!(!has_open_breaker(page, "cart"));
    }
}
