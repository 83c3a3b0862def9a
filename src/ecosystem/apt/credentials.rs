//! How this machine's apt lets itself in: `auth.conf` (apt_auth.conf(5)), proxies, and certificates of its own; and the
//! user's netrc, for who has no apt.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use url::Url;
use zeroize::Zeroizing;

use super::machine::Machine;
use super::source::{Reach, Source};
use crate::ecosystem::CollectContext;
use crate::ecosystem::netrc::{self, Account};
use crate::net::{Access, Authorities, Credential, Identity, Proxy, Route};
use crate::problem::{Kind, Problem};

/// The largest file of accounts or certificates that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The ways to archives.
#[derive(Default)]
pub(super) struct Ways {
    accounts: Vec<Account>,
    machine: Machine,
    /// What the project says of archives, by their addresses.
    own: Vec<(Url, Reach, Option<Zeroizing<String>>)>,
}

impl Ways {
    /// Reads what apt's configuration names; what stands in the addresses of sources comes first.
    ///
    /// # Errors
    /// If a file is there and cannot be read, or is no UTF-8.
    pub(super) async fn load(
        machine: &Machine,
        sources: &[Source],
        context: &dyn CollectContext,
    ) -> Result<Ways, Problem> {
        let mut accounts: Vec<Account> = sources.iter().filter_map(of_source).collect();
        let places = ("Dir::Etc::netrc", "Dir::Etc::netrcparts");
        let mut files = machine.files(places, &["conf"], context).await?;
        let of_user = context.environment("NETRC").map(PathBuf::from);
        let of_user = of_user.or_else(|| Some(context.home_directory()?.join(".netrc")));
        if let Some(path) = of_user
            && let Some(bytes) = context.read(&path, LARGEST).await?
        {
            files.push((path, bytes));
        }
        for (path, bytes) in files {
            // What is wrong with it is not shown: it has passwords in it.
            let text = std::str::from_utf8(&bytes).map_err(|_| {
                Problem::new(Kind::Usage, "apt.auth", "apt's accounts are no UTF-8").at(path.display())
            })?;
            accounts.append(&mut netrc::read(text));
        }
        let mut own = Vec::new();
        for source in sources.iter().filter(|source| source.reach != Reach::default()) {
            let token = source.reach.token.as_ref().map(|name| token(name, source, context)).transpose()?;
            own.push((source.base.clone(), source.reach.clone(), token));
        }
        Ok(Ways { accounts, machine: machine.clone(), own })
    }

    /// What the project says of the archive that an address is below.
    fn own(&self, url: &Url) -> Option<&(Url, Reach, Option<Zeroizing<String>>)> {
        let is_of = |base: &Url| base.origin() == url.origin() && url.path().starts_with(base.path());
        self.own.iter().find(|(base, ..)| is_of(base))
    }

    /// How to reach an address.
    ///
    /// # Errors
    /// If a certificate that the configuration names cannot be read.
    pub(super) async fn access(&self, url: Url, context: &dyn CollectContext) -> Result<Access, Problem> {
        let account = self.accounts.iter().find(|account| account.is_for(&url));
        let credential = account.map(|account| account.credential(&url));
        let token = self.own(&url).and_then(|(_, _, token)| token.as_ref());
        let credential = token.map(|token| Credential::bearer(&url, token)).or(credential);
        let route = Arc::new(self.route(&url, context).await?);
        Ok(Access { credential, route, ..Access::open(url) })
    }

    async fn route(&self, url: &Url, context: &dyn CollectContext) -> Result<Route, Problem> {
        // All that comes is held to what the archive signed.
        let mut route = Route { plain_http: true, ..Route::default() };
        if let Some((name, value)) = self.setting(url, "Proxy") {
            match value {
                "DIRECT" => route.no_proxy = url.host_str().map(str::to_owned),
                _ => {
                    let address = Zeroizing::new(value.to_owned());
                    route.proxy = Some(Proxy { address, named_by: format!("apt's setting {name}") });
                }
            }
        }
        if url.scheme() == "https" {
            if let Some((name, path)) = self.setting(url, "CaInfo") {
                let pem = certificate(path, &name, context).await?;
                let named_by = format!("the file of apt's setting {name}");
                route.authorities = Some(Authorities { pem, alone: true, named_by });
            }
            let own = (self.setting(url, "SslCert"), self.setting(url, "SslKey"));
            if let (Some((name, path)), key) = own {
                let mut pem = Zeroizing::new(certificate(path, &name, context).await?.to_vec());
                if let Some((key_name, key)) = key.filter(|(_, key)| *key != path) {
                    pem.push(b'\n');
                    pem.extend_from_slice(&certificate(key, &key_name, context).await?);
                }
                route.identity = Some(Identity { pem, named_by: format!("apt's setting {name}") });
            }
            route.unchecked = self
                .setting(url, "Verify-Peer")
                .is_some_and(|(_, value)| matches!(value, "false" | "no" | "0"));
        }
        if let Some((_, reach, _)) = self.own(url) {
            reach.take_into(&mut route, context).await?;
        }
        Ok(route)
    }

