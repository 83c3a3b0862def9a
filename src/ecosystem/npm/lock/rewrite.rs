//! Other addresses in a lockfile: those of a mirror in place of the registries' that it was made from.
//!
//! The lockfile is read to know which addresses are a registry's tarballs, and of which packages; then they are exchanged where they
//! stand in its text, and so are other addresses, which a mirror has places for too. No other byte of it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use percent_encoding::percent_decode_str;

use super::read::read_text;
use super::{Lock, is_from_registry};
use crate::ecosystem::npm::address::{Address, Archive, PLACE};
use crate::ecosystem::npm::names;
use crate::ecosystem::npm::origin::is_conventional;
use crate::ecosystem::npm::spec::{Spec, without_fragment};
use crate::ecosystem::{RewrittenLock, addresses};
use crate::problem::Problem;

/// Rewrites a lockfile for a mirror whose packages stand below `base`, which ends in a slash. `shown` is its path in messages.
///
/// # Errors
/// If it is no lockfile that is read, or is damaged.
pub(crate) fn rewrite(shown: &Path, bytes: &[u8], base: &str) -> Result<RewrittenLock, Problem> {
    let (lock, text) = read_text(shown, bytes)?;
    let client = Writer::of(shown, text);
    let places = Places::of(&lock, client, base);
    let (mut text, of_git) = with_strings(text, &places.strings);
    for integrity in &places.packed_otherwise {
        text = without_integrity(&text, integrity);
    }
    let other = |address: &str, before: Option<&str>| {
        let is_its_place = |_: &&String| before.is_some_and(|before| client.keeps_address_behind(before));
        let elsewhere = || places.elsewhere.get(address).filter(is_its_place);
        places.own.get(address).or_else(elsewhere).map(String::as_str)
    };
    let (text, changed) = addresses::exchange(&text, other);
    let (left, project) = (places.left.into_iter().collect(), places.project.into_iter().collect());
    Ok(RewrittenLock { text, changed: changed + of_git, left, project })
}

/// What a project's `package.json` says once it asks for the same as its rewritten lockfile.
pub(crate) fn rewrite_project(text: &str, project: &[(String, String)]) -> String {
    with_strings(text, &project.iter().cloned().collect()).0
}

/// Who wrote a lockfile, as far as it matters where in it an address is what a package is had from. Elsewhere it says what was asked
/// for, which has to stay as the project says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// npm wants what was asked for and what a package is had from to be the same.
    Npm,
    Yarn1,
    Berry,
    Pnpm,
    Bun,
}

impl Writer {
    fn of(path: &Path, text: &str) -> Writer {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("yarn.lock") if text.lines().any(|line| line.starts_with("__metadata:")) => Writer::Berry,
            Some("yarn.lock") => Writer::Yarn1,
            Some("pnpm-lock.yaml") => Writer::Pnpm,
            Some("bun.lock") => Writer::Bun,
            _ => Writer::Npm,
        }
    }

    /// Whether a package is had from an address that stands behind this.
    fn keeps_address_behind(self, before: &str) -> bool {
        match self {
            Writer::Npm => true,
            Writer::Yarn1 => before.ends_with("resolved \"") || before.ends_with("resolved "),
            Writer::Berry => {
                let line = before.rsplit('\n').next().unwrap_or_default();
                line.trim_start().starts_with("resolution:")
            }
            Writer::Pnpm => before.ends_with("tarball: ") || before.ends_with("tarball: '"),
            Writer::Bun => before.ends_with('@'),
        }
    }
}

/// Where a mirror has what a lockfile lists.
#[derive(Default)]
struct Places {
    /// By the addresses of registries.
    own: BTreeMap<String, String>,
    /// By other addresses.
    elsewhere: BTreeMap<String, String>,
    /// By whole texts in a lockfile of npm, which are no addresses of tarballs.
    strings: BTreeMap<String, String>,
    /// Checksums of what npm packed of repositories, which are not those of the archives that take their place.
    packed_otherwise: BTreeSet<String>,
    /// What the project asks for that is another text now.
    project: BTreeMap<String, String>,
    /// What no mirror has.
    left: BTreeSet<String>,
}

