//! Texts by the hundred thousand: one after the other in large pieces of memory, and those that repeat only once.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;

/// What a text is called in place of itself. It holds for the [`Texts`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(NonZeroU32);

/// How large the pieces are, in bytes. One piece that grows would be copied again and again, and leave holes behind.
const PIECE: usize = 64 << 10;

/// Many texts.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pieces: Vec<String>,
    /// Where each begins.
    starts: Vec<Start>,
    /// The interned ones, by a hash that nobody outside can foresee.
    interned: HashTable<Id>,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    piece: u32,
    byte: u32,
}

impl Id {
    /// The least of all.
    pub(crate) const FIRST: Id = Id(NonZeroU32::MIN);

    /// How many texts came before it.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX)
    }
}

impl Texts {
    /// Takes a text that hardly comes a second time.
    pub(crate) fn add(&mut self, text: &str) -> Id {
        let has_room = |piece: &&mut String| piece.capacity() - piece.len() >= text.len();
        let (piece, byte) = match self.pieces.last_mut().filter(has_room) {
            Some(piece) => {
                let byte = piece.len();
                piece.push_str(text);
                (self.pieces.len() - 1, byte)
            }
            None => {
                let mut piece = String::with_capacity(PIECE.max(text.len()));
                piece.push_str(text);
                self.pieces.push(piece);
                (self.pieces.len() - 1, 0)
            }
        };
        // Four billion pieces, or texts, or bytes of one text, don't come out of anything that is read.
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.starts.push(Start { piece: short(piece), byte: short(byte) });
        Id(NonZeroU32::new(short(self.starts.len())).unwrap_or(NonZeroU32::MAX))
    }

    /// Takes a text once: the same text has the same name again.
    pub(crate) fn intern(&mut self, text: &str) -> Id {
        if let Some(id) = self.find(text) {
            return id;
        }
        let id = self.add(text);
        let (pieces, starts, hasher) = (&self.pieces, &self.starts, &self.hasher);
        let hash = |id: &Id| hasher.hash_one(text_at(pieces, starts, *id));
        self.interned.insert_unique(hasher.hash_one(text), id, hash);
        id
    }

    /// The name of a text that was interned.
    pub(crate) fn find(&self, text: &str) -> Option<Id> {
        self.interned.find(self.hasher.hash_one(text), |id| self.get(*id) == text).copied()
    }

    /// The text.
    pub(crate) fn get(&self, id: Id) -> &str {
        text_at(&self.pieces, &self.starts, id)
    }
}

fn text_at<'a>(pieces: &'a [String], starts: &[Start], id: Id) -> &'a str {
    let long = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let Some(start) = starts.get(id.index()) else { return "" };
    let Some(piece) = pieces.get(long(start.piece)) else { return "" };
    let next = starts.get(id.index() + 1).filter(|next| next.piece == start.piece);
    let end = next.map_or(piece.len(), |next| long(next.byte));
    piece.get(long(start.byte)..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Short ones that repeat, and some that hardly fit a piece or don't.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![20 => "[aé]{0,3}", 1 => Just("b".repeat(PIECE - 9)), 1 => Just("c".repeat(PIECE + 9))]
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_interned_ones_have_one_name(
            texts in prop::collection::vec((text(), any::<bool>()), 0..100),
        ) {
            let mut all = Texts::default();
            let ids: Vec<Id> =
                texts.iter().map(|(text, once)| if *once { all.intern(text) } else { all.add(text) }).collect();
            for ((text, once), id) in texts.iter().zip(&ids) {
                prop_assert_eq!(all.get(*id), text);
                if *once {
                    prop_assert_eq!(all.find(text), Some(*id));
                }
            }
            prop_assert_eq!(all.find("none of these"), None);
        }
    }
}
