//! Real attestations of a real file, held against the roots that Sigstore's own client comes with.
//!
//! Both are in what these projects publish: the roots in a wheel, the file and its provenance among the tests of a source
//! distribution. An index of our own lists them.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::command::{bounded, run};
use super::outside;
use super::python::clients;

const FILE: &str = "pypi_attestations-0.0.19.tar.gz";
const FIND: &str = r#"
import glob, hashlib, os, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob("sigstore-3.6.1-*.whl")[0])
for name in ("prod", "staging"):
    with open(name + ".json", "wb") as root:
        root.write(wheel.read(f"sigstore/_store/{name}/trusted_root.json"))
os.makedirs("site/simple/pypi-attestations")
file = "pypi_attestations-0.0.19.tar.gz"
with tarfile.open(glob.glob("pypi_attestations-0.0.30.tar.gz")[0]) as sources:
    for name in (file, file + ".provenance"):
        with open("site/" + name, "wb") as to:
            to.write(sources.extractfile("pypi_attestations-0.0.30/test/assets/" + name).read())
digest = hashlib.sha256(open("site/" + file, "rb").read()).hexdigest()
with open("site/simple/pypi-attestations/index.html", "w") as page:
    page.write(f'<a href="../../{file}#sha256={digest}" data-provenance="../../{file}.provenance">{file}</a>')
"#;

/// An index that is a directory.
struct Index(Child);

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn real_attestations_hold_by_the_roots_of_their_time() {
    let directory = outside::directory().join("attested");
    fs::create_dir_all(&directory).unwrap();
    let mut pip = bounded(&[], clients().join("pip"));
    pip.current_dir(&directory).args([
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        "pypi-attestations",
    ]);
    run(pip.args(["pypi-attestations==0.0.30", "sigstore==3.6.1"])).succeeded();
    run(bounded(&[], "python3").current_dir(&directory).args(["-c", FIND])).succeeded();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string(), "--directory"]);
    let server = server.arg(directory.join("site")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _index = Index(server.unwrap());
    let waited = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(waited.elapsed() < Duration::from_secs(60), "the index is not ready");
    }
    let collect = |roots: &str| {
        let text = format!(
            "format = 1\nrequests = [\"pypi:pypi-attestations\"]\n[[pypi]]\ntargets = [\"cp312-linux-x86_64\"]\n\
             with-installers = false\ntrusted-root = \"{roots}.json\"\n[[pypi]]\nname = \"ours\"\n\
             index = \"http://127.0.0.1:{port}/simple/\"\npackages = [\"pypi-attestations\"]\n"
        );
        fs::write(directory.join("aftk.toml"), text).unwrap();
        run(outside::aftk_behind(&[]).current_dir(&directory).arg("lock"))
    };
    let refused = collect("staging").ended(3);
    assert!(
        refused.stderr.contains(&format!("an attestation of {FILE} does not hold")),
        "{}",
        refused.stderr
    );
    collect("prod").succeeded();
    let lock = fs::read_to_string(directory.join("aftk.lock")).unwrap();
    assert!(lock.contains("/pypi-attestations/.github/workflows/release.yml@refs/tags/v0.0.19"), "{lock}");
    assert!(lock.contains("2024-12-04T"), "{lock}");
}
