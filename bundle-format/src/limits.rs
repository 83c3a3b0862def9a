//! Every limit of the format in one place; `SPEC.md` has the same table.

/// The largest `aftk/snapshot.json` or `aftk/packing.json`, in bytes.
pub const MAX_DOCUMENT: u64 = 1 << 20;

/// The largest signature file, in bytes.
pub const MAX_SIGNATURES: u64 = 1 << 20;

/// The most lines of a signature file.
pub const MAX_SIGNATURE_LINES: usize = 64;

/// The longest key id, in characters.
pub const MAX_KEY_ID: usize = 128;

/// The longest signature, in bytes before base64; post-quantum ones reach 4,627.
pub const MAX_SIGNATURE: usize = 8192;

/// The longest line of a segment, in bytes with its line feed.
pub const MAX_LINE: usize = 1 << 20;

/// A segment is cut from this size on, in bytes, at the next line whose hash says so.
pub const MIN_SEGMENT: usize = 1 << 20;

/// The largest segment, in bytes.
pub const MAX_SEGMENT: usize = 4 << 20;

/// The largest blob that a volume carries: what the size field of ustar can say, 8 GiB − 1.
pub const MAX_BLOB: u64 = (8 << 30) - 1;

/// The most blobs of a volume; a reader holds 32 bytes for each.
pub const MAX_BLOBS: u64 = 1 << 22;

/// The most volumes of a bundle: their list fits into a packing list.
pub const MAX_VOLUMES: usize = 4096;

/// The largest `index.json` of a volume that is an OCI archive as well, in bytes.
pub const MAX_INDEX: u64 = 16 << 20;

/// The longest name of a site, in characters.
pub const MAX_NAME: usize = 64;

/// The longest name of a channel, in characters: so a volume's file name has at most 64, packing list and number included.
pub const MAX_CHANNEL: usize = 32;

/// The most sites that a snapshot may name.
pub const MAX_SITES: usize = 1024;

/// The most labels of a snapshot.
pub const MAX_LABELS: usize = 64;

/// The longest label, key and value each, in bytes.
pub const MAX_LABEL: usize = 1024;
