//! Pointing apt at a mirror, with the key that its indices are signed with; and the script that captures what a machine
//! has, so that a bundle carries only what it lacks.

use super::edition::{KEYRING, KEYRING_OF_UPSTREAM, SUITES, SuiteFacts};
use super::source::is_path;
use crate::ecosystem::{AUTHORITY, ClientFile, Form, Setup, SetupServer, server_address};
use crate::problem::Problem;

/// What can be set up.
pub(super) static CLIENTS: &[&dyn Setup] = &[&Apt, &Phases, &Baseline];

/// Configures apt.
struct Apt;

/// Lets apt take updates that are given to a part of all machines at first, as Ubuntu's.
struct Phases;

/// Prints the script that captures a machine.
struct Baseline;

impl Setup for Apt {
    fn client(&self) -> &'static str {
        "apt"
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let url = server_address::read(server.address)?;
        let address = url.as_str().trim_end_matches('/');
        let mut stanzas = Vec::new();
        for repository in server.repositories {
            let read = |path: &str| match server.editions {
                Some(editions) => editions.document(repository, path),
                None => Ok(None),
            };
            let (Some(suites), Some(key)) = (read(SUITES)?, read(KEYRING)?) else { continue };
            let suites: Vec<SuiteFacts> = serde_json::from_slice(&suites).unwrap_or_default();
            let upstream = read(KEYRING_OF_UPSTREAM)?.unwrap_or_default();
            let (own, upstream) = (String::from_utf8_lossy(&key), String::from_utf8_lossy(&upstream));
            let uri = format!("{address}/apt/{repository}");
            for suite in suites.iter().filter(|one| is_path(&one.suite)) {
                stanzas.push(stanza(suite, &uri, if suite.verbatim { &upstream } else { &own }));
            }
        }
        if stanzas.is_empty() {
            stanzas.push("# There is no suite here yet.\n".to_owned());
            if server.editions.is_none() {
                let advice =
                    format!("# {address}/setup/apt has the suites that the mirror holds, and its key.\n");
                stanzas = vec![advice];
            }
        }
        Ok(ClientFile {
            path: "/etc/apt/sources.list.d/aftk.sources",
            text: stanzas.join("\n"),
            form: Form::Among("#"),
            then: "apt goes on asking its other sources as well: take out those that cannot be reached from here",
            authority_file: server.authority.map(|_| AUTHORITY.to_owned()),
        })
    }
}

/// One suite (sources.list(5), deb822).
fn stanza(suite: &SuiteFacts, uri: &str, key: &str) -> String {
    let types = if suite.sources.is_empty() { "deb" } else { "deb deb-src" };
    let mut text = format!("Types: {types}\nURIs: {uri}\nSuites: {}\n", suite.suite);
    let mut field = |name: &str, words: &[String]| {
        if !words.is_empty() {
            text.push_str(&format!("{name}: {}\n", words.join(" ")));
        }
    };
    field("Components", &suite.components);
    // Else apt would ask for every architecture that the machine has.
    let own: Vec<String> = suite.architectures.iter().filter(|one| *one != "all").cloned().collect();
    field("Architectures", &own);
    if suite.verbatim {
        // What upstream signed lapses by its own date, wherever it was carried.
        text.push_str("Check-Valid-Until: no\n");
    }
    text.push_str("Signed-By:\n");
    for line in key.lines() {
        // An empty line would end the stanza.
        text.push_str(if line.is_empty() { " ." } else { " " });
        text.push_str(line);
        text.push('\n');
    }
    text
}

impl Setup for Phases {
    fn client(&self) -> &'static str {
        "apt-phases"
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        server_address::read(server.address)?;
        Ok(ClientFile {
            path: "/etc/apt/apt.conf.d/90aftk-phases",
            text: "// What is here was chosen to be brought in: no machine need wait until it is its turn.\n\
                   APT::Get::Always-Include-Phased-Updates \"true\";\n\
                   Update-Manager::Always-Include-Phased-Updates \"true\";\n"
                .to_owned(),
            form: Form::Among("//"),
            then: "",
            authority_file: None,
        })
    }
}

impl Setup for Baseline {
    fn client(&self) -> &'static str {
        "apt-baseline"
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        server_address::read(server.address)?;
        Ok(ClientFile {
            path: "aftk-apt-baseline.sh",
            text: CAPTURE.to_owned(),
            form: Form::Bare,
            then: "run it on each machine with `sh`, unpack what it writes outside, and name the folders as `baseline` of an \
                   [[apt]] in aftk.toml",
            authority_file: None,
        })
    }
}

/// Reads only, needs no root, and nothing that a minimal system does not have.
const CAPTURE: &str = include_str!("capture.sh");

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ecosystem::Editions;

    #[derive(Debug)]
    struct Fixed(&'static str);

    impl Editions for Fixed {
        fn document(&self, repository: &str, path: &str) -> Result<Option<Bytes>, Problem> {
            Ok(match (repository, path) {
                ("debian", SUITES) => Some(Bytes::from_static(self.0.as_bytes())),
                ("debian", KEYRING_OF_UPSTREAM) => {
                    Some(Bytes::from_static(b"-----BEGIN\nupstream\n-----END\n"))
                }
                ("debian", KEYRING) => Some(Bytes::from_static(b"-----BEGIN\n\nabc\n-----END\n")),
                _ => None,
            })
        }
    }

    fn text(suites: &'static str) -> String {
        let (fixed, repositories) = (Fixed(suites), ["debian".to_owned(), "other".to_owned()]);
        let server = SetupServer {
            address: "http://mirror.example.test:2385/",
            repositories: &repositories,
            editions: Some(&fixed),
            ..SetupServer::default()
        };
        Apt.configuration(&server).unwrap().text
    }

    #[test]
    fn each_suite_has_its_stanza_with_the_key() {
        let suites = r#"[{"suite":"stable","components":["main"],"architectures":["amd64"],"sources":["main"]},
            {"suite":"./","components":[],"architectures":[],"sources":[]},
            {"suite":"x\nSigned-By: y","components":[],"architectures":[],"sources":[]}]"#;
        let expected = "Types: deb deb-src\nURIs: http://mirror.example.test:2385/apt/debian\nSuites: stable\nComponents: \
                        main\nArchitectures: amd64\nSigned-By:\n -----BEGIN\n .\n abc\n -----END\n\nTypes: deb\nURIs: \
                        http://mirror.example.test:2385/apt/debian\nSuites: ./\nSigned-By:\n -----BEGIN\n .\n abc\n \
                        -----END\n";
        assert_eq!(text(suites), expected);
    }

    #[test]
    fn what_upstream_signed_is_believed_by_its_key_whenever_that_was() {
        let text =
            text(r#"[{"suite":"stable","components":[],"architectures":[],"sources":[],"verbatim":true}]"#);
        let expected =
            "Suites: stable\nCheck-Valid-Until: no\nSigned-By:\n -----BEGIN\n upstream\n -----END\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn where_nothing_is_known_it_is_said_who_knows() {
        assert!(text("[]").starts_with('#'));
        let server = SetupServer { address: "http://m", ..SetupServer::default() };
        assert!(Apt.configuration(&server).unwrap().text.contains("http://m/setup/apt"));
    }
}
