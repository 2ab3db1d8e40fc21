//! Deadlines: no hop adds time.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{Deadline, Moment};

proptest! {
    #[test]
    fn the_way_over_the_wire_never_adds_time_and_loses_less_than_a_millisecond(
        sender_us in 0u64..1 << 50,
        receiver_us in 0u64..1 << 50,
        left_us in 0u64..100_000_000,
    ) {
        let sender = Moment::after_origin(Duration::from_micros(sender_us));
        let receiver = Moment::after_origin(Duration::from_micros(receiver_us));
        let sent = Deadline::after(sender, Duration::from_micros(left_us));
        let received = Deadline::from_header(&sent.to_header(sender), receiver).expect("it is our own");
        let (before, after) = (sent.remaining(sender), received.remaining(receiver));
        prop_assert!(after <= before);
        prop_assert!(before - after < Duration::from_millis(1));
    }

    #[test]
    fn nothing_lives_longer_than_the_maximum_nor_a_try_longer_than_its_call(
        asked in any::<u64>(),
        per_try_ms in 0u64..1_000_000,
        later_ms in 0u64..200_000,
    ) {
        let call = Deadline::from_header(&asked.to_string(), Moment::ORIGIN).expect("digits");
        prop_assert!(call.remaining(Moment::ORIGIN) <= Deadline::MAX);
        let now = Moment::after_origin(Duration::from_millis(later_ms));
        let of_try = call.for_try(now, Duration::from_millis(per_try_ms));
        prop_assert!(of_try.remaining(now) <= call.remaining(now));
        prop_assert!(of_try.remaining(now) <= Duration::from_millis(per_try_ms));
    }

    #[test]
    fn any_text_is_a_deadline_or_none_and_never_a_panic(text in ".{0,24}") {
        let read = Deadline::from_header(&text, Moment::ORIGIN);
        prop_assert_eq!(read.is_some(), text.parse::<u64>().is_ok() && !text.starts_with('+'));
    }

    #[test]
    fn what_is_admitted_has_the_floor_left(left_us in 0u64..20_000, floor_us in 0u64..20_000) {
        let deadline = Deadline::after(Moment::ORIGIN, Duration::from_micros(left_us));
        let admitted = deadline.admits(Moment::ORIGIN, Duration::from_micros(floor_us));
        prop_assert_eq!(admitted, left_us > 0 && left_us >= floor_us);
    }
}
