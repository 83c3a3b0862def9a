//! The indexes that are in use, and the ways to them.
//!
//! No host is written here. The public index is the one that untouched clients of this machine would use; one that is
//! configured here is only a route to it, whatever host documents name.

use std::collections::BTreeSet;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::credentials::Ways;
use super::inputs::uv_settings::UvSettings;
use super::machine::Machine;
use super::name::Name;
use super::options::Options;
use super::with_uv;
use crate::ecosystem::CollectContext;
use crate::net::{Access, Credential};
use crate::problem::{Kind, Problem};

/// The repository that stands for the public index.
pub(super) const PUBLIC: &str = "pypi";
/// The largest file of settings that is read, in bytes.
const LARGEST_SETTINGS: u64 = 16 << 20;
/// The repository of files of this machine alone.
const LOCAL: &str = "local";

/// An index.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The repository's name.
    pub(super) repository: String,
    /// Its address, without user and password, ending in a slash; none, where there are links alone.
    pub(super) base: Option<Url>,
    credential: Option<Credential>,
    /// The projects that are to be had from it alone; see [`super::options::Declared`].
    packages: Vec<String>,
    /// What it is looked through together with.
    pub(super) links: BTreeSet<Link>,
    /// Whether links alone may have a project, which this index has not.
    pub(super) are_links_enough: bool,
    /// The number of the same index without links.
    itself: usize,
}

/// Where further files are, which no index lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Link {
    /// A page that links to files, or the address of one.
    Page(Url),
    /// A directory of this machine, or a file there.
    Directory(PathBuf),
}

/// All indexes that are in use, by their number.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    all: Vec<Index>,
    /// Those that are asked where a request names none, in their order.
    usual: Vec<usize>,
    /// The addresses that mean the public index.
    public: Vec<Url>,
    ways: Ways,
}

impl Indexes {
    /// Learns what is configured: in the project, in the environment, for pip; else what clients have as their default.
    ///
    /// # Errors
    /// If an address is none, or two indexes share a name.
    pub(super) async fn load(options: &Options, context: &dyn CollectContext) -> Result<Indexes, Problem> {
        let machine = Machine::ask(context).await;
        let mut indexes = Indexes { ways: Ways::load(&machine, context).await?, ..Indexes::default() };
        let pristine = machine.pristine_index.as_deref().and_then(|text| read(text).ok());
        indexes.public.extend(pristine.map(|(url, _)| url));
        let of_user = uv_of_user(context).await?;
        let variable = |name: &str| context.environment(name).filter(|value| !value.is_empty());
        let of_variables =
            || ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"].into_iter().find_map(variable);
        let declared = options.indexes.iter().find(|declared| declared.is_default);
        let default = declared
            .map(|declared| declared.url.clone())
            .or_else(of_variables)
            .or_else(|| of_user.indexes.iter().find(|index| index.is_default).map(|index| index.url.clone()))
            .or_else(|| machine.settings.option("index-url").map(str::to_owned))
            .or_else(|| machine.pristine_index.clone());
        for declared in options.indexes.iter().filter(|declared| !declared.is_default) {
            let number = indexes
                .number(&declared.url, declared.name.as_deref())
                .map_err(|problem| problem.at(&declared.place))?;
            if let Some(index) = indexes.all.get_mut(number) {
                index.packages.clone_from(&declared.packages);
            }
            indexes.usual.push(number);
        }
        if options.indexes.is_empty() {
            let of_uv = ["UV_INDEX", "UV_EXTRA_INDEX_URL"].into_iter().filter_map(variable);
            let extra: Vec<String> = of_uv.collect();
            let extra = extra.iter().flat_map(|list| list.split_whitespace());
            for url in extra.chain(machine.settings.list("extra-index-url")) {
                let number = indexes.number(url, None)?;
                indexes.usual.push(number);
            }
            for index in of_user.indexes.iter().filter(|index| !index.is_default && !index.is_explicit) {
                let number = with_uv::number(index, &mut indexes)?;
                indexes.usual.push(number);
            }
        }
        if let Some(default) = default {
            let name = declared.and_then(|declared| declared.name.clone());
            let (url, _) = read(&default)?;
            indexes.public.push(url);
            let number = indexes.number(&default, name.as_deref())?;
            indexes.usual.push(number);
        }
        Ok(indexes)
    }

