//! Where packages come from: the public registry, called `npm`, and others, called by their host.
//!
//! No host is written here. The public registry is the one that an untouched client of this machine would use, and a
//! registry configured here is only a route to it, whatever host its documents name.

use std::path::Path;

use jiff::Timestamp;
use url::Url;

use super::address::Address;
use super::ideal::Settings;
use super::names;
use super::network::Network;
use super::npmrc::{Npmrc, registry_url};
use crate::ecosystem::CollectContext;
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// The repository that stands for the public registry.
pub(crate) const PUBLIC: &str = "npm";

/// The registries that are in use on this machine.
pub(crate) struct Routes {
    npmrc: Npmrc,
    network: Network,
    /// The registry of an untouched client.
    pristine: Option<Url>,
    /// The registry that is configured.
    configured: Option<Url>,
    /// What yarn 1 calls the public registry.
    called_by_yarn: Option<Url>,
}

/// A registry that a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// The repository's name.
    pub(crate) repository: String,
    /// The registry's address, ending in a slash.
    pub(crate) base: Url,
}

impl Routes {
    /// Learns what is configured for the directory `project`.
    ///
    /// # Errors
    /// If the configuration cannot be read or names no address.
    pub(crate) async fn load(context: &dyn CollectContext, project: &Path) -> Result<Routes, Problem> {
        let routes = Routes::configured(context, project).await?;
        let pristine = context.ask_client("npm", &["config", "get", "registry"], true).await;
        Ok(Routes { pristine: pristine.as_deref().and_then(registry_url), ..routes })
    }

    /// The same, without asking npm for the registry of an untouched client.
    ///
    /// # Errors
    /// As [`Routes::load`].
    pub(crate) async fn configured(context: &dyn CollectContext, project: &Path) -> Result<Routes, Problem> {
        let npmrc = Npmrc::load(context, project).await?;
        let network = Network::load(&npmrc, context, project).await?;
        let configured = npmrc.registry()?;
        Ok(Routes { npmrc, network, pristine: None, configured, called_by_yarn: None })
    }

    /// The address of a path below a registry, with what lets one in.
    ///
    /// # Errors
    /// If the path leads out of it.
    pub(crate) fn below(&self, registry: &Url, path: &str) -> Result<Access, Problem> {
        Ok(self.let_in(below(registry, path)?))
    }

    /// Learns under what name the lockfiles of yarn 1 have the public registry.
    pub(crate) async fn learn_from_yarn(&mut self, context: &dyn CollectContext) {
        let answer = context.ask_client("yarn", &["config", "get", "registry"], true).await;
        self.called_by_yarn = answer.as_deref().and_then(registry_url);
    }

    /// Says what is configured but not followed.
    pub(crate) fn warn(&self, context: &dyn CollectContext) {
        for (code, message) in self.npmrc.complaints().iter().chain(&self.network.complaints) {
            context.events().warn(code, message.clone());
        }
    }

    /// How npm would build a tree here.
    pub(crate) fn settings(&self) -> Settings {
        let is_on = |key: &str| self.npmrc.setting(key).is_some();
        Settings {
            is_strict: is_on("strict-peer-deps"),
            ignores_peers: is_on("legacy-peer-deps"),
            prefers_fewer: is_on("prefer-dedupe"),
            ..Settings::default()
        }
    }

    /// Whether what another node or npm is wanted for is not installed.
    pub(crate) fn is_engine_strict(&self) -> bool {
        self.npmrc.setting("engine-strict").is_some()
    }

    /// Until when a version has to have been published to be chosen, if npm is told so here.
    ///
    /// # Errors
    /// Usage, if what it is told is no date, or no number of days.
    pub(crate) fn before(&self) -> Result<Option<Timestamp>, Problem> {
        self.npmrc.before()
    }

