use bundle_format::BlobKey;
use bytes::Bytes;

use super::super::fake::{ARCHIVE, Fake, wait};
use super::super::keys::keys_of;
use super::super::release;
use super::*;

const PACKAGES: &str = "main/binary-amd64/Packages";
const BY_HASH: &str = "dists/stable/main/binary-amd64/by-hash/SHA256/";

fn fetched(fake: &Fake) -> Result<(Release, Option<Index>), Problem> {
    let (sources, machine, ways) = fake.sources();
    let keys = wait(keys_of(&sources[0], &machine, fake))?;
    let (release, _) = wait(release::fetch(&sources[0], keys.as_ref(), &ways, fake))?;
    let index = wait(fetch(PACKAGES, &release, &sources[0], &ways, fake))?;
    Ok((release, index))
}

fn names(index: &Index, packed: &[u8]) -> Result<Vec<String>, Problem> {
    let mut stanzas = index.stanzas(Box::new(io::Cursor::new(packed.to_vec())))?;
    let mut names = Vec::new();
    while let Some(stanza) = stanzas.next().map_err(|error| index.damaged(&error))? {
        names.push(stanza.text("Package").unwrap_or_default().to_owned());
    }
    Ok(names)
}

fn put(fake: &mut Fake, ending: &str, bytes: Bytes) {
    fake.document(&format!("{ARCHIVE}dists/stable/{PACKAGES}{ending}"), bytes);
}

fn without(fake: &mut Fake, ending: &str) {
    fake.without(&format!("{ARCHIVE}dists/stable/{PACKAGES}{ending}"));
}

#[test]
fn the_smallest_form_that_is_there_is_taken() {
    let mut fake = Fake::with_archive();
    let packed = fake.answer(&format!("dists/stable/{PACKAGES}.xz"));
    let by_hash = format!("{BY_HASH}{}", BlobKey::of(&packed).hex());
    for (ending, then_without) in [(".xz", ".xz"), (".zst", ".zst"), (".gz", ".gz")] {
        let (_, index) = fetched(&fake).unwrap();
        let index = index.unwrap();
        assert_eq!(index.path, format!("{PACKAGES}{ending}"));
        let packed = wait(fake.held(&index.held.unwrap(), u64::MAX)).unwrap();
        assert_eq!(
            names(&index, &packed).unwrap(),
            ["hello", "hello-data", "hello-doc", "libhello1", "broken"]
        );
        fake.held.lock().unwrap().clear();
        without(&mut fake, then_without);
    }
    let problem = fetched(&fake).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Unavailable, "apt.index-missing"));
    assert_eq!(problem.causes[0], by_hash);
    // By its hash, it may be had after all.
    fake.document(&format!("{ARCHIVE}{by_hash}"), packed);
    assert_eq!(fetched(&fake).unwrap().1.unwrap().origin, by_hash);
}

#[test]
fn an_index_that_is_held_is_not_asked_for() {
    let fake = Fake::with_archive();
    fetched(&fake).unwrap();
    fake.asked.lock().unwrap().clear();
    fetched(&fake).unwrap();
    assert_eq!(fake.asked_below(), ["dists/stable/InRelease"]);
    let fake = Fake { forbids_what_is_not_there: true, ..Fake::with_archive() };
    assert!(fetched(&fake).unwrap().1.is_some(), "by its hash it is not there");
}

#[test]
fn other_bytes_than_the_release_lists_are_not_taken() {
    let mut fake = Fake::with_archive();
    let xz = fake.answer(&format!("dists/stable/{PACKAGES}.xz"));
    put(&mut fake, ".xz", xz.slice(..xz.len() - 1));
    assert_eq!(fetched(&fake).unwrap().1.unwrap().path, format!("{PACKAGES}.zst"), "another form may do");
    fake.held.lock().unwrap().clear();
    for ending in [".gz", ".zst"] {
        put(&mut fake, ending, xz.clone());
    }
    let problem = fetched(&fake).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "apt.index-mismatch"));
}

#[test]
fn truncated_and_overlarge_indices_are_errors_not_ends() {
    let fake = Fake::with_archive();
    let index = fetched(&fake).unwrap().1.unwrap();
    let xz = fake.answer(&format!("dists/stable/{PACKAGES}.xz"));
    for length in [0, 10, 100, xz.len() - 20, xz.len() - 1] {
        let problem = names(&index, &xz[..length]).unwrap_err();
        assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "apt.index-damaged"), "{length}");
    }
    let small = Index { largest: 1000, ..index.clone() };
    assert!(names(&small, &xz).unwrap_err().causes[0].contains("larger"));
    for (packing, ending) in [(Packing::Gzip, ".gz"), (Packing::Zstd, ".zst")] {
        let packed = fake.answer(&format!("dists/stable/{PACKAGES}{ending}"));
        let other = Index { packing, ..index.clone() };
        assert_eq!(names(&other, &packed).unwrap().len(), 5);
        assert!(names(&other, &packed[..packed.len() - 9]).is_err());
        assert!(names(&other, &xz).is_err());
    }
}

#[test]
fn which_indices_are_read_depends_on_the_release() {
    let mut release = fetched(&Fake::with_archive()).unwrap().0;
    let paths = |release: &Release, component: Option<&str>| {
        let architectures = ["amd64".to_owned(), "i386".to_owned()];
        let names = names_of_binaries(release, component, &architectures);
        names.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(paths(&release, Some("main")), "main/binary-amd64/Packages main/binary-i386/Packages");
    release.has_index_for_all = true;
    let expected = "c/binary-amd64/Packages c/binary-i386/Packages c/binary-all/Packages";
    assert_eq!(paths(&release, Some("c")), expected);
    assert_eq!(paths(&release, None), "Packages");
    assert_eq!(name_of_sources(Some("main")), "main/source/Sources");
    assert_eq!(name_of_sources(None), "Sources");
}
