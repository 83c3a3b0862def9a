//! The order in which npm goes through names: that of English words, not of bytes, so that `a_b` comes before `a-b`, both
//! before `a1`, and `ab` before `aB`.

/// What stands for a text in that order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// By its signs alone.
    signs: Vec<u8>,
    /// Where these are the same: small letters before capitals.
    capitals: Vec<bool>,
    /// What the order doesn't know.
    text: String,
}

/// The signs of names and paths, in order; digits and letters come after them.
const SIGNS: &[u8] = b"_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

impl Rank {
    /// Of a text.
    pub(super) fn of(text: &str) -> Rank {
        let sign = |byte: u8| match SIGNS.iter().position(|sign| *sign == byte) {
            Some(place) => u8::try_from(place).unwrap_or(u8::MAX),
            None => byte.to_ascii_lowercase(),
        };
        Rank {
            signs: text.bytes().map(sign).collect(),
            capitals: text.bytes().map(|byte| byte.is_ascii_uppercase()).collect(),
            text: text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `[…].sort((a, b) => a.localeCompare(b, 'en'))` has it.
    #[test]
    fn names_are_ordered_as_words() {
        let ordered = [
            "@a-b/c", "@a/b", "@ab/c", "a", "A", "a_b", "a-b", "a.b", "a/b", "a1", "a10", "a2", "ab", "aB",
            "Ab",
        ];
        let mut sorted = ordered;
        sorted.reverse();
        sorted.sort_by_key(|text| Rank::of(text));
        assert_eq!(sorted, ordered);
    }
}