    /// The route to the public registry.
    ///
    /// # Errors
    /// If there is none: aftk has no registry of its own to fall back to.
    pub(crate) fn public(&self) -> Result<Source, Problem> {
        let base = self.configured.as_ref().or(self.pristine.as_ref()).ok_or_else(|| {
            let message = "no npm registry is known, and aftk uses none that nobody named";
            Problem::new(Kind::Usage, "npm.no-registry", message)
                .hint("install npm, whose default is then used, or write `registry=https://…` into ~/.npmrc")
                .hint("or write the lockfile with its `resolved` addresses: npm config set omit-lockfile-registry-resolved false")
        })?;
        Ok(Source { repository: PUBLIC.to_owned(), base: base.clone() })
    }

    /// The registry that a package comes from; `resolved` is the address in its lockfile, if that says one. `None` if
    /// the address is no registry's, so that nothing but the address leads to the package.
    ///
    /// # Errors
    /// If no registry is known, or a configured one is no address.
    pub(crate) fn source(&self, name: &str, resolved: Option<&str>) -> Result<Option<Source>, Problem> {
        let of_scope = match names::scope(name) {
            Some(scope) => self.npmrc.scope_registry(scope)?,
            None => None,
        };
        let resolved = resolved.and_then(|resolved| Url::parse(resolved).ok());
        let configured = match of_scope {
            Some(base) => self.named(base),
            // Without a registry of its own, a lockfile's own address is enough.
            None if resolved.is_some() && self.configured.is_none() && self.pristine.is_none() => {
                return Ok(resolved
                    .and_then(|url| conventional_base(name, &url))
                    .map(|base| self.named(base)));
            }
            None => self.public()?,
        };
        let Some(url) = resolved else { return Ok(Some(configured)) };
        if self.is_public_host(&url) || same_host(&configured.base, &url) {
            return Ok(Some(configured));
        }
        Ok(conventional_base(name, &url).map(|base| self.named(base)))
    }

    /// A registry by its address: the public one under its own name, others by host and port. A scope's registry that
    /// merely shares its host with the route to the public one is another.
    fn named(&self, base: Url) -> Source {
        let is_public = self.configured.as_ref() == Some(&base)
            || self.pristine.as_ref().is_some_and(|url| same_host(url, &base));
        let repository = if is_public { PUBLIC.to_owned() } else { host_name(&base) };
        Source { repository, base }
    }

    /// Where a registry is said to be. The public one is where a client finds it that nobody told anything, as clients inside are told
    /// nothing either, and not where the route leads that was taken to it; nowhere, if there is no such client here.
    pub(crate) fn known_as(&self, source: &Source) -> String {
        match &self.pristine {
            _ if source.repository != PUBLIC => source.base.to_string(),
            Some(pristine) => pristine.to_string(),
            None => String::new(),
        }
    }

    fn is_public_host(&self, url: &Url) -> bool {
        [&self.pristine, &self.configured, &self.called_by_yarn]
            .into_iter()
            .flatten()
            .any(|known| same_host(known, url))
    }

    /// The address of a package's metadata, with what lets one in.
    pub(crate) fn metadata(&self, source: &Source, name: &str) -> Result<Access, Problem> {
        self.below(&source.base, &name.replace('/', "%2f"))
    }

    /// The address of something else that a registry answers, by its path, with what lets one in.
    pub(crate) fn beside(&self, source: &Source, path: &str) -> Result<Access, Problem> {
        Ok(self.let_in(below(&source.base, path)?))
    }

    /// An address that is no registry's, with the way to it and what lets one in.
    pub(crate) fn elsewhere(&self, address: &Address) -> Access {
        self.let_in(address.url().clone())
    }

    /// An address with the way to it and what lets one in. As npm has it, what opens a registry also opens what the
    /// registry keeps elsewhere on its own origin.
    fn let_in(&self, url: Url) -> Access {
        let place = self.npmrc.place(&url).or_else(|| {
            let registries = self.configured.clone().into_iter().chain(self.npmrc.scope_registries());
            let same_origin = registries.filter(|base| base.origin() == url.origin());
            same_origin.filter_map(|base| self.npmrc.place(&base)).next()
        });
        let credential = place.as_deref().and_then(|place| self.npmrc.credential(place, &url));
        Access { credential, route: self.network.route(place.as_deref()), ..Access::open(url) }
    }

