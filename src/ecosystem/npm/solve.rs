//! What `npm install` would choose for a project: knowing more and more, until its tree can be built.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::documents::Documents;
use super::engines::Engines;
use super::ideal::{Dependency, Ideal, Known, Look, Manifest, Needs, Origin, Outcome, Project, build};
use super::lock::EdgeKind;
use super::names;
use super::origin::Routes;
use super::remote::Remotes;
use super::shelf::{Filler, Shelf};
use super::spec::{Spec, split_range};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Request, RequestBody};
use crate::problem::{Kind, Problem};

/// How often something new may have to be known.
const ROUNDS: usize = 256;

/// A package by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    name: String,
    /// A range, a tag or an alias; empty for any version.
    text: String,
}

impl Word {
    /// Reads `name`, `name@range`, `name@tag` or `name@npm:other@range`.
    ///
    /// # Errors
    /// Usage, if it is none of them.
    pub(crate) fn read(what: &str) -> Result<Word, Problem> {
        let wrong = |why: String| {
            Problem::new(Kind::Usage, "npm.request", format!("npm:{what} cannot be asked for"))
                .because(why)
                .hint("npm:NAME, npm:NAME@RANGE, npm:@SCOPE/NAME@TAG, npm:NAME@npm:OTHER@RANGE, or the path of a lockfile")
        };
        let (name, text) = split_range(what.trim());
        if !names::is_valid(name) {
            return Err(wrong(format!("{name:?} is no package name")));
        }
        if !Spec::read(text).is_registry() {
            return Err(wrong(format!("{text:?} is nothing that a registry has")));
        }
        Ok(Word { name: name.to_owned(), text: text.trim().to_owned() })
    }

    /// What makes it this request and no other.
    pub(crate) fn identity(&self) -> String {
        format!("npm:{}@{}", self.name, self.text)
    }
}

/// Packages by name that are installed together.
#[derive(Debug, Default)]
pub(crate) struct Together {
    /// The requests, as they were written.
    pub(crate) requests: Vec<String>,
    /// What they ask for.
    pub(crate) words: Vec<Word>,
}

/// The requests by name, those together that are installed together: all, but the second of one name with others of
/// its kind, and so on.
pub(crate) fn words(requests: &[Request]) -> Result<Vec<Together>, Problem> {
    let mut groups: Vec<Together> = Vec::new();
    for request in requests {
        let RequestBody::Words(what) = &request.body else { continue };
        let word = Word::read(what)?;
        let is_free = |group: &Together| group.words.iter().all(|other| other.name != word.name);
        let place = groups.iter().position(is_free).unwrap_or_else(|| {
            groups.push(Together::default());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.requests.push(request.text.clone());
            group.words.push(word);
        }
    }
    Ok(groups)
}

/// Solves projects.
pub(crate) struct Solver<'a> {
    routes: &'a Routes,
    documents: &'a Documents<'a>,
    remotes: &'a Remotes<'a>,
    engines: Engines,
    context: &'a dyn CollectContext,
    shelf: Shelf,
}

