//! What cannot be read: the error of everything in this folder that reads a few words.

use thiserror::Error;

/// Words that are not what they should be, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no {what}: {why}")]
pub(crate) struct Unreadable {
    /// The words, cut where they are long.
    text: String,
    /// What they should have been: "requirement".
    what: &'static str,
    /// What is wrong with them.
    why: String,
}

impl Unreadable {
    /// The error for `text`, which is no `what`.
    pub(crate) fn new(text: &str, what: &'static str, why: impl Into<String>) -> Unreadable {
        /// What a message shows of words from outside, in characters.
        const SHOWN: usize = 120;
        let text = match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        };
        Unreadable { text, what, why: why.into() }
    }
}