    /// Those that are asked where a request names none, in their order.
    ///
    /// # Errors
    /// If there are none: aftk has no index of its own to fall back to.
    pub(super) fn usual(&self) -> Result<Vec<usize>, Problem> {
        if self.usual.is_empty() {
            let message = "no index of Python packages is known, and aftk uses none that nobody named";
            return Err(Problem::new(Kind::Usage, "pypi.no-index", message)
                .hint("install pip or uv, whose default is then used, or set PIP_INDEX_URL")
                .hint("or write into aftk.toml: [[pypi]] index = \"https://…/simple/\", default = true"));
        }
        Ok(self.usual.clone())
    }

    /// An index by its number.
    pub(super) fn get(&self, number: usize) -> Option<&Index> {
        self.all.get(number)
    }

    /// The address of a repository's index.
    pub(super) fn origin(&self, repository: &str) -> Option<String> {
        let base = self.all.iter().find(|index| index.repository == repository)?.base.as_ref();
        base.map(Url::to_string)
    }

    /// The number of an index by its address, perhaps with a name before it (`name=https://…`); it is known from now on.
    ///
    /// # Errors
    /// If the address is none, or another index has the name.
    pub(super) fn number(&mut self, text: &str, name: Option<&str>) -> Result<usize, Problem> {
        let (named, address) = match text.split_once('=') {
            Some((named, address)) if bundle_format::document::is_name(named) => (Some(named), address),
            _ => (None, text),
        };
        let (base, credential) = read(address)?;
        let is_it = |index: &Index| index.base.as_ref().is_some_and(|known| same(known, &base));
        if let Some(known) = self.all.iter().position(is_it) {
            return Ok(known);
        }
        let is_public = self.public.iter().any(|public| same(public, &base));
        let name = name.or(named).map(str::to_owned);
        let repository = name.unwrap_or_else(|| if is_public { PUBLIC.to_owned() } else { host_name(&base) });
        // Whatever a document calls the public index, one that is configured is the way to it.
        if repository == PUBLIC
            && is_public
            && let Some(known) = self.all.iter().position(|index| index.repository == PUBLIC)
        {
            return Ok(known);
        }
        if let Some(other) = self.all.iter().find(|other| other.repository == repository) {
            let message = format!("two indexes would be called {repository}");
            return Err(Problem::new(Kind::Usage, "pypi.same-name", message)
                .because(format!("{} and {base}", other.base.as_ref().map_or("links", Url::as_str)))
                .hint("name them in aftk.toml: [[pypi]] index = \"…\", name = \"…\""));
        }
        let credential = credential.or_else(|| self.ways.of_index(&repository, &base));
        Ok(self.add(Index { repository, base: Some(base), credential, ..Index::default() }))
    }

    fn add(&mut self, index: Index) -> usize {
        self.all.push(Index { itself: self.all.len(), ..index });
        self.all.len() - 1
    }

    /// The same indexes, looked through together with links. What none of them has is had from the links alone.
    pub(super) fn with_links(&mut self, numbers: Vec<usize>, links: &BTreeSet<Link>) -> Vec<usize> {
        if links.is_empty() {
            return numbers;
        }
        let mut with_links = Vec::new();
        for (place, itself) in numbers.iter().enumerate() {
            let Some(index) = self.all.get(*itself) else { continue };
            let are_links_enough = place + 1 == numbers.len();
            let index = Index { links: links.clone(), are_links_enough, ..index.clone() };
            self.all.push(Index { itself: *itself, ..index });
            with_links.push(self.all.len() - 1);
        }
        if with_links.is_empty() {
            let host = links.iter().find_map(|link| match link {
                Link::Page(url) => Some(host_name(url)),
                Link::Directory(_) => None,
            });
            let repository = host.unwrap_or_else(|| LOCAL.to_owned());
            let links = links.clone();
            with_links.push(self.add(Index {
                repository,
                links,
                are_links_enough: true,
                ..Index::default()
            }));
        }
        with_links
    }

