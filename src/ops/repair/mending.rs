//! Mending copies, in place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use bundle_format::ReadAt;
use bundle_format::body::Tail;
use bundle_format::recovery::{self, Lanes, Layout, Subject, Survey, file};

use super::found::{Found, Role};
use super::{Repairing, State, salvage};
use crate::events::Happening;
use crate::fsx;

/// A file of recovery from which packets are read.
struct Packets {
    file: File,
    /// Where the packets begin.
    start: u64,
    layout: Layout,
}

impl Packets {
    fn read(&self, lane: usize, stripe: u64, packet: &mut [u8]) -> io::Result<()> {
        self.file.read_at(self.start + self.layout.offset(lane, stripe), packet)
    }
}

impl Repairing<'_> {
    /// Mends damaged volumes, each by the file that lies beside it.
    pub(super) fn mend_by_what_lies_beside(&self, states: &mut BTreeMap<u64, State>) -> io::Result<()> {
        for (number, state) in states.iter_mut().filter(|(_, state)| **state == State::Damaged) {
            let Some(packets) = self.packets(Subject::Recovery { number: *number }) else { continue };
            let copy = self.open_damaged(*number)?;
            self.mend_one(&copy, self.head().len() as u64, &packets)?;
            copy.sync()?;
            if self.is_sound(*number)? {
                *state = State::Mended;
            }
        }
        Ok(())
    }

    /// Mends the copy of a spare volume by the file that lies beside it.
    pub(super) fn mend_spare(&self, path: &Path, number: u64) -> io::Result<()> {
        let subject = Subject::Recovery { number: self.bundle.count() + number };
        let Some(packets) = self.packets(subject) else { return Ok(()) };
        let head = file::head(&self.bundle.head.documents(), Subject::Spare { number });
        let copy = fsx::File::resume(path, fsx::Access::Ordinary)?;
        if let Some(layout) = self.layout(Subject::Spare { number }) {
            copy.set_size(file::file_size(head.len() as u64, &layout))?;
            copy.write_at(head.len() as u64 + layout.size(), &head)?;
        }
        copy.write_at(0, &head)?;
        self.mend_one(&copy, head.len() as u64, &packets)?;
        copy.sync()
    }

    /// Mends damaged volumes, and makes missing ones again, by all the others and the spare ones.
    pub(super) fn mend_by_each_other(&self, states: &mut BTreeMap<u64, State>) -> io::Result<()> {
        let mut spares = Vec::new();
        for number in 1..=self.bundle.spares() {
            let path = self.spare(number);
            if let (true, Some(layout)) = (path.exists(), self.layout(Subject::Spare { number })) {
                let start = file::head(&self.bundle.head.documents(), Subject::Spare { number }).len() as u64;
                spares.push(Packets { file: fsx::open_regular(&path)?, start, layout });
            }
        }
        let missing = states.values().filter(|state| **state == State::Missing).count();
        let Some(first) = spares.first().filter(|_| missing <= spares.len()) else { return Ok(()) };
        let (head, layout) = (self.head().len() as u64, first.layout.clone());
        let mut files = Vec::new();
        for (number, state) in &*states {
            files.push(match state {
                State::Damaged | State::Missing => self.open_damaged(*number)?,
                _ => fsx::File::resume(&self.volume(*number), fsx::Access::Ordinary)?,
            });
        }
        let bodies: Vec<Tail<&File>> =
            files.iter().map(|file| Tail { whole: file.inner(), start: head }).collect();
        let sizes = self.bundle.head.packing().volumes.iter().map(|volume| volume.size);
        let lanes = bodies.iter().zip(sizes).map(|(body, size)| (body as &dyn ReadAt, size));
        let lanes = Lanes::Each(lanes.collect());
        self.stage(layout.grid.stripes * (layout.grid.data * layout.grid.slice) as u64);
        recovery::mend(
            &layout.grid,
            &lanes,
            &layout.seal,
            &mut |lane, stripe, packet| {
                let spare = spares.iter().find(|spare| spare.layout.lanes.contains(&lane));
                spare.ok_or(io::ErrorKind::NotFound)?.read(lane, stripe, packet)
            },
            Some(&mut |lane, stripe, slice| {
                let (offset, length) = lanes.part(&layout.grid, lane, stripe);
                let file = files.get(lane).ok_or(io::ErrorKind::NotFound)?;
                file.write_at(head + offset, slice.get(..length).unwrap_or_default())
            }),
            &mut |bytes| self.step(bytes),
        )?;
        for (number, state) in states.iter_mut() {
            let sound = match state {
                State::Damaged => State::Mended,
                State::Missing => State::MadeAgain,
                _ => continue,
            };
            if let Some(file) = usize::try_from(*number - 1).ok().and_then(|place| files.get(place)) {
                file.sync()?;
            }
            if self.is_sound(*number)? {
                *state = sound;
            }
        }
        Ok(())
    }

    /// Mends the body of a file by itself.
    fn mend_one(&self, copy: &fsx::File, head: u64, packets: &Packets) -> io::Result<Survey> {
        let Layout { grid, seal, .. } = &packets.layout;
        let body = Tail { whole: copy.inner(), start: head };
        let lanes = Lanes::One(&body, self.body_size(seal.unit));
        self.stage(self.body_size(seal.unit));
        recovery::mend(
            grid,
            &lanes,
            seal,
            &mut |lane, stripe, packet| packets.read(lane, stripe, packet),
            Some(&mut |lane, stripe, slice| {
                let (offset, length) = lanes.part(grid, lane, stripe);
                copy.write_at(head + offset, slice.get(..length).unwrap_or_default())
            }),
            &mut |bytes| self.step(bytes),
        )
    }

    /// The file of recovery for a subject that was given.
    fn packets(&self, subject: Subject) -> Option<Packets> {
        let found = self.bundle.files.iter().find_map(|Found { path, role }| match role {
            Role::Recovery(is, start) if *is == subject => Some((path, *start)),
            _ => None,
        });
        let (path, start) = found?;
        Some(Packets { file: fsx::open_regular(path).ok()?, start, layout: self.layout(subject)? })
    }

    fn layout(&self, subject: Subject) -> Option<Layout> {
        Layout::of(self.bundle.head.packing(), self.bundle.key, subject)
    }

    fn body_size(&self, unit: u64) -> u64 {
        Layout::body_size(self.bundle.head.packing(), self.bundle.key, unit).unwrap_or_default()
    }

    /// The documents at the beginning of every volume.
    fn head(&self) -> Vec<u8> {
        self.bundle.head.documents().to_members()
    }

    /// Opens what there is of a volume, perhaps nothing: of the size that it must have, and with its head.
    fn open_damaged(&self, number: u64) -> io::Result<fsx::File> {
        let (copy, head) = (fsx::File::resume(&self.damaged(number), fsx::Access::Ordinary)?, self.head());
        copy.set_size(head.len() as u64 + self.body_size(number))?;
        copy.write_at(0, &head)?;
        Ok(copy)
    }

    /// Whether what there is of a volume is sound by now; then it gets its name.
    fn is_sound(&self, number: u64) -> io::Result<bool> {
        let mut copy = fsx::open_regular(&self.damaged(number))?;
        let is_sound = salvage::is_sound(&mut copy, self.verifier)?;
        if is_sound {
            self.name(number)?;
        }
        Ok(is_sound)
    }

    fn stage(&self, bytes: u64) {
        self.events.emit(Happening::Stage { name: "mend".into(), items: None, bytes: Some(bytes) });
    }

    fn step(&self, bytes: u64) -> io::Result<()> {
        self.events.emit(Happening::ItemProgress { bytes });
        self.cancel.check_io()
    }
}
