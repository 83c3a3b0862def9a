//! What is believed of an attestation, and each lie by itself.

use std::sync::LazyLock;

use bundle_format::BlobKey;
use proptest::prelude::*;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use serde_json::{Value, json};

use super::made::{IDENTITY, Made, THEN, VOUCHER, statement};
use super::statement::Statement;
use super::{Attestation, Fault, Roots};

const NAME: &str = "app-1.0-py3-none-any.whl";

fn roots(made: &Made) -> Roots {
    Roots::read(made.trusted_root().to_string().as_bytes()).unwrap()
}

fn attested(made: &Made) -> Attestation {
    made.attest(&statement(NAME, &BlobKey::of(b"app")), THEN, |_| {}).unwrap()
}

#[test]
fn who_signed_when_is_what_certificate_and_log_say() {
    let made = Made::new().unwrap();
    let signer = attested(&made).verify(&roots(&made)).unwrap();
    assert_eq!((signer.identity.as_str(), signer.issuer.as_str()), (IDENTITY, VOUCHER));
    assert_eq!(signer.logged.to_string(), "2026-01-01T00:00:00Z");
    let read = Statement::read(&attested(&made).statement).unwrap();
    assert_eq!(read.is_about(NAME, &BlobKey::of(b"app")), Ok(()));
    assert!(read.is_about("other", &BlobKey::of(b"app")).is_err());
    assert!(read.is_about(NAME, &BlobKey::of(b"other")).is_err());
    // The promise alone is enough, as in older attestations.
    let mut older = attested(&made);
    older.entries[0].inclusion = None;
    assert!(older.verify(&roots(&made)).is_ok());
}

#[test]
fn each_lie_is_found_out() {
    type Change = fn(&mut Attestation);
    let (made, other) = (Made::new().unwrap(), Made::new().unwrap());
    let cases: &[(&str, Change)] = &[
        ("its signature", |one| one.statement.push(b' ')),
        ("its signature", |one| one.signature[10] ^= 1),
        ("its signature", |one| one.signature.clear()),
        ("cannot be read", |one| one.certificate.clear()),
        ("cannot be read", |one| one.certificate.push(0)),
        ("has no entry", |one| one.entries.clear()),
        ("is not pinned", |one| one.entries[0].log = BlobKey::of(b"")),
        ("did not promise", |one| one.entries[0].integrated += 60),
        ("did not promise", |one| one.entries[0].index += 1),
        ("did not promise", |one| one.entries[0].promise.clear()),
        ("cannot be read", |one| one.entries[0].integrated = i64::MAX),
        ("cannot be read", |one| one.entries[0].body = b"{}".to_vec()),
        ("does not show", |one| one.entries[0].inclusion.as_mut().unwrap().index = 3),
        ("does not show", |one| one.entries[0].inclusion.as_mut().unwrap().size = 2),
        ("does not show", |one| one.entries[0].inclusion.as_mut().unwrap().root[0] ^= 1),
        ("does not show", |one| one.entries[0].inclusion.as_mut().unwrap().path[1][0] ^= 1),
        ("does not show", |one| drop(one.entries[0].inclusion.as_mut().unwrap().path.pop())),
        ("does not show", |one| one.entries[0].inclusion.as_mut().unwrap().path = vec![vec![0; 32]; 100]),
        ("no head", |one| one.entries[0].inclusion.as_mut().unwrap().checkpoint.clear()),
        ("no head", |one| {
            let checkpoint = &mut one.entries[0].inclusion.as_mut().unwrap().checkpoint;
            *checkpoint = checkpoint.replace("\n5\n", "\n6\n");
        }),
    ];
    for (why, change) in cases {
        let mut attestation = attested(&made);
        change(&mut attestation);
        let fault = attestation.verify(&roots(&made)).expect_err(why);
        assert!(fault.to_string().contains(why), "{why}: {fault}");
    }
    // What belongs to another attestation proves nothing of this one.
    let (mut one, another) = (attested(&made), attested(&made));
    one.entries = another.entries.clone();
    assert_eq!(
        one.verify(&roots(&made)).unwrap_err(),
        Fault::Log("has another statement, signature or certificate".to_owned())
    );
    // A checkpoint of another tree, well signed.
    let foreign = made.attest(b"{}", THEN, |_| {}).unwrap().entries[0].inclusion.clone().unwrap();
    let mut one = attested(&made);
    one.entries[0].inclusion.as_mut().unwrap().checkpoint = foreign.checkpoint;
    assert!(one.verify(&roots(&made)).unwrap_err().to_string().contains("another tree"));
    // Others' authority and log.
    assert!(attested(&other).verify(&roots(&made)).unwrap_err().to_string().contains("not pinned"));
    let mut mixed = made.trusted_root();
    mixed["tlogs"] = other.trusted_root()["tlogs"].clone();
    let mixed = Roots::read(mixed.to_string().as_bytes()).unwrap();
    assert!(attested(&other).verify(&mixed).unwrap_err().to_string().contains("of no authority"));
}

