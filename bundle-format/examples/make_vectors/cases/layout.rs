//! Volumes that are wrong as OCI archives.

use super::Case;
use super::parts::{Parts, edit};

pub(super) fn cases() -> Vec<Case> {
    let good = || Parts::good().with_layout();
    let bad = |name, expect, why, change: &dyn Fn(&mut Parts)| {
        let mut parts = good();
        change(&mut parts);
        Case::new(name, expect, why, parts.volume())
    };
    let sealed = |name, expect, why, change: &dyn Fn(&mut Parts)| {
        let mut parts = good();
        change(&mut parts);
        parts.list();
        parts.seal();
        Case::new(name, expect, why, parts.volume())
    };
    let (contents, document) = ("bundle.contents", "bundle.document");
    let (digest, mismatch) = ("bundle.digest-mismatch", "bundle.contents-mismatch");
    let packed = |name, expect, why, from: &str, to: &str| {
        let mut parts = good();
        edit(&mut parts.packing, from, to);
        parts.sign();
        Case::new(name, expect, why, parts.volume())
    };
    let size = format!("\"index\":{}", good().layout[1].1.len());
    vec![
        bad(
            "oci-index-bytes",
            digest,
            "Another index.json than the table names, of the same size.",
            &|parts| {
                edit(&mut parts.layout[1].1, "manifests", "manifestos");
                edit(&mut parts.layout[1].1, "schemaVersion\":2", "schemaVersio\":2");
            },
        ),
        bad("oci-layout-bytes", digest, "Another oci-layout than the table names.", &|parts| {
            edit(&mut parts.layout[0].1, "1.0.0", "1.0.1");
        }),
        sealed("oci-layout-version", contents, "An oci-layout of another version, signed.", &|parts| {
            edit(&mut parts.layout[0].1, "1.0.0", "1.0.1");
        }),
        sealed("oci-order", contents, "index.json before oci-layout, signed.", &|parts| {
            parts.layout.swap(0, 1)
        }),
        packed(
            "oci-not-announced",
            mismatch,
            "The packing list does not say index.",
            &format!("{size},"),
            "",
        ),
        packed(
            "oci-index-size",
            "bundle.size-mismatch",
            "Another size of index.json is signed.",
            &size,
            "\"index\":1",
        ),
        packed("oci-index-null", document, "An index that is null.", &size, "\"index\":null"),
        packed("oci-index-empty", document, "An index.json of no bytes.", &size, "\"index\":0"),
        packed(
            "oci-index-large",
            document,
            "An index.json of more than 16 MiB.",
            &size,
            "\"index\":16777217",
        ),
        Case::new(
            "oci-announced-only",
            mismatch,
            "The packing list says index, and there is none.",
            Parts::packing_with("\"number\"", "\"index\":86,\"number\""),
        ),
    ]
}
