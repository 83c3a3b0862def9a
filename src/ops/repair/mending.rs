//! Mending copies, in place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use bundle_format::ReadAt;
use bundle_format::body::Tail;
use bundle_format::recovery::{self, Data, Lanes, Layout, Packets, Subject, file};

use super::found::{Found, Role};
use super::{Repairing, State, salvage};
use crate::events::Happening;
use crate::fsx;

/// A body in a file.
type Body = Tail<File>;

/// A file of recovery that is open, and where its packets begin.
type Open = (File, u64);

impl Repairing<'_> {
    /// Mends damaged volumes, each by what lies beside it, and by other copies of it.
    pub(super) fn mend_by_what_lies_beside(&self, states: &mut BTreeMap<u64, State>) -> io::Result<()> {
        for (number, state) in states.iter_mut().filter(|(_, state)| **state == State::Damaged) {
            let copy = self.open_damaged(*number)?;
            let start = self.head().len() as u64;
            self.mend_one(&copy, start, self.other_copies(*number)?, Subject::Recovery { number: *number })?;
            copy.sync()?;
            if self.is_sound(*number)? {
                *state = State::Mended;
            }
        }
        Ok(())
    }

    /// Mends the copy of a spare volume by what lies beside it, and by other copies of it.
    pub(super) fn mend_spare(&self, path: &Path, number: u64) -> io::Result<()> {
        let subject = Subject::Spare { number };
        let Some(layout) = self.layout(subject) else { return Ok(()) };
        let head = file::head(&self.bundle.head.documents(), subject);
        let start = head.len() as u64;
        let copy = fsx::File::resume(path, fsx::Access::Ordinary)?;
        copy.set_size(self.file_size(subject))?;
        copy.write_at(0, &head)?;
        copy.write_at(start + layout.size(), &head)?;
        // A packet says by itself whether it is sound; so another copy's is taken where this one's is not.
        let given = self.recovery_files(subject);
        let mut packet = vec![0; layout.grid.packet()];
        for lane in layout.lanes.clone() {
            for stripe in 0..layout.grid.stripes {
                let place = layout.offset(lane, stripe);
                let mut is_sound = |file: &File, start: u64| {
                    file.read_at(start + place, &mut packet).is_ok()
                        && layout.seal.open(&layout.grid, lane, stripe, &packet).is_some()
                };
                if !is_sound(copy.inner(), start)
                    && given.iter().any(|(other, other_start)| is_sound(other, *other_start))
                {
                    copy.write_at(start + place, &packet)?;
                }
                self.listener.step(packet.len() as u64)?;
            }
        }
        let number = self.bundle.count() + number;
        self.mend_one(&copy, start, Vec::new(), Subject::Recovery { number })?;
        copy.sync()
    }

    /// Mends damaged volumes, and makes missing ones again, by all the others and the spare ones.
    pub(super) fn mend_by_each_other(&self, states: &mut BTreeMap<u64, State>) -> io::Result<()> {
        let mut spares: Vec<(Open, Layout)> = Vec::new();
        for number in 1..=self.bundle.spares() {
            let (path, subject) = (self.spare(number), Subject::Spare { number });
            if let (true, Some(layout)) = (path.exists(), self.layout(subject)) {
                let start = file::head(&self.bundle.head.documents(), subject).len() as u64;
                spares.push(((fsx::open_regular(&path)?, start), layout));
            }
        }
        let missing = states.values().filter(|state| **state == State::Missing).count();
        let Some((_, layout)) = spares.first().filter(|_| missing <= spares.len()) else { return Ok(()) };
        let grid = layout.grid;
        let packets: Vec<Packets<'_>> = spares
            .iter()
            .map(|((file, start), layout)| Packets { file, start: *start, layout: layout.clone() })
            .collect();
        let start = self.head().len() as u64;
        // Only what is not sound is ever opened for writing.
        let (mut bodies, mut copies): (Vec<Body>, Vec<Option<fsx::File>>) = (Vec::new(), Vec::new());
        let mut others: Vec<Vec<Body>> = Vec::new();
        for (number, state) in &*states {
            if state.is_sound() {
                bodies.push(Tail { whole: fsx::open_regular(&self.volume(*number))?, start });
                copies.push(None);
                others.push(Vec::new());
            } else {
                let copy = self.open_damaged(*number)?;
                bodies.push(Tail { whole: copy.inner().try_clone()?, start });
                copies.push(Some(copy));
                others.push(self.other_copies(*number)?);
            }
        }
        let sizes: Vec<u64> = self.bundle.head.packing().volumes.iter().map(|volume| volume.size).collect();
        let most = others.iter().map(Vec::len).max().unwrap_or_default();
        let lanes =
            Lanes::Each(bodies.iter().zip(&sizes).map(|(body, size)| (body as &dyn ReadAt, *size)).collect());
        let copied: Vec<Lanes<'_>> = (0..most)
            .map(|attempt| {
                let each = bodies.iter().zip(&others).zip(&sizes).map(|((body, others), size)| {
                    (others.get(attempt).unwrap_or(body) as &dyn ReadAt, *size)
                });
                Lanes::Each(each.collect())
            })
            .collect();
        let is_sound = |lane: usize| copies.get(lane).is_some_and(Option::is_none);
        self.stage(grid.stripes * (grid.data * grid.slice) as u64);
        recovery::mend(
            &Data { lanes: &lanes, copies: &copied, sound: &is_sound },
            &packets,
            Some(&mut |lane, stripe, slice| {
                // A volume that was sound and cannot be read any more stays as it is.
                let Some(Some(copy)) = copies.get(lane) else { return Ok(()) };
                let (offset, length) = lanes.part(&grid, lane, stripe);
                copy.write_at(start + offset, slice.get(..length).unwrap_or_default())
            }),
            &mut |bytes| self.listener.step(bytes),
        )?;
        for ((number, state), copy) in states.iter_mut().zip(&copies) {
            let Some(copy) = copy else { continue };
            copy.sync()?;
            let was_missing = *state == State::Missing;
            if self.is_sound(*number)? {
                *state = if was_missing { State::MadeAgain } else { State::Mended };
            } else if was_missing {
                // Nothing of it is anybody's.
                fsx::remove(&self.damaged(*number))?;
            }
        }
        Ok(())
    }

    /// Mends the body of a file by itself, and by other copies of it.
    fn mend_one(&self, copy: &fsx::File, start: u64, others: Vec<Body>, subject: Subject) -> io::Result<()> {
        let Some(layout) = self.layout(subject) else { return Ok(()) };
        let files = self.recovery_files(subject);
        let packets: Vec<Packets<'_>> = files
            .iter()
            .map(|(file, start)| Packets { file, start: *start, layout: layout.clone() })
            .collect();
        let size = self.body_size(layout.seal.unit);
        let body = Tail { whole: copy.inner(), start };
        let lanes = Lanes::One(&body, size);
        let copies: Vec<Lanes<'_>> = others.iter().map(|other| Lanes::One(other, size)).collect();
        self.stage(size);
        let put = &mut |lane, stripe, slice: &[u8]| {
            let (offset, length) = lanes.part(&layout.grid, lane, stripe);
            copy.write_at(start + offset, slice.get(..length).unwrap_or_default())
        };
        let data = Data { lanes: &lanes, copies: &copies, sound: &|_| false };
        recovery::mend(&data, &packets, Some(put), &mut |bytes| self.listener.step(bytes)).map(drop)
    }

    /// The bodies of what was given of a volume.
    fn other_copies(&self, number: u64) -> io::Result<Vec<Body>> {
        let start = self.head().len() as u64;
        let open = |path: &Path| fsx::open_regular(path).map(|whole| Tail { whole, start });
        Ok(self.given(number).filter_map(|path| open(path).ok()).collect())
    }

    /// The files of recovery for a subject that were given.
    fn recovery_files(&self, subject: Subject) -> Vec<Open> {
        let given = self.bundle.files.iter().filter_map(|Found { path, role }| match role {
            Role::Recovery(_, start) if role.is(subject) => Some((fsx::open_regular(path).ok()?, *start)),
            _ => None,
        });
        given.collect()
    }

    fn layout(&self, subject: Subject) -> Option<Layout> {
        Layout::of(self.bundle.head.packing(), self.bundle.key, subject)
    }

    pub(super) fn body_size(&self, unit: u64) -> u64 {
        Layout::body_size(self.bundle.head.packing(), self.bundle.key, unit).unwrap_or_default()
    }

    /// The size of a file of recovery.
    pub(super) fn file_size(&self, subject: Subject) -> u64 {
        let head = file::head(&self.bundle.head.documents(), subject).len() as u64;
        self.layout(subject).map_or(0, |layout| file::file_size(head, &layout))
    }

    /// The documents at the beginning of every volume.
    pub(super) fn head(&self) -> Vec<u8> {
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
        let (path, expected) = (self.damaged(number), self.expected(number));
        let is_sound = salvage::is_sound_at(&path, expected, self.verifier, self.listener)?;
        if is_sound {
            self.name(number)?;
        }
        Ok(is_sound)
    }

    fn stage(&self, bytes: u64) {
        let name = "mend".into();
        self.listener.events.emit(Happening::Stage { name, items: None, bytes: Some(bytes) });
    }
}
