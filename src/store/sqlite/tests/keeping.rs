//! What is kept for how long, and what a damaged or foreign database is told.

use super::*;
use crate::fsx;

/// Writes past the catalogue.
fn raw(home: &Home, sql: &str) {
    let connection = rusqlite::Connection::open(home.store.layout.catalogue()).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn log(home: &Home, action: &str) {
    let mut subject = BTreeMap::new();
    subject.insert("name".into(), "prod-000001".into());
    let entry = AuditEntry { time: "2026-01-01T00:00:00Z".into(), action: action.into(), subject };
    let changes = ChangeSet { changes: vec![Change::Audit(entry)] };
    home.catalogue().commit(&changes, &Precondition::None).unwrap();
}

#[test]
fn the_audit_log_is_a_chain() {
    let home = Home::new();
    for action in ["import", "gc", "import"] {
        log(&home, action);
    }
    let all = home.catalogue().audit(0, 10).unwrap();
    assert_eq!(
        all.iter().map(|(entry, _)| entry.action.as_str()).collect::<Vec<_>>(),
        ["import", "gc", "import"]
    );
    assert_eq!(home.catalogue().audit(1, 1).unwrap(), all[1..2]);
    let line = r#"{"action":"import","subject":{"name":"prod-000001"},"time":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(all[0].1, BlobKey::of(&[&[0; 32], line.as_bytes()].concat()), "anybody can compute it");
    assert_eq!(home.catalogue().check().unwrap(), [""; 0]);
}

#[test]
fn a_changed_audit_log_is_noticed() {
    for (sql, found) in [
        (
            "UPDATE audit SET line = replace(line, 'gc', 'no') WHERE position = 1",
            "the audit log was changed at entry 1",
        ),
        ("DELETE FROM audit WHERE position = 1", "the audit log was changed at entry 1"),
        ("DELETE FROM audit WHERE position = 2", "the audit log was cut off after entry 2"),
        ("DELETE FROM audit", "the audit log was cut off after entry 0"),
    ] {
        let home = Home::new();
        for action in ["import", "gc", "import"] {
            log(&home, action);
        }
        raw(&home, sql);
        assert_eq!(home.catalogue().check().unwrap(), [found]);
    }
}

#[test]
fn a_newer_store_is_left_alone() {
    let home = Home::new();
    raw(&home, "PRAGMA user_version = 99");
    assert!(matches!(
        Store::open(home.directory.path()).err(),
        Some(StoreError::Newer { found: 99, known: 6 })
    ));
}

#[test]
fn what_is_no_catalogue_of_ours_is_refused() {
    for (bytes, sql) in
        [(Some(vec![b'x'; 4096]), ""), (None, "CREATE TABLE theirs (x)"), (None, "PRAGMA application_id = 7")]
    {
        let directory = crate::fsx::test_directory();
        assert!(matches!(Store::open_existing(directory.path()).err(), Some(StoreError::Absent(_))));
        let layout = Layout::new(directory.path());
        fsx::create_directory(&layout.store(), fsx::Access::Private).unwrap();
        match bytes {
            Some(bytes) => fsx::replace_file(&layout.catalogue(), &bytes).unwrap(),
            None => rusqlite::Connection::open(layout.catalogue()).unwrap().execute_batch(sql).unwrap(),
        }
        assert!(matches!(Store::open(directory.path()).err(), Some(StoreError::Damaged(_))), "{sql}");
    }
}

/// A catalogue that is not there any more must not be taken for a new one: gc would free every blob.
#[test]
fn a_lost_catalogue_is_noticed_and_nothing_is_made_in_its_place() {
    type Loss = fn(&Layout);
    let losses: [(&str, Loss); 4] = [
        ("emptied, its log left", |layout| {
            fsx::remove(&layout.catalogue()).unwrap();
            fsx::replace_file(&layout.catalogue(), b"").unwrap();
        }),
        ("removed, its log left", |layout| _ = fsx::remove(&layout.catalogue()).unwrap()),
        ("removed with its log", remove_catalogue),
        ("another one, without tables", |layout| {
            remove_catalogue(layout);
            let other = rusqlite::Connection::open(layout.catalogue()).unwrap();
            other.execute_batch("PRAGMA journal_mode = wal").unwrap();
            assert!(layout.catalogue().metadata().unwrap().len() > 0);
        }),
    ];
    for (loss, lose) in losses {
        let home = Home::new();
        import(home.catalogue(), &prod(), Merge::Add, &[artifact("a", "1", &["a"])]);
        let Home { directory, store } = home;
        let layout = store.layout.clone();
        let log = layout.store().join("catalogue.sqlite-wal");
        let kept = std::fs::read(&log).unwrap();
        // Held open by another process: closing would copy the log and remove it.
        lose(&layout);
        for open in [Store::open, Store::open_existing] {
            assert!(matches!(open(directory.path()).err(), Some(StoreError::Lost)), "{loss}");
        }
        if loss.ends_with("log left") {
            assert_eq!(std::fs::read(&log).unwrap(), kept, "{loss}: the log may yet help");
        }
        drop(store);
        // What the hint says leads out.
        fsx::rename(&layout.store(), &directory.path().join("aside")).unwrap();
        assert!(matches!(Store::open_existing(directory.path()).err(), Some(StoreError::Absent(_))));
        Store::open(directory.path()).unwrap();
    }
}

fn remove_catalogue(layout: &Layout) {
    for ending in ["", "-wal", "-shm"] {
        fsx::remove(&layout.store().join(format!("catalogue.sqlite{ending}"))).unwrap();
    }
}

#[test]
fn lost_and_damaged_catalogues_are_no_matter_of_usage() {
    use crate::problem::{Kind, Problem};
    for (error, kind, code) in [
        (StoreError::Lost, Kind::Untrusted, "store.catalogue-lost"),
        (StoreError::Damaged(String::new()), Kind::Untrusted, "store.catalogue-damaged"),
        (StoreError::Absent("home".into()), Kind::Usage, "store.missing"),
        (StoreError::Newer { found: 2, known: 1 }, Kind::Usage, "store.newer"),
    ] {
        let problem = Problem::from(error);
        assert_eq!((problem.kind, &*problem.code), (kind, code));
        assert!(!problem.hints.is_empty() && !problem.hints[0].contains("`aftk check`"), "{code}");
    }
}

#[test]
fn a_damaged_database_is_reported_not_believed() {
    use std::os::unix::fs::FileExt;
    let home = Home::new();
    let records: Vec<_> = (0..500).map(|number| artifact(&format!("p{number}"), "1", &["x"])).collect();
    import(home.catalogue(), &prod(), Merge::Add, &records);
    raw(&home, "PRAGMA wal_checkpoint(TRUNCATE)");
    let path = home.store.layout.catalogue();
    #[expect(clippy::disallowed_methods, reason = "this is the damage")]
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    // All but the first pages, which hold the schema.
    for page in (length / 4096 / 2)..(length / 4096) {
        file.write_all_at(&[0x5A; 4096], page * 4096).unwrap();
    }
    let again = home.again();
    let found = again.catalogue.check();
    assert!(found.is_err() || !found.unwrap().is_empty());
    assert!(again.catalogue.list(None, 1_000).is_err());
}

#[test]
fn a_row_that_we_cannot_have_written_is_an_error() {
    let home = Home::new();
    import(home.catalogue(), &prod(), Merge::Add, &[artifact("a", "1", &["a"])]);
    raw(&home, "UPDATE artifact SET record = '{}'");
    assert!(matches!(home.catalogue().artifacts("npm", None, "a"), Err(StoreError::Damaged(_))));
    assert!(matches!(
        home.catalogue().file_at("npm", "npm/1", None, "a/-/a-1.0"),
        Err(StoreError::Damaged(_))
    ));
}

/// Every schema that was ever released is a fixture: its frozen script and the rows that its version wrote.
#[test]
fn a_store_of_version_1_becomes_the_newest() {
    let directory = crate::fsx::test_directory();
    let layout = Layout::new(directory.path());
    fsx::create_directory(&layout.store(), fsx::Access::Private).unwrap();
    let connection = rusqlite::Connection::open(layout.catalogue()).unwrap();
    connection.execute_batch(include_str!("../schema/1.sql")).unwrap();
    connection.execute_batch(include_str!("version-1.sql")).unwrap();
    drop(connection);

    let store = Store::open(directory.path()).unwrap();
    let catalogue = &*store.catalogue;
    assert_eq!(catalogue.check().unwrap(), [""; 0]);
    assert_eq!(seen(catalogue), [line("a", "1", "a")]);
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
    assert_eq!(
        catalogue.file_at("npm", "npm/1", None, "a/-/a-1.0").unwrap().unwrap().file.blob,
        BlobKey::of(b"a")
    );
    assert_eq!(catalogue.repositories().unwrap().len(), 1);
    let state = catalogue.channel("prod").unwrap().unwrap();
    assert_eq!((state.epoch, state.sequence), (1, 7));
    assert_eq!(catalogue.snapshots("prod").unwrap()[0].segments.len(), 1);
    assert_eq!(catalogue.audit(0, 9).unwrap()[0].0.action, "import");
    assert_eq!(catalogue.revision().unwrap(), Revision(1));
    import(catalogue, &prod(), Merge::Add, &[artifact("b", "1", &["b"])]);
    assert_eq!(seen(catalogue).len(), 2);
    // What was here before has precedence over what comes now.
    let dev = Source::Channel("dev".into());
    import(catalogue, &dev, Merge::Add, &[artifact("a", "2", &["2"]), tag("a", "latest", "2")]);
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "1");
}

