//! From groups to all that has to be carried: rounds of resolving and asking until everything is known, then what builds the
//! source distributions among it, and so on until nothing follows.

use std::collections::HashSet;
use std::sync::Arc;

use super::build::{Builder, Builds};
use super::carry::{Carried, Selection, Source};
use super::fetch::Fetcher;
use super::file_name::Kind as FileKind;
use super::group::{Group, Groups, Part, Wants, gap};
use super::indexes::Indexes;
use super::inputs::lock::{File as LockedFile, Lock, Origin as LockOrigin};
use super::known::{Known, View};
use super::marker::Chosen;
use super::name::Name;
use super::options::Options;
use super::release::Formats;
use super::resolve::{Need, Origin, Outcome, Wanted, solve};
use super::sdist::Knows;
use super::simple::{self, Listed};
use super::target::Target;
use super::version::Version;
use crate::blocking::blocking;
use crate::ecosystem::{Gap, Note};
use crate::problem::{Kind, Problem};
use url::Url;

/// How often something further may follow before nobody believes in an end.
const ROUNDS: usize = 10_000;

/// What is carried, and what became of what is not.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) known: Known,
    pub(super) carried: Carried,
    /// Those that it was found for.
    pub(super) groups: Arc<Vec<Group>>,
    pub(super) gaps: Vec<Gap>,
    pub(super) notes: Vec<Note>,
    /// Packages of the system that building needs, as requests.
    pub(super) follow_ups: Vec<String>,
}

/// A group for one target.
struct Task {
    group: usize,
    target: usize,
}

/// What came of a task so far.
enum Step {
    Done {
        selections: Vec<Selection>,
        notes: Vec<String>,
        /// Files that a lockfile knows of, and their index does not any more: by the index's number.
        unlisted: Vec<(usize, Name, Listed)>,
    },
    Needs(Vec<Need>),
    Conflict(Vec<String>),
    /// It is not for this target, or asks for what no index has.
    Gaps(Vec<Gap>),
}

/// Finds all that has to be carried for groups.
///
/// # Errors
/// If an index cannot be reached, or contradicts a lockfile.
pub(super) async fn close(
    groups: Groups,
    targets: Vec<Target>,
    options: &Options,
    indexes: Arc<Indexes>,
    fetcher: &Fetcher<'_>,
) -> Result<Closed, Problem> {
    let mut closed = Closed { gaps: groups.gaps, notes: groups.notes, ..Closed::default() };
    let mut groups = Arc::new(groups.groups);
    let targets = Arc::new(targets);
    let mut builds = HashSet::new();
    let mut open = tasks(&groups, 0, targets.len());
    let mut selected = Vec::new();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            // Everything is chosen: what is to be carried of it, and what it says of itself?
            let carried = Carried::of(&selected, &closed.known, &groups, &targets, &indexes, options)?;
            let needs = carried.needs(&closed.known);
            closed.carried = carried;
            if !needs.is_empty() {
                fetcher.fetch(needs, &mut closed.known).await?;
                continue;
            }
            let before = groups.len();
            let mut all = Arc::try_unwrap(groups).map_err(|_| lost())?;
            all.extend(closed.builders(&all, &targets, options, &mut builds));
            groups = Arc::new(all);
            if groups.len() == before && options.builds_wheels {
                let builder =
                    Builder { fetcher, groups: &groups, targets: &targets, carried: &closed.carried };
                if builder.build(&mut closed.known).await? {
                    // Only the wheels say what they require: all is chosen once more.
                    selected.clear();
                    open = tasks(&groups, 0, targets.len());
                    continue;
                }
            }
            if groups.len() == before {
                fetcher.prove_publishers(&closed.carried, &mut closed.known).await?;
                closed.say_what_is_missing(&targets, options);
                closed.groups = groups;
                return Ok(closed);
            }
            open = tasks(&groups, before, targets.len());
        }
        let (known, sharing) =
            (std::mem::take(&mut closed.known), (groups.clone(), targets.clone(), indexes.clone()));
        let (known, steps) = blocking(move || {
            let (groups, targets, indexes) = sharing;
            let take = |task: Task| (step(&task, &groups, &targets, &known, &indexes), task);
            let steps: Vec<(Step, Task)> = open.into_iter().map(take).collect();
            Ok((known, steps))
        })
        .await?;
        closed.known = known;
        open = Vec::new();
        let mut needs = HashSet::new();
        let mut apart = Vec::new();
        for (step, task) in steps {
            let Some(group) = groups.get(task.group) else { continue };
            match step {
                Step::Done { selections, notes, unlisted } => {
                    selected.extend(selections);
                    for (index, project, file) in unlisted {
                        let page = closed.known.projects.entry((index, project.clone()));
                        page.or_default().add_unlisted(&project, file);
                    }
                    let note = |message| Note {
                        code: "pypi.no-extra".to_owned(),
                        subject: group.name.clone(),
                        message,
                    };
                    closed.notes.extend(notes.into_iter().map(note));
                }
                Step::Needs(more) => {
                    needs.extend(more);
                    open.push(task);
                }
                Step::Gaps(gaps) => closed.gaps.extend(gaps),
                Step::Conflict(lines) => {
                    let target =
                        targets.get(task.target).map(|target| target.name.as_str()).unwrap_or_default();
                    if closed.conflict(group, target, &lines) {
                        apart.push(task);
                    }
                }
            }
        }
        if !apart.is_empty() {
            let before = groups.len();
            let mut all = Arc::try_unwrap(groups).map_err(|_| lost())?;
            for task in apart {
                let parts =
                    all.get(task.group).map(|group| taken_apart(group, task.target)).unwrap_or_default();
                all.extend(parts);
            }
            groups = Arc::new(all);
            open.extend(tasks(&groups, before, targets.len()));
        }
        if !needs.is_empty() {
            fetcher.fetch(needs, &mut closed.known).await?;
        }
    }
    Err(Problem::new(
        Kind::Failed,
        "pypi.endless",
        format!("packages still lead to further ones after {ROUNDS} rounds"),
    ))
}

