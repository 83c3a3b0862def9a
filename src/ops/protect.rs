//! Writing what mends a bundle: beside each file a part of it, and spare volumes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bundle_format::body::Tail;
use bundle_format::recovery::{self, Lanes, Layout, Subject, file};
use bundle_format::{BlobKey, Body, BundlePlan, Documents, ReadAt};

use super::issue::{open_blob, unwritable};
use super::volumes::Files;
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// A bundle whose volumes are planned, and whose blobs are held.
pub(super) struct Protecting<'a> {
    pub(super) plan: &'a BundlePlan,
    pub(super) documents: &'a Documents,
    pub(super) files: &'a Files<'a>,
    /// Whether finished files are read back from the medium.
    pub(super) read_back: bool,
    pub(super) store: &'a Store,
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a Cancel,
}

impl Protecting<'_> {
    /// Writes a spare volume, unless it is there.
    ///
    /// # Errors
    /// Refused (6), if another file has the name; if something cannot be read or written.
    pub(super) fn spare(&self, path: &Path, number: u64) -> Result<(), Problem> {
        let open = |key: &BlobKey| self.open(key);
        let bodies: Vec<Body<'_>> = self.plan.volumes().iter().map(|plan| Body::new(plan, &open)).collect();
        let lanes = bodies.iter().map(|body| (body as &dyn ReadAt, body.size())).collect();
        self.write(path, Subject::Spare { number }, &Lanes::Each(lanes))
    }

    /// Writes what mends the file of a volume, unless it is there.
    ///
    /// # Errors
    /// As [`Protecting::spare`].
    pub(super) fn beside_volume(&self, path: &Path, number: u64) -> Result<(), Problem> {
        let open = |key: &BlobKey| self.open(key);
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        let Some(plan) = self.plan.volumes().get(place) else { return Ok(()) };
        let body = Body::new(plan, &open);
        self.write(path, Subject::Recovery { number }, &Lanes::One(&body, body.size()))
    }

    /// Writes what mends the file of a spare volume, which is at `spare`, unless it is there.
    ///
    /// # Errors
    /// As [`Protecting::spare`].
    pub(super) fn beside_spare(&self, path: &Path, spare: &Path, number: u64) -> Result<(), Problem> {
        let (volumes, _) = self.files.counts();
        let subject = Subject::Spare { number };
        let Some(layout) = self.files.layout(subject) else { return Ok(()) };
        let whole = fsx::open_regular(spare).map_err(|error| unwritable(spare, &error))?;
        let start = file::head(self.documents, subject).len() as u64;
        let body = Tail { whole, start };
        self.write(path, Subject::Recovery { number: volumes + number }, &Lanes::One(&body, layout.size()))
    }

    /// Opens what a volume carries as a blob: a blob, or a part of one.
    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn ReadAt>> {
        self.cancel.check_io()?;
        Ok(match self.plan.piece(key) {
            Some(part) => Box::new(Tail { whole: open_blob(self.store, &part.blob)?, start: part.offset }),
            None => Box::new(open_blob(self.store, key)?),
        })
    }

    fn write(&self, path: &Path, subject: Subject, data: &Lanes<'_>) -> Result<(), Problem> {
        let Some(layout) = self.files.layout(subject) else { return Ok(()) };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let head = file::head(self.documents, subject);
        let failed = |error: &io::Error| unwritable(path, error);
        let making = Making { layout: &layout, head: &head, events: self.events, cancel: self.cancel };
        if path.exists() {
            let there = fsx::open_regular(path).map_err(|error| failed(&error))?;
            if !making.is_the_same(&there, data).map_err(|error| failed(&error))? {
                return Err(Problem::new(
                    Kind::Refused,
                    "collect.in-the-way",
                    "another file of the bundle's name is there already",
                )
                .at(path.display())
                .hint("move it away, or choose another directory with --out"));
            }
            self.events.emit(Happening::ItemSkip { item: name, reason: "it is there already".into() });
            return Ok(());
        }
        fsx::AtomicFile::remove_leftovers(path).map_err(|error| failed(&error))?;
        let mut target = fsx::AtomicFile::create(path).map_err(|error| failed(&error))?;
        making.write(&mut target, data).map_err(|error| failed(&error))?;
        if self.read_back {
            let medium = target.read_back().map_err(|error| failed(&error))?;
            if !making.reads_back(medium).map_err(|error| failed(&error))? {
                return Err(Problem::new(
                    Kind::Failed,
                    "collect.read-back",
                    "the medium returns other bytes than were written",
                )
                .at(path.display())
                .hint("use another medium; nothing was kept under the bundle's name"));
            }
        }
        target.commit().map_err(|error| failed(&error))?;
        self.events.emit(Happening::ItemDone { item: name });
        Ok(())
    }
}

