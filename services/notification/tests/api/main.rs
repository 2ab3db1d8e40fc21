//! The notifications as their callers see them: the real router over a real database.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod mail;
mod smtp;

use std::collections::BTreeMap;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shop_contract::Role;
use shop_kit::Kit;
use shop_kit::audit::AuditSource;
use shop_notification::NotificationConfig;
use shop_notification::subscriber::Writer;
use shop_testkit::{ConfirmedOrder, Identity, ask_get, ask_post, check_document, config};
use tempfile::TempDir;

/// A customer whose only channel is e-mail.
const ALICE: &str = "u-1";
/// A customer with text messages as well.
const BOB: &str = "u-3";

struct Shop {
    api: Router,
    kit: Kit,
    writer: Writer,
    own: NotificationConfig,
    identity: Identity,
    _folder: TempDir,
}

async fn shop() -> Shop {
    shop_with(None).await
}

/// A shop with this mail server.
async fn shop_with(smtp_url: Option<String>) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::start().await;
    let peers = BTreeMap::from([(Role::User, vec![identity.address.clone()])]);
    let kit = Kit::new(config(Role::Notification, folder.path(), peers));
    let own = NotificationConfig { smtp_url };
    let writer = shop_notification::open(&kit, &own).await.unwrap();
    Shop {
        api: shop_notification::router(&kit, writer.clone()),
        writer,
        own,
        kit,
        identity,
        _folder: folder,
    }
}

fn confirmed(event_id: &str, order: &str) -> Value {
    confirmed_to(ALICE, event_id, order)
}

fn confirmed_to(user_id: &str, event_id: &str, order_id: &str) -> Value {
    let order = ConfirmedOrder {
        event_id,
        order_id,
        user_id,
        unit_price_minor: 500,
        bought: &[("p-00001", 1)],
        ..ConfirmedOrder::default()
    };
    order.event()
}

impl Shop {
    async fn event(&self, event: Value) -> StatusCode {
        ask_post("/events", event)
            .as_service()
            .send(&self.api)
            .await
            .0
    }

    async fn messages(&self, user: &str) -> Vec<Value> {
        let token = self.identity.token(user);
        let (_, list) = ask_get("/notifications")
            .with_token(&token)
            .send(&self.api)
            .await;
        list["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_is_one_message() {
    let shop = shop().await;
    for _ in 0..2 {
        assert_eq!(
            shop.event(confirmed("e-1", "o-1")).await,
            StatusCode::NO_CONTENT
        );
    }
    // Another event about the same order, as after a replay of the order's history.
    assert_eq!(
        shop.event(confirmed("e-2", "o-1")).await,
        StatusCode::NO_CONTENT
    );
    let messages = shop.messages(ALICE).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(
        messages[0]["subject"],
        "Your order over 5.00 EUR is confirmed"
    );
    let metrics = shop.kit.metrics().render();
    let seen = |outcome: &str| metrics.contains(&format!("outcome=\"{outcome}\""));
    assert!(seen("done") && seen("duplicate"), "{metrics}");
}

#[tokio::test]
async fn messages_are_shown_to_their_addressee_only() {
    let shop = shop().await;
    shop.event(confirmed("e-1", "o-1")).await;
    assert!(shop.messages("u-2").await.is_empty());
    assert_eq!(
        ask_get("/notifications").send(&shop.api).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_direct_message_is_sent_once_per_key_and_by_services_alone() {
    let shop = shop().await;
    let body =
        json!({"key": "k", "user_id": ALICE, "email": "a@b", "subject": "Hello", "body": "…"});
    let send = || ask_post("/notifications/send", body.clone());
    assert_eq!(
        send().as_service().send(&shop.api).await.0,
        StatusCode::CREATED
    );
    assert_eq!(send().as_service().send(&shop.api).await.0, StatusCode::OK);
    assert_eq!(send().send(&shop.api).await.0, StatusCode::NOT_FOUND);
    assert_eq!(shop.messages(ALICE).await.len(), 1);
}

#[tokio::test]
async fn a_second_channel_gets_one_message_too() {
    let shop = shop().await;
    for event in ["e-1", "e-1", "e-2"] {
        shop.event(confirmed_to(BOB, event, "o-1")).await;
    }
    let messages = shop.messages(BOB).await;
    let mut channels: Vec<_> = messages.iter().map(|m| m["channel"].clone()).collect();
    channels.sort_by_key(Value::to_string);
    assert_eq!(channels, ["email", "sms"]);
    assert!(messages.iter().all(|m| m["status"] == "kept"));
}

#[tokio::test]
async fn events_without_a_customer_are_accepted_and_ignored() {
    let shop = shop().await;
    let event = json!({"id": "e-1", "source": "inventory", "subject": "opening", "time_ms": 1,
        "type": "stock.changed", "data": {"levels": []}});
    assert_eq!(shop.event(event).await, StatusCode::NO_CONTENT);
    assert!(
        shop.writer
            .notifications()
            .rows("", 100)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&shop().await.api, "notification").await;
}
