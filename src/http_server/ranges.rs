//! Single byte ranges, RFC 9110 section 14.

/// What a Range header asks of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Everything: there is no range, or one that a server may ignore (not bytes, malformed, several).
    Whole,
    /// These bytes: from the first to before the end.
    Part {
        /// The first byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
    },
    /// Nothing of it is there: 416.
    Unsatisfiable,
}

/// Reads a Range header for a representation of `length` bytes.
pub(super) fn read(header: &str, length: u64) -> Range {
    let Some((unit, set)) = header.split_once('=') else { return Range::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Range::Whole;
    }
    let Some((first, last)) = set.trim_matches([' ', '\t']).split_once('-') else { return Range::Whole };
    match (first.is_empty(), number(first), last.is_empty(), number(last)) {
        // The last so many bytes. An empty representation has no byte that a 206 could name.
        (true, _, _, Some(_)) if length == 0 => Range::Whole,
        (true, _, _, Some(0)) => Range::Unsatisfiable,
        (true, _, _, Some(count)) => Range::Part { start: length.saturating_sub(count), end: length },
        (_, Some(start), true, _) => within(start, length, length),
        (_, Some(start), _, Some(last)) if start <= last => within(start, last.saturating_add(1), length),
        // Ignoring it is allowed as well, but registries of images have to refuse it.
        (_, Some(_), _, Some(_)) => Range::Unsatisfiable,
        _ => Range::Whole,
    }
}

fn within(start: u64, end: u64, length: u64) -> Range {
    if start >= length { Range::Unsatisfiable } else { Range::Part { start, end: end.min(length) } }
}

/// Digits only; a number beyond 64 bits is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        use Range::{Part, Unsatisfiable, Whole};
        let part = |start, end| Part { start, end };
        for (header, length, expected) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=5-", 10, part(5, 10)),
            ("bytes=9-", 10, part(9, 10)),
            ("bytes=2-3", 10, part(2, 4)),
            ("bytes=2-300", 10, part(2, 10)),
            ("bytes=-3", 10, part(7, 10)),
            ("bytes=-30", 10, part(0, 10)),
            ("Bytes= 1-2 ", 10, part(1, 3)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=-99999999999999999999999", 10, part(0, 10)),
            ("bytes=0-18446744073709551615", u64::MAX, part(0, u64::MAX)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-12", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Whole),
            ("bytes=3-2", 10, Unsatisfiable),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=--1", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("", 10, Whole),
        ] {
            assert_eq!(read(header, length), expected, "{header} of {length}");
        }
    }
}
