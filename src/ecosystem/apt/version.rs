//! Versions as dpkg orders them: `[epoch:]upstream[-revision]` (Debian Policy 5.6.12).
//!
//! Nothing is parsed beforehand: the solver compares texts that it has interned, most of which differ early.

use std::cmp::Ordering;

/// Compares two versions. Every text has a place in this order, those that dpkg would refuse as well.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (Parts::of(one.as_bytes()), Parts::of(other.as_bytes()));
    compare_part(one.epoch, other.epoch)
        .then_with(|| compare_part(one.upstream, other.upstream))
        .then_with(|| compare_part(one.revision, other.revision))
}

/// A version, cut up. An absent epoch or revision is empty, which is as good as zero.
struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a [u8]) -> Parts<'a> {
        let (epoch, rest) = match version.iter().position(|byte| *byte == b':') {
            Some(colon) => (&version[..colon], &version[colon + 1..]),
            None => (&version[..0], version),
        };
        let (upstream, revision) = match rest.iter().rposition(|byte| *byte == b'-') {
            Some(hyphen) => (&rest[..hyphen], &rest[hyphen + 1..]),
            None => (rest, &rest[..0]),
        };
        Parts { epoch, upstream, revision }
    }
}

/// Compares one part by turns: what is not a number by [`weight`], then a number by its value.
fn compare_part(mut one: &[u8], mut other: &[u8]) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        loop {
            let (left, right) = (weight(one), weight(other));
            if left != right {
                return left.cmp(&right);
            }
            if left == 0 {
                break;
            }
            (one, other) = (&one[1..], &other[1..]);
        }
        let (left, right) = (take_number(&mut one), take_number(&mut other));
        let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Where the first character stands among those that are no digits: a tilde before the end, then letters, then others.
fn weight(text: &[u8]) -> i32 {
    match text.first() {
        Some(b'~') => -1,
        None | Some(b'0'..=b'9') => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

/// Takes the digits at the beginning, and gives them without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was confirmed by `dpkg --compare-versions`.
    const ASCENDING: &[&str] = &[
        "0~~",
        "0~",
        "0",
        "0.0~rc1",
        "0.0",
        "1.0~beta1~svn1245",
        "1.0~beta1",
        "1.0",
        "1.0-0.1",
        "1.0-1~bpo12+1",
        "1.0-1",
        "1.0-1+b1",
        "1.0-1+deb12u1",
        "1.0-1.1",
        "1.0-10",
        "1.0-a",
        "1.0a",
        "1.0+git",
        "1.0.1",
        "1.2.3-4",
        "1.10",
        "22.01+dfsg-8",
        "22.01+really26.01+dfsg-1",
        "2021.1",
        "1:0.1",
        "1:1.0",
        "10:0",
    ];

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        for (place, one) in ASCENDING.iter().enumerate() {
            for (other_place, other) in ASCENDING.iter().enumerate() {
                assert_eq!(compare(one, other), place.cmp(&other_place), "{one} and {other}");
            }
        }
    }

    #[test]
    fn zeros_and_absent_parts_are_nothing() {
        for (one, other) in [
            ("1.0", "1.0-0"),
            ("0:1.0", "1.0"),
            ("1.0", "1.00"),
            ("1.01", "1.1"),
            ("1.0-01", "1.0-1"),
            ("", "0"),
            ("00099999999999999999999999999999", "99999999999999999999999999999"),
        ] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} and {other}");
        }
        assert_eq!(compare("99999999999999999999999999998", "99999999999999999999999999999"), Ordering::Less);
    }
}