    /// What `Acquire::SCHEME::HOST::NAME` is, else `Acquire::SCHEME::NAME`; https falls back to what http has for proxies.
    fn setting(&self, url: &Url, name: &str) -> Option<(String, &str)> {
        let (scheme, host) = (url.scheme(), url.host_str()?);
        let of_host =
            [format!("Acquire::{scheme}::{name}::{host}"), format!("Acquire::{scheme}::{host}::{name}")];
        let of_all = format!("Acquire::{scheme}::{name}");
        let of_http = (scheme == "https" && name == "Proxy").then(|| format!("Acquire::http::{name}"));
        let mut names = of_host.into_iter().chain([of_all]).chain(of_http);
        names.find_map(|name| self.machine.value(&name).map(|value| (name, value)))
    }
}

impl Reach {
    async fn take_into(&self, route: &mut Route, context: &dyn CollectContext) -> Result<(), Problem> {
        let read = async |path: &Path, name: &str| {
            let path = context.directory().join(path);
            context.read(&path, LARGEST).await?.ok_or_else(|| {
                let message = format!("the file that `{name}` of an [[apt]] names is not there");
                Problem::new(Kind::Usage, "apt.certificate", message).at(path.display())
            })
        };
        let named_by = |name: &str| format!("the file of `{name}` of an [[apt]]");
        if let Some(path) = &self.authority {
            let pem = read(path, "authority").await?;
            route.authorities = Some(Authorities { pem, alone: true, named_by: named_by("authority") });
        }
        if let Some(path) = &self.certificate {
            let mut pem = Zeroizing::new(read(path, "certificate").await?.to_vec());
            if let Some(key) = &self.key {
                pem.push(b'\n');
                pem.extend_from_slice(&read(key, "key").await?);
            }
            route.identity = Some(Identity { pem, named_by: named_by("certificate") });
        }
        Ok(())
    }
}

/// What an environment variable has as the token of a source.
fn token(name: &str, source: &Source, context: &dyn CollectContext) -> Result<Zeroizing<String>, Problem> {
    let token = context.environment(name).filter(|token| !token.is_empty()).map(Zeroizing::new);
    token.ok_or_else(|| {
        let message =
            format!("the environment has no {name}, which is to have the token of {}", source.repository);
        Problem::new(Kind::Usage, "apt.token", message).at(&source.place)
    })
}

async fn certificate(path: &str, named_by: &str, context: &dyn CollectContext) -> Result<Bytes, Problem> {
    context.read(Path::new(path), LARGEST).await?.ok_or_else(|| {
        let message = format!("the file that apt's setting {named_by} names is not there");
        Problem::new(Kind::Usage, "apt.certificate", message).at(path)
    })
}

