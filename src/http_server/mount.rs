//! Where repositories stand: `/npm/<repository>/…`, or the root of a host that is impersonated.

use std::borrow::Cow;

use http::StatusCode;

use super::origin::Origin;
use super::reply::Refusal;
use super::route::{Matched, Path, RouteTable};
use super::upstreams::Upstreams;
use crate::ecosystem::{ALL, Ecosystem, Serve, Takes};
use crate::problem::{Kind, Problem};

/// A place in the address space and the ecosystem that answers there.
#[derive(Clone)]
pub struct Mount {
    /// Only for clients that call the server by this host name; they see nothing else then.
    pub host: Option<String>,
    /// The first segments of the path, without slashes around them; may be empty for a host.
    pub prefix: String,
    /// The repository that stands there. `None`: the next segment names it, `all` the virtual one; or the ecosystem finds
    /// it out ([`Serve::names_repository_first`]).
    pub repository: Option<String>,
    /// Who answers.
    pub ecosystem: &'static dyn Ecosystem,
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mount({:?}/{} → {})", self.host, self.prefix, self.ecosystem.name())
    }
}

impl Mount {
    /// Where every site has an ecosystem: `/<prefix>/<repository>/`, or `/<prefix>/` for all its repositories. `None` if it
    /// does not serve.
    pub fn of(ecosystem: &'static dyn Ecosystem) -> Option<Mount> {
        let prefix = ecosystem.serve()?.prefix().to_owned();
        Some(Mount { host: None, prefix, repository: None, ecosystem })
    }
}

/// A mount, compiled.
pub(super) struct Mounted {
    host: Option<String>,
    pub(super) prefix: Vec<String>,
    repository: Option<String>,
    pub(super) ecosystem: &'static str,
    pub(super) schema: &'static str,
    pub(super) serve: &'static dyn Serve,
    table: RouteTable,
}

/// Where a request leads.
#[derive(Debug)]
pub(super) struct Destination {
    /// Which of the mounts.
    pub(super) mount: usize,
    /// What its requests bring.
    pub(super) takes: Takes,
    pub(super) action: &'static str,
    pub(super) captures: Vec<(&'static str, String)>,
    /// `None`: the virtual one.
    pub(super) repository: Option<String>,
    /// Whether the client named it, so that it has to be looked up.
    pub(super) named: bool,
    /// What the mount is reached by, ending in a slash.
    pub(super) base: String,
}

/// All mounts.
pub(super) struct Mounts {
    mounts: Vec<Mounted>,
    upstreams: Upstreams,
}

/// A place that a path leads to, and the mount that answers there.
struct Place<'a> {
    index: usize,
    mount: &'a Mounted,
    prefix: Cow<'a, [String]>,
    /// `None`: the virtual one, unless the next segment names it.
    repository: Option<String>,
    /// Whether the next segment names it.
    is_named: bool,
}

impl Mounts {
    /// Compiles them.
    ///
    /// # Errors
    /// For an ecosystem that does not serve or has a route that is not well-formed.
    pub(super) fn compile(mounts: &[Mount], upstreams: Upstreams) -> Result<Mounts, Problem> {
        let mounts = mounts.iter().map(Mounted::new).collect::<Result<_, _>>()?;
        Ok(Mounts { mounts, upstreams })
    }

    /// A mount by its number.
    pub(super) fn get(&self, index: usize) -> Option<&Mounted> {
        self.mounts.get(index)
    }

