//! Generations: invisible, then visible at once; how they relate to what was there.

use super::*;
use crate::clock;

#[test]
fn nothing_is_seen_before_it_is_published() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let before = catalogue.revision().unwrap();
    let records = [
        repository("https://registry.example.test/"),
        artifact("a", "1", &["x", "y"]),
        tag("a", "latest", "1"),
    ];
    let generation = prepare(catalogue, &prod(), Merge::Add, &records).unwrap();
    assert_eq!(seen(catalogue), [""; 0]);
    assert!(catalogue.artifacts("npm", None, "a").unwrap().is_empty());
    assert!(catalogue.repositories().unwrap().is_empty());
    assert!(catalogue.channels().unwrap().is_empty());
    assert_eq!(catalogue.revision().unwrap(), before);

    publish(catalogue, generation).unwrap();
    assert_eq!(catalogue.revision().unwrap(), Revision(before.0 + 1));
    let found = catalogue.artifacts("npm", Some("registry.example.test"), "a").unwrap();
    assert_eq!(Record::Artifact(found[0].artifact.clone()), records[1]);
    assert_eq!((&found[0].source, found[0].generation), (&prod(), generation));
    assert!(catalogue.artifacts("npm", Some("elsewhere"), "a").unwrap().is_empty());
    assert!(catalogue.artifacts("pypi", None, "a").unwrap().is_empty());
    assert_eq!(catalogue.repositories().unwrap()[0].origin, "https://registry.example.test/");
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
    let found = catalogue.file_at("npm", "npm/1", None, "a/-/a-1.1").unwrap().unwrap();
    assert_eq!((found.file.blob, found.name.as_str()), (BlobKey::of(b"y"), "a"));
    assert!(catalogue.file_at("npm", "npm/1", None, "a/-/a-1.2").unwrap().is_none());
    assert!(catalogue.file_at("npm", "npm/1", None, "").unwrap().is_none());
    assert_eq!(catalogue.channel("prod").unwrap().unwrap().generation, generation);
}

#[test]
fn a_file_that_was_shown_is_found_while_one_can_go_back_to_it() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let at = |path: &str| {
        let found = catalogue.former_file_at("npm", "npm/1", None, path).unwrap();
        (catalogue.file_at("npm", "npm/1", None, path).unwrap().is_some(), found.is_some())
    };
    let gone = "a/-/a-1.0";
    let staged = prepare(catalogue, &prod(), Merge::Replace, &[artifact("a", "1", &["a"])]).unwrap();
    assert_eq!(at(gone), (false, false), "what nobody saw yet is not shown");
    publish(catalogue, staged).unwrap();
    assert_eq!(at(gone), (true, true));
    import(catalogue, &prod(), Merge::Replace, &[artifact("b", "1", &["b"])]);
    assert_eq!(at(gone), (false, true));
    let place = Place {
        ecosystem: "npm".to_owned(),
        repository: "registry.example.test".to_owned(),
        name: "a".to_owned(),
        what: "1".to_owned(),
    };
    let forget = Change::Forget { source: prod(), place, qualifier: String::new() };
    catalogue.commit(&ChangeSet { changes: vec![forget] }, &Precondition::None).unwrap();
    assert_eq!(at(gone), (false, false), "what was forgotten");
    import(catalogue, &prod(), Merge::Replace, &[artifact("c", "1", &["c"])]);
    assert_eq!(at("b/-/b-1.0"), (false, true));
    catalogue.prune("2026-01-01T00:00:00Z", 1).unwrap();
    assert_eq!(at("b/-/b-1.0"), (false, false), "what was let go");
}

