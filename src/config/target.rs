//! `[[target]]` in `site.toml`: where to push, by a name, and how. Accounts are no part of it.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

/// A place to push to. What the command line says beats it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What people call it: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Where it is: `docker://registry.example.test/mirror`.
    pub url: String,
    /// What names become there: `PATTERN=NAME`. The first that matches counts.
    #[serde(default)]
    pub map: Vec<String>,
    /// Whether the host of the source stays part of the names.
    pub keep_host: Option<bool>,
    /// The tag for what is pushed, in place of its own ones.
    pub tag: Option<String>,
    /// Whether tags that stand for something else there are left alone.
    pub no_move_tags: Option<bool>,
    /// Where uploads go on.
    pub rewrite_location: Option<Rewrite>,
    /// Where tokens are asked for, whatever the registry names.
    pub realm_override: Option<String>,
    /// What it is.
    pub product: Option<Product>,
    /// Whether projects that are missing there are made.
    pub create_projects: Option<bool>,
    /// With which key of its own the target signs what it publishes.
    pub signing_key: Option<String>,
    /// Certificate authorities to be trusted besides all others, in PEM; relative to the file's own directory.
    #[serde(default)]
    pub ca_file: Vec<PathBuf>,
    /// Hosts that may be spoken to in plain HTTP.
    #[serde(default)]
    pub insecure_host: Vec<String>,
}

/// Where an upload goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rewrite {
    /// Where the registry says, if that is its own address.
    Never,
    /// At the same host, whatever host the registry names.
    SameHost,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Any registry.
    Generic,
    /// Harbor.
    Harbor,
    /// Nexus Repository.
    Nexus,
    /// aptly.
    Aptly,
}

/// Reads the targets of a file.
///
/// # Errors
/// If one of them cannot be what it says, or two have one name.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Target>, D::Error> {
    let targets = Vec::<Target>::deserialize(deserializer)?;
    check(&targets).map_err(de::Error::custom)?;
    Ok(targets)
}

/// Says what is wrong with the targets of a file.
///
/// # Errors
/// That, as a sentence.
fn check(targets: &[Target]) -> Result<(), String> {
    for (number, target) in targets.iter().enumerate() {
        let Target { name, url, .. } = target;
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_name {
            return Err(format!(
                "{name:?} is no name for a target: it has letters, digits, `-`, `_` and `.`"
            ));
        }
        if targets.iter().skip(number + 1).any(|other| other.name == *name) {
            return Err(format!("two targets are called {name}"));
        }
        if !url.contains(':') {
            return Err(format!("the url of the target {name} is not docker://HOST/PREFIX"));
        }
        if [Some(url), target.realm_override.as_ref()].into_iter().flatten().any(|url| url.contains('@')) {
            return Err(format!(
                "the target {name} has an account in an address: `aftk login` keeps accounts"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::{Product, Site, Target};
    use crate::problem::{Kind, Problem};

    fn read(target: &str) -> Result<Vec<Target>, Problem> {
        let directory = crate::fsx::test_directory();
        let path = directory.path().join("site.toml");
        let text = format!("format = 1\n[[target]]\nname = \"prod\"\n{target}");
        crate::fsx::replace_file(&path, text.as_bytes()).unwrap();
        Site::read(&path).map(|site| site.targets)
    }

    #[test]
    fn targets_have_names_of_their_own_and_no_accounts() {
        let url = "url = \"docker://registry.example.test/mirror\"";
        let whole = read(&format!("{url}\nproduct = \"nexus\"\nca_file = [\"ca.pem\"]")).unwrap();
        assert_eq!((whole[0].product, whole[0].keep_host), (Some(Product::Nexus), None));
        assert!(whole[0].ca_file[0].is_absolute());
        for wrong in [
            "",
            "url = \"nowhere\"",
            "url = \"docker://me:sesame@registry.example.test\"",
            &format!("{url}\nrealm_override = \"https://me@registry.example.test\""),
            &format!("{url}\nproduct = \"other\""),
            &format!("{url}\n[[target]]\nname = \"prod\"\n{url}"),
            &format!("{url}\n[[target]]\nname = \"a/b\"\n{url}"),
        ] {
            let problem = read(wrong).unwrap_err();
            assert_eq!(problem.kind, Kind::Usage, "{wrong}");
            assert!(problem.place.unwrap().contains("site.toml:"), "{wrong}");
        }
        let unknown = read(&format!("{url}\npassword = \"sesame\"")).unwrap_err();
        assert!(unknown.place.unwrap().ends_with("site.toml:5:1"));
    }
}
