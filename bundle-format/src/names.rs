//! The members of a volume in their order, and how volumes are called.

use crate::digest::BlobKey;

/// The snapshot.
pub const SNAPSHOT: &str = "aftk/snapshot.json";
/// The snapshot's signatures.
pub const SNAPSHOT_SIGNATURES: &str = "aftk/snapshot.sig";
/// The packing list.
pub const PACKING: &str = "aftk/packing.json";
/// The packing list's signatures.
pub const PACKING_SIGNATURES: &str = "aftk/packing.sig";
/// Of a file of recovery: what it is for.
pub const RECOVERY: &str = "aftk/recovery.json";
/// The table of the blobs that follow it.
pub const CONTENTS: &str = "aftk/contents";
/// Of a volume that is an OCI archive as well: that it is one.
pub const LAYOUT: &str = "oci-layout";
/// Of a volume that is an OCI archive as well: what programs that read such archives find in it.
pub const INDEX: &str = "index.json";
/// What stands before a blob's 64 hex digits.
pub const BLOBS: &str = "blobs/sha256/";

/// Names of members that later versions may have, with what they will be.
pub(crate) const RESERVED: &[(&str, &str)] = &[
    ("aftk/trust.json", "root documents that travel"),
    ("aftk/approvals", "approvals"),
    ("aftk/receipt", "receipts"),
    ("blobs/sha512/", "blobs under other digests"),
];

/// The bytes of [`LAYOUT`] (OCI image specification, "oci-layout file").
pub(crate) const LAYOUT_BYTES: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The name of the member that holds the blob `key`.
pub fn blob_name(key: &BlobKey) -> String {
    format!("{BLOBS}{}", key.hex())
}

/// The line of the contents table for the blob `key`, as `sha256sum -c` reads it.
pub fn contents_line(key: &BlobKey) -> String {
    let hex = key.hex();
    format!("{hex}  {BLOBS}{hex}\n")
}

/// The line of `aftk/contents` for one of the two members that make a volume an OCI archive.
pub(crate) fn layout_line(name: &str, digest: &BlobKey) -> String {
    format!("{}  {name}\n", digest.hex())
}

/// The length of [`layout_line`]: both names have ten characters.
pub(crate) const LAYOUT_LINE: u64 = 64 + 2 + 10 + 1;

/// The size in bytes of the contents table of so many blobs, in a volume that is an OCI archive as well or is not.
pub(crate) fn contents_size(blobs: u64, is_layout: bool) -> u64 {
    blobs * CONTENTS_LINE + if is_layout { 2 * LAYOUT_LINE } else { 0 }
}

/// The length of every line of the contents table, in bytes.
pub const CONTENTS_LINE: u64 = 64 + 2 + BLOBS.len() as u64 + 64 + 1;

/// What the names of volumes end in.
pub const VOLUME_ENDING: &str = ".aftk.tar";
/// What the names of spare volumes end in.
pub const SPARE_ENDING: &str = ".aftk.spare";
/// What the names of files end in that protect another one, which is called alike.
pub const RECOVERY_ENDING: &str = ".aftk.rec";

/// The usual name of a volume's file: `<channel>-<sequence>[-<packing>]-<nn>of<NN>.aftk.tar`.
///
/// `packing` is given where the packing list is not the full one. Readers never trust the name.
pub fn file_name(channel: &str, sequence: u64, packing: Option<&BlobKey>, number: u64, count: u64) -> String {
    let place = place_of(number, count);
    format!("{}-{place}{VOLUME_ENDING}", stem(channel, sequence, packing))
}

/// The usual name of a spare volume's file: `<channel>-<sequence>[-<packing>]-s<nn>of<NN>.aftk.spare`.
pub fn spare_name(
    channel: &str,
    sequence: u64,
    packing: Option<&BlobKey>,
    number: u64,
    count: u64,
) -> String {
    let place = place_of(number, count);
    format!("{}-s{place}{SPARE_ENDING}", stem(channel, sequence, packing))
}

/// The name of the file that protects the file of this name, which lies beside it.
pub fn recovery_name(name: &str) -> String {
    let stem = name.strip_suffix(VOLUME_ENDING).or_else(|| name.strip_suffix(SPARE_ENDING));
    format!("{}{RECOVERY_ENDING}", stem.unwrap_or(name))
}

fn stem(channel: &str, sequence: u64, packing: Option<&BlobKey>) -> String {
    let packing: String = packing.map(|key| key.hex().chars().take(8).collect()).unwrap_or_default();
    let dash = if packing.is_empty() { "" } else { "-" };
    format!("{channel}-{sequence:06}{dash}{packing}")
}

fn place_of(number: u64, count: u64) -> String {
    let width = count.to_string().len().max(2);
    format!("{number:0width$}of{count:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_called_so_that_they_sort() {
        assert_eq!(file_name("prod", 42, None, 1, 1), "prod-000042-01of01.aftk.tar");
        let key = BlobKey::of(b"");
        assert_eq!(file_name("a", 1_234_567, Some(&key), 7, 120), "a-1234567-e3b0c442-007of120.aftk.tar");
        assert_eq!(spare_name("a", 7, None, 1, 2), "a-000007-s01of02.aftk.spare");
        assert_eq!(recovery_name("a-000007-s01of02.aftk.spare"), "a-000007-s01of02.aftk.rec");
        assert_eq!(recovery_name("a-000007-03of09.aftk.tar"), "a-000007-03of09.aftk.rec");
        assert_eq!(contents_line(&key).len() as u64, CONTENTS_LINE);
        for name in [LAYOUT, INDEX] {
            assert_eq!(layout_line(name, &key).len() as u64, LAYOUT_LINE);
        }
    }
}
