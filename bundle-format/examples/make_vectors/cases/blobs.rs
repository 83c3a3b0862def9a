//! Volumes whose documents are right and whose contents, sizes, blobs or records are not.

use bundle_format::{BlobKey, Mode};

use super::Case;
use super::parts::{Member, Parts, archive, edit, payloads, segment, snapshot};

pub(super) fn cases() -> Vec<Case> {
    [tables(), bytes(), sizes(), records()].concat()
}

/// The good volume, with another contents table that the packing list names and signs.
fn table(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let mut parts = Parts::good();
    parts.contents = change(String::from_utf8(parts.contents).unwrap()).into_bytes();
    parts.seal();
    parts.volume()
}

/// The good volume, with its blobs in another order, and the contents table, too.
fn blobs(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut parts = Parts::good();
    change(&mut parts.blobs);
    parts.list();
    parts.seal();
    parts.volume()
}

fn tables() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.contents", why, volume);
    let mismatch = |name, why, volume| Case::new(name, "bundle.contents-mismatch", why, volume);
    let all = segment();
    let cut = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut segments = Parts::with_segments(&[all[..cut].to_vec(), all[cut..].to_vec()]);
    segments.blobs.swap(0, 1);
    segments.list();
    segments.seal();
    let unsigned = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::good();
        change(&mut parts);
        parts.volume()
    };
    let mut other_snapshot = Parts::good();
    edit(&mut other_snapshot.snapshot, r#""sequence":42"#, r#""sequence":41"#);
    other_snapshot.sign();
    vec![
        bad(
            "contents-binary-mark",
            "A line with the mark of binary files.",
            table(|t| t.replacen("  ", " *", 1)),
        ),
        bad(
            "contents-upper-case",
            "A digest in upper case.",
            table(|text| text[..64].to_uppercase() + &text[64..]),
        ),
        bad("contents-two-digests", "A line with two digests.", table(|text| "0".repeat(64) + &text[64..])),
        bad(
            "contents-other-folder",
            "A line with another folder.",
            table(|text| text.replacen("sha256", "sha224", 1)),
        ),
        bad("contents-no-line-feeds", "Spaces for line feeds.", table(|text| text.replace('\n', " "))),
        bad("contents-unsorted", "Blobs that are not sorted.", blobs(|blobs| blobs.swap(1, 2))),
        bad("contents-twice", "A blob twice.", blobs(|blobs| blobs.insert(2, blobs[1].clone()))),
        bad("contents-segment-last", "A segment after other blobs.", blobs(|blobs| blobs.rotate_left(1))),
        bad("contents-segment-twice", "A segment twice.", blobs(|blobs| blobs.insert(1, blobs[0].clone()))),
        bad("contents-segments-order", "Segments in another order than the snapshot's.", segments.volume()),
        mismatch(
            "contents-not-signed",
            "Another contents table than the one that is signed.",
            unsigned(&|parts| {
                parts.contents[0] ^= 1;
            }),
        ),
        mismatch(
            "contents-shorter",
            "A contents table that lacks a line.",
            unsigned(&|parts| {
                parts.contents.truncate(288);
            }),
        ),
        mismatch(
            "contents-longer",
            "A contents table with a line more.",
            unsigned(&|parts| {
                parts.contents.extend_from_within(..144);
            }),
        ),
        mismatch(
            "contents-of-another",
            "The contents table and blobs of another volume.",
            unsigned(&|parts| {
                let other = Parts::of(
                    &snapshot(&[segment()]),
                    &[segment()],
                    &[payloads()[0].clone(), vec![b'y'; 600]],
                );
                (parts.contents, parts.blobs) = (other.contents, other.blobs);
            }),
        ),
        Case::new(
            "another-snapshot",
            "bundle.snapshot-mismatch",
            "The packing list belongs to another snapshot; both are signed.",
            other_snapshot.volume(),
        ),
    ]
}

