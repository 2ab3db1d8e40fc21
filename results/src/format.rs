//! Formats numbers for people: three digits with a unit, and never zero for a small positive value.

/// Microseconds to three digits, with a suitable unit.
pub(crate) fn scaled(us: u64) -> (String, &'static str) {
    let us = us as f64;
    let (value, unit) = match us {
        _ if us < 1e3 => return (format!("{us:.0}"), "us"),
        _ if us < 999.5e3 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    (three_digits(value), unit)
}

/// A latency in a table: `950 µs`, `2.10 ms`, `12.3 ms`, `1.24 s`.
pub(crate) fn latency(us: u64) -> String {
    match scaled(us) {
        (value, "us") => format!("{value} µs"),
        (value, unit) => format!("{value} {unit}"),
    }
}

/// A latency as scenarios write it, to three digits: `2.1ms`, `412ms`.
pub(crate) fn written(us: u64) -> String {
    let (value, unit) = scaled(us);
    format!("{}{unit}", trimmed(value))
}

/// A latency in a column of milliseconds: `0.81`, `12.3`, `1240`.
pub(crate) fn millis(us: u64) -> String {
    match us {
        1..5 => "<0.01".to_owned(),
        _ => three_digits(us as f64 / 1e3),
    }
}

/// A rate per second in a column: `0.8`, `51.2`, `1240`.
pub(crate) fn rate(per_s: f64) -> String {
    match per_s {
        _ if per_s > 0.0 && per_s < 0.05 => "<0.1".to_owned(),
        _ if per_s < 99.95 => format!("{per_s:.1}"),
        _ => format!("{per_s:.0}"),
    }
}

/// A share in a narrow column: `<0.1%`, `0.7%`, `12%`. Shown as `100%` only if it is the whole.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = 100.0 * part as f64 / whole.max(1) as f64;
    match percent {
        _ if part > 0 && percent < 0.05 => "<0.1%".to_owned(),
        _ if percent < 9.95 => format!("{percent:.1}%"),
        _ if part < whole => format!("{:.0}%", percent.min(99.0)),
        _ => format!("{percent:.0}%"),
    }
}

/// A ratio as a percentage: `1.5%`, to three decimals, without trailing zeros.
pub(crate) fn percent(ratio: f64) -> String {
    match trimmed(format!("{:.3}", ratio * 100.0)) {
        zero if zero == "0" && ratio > 0.0 => "<0.001%".to_owned(),
        shown => format!("{shown}%"),
    }
}

/// Seconds as scenarios write them: `3.25s`, `10s`.
pub(crate) fn seconds(s: f64) -> String {
    format!("{}s", trimmed(format!("{s:.2}")))
}

/// A decimal number without trailing zeros.
pub(crate) fn trimmed(number: String) -> String {
    match number.contains('.') {
        true => number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => number,
    }
}

/// A count with separated thousands: `6,210`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Memory in powers of 1024: `412 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    let mib = n as f64 / (1024.0 * 1024.0);
    match mib {
        _ if mib < 1023.5 => format!("{} MiB", three_digits(mib)),
        _ => format!("{} GiB", three_digits(mib / 1024.0)),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_three_digits_and_cross_units_without_four() {
        for (us, shown) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_999, "10.0 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (1_240_000, "1.24 s"),
            (60_000_000, "60.0 s"),
        ] {
            assert_eq!(latency(us), shown, "{us}");
        }
    }

    #[test]
    fn a_small_share_is_not_shown_as_zero() {
        for (ratio, shown) in [
            (0.0, "0%"),
            (0.000_001, "<0.001%"),
            (0.015, "1.5%"),
            (0.07, "7%"),
            (1.0, "100%"),
        ] {
            assert_eq!(percent(ratio), shown);
        }
    }

    #[test]
    fn values_in_a_narrow_column_are_short_and_never_zero_for_a_few() {
        assert_eq!(
            [0, 4, 5, 807, 9_994, 62_310, 1_240_000].map(millis),
            ["0.00", "<0.01", "0.01", "0.81", "9.99", "62.3", "1240"]
        );
        assert_eq!(
            [0.0, 0.03, 0.05, 51.17, 99.96, 1240.4].map(rate),
            ["0.0", "<0.1", "0.1", "51.2", "100", "1240"]
        );
        let shares = [(0, 9), (1, 9_000), (1, 137), (12, 100), (999, 1000), (7, 7)];
        assert_eq!(
            shares.map(|(part, whole)| share(part, whole)),
            ["0.0%", "<0.1%", "0.7%", "12%", "99%", "100%"]
        );
        assert_eq!(written(2_100), "2.1ms");
    }

    #[test]
    fn counts_and_bytes_are_grouped_and_scaled() {
        assert_eq!(
            [0, 999, 1_000, 6_210, 1_234_567].map(count),
            ["0", "999", "1,000", "6,210", "1,234,567"]
        );
        assert_eq!(bytes(412 << 20), "412 MiB");
        assert_eq!(bytes(3 << 29), "1.50 GiB");
    }
}
