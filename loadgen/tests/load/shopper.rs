//! A single shopper: its requests, and what it learns from the replies.

use http::Method;
use loadgen::persona::{NewCustomer, Persona};
use loadgen::request::{Failure, Reply, Request};
use loadgen::shopper::{Authentication, Next, Shopper};
use loadgen::step::Step;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use results::record::{LedgerEntry, OrderOutcome};
use serde_json::{Value, json};

fn shopper(persona: Persona) -> Shopper {
    Shopper::new(persona, ChaCha8Rng::seed_from_u64(1), "k".to_owned())
}

fn new_customer() -> Persona {
    Persona::New(NewCustomer {
        name: "Ada Byron".to_owned(),
        email: "ada@newcomer.example".to_owned(),
        password: "made-up-1".to_owned(),
    })
}

fn request(next: Next) -> Request {
    match next {
        Next::Send(request) => request,
        Next::Done(result) => panic!("the step is over: {result:?}"),
    }
}

fn reply(status: u16, body: Value) -> Result<Reply, Failure> {
    Ok(Reply {
        status,
        body: body.to_string().into(),
    })
}

fn respond(shopper: &mut Shopper, status: u16, body: Value) -> Next {
    shopper.reply(reply(status, body), 1.0).0
}

fn list() -> Value {
    json!({"items": [{"id": "p_7"}]})
}

fn session() -> Value {
    json!({"token": "t", "user_id": "u_1", "expires_in_s": 60})
}

/// A shopper who is logged in and has a list of products.
fn logged_in(persona: Persona) -> Shopper {
    let mut shopper = shopper(persona);
    request(shopper.begin(Step::Home));
    assert_eq!(respond(&mut shopper, 200, list()), Next::Done(Ok(())));
    let authentication = shopper.authentication_for(Step::BuyRequest).unwrap();
    let mut next = shopper.begin_authentication(authentication);
    while let Next::Send(request) = next {
        let body = if request.path == "/users" {
            json!({})
        } else {
            session()
        };
        next = respond(&mut shopper, 200, body);
    }
    assert_eq!(next, Next::Done(Ok(())));
    shopper
}

/// Places an order that gets this reply.
fn order(status: u16, body: Value) -> (Next, LedgerEntry) {
    let mut shopper = logged_in(Persona::Returning(3));
    request(shopper.begin(Step::BuyRequest));
    respond(&mut shopper, 200, json!({"items": [{"product_id": "p_7"}]}));
    let placed = request(shopper.begin(Step::BuyConfirm));
    assert_eq!(
        (placed.method, placed.path.as_str()),
        (Method::POST, "/orders")
    );
    assert_eq!(placed.key.as_deref(), Some("k-0"));
    let (next, entry) = shopper.reply(reply(status, body), 1.5);
    (next, entry.unwrap())
}

fn an_order() -> Value {
    json!({"id": "o_1", "status": "confirmed", "items": [], "placed_at_ms": 0,
           "total": {"minor": 500, "currency": "EUR"}})
}

#[test]
fn a_product_page_shows_a_product_of_the_last_list() {
    let mut shopper = shopper(Persona::Returning(3));
    // No product is known yet, so the front page comes first.
    let front = request(shopper.begin(Step::ProductDetail));
    assert_eq!(front.path, "/products?sort=best&limit=5");
    let page = request(respond(&mut shopper, 200, list()));
    assert_eq!(page.path, "/products/p_7");
    let product = json!({"id": "p_7", "title": "", "description": "", "category": "toys",
                         "price": {"minor": 1, "currency": "EUR"}, "sold": 0, "added_at_ms": 0});
    assert_eq!(respond(&mut shopper, 200, product), Next::Done(Ok(())));
}

#[test]
fn a_shop_without_products_fails_the_steps_that_need_one() {
    let mut shopper = shopper(Persona::Returning(3));
    request(shopper.begin(Step::ProductDetail));
    let next = respond(&mut shopper, 200, json!({"items": []}));
    assert_eq!(next, Next::Done(Err(Failure::NoProduct)));
}

#[test]
fn a_customer_logs_in_once_and_again_when_the_token_is_refused() {
    let mut shopper = shopper(Persona::Returning(3));
    assert_eq!(shopper.authentication_for(Step::Home), None);
    assert_eq!(
        shopper.authentication_for(Step::ShoppingCart),
        Some(Authentication::Customer)
    );
    let login = request(shopper.begin_authentication(Authentication::Customer));
    assert_eq!(login.path, "/users/login");
    assert!(login.body.unwrap().contains("customer-3@shop.example"));
    assert_eq!(respond(&mut shopper, 200, session()), Next::Done(Ok(())));
    assert_eq!(shopper.authentication_for(Step::ShoppingCart), None);

    let account = request(shopper.begin(Step::CustomerRegistration));
    assert_eq!(account.path, "/users/u_1");
    assert_eq!(account.token.as_deref(), Some("t"));
    let next = respond(&mut shopper, 401, json!({}));
    assert_eq!(next, Next::Done(Err(Failure::Http(401))));
    assert_eq!(
        shopper.authentication_for(Step::OrderInquiry),
        Some(Authentication::Customer)
    );
}

