//! Pointing npm, pnpm, yarn and bun at a mirror.

use std::path::Path;

use super::lock;
use crate::ecosystem::{AUTHORITY, ClientFile, Form, RewrittenLock, Setup, SetupServer, server_address};
use crate::problem::Problem;

/// The clients that can be configured.
pub(super) static CLIENTS: &[&dyn Setup] = &[&Client::Npm, &Client::Pnpm, &Client::Yarn, &Client::Bun];

/// A client.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    Npm,
    /// It reads npm's file.
    Pnpm,
    /// From version 2 on. Version 1 reads npm's file.
    Yarn,
    Bun,
}

impl Setup for Client {
    fn client(&self) -> &'static str {
        match self {
            Client::Npm => "npm",
            Client::Pnpm => "pnpm",
            Client::Yarn => "yarn",
            Client::Bun => "bun",
        }
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let address = server_address::read(server.address)?;
        let registry = format!("{}/npm/all/", address.as_str().trim_end_matches('/'));
        let own_file = || server.authority.map(|_| AUTHORITY.to_owned());
        Ok(match self {
            Client::Npm | Client::Pnpm => ClientFile {
                path: ".npmrc",
                text: npmrc(&registry, server.authority),
                form: Form::Among("#"),
                then: "",
                authority_file: None,
            },
            Client::Yarn => {
                // It speaks to no other host without TLS.
                let host = address.host_str().filter(|_| address.scheme() == "http");
                ClientFile {
                    path: ".yarnrc.yml",
                    text: yarnrc(&registry, host, own_file().as_deref()),
                    form: Form::Alone("#"),
                    then: "yarn 1 reads ~/.npmrc, as npm does: `aftk setup npm`",
                    authority_file: own_file(),
                }
            }
            Client::Bun => ClientFile {
                path: ".bunfig.toml",
                text: bunfig(&registry, own_file().as_deref()),
                form: Form::Alone("#"),
                then: "",
                authority_file: own_file(),
            },
        })
    }

    fn rewrite_lock(
        &self,
        server: &SetupServer<'_>,
        path: &Path,
        bytes: &[u8],
    ) -> Result<RewrittenLock, Problem> {
        let address = server_address::read(server.address)?;
        lock::rewrite(path, bytes, &format!("{}/npm/all/", address.as_str().trim_end_matches('/')))
    }
}

/// Audit and fund stay as the user has them: the mirror answers both.
fn npmrc(registry: &str, authority: Option<&str>) -> String {
    let mut text = format!("registry={registry}\n");
    if let Some(authority) = authority {
        // In the file itself rather than as `cafile`: then there is no second one to carry along.
        text.push_str(&format!("ca=\"{}\"\n", authority.trim_end().replace('\n', "\\n")));
    }
    text
}

fn yarnrc(registry: &str, host: Option<&str>, authority: Option<&str>) -> String {
    let mut text = format!("npmRegistryServer: \"{registry}\"\nenableTelemetry: false\n");
    if let Some(host) = host {
        text.push_str(&format!("unsafeHttpWhitelist:\n  - \"{host}\"\n"));
    }
    if let Some(path) = authority {
        text.push_str(&format!("httpsCaFilePath: \"{path}\"\n"));
    }
    text
}

fn bunfig(registry: &str, authority: Option<&str>) -> String {
    let mut text = format!("[install]\nregistry = \"{registry}\"\n");
    if let Some(path) = authority {
        text.push_str(&format!("cafile = \"{path}\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn file(address: &str, authority: Option<&str>) -> Result<ClientFile, Problem> {
        Client::Npm.configuration(&SetupServer { address, authority, ..SetupServer::default() })
    }

    #[test]
    fn an_authority_is_one_line_as_npm_wants_it() {
        let text = file("https://m", Some("-----BEGIN X-----\nA\n-----END X-----\n")).unwrap().text;
        assert_eq!(text, "registry=https://m/npm/all/\nca=\"-----BEGIN X-----\\nA\\n-----END X-----\"\n");
    }

    #[test]
    fn the_registry_is_the_virtual_one() {
        for server in ["http://mirror.example.test:2385", "http://mirror.example.test:2385/"] {
            let file = file(server, None).unwrap();
            assert_eq!(file.text, "registry=http://mirror.example.test:2385/npm/all/\n");
            assert_eq!(file.path, ".npmrc");
        }
    }

    #[test]
    fn each_client_is_told_in_its_own_words() {
        let text = |client: Client, address: &str, authority: Option<&str>| {
            let server = SetupServer { address, authority, ..SetupServer::default() };
            let file = client.configuration(&server).unwrap();
            assert_eq!(file.authority_file.is_some(), authority.is_some());
            (file.path, file.text)
        };
        let yarn = "npmRegistryServer: \"http://m:2385/npm/all/\"\nenableTelemetry: false\nunsafeHttpWhitelist:\n  - \"m\"\n";
        assert_eq!(text(Client::Yarn, "http://m:2385", None), (".yarnrc.yml", yarn.to_owned()));
        let (_, yarn) = text(Client::Yarn, "https://m", Some("-----"));
        assert!(
            yarn.ends_with(&format!("httpsCaFilePath: \"{AUTHORITY}\"\n")) && !yarn.contains("unsafe"),
            "{yarn}"
        );
        let (path, bun) = text(Client::Bun, "https://m", Some("-----"));
        let expected = format!("[install]\nregistry = \"https://m/npm/all/\"\ncafile = \"{AUTHORITY}\"\n");
        assert_eq!((path, bun), (".bunfig.toml", expected));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "mirror", "ftp://mirror/", "http://", "http://u:p@mirror/", "http://m/?x", "http://m/#x"]
        {
            assert_eq!(file(bad, None).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let sneaky = file("http://m/\nscript-shell=/tmp/x", None).unwrap();
        assert_eq!(sneaky.text.lines().count(), 1);
    }
}
