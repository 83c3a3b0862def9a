//! What a project says to apt in its `[[apt]]` tables: which sources it collects from, and how it resolves.

use std::path::PathBuf;

use serde::Deserialize;

use super::machine::Machine;
use super::solve::Engine;
use super::source::{Key, Reach, Source, SourceKind, Trust, base_of, is_path, repository_name};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};
use crate::settings::{OneOrMore, Settings};

/// All that is said, in the project or by this machine's apt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) sources: Vec<Source>,
    /// Those of the systems that are collected for, their own first; none, if nobody says.
    pub(super) architectures: Vec<String>,
    pub(super) engine: Engine,
    pub(super) without_recommends: bool,
    pub(super) suggests: bool,
    /// What the machines have that are collected for, if it need not be collected again.
    pub(super) baselines: Vec<PathBuf>,
    /// Preferences files (apt_preferences(5)), in their order.
    pub(super) preferences: Vec<PathBuf>,
    /// As `apt-get -t` is given it; empty for none.
    pub(super) target_release: String,
    pub(super) with_sources: bool,
}

/// One `[[apt]]`: a source, where it has a `uri`; and settings for all, of which the last count.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    uri: Option<String>,
    name: Option<String>,
    suites: Vec<String>,
    components: Vec<String>,
    architectures: Vec<String>,
    signed_by: Option<OneOrMore>,
    trusted: bool,
    by_hash: Option<bool>,
    check_valid_until: Option<bool>,
    token_variable: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    authority: Option<PathBuf>,
    engine: Option<EngineName>,
    recommends: Option<bool>,
    suggests: Option<bool>,
    baseline: Option<OneOrMore>,
    preferences: Option<OneOrMore>,
    target_release: Option<String>,
    with_sources: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EngineName {
    Exact,
    Superset,
}

impl Options {
    /// Reads what is said; where no source is named, this machine's apt is asked for its own.
    ///
    /// # Errors
    /// Usage, with the place of what is wrong; if no source is known at all.
    pub(super) async fn load(machine: &Machine, context: &dyn CollectContext) -> Result<Options, Problem> {
        let mut options = Options::default();
        for settings in context.settings("apt") {
            options.take(settings.read()?, &settings)?;
        }
        if options.sources.is_empty() {
            options.sources = machine.sources(context).await?;
            if options.preferences.is_empty() {
                let places = ("Dir::Etc::preferences", "Dir::Etc::preferencesparts");
                let files = machine.files(places, &["pref", ""], context).await?;
                options.preferences = files.into_iter().map(|(path, _)| path).collect();
            }
            let checks = machine.value("Acquire::Check-Valid-Until");
            if checks.is_some_and(|value| matches!(value, "false" | "no" | "0")) {
                options.sources.iter_mut().for_each(|source| source.check_valid_until = false);
            }
        }
        if options.sources.is_empty() {
            let message = "it is not said where packages come from";
            return Err(Problem::new(Kind::Usage, "apt.no-sources", message).hint(
                "name the archive in aftk.toml: [[apt]] uri = \"https://…/debian\", suites = [\"bookworm\"], components = \
                 [\"main\"], signed-by = \"FILE\"",
            ));
        }
        if options.architectures.is_empty() {
            options.architectures = machine.architectures();
        }
        one_address_a_name(&options.sources)?;
        Ok(options)
    }

