//! The order saga with real services, real databases and real SIGKILL: whatever fault hits one call of an order, nothing is
//! lost, paid twice, sent twice, or left behind.
//!
//! The shop consists of child processes with a proxy on each edge that an order uses. A case arms one
//! [`http_proxy::CallFault`] for one call, buys something, waits until the fault is done, restarts killed processes, and waits
//! until the data of all services agree with each other and with the shopper's ledger. The next case uses the same shop, so
//! anything that one case leaves behind fails the later ones.
//!
//! The databases are SQLite files, or on the PostgreSQL server of `DOORBUSTER_TEST_POSTGRES`. Events use HTTP, or the NATS
//! server of `DOORBUSTER_TEST_NATS`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod http_proxy;
mod nats_proxy;
mod processes;
mod shop;

use http_proxy::{ArmedFault, CallFault};
use results::record::OrderOutcome;
use shop::Shop;
use shop_contract::Role;
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD};

/// One call of an order: the callee, the method and the path.
type Call = (Role, &'static str, &'static str);

const PLACE: Call = (Role::Order, "POST", "/orders");
const RESERVE: Call = (Role::Inventory, "POST", "/reservations");
const PAY: Call = (Role::Payment, "POST", "/payments");
const CHARGE: Call = (Role::Bank, "POST", "/charges");
const COMMIT: Call = (Role::Inventory, "POST", "/reservations/*/commit");
const RELEASE: Call = (Role::Inventory, "DELETE", "/reservations/*");
const REFUND: Call = (Role::Payment, "POST", "/payments/*/refund");
const REFUND_CHARGE: Call = (Role::Bank, "POST", "/charges/*/refund");
const PUBLISH: Call = (Role::Order, nats_proxy::PUBLISH, nats_proxy::ORDERS);
const DELIVER_TO_NOTIFICATION: Call = (Role::Notification, nats_proxy::DELIVER, nats_proxy::ORDERS);
const DELIVER_TO_CART: Call = (Role::Cart, nats_proxy::DELIVER, nats_proxy::ORDERS);
const DELIVER_TO_PRODUCT: Call = (Role::Product, nats_proxy::DELIVER, nats_proxy::ORDERS);
const PUSH_TO_NOTIFICATION: Call = (Role::Notification, "POST", "/events");
const PUSH_TO_CART: Call = (Role::Cart, "POST", "/events");
const PUSH_TO_PRODUCT: Call = (Role::Product, "POST", "/events");

fn arm((callee, method, path): Call, fault: CallFault) -> ArmedFault {
    ArmedFault {
        callee,
        method,
        path,
        fault,
    }
}

/// Buys once for every call and every fault, and checks the data of all services after each. `before` are further faults of
/// each purchase.
async fn check_every_fault(
    calls: &[Call],
    card: &str,
    before: &[ArmedFault],
    outcome: OrderOutcome,
) {
    let mut shop = Shop::open().await;
    for &call in calls {
        for fault in CallFault::ALL {
            let mut faults = before.to_vec();
            faults.push(arm(call, fault));
            eprintln!("{} {} of {}: {fault:?}", call.1, call.2, call.0);
            shop.arm(faults);
            let observed = shop.buy(card).await;
            assert_eq!(observed, outcome, "{call:?} {fault:?}");
            shop.wait_for_faults().await;
            shop.restart_dead().await;
            shop.wait_until_consistent().await;
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_once_after_any_fault_of_its_request() {
    check_every_fault(&[PLACE], CARD_GOOD, &[], OrderOutcome::Promised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_confirmed_after_any_fault_of_any_step() {
    let steps = [RESERVE, PAY, CHARGE, COMMIT];
    check_every_fault(&steps, CARD_GOOD, &[], OrderOutcome::Promised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_releases_the_stock_after_any_fault() {
    check_every_fault(&[RELEASE], CARD_DECLINED, &[], OrderOutcome::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_stock_is_refunded_after_any_fault() {
    let gone = [arm(COMMIT, CallFault::ReleasedFirst)];
    let steps = [REFUND, REFUND_CHARGE];
    check_every_fault(&steps, CARD_GOOD, &gone, OrderOutcome::Refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_gets_an_event_once_after_any_fault() {
    let over_http = [PUSH_TO_NOTIFICATION, PUSH_TO_CART, PUSH_TO_PRODUCT];
    let over_nats = [
        PUBLISH,
        DELIVER_TO_NOTIFICATION,
        DELIVER_TO_CART,
        DELIVER_TO_PRODUCT,
    ];
    let deliveries: &[Call] = if Shop::is_on_nats() {
        &over_nats
    } else {
        &over_http
    };
    check_every_fault(deliveries, CARD_GOOD, &[], OrderOutcome::Promised).await;
}
