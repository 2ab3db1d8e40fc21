//! Which requests a filter matches, for every combination of keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::PUT];
const TEMPLATES: [&str; 4] = ["/orders", "/orders/{id}", "/events", ""];
const ROLES: [Role; 3] = [Role::Gateway, Role::Order, Role::Bank];
const SHOPPERS: [&str; 3] = ["u-1", "u-2", "u-11"];

/// A token without a valid signature.
fn token(shopper: &str) -> HeaderValue {
    let claims = serde_json::json!({ "sub": shopper });
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    HeaderValue::from_str(&format!("Bearer {header}.{claims}.AAAA")).unwrap()
}

fn route() -> impl Strategy<Value = String> {
    (option::of(select(&METHODS[..])), select(&TEMPLATES[..3])).prop_map(|(method, path)| {
        match method {
            Some(method) => format!("{method} {path}"),
            None => path.to_owned(),
        }
    })
}

fn only() -> impl Strategy<Value = Only> {
    (
        option::of(select(&ROLES[..])),
        option::of(route()),
        option::of(select(&ROLES[..])),
        option::of(select(&SHOPPERS[..])),
        option::of(0.01..=1.0),
    )
        .prop_map(|(calling, route, caller, shopper, shoppers)| Only {
            calling,
            route,
            caller,
            shopper: shopper.map(ToOwned::to_owned),
            shoppers,
        })
}

#[derive(Debug)]
struct Request {
    calling: Option<Role>,
    method: Method,
    template: &'static str,
    caller: Option<Role>,
    shopper: Option<&'static str>,
}

fn request() -> impl Strategy<Value = Request> {
    (
        option::of(select(&ROLES[..])),
        select(&METHODS[..]),
        select(&TEMPLATES[..]),
        option::of(select(&ROLES[..])),
        option::of(select(&SHOPPERS[..])),
    )
        .prop_map(|(calling, method, template, caller, shopper)| Request {
            calling,
            method,
            template,
            caller,
            shopper,
        })
}

/// The documentation of [`Only`] as code.
fn expected(only: &Only, request: &Request, seed: u64) -> bool {
    let route = format!("{} {}", request.method, request.template);
    let routes = [route.as_str(), request.template];
    let route = only.route.as_deref().is_none_or(|r| routes.contains(&r));
    let caller = only.caller.is_none_or(|c| request.caller == Some(c));
    let named = only.shopper.is_none() || only.shopper.as_deref() == request.shopper;
    let among = match (only.shoppers, request.shopper) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(share), Some(shopper)) => position(seed, shopper) < share,
    };
    only.calling == request.calling && route && caller && named && among
}

fn matches(only: &Only, request: &Request, seed: u64) -> bool {
    let token = request.shopper.map(token);
    let info = RequestInfo {
        calling: request.calling,
        ..RequestInfo::served(
            &request.method,
            request.template,
            request.caller,
            token.as_ref(),
        )
    };
    Filter::new(only, seed).matches(&info)
}

proptest! {
    #[test]
    fn a_filter_matches_exactly_the_documented_requests(only in only(), request in request(), seed: u64) {
        prop_assert_eq!(matches(&only, &request, seed), expected(&only, &request, seed));
    }

    #[test]
    fn a_larger_share_contains_every_smaller_share(id in ".{1,40}", seed: u64, share in 0.0..1.0) {
        let position = position(seed, &id);
        prop_assert!((0.0..1.0).contains(&position));
        if position < share / 2.0 {
            prop_assert!(position < share);
        }
    }
}

#[test]
fn a_share_has_its_size_and_another_seed_picks_others() {
    let n = 10_000;
    let chosen = |seed| -> Vec<u32> {
        let ids = 0..n;
        ids.filter(|i| position(seed, &format!("u-{i}")) < 0.2)
            .collect()
    };
    let (one, other) = (chosen(7), chosen(8));
    let bounds = 4.0 * f64::sqrt(f64::from(n) * 0.2 * 0.8);
    for some in [&one, &other] {
        assert!((some.len() as f64 - f64::from(n) * 0.2).abs() <= bounds);
    }
    // Of two independent shares of a fifth, a twenty-fifth is in both.
    let both = one.iter().filter(|i| other.contains(i)).count() as f64;
    assert!((both - 400.0).abs() <= 4.0 * f64::sqrt(f64::from(n) * 0.04 * 0.96));
}

#[test]
fn the_positions_are_the_same_in_every_release() {
    // Computed with an independent implementation.
    for (seed, shopper, expected) in [
        (7, "u-1", 0.504_655_136_455_808_1),
        (8, "u-1", 0.469_169_339_373_972_65),
        (7, "u-2", 0.350_939_389_687_304_76),
    ] {
        assert_eq!(position(seed, shopper), expected);
    }
}

#[test]
fn an_unreadable_token_matches_no_shopper() {
    let only = Only {
        shoppers: Some(1.0),
        ..Only::default()
    };
    for value in ["Bearer nonsense", "Basic dTpw", "Bearer "] {
        let value = HeaderValue::from_static(value);
        let info = RequestInfo::served(&Method::GET, "/", None, Some(&value));
        assert!(!Filter::new(&only, 7).matches(&info));
    }
}

#[test]
fn a_route_may_have_any_case_and_extra_spaces() {
    let only = |route: &str| Only {
        route: Some(route.to_owned()),
        ..Only::default()
    };
    let info = RequestInfo::served(&Method::PUT, "/cart/items/{product_id}", None, None);
    for (route, is) in [
        ("PUT /cart/items/{product_id}", true),
        ("put  /cart/items/{product_id} ", true),
        ("/cart/items/{product_id}", true),
        ("GET /cart/items/{product_id}", false),
        ("/cart/items/p-1", false),
        ("/cart", false),
    ] {
        assert_eq!(Filter::new(&only(route), 7).matches(&info), is, "{route}");
    }
}
