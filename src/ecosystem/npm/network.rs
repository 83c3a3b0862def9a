//! How npm reaches registries from this machine: by which proxy, trusting whom, showing which certificate.
//!
//! What npm's configuration says is followed as npm follows it: it counts before the environment, one proxy serves
//! http and https alike, and authorities that are named replace all others. Only `strict-ssl=false` is not enough for
//! aftk, which wants to be told itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::npmrc::{Npmrc, Trusted};
use crate::ecosystem::CollectContext;
use crate::net::{Authorities, Identity, Proxy, Route};
use crate::problem::Problem;

/// The largest file of certificates that is read, in bytes: all the world's authorities take about 250 KiB.
const LARGEST: u64 = 16 << 20;

/// The ways to registries.
#[derive(Default)]
pub(crate) struct Network {
    /// To those that settings do not name.
    route: Arc<Route>,
    /// To those that have a certificate of ours, by their place in the settings: `//host/path/`.
    with_identity: BTreeMap<String, Arc<Route>>,
    /// What is configured and not followed, as code and message.
    pub(crate) complaints: Vec<(&'static str, String)>,
}

impl Network {
    /// Reads the files that the configuration names. `project` is where npm would run.
    ///
    /// # Errors
    /// If a file is there and cannot be read, or is larger than 16 MiB.
    pub(crate) async fn load(
        npmrc: &Npmrc,
        context: &dyn CollectContext,
        project: &Path,
    ) -> Result<Network, Problem> {
        let mut network = Network::default();
        let mut files = Files { context, project, missing: Vec::new() };
        let route = Route {
            proxy: proxy(npmrc, context),
            no_proxy: npmrc.setting("noproxy").map(without_wildcards),
            authorities: files.authorities(npmrc).await?,
            identity: own_identity(npmrc),
            unchecked: npmrc.is_strict_ssl_off(),
            plain_http: false,
            same_origin: false,
            socket: None,
        };
        for (place, certificate, key) in npmrc.identities() {
            let pair = (files.read(certificate, "certfile").await?, files.read(key, "keyfile").await?);
            let (Some(certificate), Some(key)) = pair else { continue };
            let named_by = format!("the pair of npm's settings {place}:certfile and {place}:keyfile");
            let identity = Some(Identity { pem: joined(&certificate, &key), named_by });
            network.with_identity.insert(place.to_owned(), Arc::new(Route { identity, ..route.clone() }));
        }
        if route.unchecked {
            let message = "npm's strict-ssl=false alone does not keep aftk from checking certificates: name the \
                           registry's own authority (cafile), or also say --insecure-host HOST";
            network.complaints.push(("npm.strict-ssl", message.to_owned()));
        }
        network.complaints.append(&mut files.missing);
        network.route = Arc::new(route);
        Ok(network)
    }

    /// The way to what stands below a place in the settings that lets one in.
    pub(crate) fn route(&self, place: Option<&str>) -> Arc<Route> {
        place.and_then(|place| self.with_identity.get(place)).unwrap_or(&self.route).clone()
    }
}

/// The proxy for all addresses; `None` leaves it to what other clients find in the environment as well.
fn proxy(npmrc: &Npmrc, context: &dyn CollectContext) -> Option<Proxy> {
    let of_settings = ["https-proxy", "proxy"].into_iter().find_map(|key| {
        Some(Proxy {
            address: npmrc.setting(key)?.to_owned().into(),
            named_by: format!("npm's setting {key}"),
        })
    });
    of_settings.or_else(|| {
        // For plain http, npm prefers this one to HTTP_PROXY.
        ["https_proxy", "HTTPS_PROXY"].into_iter().find_map(|name| {
            let address = context.environment(name).filter(|address| !address.is_empty())?;
            Some(Proxy { address: address.into(), named_by: name.to_owned() })
        })
    })
}

/// Reads the files that settings name. Those that are not there are passed over, as npm does, and named.
struct Files<'a> {
    context: &'a dyn CollectContext,
    project: &'a Path,
    missing: Vec<(&'static str, String)>,
}

impl Files<'_> {
    async fn authorities(&mut self, npmrc: &Npmrc) -> Result<Option<Authorities>, Problem> {
        match npmrc.trusted() {
            None => Ok(None),
            Some(Trusted::Inline(text)) => {
                let pem = Bytes::copy_from_slice(text.as_bytes());
                Ok(Some(Authorities { alone: true, pem, named_by: "npm's setting ca".to_owned() }))
            }
            Some(Trusted::File(path)) => {
                let named_by = format!("the file of npm's setting cafile, {path},");
                let path = match (path.strip_prefix("~/"), self.context.home_directory()) {
                    (Some(rest), Some(home)) => home.join(rest),
                    _ => PathBuf::from(path),
                };
                let pem = self.read(&path, "cafile").await?;
                Ok(pem.map(|pem| Authorities { alone: true, pem, named_by }))
            }
        }
    }