fn bytes() -> Vec<Case> {
    let digest = |name, why, volume| Case::new(name, "bundle.digest-mismatch", why, volume);
    let padding = |name, why, index: usize, at: fn(&mut Vec<u8>) -> &mut u8| {
        let mut members = Parts::good().members();
        *at(&mut members[index].padding) = 1;
        Case::new(name, "bundle.padding", why, archive(&members, &[0; 1024]))
    };
    let unsigned = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::good();
        change(&mut parts);
        parts.volume()
    };
    let swapped = {
        let mut parts = Parts::of(&snapshot(&[segment()]), &[segment()], &[vec![b'x'; 600], vec![b'y'; 600]]);
        let first = std::mem::take(&mut parts.blobs[1].1);
        parts.blobs[1].1 = std::mem::replace(&mut parts.blobs[2].1, first);
        parts.volume()
    };
    vec![
        digest("blob-flipped", "A bit of a blob is flipped.", unsigned(&|parts| parts.blobs[2].1[7] ^= 1)),
        digest(
            "blob-segment-flipped",
            "A bit of a segment is flipped.",
            unsigned(&|parts| parts.blobs[0].1[7] ^= 1),
        ),
        digest(
            "blob-shorter",
            "A blob of which only a byte is there.",
            unsigned(&|parts| parts.blobs[1].1.truncate(1)),
        ),
        digest("blob-longer", "A blob with a byte more.", unsigned(&|parts| parts.blobs[1].1.push(0))),
        digest("blob-empty", "A blob of no bytes.", unsigned(&|parts| parts.blobs[1].1.clear())),
        digest("blobs-swapped", "Two blobs under each other's names.", swapped),
        padding("padding-snapshot", "A byte after the snapshot is not zero.", 0, |bytes| &mut bytes[0]),
        padding("padding-contents", "A byte after the contents table is not zero.", 4, |bytes| &mut bytes[1]),
        padding("padding-blob", "The last byte after a blob is not zero.", 7, |bytes| {
            bytes.last_mut().unwrap()
        }),
    ]
}

