//! Pointing installers at a mirror, in such a way that they ask nobody else.

use std::path::Path;

use url::{Host, Url};

use super::rewrite;
use crate::ecosystem::{AUTHORITY, ClientFile, Form, RewrittenLock, Setup, SetupServer, server_address};
use crate::problem::Problem;

/// The clients that can be configured.
pub(super) static CLIENTS: &[&dyn Setup] = &[&Client::Pip, &Client::Uv, &Client::Poetry, &Client::Pdm];

/// An installer.
#[derive(Debug, Clone, Copy)]
enum Client {
    Pip,
    Uv,
    Poetry,
    Pdm,
}

impl Setup for Client {
    fn client(&self) -> &'static str {
        match self {
            Client::Pip => "pip",
            Client::Uv => "uv",
            Client::Poetry => "poetry",
            Client::Pdm => "pdm",
        }
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let url = server_address::read(server.address)?;
        let index = format!("{}/pypi/all/simple/", url.as_str().trim_end_matches('/'));
        let authority_file = server.authority.map(|_| AUTHORITY.to_owned());
        let (path, text, then) = match self {
            Client::Pip => (".config/pip/pip.conf", pip(&index, &url, &authority_file), ""),
            Client::Uv => (
                ".config/uv/uv.toml",
                uv(&index, &authority_file),
                "a project with indexes of its own in pyproject.toml asks those as well, and `uv sync` asks the addresses in \
                 uv.lock: `aftk setup uv --rewrite-lock uv.lock` makes them this server's",
            ),
            Client::Poetry => (
                ".config/pypoetry/config.toml",
                poetry(&index, &authority_file),
                "poetry by itself has no index for all projects: its plugin poetry-plugin-pypi-mirror reads this, or \
                 each project's pyproject.toml gets the lines that stand in the comment",
            ),
            Client::Pdm => (".config/pdm/config.toml", pdm(&index, &url, &authority_file), ""),
        };
        Ok(ClientFile { path, text, form: Form::Alone("#"), then, authority_file })
    }

    fn rewrite_lock(
        &self,
        server: &SetupServer<'_>,
        path: &Path,
        bytes: &[u8],
    ) -> Result<RewrittenLock, Problem> {
        let url = server_address::read(server.address)?;
        rewrite::rewrite(path, bytes, &format!("{}/pypi/", url.as_str().trim_end_matches('/')))
    }
}

/// Whether a client would refuse the address for its lack of TLS. This machine itself is trusted by all of them.
fn is_distrusted(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

fn pip(index: &str, url: &Url, authority: &Option<String>) -> String {
    let mut text = format!("# In a Dockerfile: ENV PIP_INDEX_URL={index}\n[global]\nindex-url = {index}\n");
    if let (true, Some(host)) = (is_distrusted(url), url.host_str()) {
        text.push_str(&format!("trusted-host = {host}\n"));
    }
    if let Some(path) = authority {
        text.push_str(&format!("cert = {path}\n"));
    }
    text
}

/// uv takes authorities of the site's own from the environment alone.
fn uv(index: &str, authority: &Option<String>) -> String {
    let mut text = format!("# In a Dockerfile: ENV UV_DEFAULT_INDEX={index}\n");
    if let Some(path) = authority {
        text.push_str(&format!("# Its environment has to say: SSL_CERT_FILE={path}\n"));
    }
    text.push_str(&format!("[[index]]\nname = \"aftk\"\nurl = \"{index}\"\ndefault = true\n"));
    text
}

fn poetry(index: &str, authority: &Option<String>) -> String {
    let mut text = format!(
        "# In a project's pyproject.toml:\n# [[tool.poetry.source]]\n# name = \"aftk\"\n# url = \"{index}\"\n\
         # priority = \"primary\"\n\n[plugins.pypi_mirror]\nurl = \"{index}\"\n"
    );
    if let Some(path) = authority {
        text.push_str(&format!("\n[certificates.aftk]\ncert = \"{path}\"\n"));
    }
    text
}

fn pdm(index: &str, url: &Url, authority: &Option<String>) -> String {
    let mut text = format!("# In a Dockerfile: ENV PDM_PYPI_URL={index}\n[pypi]\nurl = \"{index}\"\n");
    if is_distrusted(url) {
        text.push_str("verify_ssl = false\n");
    }
    if let Some(path) = authority {
        text.push_str(&format!("ca_certs = \"{path}\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn file(client: Client, address: &str, authority: Option<&str>) -> Result<ClientFile, Problem> {
        client.configuration(&SetupServer { address, authority, ..SetupServer::default() })
    }

    const ALL: [Client; 4] = [Client::Pip, Client::Uv, Client::Poetry, Client::Pdm];

    #[test]
    fn every_client_is_given_the_one_index() {
        for client in ALL {
            for (server, distrusted) in [
                ("http://mirror.example.test:2385/", true),
                ("https://mirror.example.test", false),
                ("http://[::1]:1", false),
            ] {
                let text = file(client, server, None).unwrap().text;
                let index = format!("{}/pypi/all/simple/", server.trim_end_matches('/'));
                assert!(text.contains(&index), "{text}");
                let says_so = text.contains("trusted-host = mirror.example.test\n")
                    || text.contains("verify_ssl = false\n");
                assert_eq!(
                    says_so,
                    distrusted && matches!(client, Client::Pip | Client::Pdm),
                    "{client:?} {text}"
                );
                assert!(!text.contains(AUTHORITY), "{text}");
            }
        }
    }

    #[test]
    fn what_has_to_be_toml_is() {
        for client in [Client::Uv, Client::Poetry, Client::Pdm] {
            let file = file(client, "https://m", Some("authority")).unwrap();
            assert!(file.text.contains(AUTHORITY) && file.authority_file.as_deref() == Some(AUTHORITY));
            let document: toml::Table = file.text.parse().unwrap();
            assert!(!document.is_empty());
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for client in ALL {
            for bad in ["", "mirror", "ftp://mirror/", "http://u:p@mirror/", "http://m/?x"] {
                assert_eq!(file(client, bad, None).unwrap_err().kind, Kind::Usage, "{bad}");
            }
            let sneaky = file(client, "http://m/\n[x]", None).unwrap();
            assert!(!sneaky.text.contains("\n[x]"), "{}", sneaky.text);
        }
    }
}
