//! Names of projects and extras, as PEP 503 makes them one.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::unreadable::Unreadable;

/// The longest name that is read, in bytes.
const LONGEST: usize = 256;

/// A project's or an extra's name in the normal form: lower case, with one `-` for each run of `-`, `_` and `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// Reads a name, however it is spelled.
    ///
    /// # Errors
    /// If it is empty, too long, has other characters, or begins or ends with a separator.
    pub(crate) fn parse(text: &str) -> Result<Name, Unreadable> {
        let fail = |why: &str| Unreadable::new(text, "project name", why);
        if text.len() > LONGEST {
            return Err(fail("it has more than 256 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_separator(byte)) {
            return Err(fail("names have letters, digits, and - _ . between them"));
        }
        let ends = [text.bytes().next(), text.bytes().next_back()];
        if !ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric())) {
            return Err(fail("names begin and end with a letter or digit"));
        }
        Ok(Name(normalise(text).into()))
    }

    /// The normal form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The normal form of any words.
fn normalise(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for byte in text.chars() {
        match byte {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            _ => normal.push(byte.to_ascii_lowercase()),
        }
    }
    normal
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for text in ["Friendly-Bard", "FRIENDLY.bard", "friendly__bard", "FrIeNdLy-._.-bArD"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), "friendly-bard");
        }
        assert_eq!(Name::parse("a").unwrap().as_str(), "a");
        for bad in ["", "-a", "a-", "a b", "a/b", "../a", "é", "a[b]", "_", &"a".repeat(257)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }
}
