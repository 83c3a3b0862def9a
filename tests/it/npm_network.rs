//! A registry behind a proxy, under an authority of the house: reached as npm's own settings say.

use crate::support::connect_proxy::ConnectProxy;
use crate::support::fake_upstream::FakeUpstream;
use crate::support::npm_project::{packages, publish, write_project};
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides};
use crate::support::tls::{authority, with_tls};

/// A project, its registry, and the proxy that leads there.
struct House {
    sides: Sides,
    upstream: FakeUpstream,
    proxy: ConnectProxy,
}

impl House {
    fn new() -> House {
        let (sides, upstream, packages) = (Sides::new(), with_tls(), packages());
        publish(&upstream, &packages);
        write_project(&sides, &packages);
        let proxy = ConnectProxy::start(&upstream);
        House { sides, upstream, proxy }
    }

    /// Runs the program in the project, which has these lines in its .npmrc.
    fn run(&self, npmrc: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        self.sides.write(".npmrc", format!("registry=https://registry.example.test/\n{npmrc}\n"));
        let mut command = self.sides.command("out");
        command.envs(variables.iter().copied()).args(arguments).output().unwrap().into()
    }
}

fn cafile() -> String {
    authority().display().to_string()
}

#[test]
fn a_project_is_collected_through_the_proxy_and_authority_of_its_npmrc() {
    let house = House::new();
    // What the environment says leads nowhere: npm's own settings count before it.
    let nowhere = ("HTTPS_PROXY", "http://nobody:here@127.0.0.1:1");
    let npmrc = format!(
        "https-proxy={}\nnoproxy=elsewhere.example\ncafile={}",
        house.proxy.url().replace("sesame", "${WORD}"),
        cafile()
    );
    let variables = [nowhere, ("WORD", "sesame")];
    let ran = house.run(&npmrc, &variables, &["collect", "--out", "../stick", "--progress", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(house.upstream.requests().iter().filter(|seen| seen.path.ends_with(".tgz")).count() >= 3);
    assert!(house.proxy.targets().iter().all(|target| target == "registry.example.test:443"));
    assert!(!ran.stderr.contains("sesame") && !ran.stderr.contains("\"warning\""), "{}", ran.stderr);

    let mut kept = house.sides.medium();
    kept.extend(["aftk.lock", "aftk.ledger"].map(|name| house.sides.path("project").join(name)));
    assert_eq!(kept.len(), 3);
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
        assert!(!holds(b"sesame") && !holds(b"127.0.0.1"), "{}", file.display());
    }
}

#[test]
fn without_settings_of_npm_the_environment_counts() {
    let house = House::new();
    let (proxy, cafile) = (house.proxy.url(), cafile());
    for authority in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        let variables = [("HTTPS_PROXY", proxy.as_str()), (authority, cafile.as_str())];
        house.run("", &variables, &["lock", "--dry-run"]).done();
    }
    let by_variables = [("npm_config_https_proxy", proxy.as_str()), ("npm_config_cafile", &cafile)];
    house.run("https-proxy=http://127.0.0.1:1", &by_variables, &["lock", "--dry-run"]).done();
}

#[test]
fn a_flag_names_an_authority_besides_those_of_npm() {
    let house = House::new();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls/client-authority.pem");
    let npmrc = format!("https-proxy={}\ncafile={other}", house.proxy.url());
    let refused = house.run(&npmrc, &[("SSL_CERT_FILE", &cafile())], &["lock", "--dry-run"]);
    assert_eq!(refused.code, Some(5), "npm trusts its cafile alone: {}", refused.stderr);
    assert!(refused.stderr.contains("no trusted TLS connection"), "{}", refused.stderr);
    house.run(&npmrc, &[], &["lock", "--dry-run", "--ca-file", &cafile()]).done();
}

#[test]
fn strict_ssl_has_to_be_given_up_twice() {
    let house = House::new();
    let npmrc = format!("https-proxy={}\nstrict-ssl=false", house.proxy.url());
    let refused = house.run(&npmrc, &[], &["lock", "--dry-run"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    for words in ["strict-ssl=false", "--insecure-host", "cafile"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    house.run(&npmrc, &[], &["lock", "--dry-run", "--insecure-host", "registry.example.test"]).done();
    let strict = npmrc.replace("false", "true");
    let refused = house.run(&strict, &[], &["lock", "--dry-run", "--insecure-host", "registry.example.test"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
}

#[test]
fn clients_that_know_the_registry_alone_find_it_by_its_own_name_inside() {
    let house = House::new();
    // Where a client finds it that nobody told anything is what is known of the public registry inside.
    let client = house.sides.path("bin/npm");
    std::fs::create_dir_all(client.parent().unwrap()).unwrap();
    std::fs::write(&client, "#!/bin/sh\necho https://registry.example.test/\n").unwrap();
    std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", client.parent().unwrap().display());
    let npmrc = format!("https-proxy={}\ncafile={}", house.proxy.url(), cafile());
    house.run(&npmrc, &[("PATH", &path)], &["collect", "--out", "../stick"]).done();
    house.sides.trust();
    let site = "format = 1\n[serve]\nimpersonate = true\n[[mount]]\nrepository = \"npm/npm\"\npath = \"/\"\nhost = \"other.example.test\"\n";
    std::fs::write(house.sides.path("in/site.toml"), site).unwrap();
    let serving = Serving::start(&house.sides);
    let ask = |host: &str, path: &str| {
        let host = format!("Host: {host}");
        Client::connect(serving.address).ask("GET", path, &[&host, "Accept: application/json"])
    };
    let package = &packages()[0];
    let tarball = package.tarball_path();
    // Nothing was imported, so this is a name like any other.
    assert_eq!(ask("registry.example.test", "/npm/all/-/ping").status, 200);
    let bundle = house.sides.medium().remove(0).display().to_string();
    house.sides.run("in", &["import", &bundle]).done();
    let begun = std::time::Instant::now();
    while ask("registry.example.test", &tarball).status != 200 {
        assert!(begun.elapsed().as_secs() < 60, "it is not answered for");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for host in ["registry.example.test", "REGISTRY.example.test:443", "other.example.test"] {
        assert_eq!(ask(host, &tarball).body, package.tarball, "{host}");
        let document = ask(host, &package.document_path());
        let document: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
        let version = document["versions"].as_object().unwrap().values().next().unwrap();
        let expected = format!("http://{}{tarball}", host.to_lowercase());
        assert_eq!(version["dist"]["tarball"], expected.as_str(), "{host}");
        // Nothing else is to be seen there.
        assert_eq!(ask(host, "/npm/all/-/ping").status, 404, "{host}");
        assert_ne!(ask(host, "/").status, 404, "the registry says what it is: {host}");
    }
    assert_eq!(ask("mirror.example.test", &format!("/npm/all{tarball}")).status, 200);
    assert_eq!(ask("mirror.example.test", &tarball).status, 404);
}
