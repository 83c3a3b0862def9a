//! npm's configuration on this machine: which registries it uses, and what lets it in.
//!
//! Only what decides where packages come from is read. From weak to strong, as npm does it: the global file, the
//! user's, the project's, then the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use url::Url;

use super::version::is_space;
use crate::ecosystem::CollectContext;
use crate::net::Credential;
use crate::problem::{Kind, Problem};

/// The largest configuration file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// npm's configuration, merged.
#[derive(Default)]
pub(crate) struct Npmrc {
    values: BTreeMap<String, String>,
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
        npmrc.values.extend(environment);
        Ok(npmrc)
    }

    /// Merges a file's lines over what is there. The last of two equal keys counts.
    fn merge(&mut self, text: &str, environment: &dyn Fn(&str) -> Option<String>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut in_section = false;
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
            self.values.insert(expand(&unquote(key), environment), expand(&unquote(value), environment));
        }
    }

    /// Says what is configured but not followed.
    pub(crate) fn warn(&self, context: &dyn CollectContext) {
        for (code, message) in self.complaints(context) {
            context.events().warn(code, message);
        }
    }

    fn complaints(&self, context: &dyn CollectContext) -> Vec<(&'static str, String)> {
        let mut complaints = Vec::new();
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
            } else if let Some(instead) = instead(setting, value, context) {
                let message = format!("npm's setting {key} is not used by aftk: {instead}");
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

    /// What lets a request for `url` in. Settings name a registry by host and path; the longest one that leads to
    /// `url` counts. The credential is bound to the origin of `url`.
    pub(crate) fn credential(&self, url: &Url) -> Option<Credential> {
        let host = url.host_str()?;
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let mut place = format!("//{host}{port}{}", url.path());
        while place.len() > 2 {
            let setting =
                |name: &str| self.values.get(&format!("{place}:{name}")).filter(|value| !value.is_empty());
            if let Some(token) = setting("_authToken") {
                return Some(Credential::bearer(url, token));
            }
            if let Some(encoded) = setting("_auth") {
                return Some(Credential::basic_encoded(url, encoded));
            }
            if let (Some(user), Some(password)) = (setting("username"), setting("_password")) {
                let base64 = base64::engine::general_purpose::STANDARD;
                let password = base64.decode(password).ok()?;
                let joined = [user.as_bytes(), b":", &password].concat();
                return Some(Credential::basic_encoded(url, &base64.encode(joined)));
            }
            // Up one step: what stands after the last slash goes, or the slash itself.
            let shorter = place
                .strip_suffix('/')
                .map_or_else(|| place.rfind('/').map_or(0, |slash| slash + 1), str::len);
            place.truncate(shorter);
        }
        None
    }
}

/// What to do instead of a setting that decides how npm reaches a registry, and that aftk does not follow; `None` for
/// any other one, and where aftk already does the same.
fn instead(setting: &str, value: &str, context: &dyn CollectContext) -> Option<&'static str> {
    // Lists are written `ca[]=…`; with these values, npm itself takes a setting for unset.
    let setting = setting.trim_end_matches("[]");
    let is_off = value == "false";
    if matches!(value, "" | "null" | "undefined") || (is_off && setting != "strict-ssl") {
        return None;
    }
    let (instead, variables): (_, &[&str]) = match setting {
        "cafile" => ("use --ca-file FILE", &["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]),
        "ca" => ("write the certificate into a PEM file and use --ca-file FILE", &[]),
        "strict-ssl" if is_off => {
            ("it always checks certificates; for one of your own, use --ca-file FILE", &[])
        }
        // A plain `proxy` is taken by npm for https as well.
        "proxy" | "http-proxy" | "https-proxy" => {
            ("set HTTPS_PROXY", &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
        }
        "noproxy" => ("set NO_PROXY", &["no_proxy", "NO_PROXY"]),
        "certfile" | "keyfile" => ("it shows no certificate of its own to a registry", &[]),
        _ => return None,
    };
    let meant = |text: &str| match (text.strip_prefix("~/"), context.home_directory()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => context.directory().join(text),
    };
    let is_said = |text: String| text == value || (setting == "cafile" && meant(&text) == meant(value));
    let is_done = variables.iter().filter_map(|name| context.environment(name)).any(is_said);
    (!is_done).then_some(instead)
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

    use super::super::fake::Fake;
    use super::*;

    fn npmrc(text: &str) -> Npmrc {
        let mut npmrc = Npmrc::default();
        npmrc.merge(text, &|name| (name == "TOKEN").then(|| "s3cret".to_owned()));
        npmrc
    }

    fn shown(npmrc: &Npmrc, url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        npmrc.credential(&url).and_then(|credential| credential.for_url(&url).map(str::to_owned))
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
    fn what_is_not_followed_is_said_with_what_to_do_instead() {
        let complaints = |text: &str, variables: &[(&str, &str)]| -> Vec<String> {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let mut context = Fake::with_registry();
            context.variables = variables.iter().map(own).collect();
            npmrc(text).complaints(&context).into_iter().map(|(_, message)| message).collect()
        };
        for (text, instead) in [
            ("cafile=/etc/ca.pem", "--ca-file"),
            ("//npm.example.test/:cafile=/etc/ca.pem", "--ca-file"),
            ("ca=-----BEGIN", "--ca-file"),
            ("ca[]=-----BEGIN", "--ca-file"),
            ("strict-ssl=false", "--ca-file"),
            ("proxy=http://me:sesame@proxy.example.test", "set HTTPS_PROXY"),
            ("https-proxy=http://me:sesame@proxy.example.test", "set HTTPS_PROXY"),
            ("noproxy=intern.example.test", "set NO_PROXY"),
            ("//npm.example.test/:certfile=/a.pem", "no certificate"),
        ] {
            let said = complaints(text, &[("SSL_CERT_FILE", "/etc/other.pem"), ("NO_PROXY", "*")]);
            assert!(said.len() == 1 && said[0].contains(instead), "{text}: {said:?}");
            assert!(!said[0].contains("sesame"), "{said:?}");
        }
        for (text, variables) in [
            ("cafile=/etc/ca.pem", &[("SSL_CERT_FILE", "/etc/ca.pem")][..]),
            ("cafile=~/ca.pem", &[("NODE_EXTRA_CA_CERTS", "/home/user/ca.pem")]),
            ("https-proxy=http://proxy.example.test", &[("https_proxy", "http://proxy.example.test")]),
            ("strict-ssl=true\nproxy=null\nhttps-proxy=false\nca=null\nnoproxy=", &[]),
            ("fund=false\naudit=false", &[]),
        ] {
            assert_eq!(complaints(text, variables), [""; 0], "{text}");
        }
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
            let _ = npmrc.credential(&Url::parse(&format!("https://npm.example.test/{address}")).unwrap());
        }
    }
}
