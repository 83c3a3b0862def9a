//! Into which volumes a bundle is cut, and with how much to mend them.

use std::io;

use bundle_format::recovery::{Layout, Subject, file};
use bundle_format::{
    BlobKey, BundlePlan, Cutter, Documents, PackingList, PlanError, Recovery, SegmentRef, Signer, Source,
};
use serde::{Deserialize, Serialize};

use super::issue::{unpackable, unsigned};
use crate::cancel::interruption;
use crate::problem::{Kind, Problem};
use crate::units;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volumes {
    /// The most bytes of a volume and what lies beside it; `None`: one volume of everything.
    pub size: Option<u64>,
    /// What there is to be to mend them with.
    pub recovery: Option<Recovery>,
}

/// What is to be cut.
pub(super) struct Cutting<'a> {
    pub(super) volumes: Volumes,
    pub(super) segments: &'a [SegmentRef],
    pub(super) blobs: &'a [(BlobKey, u64)],
    /// The index of an OCI archive, if it is to be one.
    pub(super) index: Option<&'a [u8]>,
    /// The key of a part of a blob.
    pub(super) hash: &'a mut dyn FnMut(&Source) -> io::Result<BlobKey>,
    /// Keeps a segment of recipes.
    pub(super) keep: &'a mut dyn FnMut(&SegmentRef, &[u8]) -> io::Result<()>,
}

/// What is assumed that a packing list and both signatures take, in bytes. If it is more, volumes are cut again.
const DOCUMENTS: u64 = 64 * 1024;

impl Cutting<'_> {
    /// The volumes, and the documents that they all have, of a snapshot with its signatures.
    ///
    /// # Errors
    /// Usage (2), if volumes of that size cannot be made; if something cannot be read, kept or signed.
    pub(super) fn cut(
        &mut self,
        snapshot: &[u8],
        signed: &[u8],
        signer: &dyn Signer,
    ) -> Result<(BundlePlan, Documents), Problem> {
        let most = self.volumes.size.unwrap_or(u64::MAX);
        let mut documents = snapshot.len() as u64 + DOCUMENTS + self.share(most);
        loop {
            let mut plan = self.plan(most, documents)?.with_recovery(self.volumes.recovery);
            if let Some(index) = self.index {
                plan = plan.with_index(index.to_vec()).map_err(|error| unpackable(&error))?;
            }
            let made = Documents::sign_packing(snapshot.to_vec(), signed.to_vec(), &plan, &[signer]);
            let made = made.map_err(|error| match &error {
                bundle_format::DocumentsError::Canonical(_) if plan.recovery().is_some() => {
                    unmendable(&error, plan.volumes().len())
                }
                _ => unsigned(&error),
            })?;
            let files = Files::of(&plan, &made);
            let fullest = files.all().map(|medium| files.medium(medium)).max().unwrap_or_default();
            if fullest <= most {
                return Ok((plan, made));
            }
            // The list of volumes is longer than was assumed, or what mends them larger.
            documents += (fullest - most).max(DOCUMENTS);
        }
    }

    /// What of a medium is not for the volume but for what mends it, by a rough guess that spares cutting twice.
    fn share(&self, most: u64) -> u64 {
        let Some(recovery) = self.volumes.recovery.filter(|_| self.volumes.size.is_some()) else { return 0 };
        let beside = recovery.percent.map_or(0, |percent| most - most / (103 + percent) * 100);
        beside + if recovery.spares > Some(0) { most / 64 } else { 0 }
    }

    /// The size that is proposed where volumes are too small: what mends them grows with them.
    fn least(&self, least: u64) -> u64 {
        let recovery = self.volumes.recovery.unwrap_or_default();
        least
            + least * recovery.percent.unwrap_or_default() / 50
            + if recovery.spares > Some(0) { 1 << 20 } else { 0 }
    }

    fn plan(&mut self, most: u64, documents: u64) -> Result<BundlePlan, Problem> {
        let cutter = &mut Cutter { most, documents, hash: self.hash, keep: self.keep };
        let cut = BundlePlan::cut(self.segments, self.blobs.iter().copied(), cutter);
        cut.map_err(|error| match error {
            PlanError::TooSmall(size, least) => Problem::new(
                Kind::Usage,
                "collect.volume-size",
                format!("volumes of {} are too small for this bundle", units::bytes(size)),
            )
            .hint(format!("give --volume-size {}MiB or more", self.least(least).div_ceil(1 << 20))),
            PlanError::TooManyVolumes(count) => Problem::new(
                Kind::Usage,
                "collect.volume-size",
                format!("with volumes of this size there would be {count} and more"),
            )
            .hint("give a larger --volume-size"),
            PlanError::Unreadable { source, .. } if interruption(&source).is_some() => {
                interruption(&source).unwrap_or_else(|| unpackable(&source))
            }
            error => unpackable(&error),
        })
    }
}

fn unmendable(error: &dyn std::error::Error, volumes: usize) -> Problem {
    let message = format!("a bundle of {} cannot be protected so", units::count(volumes as u64, "volume"));
    Problem::new(Kind::Usage, "collect.recovery", message)
        .caused_by(error)
        .hint("make larger volumes with --volume-size, or fewer spare ones with --survive")
}

/// The files of a bundle that is planned.
pub(super) struct Files<'a> {
    plan: &'a BundlePlan,
    documents: &'a Documents,
    packing: PackingList,
    key: BlobKey,
}

/// A volume or a spare one, by its number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Volume(u64),
    Spare(u64),
}

impl<'a> Files<'a> {
    pub(super) fn of(plan: &'a BundlePlan, documents: &'a Documents) -> Files<'a> {
        // It was signed as the very list of this plan.
        let packing = PackingList::new(bundle_format::Snapshot::digest_of(&documents.snapshot), plan);
        Files { plan, documents, packing, key: BlobKey::of(&documents.packing) }
    }

    /// How many volumes there are, and how many spare ones.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.plan.volumes().len() as u64, self.plan.recovery().map_or(0, |recovery| recovery.spares()))
    }

    /// All volumes and then all spare ones.
    pub(super) fn all(&self) -> impl Iterator<Item = Medium> + use<> {
        let (volumes, spares) = self.counts();
        (1..=volumes).map(Medium::Volume).chain((1..=spares).map(Medium::Spare))
    }

    /// The size of the file of a volume or a spare one in bytes, and of what lies beside it to mend it.
    pub(super) fn sizes(&self, medium: Medium) -> (u64, u64) {
        let (volumes, _) = self.counts();
        let recovery = |subject| match Layout::of(&self.packing, self.key, subject) {
            Some(layout) => file::file_size(file::head(self.documents, subject).len() as u64, &layout),
            None => 0,
        };
        match medium {
            Medium::Volume(number) => {
                let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
                let volume = self.plan.volumes().get(place);
                let size = volume.map_or(0, |volume| self.documents.file_size(volume));
                (size, recovery(Subject::Recovery { number }))
            }
            Medium::Spare(number) => (
                recovery(Subject::Spare { number }),
                recovery(Subject::Recovery { number: volumes + number }),
            ),
        }
    }

    /// What a medium takes that has a volume and what mends it.
    pub(super) fn medium(&self, medium: Medium) -> u64 {
        let (file, beside) = self.sizes(medium);
        file + beside
    }

    /// How a file of recovery is laid out; none, if there is no such file.
    pub(super) fn layout(&self, subject: Subject) -> Option<Layout> {
        Layout::of(&self.packing, self.key, subject)
    }
}
