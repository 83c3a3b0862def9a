//! Where a listener's certificate comes from, and that it is never an old one: files that whoever issues certificates
//! replaces, or the site's own authority.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::blocking::blocking;
use crate::clock;
use crate::events::{Events, Happening};
use crate::fsx;
use crate::http_server::{Certificate, Tls};
use crate::problem::{Kind, Problem};
use crate::trust::{CERTIFICATE_LIFE, SiteAuthority};

/// How often it is asked whether there is another certificate.
const PAUSE: Duration = Duration::from_secs(60);
/// The most bytes that a file may have.
const LIMIT: u64 = 1024 * 1024;

/// Where a listener's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files in PEM, read again when they change.
    Files {
        /// The chain, the listener's own certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// The site's own authority.
    Own {
        /// The authority's directory.
        directory: PathBuf,
        /// Names and addresses by which clients reach the listener, besides those that are known here.
        names: Vec<String>,
    },
}

/// A source that was opened.
#[derive(Debug)]
pub struct Certificates(Opened);

#[derive(Debug)]
enum Opened {
    Files {
        chain: PathBuf,
        key: PathBuf,
        /// What was in the files when they were last looked at.
        seen: (Vec<u8>, Vec<u8>),
    },
    Own {
        authority: SiteAuthority,
        names: Vec<String>,
        /// Those of upstreams.
        hosts: Vec<String>,
        ends: SystemTime,
    },
}

impl CertificateSource {
    /// Opens it for a listener at these addresses. The site's own authority is made if there is none.
    ///
    /// # Errors
    /// If a file cannot be read or is not what it should be, or a name is none.
    /// `named` are hosts that the site answers for besides, and `hosts` those that may become others.
    pub fn open(
        &self,
        listen: &[SocketAddr],
        named: Vec<String>,
        hosts: &[String],
        events: &dyn Events,
    ) -> Result<(Tls, Certificates), Problem> {
        match self {
            CertificateSource::Files { chain, key } => {
                let seen = (read(chain)?, read(key)?);
                let tls = Tls::new(certificate(chain, key, &seen)?, None)?;
                Ok((tls, Certificates(Opened::Files { chain: chain.clone(), key: key.clone(), seen })))
            }
            CertificateSource::Own { directory, names } => {
                let (authority, made) = SiteAuthority::open_or_make(directory)?;
                let given = [&names[..], &named].concat();
                let (names, hosts) = (all_names(&given, listen), hosts.to_vec());
                let all = [&names[..], &hosts].concat();
                let issued = authority.issue(&all, clock::now())?;
                say(&authority, made, &all, events);
                let first = Certificate::from_pem(issued.chain.as_bytes(), issued.key.as_bytes())?;
                let tls = Tls::new(first, Some(authority.certificate().to_owned()))?;
                Ok((tls, Certificates(Opened::Own { authority, names, hosts, ends: issued.ends })))
            }
        }
    }
}

impl Certificates {
    /// Shows another certificate whenever there is one. Never ends. What goes wrong is said once, and the one before stays.
    /// `hosts` are those of upstreams; whoever sends them stays as long as this.
    pub async fn keep_fresh(
        mut self,
        tls: Tls,
        mut hosts: watch::Receiver<Vec<String>>,
        events: &dyn Events,
    ) {
        loop {
            let _ = tokio::time::timeout(PAUSE, hosts.changed()).await;
            let hosts = hosts.borrow_and_update().clone();
            let looked = blocking(move || {
                let next = self.next(clock::now(), &hosts);
                Ok((self, next))
            });
            let Ok((back, next)) = looked.await else { return };
            self = back;
            match next {
                Ok(None) => {}
                Ok(Some(certificate)) => {
                    tls.replace(certificate);
                    tell(events, "the listener shows a new certificate".to_owned());
                }
                Err(problem) => {
                    events.warn(&problem.code, format!("the certificate stays as it is: {problem}"))
                }
            }
        }
    }

    /// Another certificate, if it is time for one.
    fn next(&mut self, now: SystemTime, upstreams: &[String]) -> Result<Option<Certificate>, Problem> {
        match &mut self.0 {
            Opened::Files { chain, key, seen } => {
                let Ok(found) = read(chain).and_then(|bytes| Ok((bytes, read(key)?))) else {
                    // Somebody is replacing them.
                    return Ok(None);
                };
                if found == *seen {
                    return Ok(None);
                }
                *seen = found;
                certificate(chain, key, seen).map(Some)
            }
            Opened::Own { authority, names, hosts, ends } => {
                if now + CERTIFICATE_LIFE / 3 < *ends && hosts == upstreams {
                    return Ok(None);
                }
                let issued = authority.issue(&[&names[..], upstreams].concat(), now)?;
                *hosts = upstreams.to_vec();
                *ends = issued.ends;
                Certificate::from_pem(issued.chain.as_bytes(), issued.key.as_bytes()).map(Some)
            }
        }
    }
}

