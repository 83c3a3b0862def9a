//! Texts that occur many times, kept once each and known by a number.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Texts in the order in which they came. The first is the empty one.
#[derive(Clone)]
pub(super) struct Texts {
    all: String,
    /// Where each ends in `all`; it begins where the one before it ends.
    ends: Vec<u32>,
    places: HashTable<u32>,
    /// Seeded at random, since whoever writes an index chooses the texts.
    hasher: RandomState,
}

impl Texts {
    pub(super) fn new() -> Texts {
        let mut texts = Texts {
            all: String::new(),
            ends: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::new(),
        };
        texts.number("");
        texts
    }

    /// A text's number, a new one if it was not met before.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let (all, ends, hasher) = (&self.all, &self.ends, &self.hasher);
        if let Some(known) = self.places.find(hash, |place| part(all, ends, *place) == text) {
            return *known;
        }
        let new = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.places.insert_unique(hash, new, |place| hasher.hash_one(part(all, ends, *place)));
        self.all.push_str(text);
        self.ends.push(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        new
    }

    /// The number of a text that was met before.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.places.find(hash, |place| self.text(*place) == text).copied()
    }

    /// The text of a number.
    pub(super) fn text(&self, number: u32) -> &str {
        part(&self.all, &self.ends, number)
    }

    /// How many bytes all of them have.
    pub(super) fn bytes(&self) -> usize {
        self.all.len()
    }
}

fn part<'a>(all: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] as usize };
    &all[start..ends[number] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut texts = Texts::new();
        let numbers: Vec<u32> = ["", "libc6", "libc", "libc6", "", "ü"].map(|text| texts.number(text)).into();
        assert_eq!(numbers, [0, 1, 2, 1, 0, 3]);
        assert_eq!([0, 1, 2, 3].map(|number| texts.text(number)), ["", "libc6", "libc", "ü"]);
        assert_eq!((texts.find("libc"), texts.find("lib")), (Some(2), None));
    }
}
