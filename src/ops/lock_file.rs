//! `aftk.lock`: what requests were resolved to, exactly. One JSON object a line, sorted, made for `git diff`.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use bundle_format::{Ref, Repository, canonical};
use serde::{Deserialize, Serialize};

use crate::ecosystem::{Evidence, Note, Planned};
use crate::fsx;
use crate::problem::{Kind, Problem};

/// The version of the file's form.
const FORMAT: u32 = 1;
/// The longest line that is read, in bytes.
const LINE_LIMIT: u64 = 4 * 1024 * 1024;

/// What requests were resolved to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// When it was resolved, RFC 3339 UTC; the `created` of snapshots made from it.
    pub resolved: String,
    /// The identities of the requests, sorted.
    pub identities: Vec<String>,
    /// The platforms that it is for, sorted.
    pub platforms: Vec<String>,
    /// The repositories, sorted.
    pub repositories: Vec<Repository>,
    /// The artifacts, sorted.
    pub artifacts: Vec<Planned>,
    /// The refs, sorted.
    pub refs: Vec<Ref>,
    /// The upstream documents it was read from.
    pub evidence: Vec<Evidence>,
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
    pub gap: crate::ecosystem::Gap,
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

impl Lock {
    /// Whether it was made from these requests for these platforms.
    pub fn answers(&self, identities: &[String], platforms: &[String]) -> bool {
        self.identities == identities && self.platforms == platforms
    }

    /// Reads a lock; `None` if there is none.
    ///
    /// # Errors
    /// With file and line, if it is not one.
    pub fn read(path: &Path) -> Result<Option<Lock>, Problem> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(invalid(path, 0, &error.to_string()));
            }
        };
        let mut lock = Lock::default();
        let mut reader = BufReader::new(file);
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
                Line::Artifact(mut artifact) => {
                    // Whether the store holds a file is nothing that a lock could say.
                    artifact.files.iter_mut().for_each(|file| file.held = false);
                    lock.artifacts.push(artifact);
                }
                Line::Ref(reference) => lock.refs.push(reference),
                Line::Evidence(evidence) => lock.evidence.push(evidence),
                Line::Gap(gap) => lock.gaps.push(gap),
                Line::Note(note) => lock.notes.push(note),
            }
        }
        if number == 0 {
            return Err(invalid(path, 0, "the file is empty"));
        }
        // It was written so; but people merge locks by hand.
        lock.sort();
        Ok(Some(lock))
    }

    /// Brings repositories, artifacts and refs into the order of segments.
    pub fn sort(&mut self) {
        self.repositories.sort_by(|a, b| (&a.ecosystem, &a.name).cmp(&(&b.ecosystem, &b.name)));
        self.artifacts.sort_by(|a, b| a.key().cmp(&b.key()));
        self.refs.sort_by(|a, b| {
            (&a.ecosystem, &a.repository, &a.name, &a.label).cmp(&(
                &b.ecosystem,
                &b.repository,
                &b.name,
                &b.label,
            ))
        });
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let failed = |error: &std::io::Error| {
            Problem::new(Kind::Failed, "lock.unwritable", format!("cannot write {}", path.display()))
                .caused_by(error)
        };
        let mut file = fsx::AtomicFile::create(path).map_err(|error| failed(&error))?;
        let (requests, platforms) = (self.identities.clone(), self.platforms.clone());
        let head = Line::Lock { format: FORMAT, resolved: self.resolved.clone(), requests, platforms };
        let lines = std::iter::once(head)
            .chain(self.repositories.iter().cloned().map(Line::Repository))
            .chain(self.artifacts.iter().cloned().map(|mut artifact| {
                artifact.files.iter_mut().for_each(|file| file.held = false);
                Line::Artifact(artifact)
            }))
            .chain(self.refs.iter().cloned().map(Line::Ref))
            .chain(self.evidence.iter().cloned().map(Line::Evidence))
            .chain(self.gaps.iter().cloned().map(Line::Gap))
            .chain(self.notes.iter().cloned().map(Line::Note));
        let mut out = BufWriter::with_capacity(super::BUFFER, &mut file);
        for line in lines {
            let mut text = canonical::to_bytes(&line).map_err(|error| {
                Problem::new(Kind::Failed, "lock.unwritable", format!("cannot write {}", path.display()))
                    .caused_by(&error)
            })?;
            text.push(b'\n');
            out.write_all(&text).map_err(|error| failed(&error))?;
        }
        out.flush().map_err(|error| failed(&error))?;
        drop(out);
        file.commit().map_err(|error| failed(&error))
    }
}

fn invalid(path: &Path, line: u64, why: &str) -> Problem {
    Problem::new(Kind::Usage, "lock.invalid", format!("this is not a lock that aftk wrote: {why}"))
        .at(format_args!("{}:{line}", path.display()))
        .hint("restore it from version control, or delete it and run `aftk lock`")
}
