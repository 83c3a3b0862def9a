//! Volumes whose tar is wrong: cut, grown, reordered, with other headers or other members.

use super::Case;
use super::parts::{Member, Parts, archive};

/// The good volume, with its members changed.
fn members(change: impl FnOnce(&mut Vec<Member>)) -> Vec<u8> {
    let mut members = Parts::good().members();
    change(&mut members);
    archive(&members, &[0; 1024])
}

/// The good volume, with something written into the header of its first blob and the checksum corrected.
fn header(offset: usize, bytes: &[u8]) -> Vec<u8> {
    members(|members| members[5] = members[5].clone().with(offset, bytes))
}

/// The good volume, with a member put in before the one at `index`.
fn insert(index: usize, name: &str) -> Vec<u8> {
    members(|members| members.insert(index, Member::new(name, b"")))
}

/// The good volume, with a member of another type put in before the one at `index`.
fn insert_kind(index: usize, name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    members(|members| members.insert(index, Member::new(name, bytes).with(156, &[kind])))
}

/// The good volume, ended otherwise.
fn end(end: &[u8]) -> Vec<u8> {
    archive(&Parts::good().members(), end)
}

pub(super) fn cases() -> Vec<Case> {
    [truncations(), ends(), headers(), kinds(), names()].concat()
}

fn truncations() -> Vec<Case> {
    let good = Parts::good().volume();
    let cut = |name, why, length: usize| Case::new(name, "bundle.truncated", why, good[..length].to_vec());
    let contents = good.chunks(512).position(|block| block.starts_with(b"aftk/contents")).unwrap() * 512;
    let members = good.len() - 1024;
    vec![
        cut("cut-empty", "No bytes at all.", 0),
        cut("cut-in-first-header", "The file ends within the first header.", 100),
        cut("cut-after-first-header", "The file ends after the first header.", 512),
        cut("cut-in-document", "The file ends within the snapshot.", 600),
        cut("cut-before-contents", "The file ends where the contents table must begin.", contents),
        cut("cut-in-contents", "The file ends within the contents table.", contents + 512 + 100),
        cut(
            "cut-in-contents-padding",
            "The file ends within the zeros after the contents table.",
            contents + 1020,
        ),
        cut("cut-before-blobs", "The file ends after the contents table.", contents + 1024),
        cut("cut-last-padding", "The file ends within the zeros after the last blob.", members - 1),
        cut("cut-no-end", "The 1,024 zero bytes of the end are missing.", members),
        cut("cut-half-end", "Only 512 of the 1,024 zero bytes are there.", members + 512),
        cut("cut-last-byte", "The last byte is missing.", good.len() - 1),
    ]
}

fn ends() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.trailing", why, volume);
    let mut second_block = [0; 1024];
    second_block[1000] = 1;
    let mut first_block = [0; 1024];
    first_block[0] = 1;
    let good = Parts::good().volume();
    let blocking = vec![0; good.len().next_multiple_of(10_240) - good.len() + 1024];
    vec![
        bad("end-one-byte-more", "A zero byte follows the end.", end(&[0; 1025])),
        bad("end-one-block-more", "512 zero bytes follow the end.", end(&[0; 1536])),
        bad("end-blocking-factor", "Filled up with zeros to 10 KiB, as tar does by default.", end(&blocking)),
        bad("end-first-block", "The first byte of the end is not zero.", end(&first_block)),
        bad("end-second-block", "A byte of the end's second block is not zero.", end(&second_block)),
        bad("end-second-archive", "The same volume follows once more.", [&good[..], &good].concat()),
    ]
}

