//! Verifies a whole volume, the records of its segments too.

use std::io::Read;

use crate::error::FormatError;
use crate::reader::{Verified, VolumeReader};
use crate::record::Record;
use crate::segment::{RecordOrder, SegmentReader};
use crate::signature::Verifier;

/// Reads a volume from its first byte to its last and verifies everything that can be told from it alone.
///
/// `each` is handed every record of the segments that the volume carries, once their segment is verified. In a
/// delta some segments may be missing; whether the site holds them is not this function's matter.
pub fn verify_volume<R: Read>(
    source: R,
    verifier: &dyn Verifier,
    each: &mut dyn FnMut(Record),
) -> Result<Verified, FormatError> {
    let mut volume = VolumeReader::open(source, verifier)?;
    let mut order = RecordOrder::default();
    while volume.next_blob()?.is_some() {
        let Some(segment) = volume.current_segment().cloned() else { continue };
        let (_, bytes) = volume.read_segment()?;
        for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
            each(record?);
        }
    }
    volume.finish()
}