    /// Where a tarball is recorded to come from: for the public registry the path below it, whichever route was
    /// taken; otherwise the address.
    ///
    /// # Errors
    /// If `tarball`, the registry's own word, is no http or https address.
    pub(crate) fn tarball_origin(
        &self,
        source: &Source,
        name: &str,
        tarball: &str,
    ) -> Result<String, Problem> {
        let wrong = || {
            let message =
                format!("the registry names no usable address for the tarball of {name}: {tarball:?}");
            Problem::new(Kind::Untrusted, "npm.bad-tarball-address", message).at(&source.base)
        };
        let mut url = Url::parse(tarball)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(wrong)?;
        url.set_fragment(None);
        url.set_username("").map_err(|()| wrong())?;
        url.set_password(None).map_err(|()| wrong())?;
        if source.repository != PUBLIC {
            // A registry behind a proxy names hosts that lead nowhere from here; its own path is what counts.
            return Ok(match file_name(name, &url) {
                Some(file) if !same_host(&source.base, &url) => {
                    below(&source.base, &format!("{name}/-/{file}"))?
                }
                _ => url,
            }
            .into());
        }
        if let Some(file) = file_name(name, &url) {
            return Ok(format!("{name}/-/{file}"));
        }
        let bases = [Some(&source.base), self.pristine.as_ref()];
        let below = bases.into_iter().flatten().find_map(|base| url.as_str().strip_prefix(base.as_str()));
        Ok(below.map_or_else(|| url.to_string(), str::to_owned))
    }

    /// How to reach a recorded origin: see [`Routes::tarball_origin`].
    ///
    /// # Errors
    /// If no registry is known for the repository, or the origin is no path below one.
    pub(crate) fn access(&self, repository: &str, origin: &str) -> Result<Access, Problem> {
        let url = if origin.starts_with("https://") || origin.starts_with("http://") {
            Url::parse(origin).map_err(|error| bad_origin(origin).caused_by(&error))?
        } else if repository == PUBLIC {
            let scoped = match names::scope(origin) {
                Some(scope) => self.npmrc.scope_registry(scope)?.map(|base| self.named(base)),
                None => None,
            };
            let source =
                scoped.filter(|source| source.repository == PUBLIC).map_or_else(|| self.public(), Ok)?;
            below(&source.base, origin)?
        } else {
            let base = self.npmrc.scope_registries().find(|base| host_name(base) == repository);
            let base = base.ok_or_else(|| {
                let message = format!("no address is known for the npm repository {repository}");
                Problem::new(Kind::Usage, "npm.no-registry", message)
                    .hint("name it in ~/.npmrc: @scope:registry=https://…")
            })?;
            below(&base, origin)?
        };
        Ok(self.let_in(url))
    }
}

/// The file name in a tarball's conventional address, `…/<name>/-/<file>`.
fn file_name<'a>(name: &str, url: &'a Url) -> Option<&'a str> {
    let (before, file) = url.path().rsplit_once("/-/")?;
    let is_file = !file.is_empty() && !file.contains(['/', '%']) && url.query().is_none();
    (is_file && has_name(before, name).is_some()).then_some(file)
}

/// Whether an address is where a registry keeps a tarball of that package.
pub(crate) fn is_conventional(name: &str, address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| file_name(name, &url).is_some())
}

/// The registry of a tarball's conventional address.
fn conventional_base(name: &str, url: &Url) -> Option<Url> {
    file_name(name, url)?;
    let (before, _) = url.path().rsplit_once("/-/")?;
    let mut base = url.clone();
    base.set_path(has_name(before, name)?);
    registry_url(base.as_str())
}