fn lost() -> Problem {
    Problem::new(Kind::Failed, "internal.shared", "what is resolved is still in use elsewhere")
}

/// The tasks of the groups from a number on.
fn tasks(groups: &[Group], from: usize, targets: usize) -> Vec<Task> {
    let of = |(group, it): (usize, &Group)| -> Vec<Task> {
        let targets = if it.targets.is_empty() { (0..targets).collect() } else { it.targets.clone() };
        targets.into_iter().map(|target| Task { group, target }).collect()
    };
    groups.iter().enumerate().skip(from).flat_map(of).collect()
}

/// Each of the requirements of a group by itself.
pub(super) fn taken_apart(group: &Group, target: usize) -> Vec<Group> {
    let Wants::Resolved(wanted) = &group.wants else { return Vec::new() };
    let alone = wanted.requirements.iter().map(|requirement| {
        let wanted = Wanted { requirements: vec![requirement.clone()], ..wanted.clone() };
        let (name, requests) = (requirement.name.to_string(), group.requests.clone());
        let group =
            Group::new(name, requests, Wants::Resolved(wanted), group.indexes.clone(), Part::Document);
        Group { targets: vec![target], ..group }
    });
    alone.collect()
}

fn step(task: &Task, groups: &[Group], targets: &[Target], known: &Known, indexes: &Indexes) -> Step {
    let (Some(group), Some(target)) = (groups.get(task.group), targets.get(task.target)) else {
        return Step::Gaps(Vec::new());
    };
    match &group.wants {
        Wants::Locked { lock, extras, groups, indexes } => locked(
            task,
            group,
            target,
            lock,
            Chosen { extras, groups },
            &|name| indexes.get(name).copied(),
            known,
        ),
        Wants::Resolved(wanted) => {
            let view = View { known, numbers: &group.indexes, indexes };
            match solve(&group.wanted_for(wanted, target), target, &view) {
                Outcome::Conflict(lines) => Step::Conflict(lines),
                Outcome::Needs(needs) => {
                    Step::Needs(needs.into_iter().map(|need| globally(need, &group.indexes)).collect())
                }
                Outcome::Solved(solution) => {
                    let others = wanted.other_formats.unwrap_or(Formats::Both);
                    let selections = solution.selected.into_iter().map(|(project, selected)| Selection {
                        from: match selected.origin {
                            Origin::Index(local) => {
                                Source::Index(group.indexes.get(local).copied().unwrap_or_default())
                            }
                            Origin::Url(url) => Source::Url(url),
                        },
                        formats: wanted.formats.get(&project).copied().unwrap_or(others),
                        hashes: group.hashes.get(&project).cloned().unwrap_or_default(),
                        files: Vec::new(),
                        version: selected.version,
                        extras: selected.extras,
                        group: task.group,
                        target: task.target,
                        project,
                    });
                    Step::Done {
                        selections: selections.collect(),
                        notes: solution.notes.into_iter().collect(),
                        unlisted: Vec::new(),
                    }
                }
            }
        }
    }
}

/// A need with the index's own number.
fn globally(need: Need, numbers: &[usize]) -> Need {
    let number = |local: usize| numbers.get(local).copied().unwrap_or_default();
    match need {
        Need::Releases { index, project } => Need::Releases { index: number(index), project },
        Need::Metadata { index, project, file } => Need::Metadata { index: number(index), project, file },
        need @ Need::MetadataAt { .. } => need,
    }
}

