//! A source of packages: one suite of one archive, as apt's configuration or a project names it.

use std::path::PathBuf;

use url::Url;
use zeroize::Zeroizing;

use crate::problem::{Kind, Problem};

/// One suite of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The name of its repository.
    pub(super) repository: String,
    /// The archive's address without credentials, with a `/` at its end.
    pub(super) base: Url,
    /// Who lets one in there, if the address itself says it.
    pub(super) account: Option<Account>,
    /// The suite as it is written; one that ends in `/` is a flat repository, and has no components.
    pub(super) suite: String,
    pub(super) components: Vec<String>,
    pub(super) kind: SourceKind,
    /// For which architectures; none, if that is not said.
    pub(super) architectures: Vec<String>,
    pub(super) trust: Trust,
    pub(super) by_hash: bool,
    pub(super) check_valid_until: bool,
    pub(super) reach: Reach,
    /// Where it is written, for people.
    pub(super) place: String,
}

/// How a project says that an archive is reached, before what this machine's apt says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The environment variable that has a bearer token.
    pub(super) token: Option<String>,
    /// The files of the client's own certificate and its key, which may be the same, in PEM.
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// The file of the only authorities that the server's certificate may be of, in PEM.
    pub(super) authority: Option<PathBuf>,
}

/// A user and a password. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) login: Zeroizing<String>,
    pub(super) password: Zeroizing<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account(hidden)")
    }
}

/// An address without the account that may stand in it, and that account.
pub(super) fn without_account(address: &str) -> (String, Option<Account>) {
    let Some(mut url) = Url::parse(address).ok().filter(|url| !url.username().is_empty()) else {
        return (address.to_owned(), None);
    };
    let plain =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned().into();
    let account =
        Account { login: plain(url.username()), password: plain(url.password().unwrap_or_default()) };
    // Fails only for addresses that cannot have any.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (url.to_string(), Some(account))
}

/// What of a suite is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SourceKind {
    /// Binary packages: `deb`.
    Binary,
    /// Source packages: `deb-src`.
    Source,
}

/// Who has to have signed a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any key that this machine's apt trusts.
    Machine,
    /// One of these.
    Keys(Vec<Key>),
    /// Nobody: somebody wrote that it is trusted without.
    Anybody,
}

/// Which keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Those in a file.
    File(PathBuf),
    /// Those in this text, armored.
    Embedded(String),
    /// That of this fingerprint, among those that the machine's apt trusts or the files have.
    Fingerprint(String),
}

impl Source {
    /// Where its Release files and indices are, below the archive's address and with a `/` at its end: `dists/stable/`.
    pub(super) fn directory(&self) -> String {
        directory_of(&self.suite)
    }
}

/// Where a suite's Release files and indices are, as [`Source::directory`].
pub(super) fn directory_of(suite: &str) -> String {
    if suite.ends_with('/') {
        return suite.trim_start_matches("./").trim_start_matches('/').to_owned();
    }
    format!("dists/{suite}/")
}

/// The name of what proves a suite: `dists/bookworm`, or the folder of a flat repository.
pub(super) fn evidence_name_of(suite: &str) -> String {
    match directory_of(suite).trim_end_matches('/') {
        "" => ".".to_owned(),
        name => name.to_owned(),
    }
}

/// The repository's name for an archive: its path's segments, or its host where it has no path.
pub(super) fn repository_name(base: &Url) -> String {
    let segments = base.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty());
    let joined = segments.collect::<Vec<_>>().join("-");
    let name = if joined.is_empty() { base.host_str().unwrap_or_default() } else { &joined };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if allowed(c) { c.to_ascii_lowercase() } else { '-' }).collect();
    name.trim_start_matches(['.', '-', '_']).to_owned()
}

/// Reads the address of an archive: http or https, without user or password.
pub(super) fn base_of(text: &str, place: &str) -> Result<Url, Problem> {
    let wrong = |why: &str| {
        Problem::new(Kind::Usage, "apt.source", format!("the address of an archive {why}")).at(place)
    };
    let mut url = Url::parse(text).map_err(|error| wrong("cannot be read").caused_by(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(&format!("begins with {}:, which cannot be collected from", url.scheme()))
            .hint("name the archive's http or https address in aftk.toml: [[apt]] uri = \"…\""));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user in it").hint("write the account into apt's auth.conf instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Whether a suite, component or architecture is one that an address can be made of.
pub(super) fn is_path(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '~' | '/' | ':');
    let segments = text.trim_start_matches("./").trim_end_matches('/');
    text == "./"
        || text == "/"
        || (!segments.is_empty()
            && text.chars().all(allowed)
            && segments.split('/').all(|segment| !matches!(segment, "" | "." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_by_their_path_or_host() {
        for (address, name) in [
            ("http://mirror.example.test/debian", "debian"),
            ("http://mirror.example.test/linux/Ubuntu/", "linux-ubuntu"),
            ("https://apt.example.test/", "apt.example.test"),
            ("https://apt.example.test/%20a+b/_c", "-20a-b-_c"),
        ] {
            let name = name.trim_start_matches('-');
            assert_eq!(repository_name(&base_of(address, "here").unwrap()), name, "{address}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_collected_from_are_refused() {
        for wrong in [
            "cdrom:[Debian]/",
            "file:/srv/debian",
            "http://a:b@x.example.test/",
            "http://x.example.test/?a",
            "x",
        ] {
            let problem = base_of(wrong, "sources.list:1").unwrap_err();
            assert_eq!(problem.place.as_deref(), Some("sources.list:1"), "{wrong}");
            assert!(!problem.to_string().contains("a:b"));
        }
    }

    #[test]
    fn suites_stay_below_their_archive() {
        for good in ["bookworm", "bookworm/updates", "./", "/", "stable-x/", "./amd64/", "a+b~c"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/../b", "a//b", "a b", "a?b", "a%2e", ".", "./../"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