#[test]
fn claims_hold_until_they_expire() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let key = BlobKey::of(b"claimed");
    let unneeded = || catalogue.if_unreferenced(&key, &mut || Ok(())).unwrap();
    assert!(unneeded());
    let (first, second) = (catalogue.open_session(3600).unwrap(), catalogue.open_session(3600).unwrap());
    catalogue.claim(first, &[key, key]).unwrap();
    catalogue.claim(second, &[key]).unwrap();
    catalogue.close_session(first).unwrap();
    assert!(!unneeded(), "the second still claims it");
    catalogue.close_session(second).unwrap();
    assert!(unneeded());

    let expired = catalogue.open_session(0).unwrap();
    assert!(matches!(catalogue.claim(expired, &[key]), Err(StoreError::Misuse(_))));
    assert!(catalogue.claim(SessionId(999), &[key]).is_err());
    assert!(catalogue.claim(SessionId(u64::MAX), &[key]).is_err());
    let failing = catalogue.if_unreferenced(&key, &mut || Err(StoreError::Missing(key)));
    assert!(matches!(failing, Err(StoreError::Missing(_))), "what the act says is not lost");
}

#[test]
fn what_is_staged_or_listed_by_a_snapshot_is_needed() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let needed = |text: &[u8]| !catalogue.if_unreferenced(&BlobKey::of(text), &mut || Ok(())).unwrap();
    let generation = prepare(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["staged"])]).unwrap();
    assert!(needed(b"staged"));
    let entry = SnapshotEntry {
        channel: "prod".into(),
        epoch: 1,
        sequence: 1,
        snapshot: BlobKey::of(b"snapshot"),
        signatures: BlobKey::of(b"signatures"),
        segments: vec![BlobKey::of(b"segment")],
        created: String::new(),
        accepted: String::new(),
        signers: Vec::new(),
        generation,
    };
    let changes = vec![Change::Publish(generation), Change::Snapshot(entry)];
    catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
    for text in [b"snapshot".as_slice(), b"signatures", b"segment", b"staged"] {
        assert!(needed(text));
    }
}

