//! `uv.lock`: all packages for all environments, and what leads from each to others.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::lock::{Edge, File, Hash, Lock, Origin, Owner, Package, file_name};
use super::{damaged, read_toml, unreadable};
use crate::ecosystem::pypi::marker::{Marker, Operand, Variable};
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::specifier::Specifiers;
use crate::ecosystem::pypi::version::Version;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    version: u32,
    requires_python: Option<String>,
    #[serde(default)]
    supported_markers: Vec<String>,
    manifest: Option<Manifest>,
    #[serde(default)]
    package: Vec<Written>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    name: String,
    version: Option<String>,
    source: Source,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Dependency>>,
    sdist: Option<WrittenFile>,
    #[serde(default)]
    wheels: Vec<WrittenFile>,
}

#[derive(Deserialize, PartialEq, Eq, Clone)]
struct Source {
    registry: Option<String>,
    url: Option<String>,
    git: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    #[serde(rename = "virtual")]
    only_dependencies: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    source: Option<Source>,
    #[serde(default)]
    extra: Vec<String>,
    marker: Option<String>,
}

#[derive(Deserialize)]
struct WrittenFile {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
    size: Option<u64>,
}

impl Source {
    fn origin(&self) -> Origin {
        let local = [&self.path, &self.directory, &self.editable, &self.only_dependencies];
        match (&self.registry, &self.url, &self.git) {
            (Some(registry), ..) => Origin::Index(Some(registry.clone())),
            (_, Some(url), _) => Origin::Url(url.clone()),
            (.., Some(git)) => Origin::Repository(git.clone()),
            _ => Origin::Local(local.into_iter().flatten().next().cloned().unwrap_or_default()),
        }
    }

    /// Whether it is the project itself, or a member of its workspace.
    fn is_project(&self) -> bool {
        self.editable.is_some() || self.only_dependencies.is_some()
    }
}

/// Reads a lockfile.
///
/// # Errors
/// If it is damaged, of a version to come, or leads to a package that is not in it.
pub(crate) fn parse(text: &str, place: &str) -> Result<Lock, Problem> {
    let document: Document = read_toml(text, place)?;
    if document.version != 1 {
        return Err(damaged(place, format!("it is of version {}, and version 1 is read", document.version)));
    }
    let requires_python = document.requires_python.as_deref().map(Specifiers::parse).transpose();
    let environments =
        document.supported_markers.iter().map(|text| Marker::parse(text)).collect::<Result<_, _>>();
    let mut lock = Lock {
        requires_python: requires_python.map_err(unreadable(place))?,
        environments: environments.map_err(unreadable(place))?,
        ..Lock::default()
    };
    let name = |text: &str| Name::parse(text).map_err(unreadable(place));
    let mut numbers: HashMap<Name, Vec<usize>> = HashMap::new();
    for (number, written) in document.package.iter().enumerate() {
        numbers.entry(name(&written.name)?).or_default().push(number);
    }
    let members = document.manifest.map(|manifest| manifest.members).unwrap_or_default();
    let reader = Reader { written: &document.package, numbers: &numbers, place };
    for (number, written) in document.package.iter().enumerate() {
        let package = reader.package(written)?;
        let is_member = members.contains(&written.name) || members.is_empty() && written.source.is_project();
        if is_member {
            let mut root = Edge::to(number);
            root.extras = Vec::new();
            lock.roots.push(root);
            // Groups are the project's own: nobody who needs it gets them.
            for (group, dependencies) in &written.dev_dependencies {
                let group = name(group)?;
                lock.roots.extend(reader.edges(dependencies, &Owner::Group(group.clone()))?);
                lock.groups.push(group);
            }
            for extra in written.optional_dependencies.keys() {
                let extra = name(extra)?;
                let of = Owner::Extra(extra.clone());
                lock.roots.push(Edge { extras: vec![extra.clone()], of, ..Edge::to(number) });
                lock.extras.push(extra);
            }
        }
        lock.packages.push(package);
    }
    for list in [&mut lock.groups, &mut lock.extras] {
        list.sort();
        list.dedup();
    }
    lock.default_groups = lock.groups.iter().filter(|group| group.as_str() == "dev").cloned().collect();
    Ok(lock)
}

struct Reader<'a> {
    written: &'a [Written],
    numbers: &'a HashMap<Name, Vec<usize>>,
    place: &'a str,
}