    /// Those that any host has and that have all repositories of an ecosystem, for people.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Mounted> {
        self.mounts.iter().filter(|mount| mount.is_usual())
    }

    /// Whether this host is impersonated: nothing but its mounts is to be seen there.
    pub(super) fn impersonates(&self, host: &str) -> bool {
        self.mounts.iter().any(|mount| mount.is_host(host))
            || self.upstreams.all().iter().any(|upstream| upstream.host == host)
    }

    /// Finds what a request leads to. `Ok(None)`: no mount stands there.
    pub(super) fn find(
        &self,
        method: &str,
        path: &Path<'_>,
        origin: &Origin,
    ) -> Result<Option<Destination>, Refusal> {
        let Some(place) = self.place(path, origin) else { return Ok(None) };
        let serve = place.mount.serve;
        place.find(method, path, origin).map_err(|refusal| refusal.in_words_of(serve))
    }

    /// The mount that answers at a path.
    pub(super) fn at(&self, path: &Path<'_>, origin: &Origin) -> Option<&Mounted> {
        self.place(path, origin).map(|place| place.mount)
    }

    fn place(&self, path: &Path<'_>, origin: &Origin) -> Option<Place<'_>> {
        let host = origin.host();
        let impersonated = self.impersonates(host);
        let here = self.mounts.iter().enumerate().filter(|(_, mount)| {
            let same_host = if impersonated { mount.is_host(host) } else { mount.host.is_none() };
            same_host && path.begins_with(&mount.prefix)
        });
        let here = here.max_by_key(|(_, mount)| mount.prefix.len());
        if !impersonated || here.is_some() {
            let (index, mount) = here?;
            let (prefix, repository) = (Cow::Borrowed(&mount.prefix[..]), mount.repository.clone());
            let is_named = repository.is_none() && mount.serve.names_repository_first();
            return Some(Place { index, mount, prefix, repository, is_named });
        }
        let upstreams = self.upstreams.all();
        let there = upstreams.iter().filter(|one| one.host == host && path.begins_with(&one.prefix));
        let upstream = there.max_by_key(|one| one.prefix.len())?;
        let is_its = |mount: &Mounted| mount.is_usual() && mount.ecosystem == upstream.ecosystem;
        let (index, mount) = self.mounts.iter().enumerate().find(|(_, mount)| is_its(mount))?;
        let (prefix, repository) = (Cow::Owned(upstream.prefix.clone()), upstream.repository.clone());
        Some(Place { index, mount, prefix, repository, is_named: false })
    }
}

impl Place<'_> {
    fn find(self, method: &str, path: &Path<'_>, origin: &Origin) -> Result<Option<Destination>, Refusal> {
        let Place { index, mount, prefix, repository, is_named: named } = self;
        let mut skip = prefix.len();
        let mut base = format!("{origin}/");
        for segment in prefix.iter() {
            base.push_str(segment);
            base.push('/');
        }
        let repository = if named {
            let Some(name) = path.text(skip) else { return Ok(None) };
            if name.contains('@') {
                return Err(Refusal::new(
                    StatusCode::NOT_FOUND,
                    "a repository at an older generation (`name@42`) cannot be asked for in this version",
                ));
            }
            base.push_str(path.raw(skip).unwrap_or_default());
            base.push('/');
            skip += 1;
            (name != ALL).then(|| name.to_owned())
        } else {
            repository
        };
        match mount.table.find(method, path, skip) {
            Matched::Action(action, takes, captures) => {
                Ok(Some(Destination { mount: index, action, takes, captures, repository, named, base }))
            }
            Matched::OtherMethods(allow) => Err(Refusal::method(allow)),
            Matched::Nothing => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }
}

impl Mounted {
    fn new(mount: &Mount) -> Result<Mounted, Problem> {
        let serve = mount.ecosystem.serve().ok_or_else(|| {
            let message = format!("{} has nothing to serve", mount.ecosystem.name());
            Problem::new(Kind::Usage, "http.bad-mount", message)
        })?;
        Ok(Mounted {
            host: mount.host.as_deref().map(str::to_ascii_lowercase),
            prefix: mount.prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            repository: mount.repository.clone(),
            ecosystem: mount.ecosystem.name(),
            schema: mount.ecosystem.schema(),
            serve,
            table: RouteTable::compile(serve.routes())?,
        })
    }

    fn is_host(&self, host: &str) -> bool {
        self.host.as_deref() == Some(host)
    }

    /// Whether any host has it, with all repositories of its ecosystem.
    fn is_usual(&self) -> bool {
        self.host.is_none() && self.repository.is_none()
    }
}