impl Places {
    fn of(lock: &Lock, client: Writer, base: &str) -> Places {
        let mut places = Places::default();
        let by_address = lock.asked_for_by_address();
        let mut moved: BTreeMap<usize, String> = BTreeMap::new();
        for node in lock.nodes().filter(|node| !node.flags().link) {
            let Some(resolved) = node.resolved() else { continue };
            let address = without_fragment(&resolved).to_owned();
            let is_its_own = !by_address.contains(&node.number())
                || node.name().is_some_and(|name| is_conventional(name, &address));
            if let (Some(name), Some(version), Some(place)) =
                (node.name(), node.version(), original(&address, base))
                && is_its_own
                && is_from_registry(node)
                && is_of(&address, name)
                && !place.is_archive()
            {
                places.own.insert(address, format!("{base}{}", names::tarball_path(name, version)));
            } else if let Some(place) = original(&address, base).filter(|_| Spec::read(&address) == Spec::Url)
            {
                let new = place.below(base);
                moved.insert(node.number(), new.clone());
                places.elsewhere.insert(address, new);
            } else if let Some(archive) = Archive::of(&resolved).filter(|_| client == Writer::Npm) {
                let new = archive.address.below(base);
                moved.insert(node.number(), new.clone());
                places.strings.insert(resolved.into_owned(), new);
                places.packed_otherwise.extend(node.integrity().map(str::to_owned));
            } else if address.contains(':') {
                places.left.insert(address);
            }
        }
        if client == Writer::Npm {
            places.ask_for(lock, &moved);
        }
        places
    }

    /// npm takes no lockfile in which something is had from elsewhere than it is asked for.
    fn ask_for(&mut self, lock: &Lock, moved: &BTreeMap<usize, String>) {
        for edge in lock.edges() {
            let Some(new) = edge.to.and_then(|to| moved.get(&to.number())) else { continue };
            let spec = Spec::read(edge.range);
            if spec.is_registry() || edge.range == new {
                continue;
            }
            if spec == Spec::Git {
                self.strings.insert(edge.range.to_owned(), new.clone());
            }
            if edge.from.installed_name().is_none() {
                self.project.insert(edge.range.to_owned(), new.clone());
            }
        }
    }
}

/// The address that a tarball has outside, be it that it is a mirror's place for it already.
fn original(address: &str, base: &str) -> Option<Address> {
    let known = address.strip_prefix(base).and_then(|path| path.strip_prefix(PLACE));
    let known = known.and_then(|name| Address::named(&percent_decode_str(name).decode_utf8_lossy()));
    known.or_else(|| Address::read(address))
}

/// JSON without the members `integrity` that are this text.
fn without_integrity(text: &str, integrity: &str) -> String {
    let (name, value) = ("\"integrity\"", format!("\"{integrity}\""));
    let mut parts = text.split(&value);
    let mut rewritten = parts.next().unwrap_or_default().to_owned();
    for after in parts {
        let is_member =
            rewritten.trim_end().strip_suffix(':').is_some_and(|rest| rest.trim_end().ends_with(name));
        if !is_member {
            rewritten.push_str(&value);
            rewritten.push_str(after);
            continue;
        }
        rewritten.truncate(rewritten.rfind(name).unwrap_or_default());
        // One comma goes with it: the one before, or, if it is the first, the one behind.
        let before = rewritten.trim_end();
        if let Some(before) = before.strip_suffix(',') {
            rewritten.truncate(before.len());
            rewritten.push_str(after);
        } else {
            rewritten.push_str(after.trim_start().strip_prefix(',').map_or(after, str::trim_start));
        }
    }
    rewritten
}

/// JSON in which texts are others; and how many.
fn with_strings(text: &str, strings: &BTreeMap<String, String>) -> (String, usize) {
    if strings.is_empty() {
        return (text.to_owned(), 0);
    }
    let (mut rewritten, mut changed, mut is_text) = (String::with_capacity(text.len()), 0, false);
    let mut parts = text.split_inclusive('"').peekable();
    while let Some(part) = parts.next() {
        let content = part.strip_suffix('"').unwrap_or(part);
        // A name has a colon behind it. What is within backslashes is none of these texts.
        let is_name = parts.peek().is_some_and(|next| next.trim_start().starts_with(':'));
        match strings.get(content).filter(|_| is_text && !is_name) {
            Some(new) => {
                rewritten.push_str(new);
                rewritten.push('"');
                changed += 1;
            }
            None => rewritten.push_str(part),
        }
        let escaped = content.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        is_text = if is_text { escaped } else { true };
    }
    (rewritten, changed)
}

