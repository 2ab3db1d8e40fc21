//! The payment service, with a fake bank on a real socket.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_kit::Kit;
use shop_testkit::{Ask, Identity, ask_get, ask_post, check_document, config, serve};
use tempfile::TempDir;

/// A bank that answers with a set status and counts its requests.
#[derive(Clone, Default)]
struct Bank {
    answers: Arc<AtomicU16>,
    charges: Arc<AtomicU32>,
    refunds: Arc<AtomicU32>,
}

impl Bank {
    fn router(&self) -> Router {
        Router::new()
            .route("/charges", post(Self::charge))
            .route("/charges/{id}/refund", post(Self::refund))
            .with_state(self.clone())
    }

    async fn charge(State(bank): State<Bank>) -> (StatusCode, Json<Value>) {
        bank.charges.fetch_add(1, Ordering::SeqCst);
        let status = StatusCode::from_u16(bank.answers.load(Ordering::SeqCst)).unwrap();
        let charge = json!({"id": "c-1", "reference": "r", "status": "captured",
            "amount": {"minor": 500, "currency": "EUR"}});
        (status, Json(charge))
    }

    async fn refund(State(bank): State<Bank>) -> Json<Value> {
        bank.refunds.fetch_add(1, Ordering::SeqCst);
        Json(json!({}))
    }
}

struct Shop {
    api: Router,
    bank: Bank,
    identity: Identity,
    _folder: TempDir,
}

async fn shop(bank_answers: u16) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let (bank, identity) = (Bank::default(), Identity::start().await);
    bank.answers.store(bank_answers, Ordering::SeqCst);
    let peers = BTreeMap::from([
        (Role::Bank, vec![serve(bank.router()).await]),
        (Role::User, vec![identity.address.clone()]),
    ]);
    let kit = Kit::new(config(Role::Payment, folder.path(), peers));
    let payments = shop_payment::open(&kit).await.unwrap();
    Shop {
        api: shop_payment::router(&kit, payments),
        bank,
        identity,
        _folder: folder,
    }
}

impl Shop {
    async fn pay(&self, key: &str, minor: i64) -> (StatusCode, Value) {
        let body = json!({"order_id": "o-1", "user_id": "u-1", "card": "tok_good",
            "amount": {"minor": minor, "currency": "EUR"}});
        ask_post("/payments", body)
            .with_key(key)
            .as_service()
            .send(&self.api)
            .await
    }

    async fn refund(&self, id: &str) -> (StatusCode, Value) {
        let ask = Ask::new(axum::http::Method::POST, &format!("/payments/{id}/refund"));
        ask.as_service().send(&self.api).await
    }
}

#[tokio::test]
async fn a_repeated_payment_is_charged_once() {
    let shop = shop(201).await;
    let (status, first) = shop.pay("k", 500).await;
    assert_eq!(
        (status, &first["status"]),
        (StatusCode::CREATED, &json!("captured"))
    );
    let (status, again) = shop.pay("k", 500).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &first["id"]));
    assert_eq!(shop.bank.charges.load(Ordering::SeqCst), 1);
    let (status, problem) = shop.pay("k", 501).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:doorbuster:problem:key-reused");
}

#[tokio::test]
async fn a_declined_card_stays_declined() {
    let shop = shop(402).await;
    assert_eq!(shop.pay("k", 500).await.0, StatusCode::PAYMENT_REQUIRED);
    shop.bank.answers.store(201, Ordering::SeqCst);
    let (status, problem) = shop.pay("k", 500).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(problem["type"], "urn:doorbuster:problem:card-declined");
}

#[tokio::test]
async fn an_unclear_answer_of_the_bank_is_asked_for_again() {
    let shop = shop(500).await;
    let (status, problem) = shop.pay("k", 500).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["type"], "urn:doorbuster:problem:bank-unavailable");
    shop.bank.answers.store(200, Ordering::SeqCst);
    let (status, payment) = shop.pay("k", 500).await;
    assert_eq!(
        (status, &payment["status"]),
        (StatusCode::CREATED, &json!("captured"))
    );
}

#[tokio::test]
async fn money_is_refunded_once_and_only_if_it_was_taken() {
    let shop = shop(201).await;
    let (_, payment) = shop.pay("k", 500).await;
    let id = payment["id"].as_str().unwrap();
    for _ in 0..2 {
        let (status, refunded) = shop.refund(id).await;
        assert_eq!(
            (status, &refunded["status"]),
            (StatusCode::OK, &json!("refunded"))
        );
    }
    assert_eq!(shop.bank.refunds.load(Ordering::SeqCst), 1);
    assert_eq!(shop.refund("nothing").await.0, StatusCode::NOT_FOUND);
    shop.bank.answers.store(402, Ordering::SeqCst);
    shop.pay("other", 500).await;
    let (status, _) = shop.pay("other", 500).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn a_payment_is_shown_to_its_owner_only() {
    let shop = shop(201).await;
    let (_, payment) = shop.pay("k", 500).await;
    let path = format!("/payments/{}", payment["id"].as_str().unwrap());
    let owner = shop.identity.token("u-1");
    assert_eq!(
        ask_get(&path).with_token(&owner).send(&shop.api).await.0,
        StatusCode::OK
    );
    let other = shop.identity.token("u-2");
    assert_eq!(
        ask_get(&path).with_token(&other).send(&shop.api).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask_get(&path).send(&shop.api).await.0,
        StatusCode::UNAUTHORIZED
    );
    let forged = format!("{}x", shop.identity.token("u-1"));
    assert_eq!(
        ask_get(&path).with_token(&forged).send(&shop.api).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&shop(201).await.api, "payment").await;
}
