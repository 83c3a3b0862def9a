//! `site.toml`: how a site serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use toml::Spanned;

use super::target::{self, Target};
use crate::access::{Hosted, Read};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::units;

/// The most generations of a channel that are kept.
const MOST_GENERATIONS: u64 = 1_000;

/// How a site serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The version of the file's form: 1.
    pub format: u32,
    /// The listener.
    #[serde(default)]
    pub serve: Serve,
    /// The repositories that clients write into; no two of one ecosystem have one name.
    #[serde(default, deserialize_with = "hosted")]
    pub hosted: Vec<Hosted>,
    /// What the store keeps.
    #[serde(default)]
    pub store: Keeping,
    /// Where to push, by names.
    #[serde(default, rename = "target", deserialize_with = "target::read")]
    pub targets: Vec<Target>,
    /// What is expected of channels, by their names.
    #[serde(default, rename = "channel", deserialize_with = "channels")]
    pub channels: BTreeMap<String, ChannelRules>,
    /// Where else repositories stand.
    #[serde(default, rename = "mount")]
    pub mounts: Vec<MountRule>,
    /// What is said to one ecosystem alone.
    #[serde(skip)]
    pub settings: Vec<Settings>,
    /// What is said to apt, before it is known where.
    #[serde(default)]
    apt: Vec<Spanned<Map<String, Value>>>,
}

/// Where else a repository stands, for clients that are to ask as they would ask its upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountRule {
    /// Which one: `apt/debian`.
    pub repository: String,
    /// The path that its addresses begin with: `/debian`.
    pub path: String,
    /// Only for clients that call the server by this host name; they see nothing else then.
    pub host: Option<String>,
}

/// What is expected of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRules {
    /// How old its newest snapshot may get, in seconds; written as `30d`, `6w` or `6m`.
    #[serde(default, deserialize_with = "age")]
    pub max_age: Option<u64>,
}

fn channels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, ChannelRules>, D::Error> {
    let channels = BTreeMap::<String, ChannelRules>::deserialize(deserializer)?;
    match channels.keys().find(|name| !bundle_format::document::is_channel(name)) {
        Some(name) => Err(de::Error::custom(format!("{name:?} cannot be a channel's name"))),
        None => Ok(channels),
    }
}

fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let age = units::parse_days(&text).map(|age| age.as_secs()).filter(|age| *age > 0);
    age.map(Some).ok_or_else(|| de::Error::custom(format!("{text:?} is not an age: write 30d, 6w or 6m")))
}

fn hosted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hosted>, D::Error> {
    let hosted = Vec::<Hosted>::deserialize(deserializer)?;
    for (index, one) in hosted.iter().enumerate() {
        let others = hosted.get(..index).unwrap_or_default();
        if others.iter().any(|other| (&other.ecosystem, &other.name) == (&one.ecosystem, &one.name)) {
            let message = format!("there are two hosted repositories {:?} of {}", one.name, one.ecosystem);
            return Err(de::Error::custom(message));
        }
    }
    Ok(hosted)
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Where it listens: `address:port`.
    pub listen: String,
    /// Whether whoever asks is answered.
    pub read: Read,
    /// The file of the certificate's chain, in PEM; relative to the file's own directory, as is the key's.
    pub tls_cert: Option<PathBuf>,
    /// The file of the certificate's key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Whether certificates come from the site's own authority.
    pub tls: Option<SiteTls>,
    /// The names and addresses, besides those that are known here, by which clients reach the server.
    pub tls_names: Vec<String>,
    /// Whether it answers for the upstreams of its repositories by their own names too.
    pub impersonate: bool,
}

/// What the store keeps that nobody sees.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeping {
    /// How many generations of each channel one can go back to, the newest included: 1 to 1,000.
    #[serde(deserialize_with = "generations")]
    pub keep_generations: u64,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping { keep_generations: 2 }
    }
}

fn generations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = u64::deserialize(deserializer)?;
    if (1..=MOST_GENERATIONS).contains(&count) {
        return Ok(count);
    }
    Err(de::Error::custom(format!("keep_generations is a number from 1 to {MOST_GENERATIONS}")))
}

/// Where a site's certificates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SiteTls {
    /// Of its own authority: `tls = "self"`.
    #[serde(rename = "self")]
    Own,
}

impl Default for Serve {
    fn default() -> Serve {
        Serve {
            listen: "127.0.0.1:2385".to_owned(),
            read: Read::default(),
            tls_cert: None,
            tls_key: None,
            tls: None,
            tls_names: Vec::new(),
            impersonate: false,
        }
    }
}

impl Serve {
    /// Says what does not go together.
    fn check(&self) -> Result<(), &'static str> {
        match (&self.tls_cert, &self.tls_key, self.tls) {
            (Some(_), None, _) => Err("tls_cert needs tls_key beside it"),
            (None, Some(_), _) => Err("tls_key needs tls_cert beside it"),
            (Some(_), _, Some(_)) => Err("tls_cert and tls = \"self\" exclude each other"),
            (_, _, None) if !self.tls_names.is_empty() => Err("tls_names needs tls = \"self\" beside it"),
            _ => Ok(()),
        }
    }
}

