//! Names of images as docker reads them: `redis`, `localhost/app`, `host:5000/team/app:1.2@sha256:…`.
//!
//! The grammar is that of the OCI distribution specification ("Pulling manifests") and of docker's reference package,
//! which alone says what a name without a host means.

use std::fmt;

use bundle_format::{Algorithm, Digest};

/// What docker calls the registry of names without a host. It is a name, not an address: how to reach it is for the
/// installed client to say.
pub(crate) const DOCKER: &str = "docker.io";
/// Where docker's registry keeps images whose names have one part only.
pub(crate) const OFFICIAL: &str = "library/";
/// The tag of a name without one.
const LATEST: &str = "latest";
/// The longest path of a repository, in bytes.
const LONGEST_PATH: usize = 255;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 128;

/// A repository at a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// The registry: host and port, or [`DOCKER`].
    pub(crate) registry: String,
    /// The repository's path there.
    pub(crate) path: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// What is asked for of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// What a tag points at.
    Tag(String),
    /// One manifest. A tag beside it says nothing: docker passes over it as well.
    Digest(Digest),
    /// What the tags that match a pattern point at, the newest so many of them if that is said.
    Pattern(String, Option<usize>),
}

/// An image as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// The repository.
    pub(crate) name: Name,
    /// What of it.
    pub(crate) which: Which,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Tag(tag) => write!(f, "{}:{tag}", self.name),
            Which::Digest(digest) => write!(f, "{}@{digest}", self.name),
            Which::Pattern(pattern, None) => write!(f, "{}:{pattern}", self.name),
            Which::Pattern(pattern, Some(newest)) => write!(f, "{}:{pattern}#newest={newest}", self.name),
        }
    }
}

impl Reference {
    /// Reads a name as docker does, with patterns where the tag stands: `app:1.*`, `app:1.*#newest=3`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) fn read(text: &str) -> Result<Reference, String> {
        let (text, newest) = match text.split_once("#newest=") {
            Some((text, count)) => match count.parse() {
                Ok(count) if count > 0 => (text, Some(count)),
                _ => return Err(format!("{count:?} is no number of tags")),
            },
            None => (text, None),
        };
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(read_digest(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(text);
        let name = Name::read(name)?;
        let which = match (digest, tag) {
            (Some(_), _) if newest.is_some() => return Err("a digest is one image".to_owned()),
            (Some(digest), tag) => {
                tag.map_or(Ok(()), check_tag)?;
                Which::Digest(digest)
            }
            (None, Some(tag)) if tag.contains(['*', '?']) => {
                check_tag(&tag.replace(['*', '?'], "_"))?;
                Which::Pattern(tag.to_owned(), newest)
            }
            (None, _) if newest.is_some() => {
                return Err(
                    "only of a pattern the newest tags can be had, such as app:1.*#newest=3".to_owned()
                );
            }
            (None, Some(tag)) => {
                check_tag(tag)?;
                Which::Tag(tag.to_owned())
            }
            (None, None) => Which::Tag(LATEST.to_owned()),
        };
        Ok(Reference { name, which })
    }
}

impl Name {
    /// Reads a name without tag or digest as docker does.
    pub(crate) fn read(text: &str) -> Result<Name, String> {
        if text.is_empty() {
            return Err("no image is named".to_owned());
        }
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("this is the id of a local image; name the image as its registry knows it".to_owned());
        }
        let (registry, path) = match text.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path),
            _ => (DOCKER, text),
        };
        Name::at(registry, path)
    }

    /// The repository of this path in one that this site hosts, whose name is no registry's.
    pub(crate) fn hosted(name: &str, path: &str) -> Result<Name, String> {
        if path.is_empty() {
            return Err(format!("images are below {name:?}, as {name}/NAME"));
        }
        check_path(path)?;
        Ok(Name { registry: name.to_owned(), path: path.to_owned() })
    }

    /// The repository of this path at a registry. docker's own keeps what has one part only under `library/`.
    pub(crate) fn at(registry: &str, path: &str) -> Result<Name, String> {
        let path = match path.contains('/') {
            false if registry == DOCKER => format!("{OFFICIAL}{path}"),
            _ => path.to_owned(),
        };
        check_registry(registry)?;
        check_path(&path)?;
        Ok(Name { registry: registry.to_owned(), path })
    }
}

