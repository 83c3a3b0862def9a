//! Pointing clients of registries at a mirror, in such a way that they ask nobody else.

use serde_json::json;
use url::Url;

use super::address;
use super::reference::{DOCKER, check_registry};
use crate::ecosystem::{ClientFile, Form, Setup, SetupServer, server_address};
use crate::problem::{Kind, Problem};

/// The clients that can be configured.
pub(super) static CLIENTS: &[&dyn Setup] =
    &[&Client::Docker, &Client::Containerd, &Client::Podman, &Client::Skopeo, &Client::K3s];

/// A client of registries.
#[derive(Debug, Clone, Copy)]
enum Client {
    Docker,
    Containerd,
    Podman,
    /// Reads what podman reads.
    Skopeo,
    K3s,
}

impl Setup for Client {
    fn client(&self) -> &'static str {
        match self {
            Client::Docker => "docker",
            Client::Containerd => "containerd",
            Client::Podman => "podman",
            Client::Skopeo => "skopeo",
            Client::K3s => "k3s",
        }
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let mirror = Mirror::read(server)?;
        Ok(match self {
            Client::Docker => docker(&mirror),
            Client::Containerd => containerd(&mirror),
            Client::Podman | Client::Skopeo => podman(&mirror, server.repositories),
            Client::K3s => k3s(&mirror),
        })
    }
}

/// A mirror as clients write it.
struct Mirror {
    /// `http://host:port`
    address: String,
    /// `host:port`
    authority: String,
    /// Whether it speaks without TLS.
    is_plain: bool,
    /// Whether it is this machine, where docker does without TLS unasked.
    is_loopback: bool,
    /// Whether clients do not know its certificate authority.
    is_private: bool,
}

impl Mirror {
    fn read(server: &SetupServer<'_>) -> Result<Mirror, Problem> {
        let url = server_address::read(server.address)?;
        if url.path() != "/" {
            let what = "clients of images look for a registry at the root of its host";
            return Err(Problem::new(Kind::Usage, "oci.server-path", what)
                .at(server.address)
                .hint("give the server's address without a path"));
        }
        let host = url.host_str().unwrap_or_default();
        Ok(Mirror {
            address: url.as_str().trim_end_matches('/').to_owned(),
            authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            is_plain: url.scheme() == "http",
            is_loopback: is_loopback(&url),
            is_private: server.authority.is_some(),
        })
    }

