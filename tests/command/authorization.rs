//! Authorization of every public route: without a token, as the owner, as another customer, and as an administrator.

use serde_json::{Value, json};
use shop_contract::operation::Method;
use shop_contract::user::{SEEDED_ADMIN, SEEDED_PASSWORD, seeded_email};
use shop_gateway::routes::TABLE;

use crate::harness::RunningShop;

/// The access rule of a route.
enum Access {
    /// Open to everyone, also without a token.
    Public,
    /// For the owner. Other callers get 404.
    Owner { path: String },
    /// Each caller gets their own data.
    OwnData { path: &'static str, body: Value },
    /// For administrators. Customers get 403.
    Admins { path: &'static str, body: Value },
}

/// The access rule of each route. The test fails if a new route is missing here.
fn access(method: &str, template: &str, owned: &Owned) -> Option<Access> {
    let own = |path, body| Some(Access::OwnData { path, body });
    match (method, template) {
        ("POST", "/users" | "/users/login") | ("GET", "/.well-known/jwks.json") => {
            Some(Access::Public)
        }
        ("GET", "/products" | "/products/search" | "/products/{id}" | "/stock/{product_id}") => {
            Some(Access::Public)
        }
        ("GET", "/users/{id}") => Some(Access::Owner {
            path: format!("/users/{}", owned.user),
        }),
        ("GET", "/orders/{id}") => Some(Access::Owner {
            path: format!("/orders/{}", owned.order),
        }),
        ("GET", "/payments/{id}") => Some(Access::Owner {
            path: format!("/payments/{}", owned.payment),
        }),
        ("PUT", "/products/{id}") => Some(Access::Admins {
            path: "/products/p-00003",
            body: json!({"price_minor": 777}),
        }),
        ("PUT", "/stock/{product_id}") => Some(Access::Admins {
            path: "/stock/p-00003",
            body: json!({"available": 77}),
        }),
        ("GET", "/cart") => own("/cart", Value::Null),
        ("GET", "/orders") => own("/orders", Value::Null),
        ("GET", "/notifications") => own("/notifications", Value::Null),
        ("PUT", "/cart/items/{product_id}") => own("/cart/items/p-00002", json!({"quantity": 1})),
        ("DELETE", "/cart/items/{product_id}") => own("/cart/items/p-00002", Value::Null),
        // With an empty cart, a customer gets an error, and a caller without a token gets 401.
        ("POST", "/orders") => own("/orders", json!({"card": "tok_good"})),
        _ => None,
    }
}

/// The resources of a customer.
struct Owned {
    user: String,
    order: String,
    payment: String,
}

fn login(shop: &RunningShop, email: &str) -> (String, String) {
    let login = json!({"email": email, "password": SEEDED_PASSWORD});
    let (status, session) = shop.call("POST", "/users/login", &[], &login);
    assert_eq!(status, 200, "{session}");
    let text = |field: &str| session[field].as_str().unwrap().to_owned();
    (format!("Bearer {}", text("token")), text("user_id"))
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}

/// A token with a changed signature.
fn forged(token: &str) -> String {
    let (rest, end) = token.split_at(token.len() - 8);
    let changed: String = end
        .chars()
        .map(|c| if c == 'A' { 'B' } else { 'A' })
        .collect();
    format!("{rest}{changed}")
}

#[test]
fn a_caller_reaches_only_their_own_data() {
    let shop = RunningShop::open(&[]);
    let (owner, user) = login(&shop, &seeded_email(0));
    let (stranger, stranger_id) = login(&shop, &seeded_email(1));
    let (admin, _) = login(&shop, SEEDED_ADMIN);
    let forged = forged(&owner);
    let with = |token: &str, method: &str, path: &str, body: &Value| {
        let headers = [
            ("Authorization", token),
            ("Idempotency-Key", "one-of-a-kind"),
        ];
        shop.call(method, path, &headers, body)
    };

    let line = json!({"quantity": 1});
    assert_eq!(with(&owner, "PUT", "/cart/items/p-00001", &line).0, 200);
    let (status, order) = with(&owner, "POST", "/orders", &json!({"card": "tok_good"}));
    assert_eq!(status, 201, "{order}");
    let text = |field: &str| order[field].as_str().unwrap().to_owned();
    let owned = Owned {
        user,
        order: text("id"),
        payment: text("payment_id"),
    };
    assert_eq!(with(&owner, "PUT", "/cart/items/p-00001", &line).0, 200);

    for route in TABLE {
        let operation = route.operation;
        let method = name(operation.method);
        let what = format!("{method} {}", operation.path);
        let access = access(method, operation.path, &owned)
            .unwrap_or_else(|| panic!("{what} is not in this test: who may access it?"));
        let (path, body) = match &access {
            Access::Public => {
                assert!(!operation.needs_token(), "{what}");
                continue;
            }
            Access::Owner { path } => (path.as_str(), &Value::Null),
            Access::OwnData { path, body } | Access::Admins { path, body } => (*path, body),
        };
        let (status, _) = shop.call(method, path, &[], body);
        assert_eq!(status, 401, "{what} without a token");
        let (status, _) = with(&forged, method, path, body);
        assert_eq!(status, 401, "{what} with a forged token");
        match &access {
            Access::Public => {}
            Access::Owner { .. } => {
                assert_eq!(with(&owner, method, path, body).0, 200, "{what}");
                assert_eq!(with(&stranger, method, path, body).0, 404, "{what}");
                assert_eq!(with(&admin, method, path, body).0, 404, "{what}");
            }
            Access::OwnData { .. } => {
                let (_, seen) = with(&stranger, method, path, body);
                for private in [&owned.user, &owned.order, &owned.payment, "p-00001"] {
                    assert!(!seen.to_string().contains(private), "{what}: {seen}");
                }
            }
            Access::Admins { .. } => {
                assert_eq!(with(&owner, method, path, body).0, 403, "{what}");
                assert_eq!(with(&admin, method, path, body).0, 200, "{what}");
            }
        }
    }

    // The requests of the other customer have changed nothing of the owner.
    let (_, cart) = with(&owner, "GET", "/cart", &Value::Null);
    assert_eq!(cart["items"][0]["product_id"], "p-00001", "{cart}");
    let (_, mine) = with(
        &stranger,
        "GET",
        &format!("/users/{stranger_id}"),
        &Value::Null,
    );
    assert_eq!(mine["email"], seeded_email(1));
}
