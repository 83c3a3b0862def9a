//! Packages that stand at an address of their own, in no registry: which address that is, and what it is called here.
//!
//! A repository of git is one of them where npm knows its host and the commit is pinned: npm asks the host for the archive of the
//! commit then. Of any other it clones, and nothing inside answers git.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::origin::host_name;
use super::spec::{Spec, without_fragment};

/// Where a mirror has what stands at addresses: the address without its scheme follows.
pub(crate) const PLACE: &str = "-/remote/";
/// What the repositories of addresses end with, which no host's name does.
const MARK: &str = "_remote";
/// The longest address.
const LONGEST: usize = 2048;
/// What cannot stand in a path as it is. A percent sign is one that the address itself has.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?');

/// An address that a tarball can be had from: http or https, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads an address; `None` if it is of another kind, or has a password in it.
    pub(crate) fn read(text: &str) -> Option<Address> {
        let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        url.set_fragment(None);
        let is_bare = url.username().is_empty() && url.password().is_none();
        (is_bare && url.as_str().len() <= LONGEST && url.host().is_some()).then_some(Address(url))
    }

    /// The address of that name.
    pub(crate) fn named(name: &str) -> Option<Address> {
        Address::read(&format!("https://{name}")).filter(|address| address.name() == name)
    }

    /// What it is called: all of it but the scheme, as a mirror answers for both.
    pub(crate) fn name(&self) -> String {
        let rest = self.0.as_str().split_once("://").map_or("", |(_, rest)| rest);
        rest.to_owned()
    }

    /// The address itself.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The host, without its port.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The repository of what stands at this host.
    pub(crate) fn repository(&self) -> String {
        format!("{}{MARK}", host_name(&self.0))
    }

    /// The address of the host itself.
    pub(crate) fn root(&self) -> Url {
        let mut root = self.0.clone();
        root.set_path("/");
        root.set_query(None);
        root
    }

    /// Where a mirror has it whose packages stand below `base`, which ends in a slash.
    pub(crate) fn below(&self, base: &str) -> String {
        format!("{base}{PLACE}{}", utf8_percent_encode(&self.name(), ENCODED))
    }

    /// Whether it is the archive of a commit, made by the host of a repository.
    pub(crate) fn is_archive(&self) -> bool {
        let name = self.name();
        HOSTS.iter().any(|GitHost { archives: (before, within), .. }| {
            name.strip_prefix(before).is_some_and(|rest| rest.contains(within))
        })
    }
}

/// Whether a repository has what stands at addresses.
pub(crate) fn is_repository(name: &str) -> bool {
    name.ends_with(MARK)
}

/// A host of repositories that npm knows.
struct GitHost {
    shortcut: &'static str,
    domain: &'static str,
    /// What the names of its archives begin with, and have further on.
    archives: (&'static str, &'static str),
    /// The name of the archive of a repository's commit.
    archive: fn(&str, &str) -> String,
}

/// As npm's `hosted-git-info` has them.
const HOSTS: [GitHost; 3] = [
    GitHost {
        shortcut: "github",
        domain: "github.com",
        archives: ("codeload.github.com/", "/tar.gz/"),
        archive: |repository, commit| format!("codeload.github.com/{repository}/tar.gz/{commit}"),
    },
    GitHost {
        shortcut: "gitlab",
        domain: "gitlab.com",
        archives: ("gitlab.com/api/v4/projects/", "/repository/archive"),
        archive: |repository, commit| {
            let project = repository.replace('/', "%2F");
            format!("gitlab.com/api/v4/projects/{project}/repository/archive.tar.gz?sha={commit}")
        },
    },
    GitHost {
        shortcut: "bitbucket",
        domain: "bitbucket.org",
        archives: ("bitbucket.org/", "/get/"),
        archive: |repository, commit| format!("bitbucket.org/{repository}/get/{commit}.tar.gz"),
    },
];

/// The archive that npm asks for in place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The host of the repository.
    pub(crate) host: &'static str,
    /// Where the archive is.
    pub(crate) address: Address,
}