fn say(authority: &SiteAuthority, made: bool, names: &[String], events: &dyn Events) {
    if made {
        tell(
            events,
            format!(
                "this site has a certificate authority of its own now; clients are set up with `aftk setup`. Its \
             fingerprint (SHA-256): {}",
                SiteAuthority::fingerprint(authority.certificate())
            ),
        );
    }
    tell(events, format!("the certificate is for {}; add others with --tls-name", names.join(", ")));
}

fn tell(events: &dyn Events, message: String) {
    events.emit(Happening::Message { message });
}

fn certificate(chain: &Path, key: &Path, bytes: &(Vec<u8>, Vec<u8>)) -> Result<Certificate, Problem> {
    Certificate::from_pem(&bytes.0, &bytes.1).map_err(|problem| {
        let place = if problem.code == "tls.key" { key } else { chain };
        problem.at(place.display())
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = || {
        Problem::new(Kind::Usage, "tls.file", "a file of the listener's certificate cannot be read")
            .at(path.display())
    };
    match fsx::read_limited(path, LIMIT) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(unreadable().because("it is not there")),
        Err(error) => Err(unreadable().caused_by(&error)),
    }
}

/// The names that were given, those of this machine, and the addresses that are listened on, each once.
pub(super) fn all_names(given: &[String], listen: &[SocketAddr]) -> Vec<String> {
    let mut names = given.to_vec();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    names.extend(Some(host).filter(|host| is_name(host)));
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let addresses = listen.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
    names.extend(addresses.map(|address| address.to_string()));
    let mut known = std::collections::BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;

    fn issue(authority: &SiteAuthority, directory: &Path) {
        let issued = authority.issue(&["mirror.example.test".to_owned()], clock::now()).unwrap();
        fsx::replace_file(&directory.join("chain.pem"), issued.chain.as_bytes()).unwrap();
        fsx::replace_file(&directory.join("key.pem"), issued.key.as_bytes()).unwrap();
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let directory = tempfile::tempdir().unwrap();
        let (authority, _) = SiteAuthority::open_or_make(&directory.path().join("tls")).unwrap();
        let path = |name: &str| directory.path().join(name);
        let source = CertificateSource::Files { chain: path("chain.pem"), key: path("key.pem") };
        assert_eq!(source.open(&[], Vec::new(), &[], &Silent).unwrap_err().code, "tls.file");
        issue(&authority, directory.path());
        let (_, mut certificates) = source.open(&[], Vec::new(), &[], &Silent).unwrap();
        let now = clock::now();
        assert!(certificates.next(now, &[]).unwrap().is_none());
        let old_key = std::fs::read(path("key.pem")).unwrap();
        issue(&authority, directory.path());
        assert!(certificates.next(now, &[]).unwrap().is_some());
        assert!(certificates.next(now, &[]).unwrap().is_none());
        // What does not go together is said once, and taken when it does.
        let new_key = std::fs::read(path("key.pem")).unwrap();
        fsx::replace_file(&path("key.pem"), &old_key).unwrap();
        let problem = certificates.next(now, &[]).unwrap_err();
        assert_eq!(
            (problem.code.as_ref(), source.open(&[], Vec::new(), &[], &Silent).unwrap_err().code.as_ref()),
            ("tls.key", "tls.key")
        );
        assert!(certificates.next(now, &[]).unwrap().is_none());
        fsx::remove(&path("key.pem")).unwrap();
        assert!(certificates.next(now, &[]).unwrap().is_none());
        fsx::replace_file(&path("key.pem"), &new_key).unwrap();
        assert!(certificates.next(now, &[]).unwrap().is_some());
        for damaged in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fsx::replace_file(&path("chain.pem"), damaged.as_bytes()).unwrap();
            assert_eq!(certificates.next(now, &[]).unwrap_err().code, "tls.certificate", "{damaged:?}");
        }
    }

    #[test]
    fn the_site_s_own_certificate_is_new_before_the_old_one_ends() {
        let directory = tempfile::tempdir().unwrap();
        let source = CertificateSource::Own { directory: directory.path().to_owned(), names: Vec::new() };
        let (_, mut certificates) = source.open(&[], Vec::new(), &[], &Silent).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let now = clock::now();
        assert!(certificates.next(now + day * 59, &[]).unwrap().is_none());
        assert!(certificates.next(now + day * 61, &[]).unwrap().is_some());
        assert!(certificates.next(now + day * 61, &[]).unwrap().is_none());
        // Other upstreams need another one at once.
        let upstreams = ["registry.example.test".to_owned()];
        assert!(certificates.next(now + day * 61, &upstreams).unwrap().is_some());
        assert!(certificates.next(now + day * 61, &upstreams).unwrap().is_none());
    }

    #[test]
    fn a_certificate_is_for_every_name_once() {
        let listen = ["192.0.2.7:1", "0.0.0.0:1", "[::]:1", "127.0.0.1:1"].map(|one| one.parse().unwrap());
        let names = all_names(&["mirror.example.test".to_owned(), "localhost".to_owned()], &listen);
        for name in ["mirror.example.test", "localhost", "127.0.0.1", "::1", "192.0.2.7"] {
            assert_eq!(names.iter().filter(|one| *one == name).count(), 1, "{names:?}");
        }
        assert!(!names.iter().any(|name| matches!(name.as_str(), "0.0.0.0" | "::")));
    }
}
