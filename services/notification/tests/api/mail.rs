//! E-mail over a real SMTP conversation.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use shop_contract::audit::AuditLine;
use shop_kit::audit::AuditSource;
use shop_testkit::{ask_post, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::smtp::{MailServer, Reply};
use crate::{ALICE, Shop, confirmed, shop_with};

/// A running sender.
struct Sending {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Sending {
    fn start(shop: &Shop) -> Self {
        let notifications = shop.writer.notifications();
        let sender = shop_notification::sender(&shop.kit, &shop.own, notifications);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(sender.unwrap().unwrap().run(shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("it does not stop").unwrap();
    }
}

impl Shop {
    /// The customer's only message, once it has this status.
    async fn message_that_is(&self, status: &str) -> Value {
        until("the message's status", async || {
            self.messages(ALICE).await[0]["status"] == status
        })
        .await;
        self.messages(ALICE).await[0].clone()
    }

    fn shows(&self, outcome: &str, times: u32) -> bool {
        let line = format!("outcome=\"{outcome}\"");
        let page = self.kit.metrics().render();
        let mut lines = page
            .lines()
            .filter(|l| l.starts_with("shop_notifications_total") && l.contains(&line))
            .filter(|l| l.contains("channel=\"email\""));
        lines.any(|l| l.ends_with(&format!(" {times}")))
    }
}

#[tokio::test]
async fn a_confirmed_order_sends_one_mail() {
    let mut server = MailServer::new(Reply::Accept);
    server.start();
    let shop = shop_with(Some(server.url())).await;
    let sending = Sending::start(&shop);
    for event in ["e-1", "e-1", "e-2"] {
        shop.event(confirmed(event, "o-1")).await;
    }
    let message = shop.message_that_is("sent").await;
    assert!(message["sent_at_ms"].as_i64() >= message["created_at_ms"].as_i64());
    sending.stop().await;
    let letters = server.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].to.contains(&format!("<{ALICE}@shop.example>")));
    let id = message["id"].as_str().unwrap();
    let message_id = format!("Message-ID: <{id}@notification.shop.example>");
    assert!(letters[0].text.contains(&message_id), "{letters:?}");
    assert!(letters[0].text.contains("1 x Kettle, 5.00 EUR each"));
    assert!(shop.shows("sent", 1) && shop.shows("failed", 0));
    let audit = shop.writer.notifications().rows("", 100).await.unwrap();
    let sent =
        |l: &AuditLine| matches!(l, AuditLine::Notification { status, .. } if status == "sent");
    assert!(audit.len() == 1 && audit.iter().all(sent), "{audit:?}");
}

#[tokio::test]
async fn a_server_that_is_down_delays_nothing_but_mail() {
    let mut server = MailServer::new(Reply::Accept);
    let shop = shop_with(Some(server.url())).await;
    let sending = Sending::start(&shop);
    assert_eq!(
        shop.event(confirmed("e-1", "o-1")).await,
        StatusCode::NO_CONTENT
    );
    // It is listed although it is not sent yet.
    assert_eq!(shop.messages(ALICE).await[0]["status"], "queued");
    until("a deferred mail", async || !shop.shows("deferred", 0)).await;
    let depth = "shop_queue_depth{";
    let page = shop.kit.metrics().render();
    let mut lines = page.lines().filter(|l| l.starts_with(depth));
    assert!(
        lines.any(|l| l.contains("queue=\"mail\"") && l.ends_with(" 1.0")),
        "{page}"
    );
    // And shutdown does not wait for it.
    sending.stop().await;
    let sending = Sending::start(&shop);
    server.start();
    shop.message_that_is("sent").await;
    assert_eq!(server.letters().len(), 1);
    server.stop();
    sending.stop().await;
}

#[tokio::test]
async fn a_temporary_refusal_is_tried_again() {
    let mut server = MailServer::new(Reply::Defer(2));
    server.start();
    let shop = shop_with(Some(server.url())).await;
    let sending = Sending::start(&shop);
    shop.event(confirmed("e-1", "o-1")).await;
    shop.message_that_is("sent").await;
    sending.stop().await;
    assert_eq!(server.asked(), 3);
    assert!(shop.shows("deferred", 2) && shop.shows("sent", 1));
}

#[tokio::test]
async fn a_permanent_refusal_is_not() {
    let mut server = MailServer::new(Reply::Reject);
    server.start();
    let shop = shop_with(Some(server.url())).await;
    let sending = Sending::start(&shop);
    shop.event(confirmed("e-1", "o-1")).await;
    let message = shop.message_that_is("failed").await;
    assert_eq!(message["sent_at_ms"], Value::Null);
    sending.stop().await;
    assert_eq!(server.asked(), 1);
    assert!(shop.shows("failed", 1) && shop.shows("sent", 0));
}

#[tokio::test]
async fn two_replicas_send_each_mail_once() {
    let mut server = MailServer::new(Reply::Accept);
    server.start();
    let shop = shop_with(Some(server.url())).await;
    let (one, other) = (Sending::start(&shop), Sending::start(&shop));
    for n in 0..30 {
        let body = json!({"key": format!("k-{n}"), "user_id": ALICE, "email": "a@shop.example",
            "subject": "Hello", "body": "…"});
        let ask = ask_post("/notifications/send", body).as_service();
        assert_eq!(ask.send(&shop.api).await.0, StatusCode::CREATED);
    }
    until("an empty queue", async || {
        shop.writer.notifications().queued().await.unwrap() == 0
    })
    .await;
    one.stop().await;
    other.stop().await;
    assert_eq!(server.letters().len(), 30);
}

#[tokio::test]
async fn without_a_mail_server_messages_are_kept() {
    let shop = shop_with(None).await;
    shop.event(confirmed("e-1", "o-1")).await;
    assert_eq!(shop.messages(ALICE).await[0]["status"], "kept");
    assert!(
        shop_notification::sender(&shop.kit, &shop.own, shop.writer.notifications())
            .unwrap()
            .is_none()
    );
    assert!(shop.shows("kept", 1));
}
