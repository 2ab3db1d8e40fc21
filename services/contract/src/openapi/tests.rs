//! Checks that hold for every operation.

use std::collections::BTreeSet;

use super::*;
use crate::operation::Method;
use crate::problem;

const ALL: [&Operation; 30] = [
    &bank::CHARGE,
    &bank::ONE,
    &bank::REFUND,
    &cart::EVENT,
    &cart::ONE,
    &cart::REMOVE,
    &cart::SET,
    &inventory::COMMIT,
    &inventory::RELEASE,
    &inventory::RESERVE,
    &inventory::RESTOCK,
    &inventory::STOCK,
    &notification::EVENT,
    &notification::LIST,
    &notification::SEND,
    &order::CHECKOUT,
    &order::LIST,
    &order::SHOW,
    &payment::PAY,
    &payment::REFUND,
    &payment::SHOW,
    &product::CHANGE,
    &product::EVENT,
    &product::LIST,
    &product::ONE,
    &product::SEARCH,
    &user::ACCOUNT,
    &user::KEYS,
    &user::LOGIN,
    &user::REGISTER,
];

#[test]
fn a_path_has_the_parameters_of_its_template() {
    for operation in ALL {
        let in_path = operation
            .parameters
            .iter()
            .filter(|p| p.location == ParameterLocation::Path);
        let described: BTreeSet<_> = in_path.map(|p| format!("{{{}}}", p.name)).collect();
        let segments = operation.path.split('/').filter(|s| s.starts_with('{'));
        let named: BTreeSet<_> = segments.map(str::to_owned).collect();
        assert_eq!(described, named, "{}", operation.path);
    }
}

#[test]
fn every_refusal_is_of_a_known_kind() {
    for operation in ALL {
        for scope in [
            DocumentScope::Public,
            DocumentScope::Service(operation.service),
        ] {
            for refusals in common::refusals(operation, scope).values() {
                for (slug, _) in refusals.own.iter().chain(&refusals.common) {
                    assert!(problem::SLUGS.contains(slug), "{}: {slug}", operation.path);
                }
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for operation in ALL {
        for scope in [
            DocumentScope::Public,
            DocumentScope::Service(operation.service),
        ] {
            let document = document(scope, &[operation]);
            for reference in references(&document) {
                let pointer = reference.strip_prefix('#').unwrap_or(&reference);
                let found = document.pointer(pointer);
                assert!(found.is_some(), "{}: {reference}", operation.path);
            }
        }
    }
}

#[test]
fn only_reads_are_hedged() {
    for operation in ALL {
        assert!(
            !operation.hedged || operation.method == Method::Get,
            "{}",
            operation.path
        );
    }
}

#[test]
fn an_order_is_found_in_the_paths_that_have_one() {
    assert_eq!(order::SHOW.order_id_in("/orders/o-1"), Some("o-1"));
    let committed = inventory::COMMIT.order_id_in("/reservations/o-1/commit");
    assert_eq!(committed, Some("o-1"));
    let released = inventory::RELEASE.order_id_in("/reservations/o-1");
    assert_eq!(released, Some("o-1"));
    assert_eq!(product::ONE.order_id_in("/products/p-1"), None);
    assert_eq!(order::LIST.order_id_in("/orders"), None);
    assert_eq!(order::SHOW.order_id_in("/"), None);
}

#[test]
fn only_operations_that_allow_it_are_repeated() {
    assert!(cart::SET.may_repeat(false), "PUT is idempotent");
    assert!(inventory::RESERVE.may_repeat(false), "the body has an id");
    assert!(!order::CHECKOUT.may_repeat(false));
    assert!(order::CHECKOUT.may_repeat(true));
    assert!(!user::REGISTER.may_repeat(true), "it takes no key");
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| match member {
                Value::String(text) if name == "$ref" => vec![text.clone()],
                other => references(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// A service may document more of an operation than the gateway does, never something different.
#[test]
fn the_public_document_says_the_same_as_the_services() {
    for operation in ALL {
        let method = operation.method.name();
        let described =
            |scope| document(scope, &[operation])["paths"][operation.path][method].clone();
        let (mut inside, mut outside) = (
            described(DocumentScope::Service(operation.service)),
            described(DocumentScope::Public),
        );
        let statuses = |described: &mut Value| -> BTreeSet<String> {
            let responses = described["responses"].take();
            let responses = responses.as_object().cloned().unwrap_or_default();
            responses.into_iter().map(|(status, _)| status).collect()
        };
        let (within, without) = (statuses(&mut inside), statuses(&mut outside));
        assert!(within.is_subset(&without), "{}", operation.path);
        let added: Vec<_> = without.difference(&within).map(String::as_str).collect();
        let gateway = ["400", "408", "413", "429"];
        assert!(added.iter().all(|a| gateway.contains(a)), "{added:?}");
        assert_eq!(inside, outside, "{}", operation.path);
    }
}
