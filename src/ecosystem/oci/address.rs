//! Which repository a client means. Clients of mirrors say it in three ways, and each leads to the same name:
//!
//! - containerd asks for the path that the repository has at its registry, and names the registry in `?ns=`;
//! - podman, skopeo and CRI-O are told to put the registry before the path: `/v2/registry.example.test/team/app/…`;
//! - docker asks a mirror only for what has no host in its name, without saying so: `/v2/library/redis/…`.
//!
//! No repository's name can have a colon in it, so a port is written after an underscore, which no host has.

use super::reference::{DOCKER, Name, is_host};

/// Reads the name of a repository from the path of a request and its `ns`, if there is one.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn read(path: &str, namespace: Option<&str>) -> Result<Name, String> {
    if let Some(registry) = namespace {
        return Name::at(registry, path);
    }
    match path.split_once('/').and_then(|(first, below)| Some((registry(first)?, below))) {
        Some((registry, below)) => Name::at(&registry, below),
        None => Name::at(DOCKER, path),
    }
}

/// How a registry is written as the first segment of a path.
pub(crate) fn segment(registry: &str) -> String {
    registry.replace(':', "_")
}

/// The registry that a path's first segment stands for, if it is one at all.
fn registry(segment: &str) -> Option<String> {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match segment.rsplit_once('_') {
        Some((host, port)) if is_port(port) => Some(format!("{host}:{port}")),
        _ => is_host(segment).then(|| segment.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_means_the_same_name() {
        for (path, namespace, meant) in [
            ("redis", None, "docker.io/library/redis"),
            ("library/redis", None, "docker.io/library/redis"),
            ("docker.io/redis", None, "docker.io/library/redis"),
            ("docker.io/library/redis", None, "docker.io/library/redis"),
            ("library/redis", Some("docker.io"), "docker.io/library/redis"),
            ("redis", Some("docker.io"), "docker.io/library/redis"),
            ("team/app", None, "docker.io/team/app"),
            ("registry.example.test/app", None, "registry.example.test/app"),
            ("app", Some("registry.example.test"), "registry.example.test/app"),
            ("host_5000/a/b", None, "host:5000/a/b"),
            ("host:5000/a/b", None, "host:5000/a/b"),
            ("a/b", Some("host:5000"), "host:5000/a/b"),
            ("localhost/app", None, "localhost/app"),
            ("localhost_5000/app", None, "localhost:5000/app"),
            ("registry.example.test_443/app", None, "registry.example.test:443/app"),
            ("a_b/app", None, "docker.io/a_b/app"),
            // What a registry calls its own repositories is no address.
            (
                "docker.io/library/redis",
                Some("harbor.example.test"),
                "harbor.example.test/docker.io/library/redis",
            ),
            ("app", Some("plain"), "plain/app"),
        ] {
            assert_eq!(read(path, namespace).unwrap().to_string(), meant, "{path} {namespace:?}");
        }
        assert_eq!(segment("host:5000"), "host_5000");
        assert_eq!(segment("docker.io"), "docker.io");
    }

    #[test]
    fn what_names_no_repository_is_refused() {
        for (path, namespace) in [
            ("", None),
            ("Redis", None),
            ("a/../b", None),
            ("registry.example.test/App", None),
            ("host_99999/app", None),
            ("_5000/app", None),
            ("app", Some("")),
            ("app", Some("a/b")),
            ("app", Some("a b")),
            ("app", Some("host:port")),
            ("app", Some("http://host")),
        ] {
            assert!(read(path, namespace).is_err(), "{path} {namespace:?}");
        }
    }
}
