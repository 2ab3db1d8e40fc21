//! Corrupted, truncated and slow bodies, frame by frame.

use http_body_util::BodyExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|i| b'a' + (i % 26) as u8).collect()
}

#[test]
fn corrupted_bytes_are_few_and_never_valid_utf8() {
    for len in [1, 2, 99, 100, 101, 5_000] {
        let rng = |seed| ChaCha8Rng::seed_from_u64(seed);
        let before = body(len);
        let after = corrupt(&before, &mut rng(7));
        assert_eq!(after.len(), len);
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert_eq!(changed, len.div_ceil(100));
        assert!(std::str::from_utf8(&after).is_err());
        assert_eq!(after, corrupt(&before, &mut rng(7)));
        // A corrupted body can be corrupted again.
        assert_ne!(corrupt(&after, &mut rng(7)), after);
    }
}

#[tokio::test]
async fn a_truncated_body_has_its_full_size_hint_and_half_of_its_bytes() {
    let mut delivery = Delivery::new(body(101));
    delivery.truncated = true;
    let mut sending = delivery.send();
    assert_eq!(sending.size_hint().exact(), Some(101));
    let half = sending.frame().await.unwrap().unwrap();
    assert_eq!(half.into_data().unwrap(), body(50));
    assert!(!sending.is_end_stream());
    assert_eq!(sending.frame().await.unwrap().unwrap_err(), Truncated);
}

#[tokio::test]
async fn a_single_byte_is_truncated_to_none() {
    let mut delivery = Delivery::new(body(1));
    delivery.truncated = true;
    assert!(delivery.send().frame().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_complete_and_takes_its_time() {
    for (len, bytes_per_s) in [(1_000, 500), (10, 5), (3, 1_000_000)] {
        let takes = Duration::from_secs_f64(len as f64 / bytes_per_s as f64);
        let slow = || {
            let mut delivery = Delivery::new(body(len));
            delivery.slow_down(bytes_per_s, CancellationToken::new());
            delivery
        };
        let start = Instant::now();
        let sent = slow().send().collect().await.unwrap().to_bytes();
        assert_eq!(sent, body(len));
        let took = start.elapsed();
        assert!(
            took >= takes && took < takes + 2 * TICK,
            "{took:?} for {takes:?}"
        );
        let start = Instant::now();
        assert_eq!(slow().read().await, Ok(body(len)));
        assert!(start.elapsed() >= takes);
    }
}

#[tokio::test]
async fn the_rest_of_a_slow_body_is_sent_at_once_when_the_fault_ends() {
    let ended = CancellationToken::new();
    let slow = || {
        let mut delivery = Delivery::new(body(1_000));
        // The lower rate counts, whatever the order.
        delivery.slow_down(1, ended.clone());
        delivery.slow_down(1_000_000, CancellationToken::new());
        delivery
    };
    let sending = tokio::spawn(slow().send().collect());
    let reading = tokio::spawn(slow().read());
    ended.cancel();
    assert_eq!(sending.await.unwrap().unwrap().to_bytes(), body(1_000));
    assert_eq!(reading.await.unwrap(), Ok(body(1_000)));
}