    /// The number of the same index without links.
    pub(super) fn without_links(&self, number: usize) -> usize {
        self.all.get(number).map_or(number, |index| index.itself)
    }

    /// The index that alone has a project, by the word of the configuration.
    pub(super) fn of_project(&self, project: &Name) -> Option<usize> {
        let is_of = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => project.as_str().starts_with(&start.replace(['_', '.'], "-").to_ascii_lowercase()),
            None => Name::parse(pattern).is_ok_and(|name| name == *project),
        };
        self.all.iter().position(|index| index.packages.iter().any(is_of))
    }

    /// Whether an index has nothing but projects that are named.
    pub(super) fn is_for_some(&self, number: usize) -> bool {
        self.all.get(number).is_some_and(|index| !index.packages.is_empty())
    }

    /// The way to a project's page.
    pub(super) fn page(&self, number: usize, project: &Name) -> Option<Access> {
        let index = self.all.get(number)?;
        let url = index.base.as_ref()?.join(&format!("{project}/")).ok()?;
        Some(self.let_in(url, Some(&index.repository)))
    }

    /// The way to a file of a repository. As with pip, what opens an index also opens what it keeps on its own origin.
    pub(super) fn let_in(&self, url: Url, repository: Option<&str>) -> Access {
        let of_repository = self.all.iter().filter(|index| Some(index.repository.as_str()) == repository);
        let is_near = |index: &&Index| index.base.as_ref().is_some_and(|base| base.origin() == url.origin());
        let mut candidates = of_repository.chain(&self.all).filter(is_near);
        let credential = candidates.find_map(|index| index.credential.clone());
        let credential = credential.or_else(|| self.ways.credential(&url));
        Access { credential, route: self.ways.route(&url), ..Access::open(url) }
    }
}

/// What the user tells uv, wherever it is run.
async fn uv_of_user(context: &dyn CollectContext) -> Result<UvSettings, Problem> {
    let of_system = context.environment("XDG_CONFIG_HOME").map(PathBuf::from);
    let directory = of_system.or_else(|| Some(context.home_directory()?.join(".config")));
    let Some(path) = directory.map(|directory| directory.join("uv/uv.toml")) else {
        return Ok(UvSettings::default());
    };
    let Some(bytes) = context.read(&path, LARGEST_SETTINGS).await? else { return Ok(UvSettings::default()) };
    UvSettings::parse(&String::from_utf8_lossy(&bytes), &path.display().to_string())
}

/// An index's address, ending in a slash, and the user in it.
fn read(text: &str) -> Result<(Url, Option<Credential>), Problem> {
    let wrong = || {
        let shown = text.split('@').next_back().unwrap_or_default();
        Problem::new(Kind::Usage, "pypi.index", format!("{shown:?} is no address of an index"))
            .hint("an index has an address like https://…/simple/")
    };
    let mut url = Url::parse(text.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(wrong)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), url.password().map(decoded).unwrap_or_default());
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| wrong())?;
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let credential =
        (!user.is_empty() || !password.is_empty()).then(|| Credential::basic(&url, &user, &password));
    Ok((url, credential))
}

/// Whether two addresses are of one index, whichever scheme old documents write.
fn same(one: &Url, other: &Url) -> bool {
    one.host_str() == other.host_str() && one.port() == other.port() && one.path() == other.path()
}

/// An index's host, and its port if it is not the usual one.
pub(super) fn host_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "_");
    url.port().map_or_else(|| host.clone(), |port| format!("{host}_{port}"))
}
