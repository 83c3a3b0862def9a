//! npm's configuration on this machine: which registries it uses, and what lets it in.
//!
//! Only what decides where packages come from, and on which way, is read. From weak to strong, as npm does it: the global file, the
//! user's, the project's, then the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use url::Url;

use super::version::is_space;
use crate::clock;
use crate::ecosystem::CollectContext;
use crate::net::Credential;
use crate::problem::{Kind, Problem};

/// The largest configuration file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// npm's configuration, merged.
#[derive(Default)]
pub(crate) struct Npmrc {
    /// Lists, which are written `key[]=…`, are one value with a line for each.
    values: BTreeMap<String, String>,
    /// Which of `ca` and `cafile` was set last.
    last_trusted: &'static str,
}

/// Whom npm trusts, and nobody else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trusted<'a> {
    /// The authorities in this PEM text.
    Inline(&'a str),
    /// Those in a file.
    File(&'a str),
}

impl Npmrc {
    /// Reads the configuration that npm would use in the directory `project`.
    ///
    /// # Errors
    /// If a file cannot be read or is larger than 1 MiB.
    pub(crate) async fn load(context: &dyn CollectContext, project: &Path) -> Result<Npmrc, Problem> {
        let mut environment = BTreeMap::new();
        for prefix in ["NPM_CONFIG_", "npm_config_"] {
            for (name, value) in context.environment_with(prefix) {
                let key = name.get(prefix.len()..).unwrap_or_default();
                if !value.is_empty() {
                    environment.insert(environment_key(key), value);
                }
            }
        }
        let user = match environment.get("userconfig") {
            Some(path) => Some(PathBuf::from(path)),
            None => context.home_directory().map(|home| home.join(".npmrc")),
        };
        let global = match (environment.get("globalconfig"), environment.get("prefix")) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, Some(prefix)) => Some(Path::new(prefix).join("etc/npmrc")),
            (None, None) => {
                let answer = context.ask_client("npm", &["config", "get", "globalconfig"], false).await;
                match answer.as_deref().map(str::trim) {
                    Some(path) if path.starts_with('/') => Some(PathBuf::from(path)),
                    _ => context.environment("PREFIX").map(|prefix| Path::new(&prefix).join("etc/npmrc")),
                }
            }
        };
        let mut npmrc = Npmrc::default();
        for path in [global, user, Some(project.join(".npmrc"))].into_iter().flatten() {
            if let Some(bytes) = context.read(&path, LARGEST).await? {
                let text = String::from_utf8_lossy(&bytes);
                npmrc.merge(&text, &|name| context.environment(name));
            }
        }
        for (key, value) in environment {
            npmrc.set(key, value);
        }
        Ok(npmrc)
    }

    /// Merges a file's lines over what is there. The last of two equal keys counts.
    fn merge(&mut self, text: &str, environment: &dyn Fn(&str) -> Option<String>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut in_section = false;
        let mut lists = BTreeSet::new();
        for line in text.lines().map(|line| line.trim_matches(is_space)) {
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            // npm knows no sections; what stands below one belongs to nothing it reads.
            in_section |= line.starts_with('[') && line.ends_with(']');
            if in_section {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let (key, mut value) = (expand(&unquote(key), environment), expand(&unquote(value), environment));
            let Some(list) = key.strip_suffix("[]") else {
                self.set(key, value);
                continue;
            };
            // A list goes on within its file, and takes the place of another file's.
            if !lists.insert(list.to_owned())
                && let Some(before) = self.values.get(list)
            {
                value = format!("{before}\n{value}");
            }
            self.set(list.to_owned(), value);
        }
    }

    fn set(&mut self, key: String, value: String) {
        match key.as_str() {
            "ca" => self.last_trusted = "ca",
            "cafile" if !value.is_empty() => self.last_trusted = "cafile",
            _ => {}
        }
        self.values.insert(key, value);
    }

    /// What is configured but not followed, as code and message.
    pub(crate) fn complaints(&self) -> Vec<(&'static str, String)> {
        let mut complaints = Vec::new();
        if self.setting("min-release-age-exclude").is_some() {
            let message = "npm's min-release-age-exclude is not followed: versions of all packages have to be old enough";
            complaints.push(("npm.min-release-age-exclude", message.to_owned()));
        }
        for (key, value) in &self.values {
            let setting = key.rsplit_once(':').map_or(key.as_str(), |(_, setting)| setting);
            let secret = matches!(setting, "_authToken" | "_auth" | "_password" | "username");
            if secret && value.contains("${") {
                let message = format!("npm's configuration uses a variable that is not set for {key}");
                complaints.push(("npm.unset-variable", message));
            } else if secret && setting == key && key != "username" {
                let message =
                    format!("npm's setting {key} names no registry; like npm itself, aftk does not use it");
                complaints.push(("npm.unscoped-credential", message));
            } else if setting == "cafile" && setting != key {
                let message = format!(
                    "npm's setting {key} is none that npm knows; like npm itself, aftk does not use it: set cafile"
                );
                complaints.push(("npm.unused-setting", message));
            }
        }
        complaints
    }

    /// The registry for packages without a scope of their own, if one is configured.
    ///
    /// # Errors
    /// If it is no http or https address.
    pub(crate) fn registry(&self) -> Result<Option<Url>, Problem> {
        self.url("registry")
    }

    /// The registry for the packages of a scope (with its `@`), if one is configured.
    ///
    /// # Errors
    /// If it is no http or https address.
    pub(crate) fn scope_registry(&self, scope: &str) -> Result<Option<Url>, Problem> {
        self.url(&format!("{scope}:registry"))
    }

    /// The registries that scopes have.
    pub(crate) fn scope_registries(&self) -> impl Iterator<Item = Url> {
        let scopes = self.values.iter().filter(|(key, _)| key.starts_with('@') && key.ends_with(":registry"));
        scopes.filter_map(|(_, value)| registry_url(value))
    }

    fn url(&self, key: &str) -> Result<Option<Url>, Problem> {
        let Some(value) = self.values.get(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        registry_url(value).map(Some).ok_or_else(|| {
            let message = format!("npm's setting {key} is no http or https address");
            Problem::new(Kind::Usage, "npm.bad-registry", message)
                .hint(format!("see what npm has with: npm config get {key}"))
        })
    }

    /// A setting's value, unless it is one that npm takes for unset.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key).map(String::as_str);
        value.filter(|value| !matches!(*value, "" | "null" | "undefined" | "false"))
    }

    /// Until when a version has to have been published to be chosen: `before`, or so many days ago as `min-release-age` says.
    ///
    /// # Errors
    /// Usage, if one is no date, or no number of days.
    pub(crate) fn before(&self) -> Result<Option<Timestamp>, Problem> {
        let wrong = |key: &str, text: &str, hint: &str| {
            let message = format!("npm's configuration says {key}={text}, which cannot be followed");
            Problem::new(Kind::Usage, "npm.before", message).hint(hint.to_owned())
        };
        if let Some(text) = self.setting("before") {
            // A date alone is that day's beginning in UTC, as JavaScript has it.
            let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
            let time = text.parse::<Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
            return time
                .map(Some)
                .ok_or_else(|| wrong("before", text, "write a date: 2026-11-01, or 2026-11-01T12:00:00Z"));
        }
        let Some(text) = self.setting("min-release-age") else { return Ok(None) };
        let days = text.parse::<f64>().ok().filter(|days| days.is_finite() && (0.0..1e6).contains(days));
        let Some(days) = days else {
            return Err(wrong("min-release-age", text, "write a number of days"));
        };
        let age = Duration::from_secs_f64(days * 86_400.0);
        let since = clock::now().checked_sub(age).and_then(|since| Timestamp::try_from(since).ok());
        Ok(since.filter(|_| days > 0.0))
    }

    /// Whether certificates are not to be checked. Only this one word says so to npm.
    pub(crate) fn is_strict_ssl_off(&self) -> bool {
        self.values.get("strict-ssl").is_some_and(|value| value == "false")
    }

    /// Whom alone npm trusts, if it is told so.
    pub(crate) fn trusted(&self) -> Option<Trusted<'_>> {
        match self.last_trusted {
            "ca" => self.setting("ca").map(Trusted::Inline),
            "cafile" => self.values.get("cafile").map(|path| Trusted::File(path)),
            _ => None,
        }
    }

    /// The places that have a certificate to show, each with the files of the certificate and of its key.
    pub(crate) fn identities(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.values.iter().filter_map(|(key, certificate)| {
            let place = key.strip_suffix(":certfile").filter(|place| place.starts_with("//"))?;
            let key = self.at(place, "keyfile")?;
            Some((place, certificate.as_str(), key)).filter(|_| !certificate.is_empty())
        })
    }

    fn at(&self, place: &str, name: &str) -> Option<&str> {
        self.values.get(&format!("{place}:{name}")).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The place in the settings of what lets a request for `url` in. They name a registry by host and path; the
    /// longest one that leads to `url` counts.
    pub(crate) fn place(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?;
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let mut place = format!("//{host}{port}{}", url.path());
        while place.len() > 2 {
            let has = |name| self.at(&place, name).is_some();
            if has("_authToken")
                || has("_auth")
                || (has("username") && has("_password"))
                || (has("certfile") && has("keyfile"))
            {
                return Some(place);
            }
            // Up one step: what stands after the last slash goes, or the slash itself.
            let shorter = place
                .strip_suffix('/')
                .map_or_else(|| place.rfind('/').map_or(0, |slash| slash + 1), str::len);
            place.truncate(shorter);
        }
        None
    }

    /// The credential at a place, bound to the origin of `url`.
    pub(crate) fn credential(&self, place: &str, url: &Url) -> Option<Credential> {
        if let Some(token) = self.at(place, "_authToken") {
            return Some(Credential::bearer(url, token));
        }
        if let Some(encoded) = self.at(place, "_auth") {
            return Some(Credential::basic_encoded(url, encoded));
        }
        let (user, password) = (self.at(place, "username")?, self.at(place, "_password")?);
        let base64 = base64::engine::general_purpose::STANDARD;
        let password = base64.decode(password).ok()?;
        let joined = [user.as_bytes(), b":", &password].concat();
        Some(Credential::basic_encoded(url, &base64.encode(joined)))
    }
}