#[test]
fn a_certificate_has_to_be_for_what_it_is_used_for() {
    type Change = fn(&mut CertificateParams);
    let made = Made::new().unwrap();
    let cases: &[(&str, Change)] = &[
        ("did not hold", |params| params.not_after = rcgen::date_time_ymd(2025, 12, 31)),
        ("did not hold", |params| params.not_before = rcgen::date_time_ymd(2026, 1, 2)),
        ("is not for what", |params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        ("is not for what", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("is not for what", |params| params.extended_key_usages.clear()),
        ("is not for what", |params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        ("does not name one signer", |params| params.subject_alt_names.clear()),
        ("does not name one signer", |params| {
            params.subject_alt_names.push(SanType::URI("https://b.example.test".try_into().unwrap()));
        }),
        ("condition that is not known", |params| {
            let mut extension =
                rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }),
    ];
    for (why, change) in cases {
        let attestation = made.attest(b"{}", THEN, change).unwrap();
        let fault = attestation.verify(&roots(&made)).expect_err(why);
        assert!(fault.to_string().contains(why), "{why}: {fault}");
    }
}

#[test]
fn roots_are_believed_whole_and_in_their_time() {
    let made = Made::new().unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut root = made.trusted_root();
        change(&mut root);
        Roots::read(root.to_string().as_bytes())
    };
    for (why, change) in [
        (
            "is not pinned",
            (|root| root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2025-12-31T00:00:00Z"))
                as fn(&mut Value),
        ),
        ("is not pinned", |root| {
            root["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("2026-02-01T00:00:00Z")
        }),
        ("of no authority", |root| {
            root["certificateAuthorities"][0]["validFor"]["end"] = json!("2025-12-31T00:00:00Z");
        }),
        ("of no authority", |root| {
            root["certificateAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap().remove(0);
        }),
        ("not pinned whole", |root| {
            root["certificateAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap().remove(1);
        }),
    ] {
        let fault = attested(&made).verify(&changed(change).unwrap()).expect_err(why);
        assert!(fault.to_string().contains(why), "{why}: {fault}");
    }
    for change in [
        (|root| root["tlogs"] = json!([])) as fn(&mut Value),
        |root| root["certificateAuthorities"] = json!([]),
        |root| root["tlogs"][0]["publicKey"]["rawBytes"] = json!("x"),
        |root| *root = json!([]),
    ] {
        assert!(changed(change).is_err());
    }
}

/// An attestation and those who are believed, made once.
static GOOD: LazyLock<(Attestation, Roots)> = LazyLock::new(|| {
    let made = Made::new().unwrap();
    (attested(&made), roots(&made))
});

proptest! {
    #[test]
    fn no_bit_of_it_may_be_another(part in 0..6usize, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (good, roots) = &*GOOD;
        let mut changed = good.clone();
        let entry = &mut changed.entries[0];
        let bytes = match part {
            0 => &mut changed.certificate,
            1 => &mut changed.statement,
            2 => &mut changed.signature,
            3 => &mut entry.body,
            4 => &mut entry.promise,
            _ => &mut entry.inclusion.as_mut().unwrap().root,
        };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(changed.verify(roots).is_err());
        prop_assert!(good.verify(roots).is_ok());
    }
}