    fn take(&mut self, table: Table, settings: &Settings) -> Result<(), Problem> {
        let wrong = |why: &str| {
            Problem::new(Kind::Usage, "apt.settings", format!("[[apt]]: {why}")).at(&settings.place)
        };
        self.engine = match table.engine {
            Some(EngineName::Exact) => Engine::Exact,
            Some(EngineName::Superset) => Engine::Superset,
            None => self.engine,
        };
        self.without_recommends = table.recommends.map_or(self.without_recommends, |recommends| !recommends);
        self.suggests = table.suggests.unwrap_or(self.suggests);
        self.with_sources = table.with_sources.unwrap_or(self.with_sources);
        self.target_release = table.target_release.unwrap_or(std::mem::take(&mut self.target_release));
        let paths = |list: OneOrMore| list.list().into_iter().map(PathBuf::from).collect();
        self.baselines = table.baseline.map_or(std::mem::take(&mut self.baselines), paths);
        self.preferences = table.preferences.map_or(std::mem::take(&mut self.preferences), paths);
        let reach = Reach {
            token: table.token_variable,
            certificate: table.certificate,
            key: table.key,
            authority: table.authority,
        };
        let Some(uri) = table.uri else {
            let is_source = table.name.is_some()
                || !table.suites.is_empty()
                || table.signed_by.is_some()
                || reach != Reach::default();
            if is_source {
                return Err(wrong("a source has a `uri`"));
            }
            if !table.architectures.is_empty() {
                self.architectures = table.architectures;
            }
            return Ok(());
        };
        let base = base_of(&uri, &settings.place)?;
        if reach != Reach::default() && base.scheme() != "https" {
            return Err(wrong("tokens and certificates are for https alone"));
        }
        if reach.key.is_some() && reach.certificate.is_none() {
            return Err(wrong("a `key` is that of a `certificate`"));
        }
        if table.suites.is_empty() {
            return Err(wrong("a source has `suites`; that of a flat repository is \"./\""));
        }
        let names = table.suites.iter().chain(&table.components).chain(&table.architectures);
        if let Some(name) = names.into_iter().find(|name| !is_path(name)) {
            return Err(wrong(&format!("{name:?} is no name in an archive")));
        }
        let repository = table.name.unwrap_or_else(|| repository_name(&base));
        if !bundle_format::document::is_name(&repository) {
            return Err(wrong(&format!(
                "{repository:?} is no name of a repository: write another one as `name`"
            )));
        }
        if self.architectures.is_empty() {
            self.architectures.clone_from(&table.architectures);
        }
        let trust = match (table.trusted, table.signed_by) {
            (true, None) => Trust::Anybody,
            (true, Some(_)) => return Err(wrong("`trusted` and `signed-by` exclude each other")),
            (false, None) => Trust::Machine,
            (false, Some(keys)) => Trust::Keys(keys.list().into_iter().map(key).collect()),
        };
        for suite in table.suites {
            if suite.ends_with('/') != table.components.is_empty() {
                return Err(wrong(
                    "a suite has `components`, and a flat repository, whose suite ends in `/`, has none",
                ));
            }
            for kind in [SourceKind::Binary, SourceKind::Source] {
                self.sources.push(Source {
                    repository: repository.clone(),
                    base: base.clone(),
                    account: None,
                    suite: suite.clone(),
                    components: table.components.clone(),
                    kind,
                    architectures: table.architectures.clone(),
                    trust: trust.clone(),
                    by_hash: table.by_hash.unwrap_or(true),
                    check_valid_until: table.check_valid_until.unwrap_or(true),
                    reach: reach.clone(),
                    place: settings.place.clone(),
                });
            }
        }
        Ok(())
    }
}

/// A key as a project names it: a fingerprint, a block of keys, or else a file.
fn key(text: String) -> Key {
    let is_fingerprint = |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match () {
        () if text.trim_start().starts_with("-----BEGIN") => Key::Embedded(text),
        () if is_fingerprint(text.trim_end_matches('!')) => Key::Fingerprint(text),
        () => Key::File(PathBuf::from(text)),
    }
}

