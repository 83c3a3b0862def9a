//! What moved from one lock to another, so that a person can review it.

use std::cmp::Ordering;
use std::iter::Peekable;

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
}

impl Difference {
    /// Compares what two locks list. What a lock learns when its files are downloaded is no difference.
    ///
    /// # Errors
    /// If a list cannot be read.
    pub fn between(before: &Lock, after: &Lock) -> Result<Difference, Problem> {
        let mut difference = Difference::of_artifacts(before, after)?;
        walk(before.refs.iter(), after.refs.iter(), |side| {
            let (one, from, to) = match &side {
                Side::Left(one) => (one, Some(one), None),
                Side::Right(one) => (one, None, Some(one)),
                Side::Both(one, other) if one != other => (one, Some(one), Some(other)),
                Side::Both(..) => return,
            };
            let versions =
                |side: Option<&bundle_format::Ref>| side.map(|r| r.version.clone()).into_iter().collect();
            difference.push(Moved {
                ecosystem: one.ecosystem.clone(),
                repository: one.repository.clone(),
                name: one.name.clone(),
                label: one.label.clone(),
                from: versions(from),
                to: versions(to),
                changed: Vec::new(),
            });
        })?;
        Ok(difference)
    }

    /// The same for the artifacts alone.
    ///
    /// # Errors
    /// If a list cannot be read.
    pub fn of_artifacts(before: &Lock, after: &Lock) -> Result<Difference, Problem> {
        let mut difference = Difference::default();
        let mut open = Moved::default();
        walk(before.artifacts.iter(), after.artifacts.iter(), |side| {
            let one = match &side {
                Side::Left(one) | Side::Right(one) => one,
                Side::Both(one, other) if plain(one) != plain(other) => one,
                Side::Both(..) => return,
            };
            if (&open.ecosystem, &open.repository, &open.name) != (&one.ecosystem, &one.repository, &one.name)
            {
                let next = Moved {
                    ecosystem: one.ecosystem.clone(),
                    repository: one.repository.clone(),
                    name: one.name.clone(),
                    ..Moved::default()
                };
                difference.push(std::mem::replace(&mut open, next));
            }
            let version = [one.version.as_str(), &one.qualifier].join(" ").trim().to_owned();
            match side {
                Side::Left(_) => open.from.push(version),
                Side::Right(_) => open.to.push(version),
                Side::Both(..) => open.changed.push(version),
            }
        })?;
        difference.push(open);
        Ok(difference)
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    fn push(&mut self, moved: Moved) {
        if moved.name.is_empty() {
            return;
        }
        if self.moved.len() < NAMED {
            self.moved.push(moved);
        } else {
            self.more += 1;
        }
    }
}

/// What only one of two locks lists, or both.
enum Side<T> {
    Left(T),
    Right(T),
    Both(T, T),
}

/// Walks two sorted lists side by side.
fn walk<T: Entry>(
    left: impl Iterator<Item = Result<T, Problem>>,
    right: impl Iterator<Item = Result<T, Problem>>,
    mut each: impl FnMut(Side<T>),
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
        match order {
            Ordering::Less => next(&mut left)?.into_iter().for_each(|one| each(Side::Left(one))),
            Ordering::Greater => right.next().transpose()?.into_iter().for_each(|one| each(Side::Right(one))),
            Ordering::Equal => {
                if let (Some(one), Some(other)) = (next(&mut left)?, right.next().transpose()?) {
                    each(Side::Both(one, other));
                }
            }
        }
    }
}

/// An artifact without what only a download tells: what is downloaded is held to its checksums anyway.
fn plain(artifact: &Planned) -> Planned {
    let mut artifact = artifact.clone();
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

    use bundle_format::{BlobKey, Ref};

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