impl Site {
    /// Reads a `site.toml`; without one, everything is as by default.
    ///
    /// # Errors
    /// A usage problem with the place of what is wrong in it.
    pub fn read(path: &Path) -> Result<Site, Problem> {
        let Some(text) = super::text(path)? else { return Ok(Site::default()) };
        match super::parse::<Site>(&text, path)? {
            mut site if site.format == 1 => {
                site.settings = super::settings("apt", std::mem::take(&mut site.apt), &text, path);
                site.serve
                    .check()
                    .map_err(|what| Problem::new(Kind::Usage, "config.invalid", what).at(path.display()))?;
                let directory = path.parent().unwrap_or(Path::new(""));
                let authorities = site.targets.iter_mut().flat_map(|target| &mut target.ca_file);
                let own = [&mut site.serve.tls_cert, &mut site.serve.tls_key].into_iter().flatten();
                for file in own.chain(authorities) {
                    *file = directory.join(&*file);
                }
                Ok(site)
            }
            site => Err(Problem::new(
                Kind::Usage,
                "config.invalid",
                format!("format {} is not known; this version reads format 1", site.format),
            )
            .at(path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_site(text: &str) -> Result<Site, Problem> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.toml");
        crate::fsx::replace_file(&path, format!("format = 1\n{text}").as_bytes()).unwrap();
        let mut site = Site::read(&path)?;
        for file in [&mut site.serve.tls_cert, &mut site.serve.tls_key].into_iter().flatten() {
            *file = file.strip_prefix(directory.path()).unwrap_or(file).to_owned();
        }
        Ok(site)
    }

    fn read(serve: &str) -> Result<Serve, Problem> {
        read_site(&format!("[serve]\n{serve}")).map(|site| site.serve)
    }

    #[test]
    fn tls_comes_from_files_beside_it_or_from_the_site_itself() {
        let files = read("tls_cert = \"chain.pem\"\ntls_key = \"/etc/key.pem\"").unwrap();
        assert_eq!(files.tls_cert.as_deref(), Some(Path::new("chain.pem")));
        assert_eq!(files.tls_key.as_deref(), Some(Path::new("/etc/key.pem")));
        let own = read("tls = \"self\"\ntls_names = [\"mirror.example.test\"]").unwrap();
        assert_eq!((own.tls, own.tls_names.len()), (Some(SiteTls::Own), 1));
        for wrong in [
            "tls = \"other\"",
            "tls_cert = \"a\"",
            "tls_key = \"a\"",
            "tls_cert = \"a\"\ntls_key = \"b\"\ntls = \"self\"",
            "tls_names = [\"a\"]",
        ] {
            assert_eq!(read(wrong).unwrap_err().kind, Kind::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_site_says_who_may_read_and_write() {
        assert_eq!(read("").unwrap().read, Read::Open);
        assert_eq!(read("read = \"accounts\"").unwrap().read, Read::Accounts);
        let site = read_site(
            "[[hosted]]\necosystem = \"oci\"\nname = \"team\"\nwrite = [\"*\"]\nquota = \"50GiB\"\n\
             [[hosted]]\necosystem = \"npm\"\nname = \"team\"\nwrite = [\"ada\", \"ci\"]\n",
        );
        let hosted = site.unwrap().hosted;
        assert_eq!((hosted[0].quota, hosted[1].quota), (Some(50 << 30), None));
        assert!(hosted[0].may_write("eve") && !hosted[1].may_write("eve") && hosted[1].may_write("ci"));
    }

    #[test]
    fn a_site_says_how_many_generations_are_kept() {
        assert_eq!(read_site("").unwrap().store.keep_generations, 2);
        assert_eq!(read_site("[store]\nkeep_generations = 5").unwrap().store.keep_generations, 5);
        for wrong in ["0", "1001", "-1", "\"2\""] {
            assert!(read_site(&format!("[store]\nkeep_generations = {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let table = "[[hosted]]\necosystem = \"oci\"\n";
        for (text, line, message) in [
            (format!("{table}name = \"team\"\n"), 2, "missing field `write`"),
            (
                format!("{table}name = \"registry.example.test\"\nwrite = []\n"),
                4,
                "cannot name a hosted repository",
            ),
            (format!("{table}name = \"team\"\nwrite = [\"a:b\"]\n"), 5, "cannot name an account"),
            (format!("{table}name = \"team\"\nwrite = []\nquota = \"lots\"\n"), 6, "is not a size"),
            (format!("{table}name = \"team\"\nwrite = []\nscopes = []\n"), 6, "unknown field `scopes`"),
            (
                format!("{table}name = \"t\"\nwrite = []\n{table}name = \"t\"\nwrite = []\n"),
                2,
                "there are two",
            ),
            ("[channel.prod]\nmax_age = \"soon\"\n".to_owned(), 3, "is not an age"),
            ("[channel.prod]\nmax_ages = \"1d\"\n".to_owned(), 3, "unknown field"),
            ("[channel.Prod]\nmax_age = \"1d\"\n".to_owned(), 2, "cannot be a channel's name"),
            ("[serve]\nread = \"all\"\n".to_owned(), 3, "unknown variant `all`"),
        ] {
            let problem = read_site(&text).unwrap_err();
            let place = problem.place.unwrap();
            assert!(problem.message.contains(message), "{text}: {}", problem.message);
            assert!(place.contains(&format!("site.toml:{line}:")), "{text}: {place}");
        }
    }
}
