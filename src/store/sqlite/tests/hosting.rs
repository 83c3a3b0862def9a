//! What clients write: seen at once, replaced, taken out again; and blobs that wait for what they belong to.

use super::*;

fn place(name: &str, what: &str) -> Place {
    Place {
        ecosystem: "npm".into(),
        repository: "registry.example.test".into(),
        name: name.into(),
        what: what.into(),
    }
}

fn commit(catalogue: &dyn Catalogue, changes: Vec<Change>) -> Revision {
    catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap()
}

fn is_needed(catalogue: &dyn Catalogue, text: &str) -> bool {
    !catalogue.if_unreferenced(&BlobKey::of(text.as_bytes()), &mut || Ok(())).unwrap()
}

fn keep(catalogue: &dyn Catalogue, name: &str, label: &str, text: &str) -> Revision {
    let deposit = Change::Deposit {
        place: place(name, label),
        blob: BlobKey::of(text.as_bytes()),
        size: text.len() as u64,
    };
    commit(catalogue, vec![deposit])
}

#[test]
fn what_is_linked_is_seen_until_it_is_replaced_or_taken_out() {
    let home = Home::new();
    let catalogue = home.catalogue();
    host(catalogue, &[artifact("a", "1", &["one"]), tag("a", "latest", "1"), tag("a", "old", "1")]);
    host(catalogue, &[artifact("b", "1", &["other"])]);
    assert_eq!(seen(catalogue), [line("a", "1", "one"), line("b", "1", "other")]);
    assert_eq!(catalogue.artifacts("npm", None, "a").unwrap()[0].source, Source::Hosted);
    assert_eq!(catalogue.repositories().unwrap().len(), 1);
    assert!(catalogue.channels().unwrap().is_empty());

    host(catalogue, &[artifact("a", "1", &["two"]), artifact("a", "2", &["three"]), tag("a", "latest", "2")]);
    assert_eq!(seen(catalogue), [line("a", "1", "two"), line("a", "2", "three"), line("b", "1", "other")]);
    assert_eq!(tagged(catalogue, "a", "latest").as_deref(), Some("2"));
    catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
    assert!(!is_needed(catalogue, "one") && is_needed(catalogue, "two"), "nobody goes back here");

    commit(catalogue, vec![Change::Unlink(place("a", "1"))]);
    assert_eq!(seen(catalogue), [line("a", "2", "three"), line("b", "1", "other")]);
    assert_eq!(tagged(catalogue, "a", "old"), None);
    // What comes back comes without the tags that it had.
    host(catalogue, &[artifact("a", "1", &["two"])]);
    assert_eq!(tagged(catalogue, "a", "old"), None);
    commit(catalogue, vec![Change::DropRef(place("a", "latest"))]);
    assert_eq!(tagged(catalogue, "a", "latest"), None);
    assert!(catalogue.check().unwrap().is_empty());
}

#[test]
fn the_last_word_of_a_commit_counts() {
    let home = Home::new();
    let catalogue = home.catalogue();
    host(catalogue, &[artifact("a", "1", &["one"]), artifact("a", "2", &["two"]), tag("a", "t", "1")]);
    let moved = |version: &str| match tag("a", "t", version) {
        Record::Ref(reference) => Change::SetRef(reference),
        _ => panic!("a ref"),
    };
    commit(catalogue, vec![moved("2"), moved("1"), moved("2")]);
    assert_eq!(tagged(catalogue, "a", "t").as_deref(), Some("2"));
    commit(catalogue, vec![Change::DropRef(place("a", "t")), moved("1")]);
    assert_eq!(tagged(catalogue, "a", "t").as_deref(), Some("1"));
    commit(catalogue, vec![moved("2"), Change::DropRef(place("a", "t"))]);
    assert_eq!(tagged(catalogue, "a", "t"), None);
}

