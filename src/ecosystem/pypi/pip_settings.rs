//! pip's settings, from where pip has them: its files, of which a later one counts before an earlier one, and the environment,
//! which counts before all. They are read as pip reads them, for asking it takes longer than resolving.

use std::path::{Path, PathBuf};

use crate::ecosystem::CollectContext;

/// The largest file of settings that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// Where they are looked for, from the last to the first: a `download` of pip's own section, else the general one.
const SECTIONS: [&str; 3] = [ENVIRONMENT, "download", "global"];
/// The section of what the environment says, as pip calls it.
const ENVIRONMENT: &str = ":env:";

/// What pip is told.
#[derive(Debug, Default)]
pub(super) struct PipSettings {
    /// Section, name and value; the last one of a name counts.
    values: Vec<(String, String, String)>,
}

impl PipSettings {
    /// Reads what is configured for the pip of a Python, which is installed below `prefix`. A file that cannot be read is none,
    /// as with pip.
    pub(super) async fn load(prefix: &str, context: &dyn CollectContext) -> PipSettings {
        let mut settings = PipSettings::default();
        let named = context.environment("PIP_CONFIG_FILE").map(PathBuf::from);
        if named.as_deref() != Some(Path::new("/dev/null")) {
            let has_named = match &named {
                Some(path) => matches!(context.read(path, LARGEST).await, Ok(Some(_))),
                None => false,
            };
            for path in files(prefix, named, has_named, context) {
                if let Ok(Some(bytes)) = context.read(&path, LARGEST).await {
                    settings.take(&String::from_utf8_lossy(&bytes));
                }
            }
        }
        let variables = context.environment_with("PIP_").into_iter();
        settings.values.extend(variables.filter_map(|(name, value)| {
            Some((ENVIRONMENT.to_owned(), normal(name.strip_prefix("PIP_")?), value))
        }));
        settings
    }

    /// What an option of `pip download` is: from the environment, from its own section, from the general one.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let of = |section: &&str| {
            let found = self.values.iter().rev().find(|(of, key, _)| of == section && key == name);
            found.map(|(.., value)| value.as_str()).filter(|value| !value.is_empty())
        };
        SECTIONS.iter().find_map(of)
    }

    /// The members of an option that may have several.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.option(name).unwrap_or_default().split_whitespace()
    }

    /// Takes what a file says: sections of `name = value`, where lines that are indented go on with the value before.
    fn take(&mut self, text: &str) {
        let (mut section, mut indent, mut is_open) = (String::new(), 0, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let depth = line.len() - line.trim_start().len();
            if is_open && depth > indent {
                if let Some((.., value)) = self.values.last_mut() {
                    value.push('\n');
                    value.push_str(trimmed);
                }
                continue;
            }
            (indent, is_open) = (depth, false);
            if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
                name.0.clone_into(&mut section);
            } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
                self.values.push((section.clone(), normal(name.trim()), value.trim().to_owned()));
                is_open = true;
            }
        }
    }
}

/// The files, from the first to the last. One that the environment names, if it is there, stands in the place of the user's.
fn files(
    prefix: &str,
    named: Option<PathBuf>,
    has_named: bool,
    context: &dyn CollectContext,
) -> Vec<PathBuf> {
    let of_systems = context.environment("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let systems =
        of_systems.split(':').filter(|path| !path.is_empty()).map(|path| Path::new(path).join("pip"));
    let mut folders: Vec<PathBuf> = systems.chain([PathBuf::from("/etc")]).collect();
    if let Some(home) = context.home_directory().filter(|_| !has_named) {
        folders.push(home.join(".pip"));
        let of_user = context.environment("XDG_CONFIG_HOME").map(PathBuf::from);
        folders.push(of_user.unwrap_or_else(|| home.join(".config")).join("pip"));
    }
    folders.extend((!prefix.is_empty()).then(|| PathBuf::from(prefix)));
    folders.into_iter().map(|folder| folder.join("pip.conf")).chain(named).collect()
}

/// A name as pip compares it.
fn normal(name: &str) -> String {
    name.trim_start_matches("--").to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn files_are_read_as_python_reads_them() {
        let text = "odd line\n[global]\nindex_url = https://a.example.test/simple ; no comment\n# a comment\n\
                    Timeout: 180\nextra-index-url =\n    https://b.example.test/simple\n\n    # another\n    \
                    https://c.example.test/simple\nempty=\ncert = /a\n[download]\nindex-url=https://d.example.test\n\
                    cert =\n[install]\ntimeout = 1\n";
        let mut settings = PipSettings::default();
        settings.take(text);
        for (name, value) in [
            ("index-url", Some("https://d.example.test")),
            ("timeout", Some("180")),
            ("empty", None),
            ("missing", None),
            // What is empty says nothing.
            ("cert", Some("/a")),
        ] {
            assert_eq!(settings.option(name), value, "{name}");
        }
        let extra: Vec<_> = settings.list("extra-index-url").collect();
        assert_eq!(extra, ["https://b.example.test/simple", "https://c.example.test/simple"]);
    }

    /// A machine with a file of settings in each place, which says its own place; and what pip would go by there.
    async fn of(variables: &[(&str, &str)]) -> (String, Vec<String>) {
        let places = [
            "/etc/xdg/pip/pip.conf",
            "/etc/pip.conf",
            "/home/user/.pip/pip.conf",
            "/home/user/.config/pip/pip.conf",
            "/other/pip/pip.conf",
            "/venv/pip.conf",
            "/named.conf",
        ];
        let mut fake = Fake::default();
        for place in places {
            fake = fake.file(place, &format!("[global]\ncert = {place}\n{place} = 1\n"));
        }
        fake.variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = PipSettings::load("/venv", &fake).await;
        let read = places.into_iter().filter(|place| settings.option(place).is_some());
        (settings.option("cert").unwrap_or_default().to_owned(), read.map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn they_are_looked_for_where_pip_looks() {
        let systems = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"];
        let users = ["/home/user/.pip/pip.conf", "/home/user/.config/pip/pip.conf"];
        let all =
            |lists: &[&[&str]]| -> Vec<String> { lists.concat().into_iter().map(str::to_owned).collect() };
        assert_eq!(
            of(&[]).await,
            ("/venv/pip.conf".to_owned(), all(&[&systems, &users, &["/venv/pip.conf"]]))
        );
        // One that is named takes the place of the user's.
        let named = of(&[("PIP_CONFIG_FILE", "/named.conf")]).await;
        assert_eq!(named, ("/named.conf".to_owned(), all(&[&systems, &["/venv/pip.conf", "/named.conf"]])));
        let gone = of(&[("PIP_CONFIG_FILE", "/gone.conf")]).await;
        assert_eq!(gone.1, all(&[&systems, &users, &["/venv/pip.conf"]]));
        assert_eq!(of(&[("PIP_CONFIG_FILE", "/dev/null")]).await, (String::new(), Vec::new()));
        let elsewhere =
            of(&[("XDG_CONFIG_HOME", "/other"), ("XDG_CONFIG_DIRS", "/none:/other"), ("PIP_CERT", "/of")])
                .await;
        let read =
            all(&[&["/etc/pip.conf", "/home/user/.pip/pip.conf", "/other/pip/pip.conf", "/venv/pip.conf"]]);
        assert_eq!(elsewhere, ("/of".to_owned(), read));
    }
}
