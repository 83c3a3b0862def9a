//! `aftk.toml`: what a project collects.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml::Spanned;

use crate::problem::{Kind, Problem};
use crate::settings::Settings;

/// The version of the file's form that this program reads.
const FORMAT: u32 = 1;

/// What a project collects, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The version of the file's form: 1.
    pub format: u32,
    /// The channel its snapshots go to.
    #[serde(default = "default_channel")]
    pub channel: String,
    /// `add` (a site keeps what it had) or `replace` (a site shows exactly this).
    #[serde(default)]
    pub mode: Mode,
    /// The requests.
    pub requests: Vec<String>,
    /// The platforms the closure is for; none: whatever the lockfiles list.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// The name or file of the key that signs.
    #[serde(default)]
    pub key: Option<String>,
    /// Gaps that are known and accepted.
    #[serde(default, rename = "gap")]
    pub gaps: Vec<AllowedGap>,
    /// What is said to one ecosystem alone.
    #[serde(skip)]
    pub settings: Vec<Settings>,
    /// What is said to apt, before it is known where.
    #[serde(default)]
    apt: Vec<Spanned<Map<String, Value>>>,
    /// The same of npm.
    #[serde(default)]
    npm: Vec<Spanned<Map<String, Value>>>,
    /// The same of Python packages.
    #[serde(default)]
    pypi: Vec<Spanned<Map<String, Value>>>,
}

/// How a snapshot relates to what a site had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The site keeps what it had, and gets this too.
    #[default]
    Add,
    /// The site shows exactly this.
    Replace,
}

impl From<Mode> for bundle_format::Mode {
    fn from(mode: Mode) -> bundle_format::Mode {
        match mode {
            Mode::Add => bundle_format::Mode::Add,
            Mode::Replace => bundle_format::Mode::Replace,
        }
    }
}

/// A gap that somebody looked at and accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedGap {
    /// `ecosystem:name`, as the gap's message prints it.
    pub name: String,
    /// The version it is accepted for; all, if it is not said.
    #[serde(default)]
    pub version: Option<String>,
    /// Why it is acceptable: kept in the lock, for whoever reviews it.
    pub reason: String,
}

impl AllowedGap {
    /// Whether it speaks of this gap.
    pub fn covers(&self, gap: &crate::findings::Gap) -> bool {
        self.name == format!("{}:{}", gap.ecosystem, gap.name)
            && self.version.as_ref().is_none_or(|version| *version == gap.version)
    }
}

fn default_channel() -> String {
    "default".to_owned()
}

impl Project {
    /// Reads an `aftk.toml`.
    ///
    /// # Errors
    /// A usage problem if there is none, or with the place of what is wrong in it.
    pub fn read(path: &Path) -> Result<Project, Problem> {
        let text = super::text(path)?.ok_or_else(|| {
            Problem::new(Kind::Usage, "config.missing", format!("there is no {}", path.display()))
                .hint("`aftk init` writes one, or name what to collect: `aftk collect npm:./package-lock.json --out DIR`")
        })?;
        let mut project: Project = super::parse(&text, path)?;
        for (ecosystem, tables) in [
            ("apt", std::mem::take(&mut project.apt)),
            ("npm", std::mem::take(&mut project.npm)),
            ("pypi", std::mem::take(&mut project.pypi)),
        ] {
            project.settings.extend(super::settings(ecosystem, tables, &text, path));
        }
        let wrong =
            |message: String| Err(Problem::new(Kind::Usage, "config.invalid", message).at(path.display()));
        if project.format != FORMAT {
            return wrong(format!(
                "format {} is not known; this version reads format {FORMAT}",
                project.format
            ));
        }
        if project.requests.is_empty() {
            return wrong("`requests` is empty: there is nothing to collect".to_owned());
        }
        if let Some(gap) = project.gaps.iter().find(|gap| gap.reason.trim().is_empty()) {
            return wrong(format!("the gap {:?} needs a reason", gap.name));
        }
        Ok(project)
    }
}

/// The text of a new `aftk.toml` with these requests.
pub fn template(requests: &[String]) -> String {
    let list: String =
        requests.iter().map(|request| format!("  {},\n", toml::Value::String(request.clone()))).collect();
    format!(
        "# What this project carries into the air gap. `aftk lock` resolves it, `aftk collect` packs it.\n\
         format = {FORMAT}\n\
         channel = \"default\"\n\
         \n\
         # `ecosystem:what`; a path to a lockfile may stand alone.\n\
         requests = [\n{list}]\n\
         \n\
         # A gap that you looked at and accept; any other one stops `collect`.\n\
         # [[gap]]\n\
         # name = \"npm:some-package\"\n\
         # reason = \"is built from source inside\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Project, Problem> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("aftk.toml");
        crate::fsx::replace_file(&path, text.as_bytes()).unwrap();
        Project::read(&path)
    }

    #[test]
    fn the_template_is_read_back() {
        let requests = vec!["npm:./package-lock.json".to_owned(), "file:a \"b\".txt".to_owned()];
        let project = read(&template(&requests)).unwrap();
        assert_eq!(project.requests, requests);
        assert_eq!(project.mode, Mode::Add);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let problem = read("format = 1\nrequests = [\"file:x\"]\nchanel = \"prod\"\n").unwrap_err();
        assert!(problem.message.contains("chanel"), "{problem}");
        assert!(problem.place.unwrap().ends_with("aftk.toml:3:1"));
        assert!(read("format = 2\nrequests = [\"file:x\"]").unwrap_err().message.contains("format 2"));
        assert!(read("format = 1\nrequests = []").is_err());
        assert!(
            read("format = 1\nrequests = [\"file:x\"]\n[[gap]]\nname = \"npm:x\"\nreason = \" \"").is_err()
        );
    }

    #[test]
    fn what_is_said_to_an_ecosystem_keeps_its_place() {
        let text = "format = 1\nrequests = [\"apt:nginx\"]\n\n[[apt]]\nuri = \"https://mirror.example.test/debian\"\n\n\
                    [[apt]]\nsuites = [\"a\", \"b\"]\n";
        let settings = read(text).unwrap().settings;
        assert_eq!(settings[0].values["uri"], "https://mirror.example.test/debian");
        assert!(settings[0].place.ends_with("aftk.toml:4:1"), "{}", settings[0].place);
        assert!(settings[1].place.ends_with("aftk.toml:7:1"), "{}", settings[1].place);
        assert_eq!(settings[1].values["suites"], serde_json::json!(["a", "b"]));
    }

    #[test]
    fn a_gap_is_covered_by_name_and_version() {
        let gap = crate::findings::Gap {
            ecosystem: "npm".into(),
            name: "@a/b".into(),
            version: "1.0.0".into(),
            reason: "not-found".into(),
            detail: String::new(),
        };
        let allowed = |name: &str, version: Option<&str>| AllowedGap {
            name: name.into(),
            version: version.map(Into::into),
            reason: "known".into(),
        };
        assert!(allowed("npm:@a/b", None).covers(&gap));
        assert!(allowed("npm:@a/b", Some("1.0.0")).covers(&gap));
        assert!(!allowed("npm:@a/b", Some("2.0.0")).covers(&gap));
        assert!(!allowed("@a/b", None).covers(&gap));
    }
}
