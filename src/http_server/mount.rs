//! Where repositories stand: `/npm/<repository>/…`, or the root of a host that is impersonated.

use http::StatusCode;

use super::origin::Origin;
use super::reply::Refusal;
use super::route::{Matched, Path, RouteTable};
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
pub(super) struct Mounts(Vec<Mounted>);

impl Mounts {
    /// Compiles them.
    ///
    /// # Errors
    /// For an ecosystem that does not serve or has a route that is not well-formed.
    pub(super) fn compile(mounts: &[Mount]) -> Result<Mounts, Problem> {
        mounts.iter().map(Mounted::new).collect::<Result<_, _>>().map(Mounts)
    }

    /// A mount by its number.
    pub(super) fn get(&self, index: usize) -> Option<&Mounted> {
        self.0.get(index)
    }

    /// Those that any host has and that have all repositories of an ecosystem, for people.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Mounted> {
        self.0.iter().filter(|mount| mount.host.is_none() && mount.repository.is_none())
    }

    /// Whether this host is impersonated: nothing but its mounts is to be seen there.
    pub(super) fn impersonates(&self, host: &str) -> bool {
        self.0.iter().any(|mount| mount.is_host(host))
    }

    /// Finds what a request leads to. `Ok(None)`: no mount stands there.
    pub(super) fn find(
        &self,
        method: &str,
        path: &Path<'_>,
        origin: &Origin,
    ) -> Result<Option<Destination>, Refusal> {
        let Some((index, mount)) = self.at(path, origin) else { return Ok(None) };
        mount.find(index, method, path, origin).map_err(|refusal| refusal.in_words_of(mount.serve))
    }

    /// The mount that stands at a path, and its number.
    pub(super) fn at(&self, path: &Path<'_>, origin: &Origin) -> Option<(usize, &Mounted)> {
        let host = origin.host();
        let impersonated = self.impersonates(host);
        let here = self.0.iter().enumerate().filter(|(_, mount)| {
            let same_host = if impersonated { mount.is_host(host) } else { mount.host.is_none() };
            same_host && path.begins_with(&mount.prefix)
        });
        here.max_by_key(|(_, mount)| mount.prefix.len())
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

    fn find(
        &self,
        index: usize,
        method: &str,
        path: &Path<'_>,
        origin: &Origin,
    ) -> Result<Option<Destination>, Refusal> {
        let mut skip = self.prefix.len();
        let mut base = format!("{origin}/");
        for segment in &self.prefix {
            base.push_str(segment);
            base.push('/');
        }
        let named = self.repository.is_none() && self.serve.names_repository_first();
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
            self.repository.clone()
        };
        match self.table.find(method, path, skip) {
            Matched::Action(action, takes, captures) => {
                Ok(Some(Destination { mount: index, action, takes, captures, repository, named, base }))
            }
            Matched::OtherMethods(allow) => Err(Refusal::method(allow)),
            Matched::Nothing => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }
}
