//! Texts by the hundred thousand: one after the other in one piece of memory, and those that repeat only once.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;

/// What a text is called in place of itself. It holds for the [`Texts`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(NonZeroU32);

/// Many texts.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    all: String,
    /// Where each begins in `all`.
    starts: Vec<usize>,
    /// The interned ones, by a hash that nobody outside can foresee.
    interned: HashTable<Id>,
    hasher: RandomState,
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
        self.starts.push(self.all.len());
        self.all.push_str(text);
        // Four billion texts don't fit in any memory that this runs in.
        Id(u32::try_from(self.starts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
    }

    /// Takes a text once: the same text has the same name again.
    pub(crate) fn intern(&mut self, text: &str) -> Id {
        if let Some(id) = self.find(text) {
            return id;
        }
        let id = self.add(text);
        let (all, starts, hasher) = (&self.all, &self.starts, &self.hasher);
        let hash = |id: &Id| hasher.hash_one(text_at(all, starts, *id));
        self.interned.insert_unique(hasher.hash_one(text), id, hash);
        id
    }

    /// The name of a text that was interned.
    pub(crate) fn find(&self, text: &str) -> Option<Id> {
        self.interned.find(self.hasher.hash_one(text), |id| self.get(*id) == text).copied()
    }

    /// The text.
    pub(crate) fn get(&self, id: Id) -> &str {
        text_at(&self.all, &self.starts, id)
    }
}

fn text_at<'a>(all: &'a str, starts: &[usize], id: Id) -> &'a str {
    let start = starts.get(id.index()).copied().unwrap_or(all.len());
    let end = starts.get(id.index() + 1).copied().unwrap_or(all.len());
    all.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_and_interned_ones_have_one_name(
            texts in prop::collection::vec(("[aé]{0,3}", any::<bool>()), 0..200),
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