#[test]
fn what_an_edition_told_clients_of_is_kept_for_a_day() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let edition = EditionState {
        number: 1,
        stamp: String::new(),
        confirmed: clock::now_text(),
        list: BlobKey::of(b"list"),
    };
    let hour = std::time::Duration::from_secs(3600);
    let accept = |number: u64, hours: u32, name: &str| {
        let records = [repository("https://registry.example.test/"), artifact(name, "1", &[name])];
        let generation = prepare(catalogue, &prod(), Merge::Replace, &records).unwrap();
        let entry = SnapshotEntry {
            channel: "prod".into(),
            epoch: 1,
            sequence: number,
            created: clock::now_text(),
            accepted: clock::text(clock::now() - hour * hours),
            signers: Vec::new(),
            generation,
            snapshot: BlobKey::of(name.as_bytes()),
            signatures: BlobKey::of(b"signatures"),
            segments: Vec::new(),
        };
        let changes = vec![Change::Snapshot(entry), Change::Publish(generation)];
        catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
    };
    let is_there = |name: &str| {
        catalogue.former_file_at("npm", "npm/1", None, &format!("{name}/-/{name}-1.0")).unwrap().is_some()
    };
    let prune = || catalogue.prune("2026-01-01T00:00:00Z", 1).unwrap();
    for (number, hours, name) in [(1, 72, "a"), (2, 48, "b"), (3, 2, "c"), (4, 1, "d")] {
        accept(number, hours, name);
    }
    let place = ("npm", "registry.example.test");
    let none = EditionDocuments::new();
    publish_edition(catalogue, place, &edition, &none, &none).unwrap();
    prune();
    assert_eq!(["a", "b", "c", "d"].map(is_there), [false, true, true, true]);
    prune();
    assert!(is_there("b"), "what was the newest one a day ago");
}

#[test]
fn add_is_the_union_and_the_new_one_wins() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[artifact("a", "1", &["old"]), artifact("b", "1", &["b"]), tag("a", "latest", "1")],
    );
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[artifact("a", "1", &["new"]), artifact("a", "2", &["two"]), tag("a", "latest", "2")],
    );
    assert_eq!(seen(catalogue), {
        let mut expected = [line("a", "1", "new"), line("a", "2", "two"), line("b", "1", "b")];
        expected.sort();
        expected
    });
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "2");
}

#[test]
fn the_list_is_ordered_by_what_artifacts_are_called() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let odd = |name: &str| match artifact(name, "1", &["x"]) {
        Record::Artifact(artifact) => {
            Record::Artifact(bundle_format::Artifact { ecosystem: "a-new-one".into(), ..artifact })
        }
        other => other,
    };
    // In another order than any, in two channels, one of which shows what the other does.
    import(catalogue, &prod(), Merge::Add, &[artifact("b", "2", &["x"]), artifact("c", "1", &["x"])]);
    let dev = Source::Channel("dev".into());
    let records =
        [odd("z"), artifact("a", "1", &["x"]), artifact("b", "1", &["x"]), artifact("b", "2", &["x"])];
    import(catalogue, &dev, Merge::Add, &records);
    let expected =
        ["a-new-one:z@1 dev", "npm:a@1 dev", "npm:b@1 dev", "npm:b@2 prod", "npm:b@2 dev", "npm:c@1 prod"];
    for limit in 1..8 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = catalogue.list(after.as_ref(), limit).unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.cursor.clone());
            for Linked { artifact: a, source, .. } in page.into_iter().map(|listed| listed.linked) {
                let Source::Channel(channel) = source else { continue };
                found.push(format!("{}:{}@{} {channel}", a.ecosystem, a.name, a.version));
            }
        }
        assert_eq!(found, expected, "{limit} at once");
    }
}

#[test]
fn an_identical_record_needs_no_new_link() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let first = import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["a"])]);
    for merge in [Merge::Add, Merge::Replace] {
        import(catalogue, &prod(), merge, &[artifact("a", "1", &["a"])]);
        let found = catalogue.list(None, 10).unwrap();
        assert_eq!((found.len(), found[0].linked.generation), (1, first), "{merge:?}");
    }
}

#[test]
fn replace_is_exactly_what_is_staged() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[
            repository("x"),
            artifact("a", "1", &["a"]),
            artifact("b", "1", &["b"]),
            tag("a", "latest", "1"),
            tag("b", "latest", "1"),
        ],
    );
    import(
        catalogue,
        &prod(),
        Merge::Replace,
        &[artifact("b", "1", &["b"]), artifact("c", "1", &["c"]), tag("b", "latest", "1")],
    );
    assert_eq!(seen(catalogue), [line("b", "1", "b"), line("c", "1", "c")]);
    assert_eq!(tagged(catalogue, "a", "latest"), None);
    assert_eq!(tagged(catalogue, "b", "latest").unwrap(), "1");
    assert!(catalogue.repositories().unwrap().is_empty());
}