/// What stands before the name at a path's end, with the slash. A scope's slash may be written `%2f`.
fn has_name<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let escaped = [name.to_owned(), name.replace('/', "%2f"), name.replace('/', "%2F")];
    escaped.iter().find_map(|name| path.strip_suffix(name.as_str())).filter(|before| before.ends_with('/'))
}

/// Whether two addresses are of one host and port. Old lockfiles say http where the same registry says https now.
fn same_host(left: &Url, right: &Url) -> bool {
    left.host_str() == right.host_str() && left.port() == right.port()
}

/// A registry's host, and its port if it is not the usual one.
pub(crate) fn host_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "_");
    url.port().map_or_else(|| host.clone(), |port| format!("{host}_{port}"))
}

/// The address at a path below another; the path cannot lead out of it.
fn below(base: &Url, path: &str) -> Result<Url, Problem> {
    let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
    let forbidden = |character: char| character.is_control() || matches!(character, '?' | '#' | '\\');
    if !path.split('/').all(is_plain) || path.contains(forbidden) {
        return Err(bad_origin(path));
    }
    Url::parse(&format!("{base}{path}")).map_err(|error| bad_origin(path).caused_by(&error))
}

fn bad_origin(origin: &str) -> Problem {
    Problem::new(Kind::Untrusted, "npm.bad-origin", format!("{origin:?} is no place in a registry"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::npm::fake::Fake;

    async fn routes(pristine: Option<&str>, npmrc: &str) -> Routes {
        let mut fake = Fake::default();
        fake.pristine_registry = pristine.map(str::to_owned);
        fake.file("/home/user/.npmrc", npmrc);
        Routes::load(&fake, Path::new("/project")).await.unwrap()
    }

    fn source(routes: &Routes, name: &str, resolved: Option<&str>) -> Option<(String, String)> {
        let source = routes.source(name, resolved).unwrap()?;
        Some((source.repository, source.base.into()))
    }

    fn at(repository: &str, base: &str) -> Option<(String, String)> {
        Some((repository.to_owned(), base.to_owned()))
    }

    #[tokio::test]
    async fn a_configured_registry_is_a_route_to_the_public_one() {
        let routes = routes(
            Some("https://public.example.test/\n"),
            "registry=https://proxy.example.test/npm\n@s:registry=http://scope.example.test:8081/r/",
        )
        .await;
        let proxy = at("npm", "https://proxy.example.test/npm/");
        assert_eq!(source(&routes, "a", None), proxy);
        for resolved in [
            "https://public.example.test/a/-/a-1.0.0.tgz",
            "http://public.example.test/a/-/a-1.0.0.tgz",
            "https://proxy.example.test/odd/a.tgz",
        ] {
            assert_eq!(source(&routes, "a", Some(resolved)), proxy);
        }
        let scoped = at("scope.example.test_8081", "http://scope.example.test:8081/r/");
        assert_eq!(source(&routes, "@s/a", None), scoped);
        assert_eq!(source(&routes, "@s/a", Some("https://public.example.test/@s/a/-/a-1.0.0.tgz")), scoped);
        assert_eq!(source(&routes, "@s/a", Some("http://scope.example.test:8081/download/1")), scoped);
        let other = at("other.example.test", "https://other.example.test/x/");
        for resolved in [
            "https://other.example.test/x/@s/a/-/a-1.0.0.tgz",
            "https://other.example.test/x/@s%2fa/-/a-1.0.0.tgz",
        ] {
            assert_eq!(source(&routes, "@s/a", Some(resolved)), other);
        }
        assert_eq!(source(&routes, "a", Some("https://files.example.test/a-1.0.0.tgz")), None);
        assert_eq!(source(&routes, "a", Some("https://files.example.test/b/-/b-1.0.0.tgz")), None);
    }

    #[tokio::test]
    async fn a_scope_may_have_its_own_registry_on_the_same_host_or_stay_with_the_public_one() {
        let routes = routes(
            Some("https://public.example.test/"),
            "registry=https://both.example.test/public/\n@own:registry=https://both.example.test/own/\n\
             @open:registry=https://public.example.test/\n//both.example.test/own/:_authToken=secret",
        )
        .await;
        assert_eq!(source(&routes, "a", None), at("npm", "https://both.example.test/public/"));
        assert_eq!(
            source(&routes, "@own/a", None),
            at("both.example.test", "https://both.example.test/own/")
        );
        assert_eq!(source(&routes, "@open/a", None), at("npm", "https://public.example.test/"));
        let open = routes.access("npm", "@open/a/-/a-1.0.0.tgz").unwrap();
        assert_eq!(open.url.as_str(), "https://public.example.test/@open/a/-/a-1.0.0.tgz");
        assert!(open.credential.is_none());
        let elsewhere =
            routes.access("both.example.test", "https://both.example.test/download/a.tgz").unwrap();
        assert!(elsewhere.credential.is_some());
    }

    #[tokio::test]
    async fn there_is_no_registry_that_nobody_named() {
        let routes = routes(None, "").await;
        assert_eq!(routes.source("a", None).unwrap_err().code, "npm.no-registry");
        assert_eq!(routes.access("npm", "a/-/a-1.0.0.tgz").unwrap_err().code, "npm.no-registry");
        let resolved = "https://mirror.example.test/a/-/a-1.0.0.tgz";
        let mirror = at("mirror.example.test", "https://mirror.example.test/");
        assert_eq!(source(&routes, "a", Some(resolved)), mirror);
    }

    #[tokio::test]
    async fn origins_lead_back_to_where_they_came_from() {
        let routes = routes(
            Some("https://public.example.test"),
            "registry=https://proxy.example.test/npm\n//proxy.example.test/npm/:_authToken=secret\n\
             @s:registry=https://scope.example.test/r",
        )
        .await;
        let public = routes.source("a", None).unwrap().unwrap();
        for (tarball, origin) in [
            ("https://elsewhere.example.test/a/-/a-1.0.0.tgz", "a/-/a-1.0.0.tgz"),
            ("https://proxy.example.test/npm/odd/a.tgz", "odd/a.tgz"),
            ("https://public.example.test/odd/a.tgz", "odd/a.tgz"),
            ("https://user:word@cdn.example.test/a.tgz#x", "https://cdn.example.test/a.tgz"),
        ] {
            assert_eq!(routes.tarball_origin(&public, "a", tarball).unwrap(), origin);
        }
        let access = routes.access("npm", "a/-/a-1.0.0.tgz").unwrap();
        assert_eq!(access.url.as_str(), "https://proxy.example.test/npm/a/-/a-1.0.0.tgz");
        assert!(access.credential.is_some());
        assert!(routes.access("npm", "https://cdn.example.test/a.tgz").unwrap().credential.is_none());
        let scoped = routes.source("@s/a", None).unwrap().unwrap();
        let tarball = "http://internal.example.test/@s/a/-/a-1.0.0.tgz";
        let origin = routes.tarball_origin(&scoped, "@s/a", tarball).unwrap();
        assert_eq!(origin, "https://scope.example.test/r/@s/a/-/a-1.0.0.tgz");
        assert_eq!(
            routes.metadata(&scoped, "@s/a").unwrap().url.as_str(),
            "https://scope.example.test/r/@s%2fa"
        );
        for bad in ["file:///etc/passwd", "a.tgz", ""] {
            assert_eq!(routes.tarball_origin(&public, "a", bad).unwrap_err().code, "npm.bad-tarball-address");
        }
        for bad in ["../a", "/a", "//evil.example.test/a", "a/./b", "a?b", "a\\b", ""] {
            assert_eq!(routes.access("npm", bad).unwrap_err().code, "npm.bad-origin", "{bad}");
        }
    }
}