fn headers() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.header", why, volume);
    let size = Parts::good().blobs[0].1.len();
    let base256 = [&[0x80, 0, 0, 0][..], &(size as u64).to_be_bytes()].concat();
    let wrong_checksum = members(|members| members[5].put(148, b"000000\0 "));
    let other_checksum = members(|members| {
        let text = String::from_utf8(members[5].header[148..154].to_vec()).unwrap();
        members[5].put(148, format!("0{text}\0").as_bytes());
    });
    let split_name = members(|members| {
        let name = members[5].header[13..77].to_vec();
        members[5] = members[5].clone().with(0, &[0; 100]).with(0, &name).with(345, b"blobs/sha256");
    });
    vec![
        bad("header-mode", "Mode 0755.", header(100, b"0000755\0")),
        bad("header-owner", "Owner 1000.", header(108, b"0001750\0")),
        bad("header-group", "Group 1000.", header(116, b"0001750\0")),
        bad("header-time", "A time other than 0.", header(136, b"00000000001\0")),
        bad("header-owner-name", "An owner's name.", header(265, b"root")),
        bad("header-group-name", "A group's name.", header(297, b"root")),
        bad("header-link-name", "A link name on a plain file.", header(157, b"/etc/passwd")),
        bad("header-device", "Empty device numbers.", header(329, &[0; 16])),
        bad("header-prefix", "The directory of the name stands in the prefix field.", split_name),
        bad("header-after-name", "Bytes after the zero byte that ends the name.", header(90, b"hidden")),
        bad("header-rest", "Bytes in the last twelve.", header(500, b"hidden")),
        bad("header-gnu-magic", "The magic of GNU tar.", header(257, b"ustar  \0")),
        bad("header-no-magic", "No magic: a tar of before 1988.", header(257, &[0; 8])),
        bad("header-version", "Another version of ustar.", header(263, b"01")),
        bad("header-checksum", "A checksum that is wrong.", wrong_checksum),
        bad("header-checksum-form", "The right checksum in seven digits.", other_checksum),
        bad(
            "header-size-base256",
            "The size in base 256, as GNU tar writes large ones.",
            header(124, &base256),
        ),
        bad(
            "header-size-spaces",
            "The size with spaces in front.",
            header(124, format!("{size:11o}\0").as_bytes()),
        ),
        bad(
            "header-size-no-end",
            "The size in twelve digits.",
            header(124, format!("{size:012o}").as_bytes()),
        ),
        bad("header-size-sign", "A negative size.", header(124, b"-0000000001\0")),
        bad("header-name-bytes", "A name that is not UTF-8.", header(0, b"\xff\xfe")),
    ]
}

fn kinds() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.member-type", why, volume);
    let pax = b"19 path=other/name\n";
    let long = b"aftk/a-name-for-the-next-member\0";
    vec![
        bad("pax-first", "A pax record before the snapshot.", insert_kind(0, "PaxHeaders/s", b'x', pax)),
        bad(
            "pax-global",
            "A global pax record before the snapshot.",
            insert_kind(0, "pax_global_header", b'g', pax),
        ),
        bad(
            "pax-before-blob",
            "A pax record that renames a blob.",
            insert_kind(6, "PaxHeaders/b", b'x', pax),
        ),
        bad("pax-at-end", "A pax record after the last blob.", insert_kind(8, "PaxHeaders/e", b'x', pax)),
        bad("gnu-long-name", "A GNU record with a long name.", insert_kind(5, "././@LongLink", b'L', long)),
        bad("gnu-long-link", "A GNU record with a long link.", insert_kind(5, "././@LongLink", b'K', long)),
        bad("gnu-sparse", "A blob as a GNU sparse file.", header(156, b"S")),
        bad("gnu-multi-volume", "A blob as GNU tar's continuation.", header(156, b"M")),
        bad("gnu-volume-label", "A GNU volume label.", insert_kind(0, "label", b'V', b"")),
        bad("hard-link", "A blob as a hard link.", header(156, b"1")),
        bad("symbolic-link", "A blob as a symbolic link.", header(156, b"2")),
        bad("character-device", "A blob as a character device.", header(156, b"3")),
        bad("block-device", "A blob as a block device.", header(156, b"4")),
        bad("directory", "The directory of the blobs.", insert_kind(5, "blobs/", b'5', b"")),
        bad("fifo", "A blob as a named pipe.", header(156, b"6")),
        bad("contiguous-file", "A blob as a contiguous file.", header(156, b"7")),
        bad("old-file-type", "A blob with the file type of old tars, a zero byte.", header(156, b"\0")),
    ]
}