/// A registry's address without credentials, ending in a slash.
pub(crate) fn registry_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// A variable's name without its prefix as a setting's: `_` means `-` but in front; addresses stay as they are.
fn environment_key(name: &str) -> String {
    if name.starts_with("//") {
        return name.to_owned();
    }
    let name = name.to_ascii_lowercase();
    let rest = name.trim_start_matches('_');
    let underscores = name.len() - rest.len();
    format!(
        "{}{}",
        "_".repeat(underscores.min(1)),
        "-".repeat(underscores.saturating_sub(1)) + &rest.replace('_', "-")
    )
}

/// A key or value without its quotes, escapes and comment.
fn unquote(text: &str) -> String {
    let text = text.trim_matches(is_space);
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return if quote == '"' {
                serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
            } else {
                inner.to_owned()
            };
        }
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ';' | '#')) => plain.push(escaped),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            ';' | '#' => break,
            other => plain.push(other),
        }
    }
    plain.trim_matches(is_space).to_owned()
}

/// `${NAME}` as the variable's value; `${NAME?}` as nothing if there is none, otherwise it stays. A backslash in
/// front keeps it.
fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, following)) = after.split_once('}') else { break };
        rest = following;
        let written = format!("${{{name}}}");
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        let kept = before.len() - backslashes.div_ceil(2);
        expanded.push_str(before.get(..kept).unwrap_or_default());
        let (variable, otherwise) =
            name.strip_suffix('?').map_or((name, written.as_str()), |name| (name, ""));
        let is_name = !variable.is_empty() && !variable.contains(['$', '{', '?']);
        if backslashes % 2 == 1 || !is_name {
            expanded.push_str(&written);
        } else {
            expanded.push_str(&environment(variable).unwrap_or_else(|| otherwise.to_owned()));
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn npmrc(text: &str) -> Npmrc {
        let mut npmrc = Npmrc::default();
        npmrc.merge(text, &|name| (name == "TOKEN").then(|| "s3cret".to_owned()));
        npmrc
    }

    fn shown(npmrc: &Npmrc, url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        let credential = npmrc.credential(&npmrc.place(&url)?, &url)?;
        credential.for_url(&url).map(str::to_owned)
    }

    #[test]
    fn files_are_read_as_npm_reads_them() {
        let npmrc = npmrc(
            "; a comment\n# another\nregistry = https://npm.example.test/repo\n@s:registry=\"https://s.example.test/\"\n\
             quoted='a b'\nescaped=a\\;b ; comment\nflag\nkept=\\${TOKEN}\nabsent=${NONE}\nnone=${NONE?}\n\
             bad=${TOKEN\n[section]\nregistry=https://wrong.example.test/\n",
        );
        assert_eq!(npmrc.registry().unwrap().unwrap().as_str(), "https://npm.example.test/repo/");
        assert_eq!(npmrc.scope_registry("@s").unwrap().unwrap().as_str(), "https://s.example.test/");
        assert_eq!(npmrc.scope_registry("@other").unwrap(), None);
        for (key, value) in [
            ("quoted", "a b"),
            ("escaped", "a;b"),
            ("flag", "true"),
            ("kept", "${TOKEN}"),
            ("absent", "${NONE}"),
            ("none", ""),
            ("bad", "${TOKEN"),
        ] {
            assert_eq!(npmrc.values.get(key).map(String::as_str), Some(value), "{key}");
        }
    }

    #[test]
    fn credentials_are_found_by_host_and_path_and_shown_nowhere_else() {
        let npmrc = npmrc(
            "//npm.example.test/repo/:_authToken=${TOKEN}\n//npm.example.test/other:_auth=dTpw\n\
             //user.example.test:8443/:username=u\n//user.example.test:8443/:_password=cA==\n_authToken=lost\n",
        );
        let token = Some("Bearer s3cret".to_owned());
        assert_eq!(shown(&npmrc, "https://npm.example.test/repo/a/-/a-1.0.0.tgz"), token);
        assert_eq!(shown(&npmrc, "https://npm.example.test/other/a"), Some("Basic dTpw".to_owned()));
        assert_eq!(shown(&npmrc, "https://user.example.test:8443/a"), Some("Basic dTpw".to_owned()));
        for foreign in [
            "https://npm.example.test/repository/a",
            "https://npm.example.test/a",
            "https://user.example.test/a",
            "https://npm.example.test.evil.test/repo/a",
        ] {
            assert_eq!(shown(&npmrc, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        for bad in ["registry=nonsense", "registry=file:///etc", "registry=ftp://a.example.test/"] {
            let problem = npmrc(bad).registry().unwrap_err();
            assert_eq!(problem.code, "npm.bad-registry");
        }
        let url = registry_url("https://user:word@npm.example.test/repo?x#y").unwrap();
        assert_eq!(url.as_str(), "https://npm.example.test/repo/");
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let complaints = |text: &str| npmrc(text).complaints();
        for (text, code) in [
            ("//npm.example.test/:cafile=/etc/ca.pem", "npm.unused-setting"),
            ("//npm.example.test/:_authToken=${NONE}", "npm.unset-variable"),
            ("_authToken=sesame", "npm.unscoped-credential"),
        ] {
            let said = complaints(text);
            assert!(said.len() == 1 && said[0].0 == code, "{text}: {said:?}");
            assert!(!said[0].1.contains("sesame"), "{said:?}");
        }
        let fine = "cafile=/etc/ca.pem\nproxy=http://proxy.example.test\nfund=false\n//npm.example.test/:certfile=/a";
        assert_eq!(complaints(fine), []);
    }

    #[test]
    fn variables_name_settings() {
        for (name, key) in [
            ("registry", "registry"),
            ("REPLACE_REGISTRY_HOST", "replace-registry-host"),
            ("_authToken", "_authtoken"),
            ("//npm.example.test/:_authToken", "//npm.example.test/:_authToken"),
        ] {
            assert_eq!(environment_key(name), key);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z@:=/ \\\\$\\{\\}\\?\"';#\\[\\]\n]{0,60}", address in "[a-z/]{0,20}") {
            let npmrc = npmrc(&text);
            let _ = npmrc.registry();
            let _ = shown(&npmrc, &format!("https://npm.example.test/{address}"));
        }
    }
}
