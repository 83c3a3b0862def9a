//! Numbers as people read them, the same wherever they are told; `--json` and events carry plain numbers.

use std::time::Duration;

/// The units of bytes, each 1024 times the one before; the first is 1024 bytes.
const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// Bytes with a binary unit: `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Reads a whole number of bytes with a unit: `50GiB`, `50 GiB`, `4096 B`. `None` if it is none, or is too large.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let power = match unit.trim_start() {
        "B" => 0,
        unit => UNITS.iter().position(|known| *known == unit)? + 1,
    };
    number.checked_mul(1024_u64.checked_pow(u32::try_from(power).ok()?)?)
}

/// Reads a span of days, weeks, months of 30 days or years of 365: `10d`, `6w`, `6m`, `1y`. `None` if it is none, or is too
/// long.
pub fn parse_days(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let days = match unit {
        "d" => 1,
        "w" => 7,
        "m" => 30,
        "y" => 365,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs(number.checked_mul(days)?.checked_mul(24 * 60 * 60)?))
}

/// A count with its noun: `1 artifact`, `3 artifacts`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A duration: `830 ms`, `12.3 s`.
pub fn duration(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// An age in minutes, hours or days, whichever is the largest that fits, rounded down: `31 days`.
pub fn age(seconds: u64) -> String {
    let mut units = [(86_400, "day"), (3_600, "hour")].into_iter();
    let (length, noun) = units.find(|(length, _)| seconds >= 2 * length).unwrap_or((60, "minute"));
    count(seconds / length, noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit() {
        for (text, days) in [("0d", 0), ("10d", 10), ("2w", 14), ("6m", 180), ("1y", 365)] {
            assert_eq!(parse_days(text), Some(Duration::from_secs(days * 86_400)), "{text}");
        }
        for bad in [
            "",
            "d",
            "6",
            "6M",
            "+6m",
            "-6m",
            "6 m",
            "6mo",
            "1.5y",
            "99999999999999999999d",
            "ä",
            "18446744073709551615y",
        ] {
            assert_eq!(parse_days(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, size) in
            [("0B", 0), ("4096 B", 4096), ("50GiB", 50 << 30), ("1 KiB", 1024), ("16383PiB", 16383 << 50)]
        {
            assert_eq!(parse_bytes(text), Some(size), "{text}");
        }
        for text in [
            "",
            "5",
            "GiB",
            "5GB",
            "5gib",
            "1.5GiB",
            "-1B",
            "+1B",
            "16384PiB",
            "99999999999999999999B",
            "1GiB ",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(bytes(4 << 30), "4.0 GiB");
        assert_eq!(count(1, "artifact"), "1 artifact");
        assert_eq!(count(0, "artifact"), "0 artifacts");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
    }

    #[test]
    fn ages_are_readable() {
        for (seconds, text) in
            [(59, "0 minutes"), (7199, "119 minutes"), (172_800, "2 days"), (2_678_400, "31 days")]
        {
            assert_eq!(age(seconds), text);
        }
    }
}
