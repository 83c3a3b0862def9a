//! Which versions are held of which names, for hundreds of thousands of them.

use std::collections::BTreeSet;

use super::spec::Spec;
use super::texts::{Id, Texts};
use super::version::Version;

/// The versions that are held, by name, each with a mark: a number or a flag. It only grows.
#[derive(Default)]
pub(crate) struct Held<Mark> {
    names: Texts,
    versions: Texts,
    /// The versions as npm reads them, in the order of their ids: hundreds of packages share one `1.0.0`.
    read: Vec<Option<Version>>,
    entries: BTreeSet<(Id, Id, Mark)>,
}

impl<Mark: Copy + Ord + Default> Held<Mark> {
    /// Adds a version; false if it was there already with this mark.
    pub(crate) fn insert(&mut self, name: &str, version: &str, mark: Mark) -> bool {
        let (name, id) = (self.names.intern(name), self.versions.intern(version));
        if id.index() == self.read.len() {
            self.read.push(Version::parse(version));
        }
        self.entries.insert((name, id, mark))
    }

    /// Whether this very version is there with this mark.
    pub(crate) fn contains(&self, name: &str, version: &str, mark: Mark) -> bool {
        let ids = self.names.find(name).zip(self.versions.find(version));
        ids.is_some_and(|(name, version)| self.entries.contains(&(name, version, mark)))
    }

    /// What is there of a name. What npm takes for no version is passed over: nothing can ask for it.
    pub(crate) fn versions(&self, name: &str) -> impl Iterator<Item = (&Version, Mark)> {
        // Id and mark begin with their least values, so this is where the name's entries begin.
        let of_name = self.names.find(name).map(|name| {
            let entries = self.entries.range((name, Id::FIRST, Mark::default())..);
            entries.take_while(move |(other, ..)| *other == name)
        });
        of_name
            .into_iter()
            .flatten()
            .filter_map(|(_, version, mark)| Some((self.read.get(version.index())?.as_ref()?, *mark)))
    }

    /// Whether anything there will do.
    pub(crate) fn meets(&self, name: &str, spec: &Spec) -> bool {
        self.versions(name).any(|(version, _)| spec.admits(version))
    }

    /// How many versions there are, those of different marks counted each.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_by_name_and_by_range() {
        let mut held = Held::default();
        for (name, version, mark) in
            [("b", "2.0.0", 1), ("a", "1.0.0", 0), ("b", "1.0.0", 0), ("b", "odd", 7), ("b", "1.0.0", 3)]
        {
            assert!(held.insert(name, version, mark));
        }
        assert!(!held.insert("b", "1.0.0", 3));
        assert_eq!(held.len(), 5);
        let mut found: Vec<_> =
            held.versions("b").map(|(version, mark)| (version.to_string(), mark)).collect();
        found.sort();
        assert_eq!(found, [("1.0.0".to_owned(), 0), ("1.0.0".to_owned(), 3), ("2.0.0".to_owned(), 1)]);
        assert!(
            held.contains("b", "odd", 7) && !held.contains("b", "odd", 0) && !held.contains("a", "2.0.0", 1)
        );
        assert!(held.meets("b", &Spec::read("^2")) && !held.meets("a", &Spec::read("^2")));
        assert_eq!(held.versions("c").count(), 0);
    }
}
