//! The check of `docs/gateway.md` against the code.

use shop_gateway::Limits;
use shop_gateway::routes::TABLE;

const PAGE: &str = include_str!("../../../../docs/gateway.md");

#[test]
fn the_page_lists_the_public_routes_and_no_others() {
    let documented: Vec<&str> = PAGE
        .lines()
        .skip_while(|l| *l != "## Public routes")
        .skip_while(|l| !l.starts_with("|---"))
        .skip(1)
        .take_while(|l| l.starts_with('|'))
        .collect();
    let routes: Vec<String> = TABLE
        .iter()
        .map(|route| {
            let operation = route.operation;
            let method = operation.method.name().to_uppercase();
            let token = if operation.needs_token() {
                " needed"
            } else {
                ""
            };
            format!(
                "| {method} | `{}` | {} |{token} |",
                operation.path, operation.service
            )
        })
        .collect();
    assert_eq!(documented, routes);
}

#[test]
fn the_page_has_the_default_limits() {
    let Limits {
        per_subject,
        per_address,
    } = Limits::default();
    let subject = format!(
        "| {} a second, {} at once |",
        per_subject.per_second, per_subject.burst
    );
    assert!(PAGE.contains(&subject), "{subject}");
    // With a thousands separator, as people read it.
    let rate = per_address.per_second.get();
    let address = format!("| {},{:03} a second |", rate / 1000, rate % 1000);
    assert!(PAGE.contains(&address), "{address}");
}
