//! The list of all artifacts, and places in it to go on from.

use super::Linked;

/// A place in the list of all artifacts, which is ordered by these; numbers are the catalogue's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) ecosystem: String,
    pub(super) name: String,
    pub(super) repository: i64,
    pub(super) version: String,
    pub(super) qualifier: String,
    pub(super) link: i64,
}

impl Cursor {
    /// The place before everything of an ecosystem.
    pub fn before(ecosystem: &str) -> Cursor {
        Cursor { ecosystem: ecosystem.to_owned(), ..Cursor::default() }
    }
}

/// What `ls` shows: an artifact and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its place in the list, to continue after.
    pub cursor: Cursor,
    /// The artifact as the view sees it.
    pub linked: Linked,
}