/// A file of recovery that is being made.
struct Making<'a> {
    layout: &'a Layout,
    head: &'a [u8],
    events: &'a dyn Events,
    cancel: &'a Cancel,
}

impl Making<'_> {
    /// Hands on every packet with its place in the file.
    fn each_packet(
        &self,
        data: &Lanes<'_>,
        each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Layout { grid, seal, lanes } = self.layout;
        recovery::protect(grid, data, seal, lanes, &mut |made| {
            self.cancel.check_io()?;
            each(self.head.len() as u64 + self.layout.offset(made.lane, made.stripe), made.bytes)?;
            self.events.emit(Happening::ItemProgress { bytes: made.bytes.len() as u64 });
            Ok(())
        })
    }

    fn write(&self, target: &mut fsx::AtomicFile, data: &Lanes<'_>) -> io::Result<()> {
        target.write_all(self.head)?;
        self.each_packet(data, &mut |place, bytes| target.write_at(place, bytes))?;
        target.write_at(self.head.len() as u64 + self.layout.size(), self.head)
    }

    /// Whether a file is the one that would be made.
    fn is_the_same(&self, there: &File, data: &Lanes<'_>) -> io::Result<bool> {
        let size = file::file_size(self.head.len() as u64, self.layout);
        if there.metadata()?.len() != size {
            return Ok(false);
        }
        let mut met = Vec::new();
        let mut same = true;
        let mut compare = |place: u64, bytes: &[u8]| -> io::Result<()> {
            met.resize(bytes.len(), 0);
            same = same && there.read_exact_at(&mut met, place).is_ok() && met == bytes;
            Ok(())
        };
        compare(0, self.head)?;
        compare(size - self.head.len() as u64, self.head)?;
        self.each_packet(data, &mut compare)?;
        Ok(same)
    }

    /// Whether a medium returns both heads, and packets that are sound between them.
    fn reads_back(&self, medium: File) -> io::Result<bool> {
        let Layout { grid, seal, lanes } = self.layout;
        let count = lanes.len() as u64 * grid.stripes;
        let (mut number, mut part, mut sound) = (0, Vec::with_capacity(grid.packet()), true);
        let mut wanted = self.head.len();
        fsx::read_ahead(medium, &mut |mut bytes| {
            self.cancel.check_io()?;
            while !bytes.is_empty() {
                let (now, later) = bytes.split_at(bytes.len().min(wanted - part.len()));
                part.extend_from_slice(now);
                bytes = later;
                if part.len() < wanted {
                    break;
                }
                sound &= if number == 0 || number > count {
                    part == self.head
                } else {
                    let place = number - 1;
                    let lane = lanes.start + usize::try_from(place / grid.stripes).unwrap_or_default();
                    seal.open(grid, lane, place % grid.stripes, &part).is_some()
                };
                number += 1;
                wanted = if number > count { self.head.len() } else { grid.packet() };
                part.clear();
            }
            Ok(())
        })?;
        Ok(sound && number == count + 2 && part.is_empty())
    }
}
