//! What one lockfile leads to: what it lists, and what that leads to in turn, round after round.
//!
//! What was found goes straight to lists that may outgrow memory. Kept here is what the rounds need: which versions
//! are held, and what was asked for and isn't.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use bundle_format::Repository;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::REMOTE;
use super::fetch::{Carried, Fetched, Fetcher, refs};
use super::found::{Found, Sighting};
use super::held::Held;
use super::lock::EdgeKind;
use super::names;
use super::origin::Source;
use super::remote::{self, Remote, Remotes};
use super::spec::{Spec, without_alias};
use super::wanted::{Package, Wanted, Wants, gap};
use crate::events::Happening;
use crate::problem::{Kind, Problem};

/// How many packages' metadata are fetched at once.
const AT_ONCE: usize = 16;
/// How much is fetched from addresses at once.
const FROM_ADDRESSES: usize = 4;
/// The number of a registry for what is in none.
const NOBODYS: u32 = u32::MAX;
/// How often what turned up is followed.
const ROUNDS: usize = 32;
/// The most versions that one lockfile leads to, and the most ranges that are followed at once.
const MOST: usize = 200_000;

type Packages = BTreeMap<(Source, String), Package>;

/// What one lockfile leads to.
pub(crate) struct Closure<'a> {
    fetcher: Fetcher<'a>,
    /// Which lockfile, from 0.
    lockfile: usize,
    found: &'a mut Found,
    /// The registries that something is carried of; their numbers mark what is held.
    sources: BTreeMap<Source, u32>,
    held: Held<u32>,
    /// What is asked for and isn't held yet.
    open: Packages,
    /// How many ranges that are.
    ranges: usize,
    /// The optional edges, by name and range, that nothing met when they turned up.
    doubtful: BTreeSet<(String, String)>,
}

