//! Selectors of images: names as docker reads them, with `*` and `?` anywhere.
//!
//! `redis` is every tag of the repository, `redis:7` one tag, `redis:7*` some; `registry.example.org/team/*` is every
//! repository below, `*` everything. `team/app` without a registry is docker's own as well as what this site hosts in its
//! repository `team`, as clients would pull it here.

use bundle_format::{Artifact, Digest};

use super::reference::{self, DOCKER, OFFICIAL, is_host, read_digest};
use crate::ecosystem::pattern::{Choice, Pattern, matches};
use crate::problem::{Kind, Problem};

/// What stands for any text in a pattern.
const WILD: [char; 2] = ['*', '?'];

/// A pattern of images.
#[derive(Debug)]
pub(super) struct Images {
    /// Of the registry and path.
    name: String,
    /// Of a hosted repository and the path below it, where no registry is named.
    hosted: Option<String>,
    which: Which,
}

#[derive(Debug, PartialEq, Eq)]
enum Which {
    All,
    Tag(String),
    Digest(Digest),
}

impl Images {
    /// Reads a pattern; `//` before it, as other tools want it, is no part of it.
    ///
    /// # Errors
    /// Usage, if no image can have such a name.
    pub(super) fn read(text: &str) -> Result<Images, Problem> {
        let text = text.strip_prefix("//").unwrap_or(text);
        read(text).map_err(|why| {
            let message = format!("{text:?} selects no image");
            Problem::new(Kind::Usage, "oci.bad-selector", message).because(why).hint(
                "write it as docker names images, with * for any text: docker:redis:7, docker:registry.example.org/team/*",
            )
        })
    }
}

impl Pattern for Images {
    fn choose(&self, artifact: &Artifact) -> Choice<'_> {
        let name = format!("{}/{}", artifact.repository, artifact.name);
        if !matches(&self.name, &name) && !self.hosted.as_ref().is_some_and(|hosted| matches(hosted, &name)) {
            return Choice::No;
        }
        match &self.which {
            Which::All => Choice::Yes,
            Which::Tag(tag) => Choice::ByLabel(tag),
            Which::Digest(digest) if digest.to_string() == artifact.version => Choice::Yes,
            Which::Digest(_) => Choice::No,
        }
    }
}

fn read(text: &str) -> Result<Images, String> {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(read_digest(digest)?)),
        None => (text, None),
    };
    let (name, tag) = reference::split_tag(text);
    if let Some(tag) = tag {
        reference::check_tag(&tag.replace(WILD, "_"))?;
    }
    let which = match (digest, tag) {
        (Some(digest), _) => Which::Digest(digest),
        (None, Some(tag)) => Which::Tag(tag.to_owned()),
        (None, None) => Which::All,
    };
    // No registry has a name without a dot or a port, so this matches what is hosted alone.
    let hosted = name.split_once('/').filter(|(first, _)| !is_host(first)).map(|_| name.to_owned());
    let name = if name.starts_with('*') { name.to_owned() } else { complete(name)? };
    Ok(Images { name, hosted, which })
}

/// A pattern with the registry that it leaves out.
fn complete(name: &str) -> Result<String, String> {
    let (registry, path, is_named) = match name.split_once('/') {
        Some((first, path)) if is_host(first) => (first, path, true),
        _ => (DOCKER, name, false),
    };
    reference::check_registry(&registry.replace(WILD, "a"))?;
    reference::check_path(&path.replace(WILD, "a"))?;
    // Whoever names the registry and no path means all that it has.
    let is_official = registry == DOCKER && !path.contains('/') && !(is_named && path.contains(WILD));
    let official = if is_official { OFFICIAL } else { "" };
    Ok(format!("{registry}/{official}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, name, tag) in [
            ("redis", "docker.io/library/redis", None),
            ("redis:7", "docker.io/library/redis", Some("7")),
            ("//redis:7*", "docker.io/library/redis", Some("7*")),
            ("redis*", "docker.io/library/redis*", None),
            ("team/*", "docker.io/team/*", None),
            ("docker.io/*", "docker.io/*", None),
            ("docker.io/redis", "docker.io/library/redis", None),
            ("host:5000/*:1.?", "host:5000/*", Some("1.?")),
            ("registry.example.test/team/*", "registry.example.test/team/*", None),
            ("*", "*", None),
            ("*/app:1", "*/app", Some("1")),
        ] {
            let which = tag.map_or(Which::All, |tag| Which::Tag(tag.to_owned()));
            let read = Images::read(text).unwrap();
            assert_eq!((read.name.as_str(), read.which), (name, which), "{text}");
        }
        for bad in ["", "Redis", "a//b", "redis:", "redis:-", "redis@sha256:12", "ho st/app"] {
            assert!(Images::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_without_a_registry_is_a_hosted_one_too() {
        let chosen = |text: &str, repository: &str, name: &str| {
            let artifact = Artifact {
                ecosystem: "oci".into(),
                repository: repository.into(),
                name: name.into(),
                version: "sha256:1".into(),
                qualifier: String::new(),
                schema: "oci/1".into(),
                attributes: Default::default(),
                requires: Vec::new(),
                files: Vec::new(),
            };
            !matches!(Images::read(text).unwrap().choose(&artifact), Choice::No)
        };
        for (text, hosted, dockers) in [
            ("team/app", true, true),
            ("team/*", true, true),
            ("team/app:1", true, true),
            ("docker.io/team/app", false, true),
            ("app", false, false),
            ("team*", false, false),
            ("*", true, true),
        ] {
            assert_eq!(chosen(text, "team", "app"), hosted, "{text}");
            assert_eq!(chosen(text, "docker.io", "team/app"), dockers, "{text}");
        }
    }
}
