//! Real services, real databases, real SIGKILL: whatever happens to one call of an order's way, nothing is lost, paid
//! twice, sent twice, or left lying.
//!
//! A shop of child processes with a proxy on each edge that an order's way uses. A case arms one proxy with one
//! [`strike::Blow`] for one call, buys something, sees the blow fall, starts again what died, and waits until the books
//! of all services agree with each other and with what the shopper was told. Then comes the next case, in the same shop,
//! so that what one case left behind shows in all later ones.
//!
//! The databases are SQLite files, or on the PostgreSQL server of `DOORBUSTER_TEST_POSTGRES`. Events go over HTTP, or
//! through the NATS server of `DOORBUSTER_TEST_NATS`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod line;
mod processes;
mod shop;
mod strike;

use results::record::OrderOutcome;
use shop::Shop;
use shop_contract::Role;
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD};
use strike::{Blow, Strike};

/// One call of an order's way: who is asked, and for what.
type Call = (Role, &'static str, &'static str);

const PLACE: Call = (Role::Order, "POST", "/orders");
const RESERVE: Call = (Role::Inventory, "POST", "/reservations");
const PAY: Call = (Role::Payment, "POST", "/payments");
const CHARGE: Call = (Role::Bank, "POST", "/charges");
const COMMIT: Call = (Role::Inventory, "POST", "/reservations/*/commit");
const RELEASE: Call = (Role::Inventory, "DELETE", "/reservations/*");
const REFUND: Call = (Role::Payment, "POST", "/payments/*/refund");
const GIVE_BACK: Call = (Role::Bank, "POST", "/charges/*/refund");
const PUBLISH: Call = (Role::Order, line::PUBLISH, line::ORDERS);
const DELIVER_TO_NOTIFICATION: Call = (Role::Notification, line::DELIVER, line::ORDERS);
const DELIVER_TO_CART: Call = (Role::Cart, line::DELIVER, line::ORDERS);
const DELIVER_TO_PRODUCT: Call = (Role::Product, line::DELIVER, line::ORDERS);
const TELL_NOTIFICATION: Call = (Role::Notification, "POST", "/events");
const TELL_CART: Call = (Role::Cart, "POST", "/events");
const TELL_PRODUCT: Call = (Role::Product, "POST", "/events");

fn strike((callee, method, path): Call, blow: Blow) -> Strike {
    Strike {
        callee,
        method,
        path,
        blow,
    }
}

/// Buys once for every call and every blow, and looks at the books after each.
async fn whatever_happens_to(calls: &[Call], card: &str, before: &[Strike], outcome: OrderOutcome) {
    let mut shop = Shop::open().await;
    for &call in calls {
        for blow in Blow::ALL {
            let mut strikes = before.to_vec();
            strikes.push(strike(call, blow));
            eprintln!("{} {} of {}: {blow:?}", call.1, call.2, call.0);
            shop.arm(strikes);
            let told = shop.buy(card).await;
            assert_eq!(told, outcome, "{call:?} {blow:?}");
            shop.all_struck().await;
            shop.revive().await;
            shop.books_agree().await;
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_once_whatever_dies_between_shopper_and_order() {
    whatever_happens_to(&[PLACE], CARD_GOOD, &[], OrderOutcome::Promised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_confirmed_whatever_dies_at_any_step() {
    let steps = [RESERVE, PAY, CHARGE, COMMIT];
    whatever_happens_to(&steps, CARD_GOOD, &[], OrderOutcome::Promised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_gives_the_stock_back_whatever_dies() {
    whatever_happens_to(&[RELEASE], CARD_DECLINED, &[], OrderOutcome::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_taken_for_goods_that_are_gone_is_given_back_whatever_dies() {
    let gone = [strike(COMMIT, Blow::ReleasedFirst)];
    let steps = [REFUND, GIVE_BACK];
    whatever_happens_to(&steps, CARD_GOOD, &gone, OrderOutcome::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_told_of_an_order_once_whatever_dies_in_the_telling() {
    let over_http = [TELL_NOTIFICATION, TELL_CART, TELL_PRODUCT];
    let over_nats = [
        PUBLISH,
        DELIVER_TO_NOTIFICATION,
        DELIVER_TO_CART,
        DELIVER_TO_PRODUCT,
    ];
    let tellings: &[Call] = if Shop::is_on_nats() {
        &over_nats
    } else {
        &over_http
    };
    whatever_happens_to(tellings, CARD_GOOD, &[], OrderOutcome::Promised).await;
}