/// Two archives cannot share a name: what one of them lists would be had from the other.
fn one_address_a_name(sources: &[Source]) -> Result<(), Problem> {
    for source in sources {
        let other =
            sources.iter().find(|other| other.repository == source.repository && other.base != source.base);
        if let Some(other) = other {
            let message = format!("two archives would be called {}", source.repository);
            return Err(Problem::new(Kind::Usage, "apt.same-name", message)
                .at(&source.place)
                .because(format!("{} and {}", source.base, other.base))
                .hint("name the sources in aftk.toml, with `name` for one of the two: [[apt]] uri = \"…\", name = \"…\""));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, wait};
    use super::*;

    fn load(tables: &[&str]) -> Result<Options, Problem> {
        let settings = |(number, text): (usize, &&str)| Settings {
            ecosystem: "apt".to_owned(),
            place: format!("aftk.toml:{}", number + 1),
            values: serde_json::from_str(text).unwrap(),
        };
        let fake = Fake { settings: tables.iter().enumerate().map(settings).collect(), ..Fake::default() };
        wait(Options::load(&wait(Machine::ask(&fake)), &fake))
    }

    const SOURCE: &str = r#"{"uri": "https://mirror.example.test/debian", "suites": ["stable", "stable-updates"],
        "components": ["main"], "architectures": ["arm64"], "signed-by": ["keys/a.gpg", "0123456789012345678901234567890123456789"]}"#;

    #[test]
    fn a_table_is_a_source_or_settings() {
        let options =
            load(&[SOURCE, r#"{"recommends": false, "engine": "superset", "baseline": "web01"}"#]).unwrap();
        assert_eq!(options.sources.len(), 4, "binary and source packages of two suites");
        assert_eq!(
            (options.sources[0].repository.as_str(), options.sources[2].suite.as_str()),
            ("debian", "stable-updates")
        );
        let keys = vec![
            Key::File("keys/a.gpg".into()),
            Key::Fingerprint("0123456789012345678901234567890123456789".to_owned()),
        ];
        assert_eq!(options.sources[0].trust, Trust::Keys(keys));
        assert!(options.without_recommends && options.engine == Engine::Superset);
        assert_eq!(
            (options.architectures, options.baselines),
            (vec!["arm64".to_owned()], vec!["web01".into()])
        );
        // What is said last counts.
        let options = load(&[SOURCE, r#"{"recommends": false}"#, r#"{"recommends": true}"#]).unwrap();
        assert!(!options.without_recommends);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (table, why) in [
            (r#"{"suits": []}"#, "unknown field `suits`"),
            (r#"{"engine": "magic"}"#, "unknown variant `magic`"),
            (r#"{"suites": ["a"]}"#, "has a `uri`"),
            (r#"{"uri": "https://x.example.test/a"}"#, "has `suites`"),
            (
                r#"{"uri": "https://x.example.test/a", "suites": ["../b"], "components": ["c"]}"#,
                "no name in an archive",
            ),
            (r#"{"uri": "https://x.example.test/a", "suites": ["./"], "components": ["c"]}"#, "flat"),
            (r#"{"uri": "ftp://x.example.test/a", "suites": ["./"]}"#, "begins with ftp:"),
            (r#"{"uri": "http://x.example.test/a", "suites": ["./"], "token-variable": "T"}"#, "https alone"),
            (
                r#"{"uri": "https://x.example.test/a", "suites": ["./"], "key": "k"}"#,
                "that of a `certificate`",
            ),
            (r#"{"certificate": "x.pem"}"#, "has a `uri`"),
            (
                r#"{"uri": "https://x.example.test/a", "suites": ["./"], "name": "A/B"}"#,
                "no name of a repository",
            ),
        ] {
            let problem = load(&[SOURCE, table]).unwrap_err();
            assert!(problem.message.contains(why), "{table}: {problem}");
            assert_eq!(problem.place.as_deref(), Some("aftk.toml:2"), "{table}");
        }
        assert_eq!(load(&[]).unwrap_err().code, "apt.no-sources");
    }

    #[test]
    fn two_archives_of_one_name_have_to_be_told_apart() {
        let other = SOURCE.replace("mirror.example", "other.example");
        let problem = load(&[SOURCE, &other]).unwrap_err();
        assert_eq!(problem.code, "apt.same-name");
        let named = other.replace("{\"uri\"", "{\"name\": \"other\", \"uri\"");
        assert_eq!(load(&[SOURCE, &named]).unwrap().sources.len(), 8);
    }
}
