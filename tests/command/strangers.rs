//! Who may reach what: every public route, asked by nobody, by its owner, by a stranger, and by an administrator.

use serde_json::{Value, json};
use shop_contract::operation::Method;
use shop_contract::user::{SEEDED_ADMIN, SEEDED_PASSWORD, seeded_email};
use shop_gateway::routes::TABLE;

use crate::harness::Up;

/// What a route gives to whom.
enum Reach {
    /// Everybody the same.
    All,
    /// Its owner; to anybody else there is no such thing.
    Owner { path: String },
    /// Each caller their own.
    EachTheirOwn { path: &'static str, body: Value },
    /// Administrators; a customer is told so.
    Admins { path: &'static str, body: Value },
}

/// What the routes of the table are meant to be. A new route is in here, or the test fails.
fn reach(method: &str, template: &str, owned: &Owned) -> Option<Reach> {
    let own = |path, body| Some(Reach::EachTheirOwn { path, body });
    match (method, template) {
        ("POST", "/users" | "/users/login") | ("GET", "/.well-known/jwks.json") => Some(Reach::All),
        ("GET", "/products" | "/products/search" | "/products/{id}" | "/stock/{product_id}") => {
            Some(Reach::All)
        }
        ("GET", "/users/{id}") => Some(Reach::Owner {
            path: format!("/users/{}", owned.user),
        }),
        ("GET", "/orders/{id}") => Some(Reach::Owner {
            path: format!("/orders/{}", owned.order),
        }),
        ("GET", "/payments/{id}") => Some(Reach::Owner {
            path: format!("/payments/{}", owned.payment),
        }),
        ("PUT", "/products/{id}") => Some(Reach::Admins {
            path: "/products/p-00003",
            body: json!({"price_minor": 777}),
        }),
        ("PUT", "/stock/{product_id}") => Some(Reach::Admins {
            path: "/stock/p-00003",
            body: json!({"available": 77}),
        }),
        ("GET", "/cart") => own("/cart", Value::Null),
        ("GET", "/orders") => own("/orders", Value::Null),
        ("GET", "/notifications") => own("/notifications", Value::Null),
        ("PUT", "/cart/items/{product_id}") => own("/cart/items/p-00002", json!({"quantity": 1})),
        ("DELETE", "/cart/items/{product_id}") => own("/cart/items/p-00002", Value::Null),
        // Without a cart there is nothing to order, which is said to a customer and to nobody else.
        ("POST", "/orders") => own("/orders", json!({"card": "tok_good"})),
        _ => None,
    }
}

/// What a customer has.
struct Owned {
    user: String,
    order: String,
    payment: String,
}

fn login(shop: &Up, email: &str) -> (String, String) {
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

/// A token whose last characters, which belong to its signature, are others.
fn forged(token: &str) -> String {
    let (rest, end) = token.split_at(token.len() - 8);
    let turned: String = end
        .chars()
        .map(|c| if c == 'A' { 'B' } else { 'A' })
        .collect();
    format!("{rest}{turned}")
}

#[test]
fn a_caller_reaches_only_what_is_theirs() {
    let shop = Up::open(&[]);
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
        let reach = reach(method, operation.path, &owned)
            .unwrap_or_else(|| panic!("{what} is not in this test: who may reach it?"));
        let (path, body) = match &reach {
            Reach::All => {
                assert!(!operation.needs_token(), "{what}");
                continue;
            }
            Reach::Owner { path } => (path.as_str(), &Value::Null),
            Reach::EachTheirOwn { path, body } | Reach::Admins { path, body } => (*path, body),
        };
        let (status, _) = shop.call(method, path, &[], body);
        assert_eq!(status, 401, "{what} without a token");
        let (status, _) = with(&forged, method, path, body);
        assert_eq!(status, 401, "{what} with a forged token");
        match &reach {
            Reach::All => {}
            Reach::Owner { .. } => {
                assert_eq!(with(&owner, method, path, body).0, 200, "{what}");
                assert_eq!(with(&stranger, method, path, body).0, 404, "{what}");
                assert_eq!(with(&admin, method, path, body).0, 404, "{what}");
            }
            Reach::EachTheirOwn { .. } => {
                let (_, seen) = with(&stranger, method, path, body);
                for theirs in [&owned.user, &owned.order, &owned.payment, "p-00001"] {
                    assert!(!seen.to_string().contains(theirs), "{what}: {seen}");
                }
            }
            Reach::Admins { .. } => {
                assert_eq!(with(&owner, method, path, body).0, 403, "{what}");
                assert_eq!(with(&admin, method, path, body).0, 200, "{what}");
            }
        }
    }

    // The stranger's doings left the owner's things as they were.
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