/// A name and its tag: a colon after the last slash is before a tag, one before it is before a port.
pub(crate) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let after_slash = text.rfind('/').map_or(0, |slash| slash + 1);
    match text.get(after_slash..).and_then(|last| last.split_once(':')) {
        Some((last, tag)) => (text.get(..after_slash + last.len()).unwrap_or_default(), Some(tag)),
        None => (text, None),
    }
}

/// Whether the first part of a name is a host: docker asks for a dot, a port, `localhost`, or a capital.
pub(crate) fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether this is the name of a registry: a host, perhaps with a port.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_registry(registry: &str) -> Result<(), String> {
    let wrong = || Err(format!("{registry:?} is not the name of a registry"));
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return wrong();
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return if address.parse::<std::net::Ipv6Addr>().is_ok() { Ok(()) } else { wrong() };
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.len() <= 253 && host.split('.').all(is_label) { Ok(()) } else { wrong() }
}

/// Whether this is the path of a repository: lower-case parts, each of letters and digits with `.`, `_`, `__` or
/// dashes between them.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    let is_alphanumeric = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().is_some_and(is_alphanumeric) && bytes.last().is_some_and(is_alphanumeric);
        ends && part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
    };
    if path.len() <= LONGEST_PATH && path.split('/').all(is_part) {
        return Ok(());
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("{path:?} is not the name of a repository: it must be lower-case"));
    }
    Err(format!("{path:?} is not the name of a repository"))
}

/// Whether this is a tag.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_tag(tag: &str) -> Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    let starts = bytes.next().is_some_and(is_word);
    if starts && tag.len() <= LONGEST_TAG && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-')) {
        return Ok(());
    }
    Err(format!("{tag:?} is not a tag"))
}

/// Reads the digest of a manifest or blob: those algorithms that registries have to know.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_digest(text: &str) -> Result<Digest, String> {
    let digest: Digest = text.parse().map_err(|error: bundle_format::DigestError| error.to_string())?;
    match digest.algorithm() {
        Algorithm::Sha256 | Algorithm::Sha512 => Ok(digest),
        other => Err(format!("{} is no algorithm for the digests of images", other.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Reference::read(text).unwrap().to_string()
    }

    #[test]
    fn names_mean_what_docker_says() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, meant) in [
            ("redis", "docker.io/library/redis:latest"),
            ("postgres:16", "docker.io/library/postgres:16"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/redis:7", "docker.io/library/redis:7"),
            ("localhost/app", "localhost/app:latest"),
            ("host:5000/app", "host:5000/app:latest"),
            ("host:5000/app:1", "host:5000/app:1"),
            ("registry.example.test/a/b__c/d-e.f:1.2-rc_3", "registry.example.test/a/b__c/d-e.f:1.2-rc_3"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("Host/app", "Host/app:latest"),
            ("redis:1.*", "docker.io/library/redis:1.*"),
            ("redis:*#newest=3", "docker.io/library/redis:*#newest=3"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
        assert_eq!(read(&format!("redis@{digest}")), format!("docker.io/library/redis@{digest}"));
        assert_eq!(read(&format!("redis:7@{digest}")), format!("docker.io/library/redis@{digest}"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let id = "a".repeat(64);
        let long = format!("a/{}", "b".repeat(254));
        for bad in [
            "",
            ":7",
            "redis:",
            "Redis",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a/_b",
            "redis:-x",
            "redis:a b",
            "host:port/app",
            "host:99999/app",
            "host:+5/app",
            "ho_st.x/app",
            "redis@sha256:abc",
            "redis@md5:00",
            "redis#newest=3",
            "redis:*#newest=0",
            "redis:1.*#newest=x",
            "a/../b",
            "a/%2e",
            "ä/b",
            "[::1/app",
            "[::x]:5/app",
            id.as_str(),
            long.as_str(),
        ] {
            assert!(Reference::read(bad).is_err(), "{bad}");
        }
        assert!(Reference::read(&format!("a:{}", "t".repeat(128))).is_ok());
        assert!(Reference::read(&format!("a:{}", "t".repeat(129))).is_err());
    }
}