/// What a lockfile has for a target.
fn locked(
    task: &Task,
    group: &Group,
    target: &Target,
    lock: &Lock,
    chosen: Chosen<'_>,
    index_of: &dyn Fn(&str) -> Option<usize>,
    known: &Known,
) -> Step {
    if !lock.is_for(target) {
        let detail = format!("{} was not made for {}", group.name, target.name);
        return Step::Gaps(vec![gap(&group.name, &target.name, "target", detail)]);
    }
    let (mut selections, mut needs, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let mut unlisted = Vec::new();
    for package in lock.packages_for(target, chosen) {
        let mut selection = Selection {
            project: package.name.clone(),
            version: package.version.clone().unwrap_or_else(Version::zero),
            from: Source::Index(0),
            formats: Formats::Both,
            hashes: package.hashes.clone(),
            files: package.files.clone(),
            extras: Vec::new(),
            group: task.group,
            target: task.target,
        };
        match &package.origin {
            LockOrigin::Index(index) => {
                let named = index.as_deref().and_then(index_of);
                // Without a word of the lockfile, the first index that has it, as when it is resolved.
                let asked: Vec<usize> = named.map_or(group.indexes.clone(), |index| vec![index]);
                let mut found = None;
                for index in asked {
                    match known.projects.get(&(index, package.name.clone())) {
                        None => {
                            needs.push(Need::Releases { index, project: package.name.clone() });
                            break;
                        }
                        Some(project) if project.releases.is_empty() => {}
                        Some(_) => {
                            found = Some(index);
                            break;
                        }
                    }
                }
                let index =
                    found.or(named).unwrap_or_else(|| group.indexes.first().copied().unwrap_or_default());
                if let Some(page) = known.projects.get(&(index, package.name.clone())) {
                    let gone = package.files.iter().filter(|file| !page.listed.contains_key(&file.name));
                    let had = gone.filter_map(listed_by_lock);
                    unlisted.extend(had.map(|file| (index, package.name.clone(), file)));
                }
                selection.from = Source::Index(index);
                selections.push(selection);
            }
            LockOrigin::Url(url) => {
                if !known.addresses.contains_key(url.as_str()) {
                    needs.push(Need::MetadataAt { url: url.as_str().into() });
                }
                selection.from = Source::Url(url.as_str().into());
                selections.push(selection);
            }
            LockOrigin::Repository(at) => {
                let version = package.version.as_ref().map(ToString::to_string).unwrap_or_default();
                let detail = format!("{} takes it from sources at {at}, which no index has", group.name);
                gaps.push(gap(package.name.as_str(), &version, "git-dependency", detail));
            }
            // The project itself: who collects for it has it.
            LockOrigin::Local(_) => {}
        }
    }
    match (needs.is_empty(), gaps.is_empty()) {
        (false, _) => Step::Needs(needs),
        (true, true) => Step::Done { selections, notes: Vec::new(), unlisted },
        (true, false) => Step::Gaps(gaps),
    }
}

/// What a lockfile says of a file, if it says where that is.
fn listed_by_lock(file: &LockedFile) -> Option<Listed> {
    let (url, _) = simple::address(&Url::parse(file.url.as_deref()?).ok()?, "")?;
    let checksums =
        file.hashes.iter().filter_map(|hash| simple::digest(&hash.algorithm, &hash.hex)).collect();
    Some(Listed { name: file.name.clone(), url, checksums, size: file.size, ..Listed::default() })
}

impl Closed {
    /// Notes why a group cannot be had for a target; says whether its requirements may be tried one by one.
    fn conflict(&mut self, group: &Group, target: &str, lines: &[String]) -> bool {
        let many = matches!(&group.wants, Wants::Resolved(wanted) if wanted.requirements.len() > 1);
        let why = lines.join("; ");
        let note = |message| Note { code: "pypi.conflict".to_owned(), subject: target.to_owned(), message };
        match group.part {
            Part::Words if many => {
                self.notes.push(note(format!(
                    "what is asked for cannot be installed together, so it is carried one by one: {why}"
                )));
                true
            }
            Part::Installers => {
                self.notes.push(note(format!(
                    "pip, setuptools and wheel are not carried, which clients look for: {why}"
                )));
                false
            }
            _ => {
                self.gaps.push(gap(&group.name, target, "conflict", why));
                false
            }
        }
    }

    /// The groups of what builds the source distributions that are carried, as far as they are new.
    fn builders(
        &mut self,
        groups: &[Group],
        targets: &[Target],
        options: &Options,
        done: &mut HashSet<(usize, String)>,
    ) -> Vec<Group> {
        let mut builders = Vec::new();
        for release in self.carried.releases() {
            for (file, serves) in release.files.iter().filter(|(file, _)| !file.ends_with(".whl")) {
                let Some(Ok(described)) = release.described(file, &self.known) else { continue };
                let Some(build) = &described.build else { continue };
                for target in serves.iter().copied().filter(|target| *target < targets.len()) {
                    let asked: Vec<String> = build.requires.iter().map(ToString::to_string).collect();
                    if build.requires.is_empty() || !done.insert((target, asked.join("\n"))) {
                        continue;
                    }
                    let name = format!("{} {}", release.project, release.version);
                    let of = release.groups.iter().find_map(|group| groups.get(*group));
                    let group = of.and_then(|group| {
                        group.building(name, release.requests(groups), build.requires.clone(), options)
                    });
                    builders.extend(group.map(|group| Group { targets: vec![target], ..group }));
                }
            }
        }
        builders
    }

    /// What a person has to know of what is carried.
    fn say_what_is_missing(&mut self, targets: &[Target], options: &Options) {
        for release in self.carried.releases() {
            let (project, version) = (release.project.as_str(), release.version.to_string());
            let unlisted = release.pages(&self.known).flat_map(|page| &page.unlisted);
            for file in unlisted.filter(|file| release.files.contains_key(*file)) {
                self.notes.push(Note {
                    code: "pypi.unlisted".to_owned(),
                    subject: format!("{project} {version}"),
                    message: format!(
                        "its index does not list {file} any more, so it is had from where the lockfile says"
                    ),
                });
            }
            let taken_back =
                release.files.keys().filter_map(|file| release.listed(file, &self.known)?.yanked.as_deref());
            if let Some(why) = taken_back.max() {
                let why = if why.is_empty() { "nobody says why" } else { why };
                self.notes.push(Note {
                    code: "pypi.yanked".to_owned(),
                    subject: format!("{project} {version}"),
                    message: format!(
                        "was taken back by its authors, and is carried because it is pinned: {why}"
                    ),
                });
            }
            for (file, serves) in &release.files {
                let name = super::file_name::FileName::parse(file, &release.project);
                if name.is_none_or(|name| name.kind != FileKind::Sdist)
                    || serves.iter().all(|target| *target >= targets.len())
                {
                    continue;
                }
                match release.described(file, &self.known) {
                    Some(Ok(described)) => {
                        let knows = described.build.as_ref().map(|build| build.knows);
                        if knows == Some(Knows::Nothing) {
                            let detail = format!(
                                "what {file} requires is only known when it is built; say in aftk.toml what it needs as further requests"
                            );
                            self.gaps.push(gap(project, &version, "dynamic-metadata", detail));
                        }
                    }
                    Some(Err(why)) => {
                        self.gaps.push(gap(project, &version, "unreadable", format!("{file}: {why}")))
                    }
                    None => {}
                }
                let debs = options.system_packages.get(&release.project);
                self.follow_ups.extend(debs.into_iter().flatten().map(|package| format!("apt:{package}")));
                let nothing = Builds::default();
                let builds = self.known.builds.get(&release.key()).unwrap_or(&nothing);
                let names = |of: &dyn Fn(usize) -> bool| -> String {
                    let of_these = serves.iter().filter(|target| of(**target));
                    let named = of_these.filter_map(|target| Some(targets.get(*target)?.name.as_str()));
                    named.collect::<Vec<_>>().join(", ")
                };
                let mut note = |code: &str, message: String| {
                    let subject = format!("{project} {version}");
                    self.notes.push(Note { code: code.to_owned(), subject, message });
                };
                let built = names(&|target| builds.serve(target));
                if !built.is_empty() {
                    let is_locked = release.checksums.get(file).is_some_and(|locked| !locked.is_empty());
                    let locked =
                        if is_locked { "; who installs by checksums builds it all the same" } else { "" };
                    note(
                        "pypi.built-here",
                        format!("had no wheel for {built}, so one was built here from {file}{locked}"),
                    );
                }
                let inside = names(&|target| !builds.serve(target) && !release.has_wheel_for(target));
                if !inside.is_empty() {
                    let needs = if debs.is_some() {
                        ""
                    } else {
                        "; what its build needs of the system is not carried"
                    };
                    note(
                        "pypi.built-inside",
                        format!("has no wheel for {inside}, so it is built inside from {file}{needs}"),
                    );
                }
                for (target, why) in builds.refused.iter().filter(|(target, _)| !builds.serve(**target)) {
                    let target = targets.get(*target).map(|target| target.name.as_str()).unwrap_or_default();
                    let detail = format!("{file} cannot be built for {target} here: {why}");
                    self.gaps.push(gap(project, &version, "not-built", detail));
                }
            }
        }
        self.gaps.append(&mut self.carried.gaps);
        self.gaps.sort_by(|a, b| {
            (&a.name, &a.version, &a.reason, &a.detail).cmp(&(&b.name, &b.version, &b.reason, &b.detail))
        });
        self.gaps.dedup();
        self.notes.sort();
        self.notes.dedup();
        self.follow_ups.sort();
        self.follow_ups.dedup();
    }
}
