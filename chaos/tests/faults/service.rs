//! Service faults: injected for the remaining time, counted at the target, and always cleared.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use chaos::Schedule;
use results::record::FaultEventKind::{Asked, Ended, InForce, Refused};
use shop_contract::faults::{Distribution, FaultEffect};

use crate::shop::{FakeShop, Run, SEED, slow};
use crate::target::AdminStub;

/// Far longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_fault_is_injected_for_its_window_counted_at_the_target_and_cleared_on_shutdown() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);

    run.event(Asked).await;
    run.event(InForce).await;
    let order = bank.read(|m| m.orders[0].clone());
    let scheduled = Schedule::new([slow("bank", LONG)], SEED).scheduled()[0].clone();
    assert_eq!(order.name, "bank-slow");
    assert!((590_000..=600_000).contains(&order.ttl_ms), "{order:?}");
    assert_eq!(order.share, 0.5);
    assert_eq!(order.seed, scheduled.seed_at(0));
    let (delay_us, jitter_us) = (300_000, 100_000);
    assert_eq!(
        order.effect,
        FaultEffect::Latency {
            delay_us,
            jitter_us,
            distribution: Distribution::Uniform,
        }
    );
    assert_eq!(
        bank.read(|m| m.authorization.clone()).as_deref(),
        Some("Bearer sesame")
    );

    bank.hit("bank-slow", 7);
    run.until_hits("bank-slow", 7).await;
    // These hits are only in the reply to the clearing.
    bank.hit("bank-slow", 9);
    run.shutdown.cancel();
    assert_eq!(run.event(Ended).await.hits, Some(9));
    assert!(!run.statuses()["bank-slow"].active);
    let rows = run.stop().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].name.as_str(), rows[0].target.as_str(), rows[0].hits),
        ("bank-slow", "bank", 9)
    );
    assert!(rows[0].started_s < rows[0].ended_s);
    assert_eq!(rows[0].detected_s, None);
    assert!(bank.read(|m| m.active.is_empty()));
}

#[tokio::test]
async fn a_fault_ends_when_its_window_does() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let lasts = Duration::from_millis(150);
    let rows = Run::start(&shop, vec![slow("bank", lasts)]).rows().await;
    assert!(rows[0].ended_s >= lasts.as_secs_f64(), "{rows:?}");
    assert!(bank.read(|m| m.active.is_empty() && m.ended.len() == 1));
}

#[tokio::test]
async fn a_restarted_replica_gets_the_fault_again_for_the_remaining_time() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
    run.event(Asked).await;
    run.event(InForce).await;
    bank.hit("bank-slow", 5);
    run.until_hits("bank-slow", 5).await;

    bank.forget();
    let again = run.event(InForce).await;
    assert!(again.detail.unwrap().contains("bank/0"));
    let ttls = bank.read(|m| m.orders.iter().map(|o| o.ttl_ms).collect::<Vec<_>>());
    assert_eq!(ttls.len(), 2);
    assert!(ttls[1] < ttls[0], "{ttls:?}");

    bank.hit("bank-slow", 3);
    run.until_hits("bank-slow", 8).await;
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, 8, "hits of both processes");
    assert!(bank.read(|m| m.active.is_empty()));
}

#[tokio::test]
async fn a_fault_that_its_target_refuses_is_refused() {
    for (status, reason) in [
        (StatusCode::CONFLICT, "bank-slow is in use"),
        (StatusCode::BAD_REQUEST, "a time to live is needed"),
    ] {
        let bank = AdminStub::start().await;
        bank.change(|m| m.refusal = Some((status, reason)));
        let shop = Arc::new(FakeShop::with("bank", &[&bank]));
        let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
        run.event(Asked).await;
        let refused = run.event(Refused).await;
        let detail = refused.detail.unwrap();
        assert!(
            detail.contains(status.as_str()) && detail.contains(reason),
            "{detail}"
        );
        assert!(!run.statuses()["bank-slow"].active);
        let rows = run.stop().await;
        assert_eq!(rows[0].hits, 0);
        assert_eq!(rows[0].started_s, rows[0].ended_s);
        // The existing fault of that name is not cleared.
        assert_eq!(bank.read(|m| m.calls.clone()), ["POST /faults"]);
    }
}

#[tokio::test]
async fn a_fault_whose_target_is_down_is_refused() {
    let mut bank = AdminStub::start().await;
    bank.die().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    for (role, expected) in [
        ("bank", "no reply from the admin endpoint"),
        ("cart", "the shop has no cart"),
    ] {
        let mut run = Run::start(&shop, vec![slow(role, LONG)]);
        run.event(Asked).await;
        let detail = run.event(Refused).await.detail.unwrap();
        assert!(detail.starts_with(expected), "{detail}");
        let rows = run.stop().await;
        assert!(rows.len() == 1 && rows[0].hits == 0, "{rows:?}");
    }
}

