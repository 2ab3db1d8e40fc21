//! The token bucket: never above its rate, and at its full rate under load.

use proptest::prelude::*;
use shop_resilience::TokenBucket;

use crate::virtual_time::at_ms;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_span_of_time_gives_more_than_its_rate_and_a_bucketful(
        per_second in 0.1..200.0f64,
        gaps_ms in prop::collection::vec(0..400u64, 1..300),
    ) {
        let mut bucket = TokenBucket::new(per_second, at_ms(0));
        let (mut clock, mut given) = (0, Vec::new());
        for gap in gaps_ms {
            clock += gap;
            // Three callers at a time, the last of whom read the clock a little sooner than the others.
            for at in [clock, clock, clock.saturating_sub(50)] {
                if bucket.take(at_ms(at)) {
                    given.push(clock);
                }
            }
        }
        for (i, from) in given.iter().enumerate() {
            for (j, to) in given.iter().enumerate().skip(i) {
                let seconds = (to - from) as f64 / 1000.0;
                let most = per_second * seconds + per_second.max(1.0);
                prop_assert!((j - i + 1) as f64 <= most + 1e-6, "{} in {seconds} s", j - i + 1);
            }
        }
    }

    #[test]
    fn a_crowd_gets_all_of_the_rate(per_second in 1..100u64) {
        let mut bucket = TokenBucket::new(per_second as f64, at_ms(0));
        let given = (0..60_000).filter(|&ms| bucket.take(at_ms(ms))).count() as u64;
        // A minute's worth and the bucket that was full at the start; the last token may not be whole yet.
        prop_assert!((61 * per_second - 1..=61 * per_second).contains(&given), "{given}");
    }
}

#[test]
fn a_caller_below_the_rate_always_gets_a_token() {
    let mut bucket = TokenBucket::new(2.0, at_ms(0));
    assert!((0..1000).all(|i| bucket.take(at_ms(i * 500))));
}

#[test]
fn a_rate_below_one_a_second_still_gives_tokens() {
    let mut bucket = TokenBucket::new(0.5, at_ms(0));
    let given: Vec<u64> = (0..=6).filter(|&s| bucket.take(at_ms(s * 1000))).collect();
    assert_eq!(given, [0, 2, 4, 6]);
}

#[test]
fn a_pause_saves_at_most_a_second_of_tokens() {
    let mut bucket = TokenBucket::new(10.0, at_ms(0));
    let hour = at_ms(3_600_000);
    assert_eq!((0..100).filter(|_| bucket.take(hour)).count(), 10);
}
