//! What stands to the right of a dependency's name: a range, a tag, an alias, or something that is no registry's.

use super::names;
use super::range::Range;
use super::version::{Version, is_space};

/// A dependency's right side, told apart as `npm-package-arg` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spec {
    /// Any version, prereleases too: `*` or nothing.
    Any,
    /// A range, or an exact version.
    Range(Range),
    /// A dist-tag.
    Tag(String),
    /// `npm:name@spec`: another package under this name.
    Alias(String, Box<Spec>),
    /// A git repository.
    Git,
    /// A tarball's address.
    Url,
    /// A directory or file of the project, a workspace, or anything else that no registry answers.
    Local,
}

impl Spec {
    /// Reads a right side. Nothing is invalid: what isn't understood is a tag that nobody has.
    pub(crate) fn read(text: &str) -> Spec {
        let text = text.trim_matches(is_space);
        if text.is_empty() || text == "*" {
            return Spec::Any;
        }
        let lower = text.get(..text.len().min(16)).unwrap_or_default().to_ascii_lowercase();
        if lower.starts_with("file:") || text.starts_with(['.', '/']) || text.starts_with("~/") {
            return Spec::Local;
        }
        if let Some(alias) = lower.starts_with("npm:").then(|| text.get(4..)).flatten() {
            let (name, spec) = split_range(alias);
            return match Spec::read(spec) {
                spec @ (Spec::Any | Spec::Range(_) | Spec::Tag(_)) if names::is_valid(name) => {
                    Spec::Alias(name.to_owned(), Box::new(spec))
                }
                _ => Spec::Local,
            };
        }
        if let Some((scheme, rest)) = text.split_once(':')
            && scheme.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'+')
        {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => {
                    let path = rest.split(['#', '?']).next().unwrap_or_default();
                    if path.ends_with(".git") { Spec::Git } else { Spec::Url }
                }
                "git" | "github" | "gitlab" | "bitbucket" | "gist" | "ssh" => Spec::Git,
                scheme if scheme.starts_with("git+") => Spec::Git,
                _ => Spec::Local,
            };
        }
        if text.contains('@') && text.contains(':') {
            return Spec::Git;
        }
        if let Some(range) = Range::parse(text) {
            return Spec::Range(range);
        }
        let path = text.split('#').next().unwrap_or_default();
        match path.matches('/').count() {
            1 if !path.ends_with(".tgz") => Spec::Git,
            0 if ![".tgz", ".tar.gz", ".tar"].iter().any(|end| path.ends_with(end)) => {
                Spec::Tag(text.to_owned())
            }
            _ => Spec::Local,
        }
    }

    /// The package that a dependency called `name` really asks for, and the range.
    pub(crate) fn target<'a>(&'a self, name: &'a str) -> (&'a str, &'a Spec) {
        match self {
            Spec::Alias(real, spec) => (real, spec),
            spec => (name, spec),
        }
    }

    /// Whether a registry answers it.
    pub(crate) fn is_registry(&self) -> bool {
        !matches!(self, Spec::Git | Spec::Url | Spec::Local)
    }

    /// Whether a version will do. A tag is taken to point at whatever is there, as npm takes it in a lockfile.
    pub(crate) fn admits(&self, version: &Version) -> bool {
        match self {
            Spec::Any | Spec::Tag(_) => true,
            Spec::Range(range) => range.contains(version),
            Spec::Alias(_, spec) => spec.admits(version),
            Spec::Git | Spec::Url | Spec::Local => false,
        }
    }
}

/// A right side without the name that an alias puts in front: `^1` for `npm:@s/p@^1`.
pub(crate) fn without_alias(text: &str) -> &str {
    match Spec::read(text) {
        Spec::Alias(..) => {
            text.trim_matches(is_space).get("npm:".len()..).map_or(text, |alias| split_range(alias).1)
        }
        _ => text,
    }
}

/// An address without what stands behind its `#`: a checksum, in lockfiles.
pub(crate) fn without_fragment(address: &str) -> &str {
    address.split('#').next().unwrap_or_default()
}

/// `@s/p@^1` as name and right side; the right side may be missing.
pub(crate) fn split_range(text: &str) -> (&str, &str) {
    let at = text.char_indices().skip(1).find(|(_, character)| *character == '@');
    match at.and_then(|(at, _)| text.split_at_checked(at)) {
        Some((name, spec)) => (name, spec.strip_prefix('@').unwrap_or(spec)),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_sides_are_told_apart_as_npm_does() {
        let kind = |text: &str| match Spec::read(text) {
            Spec::Any => "any",
            Spec::Range(_) => "range",
            Spec::Tag(_) => "tag",
            Spec::Alias(..) => "alias",
            Spec::Git => "git",
            Spec::Url => "url",
            Spec::Local => "local",
        };
        for (text, expected) in [
            ("", "any"),
            (" * ", "any"),
            ("^1.2.3", "range"),
            ("1.0.0 - 2.0.0", "range"),
            ("~1", "range"),
            ("x", "range"),
            ("latest", "tag"),
            ("next-11", "tag"),
            ("npm:string-width@^4.2.0", "alias"),
            ("npm:@s/p@latest", "alias"),
            ("npm:@s/p", "alias"),
            ("NPM:p", "alias"),
            ("npm:../p@1", "local"),
            ("npm:p@npm:q@1", "local"),
            ("git+ssh://git@git.example.test/a/b.git#v1", "git"),
            ("git://git.example.test/a", "git"),
            ("git@git.example.test:a/b.git", "git"),
            ("github:a/b", "git"),
            ("a/b", "git"),
            ("a/b#semver:^1", "git"),
            ("https://git.example.test/a/b.git#main", "git"),
            ("https://files.example.test/a.tgz", "url"),
            ("file:../a", "local"),
            ("./a", "local"),
            ("~/a", "local"),
            ("a.tgz", "local"),
            ("workspace:*", "local"),
            ("catalog:", "local"),
            ("c:\\a", "local"),
        ] {
            assert_eq!(kind(text), expected, "{text:?}");
        }
        assert_eq!(Spec::read("npm:@s/p@^1").target("a").0, "@s/p");
        for (text, bare) in [("npm:@s/p@^1", "^1"), ("npm:p", ""), ("^1", "^1"), ("a@b:c", "a@b:c")] {
            assert_eq!(without_alias(text), bare);
        }
        let prerelease = Version::parse("1.0.0-rc.1").unwrap();
        assert!(Spec::read("*").admits(&prerelease) && !Spec::read("x").admits(&prerelease));
    }
}