#[test]
fn what_overtook_a_snapshot_keeps_its_names_and_the_rest_is_the_snapshots() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[
            repository("ten"),
            artifact("a", "1", &["ten"]),
            artifact("b", "1", &["ten"]),
            tag("a", "latest", "1"),
            tag("a", "next", "1"),
        ],
    );
    // It says of b what was said before: that is no less its word.
    let twelve = [artifact("a", "2", &["twelve"]), artifact("b", "1", &["ten"]), tag("a", "latest", "1")];
    import(catalogue, &prod(), Merge::Add, &twelve);
    let late = [
        repository("eleven"),
        artifact("a", "1", &["eleven"]),
        artifact("a", "2", &["eleven"]),
        artifact("a", "3", &["eleven"]),
        artifact("b", "1", &["eleven"]),
        tag("a", "latest", "3"),
        tag("a", "next", "3"),
        tag("a", "patch", "3"),
    ];
    let generation = catalogue.begin_generation("prod").unwrap();
    catalogue.stage(generation, &late).unwrap();
    catalogue.give_way(generation, &twelve).unwrap();
    catalogue.merge(generation, Merge::Add).unwrap();
    assert!(matches!(catalogue.give_way(generation, &twelve), Err(StoreError::Misuse(_))));
    publish(catalogue, generation).unwrap();
    let expected =
        [line("a", "1", "eleven"), line("a", "2", "twelve"), line("a", "3", "eleven"), line("b", "1", "ten")];
    assert_eq!(seen(catalogue), expected);
    assert_eq!(catalogue.repositories().unwrap()[0].origin, "eleven");
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1", "12 has set it again");
    assert_eq!(tagged(catalogue, "a", "next").unwrap(), "3", "only 10 has set it");
    assert_eq!(tagged(catalogue, "a", "patch").unwrap(), "3");
}

#[test]
fn publishing_one_source_does_not_show_what_another_staged() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let dev = Source::Channel("dev".into());
    import(catalogue, &dev, Merge::Add, &[artifact("d", "1", &["d"])]);
    let staged = prepare(catalogue, &dev, Merge::Replace, &[artifact("e", "1", &["e"])]).unwrap();
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["a"])]);
    assert_eq!(seen(catalogue), [line("a", "1", "a"), line("d", "1", "d")]);
    publish(catalogue, staged).unwrap();
    assert_eq!(seen(catalogue), [line("a", "1", "a"), line("e", "1", "e")]);
}

#[test]
fn two_sources_of_one_record_show_it_once() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[artifact("a", "1", &["a"]), tag("a", "latest", "1"), repository("p")],
    );
    host(catalogue, &[artifact("a", "1", &["a"]), tag("a", "latest", "2")]);
    let found = catalogue.artifacts("npm", None, "a").unwrap();
    assert_eq!((found.len(), &found[0].source), (1, &prod()));
    assert_eq!(catalogue.refs("npm", None, "a", None).unwrap().len(), 1);
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
    assert_eq!(catalogue.repositories().unwrap()[0].origin, "p");
    assert_eq!(catalogue.list(None, 10).unwrap().len(), 2, "ls shows both");
    assert_eq!(catalogue.channels().unwrap().len(), 1, "the hosted repositories are no channel");
}

#[test]
fn going_back_and_on_from_there() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let one = import(
        catalogue,
        &prod(),
        Merge::Add,
        &[artifact("a", "1", &["one"]), tag("a", "latest", "1"), tag("a", "old", "1")],
    );
    let two =
        import(catalogue, &prod(), Merge::Replace, &[artifact("b", "1", &["two"]), tag("a", "latest", "2")]);
    publish(catalogue, one).unwrap();
    assert_eq!(seen(catalogue), [line("a", "1", "one")]);
    publish(catalogue, two).unwrap();
    assert_eq!(seen(catalogue), [line("b", "1", "two")]);

    // What follows continues what is visible, not what was undone.
    publish(catalogue, one).unwrap();
    import(catalogue, &prod(), Merge::Add, &[artifact("c", "1", &["three"])]);
    assert_eq!(seen(catalogue), [line("a", "1", "one"), line("c", "1", "three")]);
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
    assert_eq!(tagged(catalogue, "a", "old").unwrap(), "1");
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["four"])]);
    assert_eq!(seen(catalogue), [line("a", "1", "four"), line("c", "1", "three")]);
}