impl Archive {
    /// Reads what a dependency or a lockfile of npm says of a repository: `github:a/b#COMMIT`, `git+ssh://…#COMMIT`. `None`, unless
    /// npm would ask for an archive: it knows the host, all of the commit is said, and all of the repository is the package.
    pub(crate) fn of(text: &str) -> Option<Archive> {
        let (place, commit) = text.trim().split_once('#')?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if !matches!(commit.len(), 40..=64) || !commit.bytes().all(is_hex) {
            return None;
        }
        let (host, repository) = repository(place)?;
        let repository = repository.trim_matches('/');
        let repository = repository.strip_suffix(".git").unwrap_or(repository);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let parts: Vec<&str> = repository.split('/').collect();
        let is_path =
            parts.iter().all(|part| !matches!(*part, "" | "." | "..") && part.bytes().all(is_plain));
        // One of the hosts has folders of repositories.
        let depth_fits = parts.len() == 2 || parts.len() > 2 && host.shortcut == "gitlab";
        if !is_path || !depth_fits {
            return None;
        }
        let address = Address::named(&(host.archive)(repository, commit))?;
        Some(Archive { host: host.domain, address })
    }
}

/// The host and the path of a repository.
fn repository(place: &str) -> Option<(&'static GitHost, &str)> {
    let of_domain = |domain: &str| HOSTS.iter().find(|host| host.domain == domain);
    if let Some((scheme, rest)) = place.split_once("://") {
        let is_git = matches!(scheme, "git" | "ssh" | "https" | "git+ssh" | "git+https");
        let rest = rest.strip_prefix("git@").unwrap_or(rest);
        let (domain, path) = rest.split_once(['/', ':']).filter(|_| is_git)?;
        return of_domain(domain).map(|host| (host, path));
    }
    if let Some((domain, path)) = place.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
        return of_domain(domain).map(|host| (host, path));
    }
    match place.split_once(':') {
        Some((shortcut, path)) => Some((HOSTS.iter().find(|host| host.shortcut == shortcut)?, path)),
        None => Some((HOSTS.first()?, place)),
    }
}

/// Which hosts a project lets packages come from that are in no registry.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The hosts of tarballs.
    pub(crate) remote: Hosts,
    /// The hosts of repositories.
    pub(crate) git: Hosts,
}

/// Hosts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Whether any will do.
    pub(crate) any: bool,
    /// Those that are named.
    pub(crate) named: Vec<String>,
}

impl Hosts {
    fn has(&self, host: &str) -> bool {
        self.any || self.named.iter().any(|named| named.eq_ignore_ascii_case(host))
    }
}

/// Where what no registry has is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The address.
    pub(crate) address: Address,
    /// Whether npm has it from a repository: it prepares such a package before it installs it.
    pub(crate) is_of_git: bool,
}