/// Whether an address is a tarball that a registry keeps, not one from elsewhere that the lockfile happens to know the version of:
/// it has the package's name in its path.
fn is_of(address: &str, name: &str) -> bool {
    let path = percent_decode_str(address).decode_utf8_lossy();
    path.contains(&format!("/{name}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://mirror.example.test:2385/npm/all/";

    fn rewritten(name: &str, text: &str) -> RewrittenLock {
        rewrite(Path::new(name), text.as_bytes(), BASE).unwrap()
    }

    #[test]
    fn addresses_of_registries_change_and_no_other_byte() {
        let old = "https://registry.example.test/";
        for (name, text) in [
            ("package-lock.json", include_str!("../../../../fixtures/npm/locks/npm-6.json")),
            ("yarn.lock", include_str!("../../../../fixtures/npm/locks/yarn-1.lock")),
        ] {
            let first = rewritten(name, text);
            assert_eq!(first.text.replace(BASE, old), text, "{name}");
            assert_eq!(first.changed, text.matches(old).count(), "{name}");
            assert!(!first.text.contains(old) && first.left.is_empty(), "{name}: {:?}", first.left);
            // What was rewritten is right already.
            let again = rewritten(name, &first.text);
            assert_eq!((again.changed, again.text), (0, first.text), "{name}");
        }
    }

    #[test]
    fn addresses_come_in_the_forms_of_many_clients() {
        let entry = |rest: &str| format!("{{\"lockfileVersion\":3,\"packages\":{{{rest}}}}}");
        for (name, text, new, left) in [
            // Some registries keep tarballs elsewhere, and an alias has another name than its path.
            (
                "package-lock.json",
                entry(
                    r#""":{"dependencies":{"b":"npm:@s/a@1"}},"node_modules/b":{"name":"@s/a","version":"1.0.0",
                    "resolved":"https://host.example.test/download/@s/a/1.0.0/0a1b","funding":"https://host.example.test/pay"}"#,
                ),
                r#""resolved":"http://mirror.example.test:2385/npm/all/@s/a/-/a-1.0.0.tgz","funding":"https://host.example.test/pay""#,
                vec![],
            ),
            (
                "package-lock.json",
                entry(
                    r#""node_modules/a":{"version":"1.0.0","resolved":"https://host.example.test/files/archive.tgz"},
                    "node_modules/g":{"version":"1.0.0","resolved":"git+ssh://git@host.example.test/g.git#0a1b"}"#,
                ),
                r#""http://mirror.example.test:2385/npm/all/-/remote/host.example.test/files/archive.tgz""#,
                vec!["git+ssh://git@host.example.test/g.git"],
            ),
            (
                "bun.lock",
                r#"{"lockfileVersion": 1, "workspaces": {"": {"dependencies": {"a": "1"}}},
                "packages": {"a": ["a@1.0.0", "https://host.example.test/npm/a/-/a-1.0.0.tgz", {}, "sha512-x"],}}"#
                    .to_owned(),
                r#""http://mirror.example.test:2385/npm/all/a/-/a-1.0.0.tgz", {}"#,
                vec![],
            ),
            (
                "pnpm-lock.yaml",
                "lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      a:\n        specifier: ^1.0.0\n        \
                 version: 1.0.0\n\npackages:\n\n  a@1.0.0:\n    resolution: {integrity: sha512-x, tarball: \
                 https://host.example.test/npm/a/archive/1.tgz}\n\nsnapshots:\n\n  a@1.0.0: {}\n"
                    .to_owned(),
                "tarball: http://mirror.example.test:2385/npm/all/a/-/a-1.0.0.tgz}",
                vec![],
            ),
            (
                "yarn.lock",
                "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \
                 \"a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fhost.example.test%2Fnpm%2Fa%2Fa-1.0.0.tgz\"\n"
                    .to_owned(),
                "__archiveUrl=http%3A%2F%2Fmirror.example.test%3A2385%2Fnpm%2Fall%2Fa%2F-%2Fa-1.0.0.tgz\"",
                vec![],
            ),
        ] {
            let rewritten = rewritten(name, &text);
            assert!(rewritten.text.contains(new), "{name}: {}", rewritten.text);
            assert_eq!(rewritten.left, left, "{name}");
        }
    }

    #[test]
    fn what_stands_at_an_address_is_had_from_the_mirror_and_asked_for_as_before() {
        let (old, new) =
            ("https://files.example.test/a/a.tgz", format!("{BASE}-/remote/files.example.test/a/a.tgz"));
        let sum = "0123456789012345678901234567890123456789";
        for (name, text, places) in [
            ("yarn.lock", format!("a@{old}:\n  version \"1.0.0\"\n  resolved \"{old}#{sum}\"\n"), 1),
            (
                "yarn.lock",
                format!(
                    "__metadata:\n  version: 8\n\n\"a@{old}\":\n  version: 1.0.0\n  resolution: \"a@{old}\"\n"
                ),
                1,
            ),
            (
                "pnpm-lock.yaml",
                format!(
                    "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: {old}\n        \
                     version: {old}\npackages:\n  a@{old}:\n    resolution: {{tarball: {old}}}\n    version: 1.0.0\nsnapshots:\n  \
                     a@{old}: {{}}\n"
                ),
                1,
            ),
            (
                "bun.lock",
                format!(
                    "{{\"lockfileVersion\":1,\"workspaces\":{{\"\":{{\"dependencies\":{{\"a\":\"{old}\"}}}}}},\
                     \"packages\":{{\"a\":[\"a@{old}\",{{}},\"sha512-x\"]}}}}"
                ),
                1,
            ),
            (
                "package-lock.json",
                format!(
                    "{{\"lockfileVersion\":3,\"packages\":{{\"\":{{\"dependencies\":{{\"a\":\"{old}\"}}}},\
                     \"node_modules/a\":{{\"version\":\"1.0.0\",\"resolved\":\"{old}\"}}}}}}"
                ),
                2,
            ),
        ] {
            let first = rewritten(name, &text);
            assert_eq!(
                (first.changed, first.text.matches(&new).count()),
                (places, places),
                "{name}: {}",
                first.text
            );
            assert_eq!(first.text.replace(&new, old), text, "{name}");
            let of_project =
                if name == "package-lock.json" { vec![(old.to_owned(), new.clone())] } else { vec![] };
            assert_eq!(first.project, of_project, "{name}");
            let again = rewritten(name, &first.text);
            assert_eq!((again.changed, again.text, again.project), (0, first.text, vec![]), "{name}");
        }
    }

    #[test]
    fn a_pinned_commit_becomes_the_archive_that_npm_would_ask_for() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let text = format!(
            "{{\"lockfileVersion\":3,\"packages\":{{\"\":{{\"dependencies\":{{\"b\":\"a/b#main\",\"a/b#main\":\"1\"}}}},\
             \"node_modules/b\":{{\"version\":\"1.0.0\",\"resolved\":\"git+ssh://git@github.com/a/b.git#{commit}\",\
             \"integrity\":\"sha512-x\",\"license\":\"say \\\"a/b#main\\\"\"}}}}}}"
        );
        let new = format!("{BASE}-/remote/codeload.github.com/a/b/tar.gz/{commit}");
        let rewritten = rewritten("package-lock.json", &text);
        let expected = text
            .replace("\"b\":\"a/b#main\"", &format!("\"b\":\"{new}\""))
            .replace(&format!("git+ssh://git@github.com/a/b.git#{commit}"), &new)
            .replace("\"integrity\":\"sha512-x\",", "");
        assert_eq!((rewritten.text, rewritten.changed, rewritten.left), (expected, 2, vec![]));
        assert_eq!(rewritten.project, [("a/b#main".to_owned(), new.clone())]);
        let project = rewrite_project("{\"dependencies\": {\"b\": \"a/b#main\"}}", &rewritten.project);
        assert_eq!(project, format!("{{\"dependencies\": {{\"b\": \"{new}\"}}}}"));
        for (text, left) in [
            ("{\"a\": 1,\n  \"integrity\": \"x\",\n  \"b\": \"x\"}", "{\"a\": 1,\n  \"b\": \"x\"}"),
            ("{\n  \"integrity\": \"x\",\n  \"b\": 1}", "{\n  \"b\": 1}"),
            ("{\"a\": 1,\n \"integrity\": \"x\"\n}", "{\"a\": 1\n}"),
            ("{\"integrity\": \"x\"}", "{}"),
        ] {
            assert_eq!(without_integrity(text, "x"), left);
        }
        // The archive that others have in their lockfiles is no registry's, though it has the package's name in it.
        let archive = format!("https://codeload.github.com/a/b/tar.gz/{commit}");
        let text = format!("\"b@github:a/b\":\n  version \"1.0.0\"\n  resolved \"{archive}\"\n");
        assert_eq!(super::tests::rewritten("yarn.lock", &text).text, text.replace(&archive, &new));
    }

    #[test]
    fn a_large_lockfile_takes_as_long_as_it_is_large() {
        let mut text = "{\"lockfileVersion\":3,\"packages\":{\"\":{}".to_owned();
        for number in 0..100_000 {
            let (name, host) = (format!("p{number}"), "https://registry.example.test");
            text.push_str(&format!(
                ",\"node_modules/{name}\":{{\"version\":\"1.0.0\",\"resolved\":\"{host}/{name}/-/{name}-1.0.0.tgz\"}}"
            ));
        }
        text.push_str("}}");
        let begun = crate::clock::instant();
        assert_eq!(rewritten("package-lock.json", &text).changed, 100_000);
        // Looked through from each address to the end it would be minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_is_no_lockfile_is_refused() {
        for (name, text, code) in [
            ("Cargo.lock", "", "npm.no-lockfile"),
            ("bun.lockb", "", "npm.binary-lockfile"),
            ("package-lock.json", "{}", "npm.no-lockfile"),
            ("pnpm-lock.yaml", "lockfileVersion: '3.0'", "npm.unknown-lockfile"),
        ] {
            assert_eq!(rewrite(Path::new(name), text.as_bytes(), BASE).unwrap_err().code, code, "{name}");
        }
    }
}