#[test]
fn a_new_customer_registers_once_even_if_the_first_login_fails() {
    let mut shopper = shopper(new_customer());
    assert_eq!(
        shopper.authentication_for(Step::OrderInquiry),
        Some(Authentication::NewCustomer)
    );
    assert_eq!(
        request(shopper.begin_authentication(Authentication::NewCustomer)).path,
        "/users"
    );
    // The address is taken by this shopper, in an attempt whose reply was lost.
    let login = request(respond(&mut shopper, 409, json!({})));
    assert_eq!(login.path, "/users/login");
    let next = shopper.reply(Err(Failure::Timeout), 1.0).0;
    assert_eq!(next, Next::Done(Err(Failure::Timeout)));
    assert_eq!(
        shopper.authentication_for(Step::OrderInquiry),
        Some(Authentication::Customer)
    );
    let login = request(shopper.begin_authentication(Authentication::Customer));
    assert!(login.body.unwrap().contains("ada@newcomer.example"));
}

#[test]
fn only_an_administrator_changes_a_price() {
    let mut shopper = logged_in(Persona::Returning(3));
    assert_eq!(
        shopper.authentication_for(Step::AdminConfirm),
        Some(Authentication::Admin)
    );
    let login = request(shopper.begin_authentication(Authentication::Admin));
    assert!(login.body.unwrap().contains("admin@shop.example"));
    let admin = json!({"token": "boss", "user_id": "u_0", "expires_in_s": 60});
    respond(&mut shopper, 200, admin);
    let change = request(shopper.begin(Step::AdminConfirm));
    assert_eq!(
        (change.method, change.path.as_str()),
        (Method::PUT, "/products/p_7")
    );
    assert_eq!(change.token.as_deref(), Some("boss"));
    // The shopper's own token stays in use.
    let cart = request(shopper.begin(Step::BuyRequest));
    assert_eq!(cart.token.as_deref(), Some("t"));
}

#[test]
fn the_reply_to_an_order_decides_its_outcome_in_the_ledger() {
    for (status, body, outcome, ok) in [
        (201, an_order(), OrderOutcome::Promised, true),
        (202, an_order(), OrderOutcome::Accepted, true),
        (402, json!({}), OrderOutcome::Refused, true),
        (409, json!({}), OrderOutcome::Refused, true),
        (422, json!({}), OrderOutcome::Unknown, false),
        (503, json!({}), OrderOutcome::Unknown, false),
        (201, json!([]), OrderOutcome::Unknown, false),
    ] {
        let (next, entry) = order(status, body);
        assert_eq!(entry.outcome, outcome, "{status}");
        assert_eq!(matches!(next, Next::Done(Ok(()))), ok, "{status}: {next:?}");
        assert_eq!((entry.key.as_str(), entry.user_id.as_str()), ("k-0", "u_1"));
        assert_eq!(entry.t_s, 1.5);
        let named = matches!(outcome, OrderOutcome::Promised | OrderOutcome::Accepted);
        assert_eq!(
            entry.order_id.is_some() && entry.total_minor == Some(500),
            named
        );
    }
}

#[test]
fn an_empty_cart_is_filled_before_an_order() {
    let mut shopper = logged_in(new_customer());
    let put = request(shopper.begin(Step::BuyConfirm));
    assert_eq!(
        (put.method, put.path.as_str()),
        (Method::PUT, "/cart/items/p_7")
    );
    let first = request(respond(&mut shopper, 200, json!({"items": [1]})));
    assert_eq!(first.path, "/orders");
    let (_, entry) = shopper.reply(reply(201, an_order()), 1.0);
    assert_eq!(entry.unwrap().key, "k-0");
    // The order has emptied the cart. So the next one fills it first, and has its own key.
    assert_eq!(
        request(shopper.begin(Step::BuyConfirm)).path,
        "/cart/items/p_7"
    );
    let second = request(respond(&mut shopper, 200, json!({"items": [1]})));
    assert_eq!(second.key.as_deref(), Some("k-1"));
}

#[test]
fn the_last_order_is_shown_and_without_one_the_list() {
    let mut shopper = logged_in(Persona::Returning(3));
    assert_eq!(
        request(shopper.begin(Step::OrderDisplay)).path,
        "/orders?limit=1"
    );
    respond(&mut shopper, 200, json!({"items": [{"id": "o_9"}]}));
    assert_eq!(
        request(shopper.begin(Step::OrderDisplay)).path,
        "/orders/o_9"
    );
}

#[test]
fn an_abandoned_order_has_an_unknown_outcome() {
    let mut shopper = logged_in(new_customer());
    assert_eq!(shopper.abandon(1.0), None);
    request(shopper.begin(Step::BuyConfirm));
    // Only the cart was filled so far.
    assert_eq!(shopper.abandon(2.0), None);
    request(shopper.begin(Step::BuyConfirm));
    request(respond(&mut shopper, 200, json!({"items": [1]})));
    let entry = shopper.abandon(3.0).unwrap();
    assert_eq!((entry.outcome, entry.t_s), (OrderOutcome::Unknown, 3.0));
}

#[test]
fn one_card_in_a_hundred_is_declined() {
    let mut shopper = logged_in(new_customer());
    let mut declined = 0;
    for _ in 0..10_000 {
        request(shopper.begin(Step::BuyConfirm));
        let placed = request(respond(&mut shopper, 200, json!({"items": [1]})));
        declined += u32::from(placed.body.unwrap().contains("tok_declined"));
        respond(&mut shopper, 402, json!({}));
    }
    assert!((50..150).contains(&declined), "{declined}");
}

#[test]
fn the_same_choices_make_the_same_requests() {
    let requests = || {
        let mut shopper = shopper(Persona::Returning(3));
        let steps = [Step::NewProducts, Step::SearchResults, Step::BestSellers];
        let calls = steps.map(|step| request(shopper.begin(step)).path);
        calls.join(" ")
    };
    assert_eq!(requests(), requests());
}