impl Allowed {
    /// Finds out where something is to be had that a dependency or a lockfile says; `is_of_npm`, if that is a lockfile of npm.
    ///
    /// # Errors
    /// The reason of a gap, and why it cannot be carried.
    pub(crate) fn locate(&self, text: &str, is_of_npm: bool) -> Result<Located, (&'static str, String)> {
        let hint = |setting: &str, host: &str| {
            format!("in aftk.toml, `{setting} = [\"{host}\"]` under [[npm]] takes it along")
        };
        if Spec::read(text) == Spec::Git {
            let Some(Archive { host, address }) = Archive::of(text).filter(|_| is_of_npm) else {
                let why = match (is_of_npm, Archive::of(text)) {
                    (false, Some(_)) => "this client packs it anew, with what it is developed with",
                    _ => "clients run git for it, which nothing inside answers",
                };
                let why =
                    format!("comes from git, and {why}; publish it inside, or depend on a tarball's address");
                return Err(("git-dependency", why));
            };
            if !self.git.has(host) {
                return Err(("git-dependency", format!("comes from git; {}", hint("allow-git", host))));
            }
            return Ok(Located { address, is_of_git: true });
        }
        let Some(address) = Address::read(without_fragment(text)) else {
            let why = "comes from an address that cannot be asked for without a password, or is too long";
            return Err(("url-dependency", why.to_owned()));
        };
        if !self.remote.has(address.host()) {
            let hint = hint("allow-remote", address.host());
            return Err(("url-dependency", format!("comes from an address that is no registry's; {hint}")));
        }
        Ok(Located { address, is_of_git: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn an_address_has_one_name() {
        for (text, name) in [
            ("https://files.example.test/x/a.tgz", "files.example.test/x/a.tgz"),
            ("http://Files.example.test:80/x/../a.tgz#frag", "files.example.test/a.tgz"),
            ("https://files.example.test:8443/a%2Fb?c=d%20e", "files.example.test:8443/a%2Fb?c=d%20e"),
        ] {
            let address = Address::read(text).unwrap();
            assert_eq!(address.name(), name);
            assert_eq!(Address::named(name).unwrap().name(), name);
        }
        for text in [
            "ftp://h/a",
            "https://u:p@h/a",
            "https://u@h/a",
            "a.tgz",
            &format!("https://h/{}", "a".repeat(2048)),
        ] {
            assert_eq!(Address::read(text), None, "{text}");
        }
        for name in ["h", "h/a b", "h/../a", "u@h/a", "h/a#b", "H/a"] {
            assert_eq!(Address::named(name), None, "{name}");
        }
        let address = Address::read("https://h:8443/a%2Fb?c").unwrap();
        assert_eq!(address.below("http://m/npm/all/"), "http://m/npm/all/-/remote/h:8443/a%252Fb%3Fc");
        assert_eq!(
            (address.repository(), address.root().as_str()),
            ("h_8443_remote".to_owned(), "https://h:8443/")
        );
    }

    #[test]
    fn of_a_pinned_commit_npm_asks_for_the_archive() {
        let github = format!("codeload.github.com/a/b/tar.gz/{COMMIT}");
        for place in [
            "github:a/b",
            "a/b",
            "git+ssh://git@github.com/a/b.git",
            "git+https://github.com/a/b.git",
            "git://github.com/a/b",
            "https://github.com/a/b.git",
            "git@github.com:a/b.git",
        ] {
            let archive = Archive::of(&format!("{place}#{COMMIT}")).unwrap();
            assert_eq!((archive.host, archive.address.name()), ("github.com", github.clone()), "{place}");
            assert!(archive.address.is_archive());
        }
        for (place, name) in [
            (
                "gitlab:a/b/c",
                format!("gitlab.com/api/v4/projects/a%2Fb%2Fc/repository/archive.tar.gz?sha={COMMIT}"),
            ),
            ("git+ssh://git@bitbucket.org/a/b.git", format!("bitbucket.org/a/b/get/{COMMIT}.tar.gz")),
        ] {
            assert_eq!(Archive::of(&format!("{place}#{COMMIT}")).unwrap().address.name(), name);
        }
        for text in [
            "github:a/b".to_owned(),
            "github:a/b#main".to_owned(),
            format!("github:a/b#{}", &COMMIT[1..]),
            format!("github:a/b#{COMMIT}::path:c"),
            format!("github:a/b/c#{COMMIT}"),
            format!("github:../b#{COMMIT}"),
            format!("github:a/b?c#{COMMIT}"),
            format!("git+ssh://git@git.example.test/a/b.git#{COMMIT}"),
            format!("https://user:word@github.com/a/b.git#{COMMIT}"),
            format!("gist:a#{COMMIT}"),
        ] {
            assert_eq!(Archive::of(&text), None, "{text}");
        }
    }

    #[test]
    fn only_hosts_that_are_named_are_asked() {
        let git = format!("git+ssh://git@github.com/a/b.git#{COMMIT}");
        let (tarball, other) =
            ("https://files.example.test/a.tgz", "git+ssh://git@git.example.test/a.git#abc");
        let nobody = Allowed::default();
        for (text, reason, setting) in [
            (git.as_str(), "git-dependency", "`allow-git = [\"github.com\"]`"),
            (tarball, "url-dependency", "`allow-remote = [\"files.example.test\"]`"),
            (other, "git-dependency", "run git"),
        ] {
            let (found, why) = nobody.locate(text, true).unwrap_err();
            assert!(found == reason && why.contains(setting), "{found} {why}");
        }
        let hosts = |name: &str| Hosts { any: false, named: vec![name.to_owned()] };
        let allowed = Allowed { remote: hosts("FILES.example.test"), git: hosts("github.com") };
        assert!(allowed.locate(&git, true).unwrap().is_of_git);
        assert!(!allowed.locate(&format!("{tarball}#x"), false).unwrap().is_of_git);
        assert!(allowed.locate("https://other.example.test/a.tgz", true).is_err());
        // Others than npm have another way to a repository.
        assert!(allowed.locate(&git, false).unwrap_err().1.contains("packs it anew"));
        let any = Allowed { remote: Hosts { any: true, ..Hosts::default() }, ..Allowed::default() };
        assert!(any.locate("https://other.example.test/a.tgz", true).is_ok());
        assert!(
            any.locate("https://u:p@other.example.test/a.tgz", true).is_err()
                && any.locate(&git, true).is_err()
        );
    }
}
