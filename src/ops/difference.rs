//! What moved from one list to another, so that a person can review it: between two locks, or two bundles.

use std::cmp::Ordering;
use std::iter::Peekable;

use bundle_format::Ref;
use serde::{Deserialize, Serialize};

use super::lock_file::Lock;
use crate::ecosystem::Planned;
use crate::problem::Problem;
use crate::spill::Entry;

/// So many things are named; of more it is only said how many there are.
const NAMED: usize = 1000;

/// What moved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Each name with what happened to it, in the order of locks.
    pub moved: Vec<Moved>,
    /// How many more there are.
    pub more: u64,
}

/// What happened under one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// In one word.
    pub kind: MoveKind,
    /// The ecosystem.
    pub ecosystem: String,
    /// The repository.
    pub repository: String,
    /// The name.
    pub name: String,
    /// The tag that moved; empty for artifacts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Versions that are gone, or where the tag pointed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Versions that are new, or where the tag points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Versions that are something else than they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The bytes of the files of what is new or changed, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What happened, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// The package, or tag, is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other versions, or leads elsewhere.
    Updated,
    /// It has the versions that it had, and some of them are something else than they were.
    #[default]
    Changed,
}

impl Entry for Moved {
    /// Moves stay in the order in which they were found.
    fn order(&self, _other: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Difference {
    /// Compares what two locks list. What a lock learns when its files are downloaded is no difference.
    ///
    /// # Errors
    /// If a list cannot be read.
    pub fn between(before: &Lock, after: &Lock) -> Result<Difference, Problem> {
        let mut difference = Difference::of_artifacts(before, after)?;
        let tell = &mut |moved| difference.push(moved);
        compare_refs(before.refs.iter(), after.refs.iter(), Left::Goes, tell)?;
        Ok(difference)
    }

    /// The same for the artifacts alone.
    fn of_artifacts(before: &Lock, after: &Lock) -> Result<Difference, Problem> {
        let mut difference = Difference::default();
        let tell = &mut |moved| difference.push(moved);
        compare_artifacts(before.artifacts.iter(), after.artifacts.iter(), Left::Goes, tell)?;
        Ok(difference)
    }

    /// The same for artifacts that come out alike whenever they are resolved.
    ///
    /// # Errors
    /// If a list cannot be read.
    pub fn of_lasting(before: &Lock, after: &Lock) -> Result<Difference, Problem> {
        let mut difference = Difference::default();
        let tell = &mut |moved| difference.push(moved);
        compare_artifacts(before.lasting(), after.lasting(), Left::Goes, tell)?;
        Ok(difference)
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    fn push(&mut self, moved: Moved) -> Result<(), Problem> {
        if self.moved.len() < NAMED {
            self.moved.push(moved);
        } else {
            self.more += 1;
        }
        Ok(())
    }
}

/// What can be compared with another one of its name and version.
pub(super) trait Compared: Entry {
    /// The ecosystem, the repository and the name.
    fn place(&self) -> [&str; 3];
    /// The version as people tell it from others of that name.
    fn version(&self) -> String;
    /// Whether two of one version are the same.
    fn is_same(&self, other: &Self) -> bool;
    /// The bytes of its files, where they are known.
    fn size(&self) -> Option<u64>;
}

impl Compared for Planned {
    fn place(&self) -> [&str; 3] {
        [&self.ecosystem, &self.repository, &self.name]
    }

    fn version(&self) -> String {
        shown_version(&self.version, &self.qualifier)
    }

    fn is_same(&self, other: &Self) -> bool {
        plain(self) == plain(other)
    }

    fn size(&self) -> Option<u64> {
        None
    }
}

/// A version with what tells it from others of the same.
pub(super) fn shown_version(version: &str, qualifier: &str) -> String {
    [version, qualifier].join(" ").trim().to_owned()
}

/// What becomes of what only the list before has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It is gone.
    Goes,
    /// It is kept beside what the list after has.
    Stays,
}

/// Compares artifacts that come sorted, and tells for each name what moved.
pub(super) fn compare_artifacts<T: Compared>(
    before: impl Iterator<Item = Result<T, Problem>>,
    after: impl Iterator<Item = Result<T, Problem>>,
    left: Left,
    tell: &mut dyn FnMut(Moved) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut open = Package::default();
    walk(before, after, |side| {
        let (Side::Left(one) | Side::Right(one) | Side::Both(_, one)) = &side;
        if open.place() != one.place() {
            std::mem::replace(&mut open, Package::of(one.place())).close(tell)?;
        }
        match &side {
            Side::Left(_) if left == Left::Stays => (open.was_there, open.is_there) = (true, true),
            Side::Left(one) => {
                open.was_there = true;
                open.moved.from.push(one.version());
            }
            Side::Right(one) => {
                open.is_there = true;
                open.add(one.size());
                open.moved.to.push(one.version());
            }
            Side::Both(one, other) => {
                (open.was_there, open.is_there) = (true, true);
                if !one.is_same(other) {
                    open.add(other.size());
                    open.moved.changed.push(other.version());
                }
            }
        }
        Ok(())
    })?;
    open.close(tell)
}

/// A package whose versions are being compared.
#[derive(Default)]
struct Package {
    moved: Moved,
    /// Whether any version of it was there before.
    was_there: bool,
    /// Whether any version of it is there after.
    is_there: bool,
}

impl Package {
    fn of(place: [&str; 3]) -> Package {
        let [ecosystem, repository, name] = place.map(str::to_owned);
        Package { moved: Moved { ecosystem, repository, name, ..Moved::default() }, ..Package::default() }
    }

    fn place(&self) -> [&str; 3] {
        [&self.moved.ecosystem, &self.moved.repository, &self.moved.name]
    }

    fn add(&mut self, size: Option<u64>) {
        if let Some(size) = size {
            let sum = self.moved.size.unwrap_or(0).saturating_add(size);
            self.moved.size = Some(sum);
        }
    }

    /// Tells what moved, if anything did.
    fn close(self, tell: &mut dyn FnMut(Moved) -> Result<(), Problem>) -> Result<(), Problem> {
        let mut moved = self.moved;
        moved.kind = match (self.was_there, self.is_there) {
            (false, _) => MoveKind::Added,
            (_, false) => MoveKind::Removed,
            _ if moved.from.is_empty() && moved.to.is_empty() => MoveKind::Changed,
            _ => MoveKind::Updated,
        };
        let lists = [&moved.from, &moved.to, &moved.changed];
        if lists.iter().all(|list| list.is_empty()) { Ok(()) } else { tell(moved) }
    }
}

/// Compares refs that come sorted, and tells of each that moved.
pub(super) fn compare_refs(
    before: impl Iterator<Item = Result<Ref, Problem>>,
    after: impl Iterator<Item = Result<Ref, Problem>>,
    left: Left,
    tell: &mut dyn FnMut(Moved) -> Result<(), Problem>,
) -> Result<(), Problem> {
    walk(before, after, |side| {
        let (kind, one, from, to) = match &side {
            Side::Left(one) if left == Left::Goes => (MoveKind::Removed, one, Some(one), None),
            Side::Right(one) => (MoveKind::Added, one, None, Some(one)),
            Side::Both(one, other) if one != other => (MoveKind::Updated, one, Some(one), Some(other)),
            _ => return Ok(()),
        };
        let versions = |side: Option<&Ref>| side.map(|r| r.version.clone()).into_iter().collect();
        tell(Moved {
            kind,
            ecosystem: one.ecosystem.clone(),
            repository: one.repository.clone(),
            name: one.name.clone(),
            label: one.label.clone(),
            from: versions(from),
            to: versions(to),
            ..Moved::default()
        })
    })
}

/// What only one of two lists has, or both.
pub(super) enum Side<T> {
    Left(T),
    Right(T),
    Both(T, T),
}

/// Walks two sorted lists side by side.
pub(super) fn walk<T: Entry>(
    left: impl Iterator<Item = Result<T, Problem>>,
    right: impl Iterator<Item = Result<T, Problem>>,
    mut each: impl FnMut(Side<T>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(Ok(one)), Some(Ok(other))) => one.order(other),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let next = |list: &mut Peekable<_>| -> Result<Option<T>, Problem> { list.next().transpose() };
        let side = match order {
            Ordering::Less => next(&mut left)?.map(Side::Left),
            Ordering::Greater => right.next().transpose()?.map(Side::Right),
            Ordering::Equal => match (next(&mut left)?, right.next().transpose()?) {
                (Some(one), Some(other)) => Some(Side::Both(one, other)),
                _ => None,
            },
        };
        side.map_or(Ok(()), &mut each)?;
    }
}

/// An artifact without what only a download tells, as what is downloaded is held to its checksums anyway, and without what
/// asked for it.
fn plain(artifact: &Planned) -> Planned {
    let mut artifact = artifact.clone();
    artifact.requests.clear();
    for file in &mut artifact.files {
        (file.held, file.estimate) = (false, None);
        if !file.origin.is_empty() {
            (file.blob, file.size) = (None, None);
        }
    }
    artifact
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bundle_format::BlobKey;

    use super::*;
    use crate::ecosystem::PlannedFile;
    use crate::spill::Sorter;

    fn artifact(name: &str, version: &str, content: &str) -> Planned {
        let file = PlannedFile {
            role: "tarball".to_owned(),
            path: String::new(),
            media_type: String::new(),
            origin: String::new(),
            checksums: Vec::new(),
            blob: Some(BlobKey::of(content.as_bytes())),
            size: None,
            estimate: None,
            held: false,
        };
        let [ecosystem, repository, schema] = ["npm", "npm", "npm/1"].map(str::to_owned);
        let (name, version) = (name.to_owned(), version.to_owned());
        let (qualifier, attributes, requires) = Default::default();
        Planned {
            ecosystem,
            repository,
            name,
            version,
            qualifier,
            schema,
            attributes,
            files: vec![file],
            requires,
            requests: Vec::new(),
        }
    }

    fn lock(artifacts: &[(&str, &str, &str)], tags: &[(&str, &str)]) -> Lock {
        let scratch = Path::new("/dev/shm");
        let (mut list, mut refs) = (Sorter::new(scratch), Sorter::new(scratch));
        list.extend(artifacts.iter().map(|(name, version, content)| artifact(name, version, content)))
            .unwrap();
        let tags = tags.iter().map(|(name, version)| {
            let [ecosystem, repository, name, label, version] =
                ["npm", "npm", name, "latest", version].map(str::to_owned);
            Ref { ecosystem, repository, name, label, version }
        });
        refs.extend(tags).unwrap();
        Lock { artifacts: list.finish().unwrap(), refs: refs.finish().unwrap(), ..Lock::default() }
    }

    #[test]
    fn every_move_is_told_under_its_name() {
        let before = lock(
            &[
                ("a", "1.0.0", ""),
                ("b", "1.0.0", ""),
                ("c", "1.0.0", ""),
                ("d", "1.0.0", "old"),
                ("z", "1.0.0", ""),
            ],
            &[("b", "1.0.0"), ("c", "1.0.0")],
        );
        let after = lock(
            &[
                ("b", "1.1.0", ""),
                ("b", "2.0.0", ""),
                ("c", "1.0.0", ""),
                ("d", "1.0.0", "new"),
                ("e", "1.0.0", ""),
            ],
            &[("b", "2.0.0"), ("e", "1.0.0")],
        );
        let difference = Difference::between(&before, &after).unwrap();
        let told: Vec<_> = difference
            .moved
            .iter()
            .map(|moved| {
                format!("{} {} {:?} {:?} {:?}", moved.name, moved.label, moved.from, moved.to, moved.changed)
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"a  ["1.0.0"] [] []"#,
                r#"b  ["1.0.0"] ["1.1.0", "2.0.0"] []"#,
                r#"d  [] [] ["1.0.0"]"#,
                r#"e  [] ["1.0.0"] []"#,
                r#"z  ["1.0.0"] [] []"#,
                r#"b latest ["1.0.0"] ["2.0.0"] []"#,
                r#"c latest ["1.0.0"] [] []"#,
                r#"e latest [] ["1.0.0"] []"#,
            ]
        );
        assert!(Difference::between(&after, &after).unwrap().is_empty());
    }

    #[test]
    fn what_a_download_tells_is_no_difference() {
        let before = lock(&[("a", "1.0.0", "")], &[]);
        let mut after = before.clone();
        let change = |file: &mut PlannedFile| (file.estimate, file.held) = (Some(7), true);
        let changed = after.artifacts.map(Path::new("/dev/shm"), |artifact| {
            artifact.files.iter_mut().for_each(change);
            Ok(())
        });
        after.artifacts = changed.unwrap();
        assert!(Difference::between(&before, &after).unwrap().is_empty());
    }

    #[test]
    fn so_many_are_named() {
        let names: Vec<String> = (0..NAMED + 5).map(|number| format!("p{number:05}")).collect();
        let artifacts: Vec<_> = names.iter().map(|name| (name.as_str(), "1.0.0", "")).collect();
        let difference = Difference::between(&Lock::default(), &lock(&artifacts, &[])).unwrap();
        assert_eq!((difference.moved.len(), difference.more), (NAMED, 5));
    }
}