/// What a source's own address says.
fn of_source(source: &Source) -> Option<Account> {
    let (host, port) = (source.base.host_str()?, source.base.port());
    let account = source.account.clone()?;
    Some(Account {
        scheme: Some(source.base.scheme().to_owned()),
        host: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        path: source.base.path().to_owned(),
        login: account.login,
        password: account.password,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, wait};
    use super::*;

    fn access(fake: &Fake, url: &str) -> Access {
        let machine = wait(Machine::ask(fake));
        let sources = wait(machine.sources(fake)).unwrap();
        let ways = wait(Ways::load(&machine, &sources, fake)).unwrap();
        wait(ways.access(Url::parse(url).unwrap(), fake)).unwrap()
    }

    fn shown(fake: &Fake, url: &str) -> Option<String> {
        let access = access(fake, url);
        access.credential.and_then(|credential| credential.for_url(&access.url).map(str::to_owned))
    }

    #[test]
    fn accounts_are_for_their_own_addresses() {
        let dump =
            "Dir::Etc \"etc/apt\";\nDir::Etc::netrc \"auth.conf\";\nDir::Etc::netrcparts \"auth.conf.d\";\n";
        let mut fake = Fake { apt_config: Some(dump.to_owned()), ..Fake::default() };
        fake.file("/etc/apt/auth.conf", "# machine a.example.test login no password no\nmachine a.example.test/deb\nlogin me password sesame\n");
        fake.file("/etc/apt/auth.conf.d/b.conf", "machine http://b.example.test:8080 login x password y");
        let basic = |text: &str| {
            use base64::Engine as _;
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))
        };
        assert_eq!(shown(&fake, "https://a.example.test/debian/x"), basic("me:sesame"));
        assert_eq!(shown(&fake, "https://a.example.test/other"), None);
        assert_eq!(shown(&fake, "http://a.example.test/debian/x"), None, "it is not told in the clear");
        assert_eq!(shown(&fake, "http://b.example.test:8080/"), basic("x:y"));
        assert_eq!(shown(&fake, "http://b.example.test/"), None);
        fake.file(
            "/home/user/.netrc",
            "machine c.example.test login me password own\nmachine a.example.test login no password no",
        );
        assert_eq!(shown(&fake, "https://c.example.test/x"), basic("me:own"));
        assert_eq!(
            shown(&fake, "https://a.example.test/debian/x"),
            basic("me:sesame"),
            "apt's own come first"
        );
    }

    #[test]
    fn an_account_in_a_source_is_for_that_archive_and_never_shown() {
        let dump = "Dir::Etc \"etc/apt\";\nDir::Etc::sourcelist \"sources.list\";\n";
        let mut fake = Fake { apt_config: Some(dump.to_owned()), ..Fake::default() };
        fake.file("/etc/apt/sources.list", "deb https://me:ses%40me@a.example.test/private stable main\n");
        let sources = wait(wait(Machine::ask(&fake)).sources(&fake)).unwrap();
        assert_eq!(sources[0].base.as_str(), "https://a.example.test/private/");
        assert!(!format!("{sources:?}").contains("ses"));
        assert!(shown(&fake, "https://a.example.test/private/dists/x").unwrap().starts_with("Basic "));
        assert_eq!(shown(&fake, "https://a.example.test/public/"), None);
    }

    #[test]
    fn what_a_project_says_of_an_archive_comes_first() {
        let mut fake = Fake::default();
        fake.file("/project/own.pem", "own");
        fake.file("/project/own.key", "key");
        fake.file("/home/user/.netrc", "machine a.example.test login me password own");
        let mut source = super::super::sources::read_list("deb https://a.example.test/x ./", "here", &[])
            .unwrap()
            .remove(0);
        source.reach = Reach {
            token: Some("TOKEN".to_owned()),
            certificate: Some("own.pem".into()),
            key: Some("own.key".into()),
            authority: None,
        };
        let sources = [source];
        let load = |fake: &Fake| wait(Ways::load(&Machine::default(), &sources, fake));
        assert_eq!(load(&fake).err().unwrap().code, "apt.token");
        fake.environment.insert("TOKEN".to_owned(), "open-sesame".to_owned());
        let ways = load(&fake).unwrap();
        let reached = |url: &str| {
            let access = wait(ways.access(Url::parse(url).unwrap(), &fake)).unwrap();
            let shown = access.credential.and_then(|one| one.for_url(&access.url).map(str::to_owned));
            (shown.unwrap_or_default(), access.route.identity.as_ref().map(|one| one.pem.to_vec()))
        };
        let own = Some(b"own\nkey".to_vec());
        assert_eq!(reached("https://a.example.test/x/Packages"), ("Bearer open-sesame".to_owned(), own));
        let (other, identity) = reached("https://a.example.test/y/Packages");
        assert!(other.starts_with("Basic ") && identity.is_none());
        assert_eq!(reached("https://b.example.test/x/Packages"), (String::new(), None));
    }

    #[test]
    fn proxies_and_certificates_are_those_of_apt() {
        let dump = "Acquire::http::Proxy \"http://proxy.example.test:3128\";\nAcquire::http::Proxy::near.example.test \
                    \"DIRECT\";\nAcquire::https::CaInfo \"/etc/ca.pem\";\nAcquire::https::own.example.test::SslCert \
                    \"/etc/own.pem\";\n";
        let mut fake = Fake { apt_config: Some(dump.to_owned()), ..Fake::default() };
        fake.file("/etc/ca.pem", "authority");
        fake.file("/etc/own.pem", "own");
        let route = access(&fake, "https://own.example.test/").route;
        assert_eq!(&**route.proxy.as_ref().unwrap().address, "http://proxy.example.test:3128");
        assert_eq!(&route.authorities.as_ref().unwrap().pem[..], b"authority");
        assert_eq!(&route.identity.as_ref().unwrap().pem[..], b"own");
        let near = access(&fake, "http://near.example.test/").route;
        assert!(near.proxy.is_none() && near.authorities.is_none());
        assert_eq!(near.no_proxy.as_deref(), Some("near.example.test"));
    }
}
