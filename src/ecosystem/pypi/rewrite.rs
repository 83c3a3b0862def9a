//! Other addresses in a lockfile of Python packages: those of a mirror in place of the indexes' and their files'.
//!
//! A mirror has each file under its digest, which lockfiles say. So what is rewritten means the same bytes, whatever the mirror
//! has besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::inputs::lock::{Lock, Origin, Package};
use super::inputs::{pdm_lock, pylock, uv_lock};
use super::pages::encoded;
use super::request::Form;
use crate::ecosystem::{RewrittenLock, addresses};
use crate::problem::{Kind, Problem};

/// Rewrites a lockfile for the mirror whose indexes stand below `base`, which ends in a slash. `shown` is its path in messages.
///
/// # Errors
/// Usage, if it is none that has addresses, or is damaged.
pub(super) fn rewrite(shown: &Path, bytes: &[u8], base: &str) -> Result<RewrittenLock, Problem> {
    let wrong = |what: &str| Problem::new(Kind::Usage, "setup.lock", what.to_owned()).at(shown.display());
    let name = shown.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("this lockfile is no text in UTF-8"))?;
    let place = shown.display().to_string();
    let (lock, has_archives) = match Form::of_name(name) {
        Some(Form::Uv) => (uv_lock::parse(text, &place)?, false),
        Some(Form::Pdm) => (pdm_lock::parse(text, &place)?, false),
        Some(Form::Pylock) => (pylock::parse(text, &place)?, true),
        Some(Form::Poetry | Form::Pipfile) => {
            return Err(wrong(
                "this lockfile names no addresses of files, and stays right wherever they are",
            ));
        }
        _ => {
            return Err(wrong("this is no lockfile of Python packages by its name")
                .hint("uv.lock, pdm.lock and pylock.toml have addresses that can become others"));
        }
    };
    let mut own = Own { base, has_archives, others: BTreeMap::new(), left: BTreeSet::new() };
    own.learn(&lock);
    let (text, changed) = addresses::exchange(text, |address, _| own.others.get(address).map(String::as_str));
    Ok(RewrittenLock { text, changed, left: own.left.into_iter().collect(), project: Vec::new() })
}

/// What addresses become.
struct Own<'a> {
    base: &'a str,
    /// Whether archives from somewhere else than an index become the mirror's too. Where the project names such an address
    /// itself, its lockfile has to keep it.
    has_archives: bool,
    others: BTreeMap<String, String>,
    left: BTreeSet<String>,
}

