//! `aftk.lock`: what requests were resolved to, exactly. One JSON object a line, sorted, made for `git diff`.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use bundle_format::{Ref, Repository, canonical};
use serde::{Deserialize, Serialize};

use crate::ecosystem::{Evidence, Gap, Note, Planned, registry};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::spill::{Sorted, Sorter};

/// The version of the file's form.
const FORMAT: u32 = 1;
/// The longest line that is read, in bytes.
const LINE_LIMIT: u64 = 4 * 1024 * 1024;

/// What requests were resolved to. What there is very much of is not held in memory.
#[derive(Debug, Clone, Default)]
pub struct Lock {
    /// When it was resolved, RFC 3339 UTC; the `created` of snapshots made from it.
    pub resolved: String,
    /// The identities of the requests, sorted.
    pub identities: Vec<String>,
    /// The platforms that it is for, sorted.
    pub platforms: Vec<String>,
    /// The repositories, sorted.
    pub repositories: Vec<Repository>,
    /// The artifacts.
    pub artifacts: Sorted<Planned>,
    /// The refs.
    pub refs: Sorted<Ref>,
    /// The upstream documents it was read from.
    pub evidence: Sorted<Evidence>,
    /// Gaps that were accepted, with the reason.
    pub gaps: Vec<AcceptedGap>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// A gap and why it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedGap {
    /// The gap.
    #[serde(flatten)]
    pub gap: Gap,
    /// Why it was accepted.
    pub accepted: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line {
    Lock { format: u32, resolved: String, requests: Vec<String>, platforms: Vec<String> },
    Repository(Repository),
    Artifact(Planned),
    Ref(Ref),
    Evidence(Evidence),
    Gap(AcceptedGap),
    Note(Note),
}

/// Whether it says what was so when it was resolved, and comes out otherwise each time.
pub(super) fn is_of_its_day(planned: &Planned) -> bool {
    registry::find(&planned.ecosystem).is_some_and(|ecosystem| ecosystem.is_of_its_day(&planned.schema))
}

impl Lock {
    /// Whether it was made from these requests for these platforms.
    pub fn answers(&self, identities: &[String], platforms: &[String]) -> bool {
        self.identities == identities && self.platforms == platforms
    }

    /// The artifacts that come out alike whenever they are resolved.
    pub(super) fn lasting(&self) -> impl Iterator<Item = Result<Planned, Problem>> {
        self.artifacts.iter().filter(|one| one.as_ref().map_or(true, |one| !is_of_its_day(one)))
    }

    /// Reads a lock; `None` if there is none. `scratch` is a directory for what outgrows memory.
    ///
    /// # Errors
    /// With file and line, if it is not one.
    pub fn read(path: &Path, scratch: &Path) -> Result<Option<Lock>, Problem> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("cannot read {}", path.display());
                return Err(Problem::new(Kind::Usage, "lock.unreadable", message).caused_by(&error));
            }
        };
        let mut lock = Lock::default();
        // They were written sorted; but people merge locks by hand.
        let mut artifacts = Sorter::new(scratch);
        let (mut refs, mut evidence) = (Sorter::new(scratch), Sorter::new(scratch));
        let mut reader = BufReader::with_capacity(super::BUFFER, file);
        let mut text = Vec::new();
        let mut number = 0;
        loop {
            text.clear();
            let length = std::io::Read::take(&mut reader, LINE_LIMIT)
                .read_until(b'\n', &mut text)
                .map_err(|error| invalid(path, number, &error.to_string()))?;
            if length == 0 {
                break;
            }
            number += 1;
            if text.pop() != Some(b'\n') {
                return Err(invalid(path, number, "the line is too long or the file ends within it"));
            }
            let line =
                serde_json::from_slice(&text).map_err(|error| invalid(path, number, &error.to_string()))?;
            match line {
                Line::Lock { format, resolved, requests, platforms } if number == 1 => {
                    if format != FORMAT {
                        let message =
                            format!("lock format {format} is not known; this version reads {FORMAT}");
                        return Err(invalid(path, number, &message));
                    }
                    if crate::clock::seconds(&resolved).is_none() {
                        return Err(invalid(path, number, "`resolved` is not a time"));
                    }
                    (lock.resolved, lock.identities, lock.platforms) = (resolved, requests, platforms);
                }
                Line::Lock { .. } => return Err(invalid(path, number, "a second head")),
                _ if number == 1 => return Err(invalid(path, number, "the head is missing")),
                Line::Repository(repository) => lock.repositories.push(repository),
                Line::Artifact(artifact) => artifacts.push(without_holdings(artifact))?,
                Line::Ref(reference) => refs.push(reference)?,
                Line::Evidence(document) => evidence.push(document)?,
                Line::Gap(gap) => lock.gaps.push(gap),
                Line::Note(note) => lock.notes.push(note),
            }
        }
        if number == 0 {
            return Err(invalid(path, 0, "the file is empty"));
        }
        (lock.artifacts, lock.refs, lock.evidence) =
            (artifacts.finish()?, refs.finish()?, evidence.finish()?);
        lock.sort_repositories();
        Ok(Some(lock))
    }

    /// Brings the repositories into the order of segments.
    pub fn sort_repositories(&mut self) {
        self.repositories.sort_by(|a, b| (&a.ecosystem, &a.name).cmp(&(&b.ecosystem, &b.name)));
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let failed = |error: &dyn std::error::Error| {
            Problem::new(Kind::Failed, "lock.unwritable", format!("cannot write {}", path.display()))
                .caused_by(error)
        };
        let mut file = fsx::AtomicFile::create(path).map_err(|error| failed(&error))?;
        let (requests, platforms) = (self.identities.clone(), self.platforms.clone());
        let head = Line::Lock { format: FORMAT, resolved: self.resolved.clone(), requests, platforms };
        let artifacts = self.artifacts.iter();
        let is_one = self.identities.len() == 1;
        let artifacts = artifacts.map(|artifact| {
            let mut artifact = without_holdings(artifact?);
            if is_one {
                // It leads to everything.
                artifact.requests.clear();
            }
            Ok(Line::Artifact(artifact))
        });
        let lines = std::iter::once(Ok(head))
            .chain(self.repositories.iter().cloned().map(Line::Repository).map(Ok))
            .chain(artifacts)
            .chain(self.refs.iter().map(|reference| Ok(Line::Ref(reference?))))
            .chain(self.evidence.iter().map(|document| Ok(Line::Evidence(document?))))
            .chain(self.gaps.iter().cloned().map(Line::Gap).map(Ok))
            .chain(self.notes.iter().cloned().map(Line::Note).map(Ok));
        let mut out = BufWriter::with_capacity(super::BUFFER, &mut file);
        for line in lines {
            let line: Result<Line, Problem> = line;
            let mut text = canonical::to_bytes(&line?).map_err(|error| failed(&error))?;
            text.push(b'\n');
            out.write_all(&text).map_err(|error| failed(&error))?;
        }
        out.flush().map_err(|error| failed(&error))?;
        drop(out);
        file.commit().map_err(|error| failed(&error))
    }
}

/// Whether the store holds a file is nothing that a lock could say.
fn without_holdings(mut artifact: Planned) -> Planned {
    artifact.files.iter_mut().for_each(|file| file.held = false);
    artifact
}

fn invalid(path: &Path, line: u64, why: &str) -> Problem {
    Problem::new(Kind::Untrusted, "lock.invalid", format!("this is not a lock that aftk wrote: {why}"))
        .at(format_args!("{}:{line}", path.display()))
        .hint("restore it from version control, or delete it and run `aftk lock`")
}