fn names() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.unexpected-member", why, volume);
    let missing = |name, why, volume| Case::new(name, "bundle.missing-member", why, volume);
    let reserved = |name, why, volume| Case::new(name, "bundle.reserved", why, volume);
    let renamed = |change: &dyn Fn(String) -> String| {
        let mut parts = Parts::good();
        parts.blobs[1].0 = change(parts.blobs[1].0.clone());
        parts.volume()
    };
    vec![
        bad("order-packing-first", "The packing list before the snapshot.", members(|m| m.rotate_left(2))),
        bad("order-signature-first", "The signatures before the snapshot.", members(|m| m.swap(0, 1))),
        bad("order-contents-first", "The contents table first.", members(|m| m[..5].rotate_right(1))),
        bad(
            "order-blobs",
            "Two blobs in another order than the contents table's.",
            members(|m| m.swap(6, 7)),
        ),
        bad("order-blob-before-contents", "A blob before the contents table.", members(|m| m.swap(4, 5))),
        bad("twice-snapshot", "The snapshot twice.", members(|m| m.insert(1, m[0].clone()))),
        bad("twice-contents", "The contents table twice.", members(|m| m.insert(5, m[4].clone()))),
        bad("twice-blob", "A blob twice.", members(|m| m.insert(7, m[6].clone()))),
        bad("missing-signatures", "No signatures of the snapshot.", members(|m| drop(m.remove(1)))),
        bad("missing-contents", "No contents table.", members(|m| drop(m.remove(4)))),
        bad(
            "missing-blob",
            "A blob that the contents table names is not there.",
            members(|m| drop(m.remove(6))),
        ),
        bad("extra-document", "A member that the format does not have.", insert(2, "aftk/readme.txt")),
        bad("extra-first", "A member before the snapshot.", insert(0, "README")),
        bad("extra-last", "A member after the last blob.", insert(8, "README")),
        bad(
            "extra-blob",
            "A blob that the contents table does not name.",
            insert(8, &Parts::good().blobs[0].0),
        ),
        bad("name-dot", "A blob's name begins with ./", renamed(&|name| format!("./{name}"))),
        bad("name-absolute", "A blob's name is absolute.", renamed(&|name| format!("/{name}"))),
        bad("name-parent", "A blob's name climbs.", renamed(&|name| format!("x/../{name}"))),
        bad("name-upper-case", "A blob's digest in upper case.", renamed(&|name| name.to_uppercase())),
        bad("name-empty", "A blob without a name.", renamed(&|_| String::new())),
        missing("missing-all", "An empty archive.", vec![0; 1024]),
        missing(
            "missing-after-packing",
            "The archive ends before the contents table.",
            members(|m| m.truncate(4)),
        ),
        missing("missing-last-blob", "The archive ends before the last blob.", members(|m| m.truncate(7))),
        reserved("reserved-trust", "Root documents, a later version's.", insert(2, "aftk/trust.json")),
        reserved("reserved-approvals", "Approvals, a later version's.", insert(2, "aftk/approvals/1.json")),
        reserved("reserved-receipt", "A receipt, a later version's.", insert(2, "aftk/receipt.json")),
        Case::new(
            "recovery-file",
            "bundle.recovery",
            "What a file of recovery has where a volume has its contents table.",
            insert(4, "aftk/recovery.json"),
        ),
        bad("extra-oci-layout", "An OCI archive's mark that nobody signed.", insert(5, "oci-layout")),
        bad("extra-index", "An OCI archive's index that nobody signed.", insert(5, "index.json")),
        reserved("reserved-sha512", "A blob by its sha512, a later version's.", insert(5, "blobs/sha512/00")),
    ]
}
