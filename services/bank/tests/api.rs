//! The bank as its merchants see it: the real router over a real database. It takes no time here, save where its
//! slowness is what is looked at.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint's own exception knows only #[test] functions"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shop_bank::store::Charges;
use shop_bank::{BankBehavior, BankConfig};
use shop_contract::Role;
use shop_contract::audit::AuditLine;
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD, ChargeStatus};
use shop_kit::Kit;
use shop_kit::audit::AuditSource;
use shop_kit::config::ServiceConfig;
use shop_kit::net::Lease;
use shop_testkit::{Ask, ask_get, ask_post, check_document, config, connect, exchange, slug};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const AT_ONCE: BankBehavior = BankBehavior {
    silent_ratio: 0.0,
    median: Duration::ZERO,
    sigma: 0.0,
    decline_ratio: 0.5,
};

struct Bank {
    kit: Kit,
    charges: Charges,
    router: Router,
    _folder: TempDir,
}

impl Bank {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kit = Kit::new(config(Role::Bank, folder.path(), BTreeMap::new()));
        let charges = shop_bank::open(&kit).await.unwrap();
        let router = shop_bank::router(&kit, charges.clone(), AT_ONCE);
        Self {
            kit,
            charges,
            router,
            _folder: folder,
        }
    }

    async fn charge(&self, key: &str, card: &str, minor: i64) -> (StatusCode, Value) {
        charge(card, minor).with_key(key).send(&self.router).await
    }

    async fn refund(&self, id: &str) -> (StatusCode, Value) {
        let ask = Ask::new(Method::POST, &format!("/charges/{id}/refund"));
        ask.send(&self.router).await
    }

    async fn one(&self, id: &str) -> (StatusCode, Value) {
        ask_get(&format!("/charges/{id}")).send(&self.router).await
    }

    /// Status and amount of every stored charge.
    async fn books(&self) -> Vec<(ChargeStatus, i64)> {
        let lines = self.charges.rows("", 100).await.unwrap();
        let held = lines.into_iter().map(|line| match line {
            AuditLine::Charge {
                status,
                amount_minor,
                ..
            } => (status, amount_minor),
            other => panic!("the bank holds {other:?}"),
        });
        held.collect()
    }
}

/// A charge without a key.
fn charge(card: &str, minor: i64) -> Ask {
    let body = json!({
        "amount": {"minor": minor, "currency": "EUR"}, "card": card, "reference": "payment-1",
    });
    ask_post("/charges", body)
}

