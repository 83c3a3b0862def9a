//! Exchanging addresses where they stand in a text, a lockfile say, whatever its language is: no other byte of it changes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How addresses begin: as they are, and as newer yarns write them within others.
const BEGINNINGS: [(&str, bool); 4] =
    [("https://", false), ("http://", false), ("https%3A%2F%2F", true), ("http%3A%2F%2F", true)];
/// What ends one.
const ENDS: [char; 10] = ['"', '\'', '`', '\\', '#', ',', '}', ')', '>', '&'];
/// What stays as it is where an address is written within another.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text with the address that `other` has for one in that one's place, and how many became others. It is asked with an address,
/// without what stands behind a `#`, and with the text before it, where that is no other address that it stands in.
pub(super) fn exchange<'a>(
    text: &str,
    other: impl Fn(&str, Option<&str>) -> Option<&'a str>,
) -> (String, usize) {
    let (mut exchanged, mut changed, mut rest) = (String::with_capacity(text.len()), 0, text);
    while let Some((at, is_encoded)) = next(rest) {
        let (before, address) = rest.split_at(at);
        let end = address.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        let plain = match is_encoded {
            true => percent_decode_str(address).decode_utf8_lossy(),
            false => address.into(),
        };
        exchanged.push_str(before);
        let new = other(&plain, (!is_encoded).then_some(exchanged.as_str()));
        match new {
            Some(new) if is_encoded => exchanged.extend(utf8_percent_encode(new, PLAIN)),
            Some(new) => exchanged.push_str(new),
            None => exchanged.push_str(address),
        }
        changed += usize::from(new.is_some_and(|new| *new != plain));
        rest = after;
    }
    exchanged.push_str(rest);
    (exchanged, changed)
}

/// Where the next address begins, and whether it stands there encoded. What was looked through is not looked through again, so a
/// text takes as long as it is large.
fn next(text: &str) -> Option<(usize, bool)> {
    let beginning = |at: usize| {
        let rest = text.get(at..)?;
        let found = BEGINNINGS.into_iter().find(|(start, _)| rest.starts_with(start))?;
        Some((at, found.1))
    };
    text.match_indices("http").find_map(|(at, _)| beginning(at))
}