    async fn read(
        &mut self,
        path: impl AsRef<Path>,
        setting: &'static str,
    ) -> Result<Option<Bytes>, Problem> {
        let path = path.as_ref();
        let bytes = self.context.read(&self.project.join(path), LARGEST).await?;
        if bytes.is_none() {
            let message = format!(
                "npm's setting {setting} names {}, which does not exist; like npm itself, aftk goes on without",
                path.display()
            );
            self.missing.push(("npm.missing-file", message));
        }
        Ok(bytes)
    }
}

/// The certificate that stands in the settings itself, for registries that have none of their own.
fn own_identity(npmrc: &Npmrc) -> Option<Identity> {
    let (certificate, key) = (npmrc.setting("cert")?, npmrc.setting("key")?);
    let pem = joined(certificate.as_bytes(), key.as_bytes());
    Some(Identity { pem, named_by: "the pair of npm's settings cert and key".to_owned() })
}

fn joined(certificate: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    [certificate, b"\n", key].concat().into()
}

/// npm compares names alone: neither a star nor a network stands for any host.
fn without_wildcards(list: &str) -> String {
    let entries = list.split([',', '\n']).map(str::trim).filter(|entry| !entry.contains(['*', '/']));
    entries.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::npm::fake::Fake;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

    /// The network that npm has in `/project`, with these lines in the user's and the project's file.
    async fn network(user: &str, project: &str, variables: &[(&str, &str)]) -> Network {
        let mut fake = Fake::with_registry();
        fake.file("/home/user/.npmrc", user);
        fake.file("/project/.npmrc", project);
        for (path, text) in
            [("/etc/ca.pem", "etc"), ("/home/user/ca.pem", "home"), ("/project/ca.pem", "near")]
        {
            fake.file(path, text);
        }
        fake.file("/etc/cert.pem", "certificate");
        fake.file("/etc/key.pem", "key");
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        fake.variables = variables.iter().map(own).collect();
        let project = Path::new("/project");
        let npmrc = Npmrc::load(&fake, project).await.unwrap();
        Network::load(&npmrc, &fake, project).await.unwrap()
    }

    async fn proxy(user: &str, project: &str, variables: &[(&str, &str)]) -> Option<String> {
        let route = network(user, project, variables).await.route(None);
        route.proxy.as_ref().map(|proxy| proxy.address.to_string())
    }

    async fn trusted(user: &str, project: &str, variables: &[(&str, &str)]) -> Option<String> {
        let route = network(user, project, variables).await.route(None);
        let pem = &route.authorities.as_ref()?.pem;
        Some(String::from_utf8(pem.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn npms_settings_count_before_the_environment_and_https_proxy_before_proxy() {
        let environment = [("HTTPS_PROXY", "http://e.example.test"), ("http_proxy", "http://h.example.test")];
        let both = "proxy=http://p.example.test\nhttps-proxy=http://s.example.test";
        for (user, project, expected) in [
            (both, "", "http://s.example.test"),
            ("proxy=http://p.example.test", "", "http://p.example.test"),
            (both, "https-proxy=null", "http://p.example.test"),
            ("proxy=http://p.example.test", "proxy=http://near.example.test", "http://near.example.test"),
            ("", "", "http://e.example.test"),
            ("proxy=false\nhttps-proxy=", "", "http://e.example.test"),
            ("proxy=p.example.test:3128", "", "p.example.test:3128"),
        ] {
            assert_eq!(
                proxy(user, project, &environment).await.as_deref(),
                Some(expected),
                "{user} {project}"
            );
        }
        let said = [("npm_config_https_proxy", "http://v.example.test")];
        assert_eq!(proxy(both, both, &said).await.as_deref(), Some("http://v.example.test"));
        assert_eq!(proxy("", "", &environment[1..]).await, None, "HTTP_PROXY is for http, as elsewhere");
    }

    #[tokio::test]
    async fn noproxy_knows_names_alone() {
        let list = async |lines: &str| {
            network(lines, "", &[("NO_PROXY", "e.test")]).await.route(None).no_proxy.clone()
        };
        assert_eq!(list("noproxy=a.test, .b.test,*,10.0.0.0/8").await.as_deref(), Some("a.test,.b.test"));
        assert_eq!(list("noproxy[]=a.test\nnoproxy[]=b.test").await.as_deref(), Some("a.test,b.test"));
        assert_eq!(list("").await, None);
    }

    #[tokio::test]
    async fn the_last_of_ca_and_cafile_is_all_that_is_trusted() {
        let inline = format!("ca={:?}", CERTIFICATE);
        for (user, project, expected) in [
            ("cafile=/etc/ca.pem", "", Some("etc")),
            ("cafile=~/ca.pem", "", Some("home")),
            ("cafile=ca.pem", "", Some("near")),
            (inline.as_str(), "", Some(CERTIFICATE)),
            (inline.as_str(), "cafile=/etc/ca.pem", Some("etc")),
            ("cafile=/etc/ca.pem", inline.as_str(), Some(CERTIFICATE)),
            ("cafile=/etc/ca.pem", "ca=null", None),
            ("ca[]=one\nca[]=two", "", Some("one\ntwo")),
            ("ca[]=one\nca[]=two", "ca[]=three", Some("three")),
            ("", "", None),
        ] {
            assert_eq!(trusted(user, project, &[]).await.as_deref(), expected, "{user} {project}");
        }
        let said = [("npm_config_cafile", "/etc/ca.pem"), ("NODE_EXTRA_CA_CERTS", "/etc/else.pem")];
        assert_eq!(trusted("", &inline, &said).await.as_deref(), Some("etc"));
        let missing = network("cafile=/nowhere.pem", "", &[]).await;
        assert!(missing.route(None).authorities.is_none());
        let [(code, message)] = &missing.complaints[..] else { panic!("{:?}", missing.complaints) };
        assert_eq!(*code, "npm.missing-file");
        assert!(message.contains("/nowhere.pem"), "{message}");
    }

    #[tokio::test]
    async fn certificates_of_ones_own_are_for_the_place_that_they_stand_at() {
        let lines = "//a.example.test/npm/:certfile=/etc/cert.pem\n//a.example.test/npm/:keyfile=/etc/key.pem\n\
                     //b.example.test/:certfile=/etc/cert.pem\ncert=c\nkey=k";
        let network = network(lines, "", &[]).await;
        let shown = |place| {
            let identity = network.route(place).identity.clone().unwrap();
            String::from_utf8(identity.pem.to_vec()).unwrap()
        };
        assert_eq!(shown(Some("//a.example.test/npm/")), "certificate\nkey");
        assert_eq!(shown(Some("//b.example.test/")), "c\nk", "half a pair is none");
        assert_eq!(shown(None), "c\nk");
    }

    #[tokio::test]
    async fn strict_ssl_is_heeded_with_a_word_about_it() {
        for (lines, unchecked) in [("strict-ssl=false", true), ("strict-ssl=true", false), ("", false)] {
            let network = network(lines, "", &[]).await;
            assert_eq!(network.route(None).unchecked, unchecked, "{lines}");
            let said = network.complaints.iter().any(|(_, message)| message.contains("--insecure-host"));
            assert_eq!(said, unchecked, "{lines}");
        }
    }
}