impl<'a> Solver<'a> {
    /// One that knows nothing yet but the registries in use.
    pub(crate) async fn new(
        routes: &'a Routes,
        documents: &'a Documents<'a>,
        remotes: &'a Remotes<'a>,
        context: &'a dyn CollectContext,
    ) -> Solver<'a> {
        let engines = Engines::of_machine(context).await;
        Solver { routes, documents, remotes, engines, context, shelf: Shelf::default() }
    }

    /// A project that needs nothing but packages by name.
    ///
    /// # Errors
    /// If registries cannot be reached.
    pub(crate) async fn project_of(&mut self, words: &[Word]) -> Result<Project, Problem> {
        let needs = words.iter().map(|word| (Arc::from(&*word.name), Arc::from(&*word.text)));
        self.fill(needs.collect()).await?;
        Ok(project_of(words, &self.shelf))
    }

    /// Warns of a project whose engines are not those of this machine.
    ///
    /// # Errors
    /// Refused, if npm is told to (`engine-strict`).
    pub(crate) fn must_run(&self, engines: &Value, shown: &str) -> Result<(), Problem> {
        let Some((engine, version)) = self.engines.lacking(engines) else { return Ok(()) };
        let wanted = engines.get(engine).and_then(Value::as_str).unwrap_or_default();
        let message =
            format!("the project wants {engine} {wanted}, and this machine has {version} (EBADENGINE)");
        if !self.routes.is_engine_strict() {
            self.context.events().warn("npm.engines", message);
            return Ok(());
        }
        let problem = Problem::new(Kind::Refused, "npm.engines", message).at(shown);
        Err(problem.hint("packages are chosen for the node and npm at hand; without engine-strict in .npmrc this is a warning"))
    }

    /// The tree of a project.
    ///
    /// # Errors
    /// If registries cannot be reached, wishes contradict each other, or there is no end of it.
    pub(crate) async fn solve(mut self, project: Project) -> Result<Ideal, Problem> {
        let project = Arc::new(project);
        let directories = project.directories.iter().map(|directory| &directory.manifest);
        let all = std::iter::once(&project.manifest).chain(directories);
        let mut needs: Needs = all
            .flat_map(|manifest| &manifest.dependencies)
            .map(|dependency| (dependency.name.clone(), dependency.text.clone()))
            .collect();
        for _ in 0..ROUNDS {
            self.fill(needs).await?;
            let (same, settings, shelf) =
                (project.clone(), self.routes.settings(), std::mem::take(&mut self.shelf));
            let outcome;
            (outcome, self.shelf) = blocking(move || Ok((build(&same, &shelf, settings)?, shelf))).await?;
            match outcome {
                Outcome::Needs(more) => needs = more,
                outcome => return built(outcome),
            }
        }
        built(Outcome::Endless)
    }

    async fn fill(&mut self, needs: Needs) -> Result<(), Problem> {
        let Solver { routes, documents, remotes, engines, context, shelf } = self;
        let before = routes.before()?;
        let filler = Filler { routes, documents, remotes, before, engines, context: *context };
        filler.fill(shelf, needs).await
    }
}

/// The tree that came of it.
///
/// # Errors
/// If none did.
pub(crate) fn built(outcome: Outcome) -> Result<Ideal, Problem> {
    let cause = match outcome {
        Outcome::Built(ideal) => return Ok(*ideal),
        Outcome::Conflict(lines) => return Err(unsolvable(lines)),
        Outcome::Needs(needs) => format!("{} things more would have to be known", needs.len()),
        Outcome::Endless => "there are more ways than there is time for".to_owned(),
    };
    let message = "it cannot be found out how the packages go together";
    Err(Problem::new(Kind::Failed, "npm.too-much", message).because(cause))
}

/// A project that needs nothing but packages by name. What is asked for by a tag is what it points at now, as npm has it.
pub(crate) fn project_of(words: &[Word], known: &dyn Known) -> Project {
    let dependencies = words.iter().map(|word| {
        let version = match (Spec::read(&word.text), known.look(&word.name, &word.text)) {
            (Spec::Tag(_), Look::Found(manifest)) => Some(manifest.version.clone()),
            _ => None,
        };
        let text = version.as_deref().unwrap_or(&word.text);
        Dependency::new(&word.name, text, EdgeKind::Runtime)
    });
    let manifest = Manifest::new("", "", dependencies.collect(), Origin::Directory(Arc::from("")));
    Project {
        manifest: Arc::new(manifest),
        overrides: Map::new(),
        overrides_itself: false,
        directories: Vec::new(),
    }
}

/// What npm calls `ERESOLVE`.
fn unsolvable(lines: Vec<String>) -> Problem {
    let message = "npm could not install this: what packages want beside them contradicts (ERESOLVE)";
    let mut problem = Problem::new(Kind::Incomplete, "npm.unsolvable", message);
    problem.causes = lines;
    problem
        .hint("ask for versions that go together, or write `overrides` into package.json")
        .hint("`legacy-peer-deps=true` in .npmrc installs without heeding that, as it does for npm")
}
