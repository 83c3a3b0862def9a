//! The seam of bundles that are OCI archives as well.

use bundle_format::Record;

/// Finds out what the `index.json` of a bundle has to be, from the bundle's records alone: whoever writes the bundle and
/// whoever reads it come to the same bytes.
pub trait ArchiveIndex: Send {
    /// Takes in a record. Every record of the snapshot is handed over, of whatever ecosystem, in order.
    fn take(&mut self, record: &Record);
    /// The index, at most 16 MiB; `None` if a bundle of these records cannot be an OCI archive.
    fn finish(self: Box<Self>) -> Option<Vec<u8>>;
}