#[test]
fn what_is_abandoned_leaves_nothing() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(
        catalogue,
        &prod(),
        Merge::Add,
        &[artifact("a", "1", &["a"]), tag("a", "latest", "1"), repository("x")],
    );
    for merge in [Merge::Add, Merge::Replace] {
        let records = [
            artifact("a", "1", &["other"]),
            artifact("b", "1", &["b"]),
            tag("a", "latest", "2"),
            repository("y"),
        ];
        let generation = prepare(catalogue, &prod(), merge, &records).unwrap();
        catalogue.abandon(generation).unwrap();
        assert!(publish(catalogue, generation).is_err());
        assert_eq!(seen(catalogue), [line("a", "1", "a")]);
        assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
        assert_eq!(catalogue.repositories().unwrap()[0].origin, "x");
        // Nor does it come back with the next one.
        import(catalogue, &prod(), Merge::Add, &[]);
        assert_eq!(seen(catalogue), [line("a", "1", "a")]);
        assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
    }
    assert!(home.catalogue().if_unreferenced(&BlobKey::of(b"b"), &mut || Ok(())).unwrap());
}

#[test]
fn what_a_bundle_says_twice_must_agree() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let generation = catalogue.begin_generation("prod").unwrap();
    let same = artifact("a", "1", &["a"]);
    catalogue.stage(generation, &[same.clone(), tag("a", "latest", "1")]).unwrap();
    catalogue.stage(generation, &[same, tag("a", "latest", "1")]).unwrap();
    assert!(catalogue.stage(generation, &[artifact("a", "1", &["b"])]).is_err());
    assert!(catalogue.stage(generation, &[tag("a", "latest", "2")]).is_err());
    catalogue.merge(generation, Merge::Add).unwrap();
    assert!(matches!(catalogue.merge(generation, Merge::Add), Err(StoreError::Misuse(_))));
    publish(catalogue, generation).unwrap();
    assert_eq!(seen(catalogue), [line("a", "1", "a")]);
}

#[test]
fn an_import_learns_what_its_rows_claim() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let Record::Artifact(mut claiming) = artifact("a", "1", &["same", "other"]) else { unreachable!() };
    let sha1: Digest = format!("sha1:{}", "ab".repeat(20)).parse().unwrap();
    claiming.files[0].checksums = vec![sha1.clone()];
    let generation = catalogue.begin_generation("prod").unwrap();
    catalogue
        .stage(generation, &[Record::Artifact(claiming.clone()), artifact("b", "1", &["same"])])
        .unwrap();
    assert_eq!(
        catalogue.claimed_checksums(generation, &BlobKey::of(b"same")).unwrap(),
        (Some(4), vec![sha1])
    );
    assert_eq!(catalogue.claimed_checksums(generation, &BlobKey::of(b"none")).unwrap(), (None, vec![]));
    let mut blobs = Vec::new();
    catalogue
        .staged_blobs(generation, &mut |key, size| {
            blobs.push((key, size));
            Ok(true)
        })
        .unwrap();
    let mut expected = [(BlobKey::of(b"same"), 4), (BlobKey::of(b"other"), 5)];
    expected.sort();
    assert_eq!(blobs, expected);

    claiming.version = "2".into();
    claiming.files[0].size = 5;
    catalogue.stage(generation, &[Record::Artifact(claiming)]).unwrap();
    assert!(matches!(
        catalogue.claimed_checksums(generation, &BlobKey::of(b"same")),
        Err(StoreError::Size { .. })
    ));
    assert!(catalogue.staged_blobs(generation, &mut |_, _| Ok(true)).is_err());
}

#[test]
fn different_bytes_for_one_file_are_a_conflict() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["a"]), artifact("b", "1", &["b"])]);
    let records = [artifact("a", "1", &["mine"]), artifact("b", "1", &["b"])];
    let dev = prepare(catalogue, &Source::Channel("dev".into()), Merge::Add, &records).unwrap();
    let conflicts = catalogue.conflicts(dev, &[], 10).unwrap();
    let conflicts: Vec<_> = conflicts.into_iter().map(|c| (c.path, c.held_by)).collect();
    assert_eq!(conflicts, [("a/-/a-1.0".to_owned(), "prod".to_owned())]);
    // Where repositories stand by themselves, the same path of another one is another file.
    let mut elsewhere = artifact("a", "1", &["mine"]);
    if let Record::Artifact(it) = &mut elsewhere {
        it.repository = "elsewhere.example.test".to_owned();
    }
    let other = prepare(catalogue, &Source::Channel("other".into()), Merge::Add, &[elsewhere]).unwrap();
    assert_eq!(catalogue.conflicts(other, &[], 10).unwrap().len(), 1);
    assert!(catalogue.conflicts(other, &["npm", "apt"], 10).unwrap().is_empty());
    // Its own older bytes are no conflict.
    let same = prepare(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["newer"])]).unwrap();
    assert!(catalogue.conflicts(same, &[], 10).unwrap().is_empty());
}

