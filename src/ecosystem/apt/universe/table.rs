//! The order in which apt goes through all packages: that of its hash table. It shows where nothing else tells packages
//! apart.

use super::{PackageId, Universe};

/// How many places the table has.
const PLACES: u32 = 196_613;

/// A name's place in the table.
fn place(name: &str) -> u32 {
    let hash =
        name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte | 0x20)));
    hash % PLACES
}

impl Universe {
    /// Puts packages into the table's order: by the places of their names, at one place by the length and the bytes of
    /// the names, and under one name as they were met.
    pub(in super::super) fn sort_as_table(&self, packages: &mut [PackageId]) {
        packages.sort_by_cached_key(|package| {
            let name = self.name_text(self.name(*package));
            (place(name), name.len(), self.names.text(self.name(*package).0).to_owned(), *package)
        });
    }

    /// All packages in the table's order, and then in that of their scores as apt's sort puts them, the highest first.
    /// Equal ones are not left in their order: a quicksort cuts the list at the median of three until 16 are left of each
    /// part, and only those are sorted stably.
    pub(in super::super) fn by_score(&self, scores: &[i32]) -> Vec<PackageId> {
        let mut packages: Vec<PackageId> = self.packages().collect();
        self.sort_as_table(&mut packages);
        let higher = |one: PackageId, other: PackageId| scores[one.index()] > scores[other.index()];
        let deepest = packages.len().checked_ilog2().unwrap_or(0) * 2;
        cut(&mut packages, &higher, deepest);
        packages.sort_by_key(|package| std::cmp::Reverse(scores[package.index()]));
        packages
    }
}

/// Cuts a list up, so that no member of a part comes before one of an earlier part.
fn cut(mut list: &mut [PackageId], before: &impl Fn(PackageId, PackageId) -> bool, mut deepest: u32) {
    while list.len() > 16 && deepest > 0 {
        deepest -= 1;
        median_to_front(list, before);
        let at = partition(list, before);
        let (left, right) = list.split_at_mut(at);
        cut(right, before, deepest);
        list = left;
    }
}

/// Puts the median of the second, the middle and the last one first.
fn median_to_front(list: &mut [PackageId], before: &impl Fn(PackageId, PackageId) -> bool) {
    let (second, middle, last) = (1, list.len() / 2, list.len() - 1);
    let before = |one: usize, other: usize| before(list[one], list[other]);
    let median = match (before(second, middle), before(middle, last), before(second, last)) {
        (true, true, _) => middle,
        (true, false, true) => last,
        (true, false, false) => second,
        (false, _, true) => second,
        (false, true, false) => last,
        (false, false, false) => middle,
    };
    list.swap(0, median);
}

/// Exchanges those that are not before the first one with those that are not after it, and gives the place between.
fn partition(list: &mut [PackageId], before: &impl Fn(PackageId, PackageId) -> bool) -> usize {
    let pivot = list[0];
    let (mut first, mut last) = (1, list.len());
    loop {
        while before(list[first], pivot) {
            first += 1;
        }
        last -= 1;
        while before(pivot, list[last]) {
            last -= 1;
        }
        if first >= last {
            return first;
        }
        list.swap(first, last);
        first += 1;
    }
}