impl<'a> Closure<'a> {
    /// Nothing yet. What turns up is added to `found`.
    pub(crate) fn new(fetcher: Fetcher<'a>, lockfile: usize, found: &'a mut Found) -> Closure<'a> {
        Closure {
            fetcher,
            lockfile,
            found,
            sources: BTreeMap::new(),
            held: Held::default(),
            open: Packages::new(),
            ranges: 0,
            doubtful: BTreeSet::new(),
        }
    }

    /// Fetches what is wanted, and what that leads to.
    ///
    /// # Errors
    /// If a registry cannot be reached or contradicts itself or the lockfile, or there is no end of it.
    pub(crate) async fn follow(mut self, wants: &Wants) -> Result<(), Problem> {
        self.round(wants.count(), Box::new(wants.packages())).await?;
        for _ in 1..ROUNDS {
            let open = self.unmet();
            if open.is_empty() {
                self.finish();
                return Ok(());
            }
            let count = open.len();
            let packages = open.into_iter().map(|((source, name), package)| Ok((source, name, package)));
            self.round(count, Box::new(packages)).await?;
        }
        Err(endless(&format!("it still leads further after {ROUNDS} rounds")))
    }

    /// Fetches what stands at addresses of their own.
    ///
    /// # Errors
    /// If a host cannot be reached, or has other bytes than the lockfile knows.
    pub(crate) async fn take_remotes(
        &mut self,
        remotes: &Remotes<'_>,
        wanted: Vec<Remote>,
    ) -> Result<(), Problem> {
        let fetcher = self.fetcher;
        let fetches = wanted.into_iter().map(|remote| async move {
            let fetched = remotes.fetch(fetcher.routes, &remote).await?;
            Ok::<_, Problem>((remote, fetched))
        });
        let mut fetches = pin!(futures_util::stream::iter(fetches).buffer_unordered(FROM_ADDRESSES));
        while let Some((remote, fetched)) = fetches.try_next().await? {
            self.found.gaps.extend(fetched.gaps);
            self.found.notes.extend(fetched.notes);
            self.found.evidence.extend(fetched.evidence)?;
            let address = &remote.located.address;
            let source = Source { repository: address.repository(), base: address.root() };
            for carried in fetched.carried {
                let name = remote::package(&carried.planned.name, REMOTE, &carried.planned.attributes);
                self.held.insert(name, &carried.planned.version, NOBODYS);
                self.ask(&source, &carried)?;
                let (lockfile, base) = (self.lockfile, source.base.to_string());
                self.found.artifacts.push(Sighting { lockfile, base, planned: carried.planned })?;
                self.found.repositories.push(Repository {
                    ecosystem: "npm".to_owned(),
                    name: source.repository.clone(),
                    origin: source.base.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Fetches packages and takes in each as it comes.
    async fn round(
        &mut self,
        count: usize,
        packages: Box<dyn Iterator<Item = Result<(Source, String, Package), Problem>> + Send + '_>,
    ) -> Result<(), Problem> {
        if count == 0 {
            return Ok(());
        }
        let fetcher = self.fetcher;
        let items = Some(count as u64);
        fetcher.context.events().emit(Happening::Stage { name: "resolve".to_owned(), items, bytes: None });
        let fetches = packages.map(|package| async move {
            let (source, name, package) = package?;
            let fetched = fetcher.fetch(&source, &name, package).await?;
            fetcher.context.events().emit(Happening::ItemDone { item: name.clone() });
            Ok::<_, Problem>((source, name, fetched))
        });
        let mut fetches = pin!(futures_util::stream::iter(fetches).buffer_unordered(AT_ONCE));
        while let Some((source, name, fetched)) = fetches.try_next().await? {
            self.take(&source, &name, fetched)?;
        }
        Ok(())
    }

    /// Takes in what came of one package.
    fn take(&mut self, source: &Source, name: &str, fetched: Fetched) -> Result<(), Problem> {
        self.found.gaps.extend(fetched.gaps);
        self.found.notes.extend(fetched.notes);
        self.found.evidence.extend(fetched.evidence)?;
        if fetched.carried.is_empty() {
            return Ok(());
        }
        let number = match self.sources.get(source) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
                self.sources.insert(source.clone(), number);
                number
            }
        };
        let mut new = fetched.carried;
        new.retain(|carried| self.held.insert(name, &carried.planned.version, number));
        if self.held.len() > MOST {
            return Err(endless(&format!("it leads to more than {MOST} versions")));
        }
        // No tag leads to what cannot be installed.
        let only_known: BTreeSet<&str> =
            new.iter().filter(|one| one.only_known).map(|one| one.planned.version.as_str()).collect();
        let held = |version: &str| self.held.contains(name, version, number) && !only_known.contains(version);
        self.found.refs.extend(refs(&source.repository, name, &fetched.tags, &held))?;
        for carried in new {
            self.ask(source, &carried)?;
            let (lockfile, base) = (self.lockfile, source.base.to_string());
            self.found.artifacts.push(Sighting { lockfile, base, planned: carried.planned })?;
        }
        Ok(())
    }

    /// Notes down what a version asks for that nothing held meets so far: of a listed one the optional packages, which
    /// a lockfile may leave out; of one chosen here all that it needs.
    fn ask(&mut self, asking: &Source, from: &Carried) -> Result<(), Problem> {
        let asking_name = remote::package(&from.planned.name, &from.planned.schema, &from.planned.attributes);
        let needed_by = format!("needed by {asking_name}@{}", from.planned.version);
        if from.only_known {
            return Ok(());
        }
        for (name, range, kind) in &from.edges {
            let followed = match kind {
                EdgeKind::Optional => true,
                EdgeKind::Runtime | EdgeKind::Peer => !from.listed,
                EdgeKind::OptionalPeer => false,
            };
            if !followed {
                continue;
            }
            let is_bent =
                from.planned.requires.iter().any(|edge| edge.kind == "override" && edge.name == *name);
            let optional = from.optional || *kind == EdgeKind::Optional;
            let spec = Spec::read(range);
            if !spec.is_registry() {
                // The lockfile's own entries tell of those that listed packages need.
                if !is_bent && !from.listed && !optional {
                    let detail = format!("comes from no registry; {needed_by}");
                    let reason = if spec == Spec::Git { "git-dependency" } else { "url-dependency" };
                    self.found.gaps.push(gap(name, range, reason, detail));
                }
                continue;
            }
            let (real, wanted) = spec.target(name);
            if self.held.meets(real, wanted) {
                continue;
            }
            if *kind == EdgeKind::Optional {
                self.doubtful.insert((name.clone(), range.clone()));
            }
            if is_bent {
                continue;
            }
            if !names::is_valid(real) {
                let detail = format!("is no package name; {needed_by}");
                self.found.gaps.push(gap(real, range, "bad-name", detail));
                continue;
            }
            // Where no registry is configured, the one that the asking package came from has to do.
            let source = self.fetcher.routes.source(real, None).unwrap_or_else(|_| Some(asking.clone()));
            let Some(source) = source else { continue };
            let ranges = &mut self.open.entry((source, real.to_owned())).or_default().ranges;
            let before = ranges.len();
            let asked = ranges.entry(without_alias(range).to_owned()).or_insert_with(|| Wanted {
                checksums: Vec::new(),
                optional,
                install_script: false,
                only_known: false,
                needed_by: needed_by.clone(),
            });
            asked.optional &= optional;
            // Of several the same one is named in every run, whichever registry answers first.
            if needed_by < asked.needed_by {
                asked.needed_by.clone_from(&needed_by);
            }
            self.ranges += ranges.len() - before;
        }
        if self.ranges.max(self.doubtful.len()) > MOST {
            return Err(endless(&format!("it leads to more than {MOST} ranges at once")));
        }
        Ok(())
    }

    /// What was asked for and, now that a round is over, still isn't held.
    fn unmet(&mut self) -> Packages {
        let mut open = std::mem::take(&mut self.open);
        self.ranges = 0;
        open.retain(|(_, name), package| {
            package.ranges.retain(|range, _| !self.held.meets(name, &Spec::read(range)));
            !package.ranges.is_empty()
        });
        open
    }

    fn finish(mut self) {
        self.doubtful.retain(|(name, range)| {
            let spec = Spec::read(range);
            let (real, wanted) = spec.target(name);
            !self.held.meets(real, wanted)
        });
        self.found.absent.push(self.doubtful);
        let routes = &self.fetcher.routes;
        self.found.repositories.extend(self.sources.into_keys().map(|source| Repository {
            ecosystem: "npm".to_owned(),
            origin: routes.known_as(&source),
            name: source.repository,
        }));
    }
}

fn endless(cause: &str) -> Problem {
    Problem::new(Kind::Failed, "npm.too-much", "the lockfile leads to more than can be right").because(cause)
}