    /// The path of its certificate authority's file, if clients need one.
    fn authority_file(&self, path: impl Into<String>) -> Option<String> {
        self.is_private.then(|| path.into())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// docker asks mirrors for images of its own registry alone; others have to be called by the mirror's name.
fn docker(mirror: &Mirror) -> ClientFile {
    let mut daemon = json!({ "registry-mirrors": [mirror.address] });
    if let (true, false, Some(members)) = (mirror.is_plain, mirror.is_loopback, daemon.as_object_mut()) {
        members.insert("insecure-registries".to_owned(), json!([mirror.authority]));
    }
    ClientFile {
        path: "/etc/docker/daemon.json",
        text: format!("{daemon:#}\n"),
        form: Form::Bare,
        then: "docker reads it when it is started again. It asks a mirror for images without a host in their name only: \
               others are pulled as MIRROR/registry.example.test/team/app",
        authority_file: mirror.authority_file(format!("/etc/docker/certs.d/{}/ca.crt", mirror.authority)),
    }
}

/// `server` is where containerd turns to when no other host has an image: were it not the mirror itself, containerd would
/// ask the internet for whatever the mirror does not have. It must stand among the others as well: containerd 1.6 throws a
/// file away that names none, and asks the internet for everything.
fn containerd(mirror: &Mirror) -> ClientFile {
    const AUTHORITY: &str = "/etc/containerd/certs.d/_default/aftk-ca.crt";
    let authority_file = mirror.authority_file(AUTHORITY);
    let authority = authority_file.as_ref().map(|path| format!("ca = \"{path}\"\n")).unwrap_or_default();
    ClientFile {
        path: "/etc/containerd/certs.d/_default/hosts.toml",
        text: format!(
            "server = \"{0}\"\n{authority}\n[host.\"{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n{authority}",
            mirror.address
        ),
        form: Form::Alone("#"),
        then: "containerd reads it where its config.toml says config_path = \"/etc/containerd/certs.d\" for registries; \
               ctr wants --hosts-dir /etc/containerd/certs.d",
        authority_file,
    }
}

/// What has no prefix here, podman looks for at its own registry.
fn podman(mirror: &Mirror, registries: &[String]) -> ClientFile {
    let mut text = String::from(
        "# For podman, buildah and skopeo; for CRI-O the same belongs into /etc/containers/registries.conf.d/.\n",
    );
    if registries.is_empty() {
        text.push_str(&format!(
            "# Every other registry wants three such lines with its name; {}/setup/podman has them for all that the \
             mirror holds.\n",
            mirror.address
        ));
    }
    // Names of repositories come from bundles, and may be anything.
    let others = registries.iter().map(String::as_str);
    let others = others.filter(|registry| *registry != DOCKER && check_registry(registry).is_ok());
    for registry in [DOCKER].into_iter().chain(others) {
        text.push_str(&format!(
            "[[registry]]\nprefix = \"{registry}\"\nlocation = \"{}/{}\"\n",
            mirror.authority,
            address::segment(registry)
        ));
        if mirror.is_plain {
            text.push_str("insecure = true\n");
        }
    }
    ClientFile {
        path: ".config/containers/registries.conf.d/aftk.conf",
        text,
        form: Form::Among("#"),
        then: "",
        authority_file: mirror
            .authority_file(format!(".config/containers/certs.d/{}/ca.crt", mirror.authority)),
    }
}

fn k3s(mirror: &Mirror) -> ClientFile {
    let authority_file = mirror.authority_file("/etc/rancher/k3s/aftk-ca.crt");
    let mut text = format!("mirrors:\n  \"*\":\n    endpoint:\n      - \"{}\"\n", mirror.address);
    if let Some(path) = &authority_file {
        text.push_str(&format!("configs:\n  \"{}\":\n    tls:\n      ca_file: {path}\n", mirror.authority));
    }
    ClientFile {
        path: "/etc/rancher/k3s/registries.yaml",
        text,
        form: Form::Alone("#"),
        then: "k3s reads it when it is started again; with --disable-default-registry-endpoint it asks nobody else",
        authority_file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIRROR: &str = "http://mirror.example.test:2385";

    fn configuration(
        client: Client,
        address: &str,
        repositories: &[String],
        authority: Option<&str>,
    ) -> Result<ClientFile, Problem> {
        client.configuration(&SetupServer { address, repositories, authority, ..SetupServer::default() })
    }

    fn text(client: Client, server: &str, registries: &[&str]) -> String {
        let registries: Vec<String> = registries.iter().map(|one| (*one).to_owned()).collect();
        configuration(client, server, &registries, None).unwrap().text
    }

    #[test]
    fn docker_believes_a_plain_mirror_on_another_machine_only_if_it_is_told() {
        let plain: serde_json::Value = serde_json::from_str(&text(Client::Docker, MIRROR, &[])).unwrap();
        assert_eq!(
            plain,
            json!({"registry-mirrors": [MIRROR], "insecure-registries": ["mirror.example.test:2385"]})
        );
        for server in
            ["https://mirror.example.test", "http://127.0.0.1:2385", "http://localhost:1", "http://[::1]:1"]
        {
            let text = text(Client::Docker, &format!("{server}/"), &[]);
            let daemon: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(daemon, json!({"registry-mirrors": [server]}));
        }
    }

    #[test]
    fn containerd_has_nowhere_else_to_turn() {
        let hosts: toml::Table = text(Client::Containerd, MIRROR, &[]).parse().unwrap();
        assert_eq!(hosts["server"].as_str(), Some(MIRROR));
        let others: Vec<_> = hosts["host"].as_table().unwrap().keys().collect();
        assert_eq!(others, [MIRROR]);
    }

    #[test]
    fn podman_finds_every_registry_of_the_mirror() {
        let registries = ["docker.io", "localhost", "x\"\n[[registry]]\n", "registry.example.test:5000"];
        let file: toml::Table = text(Client::Podman, MIRROR, &registries).parse().unwrap();
        let found: Vec<_> = file["registry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                assert_eq!(one["insecure"].as_bool(), Some(true));
                format!("{} {}", one["prefix"].as_str().unwrap(), one["location"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            found,
            [
                "docker.io mirror.example.test:2385/docker.io",
                "localhost mirror.example.test:2385/localhost",
                "registry.example.test:5000 mirror.example.test:2385/registry.example.test_5000",
            ]
        );
        assert_eq!(text(Client::Podman, MIRROR, &registries), text(Client::Skopeo, MIRROR, &registries));
        let unknown = text(Client::Podman, "https://mirror.example.test", &[]);
        assert!(
            unknown.contains("https://mirror.example.test/setup/podman") && !unknown.contains("insecure")
        );
    }

    #[test]
    fn every_client_is_told_where_the_authority_is() {
        for (client, place) in [
            (Client::Docker, "/etc/docker/certs.d/mirror.example.test:2385/ca.crt"),
            (Client::Containerd, "/etc/containerd/certs.d/_default/aftk-ca.crt"),
            (Client::Podman, ".config/containers/certs.d/mirror.example.test:2385/ca.crt"),
            (Client::Skopeo, ".config/containers/certs.d/mirror.example.test:2385/ca.crt"),
            (Client::K3s, "/etc/rancher/k3s/aftk-ca.crt"),
        ] {
            let server = "https://mirror.example.test:2385";
            let file = configuration(client, server, &[], Some("PEM")).unwrap();
            assert_eq!(file.authority_file.as_deref(), Some(place));
            // These two have to be told in their own file; for the others the place is enough.
            let named = matches!(client, Client::Containerd | Client::K3s);
            assert_eq!(file.text.contains(place), named, "{}", file.text);
            let public = configuration(client, server, &[], None).unwrap();
            assert!(public.authority_file.is_none() && !public.text.contains("aftk-ca"));
        }
        let hosts = configuration(Client::Containerd, "https://m", &[], Some("PEM")).unwrap().text;
        let hosts: toml::Table = hosts.parse().unwrap();
        assert_eq!(hosts["ca"], hosts["host"]["https://m"]["ca"]);
    }

    #[test]
    fn what_is_no_address_of_a_registry_is_refused() {
        for client in CLIENTS {
            for bad in ["", "mirror", "http://u:p@mirror/", "http://mirror/below", "ftp://mirror"] {
                let server = SetupServer { address: bad, ..SetupServer::default() };
                assert_eq!(client.configuration(&server).unwrap_err().kind, Kind::Usage, "{bad}");
            }
        }
    }
}
