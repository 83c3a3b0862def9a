//! Whether a damaged volume can be mended by what lies beside it.

use std::path::Path;

use bundle_format::body::Tail;
use bundle_format::recovery::{self, Lanes, Subject, file};
use bundle_format::{ReadAt, Verifier};

use super::found::{self, Found, Role};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::units;

/// What repairing a damaged volume would come to, in a sentence; `None` if nothing lies beside it, or nothing can be said.
/// Its bytes are read once more.
pub fn outlook(
    path: &Path,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Option<(bool, String)> {
    let (bundles, _) = found::find(&[path.to_owned()], verifier).ok()?;
    let bundle = bundles.first()?;
    let number = bundle.files.iter().find_map(|Found { role, .. }| match role {
        Role::Volume(number) => Some(*number),
        Role::Recovery(..) => None,
    })?;
    let (beside, start) = bundle.files.iter().find_map(|Found { path, role }| match role {
        Role::Recovery(subject @ Subject::Recovery { .. }, start)
            if *subject == (Subject::Recovery { number }) =>
        {
            Some((path, *start))
        }
        _ => None,
    })?;
    let subject = Subject::Recovery { number };
    let layout = file::Layout::of(bundle.head.packing(), bundle.key, subject)?;
    let size = file::Layout::body_size(bundle.head.packing(), bundle.key, number)?;
    let volume = crate::fsx::open_regular(path).ok()?;
    let packets = crate::fsx::open_regular(beside).ok()?;
    let head = bundle.head.documents().to_members().len() as u64;
    let body = Tail { whole: &volume, start: head };
    events.emit(Happening::Stage { name: "look what can be mended".into(), items: None, bytes: Some(size) });
    let survey = recovery::mend(
        &layout.grid,
        &Lanes::One(&body, size),
        &layout.seal,
        &mut |lane, stripe, packet| packets.read_at(start + layout.offset(lane, stripe), packet),
        None,
        &mut |bytes| {
            events.emit(Happening::ItemProgress { bytes });
            cancel.check_io()
        },
    );
    let survey = survey.ok()?;
    let damaged = format!("{} of {} are damaged", survey.damaged, units::count(survey.slices, "slice"));
    Some(match (survey.is_mendable(), survey.damaged) {
        (true, 0) => (true, "its documents alone are damaged, and can be mended".to_owned()),
        (true, _) => (true, format!("{damaged}, and can be mended")),
        (false, _) => {
            (false, format!("{damaged}, and what lies beside it mends {} of them", survey.mendable))
        }
    })
}