#[tokio::test]
async fn a_fault_whose_time_is_over_is_not_injected() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", Duration::ZERO)]);
    run.event(Asked).await;
    let detail = run.event(Refused).await.detail.unwrap();
    assert_eq!(detail, "its time was over before it was injected");
    run.rows().await;
    assert!(bank.read(|m| m.calls.is_empty()));
}

#[tokio::test]
async fn an_order_without_a_reply_is_cleared() {
    let bank = AdminStub::start().await;
    bank.change(|m| m.mute = true);
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
    run.event(Asked).await;
    run.event(Refused).await;
    assert!(bank.read(|m| m.active.is_empty() && m.ended.len() == 1));
    run.stop().await;
}

#[tokio::test]
async fn a_fault_of_a_role_goes_to_all_of_its_replicas_and_their_hits_add_up() {
    let (first, second) = (AdminStub::start().await, AdminStub::start().await);
    let shop = Arc::new(FakeShop::with("order", &[&first, &second]));
    let mut run = Run::start(&shop, vec![slow("order", LONG)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let seed = |stub: &AdminStub| stub.read(|m| m.orders[0].seed);
    assert_ne!(
        seed(&first),
        seed(&second),
        "each replica has its own draws"
    );
    first.hit("order-slow", 4);
    second.hit("order-slow", 6);
    run.until_hits("order-slow", 10).await;
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, 10);
    for stub in [&first, &second] {
        assert!(stub.read(|m| m.active.is_empty()));
    }
}

#[tokio::test]
async fn a_refusal_by_one_replica_removes_the_fault_from_the_others() {
    let (first, second) = (AdminStub::start().await, AdminStub::start().await);
    second.change(|m| m.refusal = Some((StatusCode::BAD_REQUEST, "not here")));
    let shop = Arc::new(FakeShop::with("order", &[&first, &second]));
    let mut run = Run::start(&shop, vec![slow("order", LONG)]);
    run.event(Asked).await;
    run.event(Refused).await;
    assert!(first.read(|m| m.active.is_empty() && m.ended.len() == 1));
    run.stop().await;
}

#[tokio::test]
async fn a_replica_that_starts_later_gets_the_fault_then() {
    let (first, second) = (AdminStub::start().await, AdminStub::start().await);
    let shop = Arc::new(FakeShop::with("order", &[&first]));
    shop.set_address("order", 1, None);
    let mut run = Run::start(&shop, vec![slow("order", LONG)]);
    run.event(Asked).await;
    let detail = run.event(InForce).await.detail.unwrap();
    assert_eq!(detail, "not yet at order/1: order/1 is not running");
    shop.set_address("order", 1, Some(second.address));
    second
        .until("the second replica has the fault", |m| m.active.len() == 1)
        .await;
    run.stop().await;
    assert!(second.read(|m| m.active.is_empty()));
}

#[tokio::test]
async fn a_target_that_dies_leaves_its_last_known_count() {
    let mut bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
    run.event(Asked).await;
    run.event(InForce).await;
    bank.hit("bank-slow", 12);
    run.until_hits("bank-slow", 12).await;
    bank.die().await;
    run.shutdown.cancel();
    let ended = run.event(Ended).await;
    assert_eq!(ended.hits, Some(12));
    let detail = ended.detail.unwrap();
    assert!(detail.starts_with("last known count of bank/0"), "{detail}");
    assert_eq!(run.stop().await[0].hits, 12);
}

#[tokio::test]
async fn a_fault_that_was_cleared_by_hand_stays_ended() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
    run.event(Asked).await;
    run.event(InForce).await;
    bank.hit("bank-slow", 2);
    bank.expire("bank-slow");
    assert_eq!(run.event(Ended).await.hits, Some(2));
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, 2);
    assert_eq!(bank.read(|m| m.orders.len()), 1, "it was injected again");
}

#[tokio::test]
async fn a_fault_that_expired_just_before_it_was_cleared_has_its_hits() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start_checking_every(&shop, vec![slow("bank", LONG)], LONG);
    run.event(Asked).await;
    run.event(InForce).await;
    bank.hit("bank-slow", 3);
    bank.expire("bank-slow");
    assert_eq!(run.stop().await[0].hits, 3);
}

#[tokio::test]
async fn nothing_is_left_behind_when_the_run_is_dropped() {
    let bank = AdminStub::start().await;
    let shop = Arc::new(FakeShop::with("bank", &[&bank]));
    let mut run = Run::start(&shop, vec![slow("bank", LONG)]);
    run.event(Asked).await;
    run.event(InForce).await;
    run.abandon().await;
    bank.until("the fault is cleared", |m| {
        m.active.is_empty() && m.ended.len() == 1
    })
    .await;
}
