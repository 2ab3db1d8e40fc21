//! Breakers as their callers show them, for faults that wait for one to open.

use chaos::Breaker;

use super::{Pages, pages, samples};

/// Whether a breaker is open, or half-open, at any of its callers; nothing when none of them answers.
pub(crate) async fn is_open(shop: &(impl Pages + ?Sized), breaker: &Breaker) -> Option<bool> {
    let pages = pages(shop, |(role, _)| role.name() == breaker.caller).await;
    let open = |page: &String| shows_open(page, &breaker.callee);
    (!pages.is_empty()).then(|| pages.values().any(open))
}

/// Whether an OpenMetrics page shows a breaker towards a role that is open, or half-open, as one is that was open.
fn shows_open(page: &str, callee: &str) -> bool {
    samples(page)
        .filter(|s| s.name == "shop_circuit_breaker_state" && s.has("server_address", callee))
        .any(|s| s.value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::shows_open;

    #[test]
    fn a_breaker_is_open_when_any_of_its_endpoints_is() {
        let page = r#"
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="1"} 0
shop_circuit_breaker_state{service_name="payment",server_address="bank",server_port="2"} 2
shop_circuit_breaker_state{service_name="payment",server_address="order",server_port="3"} 0
"#;
        assert!(shows_open(page, "bank"));
        assert!(!shows_open(page, "order"));
        assert!(!shows_open(page, "cart"));
    }
}