#[tokio::test]
async fn a_charge_is_taken_and_can_be_looked_up() {
    let bank = Bank::open().await;
    let (status, charge) = bank.charge("k", CARD_GOOD, 1999).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(charge["status"], "captured");
    assert_eq!(charge["amount"], json!({"minor": 1999, "currency": "EUR"}));
    assert_eq!(charge["reference"], "payment-1");
    let id = charge["id"].as_str().unwrap();
    assert_eq!(bank.one(id).await, (StatusCode::OK, charge.clone()));
    assert_eq!(bank.one("another").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_same_key_charges_once_and_answers_alike() {
    let bank = Bank::open().await;
    let (_, first) = bank.charge("k", CARD_GOOD, 1999).await;
    assert_eq!(
        bank.charge("k", CARD_GOOD, 1999).await,
        (StatusCode::OK, first)
    );
    assert_eq!(bank.books().await, [(ChargeStatus::Captured, 1999)]);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_charges_once() {
    let bank = Bank::open().await;
    let ask = || bank.charge("k", CARD_GOOD, 1999);
    let answers = tokio::join!(ask(), ask(), ask(), ask());
    let mut statuses = [answers.0.0, answers.1.0, answers.2.0, answers.3.0];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::CREATED
        ]
    );
    assert_eq!(bank.books().await, [(ChargeStatus::Captured, 1999)]);
}

#[tokio::test]
async fn a_reused_key_is_refused() {
    let bank = Bank::open().await;
    bank.charge("k", CARD_GOOD, 1999).await;
    for (card, minor) in [(CARD_GOOD, 2000), ("tok_other", 1999)] {
        let (status, problem) = bank.charge("k", card, minor).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(slug(&problem), "key-reused");
    }
    assert_eq!(bank.books().await, [(ChargeStatus::Captured, 1999)]);
}

#[tokio::test]
async fn without_a_key_nothing_is_charged() {
    let bank = Bank::open().await;
    let (status, _) = charge(CARD_GOOD, 1999).send(&bank.router).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(bank.books().await, []);
}

#[tokio::test]
async fn invalid_charges_are_refused() {
    let bank = Bank::open().await;
    for (card, minor) in [("", 1999), ("4242424242424242", 1999), (CARD_GOOD, 0)] {
        let (status, problem) = bank.charge("k", card, minor).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(slug(&problem), "invalid");
    }
    assert_eq!(bank.books().await, []);
}

#[tokio::test]
async fn a_declined_charge_is_stored_and_stays_declined() {
    let bank = Bank::open().await;
    for _ in 0..2 {
        let (status, problem) = bank.charge("k", CARD_DECLINED, 1999).await;
        assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
        assert_eq!(slug(&problem), "card-declined");
    }
    assert_eq!(bank.books().await, [(ChargeStatus::Declined, 1999)]);
}

#[tokio::test]
async fn an_ordinary_card_has_the_same_result_at_every_repetition_and_in_every_run() {
    let (one, other) = (Bank::open().await, Bank::open().await);
    let mut declined = 0;
    for n in 0..40 {
        let key = format!("key-{n}");
        let first = one.charge(&key, "tok_ordinary", 1999).await.0;
        let declines = first == StatusCode::PAYMENT_REQUIRED;
        declined += usize::from(declines);
        let again = one.charge(&key, "tok_ordinary", 1999).await.0;
        assert_eq!(again == StatusCode::PAYMENT_REQUIRED, declines);
        assert_eq!(other.charge(&key, "tok_ordinary", 1999).await.0, first);
    }
    // Half of them are declined here; none or all forty is all but impossible.
    assert!((1..40).contains(&declined), "{declined}");
}

#[tokio::test]
async fn a_repeated_refund_takes_effect_once() {
    let bank = Bank::open().await;
    let (_, charge) = bank.charge("k", CARD_GOOD, 1999).await;
    let id = charge["id"].as_str().unwrap();
    let first = bank.refund(id).await;
    assert_eq!(first.0, StatusCode::OK);
    assert_eq!(first.1["status"], "refunded");
    assert_eq!(bank.refund(id).await, first);
    assert_eq!(bank.books().await, [(ChargeStatus::Refunded, 1999)]);
    // The key still has the charge: a repetition takes no money.
    assert_eq!(bank.charge("k", CARD_GOOD, 1999).await, first);
}

#[tokio::test]
async fn a_declined_charge_is_not_refunded() {
    let bank = Bank::open().await;
    bank.charge("k", CARD_DECLINED, 1999).await;
    let lines = bank.charges.rows("", 100).await.unwrap();
    let [AuditLine::Charge { id, .. }] = &lines[..] else {
        panic!("{lines:?}");
    };
    let (status, problem) = bank.refund(id).await;
    assert_eq!(
        (status, slug(&problem)),
        (StatusCode::CONFLICT, "nothing-to-refund")
    );
    assert_eq!(bank.refund("another").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_caller_that_hangs_up_has_been_charged() {
    let bank = Bank::open().await;
    let slow = BankBehavior {
        median: Duration::from_secs(3600),
        ..AT_ONCE
    };
    let router = shop_bank::router(&bank.kit, bank.charges.clone(), slow);
    let waiting = tokio::spawn(async move {
        charge(CARD_GOOD, 1999).with_key("k").send(&router).await;
    });
    while bank.books().await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
    let (status, _) = bank.charge("k", CARD_GOOD, 1999).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(bank.books().await, [(ChargeStatus::Captured, 1999)]);
}

#[tokio::test]
async fn an_unanswered_charge_is_answered_when_repeated() {
    let bank = Bank::open().await;
    let silent = BankBehavior {
        silent_ratio: 1.0,
        ..AT_ONCE
    };
    let router = shop_bank::router(&bank.kit, bank.charges.clone(), silent);
    let first = router.clone();
    let waiting = tokio::spawn(async move {
        charge(CARD_GOOD, 1999).with_key("k").send(&first).await;
    });
    while bank.books().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let (status, _) = charge(CARD_GOOD, 1999).with_key("k").send(&router).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!waiting.is_finished(), "the first is still waiting");
    waiting.abort();
    assert_eq!(bank.books().await, [(ChargeStatus::Captured, 1999)]);
}

#[tokio::test]
async fn charges_are_listed_on_the_admin_listener_only() {
    let folder = tempfile::tempdir().unwrap();
    let [shop, operators] = [(); 2].map(|()| Lease::take(([127, 0, 0, 1], 0).into()).unwrap());
    let config = ServiceConfig {
        listen: shop.address(),
        admin: operators.address(),
        ..config(Role::Bank, folder.path(), BTreeMap::new())
    };
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(shop_bank::serve(
        config,
        BankConfig::default(),
        shutdown.clone(),
    ));
    let body = r#"{"amount":{"minor":1999,"currency":"EUR"},"card":"tok_good","reference":"p-1"}"#;
    let charge = format!(
        "POST /charges HTTP/1.1\r\nHost: bank\r\nConnection: close\r\nIdempotency-Key: k\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let audit = "GET /audit HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n";
    let answer = send(shop.address(), &charge).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let answer = send(operators.address(), audit).await;
    assert!(answer.contains(r#"{"holds":"charge","id":"#), "{answer}");
    let answer = send(shop.address(), audit).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

async fn send(address: SocketAddr, request: &str) -> String {
    exchange(connect(address).await, request.into()).await
}

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&Bank::open().await.router, "bank").await;
}
