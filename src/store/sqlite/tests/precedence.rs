//! Several channels have one package: who brought it first has precedence, whatever comes later.

use super::*;

fn channel(name: &str) -> Source {
    Source::Channel(name.into())
}

/// The refs of `a`, as `label=version channel`, in order.
fn refs(catalogue: &dyn Catalogue) -> Vec<String> {
    let found = catalogue.refs("npm", None, "a", None).unwrap();
    let text = |linked: LinkedRef| {
        let Source::Channel(source) = linked.source else { panic!("a channel") };
        format!("{}={} {source}", linked.reference.label, linked.reference.version)
    };
    found.into_iter().map(text).collect()
}

/// A version of `a` with its own bytes, and a tag on it.
fn tagged_version(version: &str, label: &str) -> [Record; 2] {
    [artifact("a", version, &[version]), tag("a", label, version)]
}

#[test]
fn a_later_channel_does_not_step_in_front() {
    let home = Home::new();
    let catalogue = home.catalogue();
    // That a channel is older says nothing: it is the package that counts.
    import(catalogue, &channel("dev"), Merge::Add, &[artifact("d", "1", &["d"])]);
    import(catalogue, &prod(), Merge::Add, &tagged_version("1", "latest"));
    import(catalogue, &channel("dev"), Merge::Add, &tagged_version("99", "latest"));
    assert_eq!(refs(catalogue), ["latest=1 prod", "latest=99 dev"]);
    let versions: Vec<_> = catalogue.artifacts("npm", None, "a").unwrap();
    let versions: Vec<_> = versions.iter().map(|linked| linked.artifact.version.as_str()).collect();
    assert_eq!(versions, ["1", "99"]);

    // It stays in front when it moves the tag, drops the version that it began with, or drops the package for a while.
    import(catalogue, &prod(), Merge::Add, &tagged_version("2", "latest"));
    import(catalogue, &prod(), Merge::Replace, &tagged_version("2", "latest"));
    catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
    assert_eq!(refs(catalogue), ["latest=2 prod", "latest=99 dev"]);
    import(catalogue, &prod(), Merge::Replace, &[artifact("b", "1", &["b"])]);
    assert_eq!(refs(catalogue), ["latest=99 dev"]);
    for _ in 0..2 {
        import(catalogue, &prod(), Merge::Replace, &tagged_version("3", "latest"));
        catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
        assert_eq!(refs(catalogue), ["latest=3 prod", "latest=99 dev"]);
    }
}

#[test]
fn what_counts_is_when_it_was_published() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let slow = prepare(catalogue, &channel("dev"), Merge::Add, &tagged_version("99", "latest")).unwrap();
    import(catalogue, &prod(), Merge::Add, &tagged_version("1", "latest"));
    publish(catalogue, slow).unwrap();
    assert_eq!(refs(catalogue), ["latest=1 prod", "latest=99 dev"]);
}

#[test]
fn what_never_came_in_has_no_precedence() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let refused = prepare(catalogue, &channel("dev"), Merge::Add, &tagged_version("99", "latest")).unwrap();
    catalogue.abandon(refused).unwrap();
    import(catalogue, &prod(), Merge::Add, &tagged_version("1", "latest"));
    import(catalogue, &channel("dev"), Merge::Add, &tagged_version("99", "latest"));
    assert_eq!(refs(catalogue), ["latest=1 prod", "latest=99 dev"]);
}

#[test]
fn a_ref_leads_only_to_what_its_own_channel_shows() {
    let home = Home::new();
    let catalogue = home.catalogue();
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["1"]), tag("a", "next", "2")]);
    assert_eq!(refs(catalogue), [""; 0]);
    import(catalogue, &channel("dev"), Merge::Add, &tagged_version("2", "beta"));
    assert_eq!(refs(catalogue), ["beta=2 dev"], "what prod has not is not dev's to choose");
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "2", &["2"])]);
    assert_eq!(refs(catalogue), ["next=2 prod", "beta=2 dev"]);
}

#[test]
fn a_file_that_was_never_admitted_hides_none() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let Record::Artifact(mut later) = artifact("a", "1", &["a"]) else { unreachable!() };
    later.schema = "npm/9".into();
    later.name = "b".into();
    import(catalogue, &channel("dev"), Merge::Add, &[Record::Artifact(later)]);
    let found = |schema| catalogue.file_at("npm", schema, None, "a/-/a-1.0").unwrap().map(|found| found.name);
    assert_eq!((found("npm/1"), found("npm/9").as_deref()), (None, Some("b")));
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["a"])]);
    assert_eq!(found("npm/1").unwrap(), "a");
}

#[test]
fn a_record_of_several_channels_is_the_first_ones() {
    let home = Home::new();
    let catalogue = home.catalogue();
    for name in ["dev", "prod"] {
        import(catalogue, &channel(name), Merge::Add, &[artifact(name, "1", &[name])]);
    }
    for name in ["prod", "dev"] {
        import(catalogue, &channel(name), Merge::Add, &[artifact("a", "1", &["a"])]);
    }
    let found = catalogue.artifacts("npm", None, "a").unwrap();
    assert_eq!((found.len(), &found[0].source), (1, &prod()));
}
