//! What is believed of an attestation, and each lie by itself.

use std::sync::LazyLock;

use bundle_format::{BlobKey, Digest};
use proptest::prelude::*;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use serde_json::{Value, json};

use super::bundle::Bundle;
use super::made::{self, COMMIT, Form, IDENTITY, Made, REPOSITORY, THEN, VOUCHER, statement};
use super::statement::Statement;
use super::{Attestation, Fault, Roots, SignedBy};

const NAME: &str = "app-1.0-py3-none-any.whl";

fn roots(made: &Made) -> Roots {
    Roots::read(made.trusted_root().to_string().as_bytes()).unwrap()
}

fn attested(made: &Made) -> Attestation {
    made.attest(&statement(NAME, &BlobKey::of(b"app")), THEN, |_| {}).unwrap()
}

fn certificate(attestation: &mut Attestation) -> &mut Vec<u8> {
    match &mut attestation.signed_by {
        SignedBy::Certificate(der) => der,
        SignedBy::Key(_) => panic!("it is by a key"),
    }
}

#[test]
fn who_signed_when_is_what_certificate_and_log_say() {
    let made = Made::new().unwrap();
    let signer = attested(&made).verify(&roots(&made)).unwrap();
    assert_eq!((signer.identity.as_str(), signer.issuer.as_str()), (IDENTITY, VOUCHER));
    assert_eq!((signer.repository.as_str(), signer.commit.as_str()), (REPOSITORY, COMMIT));
    assert_eq!(signer.logged.to_string(), "2026-01-01T00:00:00Z");
    let read = Statement::read(&attested(&made).statement).unwrap();
    let sha256 = |bytes: &[u8]| [Digest::from(BlobKey::of(bytes))];
    assert_eq!(read.is_about(NAME, &sha256(b"app")), Ok(()));
    assert!(read.is_about("other", &sha256(b"app")).is_err());
    assert!(read.is_about(NAME, &sha256(b"other")).is_err());
    assert!(read.is_about(NAME, &[]).is_err());
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
        ("cannot be read", |one| certificate(one).clear()),
        ("cannot be read", |one| certificate(one).push(0)),
        ("is missing", |one| one.signed_by = SignedBy::Key(String::new())),
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
        Fault::Log("has another statement, signature or signer".to_owned())
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
        (|root| root["ctlogs"][0]["publicKey"]["rawBytes"] = json!("x")) as fn(&mut Value),
        |root| root["tlogs"] = json!([]),
        |root| root["certificateAuthorities"] = json!([]),
        |root| root["tlogs"][0]["publicKey"]["rawBytes"] = json!("x"),
        |root| *root = json!([]),
    ] {
        assert!(changed(change).is_err());
    }
}

#[test]
fn certificates_are_public_where_roots_name_logs_of_them() {
    let (made, other) = (Made::new().unwrap(), Made::new().unwrap());
    let with_logs = |logs: Value| {
        let mut root = made.trusted_root();
        root["ctlogs"] = logs;
        Roots::read(root.to_string().as_bytes()).unwrap()
    };
    let logs = || made.trusted_root()["ctlogs"].clone();
    let attestation = attested(&made);
    assert!(attestation.verify(&with_logs(logs())).is_ok());
    assert!(attestation.verify(&with_logs(json!([]))).is_ok(), "of an authority without such a log");
    let foreign = other.trusted_root()["ctlogs"].clone();
    let mut expired = logs();
    expired[0]["publicKey"]["validFor"]["end"] = json!("2025-12-31T00:00:00Z");
    for logs in [foreign, expired] {
        let fault = attestation.verify(&with_logs(logs)).unwrap_err();
        assert_eq!(fault.to_string(), "its certificate is in no log of certificates that is pinned");
    }
    // What was promised is this certificate of this authority, byte for byte.
    let pinned = &super::roots::testing::certificate_logs(&roots(&made));
    let check = |der: &[u8], issuer: &BlobKey| super::certificate_log::check(der, issuer, pinned);
    let (mut signed, issuer) = (attestation.clone(), made.issuer_key());
    let der = certificate(&mut signed).clone();
    assert_eq!(check(&der, &issuer), Ok(()));
    assert!(check(&der, &BlobKey::of(b"other")).unwrap_err().to_string().contains("promised"));
    let at = der.windows(COMMIT.len()).position(|part| part == COMMIT.as_bytes()).unwrap();
    let mut changed = der.clone();
    changed[at] = b'1';
    assert!(check(&changed, &issuer).unwrap_err().to_string().contains("promised"));
    let without = Made::new().unwrap().trusted_root();
    let authority = without["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"].clone();
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.decode(authority.as_str().unwrap()).unwrap();
    assert!(check(&authority, &issuer).unwrap_err().to_string().contains("is in no log of certificates"));
}

/// Sigstore's own list a log of certificates with a key of RSA in a form of its own, beside others.
#[test]
fn logs_with_keys_of_other_kinds_are_left_out() {
    let made = Made::new().unwrap();
    let mut root = made.trusted_root();
    let rsa = json!({ "publicKey": { "rawBytes": "MIIBCgKCAQEA", "keyDetails": "PKCS1_RSA_PKCS1V5" } });
    for logs in ["tlogs", "ctlogs"] {
        root[logs].as_array_mut().unwrap().insert(0, rsa.clone());
    }
    assert!(attested(&made).verify(&Roots::read(root.to_string().as_bytes()).unwrap()).is_ok());
    root["ctlogs"] = json!([rsa]);
    assert!(Roots::read(root.to_string().as_bytes()).is_err(), "nothing would have to be public any more");
}

