//! Taking artifacts out of view, whoever brought them. Their bytes go with the next `gc`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bundle_format::{Artifact, Digest};
use serde::Serialize;

use super::carried::Carried;
use super::list::Shown;
use super::select::{self, Selected, Selector};
use crate::clock;
use crate::problem::Problem;
use crate::store::{
    AuditEntry, Change, ChangeSet, Linked, Place, Precondition, SnapshotEntry, Source, Store,
};

/// What is to be forgotten.
pub enum Wish {
    /// What these select, from whoever has it.
    Selected(Vec<Selector>),
    /// What the newest bundles of a channel do not list, and all its earlier states.
    Outdated {
        /// The channel.
        channel: String,
        /// Which of its bundles count.
        keep: Keep,
    },
}

/// Which bundles of a channel count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The newest ones, so many.
    Last(u64),
    /// Those that were accepted within this time, and the newest one.
    Within(Duration),
}

/// What was forgotten, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForgetReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The artifacts: those that were selected, then what only they consist of.
    pub artifacts: Vec<Shown>,
    /// How many blobs `gc` frees then.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What would be done: to be shown, and then to be done.
pub struct Plan {
    report: ForgetReport,
    changes: Vec<Change>,
}

impl Plan {
    /// Finds out what a wish comes to. `keep_generations` is what `gc` keeps of each channel.
    ///
    /// # Errors
    /// Incomplete (4), if a selector selects nothing, or nothing of the channel was imported; if the store cannot be read.
    pub fn make(store: &Store, wish: &Wish, keep_generations: u64) -> Result<Plan, Problem> {
        let mut chosen = Chosen { store, report: Vec::new(), changes: Vec::new(), package: None };
        let subject = match wish {
            Wish::Selected(selectors) => {
                let counts =
                    select::each(store, None, selectors, &mut |Selected { linked, .. }| chosen.take(linked))?;
                if let Some((selector, _)) = selectors.iter().zip(counts).find(|(_, count)| *count == 0) {
                    return Err(select::nothing(format!("{} selects nothing here", selector.text())));
                }
                let texts: Vec<_> = selectors.iter().map(Selector::text).collect();
                BTreeMap::from([("selectors".to_owned(), texts.join(" "))])
            }
            Wish::Outdated { channel, keep } => {
                let kept = newest(store, channel, *keep)?;
                let carried = Carried::by(store, channel, &kept)?;
                let source = Source::Channel(channel.clone());
                select::each(store, None, &[], &mut |Selected { linked, .. }| {
                    let is_outdated = linked.source == source && carried.labels(&linked).is_none();
                    if is_outdated { chosen.take(linked) } else { Ok(()) }
                })?;
                let oldest = kept.last().map(|entry| format!("{}.{}", entry.epoch, entry.sequence));
                BTreeMap::from([
                    ("channel".to_owned(), channel.clone()),
                    ("kept-from".to_owned(), oldest.unwrap_or_default()),
                ])
            }
        };
        chosen.close()?;
        let Chosen { report: artifacts, mut changes, .. } = chosen;
        if let Wish::Outdated { channel, .. } = wish
            && let Some(state) = store.catalogue.channel(channel)?
        {
            changes.push(Change::LetGo(state.generation));
        }
        let mut report = ForgetReport { dry_run: true, artifacts, blobs: 0, bytes: 0 };
        let changes = ChangeSet { changes };
        store.catalogue.freed_by(&changes, keep_generations, &mut |key, _| {
            if let Some(size) = store.blobs.size(&key)? {
                (report.blobs, report.bytes) = (report.blobs + 1, report.bytes + size);
            }
            Ok(())
        })?;
        let mut changes = changes.changes;
        let mut subject = subject;
        subject.insert("artifacts".to_owned(), report.artifacts.len().to_string());
        changes.push(Change::Audit(AuditEntry {
            time: clock::now_text(),
            action: "forgotten".to_owned(),
            subject,
        }));
        Ok(Plan { report, changes })
    }

    /// What would be forgotten.
    pub fn report(&self) -> &ForgetReport {
        &self.report
    }

    /// Does it, at once for all who look.
    ///
    /// # Errors
    /// Refused (6), if one of the channels is being imported into; if the catalogue cannot be written.
    pub fn carry_out(self, store: &Store) -> Result<ForgetReport, Problem> {
        store.catalogue.commit(&ChangeSet { changes: self.changes }, &Precondition::None)?;
        Ok(ForgetReport { dry_run: false, ..self.report })
    }
}