impl Reader<'_> {
    fn package(&self, written: &Written) -> Result<Package, Problem> {
        let unreadable = unreadable(self.place);
        let mut files = Vec::new();
        for file in written.wheels.iter().chain(&written.sdist) {
            let address = file.url.as_deref().or(file.path.as_deref());
            let address = address.or(matches!(written.source.origin(), Origin::Url(_))
                .then_some(written.source.url.as_deref())
                .flatten());
            let named = file.filename.clone().or_else(|| address.map(file_name));
            let name = named
                .ok_or_else(|| damaged(self.place, format!("a file of {} has no name", written.name)))?;
            let hashes = file.hash.as_deref().map(Hash::parse).transpose().map_err(&unreadable)?;
            files.push(File {
                name,
                url: file.url.clone(),
                size: file.size,
                hashes: hashes.into_iter().collect(),
            });
        }
        let mut edges = self.edges(&written.dependencies, &Owner::Package)?;
        for (extra, dependencies) in &written.optional_dependencies {
            edges.extend(self.edges(dependencies, &Owner::Extra(Name::parse(extra).map_err(&unreadable)?))?);
        }
        Ok(Package {
            name: Name::parse(&written.name).map_err(&unreadable)?,
            version: written.version.as_deref().and_then(Version::parse),
            origin: written.source.origin(),
            files,
            hashes: Vec::new(),
            edges,
        })
    }

    fn edges(&self, dependencies: &[Dependency], of: &Owner) -> Result<Vec<Edge>, Problem> {
        dependencies.iter().map(|dependency| self.edge(dependency, of)).collect()
    }

    fn edge(&self, dependency: &Dependency, of: &Owner) -> Result<Edge, Problem> {
        let unreadable = unreadable(self.place);
        let name = Name::parse(&dependency.name).map_err(&unreadable)?;
        // Only where several packages have the name are version and source said.
        let is_meant = |number: &&usize| {
            self.written.get(**number).is_some_and(|written| {
                dependency.version.as_ref().is_none_or(|version| written.version.as_ref() == Some(version))
                    && dependency.source.as_ref().is_none_or(|source| written.source == *source)
            })
        };
        let found = self.numbers.get(&name).and_then(|numbers| numbers.iter().find(is_meant));
        let to =
            *found.ok_or_else(|| damaged(self.place, format!("it leads to {name}, which is not in it")))?;
        let extras = dependency.extra.iter().map(|extra| Name::parse(extra)).collect::<Result<_, _>>();
        let marker = dependency.marker.as_deref().map(Marker::parse).transpose().map_err(&unreadable)?;
        let marker = marker.map(plain);
        Ok(Edge { to, extras: extras.map_err(&unreadable)?, of: of.clone(), marker })
    }
}

/// A marker with the project's extras and groups under their own names: where some exclude each other, uv writes
/// `extra == 'extra-3-app-gpu'` and `extra == 'group-3-app-dev'`, with the length of the project's name before it.
fn plain(marker: Marker) -> Marker {
    match marker {
        Marker::All(all) => Marker::All(all.into_iter().map(plain).collect()),
        Marker::Any(any) => Marker::Any(any.into_iter().map(plain).collect()),
        Marker::Compare(Operand::Variable(Variable::Extra), operator, Operand::Text(word)) => {
            let (variable, name) = match (plain_name(&word, "extra-"), plain_name(&word, "group-")) {
                (Some(extra), _) => (Variable::Extra, extra),
                (None, Some(group)) => (Variable::DependencyGroups, group),
                (None, None) => (Variable::Extra, &*word),
            };
            Marker::Compare(Operand::Variable(variable), operator, Operand::Text(name.into()))
        }
        other => other,
    }
}