#[test]
fn what_a_channel_shows_is_not_the_clients_to_take_out() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["one"]), tag("a", "latest", "1")]);
    commit(catalogue, vec![Change::Unlink(place("a", "1")), Change::DropRef(place("a", "latest"))]);
    assert_eq!(seen(catalogue), [line("a", "1", "one")]);
    assert_eq!(tagged(catalogue, "a", "latest").as_deref(), Some("1"));
}

#[test]
fn what_is_hosted_is_in_nobodys_way_elsewhere() {
    let home = Home::new();
    let catalogue = home.catalogue();
    host(catalogue, &[artifact("a", "1", &["own"])]);
    let mut strange = artifact("a", "1", &["a stranger's"]);
    let same = prepare(catalogue, &prod(), Merge::Add, std::slice::from_ref(&strange)).unwrap();
    assert_eq!(catalogue.conflicts(same, &[], 10).unwrap().len(), 1, "in the very repository it is");
    if let Record::Artifact(it) = &mut strange {
        it.repository = "elsewhere.example.test".to_owned();
    }
    let other = prepare(catalogue, &Source::Channel("dev".into()), Merge::Add, &[strange]).unwrap();
    assert!(catalogue.conflicts(other, &[], 10).unwrap().is_empty());
}

#[test]
fn a_deposit_keeps_its_blob_and_changes_nothing_that_is_derived() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let before = catalogue.revision().unwrap();
    assert_eq!(keep(catalogue, "a", "sha512:1", "layer"), before);
    let found = Some((BlobKey::of(b"layer"), 5));
    assert_eq!(catalogue.deposit(&place("a", "sha512:1")).unwrap(), found);
    assert_eq!(catalogue.deposit(&place("b", "sha512:1")).unwrap(), None);
    assert_eq!(catalogue.blob_of("npm", None, "sha512:1").unwrap(), found);
    assert_eq!(catalogue.blob_of("oci", None, "sha512:1").unwrap(), None);
    assert!(is_needed(catalogue, "layer") && seen(catalogue).is_empty());
    catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
    assert!(is_needed(catalogue, "layer"), "it is young");
    assert!(commit(catalogue, vec![Change::Withdraw(place("a", "sha512:1"))]) > before);
    assert_eq!(catalogue.deposit(&place("a", "sha512:1")).unwrap(), None);
    assert!(!is_needed(catalogue, "layer"));
}

#[test]
fn blobs_are_counted_once_and_found_by_their_key() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let size = || catalogue.hosted_size("npm", "registry.example.test").unwrap();
    assert_eq!(size(), 0);
    let Record::Artifact(one) = artifact("a", "1", &["one", "two"]) else { panic!("an artifact") };
    let bytes: u64 = one.files.iter().map(|file| file.size).sum();
    host(catalogue, &[Record::Artifact(one)]);
    assert_eq!(size(), bytes);
    keep(catalogue, "a", "of one", "one");
    keep(catalogue, "b", "of another", "another");
    assert_eq!(size(), bytes + 7);
    let has = |text: &str| {
        catalogue.hosted_has("npm", "registry.example.test", &BlobKey::of(text.as_bytes())).unwrap()
    };
    assert!(has("two") && has("another") && !has("of a channel"));
    import(catalogue, &prod(), Merge::Add, &[artifact("c", "1", &["of a channel"])]);
    assert_eq!(size(), bytes + 7);
    assert!(!has("of a channel"));
    let found = catalogue.blob_of("npm", Some(&BlobKey::of(b"of a channel")), "unknown").unwrap();
    assert!(found.is_some());
    let mut deposits = Vec::new();
    catalogue
        .deposits(&mut |key, size| {
            deposits.push((key, size));
            Ok(true)
        })
        .unwrap();
    deposits.sort_by_key(|(_, size)| *size);
    assert_eq!(deposits, [(BlobKey::of(b"one"), 3), (BlobKey::of(b"another"), 7)]);
}
