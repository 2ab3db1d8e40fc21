//! Which requests a fault applies to: by route, by caller, by shopper.

use std::collections::BTreeMap;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, Only};
use shop_contract::headers::{CALLER, SERVICE_KEY};
use shop_contract::operation::{Method, Operation};
use shop_kit::Kit;
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_testkit::{Identity, KEY, config};

use crate::target::Target;
use crate::{hits, order};

const AFFECTED: Option<u16> = Some(507);
const UNAFFECTED: Option<u16> = Some(204);

fn only(only: Only) -> FaultOrder {
    FaultOrder {
        only,
        ..order(FaultEffect::Error { status: 507 })
    }
}

async fn with(aim: Only) -> Target {
    let target = Target::start().await;
    target.kit.faults().inject(only(aim)).unwrap();
    target
}

#[tokio::test]
async fn a_route_is_a_template_with_or_without_a_method() {
    for (route, put, get) in [
        ("PUT /shelves/{id}", AFFECTED, UNAFFECTED),
        ("/shelves/{id}", AFFECTED, AFFECTED),
        ("/pages/{id}", UNAFFECTED, UNAFFECTED),
    ] {
        let target = with(Only {
            route: Some(route.to_owned()),
            ..Only::default()
        })
        .await;
        assert_eq!(target.status("PUT /shelves/1", &[]).await, put, "{route}");
        assert_eq!(target.status("GET /shelves/2", &[]).await, get, "{route}");
    }
}

/// A read of the target, at the cart service.
const SHELF: Operation = Operation::new(
    Role::Cart,
    Method::Get,
    "/shelves/{id}",
    "getShelf",
    "Shows a shelf",
    &[],
);

/// Calls the target as a service of this role.
async fn call_as(role: Role, target: &Target) -> StatusCode {
    let peers = BTreeMap::from([(Role::Cart, vec![target.address.clone()])]);
    let kit = Kit::new(config(role, &std::env::temp_dir(), peers));
    let call = Call::to(&SHELF).path("1");
    let answer = kit.call(call, &Context::background()).await;
    answer.unwrap().status
}

#[tokio::test]
async fn a_caller_name_counts_only_with_the_service_key() {
    let target = with(Only {
        caller: Some(Role::Gateway),
        ..Only::default()
    })
    .await;
    assert_eq!(call_as(Role::Gateway, &target).await.as_u16(), 507);
    assert_eq!(call_as(Role::Order, &target).await.as_u16(), 204);
    let caller = || format!("{CALLER}: gateway");
    let key = |key: &str| format!("{SERVICE_KEY}: {key}");
    for (lines, expected) in [
        (vec![], UNAFFECTED),
        (vec![caller()], UNAFFECTED),
        (vec![caller(), key("guessed")], UNAFFECTED),
        (vec![key(KEY)], UNAFFECTED),
        (vec![format!("{CALLER}: order"), key(KEY)], UNAFFECTED),
        (vec![caller(), key(KEY)], AFFECTED),
    ] {
        assert_eq!(
            target.status("GET /shelves/1", &lines).await,
            expected,
            "{lines:?}"
        );
    }
}

fn bearer(identity: &Identity, user_id: &str) -> String {
    format!("{AUTHORIZATION}: Bearer {}", identity.token(user_id))
}

#[tokio::test]
async fn only_the_named_shopper_is_affected() {
    let target = with(Only {
        shopper: Some("u-1".to_owned()),
        ..Only::default()
    })
    .await;
    let identity = Identity::start().await;
    let as_user = |id| vec![bearer(&identity, id)];
    assert_eq!(
        target.status("GET /shelves/1", &as_user("u-1")).await,
        AFFECTED
    );
    assert_eq!(
        target.status("GET /shelves/1", &as_user("u-2")).await,
        UNAFFECTED
    );
    assert_eq!(target.status("GET /shelves/1", &[]).await, UNAFFECTED);
    assert_eq!(hits(&target.kit), 1);
}

#[tokio::test]
async fn a_share_of_the_shoppers_is_the_same_at_every_service() {
    let aim = || Only {
        shoppers: Some(0.5),
        ..Only::default()
    };
    let (one, other) = (with(aim()).await, with(aim()).await);
    let identity = Identity::start().await;
    let mut affected = 0;
    for n in 0..40 {
        let lines = vec![bearer(&identity, &format!("u-{n}"))];
        let outcome = one.status("GET /shelves/1", &lines).await;
        for target in [&one, &other] {
            assert_eq!(target.status("GET /shelves/1", &lines).await, outcome);
        }
        affected += u32::from(outcome == AFFECTED);
    }
    // Four standard deviations of Binomial(40, 0.5).
    assert!((8..=32).contains(&affected), "{affected}");
    assert_eq!(one.status("GET /shelves/1", &[]).await, UNAFFECTED);
}

#[tokio::test]
async fn a_call_belongs_to_the_shopper_whose_request_is_served() {
    let target = Target::start().await;
    let peers = BTreeMap::from([(Role::Cart, vec![target.address.clone()])]);
    let kit = Kit::new(config(Role::Order, &std::env::temp_dir(), peers));
    kit.faults()
        .inject(only(Only {
            calling: Some(Role::Cart),
            route: Some("GET /shelves/{id}".to_owned()),
            shopper: Some("u-1".to_owned()),
            ..Only::default()
        }))
        .unwrap();
    let identity = Identity::start().await;
    let token = HeaderValue::from_str(&format!("Bearer {}", identity.token("u-1"))).unwrap();
    for (authorization, expected) in [(Some(token), AFFECTED), (None, UNAFFECTED)] {
        let context = Context {
            authorization,
            ..Context::background()
        };
        // The call itself carries no token, and needs none.
        let call = Call::to(&SHELF).path("1");
        let answer = kit.call(call, &context).await.unwrap();
        assert_eq!(Some(answer.status.as_u16()), expected);
    }
}