impl Own<'_> {
    fn learn(&mut self, lock: &Lock) {
        for package in &lock.packages {
            match &package.origin {
                Origin::Index(index) => {
                    if let Some(index) = index.as_deref().filter(|index| index.contains("://")) {
                        // With the slash, as `setup` writes it: uv compares the two by their letters.
                        self.others.insert(index.to_owned(), format!("{}all/simple/", self.base));
                    }
                    self.files(package);
                }
                Origin::Url(_) if self.has_archives => self.files(package),
                Origin::Url(url) | Origin::Repository(url) => drop(self.left.insert(url.clone())),
                Origin::Local(_) => {}
            }
        }
    }

    fn files(&mut self, package: &Package) {
        for file in &package.files {
            let Some(url) = file.url.as_deref().filter(|url| url.contains("://")) else { continue };
            let address = url.split('#').next().unwrap_or_default().to_owned();
            match file.hashes.iter().find(|hash| hash.algorithm == "sha256") {
                Some(hash) => {
                    let new = format!("{}all/files/{}/{}", self.base, hash.hex, encoded(&file.name));
                    self.others.insert(address, new);
                }
                None => drop(self.left.insert(address)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://mirror.example.test:2385/pypi/";

    fn rewritten(name: &str, text: &str) -> RewrittenLock {
        rewrite(Path::new(name), text.as_bytes(), BASE).unwrap()
    }

    /// A digest.
    fn sha() -> String {
        "0a".repeat(32)
    }

    #[test]
    fn addresses_of_indexes_and_their_files_change_and_no_other_byte() {
        let sha = sha();
        let file = "https://files.example.test/packages/1a/a-1%2Bx-py3-none-any.whl";
        let (own, index) =
            (format!("{BASE}all/files/{sha}/a-1%2Bx-py3-none-any.whl"), "https://index.example.test/simple");
        let uv = format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"1\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"a\" }}]\n\n# {index}/\n[[package]]\nname = \"a\"\n\
             version = \"1+x\"\nsource = {{ registry = \"{index}\" }}\nwheels = [\n  {{ url = \"{file}\", hash = \"sha256:{sha}\", \
             size = 3 }},\n]\n"
        );
        let pdm = format!(
            "[metadata]\nlock_version = \"4.5.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1+x\"\nfiles = [\n    {{url = \
             \"{file}\", hash = \"sha256:{sha}\"}},\n]\n"
        );
        let pylock = format!(
            "lock-version = \"1.0\"\ncreated-by = \"x\"\n\n[[packages]]\nname = \"a\"\nversion = \"1+x\"\nindex = \"{index}\"\n\
             wheels = [{{ name = \"a-1+x-py3-none-any.whl\", url = \"{file}\", hashes = {{ sha256 = \"{sha}\" }} }}]\n\n\
             [[packages]]\nname = \"a\"\narchive = {{ url = \"https://x.example.test/a-2.zip\", hashes = {{ sha256 = \"{sha}\" }} }}\n"
        );
        for (name, text, changed) in
            [("uv.lock", uv, 2), ("pdm.lock", pdm, 1), ("pylock.dev.toml", pylock, 3)]
        {
            let first = rewritten(name, &text);
            assert_eq!((first.changed, first.left.len()), (changed, 0), "{name}");
            let archive = (format!("{BASE}all/files/{sha}/a-2.zip"), "https://x.example.test/a-2.zip");
            let back = first.text.replace(&own, file).replace(&archive.0, archive.1);
            assert_eq!(
                back.replace(&format!("\"{BASE}all/simple/\""), &format!("\"{index}\"")),
                text,
                "{name}"
            );
            assert!(first.text.contains(&own) && !first.text.contains(file), "{name}: {}", first.text);
            let again = rewritten(name, &first.text);
            assert_eq!((again.changed, again.text), (0, first.text), "{name}");
        }
    }

    #[test]
    fn what_no_mirror_has_by_its_digest_is_left() {
        let text = format!(
            "version = 1\n\n[[package]]\nname = \"a\"\nversion = \"1\"\nsource = {{ url = \"https://x.example.test/a-1.tar.gz\" }}\n\
             sdist = {{ hash = \"sha256:{sha}\" }}\n\n[[package]]\nname = \"b\"\nversion = \"1\"\nsource = {{ git = \
             \"https://x.example.test/b.git#0a\" }}\n\n[[package]]\nname = \"c\"\nversion = \"1\"\nsource = {{ registry = \"../wheels\" \
             }}\nwheels = [{{ url = \"https://x.example.test/c-1-py3-none-any.whl\" }}, {{ path = \"c-1-py2-none-any.whl\" }}]\n",
            sha = sha()
        );
        let rewritten = rewritten("uv.lock", &text);
        assert_eq!((rewritten.changed, rewritten.text), (0, text));
        assert_eq!(
            rewritten.left,
            [
                "https://x.example.test/a-1.tar.gz",
                "https://x.example.test/b.git#0a",
                "https://x.example.test/c-1-py3-none-any.whl",
            ]
        );
    }

    #[test]
    fn what_has_no_addresses_is_refused() {
        for (name, text, why) in [
            ("poetry.lock", "", "names no addresses"),
            ("Pipfile.lock", "{}", "names no addresses"),
            ("requirements.txt", "", "no lockfile of Python"),
            ("package-lock.json", "{}", "no lockfile of Python"),
            ("uv.lock", "version = 9", "cannot be read"),
        ] {
            let problem = rewrite(Path::new(name), text.as_bytes(), BASE).unwrap_err();
            assert!(problem.message.contains(why), "{name}: {problem:?}");
        }
        assert!(rewrite(Path::new("uv.lock"), b"\xff", BASE).is_err());
    }
}
