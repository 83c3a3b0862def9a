//! Versions as npm reads them: semantic versions in `node-semver`'s loose mode.
//!
//! Loose because that is how npm itself compares what a registry holds: `v1.2.3`, `=1.2.3`, `1.2.3beta` and
//! numbers with leading zeros are all versions. Build metadata is dropped: it never decides anything.

use std::cmp::Ordering;
use std::fmt;

/// The largest number that a component may have: what JavaScript counts exactly.
const LARGEST: u64 = 9_007_199_254_740_991;
/// The most characters of a version, as in npm.
const LONGEST: usize = 256;

/// A version, ordered by precedence (semver.org, item 11).
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The major number.
    pub(crate) major: u64,
    /// The minor number.
    pub(crate) minor: u64,
    /// The patch number.
    pub(crate) patch: u64,
    /// What stands after the hyphen; empty for a release.
    pub(crate) prerelease: Vec<Identifier>,
}

/// One part of a prerelease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identifier {
    /// A number that JavaScript counts exactly.
    Number(u64),
    /// A larger number, which npm keeps as it is written.
    Large(String),
    /// Anything else.
    Text(String),
}

impl Version {
    /// Reads a version loosely; `None` if npm would call it invalid.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        if text.chars().count() > LONGEST {
            return None;
        }
        let text = text.trim_matches(is_space);
        let parts = Parts::read(text.trim_start_matches(is_decoration))?;
        let number = |digits: Option<&str>| {
            digits
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?
                .parse()
                .ok()
                .filter(|number| *number <= LARGEST)
        };
        Some(Version {
            major: number(Some(parts.major))?,
            minor: number(parts.minor)?,
            patch: number(parts.patch)?,
            prerelease: parts
                .prerelease
                .map_or_else(Vec::new, |text| text.split('.').map(Identifier::read).collect()),
        })
    }

    /// Whether this is a prerelease.
    pub(crate) fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }
}

impl Identifier {
    fn read(text: &str) -> Identifier {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Identifier::Text(text.to_owned());
        }
        match text.parse() {
            Ok(number) if number < LARGEST => Identifier::Number(number),
            _ => Identifier::Large(text.to_owned()),
        }
    }

    /// Numbers come before text, smaller ones first.
    fn rank(&self) -> (u8, u64, &str) {
        match self {
            Identifier::Number(number) => (0, *number, ""),
            // Compared as JavaScript does, inexactly; the bits of positive floats have the order of the floats.
            Identifier::Large(digits) => (1, digits.parse::<f64>().unwrap_or(f64::INFINITY).to_bits(), ""),
            Identifier::Text(text) => (2, 0, text),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let numbers = |version: &Version| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.is_prerelease(), other.is_prerelease()) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            _ => self
                .prerelease
                .iter()
                .map(Identifier::rank)
                .cmp(other.prerelease.iter().map(Identifier::rank)),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        for (index, identifier) in self.prerelease.iter().enumerate() {
            f.write_str(if index == 0 { "-" } else { "." })?;
            match identifier {
                Identifier::Number(number) => write!(f, "{number}")?,
                Identifier::Large(text) | Identifier::Text(text) => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

/// A version whose minor and patch may be missing and whose numbers may be `x`, `X` or `*`, still as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) major: &'a str,
    pub(super) minor: Option<&'a str>,
    pub(super) patch: Option<&'a str>,
    pub(super) prerelease: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Reads all of `text`, which has no decoration in front any more; `None` if it is something else.
    pub(super) fn read(text: &'a str) -> Option<Parts<'a>> {
        let (major, rest) = component(text)?;
        if rest.is_empty() {
            return Some(Parts { major, minor: None, patch: None, prerelease: None });
        }
        let (minor, rest) = component(rest.strip_prefix('.')?)?;
        if rest.is_empty() {
            return Some(Parts { major, minor: Some(minor), patch: None, prerelease: None });
        }
        let rest = rest.strip_prefix('.')?;
        let (patch, tail) = component(rest)?;
        let read = |patch: &'a str, tail: &'a str| {
            let prerelease = tail_of(tail)?;
            Some(Parts { major, minor: Some(minor), patch: Some(patch), prerelease })
        };
        // The hyphen before a prerelease is optional, so npm's pattern may take the patch's last digit for the
        // prerelease's first: 1.2.34.5 is 1.2.3-4.5 to npm.
        read(patch, tail).or_else(|| {
            let shorter = patch.len().checked_sub(1).filter(|length| *length > 0)?;
            read(rest.get(..shorter)?, rest.get(shorter..)?)
        })
    }
}

/// The number, `x`, `X` or `*` that a text begins with, and what follows it.
fn component(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let length = if digits > 0 { digits } else { usize::from(text.starts_with(['x', 'X', '*'])) };
    if length == 0 {
        return None;
    }
    text.split_at_checked(length)
}

/// What follows the patch: `-prerelease+build`, hyphen and both parts optional. The inner option is the prerelease.
fn tail_of(text: &str) -> Option<Option<&str>> {
    let (prerelease, build) = match text.split_once('+') {
        Some((prerelease, build)) => (prerelease, Some(build)),
        None => (text, None),
    };
    if build.is_some_and(|build| !are_identifiers(build)) {
        return None;
    }
    if prerelease.is_empty() {
        return Some(None);
    }
    let without_hyphen = prerelease.strip_prefix('-').unwrap_or(prerelease);
    [without_hyphen, prerelease].into_iter().find(|text| are_identifiers(text)).map(Some)
}

/// Whether a text is identifiers separated by dots, none of them empty.
pub(super) fn are_identifiers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_identifier_byte))
}

/// Whether a byte may stand in an identifier.
pub(super) fn is_identifier_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// White space as JavaScript's `\s` has it.
pub(super) fn is_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// What npm allows in front of a version: `v`, `=` and white space in any mixture.
pub(super) fn is_decoration(character: char) -> bool {
    character == 'v' || character == '=' || is_space(character)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    const ORACLE: &str = include_str!("../../../fixtures/npm/ranges.jsonl");

    #[test]
    fn versions_are_read_as_npm_reads_them() {
        let versions: Vec<(String, Option<String>)> =
            serde_json::from_str(ORACLE.lines().next().unwrap()).unwrap();
        assert!(versions.len() > 60);
        for (text, normalised) in versions {
            assert_eq!(Version::parse(&text).map(|version| version.to_string()), normalised, "{text:?}");
        }
    }

    #[test]
    fn versions_are_ordered_as_npm_orders_them() {
        let mut lines = ORACLE.lines();
        let versions: Vec<(String, Option<String>)> = serde_json::from_str(lines.next().unwrap()).unwrap();
        let versions: Vec<Version> = versions.iter().filter_map(|(text, _)| Version::parse(text)).collect();
        let orders: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(orders.len(), versions.len());
        for (left, row) in versions.iter().zip(orders) {
            for (right, order) in versions.iter().zip(row.chars()) {
                let expected = match order {
                    '<' => Ordering::Less,
                    '=' => Ordering::Equal,
                    _ => Ordering::Greater,
                };
                assert_eq!(left.cmp(right), expected, "{left} {right}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_version_reads_back_as_itself(text in "[v= ]{0,2}[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(-?[0-9a-z.-]{0,9})?") {
            if let Some(version) = Version::parse(&text) {
                prop_assert_eq!(Version::parse(&version.to_string()), Some(version));
            }
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = Version::parse(&text);
        }
    }
}