#[test]
fn what_belongs_to_one_root_is_not_mended_by_another() {
    let (made, other) = (Made::new().unwrap(), Made::new().unwrap());
    let mut both = roots(&other);
    both.extend(roots(&made));
    assert!(attested(&made).verify(&both).is_ok());
    let (mut one, mut two) = (made.trusted_root(), other.trusted_root());
    let logs = one["tlogs"].take();
    one["tlogs"] = std::mem::replace(&mut two["tlogs"], logs);
    let mut mixed = Roots::read(one.to_string().as_bytes()).unwrap();
    mixed.extend(Roots::read(two.to_string().as_bytes()).unwrap());
    assert!(matches!(attested(&made).verify(&mixed), Err(Fault::Unpinned(_))));
}

#[test]
fn keys_sign_as_well_and_logs_have_two_forms() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let made = Made::new().unwrap();
    let pair = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (pair, stranger) = (pair(), pair());
    let spki = |pair: &EcdsaKeyPair| pair.public_key().as_der().unwrap().as_ref().to_vec();
    let sign = |message: &[u8]| {
        let random = aws_lc_rs::rand::SystemRandom::new();
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    };
    let about = statement(NAME, &BlobKey::of(b"app"));
    let attestation = made.attest_with_key(&about, ("SHA256:one", &spki(&pair)), sign);
    let then = attestation.verify_with_key(&spki(&pair), &roots(&made)).unwrap();
    assert_eq!(then.as_second(), THEN);
    assert!(attestation.verify(&roots(&made)).is_err(), "nobody is named");
    assert!(matches!(attestation.verify_with_key(&spki(&stranger), &roots(&made)), Err(Fault::Signature(_))));
    assert!(matches!(attestation.verify_with_key(b"no key", &roots(&made)), Err(Fault::Malformed(_))));
    // Whoever logged it was another.
    let mut logged = attestation.clone();
    made.log(&mut logged, &spki(&stranger), Form::Intoto, THEN);
    let fault = logged.verify_with_key(&spki(&pair), &roots(&made)).unwrap_err();
    assert!(fault.to_string().contains("another statement, signature or signer"), "{fault}");
    // Certificates stand in the other form as well.
    let mut signed = attested(&made);
    let der = certificate(&mut signed).clone();
    made.log(&mut signed, &der, Form::Intoto, THEN);
    assert!(signed.verify(&roots(&made)).is_ok());
}

#[test]
fn bundles_of_each_version_are_read_and_no_others() {
    let made = Made::new().unwrap();
    let read = |written: &Value| -> Result<Attestation, String> {
        let bundle: Bundle = serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
        bundle.attestation().map_err(|fault| fault.to_string())
    };
    let mut attestation = attested(&made);
    for is_first in [true, false] {
        assert_eq!(read(&made::bundle(&attestation, is_first)).unwrap(), attestation);
    }
    let mut keyed = attestation.clone();
    keyed.signed_by = SignedBy::Key("SHA256:one".to_owned());
    assert_eq!(read(&made::bundle(&keyed, false)).unwrap(), keyed);
    // What the log only promised is enough of the first version alone.
    attestation.entries[0].inclusion = None;
    assert_eq!(read(&made::bundle(&attestation, true)).unwrap(), attestation);
    assert!(read(&made::bundle(&attestation, false)).unwrap_err().contains("kept it"));
    let good = made::bundle(&attested(&made), false);
    for (pointer, value) in [
        ("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.4+json")),
        ("/mediaType", json!("")),
        ("/verificationMaterial", json!({})),
        ("/verificationMaterial", json!(null)),
        (
            "/verificationMaterial/tlogEntries",
            json!(vec![good["verificationMaterial"]["tlogEntries"][0].clone(); 17]),
        ),
        ("/verificationMaterial/tlogEntries/0/logId/keyId", json!("AAAA")),
        ("/verificationMaterial/tlogEntries/0/integratedTime", json!("soon")),
        ("/dsseEnvelope/payloadType", json!("text/plain")),
        ("/dsseEnvelope/payload", json!("!!!!")),
        ("/dsseEnvelope/signatures", json!([])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(read(&bad).is_err(), "{pointer}");
    }
}

/// An attestation and those who are believed, made once.
static GOOD: LazyLock<(Attestation, Roots)> = LazyLock::new(|| {
    let made = Made::new().unwrap();
    (attested(&made), roots(&made))
});

proptest! {
    #[test]
    fn odd_certificates_are_no_more_than_refused(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let (good, roots) = &*GOOD;
        let logs = super::roots::testing::certificate_logs(roots);
        let mut odd = certificate(&mut good.clone()).clone();
        let (at, cut) = (at.index(odd.len()), cut.index(odd.len() * 4));
        odd[at] = byte;
        odd.truncate(cut);
        // Whatever comes of it: no promise is found in what is none.
        let checked = super::certificate_log::check(&odd, &BlobKey::of(b"nobody"), &logs);
        prop_assert!(checked.is_err());
        let _ = super::certificate::Leaf::read(&odd);
    }

    #[test]
    fn no_bit_of_it_may_be_another(part in 0..6usize, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (good, roots) = &*GOOD;
        let mut changed = good.clone();
        let bytes = match part {
            0 => certificate(&mut changed),
            1 => &mut changed.statement,
            2 => &mut changed.signature,
            3 => &mut changed.entries[0].body,
            4 => &mut changed.entries[0].promise,
            _ => &mut changed.entries[0].inclusion.as_mut().unwrap().root,
        };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(changed.verify(roots).is_err());
        prop_assert!(good.verify(roots).is_ok());
    }
}
