//! Mirrors, other locations and blocked registries, as podman, buildah, skopeo and CRI-O have them:
//! containers-registries.conf(5), version 2. Its aliases and search lists are not ours: names mean what docker says.
//!
//! One main file counts: the one that `CONTAINERS_REGISTRIES_CONF` names, else the user's own, else the system's. The
//! files of the directories `registries.conf.d` beside it come after it, by their names: the system's (unless the user has
//! a main file of their own) and then the user's. What a later file says of a prefix replaces what an earlier one said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::credentials::LARGEST;
use super::reference::{Name, check_path, check_registry};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// Where the system's files are.
const SYSTEM: &str = "/etc/containers";

/// What is configured, by prefix.
#[derive(Debug, Default)]
pub(super) struct RegistriesConf {
    registries: BTreeMap<String, Registry>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
    #[serde(default)]
    mirror_by_digest_only: bool,
    /// The file that says so, for messages.
    #[serde(skip)]
    said_in: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    pull_from_mirror: PullFrom,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFrom {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

/// Where a repository is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// First here, in this order.
    pub(super) mirrors: Vec<Name>,
    /// Then here: its own registry, or what stands in for it.
    pub(super) own: Name,
}

impl RegistriesConf {
    /// Reads the files that podman would read.
    ///
    /// # Errors
    /// If one cannot be read, is larger than 1 MiB, or is not of their form.
    pub(super) async fn load(context: &dyn CollectContext) -> Result<RegistriesConf, Problem> {
        let mut found = RegistriesConf::default();
        for path in files(context).await? {
            let Some(bytes) = context.read(&path, LARGEST).await? else { continue };
            let damaged = |why: String| {
                let message = "the registries that podman is configured with cannot be read";
                Problem::new(Kind::Usage, "oci.bad-registries-conf", message)
                    .at(path.display())
                    .because(why.trim_end().to_owned())
            };
            let text = std::str::from_utf8(&bytes).map_err(|error| damaged(error.to_string()))?;
            let file: File = toml::from_str(text).map_err(|error| damaged(error.to_string()))?;
            for mut registry in file.registry {
                registry.said_in = path.clone();
                if registry.prefix.is_empty() {
                    registry.prefix = registry.location.clone();
                }
                if registry.prefix.is_empty() {
                    return Err(damaged("a registry has neither prefix nor location".to_owned()));
                }
                found.registries.insert(registry.prefix.clone(), registry);
            }
        }
        Ok(found)
    }

    /// Where a repository is looked for, by a tag or `by_digest`.
    ///
    /// # Errors
    /// Refused (6) if it is blocked; usage, if a location makes no name.
    pub(super) fn places(&self, name: &Name, by_digest: bool) -> Result<Places, Problem> {
        let whole = name.to_string();
        let matching = self.registries.values().filter_map(|one| Some((one, one.rest(&whole)?)));
        // Of two prefixes the longer one says more of the repository.
        let Some((registry, rest)) = matching.max_by_key(|(one, _)| one.prefix.len()) else {
            return Ok(Places { mirrors: Vec::new(), own: name.clone() });
        };
        if registry.blocked {
            let message =
                format!("{whole} is not to be pulled on this machine: {} is blocked", registry.prefix);
            return Err(Problem::new(Kind::Refused, "oci.blocked", message)
                .at(registry.said_in.display())
                .hint("podman, buildah and skopeo refuse it by the same line"));
        }
        let wanted = |mirror: &&Mirror| match mirror.pull_from_mirror {
            PullFrom::All => by_digest || !registry.mirror_by_digest_only,
            PullFrom::DigestOnly => by_digest,
            PullFrom::TagOnly => !by_digest,
        };
        let at = |location: &str| registry.at(location, rest, name);
        let mirrors = registry.mirror.iter().filter(wanted).map(|mirror| at(&mirror.location));
        Ok(Places { mirrors: mirrors.collect::<Result<_, _>>()?, own: at(&registry.location)? })
    }
}

impl Registry {
    /// What follows the prefix in a name, if the prefix is of it: `host`, `host/path`, or `*.host` for those below it.
    fn rest<'n>(&self, whole: &'n str) -> Option<&'n str> {
        let rest = match self.prefix.strip_prefix('*') {
            Some(domain) => {
                let end = whole.find('/').unwrap_or(whole.len());
                let (host, rest) = whole.split_at(end);
                host.strip_suffix(domain)
                    .filter(|below| !below.is_empty() && domain.starts_with('.'))
                    .map(|_| rest)
            }
            None => whole.strip_prefix(self.prefix.as_str()),
        };
        rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The repository that a location makes of one with this prefix; its own, if the location is not said.
    fn at(&self, location: &str, rest: &str, name: &Name) -> Result<Name, Problem> {
        if location.is_empty() {
            return Ok(name.clone());
        }
        let whole = format!("{}{rest}", location.trim_end_matches('/'));
        let bad = |why: String| {
            let message = format!("the location {location} of {} leads to no repository", self.prefix);
            Problem::new(Kind::Usage, "oci.bad-registries-conf", message)
                .at(self.said_in.display())
                .because(why)
        };
        let (registry, path) = whole.split_once('/').ok_or_else(|| bad("it has no path".to_owned()))?;
        check_registry(registry).and_then(|()| check_path(path)).map_err(bad)?;
        Ok(Name { registry: registry.to_owned(), path: path.to_owned() })
    }
}