fn sizes() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.size-mismatch", why, volume);
    let text = String::from_utf8(Parts::good().packing).unwrap();
    let size = text[text.find(r#""size""#).unwrap()..text.len() - 3].to_owned();
    let number: u64 = size[7..].parse().unwrap();
    let signed = |number: u64| Parts::packing_with(&size, &format!(r#""size":{number}"#));
    let announced = |octal: &[u8]| {
        let mut members: Vec<Member> = Parts::good().members();
        members[6] = members[6].clone().with(124, octal);
        archive(&members, &[0; 1024])
    };
    let segment_size = segment().len();
    let short = {
        let mut parts = Parts::good();
        edit(
            &mut parts.snapshot,
            &format!(r#""size":{segment_size}"#),
            &format!(r#""size":{}"#, segment_size - 1),
        );
        parts.seal();
        parts.volume()
    };
    vec![
        bad("size-signed-less", "The volume is a block longer than what is signed.", signed(number - 512)),
        bad("size-signed-more", "The volume is a block shorter than what is signed.", signed(number + 512)),
        bad("size-endless-blob", "A header announces a blob of 8 GiB - 1.", announced(b"77777777777\0")),
        bad(
            "size-next-blobs",
            "A header announces a blob that takes in the end.",
            announced(b"00000004000\0"),
        ),
        Case::new(
            "size-next-blob",
            "bundle.digest-mismatch",
            "A header announces a blob that takes in the next one.",
            announced(b"00000003000\0"),
        ),
        bad("size-segment", "A segment has another size than the snapshot says.", short),
    ]
}

/// Volumes in which only a record is wrong; every digest and signature is right.
fn records() -> Vec<Case> {
    let volume = |text: String| Parts::with_segments(&[text.into_bytes()]).volume();
    let good = || String::from_utf8(segment()).unwrap();
    let changed = |from: &str, to: &str| {
        let mut text = segment();
        let at = String::from_utf8(text.clone()).unwrap().find(from).unwrap();
        text.splice(at..at + from.len(), to.bytes());
        Parts::with_segments(&[text]).volume()
    };
    let bad = |name, why, volume| Case::new(name, "bundle.segment", why, volume);
    let order = |name, why, volume| Case::new(name, "bundle.record-order", why, volume);
    let line = |index: usize| good().lines().nth(index).unwrap().to_owned() + "\n";
    let across = Parts::with_segments(&[line(1).into_bytes(), line(0).into_bytes()]);
    let counted = {
        let mut snapshot = snapshot(&[segment()]);
        snapshot.segments[0].records += 1;
        snapshot.mode = Mode::Replace;
        Parts::of(&snapshot, &[segment()], &payloads()).volume()
    };
    let file = {
        let text = line(0);
        let start = text.find(r#"{"blob""#).unwrap();
        text[start..start + text[start..].find('}').unwrap() + 1].to_owned()
    };
    let digest = BlobKey::of(b"").to_string();
    vec![
        bad("segment-no-end", "The last line does not end.", {
            let mut snapshot = snapshot(&[segment()]);
            let text = good().trim_end().as_bytes().to_vec();
            snapshot.segments[0].digest = BlobKey::of(&text);
            snapshot.segments[0].size -= 1;
            Parts::of(&snapshot, &[text], &payloads()).volume()
        }),
        bad("segment-blank-line", "An empty line.", volume(good() + "\n")),
        bad("segment-crlf", "Lines that end as on Windows.", volume(good().replace('\n', "\r\n"))),
        bad("segment-count", "The snapshot says one record more.", counted),
        bad("record-array", "A record that is an array.", volume("[]\n".to_owned())),
        bad(
            "record-unsorted-keys",
            "A record whose keys are not sorted.",
            changed(r#""attributes":{},"ecosystem":"file""#, r#""ecosystem":"file","attributes":{}"#),
        ),
        bad(
            "record-key-twice",
            "A record with a key twice.",
            changed(r#"{"attributes":{}"#, r#"{"attributes":{},"attributes":{}"#),
        ),
        bad(
            "record-unknown-type",
            "A type of record that the format does not have.",
            changed(r#""type":"artifact""#, r#""type":"article""#),
        ),
        bad(
            "record-unknown-field",
            "A field that the format does not have.",
            changed(r#""version":"1""#, r#""version":"1","weight":1"#),
        ),
        bad("record-missing-field", "An artifact without a schema.", changed(r#""schema":"file/1","#, "")),
        bad("record-no-name", "An artifact without a name.", changed(r#""name":"large""#, r#""name":"""#)),
        bad(
            "record-control",
            "A name with an escape sequence of terminals.",
            changed(r#""name":"large""#, r#""name":"\u001b[2J""#),
        ),
        bad(
            "record-float",
            "An attribute that is not an integer.",
            changed(r#""attributes":{}"#, r#""attributes":{"n":0.5}"#),
        ),
        bad(
            "record-file-array",
            "A file as the array of its values.",
            changed(&file, &fields_in_order(&file)),
        ),
        bad("record-type-number", "A type as its number.", changed(r#""type":"artifact""#, r#""type":0"#)),
        bad("record-file-twice", "A file twice.", changed(&file, &format!("{file},{file}"))),
        bad("record-negative-size", "A file of a negative size.", changed(r#""size":600"#, r#""size":-1"#)),
        bad(
            "record-short-digest",
            "A file whose digest is short.",
            changed(r#""blob":"sha256:"#, r#""blob":"sha256:0"#),
        ),
        bad(
            "record-checksums",
            "Checksums that are not sorted.",
            changed(
                r#""checksums":[]"#,
                &format!(r#""checksums":["{digest}","md5:d41d8cd98f00b204e9800998ecf8427e"]"#),
            ),
        ),
        bad(
            "record-requires",
            "Requirements that are not sorted.",
            changed(
                r#""requires":[]"#,
                concat!(
                    r#""requires":[{"kind":"runtime","name":"b","range":"1"},"#,
                    r#"{"kind":"runtime","name":"a","range":"1"}]"#
                ),
            ),
        ),
        order("records-unsorted", "Records that are not sorted.", volume(line(1) + &line(0))),
        order("record-twice", "A record twice.", volume(line(0) + &line(0))),
        order("records-unsorted-across", "Segments whose records are not sorted.", across.volume()),
        Case::new(
            "reserved-record",
            "bundle.reserved",
            "A recipe, a later version's.",
            volume(good() + "{\"type\":\"recipe\"}\n"),
        ),
    ]
}

/// A file as the array of its values, in the order in which this project's own code declares them.
fn fields_in_order(file: &str) -> String {
    let mut file: serde_json::Map<String, serde_json::Value> = serde_json::from_str(file).unwrap();
    let names = ["role", "path", "blob", "size", "media_type", "checksums", "origin"];
    serde_json::to_string(&names.map(|name| file.remove(name).unwrap())).unwrap()
}