/// The bundles of a channel that count, newest first.
fn newest(store: &Store, channel: &str, keep: Keep) -> Result<Vec<SnapshotEntry>, Problem> {
    let mut entries = store.catalogue.snapshots(channel)?;
    entries.reverse();
    if entries.is_empty() {
        return Err(select::nothing(format!("nothing of a channel {channel} was taken in here")));
    }
    match keep {
        Keep::Last(count) => entries.truncate(usize::try_from(count.max(1)).unwrap_or(usize::MAX)),
        Keep::Within(span) => {
            let from = clock::now().checked_sub(span).map(clock::text).unwrap_or_default();
            let mut is_first = true;
            entries.retain(|entry| std::mem::take(&mut is_first) || entry.accepted >= from);
        }
    }
    Ok(entries)
}

/// What was chosen so far.
struct Chosen<'a> {
    store: &'a Store,
    report: Vec<Shown>,
    changes: Vec<Change>,
    /// What was chosen of the package that is looked at: artifacts come package by package.
    package: Option<Vec<Linked>>,
}

impl Chosen<'_> {
    fn take(&mut self, linked: Linked) -> Result<(), Problem> {
        let package = |it: &Artifact| [it.ecosystem.clone(), it.repository.clone(), it.name.clone()];
        let first = self.package.as_ref().and_then(|chosen| chosen.first());
        if first.is_some_and(|first| package(&first.artifact) != package(&linked.artifact)) {
            self.close()?;
        }
        self.package.get_or_insert_default().push(linked);
        Ok(())
    }

    /// Ends a package: what its chosen artifacts name by digest are parts of them, and go along unless something else has
    /// them, or a ref leads to them.
    fn close(&mut self) -> Result<(), Problem> {
        let Some(mut chosen) = self.package.take() else { return Ok(()) };
        if let Some(first) = chosen.iter().find(|linked| parts(&linked.artifact).next().is_some()) {
            let Artifact { ecosystem, repository, name, .. } = &first.artifact;
            let all = self.store.catalogue.artifacts(ecosystem, Some(repository), name)?;
            let refs = self.store.catalogue.refs(ecosystem, Some(repository), name, None)?;
            let named: BTreeSet<&str> = refs.iter().map(|one| one.reference.version.as_str()).collect();
            let mut goes: BTreeSet<String> =
                chosen.iter().map(|linked| linked.artifact.version.clone()).collect();
            let mut next = 0;
            while let Some(whole) = chosen.get(next).cloned() {
                next += 1;
                for part in parts(&whole.artifact).filter(|part| !named.contains(part)) {
                    let is_elsewhere = all.iter().any(|other| {
                        !goes.contains(&other.artifact.version)
                            && parts(&other.artifact).any(|one| one == part)
                    });
                    let found = all.iter().find(|one| one.artifact.version == part && !goes.contains(part));
                    if let Some(found) = found.filter(|_| !is_elsewhere) {
                        goes.insert(part.to_owned());
                        chosen.push(Linked { source: whole.source.clone(), ..found.clone() });
                    }
                }
            }
        }
        for Linked { artifact, source, .. } in chosen {
            self.report.push(Shown::of(&artifact, &source));
            let Artifact { ecosystem, repository, name, version: what, qualifier, .. } = artifact;
            let place = Place { ecosystem, repository, name, what };
            self.changes.push(Change::Forget { source, place, qualifier });
        }
        Ok(())
    }
}

/// The versions of its own package that an artifact consists of: those that it names by digest.
fn parts(artifact: &Artifact) -> impl Iterator<Item = &str> {
    let own = artifact.requires.iter().filter(|edge| edge.name == artifact.name);
    own.map(|edge| edge.range.as_str()).filter(|range| range.parse::<Digest>().is_ok())
}

#[cfg(test)]
mod tests {
    use bundle_format::{BlobKey, Record, Ref, Requirement};

    use super::*;
    use crate::ops::testing::{artifact, import, keep, replace};

    fn plan(store: &Store, selectors: &[&str]) -> Result<Plan, Problem> {
        let selectors = selectors.iter().map(|text| Selector::parse(text).unwrap()).collect();
        Plan::make(store, &Wish::Selected(selectors), 2)
    }

    fn shown(store: &Store) -> Vec<String> {
        let list = store.catalogue.list(None, 100).unwrap();
        list.into_iter()
            .map(|one| format!("{} {}", one.linked.artifact.name, one.linked.artifact.version))
            .collect()
    }

    fn collect_garbage(store: &Store) -> u64 {
        let request = crate::ops::gc::GcRequest { dry_run: false, keep_generations: 2 };
        crate::ops::gc::gc(store, &request, &crate::events::Silent, &crate::cancel::Cancel::default())
            .unwrap()
            .bytes
    }