/// The files that count, in order.
async fn files(context: &dyn CollectContext) -> Result<Vec<PathBuf>, Problem> {
    let system = Path::new(SYSTEM);
    let user = context.home_directory().map(|home| home.join(".config/containers"));
    let own = user.as_ref().map(|user| user.join("registries.conf"));
    let mut directories: Vec<&Path> = vec![system];
    directories.extend(user.as_deref());
    let mut files = Vec::new();
    if let Some(named) = context.environment("CONTAINERS_REGISTRIES_CONF") {
        files.push(PathBuf::from(named));
    } else if let Some(own) = own
        && context.read(&own, LARGEST).await?.is_some()
    {
        files.push(own);
        directories.retain(|directory| *directory != system);
    } else {
        files.push(system.join("registries.conf"));
    }
    for directory in directories {
        let mut found = context.list(&directory.join("registries.conf.d")).await?;
        found.retain(|path| path.extension().is_some_and(|end| end == "conf"));
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> RegistriesConf {
        let file: File = toml::from_str(text).unwrap();
        let registries = file.registry.into_iter().map(|one| {
            let prefix = if one.prefix.is_empty() { one.location.clone() } else { one.prefix.clone() };
            (prefix.clone(), Registry { prefix, ..one })
        });
        RegistriesConf { registries: registries.collect() }
    }

    fn places(conf: &RegistriesConf, name: &str, by_digest: bool) -> Vec<String> {
        let Places { mirrors, own } = conf.places(&Name::read(name).unwrap(), by_digest).unwrap();
        mirrors.iter().chain([&own]).map(ToString::to_string).collect()
    }

    const CONF: &str = r#"
        unqualified-search-registries = ["search.example.test"]
        [[registry]]
        location = "registry.example.test"
        [[registry.mirror]]
        location = "mirror.example.test:5000/proxy"
        [[registry.mirror]]
        location = "other.example.test"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "registry.example.test/team"
        location = "moved.example.test/new/team"
        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "mirror.example.test:5000/hub"
        [[registry]]
        prefix = "*.wild.example.test"
        [[registry.mirror]]
        location = "other.example.test/wild"
        [[registry]]
        prefix = "bad.example.test"
        blocked = true
    "#;

    #[test]
    fn the_longest_prefix_says_where_to_look() {
        let conf = conf(CONF);
        assert_eq!(
            places(&conf, "registry.example.test/app", false),
            ["mirror.example.test:5000/proxy/app", "registry.example.test/app"]
        );
        assert_eq!(
            places(&conf, "registry.example.test/app", true),
            ["mirror.example.test:5000/proxy/app", "other.example.test/app", "registry.example.test/app"]
        );
        assert_eq!(
            places(&conf, "registry.example.test/team/app", true),
            ["moved.example.test/new/team/app"]
        );
        assert_eq!(
            places(&conf, "redis", false),
            ["mirror.example.test:5000/hub/library/redis", "docker.io/library/redis"]
        );
        assert_eq!(
            places(&conf, "a.wild.example.test/x", false),
            ["other.example.test/wild/x", "a.wild.example.test/x"]
        );
        for other in
            ["registry.example.test.evil.test/app", "wild.example.test/x", "registry.example.test:5000/app"]
        {
            assert_eq!(places(&conf, other, true), [other]);
        }
    }

    #[test]
    fn what_is_blocked_is_refused() {
        let problem = conf(CONF).places(&Name::read("bad.example.test/app").unwrap(), true).unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Refused, "oci.blocked"));
    }

    #[test]
    fn a_location_that_leads_nowhere_is_said() {
        let conf = conf("[[registry]]\nprefix = \"a.example.test\"\nlocation = \"UPPER/..\"");
        let problem = conf.places(&Name::read("a.example.test/app").unwrap(), true).unwrap_err();
        assert_eq!(problem.code, "oci.bad-registries-conf");
    }
}
