//! Values with units, as scenarios write them: `300ms`, `10/s`, `1%`.
//!
//! A bare number is refused where a unit is needed: a load test must not guess whether `delay: 3` means seconds or
//! milliseconds.

use std::time::Duration;

use crate::Node;

/// A whole number from 0.
pub fn integer(node: Node<'_>) -> Option<u64> {
    let text = node.text()?;
    let parsed = text.replace('_', "").parse().ok();
    if parsed.is_none() {
        node.mistake(format!("expected a whole number, found `{text}`"));
    }
    parsed
}

/// A whole number within inclusive bounds.
pub fn integer_in(node: Node<'_>, least: u64, most: u64) -> Option<u64> {
    let value = integer(node)?;
    if (least..=most).contains(&value) {
        Some(value)
    } else {
        node.mistake(format!("expected {least} to {most}, found {value}"));
        None
    }
}

/// A duration: `250us`, `300ms`, `5s`, `2m`, `1h`, also `1.5s`.
pub fn duration(node: Node<'_>) -> Option<Duration> {
    let text = node.text()?;
    let parsed = parse_duration(&text);
    if parsed.is_none() {
        node.mistake(format!(
            "expected a length of time such as 300ms, 5s or 2m, found `{text}`"
        ));
    }
    parsed
}

/// Arrivals or requests per second: `10/s`, `90/m`, `0.5/s`.
pub fn rate(node: Node<'_>) -> Option<f64> {
    let text = node.text()?;
    let parsed = parse_rate(&text);
    if parsed.is_none() {
        node.mistake(format!(
            "expected a rate such as 10/s or 90/m, found `{text}`"
        ));
    }
    parsed
}

/// A constant rate, or a ramp from one to another: `10/s` or `10/s..60/s`.
pub fn rate_or_ramp(node: Node<'_>) -> Option<(f64, f64)> {
    let text = node.text()?;
    let parsed = match text.split_once("..") {
        None => parse_rate(&text).map(|r| (r, r)),
        Some((from, to)) => parse_rate(from.trim()).zip(parse_rate(to.trim())),
    };
    if parsed.is_none() {
        node.mistake(format!(
            "expected a rate such as 10/s, or a ramp such as 10/s..60/s, found `{text}`"
        ));
    }
    parsed
}

/// A share of a whole, 0 to 1, written as a percentage: `100%`, `0.5%`.
pub fn share(node: Node<'_>) -> Option<f64> {
    let text = node.text()?;
    let parsed = parse_share(&text);
    if parsed.is_none() {
        node.mistake(format!("expected a share from 0% to 100%, found `{text}`"));
    }
    parsed
}

/// A time offset in seconds, which may be negative: `2h`, `-90s`.
pub fn offset(node: Node<'_>) -> Option<f64> {
    let text = node.text()?;
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1.0, length.trim_start()),
        None => (1.0, text.strip_prefix('+').unwrap_or(&text)),
    };
    let parsed = parse_duration(length).map(|d| sign * d.as_secs_f64());
    if parsed.is_none() {
        node.mistake(format!(
            "expected a length of time such as 90s, or -90s for the other way, found `{text}`"
        ));
    }
    parsed
}

/// A size in bytes: `512KB`, `200MB`, `1GB`. Units are powers of 1000.
pub fn size(node: Node<'_>) -> Option<u64> {
    let text = node.text()?;
    let parsed = parse_size(&text);
    if parsed.is_none() {
        node.mistake(format!(
            "expected an amount such as 512KB, 200MB or 1GB, found `{text}`"
        ));
    }
    parsed
}

/// A speed in bytes per second: `2KB/s`, `1MB/s`.
pub fn speed(node: Node<'_>) -> Option<u64> {
    let text = node.text()?;
    let parsed = text.strip_suffix("/s").and_then(parse_size);
    if parsed.is_none() {
        node.mistake(format!(
            "expected a speed such as 2KB/s or 1MB/s, found `{text}`"
        ));
    }
    parsed
}

/// [`size`] on plain text.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let bytes = match unit {
        "B" => number,
        "KB" | "kB" => number * 1e3,
        "MB" => number * 1e6,
        "GB" => number * 1e9,
        _ => return None,
    };
    (bytes < 1e15).then_some(bytes as u64)
}

/// [`duration`] on plain text.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let seconds = match unit {
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// [`rate`] on plain text, per second.
pub fn parse_rate(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "/s" => Some(number),
        "/m" | "/min" => Some(number / 60.0),
        "/h" => Some(number / 3600.0),
        _ => None,
    }
}

/// [`share`] on plain text, 0 to 1.
pub fn parse_share(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    (unit == "%" && number <= 100.0).then_some(number / 100.0)
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    number
        .is_finite()
        .then(|| (number, text[end..].trim_start()))
}

/// A duration as scenarios write it.
pub fn show_duration(d: Duration) -> String {
    let us = d.as_micros();
    match us {
        0 => "0s".to_owned(),
        _ if us.is_multiple_of(60_000_000) => format!("{}m", us / 60_000_000),
        _ if us.is_multiple_of(1_000_000) => format!("{}s", us / 1_000_000),
        _ if us.is_multiple_of(1_000) => format!("{}ms", us / 1_000),
        _ => format!("{us}us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_bare_numbers_refused() {
        assert_eq!(parse_duration("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(parse_size("200MB"), Some(200_000_000));
        assert_eq!(parse_size("1.5KB"), Some(1500));
        assert_eq!(parse_size("200"), None);
        assert_eq!(parse_size("200MiB"), None);
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("3"), None);
        assert_eq!(parse_duration("-3s"), None);
        assert_eq!(parse_rate("90/m"), Some(1.5));
        assert_eq!(parse_rate("90"), None);
        assert_eq!(parse_share("1%"), Some(0.01));
        assert_eq!(parse_share("101%"), None);
    }

    #[test]
    fn durations_are_shown_in_their_largest_whole_unit() {
        for text in ["300ms", "5s", "2m", "250us", "0s"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }
}
