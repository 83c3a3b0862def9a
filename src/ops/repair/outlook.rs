//! Looking without repairing: whether a damaged volume can be mended, and whether files of recovery are sound themselves.

use std::fs::File;
use std::path::{Path, PathBuf};

use bundle_format::Verifier;
use bundle_format::body::Tail;
use bundle_format::recovery::{self, Data, Lanes, Layout, Packets, RecoveryFile, Subject, Survey};
use serde::{Deserialize, Serialize};

use super::found::{self, Bundle, Found, Role};
use super::salvage::Listener;
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx;
use crate::ops::media;
use crate::problem::{Kind, Problem};
use crate::units;

/// What repairing a damaged volume would come to, in a sentence, and whether it would be sound then; `None` if nothing lies
/// beside it, or nothing can be said. Its bytes are read once more.
pub fn outlook(
    path: &Path,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Option<(bool, String)> {
    let (bundles, _) = found::find(&[path.to_owned()], None, verifier).ok()?;
    let bundle = bundles.first()?;
    let number = bundle.files.iter().find_map(|Found { role, .. }| match role {
        Role::Volume(number) => Some(*number),
        Role::Recovery(..) => None,
    })?;
    let survey = survey(bundle, path, number, Listener { events, cancel })?;
    let damaged = format!("{} of {} are damaged", survey.damaged, units::count(survey.slices, "slice"));
    Some(match (survey.is_mendable(), survey.damaged) {
        (true, 0) => (true, "its documents or its length alone are damaged, and can be mended".to_owned()),
        (true, _) => (true, format!("{damaged}, and can be mended")),
        (false, 0) => (false, "what lies beside it is damaged as well, and cannot mend it".to_owned()),
        (false, _) => {
            (false, format!("{damaged}, and what lies beside it mends {} of them", survey.mendable))
        }
    })
}

fn survey(bundle: &Bundle, path: &Path, number: u64, listener: Listener<'_>) -> Option<Survey> {
    let subject = Subject::Recovery { number };
    let layout = Layout::of(bundle.head.packing(), bundle.key, subject)?;
    let size = Layout::body_size(bundle.head.packing(), bundle.key, number)?;
    let (beside, start) = bundle.files.iter().find_map(|Found { path, role }| match role {
        Role::Recovery(_, start) if role.is(subject) => Some((path, *start)),
        _ => None,
    })?;
    let volume = fsx::open_regular(path).ok()?;
    let packets = fsx::open_regular(beside).ok()?;
    let body = Tail { whole: &volume, start: bundle.head.documents().head_size() };
    let name = "look what can be mended".into();
    listener.events.emit(Happening::Stage { name, items: None, bytes: Some(size) });
    let data = Data { lanes: &Lanes::One(&body, size), copies: &[], sound: &|_| false };
    let packets = [Packets { file: &packets, start, layout }];
    recovery::mend(&data, &packets, None, &mut |bytes| listener.step(bytes)).ok()
}

/// A file of recovery that is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedRecovery {
    /// The file.
    pub file: PathBuf,
    /// What it is for.
    #[serde(flatten)]
    pub subject: Subject,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Verifies a file of recovery: its head, and every packet.
///
/// # Errors
/// Untrusted (3), if it is damaged, or its head not trusted; if the job is stopped.
pub fn verify_recovery(
    path: &Path,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<VerifiedRecovery, Problem> {
    let unreadable = |error: &std::io::Error| {
        Problem::new(Kind::Untrusted, "media.unreadable", format!("cannot read {}", path.display()))
            .caused_by(error)
    };
    let file: File = fsx::open_regular(path).map_err(|error| unreadable(&error))?;
    let bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
    let read = RecoveryFile::open(&file, bytes, verifier).map_err(|error| media::problem(error, path))?;
    let packets = Packets { file: &file, start: read.start, layout: read.layout };
    let listener = Listener { events, cancel };
    let (damaged, all) = recovery::damaged_packets(&packets, &mut |bytes| listener.step(bytes))
        .map_err(|error| crate::cancel::interruption(&error).unwrap_or_else(|| unreadable(&error)))?;
    if damaged > 0 {
        let message =
            format!("{damaged} of {} of this file of recovery are damaged", units::count(all, "packet"));
        return Err(Problem::new(Kind::Untrusted, "bundle.recovery-damaged", message)
            .at(path.display())
            .hint("the rest of it still mends; have it written again while the volumes are sound"));
    }
    Ok(VerifiedRecovery { file: path.to_owned(), subject: read.subject, bytes })
}
