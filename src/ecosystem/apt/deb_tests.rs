//! Packages made here, sound and not.

use std::io::Write as _;

use super::*;

fn tar_of(name: &str, control: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8], kind| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    add("./md5sums", b"x", tar::EntryType::Regular);
    add(name, control.as_bytes(), tar::EntryType::Regular);
    archive.into_inner().unwrap()
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (name, content) in members {
        writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", content.len()).unwrap();
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn packed(packing: &str, bytes: &[u8]) -> Vec<u8> {
    match packing {
        ".gz" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        ".xz" => {
            let mut writer =
                lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        ".zst" => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

/// A package with this control data.
pub(in super::super) fn deb(packing: &str, control: &str) -> Vec<u8> {
    let control = packed(packing, &tar_of("./control", control));
    ar(&[("debian-binary", b"2.0\n"), (&format!("control.tar{packing}"), &control), ("data.tar", b"rest")])
}

const CONTROL: &str = "Package: hello\nVersion: 1:2.10-3\nArchitecture: amd64\n";

#[test]
fn control_data_is_read_however_it_is_packed() {
    for packing in ["", ".gz", ".xz", ".zst"] {
        let control = control_of(&deb(packing, CONTROL)[..]).unwrap();
        assert_eq!(std::str::from_utf8(&control).unwrap(), CONTROL, "{packing}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_within_bounds() {
    let sound = deb(".xz", CONTROL);
    for length in 0..sound.len() {
        match control_of(&sound[..length]) {
            // What comes after the control data is not looked at.
            Ok(control) => assert!(length > 200 && control == CONTROL.as_bytes(), "{length}"),
            Err(_) => assert!(length < sound.len() - 6, "{length}"),
        }
    }
    let large = ar(&[("debian-binary", b"2.0\n")]);
    let large = [large, format!("{:<48}{:<10}`\n", "control.tar", u64::MAX / 1_000_000_000_000).into_bytes()]
        .concat();
    let elsewhere = ar(&[("control.tar", &tar_of("elsewhere/control", CONTROL))]);
    let unknown = ar(&[("control.tar.lz", b"x")]);
    let many = ar(&vec![("filler", &b"x"[..]); 100]);
    for wrong in [&large, &elsewhere, &unknown, &many] {
        assert!(control_of(&wrong[..]).is_err());
    }
    // A bomb: what is unpacked in search of the control data is bounded.
    let mut bomb = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(LARGEST_ARCHIVE * 2);
    bomb.append_data(&mut header, "./filler", std::io::repeat(0).take(LARGEST_ARCHIVE * 2)).unwrap();
    let bomb = ar(&[("control.tar.zst", &packed(".zst", &bomb.into_inner().unwrap()))]);
    assert!(control_of(&bomb[..]).is_err());
}

#[test]
fn a_package_is_the_one_that_its_stanza_says() {
    let package = deb(".zst", CONTROL);
    must_agree(&package[..], &Stanza::only(CONTROL.as_bytes())).unwrap();
    for (from, to) in [("hello", "hallo"), ("1:2.10-3", "2.10-3"), ("amd64", "all")] {
        let other = CONTROL.replace(from, to);
        let why = must_agree(&package[..], &Stanza::only(other.as_bytes())).unwrap_err();
        assert!(why.contains(from), "{why}");
    }
}