/// `gpu` of `extra-3-app-gpu`.
fn plain_name<'a>(word: &'a str, kind: &str) -> Option<&'a str> {
    let (length, rest) = word.strip_prefix(kind)?.split_once('-')?;
    rest.get(length.parse::<usize>().ok()?..)?.strip_prefix('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::marker::Chosen;
    use crate::ecosystem::pypi::target::Target;

    const TEXT: &str = r#"
        version = 1
        revision = 3
        requires-python = ">=3.9"
        [[package]]
        name = "app"
        version = "0.1.0"
        source = { virtual = "." }
        dependencies = [
            { name = "num", version = "1.0", source = { registry = "https://index.example.test/simple" }, marker = "python_full_version < '3.10'" },
            { name = "num", version = "2.0", source = { registry = "https://index.example.test/simple" }, marker = "python_full_version >= '3.10'" },
            { name = "web", extra = ["fast"] },
        ]
        [package.optional-dependencies]
        plot = [{ name = "plotter" }]
        [package.dev-dependencies]
        dev = [{ name = "tester" }]
        [[package]]
        name = "loop"
        version = "1"
        source = { registry = "https://index.example.test/simple" }
        [[package]]
        name = "num"
        version = "1.0"
        source = { registry = "https://index.example.test/simple" }
        [[package]]
        name = "num"
        version = "2.0"
        source = { registry = "https://index.example.test/simple" }
        sdist = { url = "https://files.example.test/num-2.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000", size = 7 }
        wheels = [{ url = "https://files.example.test/num-2.0%2Bx-py3-none-any.whl" }]
        [[package]]
        name = "plotter"
        version = "1"
        source = { git = "https://git.example.test/plotter.git?rev=main#abc" }
        [[package]]
        name = "tester"
        version = "1"
        source = { url = "https://files.example.test/tester-1.tar.gz" }
        sdist = { hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
        dependencies = [{ name = "web" }]
        [[package]]
        name = "web"
        version = "1"
        source = { registry = "https://index.example.test/simple" }
        dependencies = [{ name = "tester" , marker = "sys_platform == 'win32'" }]
        [package.optional-dependencies]
        fast = [{ name = "loop", marker = "sys_platform != 'win32'" }]
    "#;

    #[test]
    fn what_a_target_needs_is_what_leads_to_it() {
        let lock = parse(TEXT, "uv.lock").unwrap();
        let names = |target: &str, extras: &[Name], groups: &[Name]| -> Vec<_> {
            let packages = lock.packages_for(&Target::parse(target).unwrap(), Chosen { extras, groups });
            let line = |package: &&Package| format!("{} {}", package.name, package.version.as_ref().unwrap());
            packages.iter().map(line).collect()
        };
        assert_eq!(names("cp312-linux-x86_64", &[], &[]), ["app 0.1.0", "loop 1", "num 2.0", "web 1"]);
        assert_eq!(names("cp39-win_amd64", &[], &[]), ["app 0.1.0", "num 1.0", "tester 1", "web 1"]);
        assert_eq!(
            names("cp312-linux-x86_64", &lock.extras, &lock.default_groups),
            ["app 0.1.0", "loop 1", "num 2.0", "plotter 1", "tester 1", "web 1"]
        );
        let num = &lock.packages[3];
        let files: Vec<_> = num.files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        assert_eq!(files, [("num-2.0+x-py3-none-any.whl", None), ("num-2.0.tar.gz", Some(7))]);
        assert_eq!(lock.packages[0].origin, Origin::Local(".".to_owned()));
        assert_eq!(lock.packages[5].files[0].name, "tester-1.tar.gz");
    }

    #[test]
    fn extras_and_groups_that_exclude_each_other_have_their_names() {
        let text = TEXT
            .replace("sys_platform != 'win32'", "extra == 'extra-3-app-plot' or extra != 'group-3-app-dev'");
        let lock = parse(&text, "uv.lock").unwrap();
        let target = Target::parse("cp312-linux-x86_64").unwrap();
        let has_loop = |extras: &[Name], groups: &[Name]| {
            let packages = lock.packages_for(&target, Chosen { extras, groups });
            packages.iter().any(|package| package.name.as_str() == "loop")
        };
        assert!(has_loop(&[], &[]) && has_loop(&lock.extras, &lock.groups));
        assert!(!has_loop(&[], &lock.groups));
        assert_eq!(plain_name("extra-99-app-x", "extra-"), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("version = 2", "version 2"),
            (
                "version = 1\n[[package]]\nname = 'a'\nsource = {virtual='.'}\ndependencies = [{name='b'}]",
                "leads to b",
            ),
            ("version = 1\n[[package]]\nname = 'a'\nsource = {registry='x'}\nsdist = {}", "has no name"),
            ("version = 1\n[[package]]\nname = 'a'", "source"),
        ] {
            let problem = parse(text, "uv.lock").unwrap_err();
            assert!(problem.causes.iter().any(|cause| cause.contains(why)), "{problem:?}");
        }
    }
}
