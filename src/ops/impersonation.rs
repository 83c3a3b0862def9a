//! Answering for upstreams by their own names: clients whose locks name an upstream, or that know no other, ask as they would ask
//! that, where the site's own names lead them here.
//!
//! Which upstreams those are, the repositories say. It is asked again whenever the store has changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use url::{Host, Url};

use crate::blocking::blocking;
use crate::ecosystem::registry;
use crate::events::{Events, Happening};
use crate::http_server::{Upstream, Upstreams};
use crate::problem::Problem;
use crate::store::{Revision, Store};

/// How often it is asked whether the store has changed.
const PAUSE: Duration = Duration::from_secs(1);

/// The most hosts of files that an ecosystem is answered for: they all stand in one certificate.
const MOST_HOSTS: usize = 100;

/// What a server answers for.
pub(super) struct Impersonation {
    store: Store,
    upstreams: Upstreams,
    /// Those that certificates have to name.
    hosts: watch::Sender<Vec<String>>,
    /// What the server itself is called: a bundle must not take that name away from it.
    own: Vec<String>,
    seen: Option<Revision>,
}

impl Impersonation {
    /// Nothing yet.
    pub(super) fn new(store: &Store, own: Vec<String>) -> Impersonation {
        let (upstreams, hosts) = (Upstreams::default(), watch::Sender::default());
        Impersonation { store: store.clone(), upstreams, hosts, own, seen: None }
    }

    /// What the server asks.
    pub(super) fn upstreams(&self) -> Upstreams {
        self.upstreams.clone()
    }

    /// The hosts, as they become others.
    pub(super) fn hosts(&self) -> watch::Receiver<Vec<String>> {
        self.hosts.subscribe()
    }

    /// Answers for the upstreams of what the store has now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) async fn refresh(&mut self, events: &dyn Events) -> Result<(), Problem> {
        let (store, own, seen) = (self.store.clone(), self.own.clone(), self.seen);
        let found = blocking(move || {
            let revision = store.catalogue.revision()?;
            if seen == Some(revision) {
                return Ok(None);
            }
            Ok(Some((revision, upstreams(&store, &own)?)))
        });
        let Some((revision, upstreams)) = found.await? else { return Ok(()) };
        self.seen = Some(revision);
        let hosts: BTreeSet<&str> = upstreams.iter().map(|one| one.host.as_str()).collect();
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        if *self.hosts.borrow() != hosts {
            let message = match hosts.is_empty() {
                true => "no upstream is known by its name any more".to_owned(),
                false => format!("answers for {} too, where clients are led here for it", hosts.join(", ")),
            };
            events.emit(Happening::Message { message });
            self.hosts.send_replace(hosts);
        }
        self.upstreams.replace(upstreams);
        Ok(())
    }

    /// Does that whenever the store has changed. Never ends.
    pub(super) async fn keep_fresh(mut self, events: Arc<dyn Events>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            // What cannot be read now is asked for again in a second; whoever asks meanwhile is told what is wrong.
            let _ = self.refresh(&*events).await;
        }
    }
}

/// The upstreams of all repositories, and the hosts that files of theirs are from where those are others.
fn upstreams(store: &Store, own: &[String]) -> Result<Vec<Upstream>, Problem> {
    let mut found = Vec::new();
    for repository in store.catalogue.repositories()? {
        let ecosystem = registry::ECOSYSTEMS.iter().find(|one| one.name() == repository.ecosystem);
        let Some(ecosystem) = ecosystem else { continue };
        let Some(serve) = ecosystem.serve().filter(|serve| serve.names_repository_first()) else { continue };
        let Some((host, path)) = host_and_path(&repository.origin, own) else { continue };
        let prefix = serve.root_of(&path).split('/').filter(|part| !part.is_empty());
        found.push(Upstream {
            host,
            prefix: prefix.map(str::to_owned).collect(),
            ecosystem: ecosystem.name(),
            repository: Some(repository.name),
        });
    }
    for ecosystem in registry::ECOSYSTEMS {
        if !ecosystem.serve().is_some_and(|serve| serve.has_upstream_addresses()) {
            continue;
        }
        for server in store.catalogue.servers(ecosystem.name(), MOST_HOSTS)? {
            let Some((host, _)) = host_and_path(&server, own) else { continue };
            // What stands at the root of a host already has its files, too.
            if !found.iter().any(|one| one.host == host && one.prefix.is_empty()) {
                found.push(Upstream {
                    host,
                    prefix: Vec::new(),
                    ecosystem: ecosystem.name(),
                    repository: None,
                });
            }
        }
    }
    // Of several at one place, a registry comes before what else stands at its host: that has the longer name, and is found behind it.
    let place = |one: &Upstream| {
        (
            one.host.clone(),
            one.prefix.clone(),
            one.repository.as_ref().map(String::len),
            one.repository.clone(),
        )
    };
    found.sort_by_cached_key(place);
    found.dedup_by(|next, first| (&next.host, &next.prefix) == (&first.host, &first.prefix));
    Ok(found)
}

/// The host of an address, in lower case, and its path, if the host has a name that could be led here: a number is none, and
/// what the server itself is called is not to be taken away from it.
fn host_and_path(address: &str, own: &[String]) -> Option<(String, String)> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let Some(Host::Domain(host)) = url.host() else { return None };
    let is_own = host.ends_with(".localhost") || own.iter().any(|name| name.eq_ignore_ascii_case(host));
    // Others cannot stand in a certificate.
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    (!is_own && is_name).then(|| (host.to_ascii_lowercase(), url.path().to_owned()))
}
