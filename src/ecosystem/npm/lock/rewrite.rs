//! Other addresses in a lockfile: those of a mirror in place of the registries' that it was made from.
//!
//! The lockfile is read to know which addresses are a registry's tarballs, and of which packages; then they are exchanged where they
//! stand in its text. No other byte of it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use percent_encoding::percent_decode_str;

use super::is_from_registry;
use super::read::read_text;
use crate::ecosystem::npm::names;
use crate::ecosystem::{RewrittenLock, addresses};
use crate::problem::Problem;

/// Rewrites a lockfile for a mirror whose packages stand below `base`, which ends in a slash. `shown` is its path in messages.
///
/// # Errors
/// If it is no lockfile that is read, or is damaged.
pub(crate) fn rewrite(shown: &Path, bytes: &[u8], base: &str) -> Result<RewrittenLock, Problem> {
    let (lock, text) = read_text(shown, bytes)?;
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    let mut left = BTreeSet::new();
    for node in lock.nodes().filter(|node| !node.flags().link) {
        let Some(address) = node.resolved() else { continue };
        // A checksum behind it is not part of it.
        let address = address.split('#').next().unwrap_or_default().to_owned();
        let is_address = address.starts_with("https://") || address.starts_with("http://");
        match (node.name(), node.version()) {
            (Some(name), Some(version)) if is_address && is_from_registry(node) && is_of(&address, name) => {
                own.insert(address, format!("{base}{}", names::tarball_path(name, version)));
            }
            _ if address.contains(':') => drop(left.insert(address)),
            _ => {}
        }
    }
    let (text, changed) = addresses::exchange(text, &own);
    Ok(RewrittenLock { text, changed, left: left.into_iter().collect() })
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
                r#""https://host.example.test/files/archive.tgz""#,
                vec!["git+ssh://git@host.example.test/g.git", "https://host.example.test/files/archive.tgz"],
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