#[test]
fn one_can_go_back_only_to_what_is_kept() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let all: Vec<_> = (1..=3)
        .map(|sequence| {
            let records =
                [artifact("a", &sequence.to_string(), &["x"]), tag("a", "latest", &sequence.to_string())];
            import(catalogue, &prod(), Merge::Replace, &records)
        })
        .collect();
    catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
    assert_eq!(seen(catalogue), [line("a", "3", "x")]);
    assert!(matches!(publish(catalogue, all[0]), Err(StoreError::Precondition)));
    publish(catalogue, all[1]).unwrap();
    assert_eq!(seen(catalogue), [line("a", "2", "x")]);
    assert_eq!(tagged(catalogue, "a", "latest").unwrap(), "2");
}

#[test]
fn answers_are_replaced_and_forgotten_by_age() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let answer = |body: &str, confirmed: &str| CachedAnswer {
        body: BlobKey::of(body.as_bytes()),
        etag: Some("\"tag\"".into()),
        last_modified: None,
        content_type: "application/json".into(),
        confirmed: confirmed.into(),
    };
    catalogue.cache(&[("url".to_owned(), answer("one", "2026-01-01T00:00:00Z"))]).unwrap();
    catalogue.cache(&[("url".to_owned(), answer("two", "2026-01-02T00:00:00Z"))]).unwrap();
    assert_eq!(catalogue.cached("url").unwrap(), Some(answer("two", "2026-01-02T00:00:00Z")));
    assert_eq!(catalogue.cached("other").unwrap(), None);
    catalogue.prune("2026-01-02T00:00:00Z", 2).unwrap();
    assert!(catalogue.cached("url").unwrap().is_some());
    catalogue.prune("2026-01-02T00:00:01Z", 2).unwrap();
    assert_eq!(catalogue.cached("url").unwrap(), None);
}

#[test]
fn misses_are_counted_within_bounds() {
    let home = Home::new();
    let catalogue = home.catalogue();
    catalogue.record_miss("npm", "r", "a", "^1").unwrap();
    catalogue.record_miss("npm", "r", "a", "^1").unwrap();
    catalogue.record_miss("npm", "r", &"long".repeat(1_000), "").unwrap();
    let misses = catalogue.misses().unwrap();
    assert_eq!((misses.len(), misses[0].count, misses[0].version.as_str()), (1, 2, "^1"));
    raw(&home, "UPDATE miss SET id = 100000");
    catalogue.record_miss("npm", "r", "b", "").unwrap();
    catalogue.record_miss("npm", "r", "a", "^1").unwrap();
    let misses = catalogue.misses().unwrap();
    assert_eq!((misses.len(), misses[0].count), (1, 3));
    catalogue.clear_misses().unwrap();
    assert_eq!(catalogue.misses().unwrap(), []);
    catalogue.record_miss("npm", "r", "b", "").unwrap();
    assert_eq!(catalogue.misses().unwrap().len(), 1, "there is room again");
}