#[test]
fn what_an_upstream_says_of_the_same_files_may_change() {
    let home = Home::new();
    let catalogue = home.catalogue();
    // An artifact whose first file has no path; some have a second one that has.
    let said = |name: &str, says: &str, file: Option<&str>| {
        let texts: Vec<&str> = [says].into_iter().chain(file).collect();
        let Record::Artifact(mut said) = artifact(name, "1", &texts) else { unreachable!() };
        said.files[0].path.clear();
        said.files[0].role = "manifest".into();
        Record::Artifact(said)
    };
    let held = [
        said("both", "before", Some("file")),
        said("neither", "before", None),
        said("first", "before", Some("file")),
        said("later", "before", None),
        said("filled", "before", None),
    ];
    import(catalogue, &prod(), Merge::Add, &held);
    let records = [
        said("both", "deprecated", Some("file")),
        said("neither", "deprecated", None),
        said("first", "deprecated", None),
        said("later", "deprecated", Some("file")),
        said("filled", "before", Some("file")),
    ];
    let dev = prepare(catalogue, &Source::Channel("dev".into()), Merge::Add, &records).unwrap();
    let conflicts: Vec<_> = catalogue.conflicts(dev, &[], 10).unwrap().into_iter().map(|c| c.path).collect();
    assert_eq!(conflicts, ["later 1"]);
}

#[test]
fn the_revision_guards_a_commit_and_the_mark_never_goes_back() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let accept = |sequence, seen: Revision| {
        let generation = prepare(catalogue, &prod(), Merge::Add, &[]).unwrap();
        let entry = SnapshotEntry {
            channel: "prod".into(),
            epoch: 1,
            sequence,
            snapshot: BlobKey::of(&[1]),
            signatures: BlobKey::of(&[2]),
            segments: vec![BlobKey::of(&[3]), BlobKey::of(&[4])],
            created: "2026-01-01T00:00:00Z".into(),
            accepted: "2026-01-02T00:00:00Z".into(),
            signers: vec!["key".into()],
            generation,
        };
        let changes =
            ChangeSet { changes: vec![Change::Publish(generation), Change::Snapshot(entry.clone())] };
        let result = catalogue.commit(&changes, &Precondition::Revision(seen));
        if result.is_err() {
            catalogue.abandon(generation).unwrap();
        }
        result.map(|_| entry)
    };
    let now = || catalogue.revision().unwrap();
    let before = now();
    let five = accept(5, before).unwrap();
    assert!(matches!(accept(6, before), Err(StoreError::Precondition)), "another commit came in between");
    assert!(matches!(accept(5, now()), Err(StoreError::Precondition)), "its place is taken");
    let three = accept(3, now()).unwrap();
    let state = catalogue.channel("prod").unwrap().unwrap();
    assert_eq!((state.epoch, state.sequence), (1, 5), "it never goes back");
    assert_eq!(catalogue.snapshots("prod").unwrap(), [three, five]);
    assert!(catalogue.snapshots("dev").unwrap().is_empty());
}

#[test]
fn servers_are_those_of_what_is_visible() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let of = |name: &str, origins: &[&str]| {
        let mut record = artifact(name, "1", &vec!["a"; origins.len()]);
        if let Record::Artifact(artifact) = &mut record {
            let files = artifact.files.iter_mut().zip(origins);
            files.for_each(|(file, origin)| (*origin).clone_into(&mut file.origin));
        }
        record
    };
    let gone = of("gone", &["https://gone.example.test/x"]);
    import(catalogue, &prod(), Merge::Replace, &[gone]);
    let many =
        ["https://b.example.test:8443/y/z", "http://a.example.test/", "", "a/-/a.tgz", "file://", "x:///y"];
    let again = of("again", &["https://b.example.test:8443/other", "https://without-a-path.example.test"]);
    import(catalogue, &prod(), Merge::Replace, &[of("many", &many), again]);
    let all = ["http://a.example.test", "https://b.example.test:8443"];
    assert_eq!(catalogue.servers("npm", 10).unwrap(), all);
    assert_eq!(catalogue.servers("npm", 1).unwrap(), all[..1]);
    assert!(catalogue.servers("pypi", 10).unwrap().is_empty());
}