    #[test]
    fn what_is_forgotten_goes_from_every_state_and_comes_back_when_it_is_listed_again() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for text in ["shared", "only old", "only new!"] {
            keep(&store, text);
        }
        import(
            &store,
            "prod",
            &[artifact("a", "1", &["shared", "only old"]), artifact("b", "1", &["shared"])],
        );
        import(&store, "prod", &[artifact("a", "1", &["shared", "only new!"])]);
        import(&store, "dev", &[artifact("b", "1", &["shared"])]);
        let planned = plan(&store, &["npm:a"]).unwrap();
        let report = planned.report().clone();
        assert_eq!((report.artifacts.len(), report.blobs, report.bytes), (1, 2, 17));
        assert_eq!(shown(&store), ["a 1", "b 1", "b 1"], "a plan changes nothing");
        planned.carry_out(&store).unwrap();
        assert_eq!(shown(&store), ["b 1", "b 1"]);
        assert_eq!(collect_garbage(&store), report.bytes);
        assert!(store.blobs.size(&BlobKey::of(b"shared")).unwrap().is_some());
        assert_eq!(plan(&store, &["npm:a"]).err().unwrap().code, "selector.nothing");

        import(&store, "prod", &[artifact("a", "1", &["shared"])]);
        assert_eq!(shown(&store), ["a 1", "b 1", "b 1"]);
        // Of a channel alone, what others brought is left.
        plan(&store, &["channel:prod"]).unwrap().carry_out(&store).unwrap();
        assert_eq!(shown(&store), ["b 1"]);
    }

    #[test]
    fn what_clients_pushed_goes_with_what_they_uploaded_for_it() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for text in ["pushed", "uploaded"] {
            keep(&store, text);
        }
        let Record::Artifact(pushed) = artifact("a", "1", &["pushed"]) else { panic!() };
        let deposit = |name: &str, text: &str| Change::Deposit {
            place: Place {
                ecosystem: pushed.ecosystem.clone(),
                repository: pushed.repository.clone(),
                name: name.into(),
                what: text.into(),
            },
            blob: BlobKey::of(text.as_bytes()),
            size: text.len() as u64,
        };
        let changes = vec![deposit("a", "pushed"), deposit("a", "uploaded"), Change::Link(pushed.clone())];
        store.catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
        assert_eq!(plan(&store, &["npm:a"]).unwrap().carry_out(&store).unwrap().bytes, 6);
        assert_eq!(collect_garbage(&store), 6);
        assert!(store.blobs.size(&BlobKey::of(b"uploaded")).unwrap().is_some());
    }

    #[test]
    fn a_channel_that_is_being_imported_into_forgets_nothing() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        import(&store, "prod", &[artifact("a", "1", &["x"])]);
        let generation = store.catalogue.begin_generation("prod").unwrap();
        let planned = plan(&store, &["npm:a"]).unwrap();
        assert_eq!(planned.carry_out(&store).unwrap_err().code, "store.busy");
        store.catalogue.abandon(generation).unwrap();
        plan(&store, &["npm:a"]).unwrap().carry_out(&store).unwrap();
        assert!(shown(&store).is_empty());
    }

    #[test]
    fn parts_go_with_the_last_that_has_them() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let digest = |text: &str| Digest::from(BlobKey::of(text.as_bytes())).to_string();
        let image = |version: &str, parts: &[&str]| {
            let Record::Artifact(mut artifact) = artifact("app", &digest(version), &[version]) else {
                panic!()
            };
            artifact.requires = parts
                .iter()
                .map(|part| Requirement { name: "app".into(), range: digest(part), kind: "entry".into() })
                .collect();
            artifact.requires.sort();
            Record::Artifact(artifact)
        };
        let tag = |label: &str, version: &str| {
            Record::Ref(Ref {
                ecosystem: "npm".into(),
                repository: "registry.example.test".into(),
                name: "app".into(),
                label: label.into(),
                version: digest(version),
            })
        };
        let records = [
            image("one", &["shared", "own", "tagged"]),
            image("two", &["shared"]),
            image("shared", &[]),
            image("own", &[]),
            image("tagged", &[]),
            tag("slim", "tagged"),
            tag("1", "one"),
        ];
        replace(&store, "prod", &records);
        let one = format!("npm:app@{}", digest("one"));
        let report = plan(&store, &[&one]).unwrap().carry_out(&store).unwrap();
        assert_eq!(report.artifacts.len(), 2, "{report:?}");
        let left = shown(&store);
        for (version, is_left) in
            [("one", false), ("own", false), ("two", true), ("shared", true), ("tagged", true)]
        {
            assert_eq!(left.contains(&format!("app {}", digest(version))), is_left, "{version}");
        }
        let labels = store.catalogue.refs("npm", None, "app", None).unwrap();
        assert_eq!(labels.len(), 1, "the tag went with what it led to");
    }
}
