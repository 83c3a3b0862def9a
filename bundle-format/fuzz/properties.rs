//! What must hold for any bytes whatever: nothing panics, and what is accepted is what would be written.
//!
//! The fuzz targets try them for hours; a test tries them on the corpus, the vectors and changes of both.

use bundle_format::*;

/// Trusts everybody, so that what is behind the signatures is reached.
struct Credulous;

impl Verifier for Credulous {
    fn verify(&self, _: PayloadType, _: &[u8], lines: &[SignatureLine]) -> Result<Vec<String>, Untrusted> {
        Ok(lines.iter().map(|line| line.key_id.clone()).collect())
    }

    fn authorise(&self, _: PayloadType, _: &Snapshot, _: &[String]) -> Result<(), Untrusted> {
        Ok(())
    }
}

/// A volume that is accepted has the size that it says.
pub(crate) fn volume(bytes: &[u8]) {
    if let Ok(verified) = verify_volume(bytes, &Credulous, &mut |_| {}) {
        assert_eq!(verified.size, bytes.len() as u64);
    }
}

/// What is accepted is a JSON value, and its canonical bytes are the ones that were read.
pub(crate) fn canonical(bytes: &[u8]) {
    if canonical::check(bytes).is_ok() {
        let value: serde_json::Value = canonical::from_bytes(bytes).expect("canonical JSON is JSON");
        assert_eq!(canonical::to_bytes(&value).expect("it was canonical"), bytes);
    }
    let snapshot = Snapshot::from_bytes(bytes).map(|document| document.to_bytes());
    let packing = PackingList::from_bytes(bytes).map(|document| document.to_bytes());
    for written in [snapshot, packing].into_iter().flatten() {
        assert_eq!(written.expect("what was read can be written"), bytes);
    }
}

/// Records that are accepted make the same lines again.
pub(crate) fn records(bytes: &[u8]) {
    let records = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let segment = SegmentRef { digest: BlobKey::of(bytes), records, size: bytes.len() as u64 };
    let mut order = RecordOrder::default();
    let Ok(records) = SegmentReader::new(&segment, bytes, &mut order).collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let mut written = Vec::new();
    let mut writer = SegmentWriter::new(|_: &SegmentRef, bytes: &[u8]| {
        written.extend_from_slice(bytes);
        Ok(())
    });
    for record in &records {
        writer.push(record).expect("what was read can be written");
    }
    writer.finish().expect("what was read can be written");
    assert_eq!(written, bytes);
}

/// Signatures that are accepted make the same file again.
pub(crate) fn signatures(bytes: &[u8]) {
    if let Ok(lines) = signature::parse_signatures(bytes) {
        assert_eq!(signature::write_signatures(lines).expect("what was read can be written"), bytes);
    }
}

/// A ledger that is accepted has the same lines again.
pub(crate) fn ledger(bytes: &[u8]) {
    if let Ok(ledger) = Ledger::parse(bytes) {
        let lines =
            ledger.entries().iter().map(|entry| entry.to_line().expect("what was read can be written"));
        assert_eq!(lines.collect::<Vec<_>>().concat(), bytes);
    }
}
