//! What a file must be before it is shown: one file, under its own name, from where its repository says.

use bundle_format::{Artifact, BlobKey, Ref};
use bytes::Bytes;
use url::Url;

use super::{LOCAL, ROLE, SCHEMA, path};
use crate::ecosystem::Admit;
use crate::problem::{Kind, Problem};

/// Re-validates files.
pub(super) struct FileAdmit;

impl Admit for FileAdmit {
    fn admit(
        &self,
        artifact: &Artifact,
        _read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem> {
        check(artifact).map_err(|why| untrusted(&artifact.name, why))
    }

    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem> {
        Err(untrusted(&reference.name, "files have no tags".to_owned()))
    }
}

fn check(artifact: &Artifact) -> Result<(), String> {
    if artifact.ecosystem != "file" || artifact.schema != SCHEMA {
        return Err("its ecosystem or schema is another".to_owned());
    }
    path::check_repository(&artifact.repository).map_err(|why| format!("its repository's name {why}"))?;
    path::check(&artifact.name).map_err(|why| format!("its name {why}"))?;
    if !artifact.version.is_empty() || !artifact.qualifier.is_empty() || !artifact.requires.is_empty() {
        return Err("a file has neither version nor qualifier, and needs nothing".to_owned());
    }
    let [file] = artifact.files.as_slice() else {
        return Err("it is not exactly one file".to_owned());
    };
    if file.role != ROLE || file.path != artifact.name {
        return Err("its file has another role or path".to_owned());
    }
    if artifact.repository == LOCAL {
        let silent = file.origin.is_empty();
        return if silent { Ok(()) } else { Err("a local file's path is never recorded".to_owned()) };
    }
    let url = Url::parse(&file.origin).map_err(|_| "its origin is no address".to_owned())?;
    path::check_url(&url).map_err(|why| format!("its origin {why}"))?;
    let (repository, name) = (path::repository_of(&url), path::name_of(&url));
    if repository.as_deref() != Ok(&artifact.repository) || name.as_deref() != Ok(&artifact.name) {
        return Err("its origin is the address of another file".to_owned());
    }
    // The person who asked for it named its sha256; the caller has compared it with the bytes.
    if file.checksums.iter().any(|digest| digest.blob_key() == Some(file.blob)) {
        Ok(())
    } else {
        Err("it comes from a host without the sha256 that makes it trustworthy".to_owned())
    }
}

fn untrusted(name: &str, why: String) -> Problem {
    // The name is not known to be harmless to a terminal yet.
    let name = name.chars().take(256).collect::<String>().escape_debug().to_string();
    Problem::new(Kind::Untrusted, "file.refused-artifact", "a file of the bundle is not acceptable")
        .at(name)
        .because(why)
        .hint("collect it again outside with a current aftk")
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn admit(artifact: &Artifact) -> Result<(), Problem> {
        FileAdmit.admit(artifact, &mut |_| unreachable!("files have no documents"))
    }

    fn remote() -> Artifact {
        example("files.example.test_5000", "a/b c", "https://files.example.test:5000/a/b%20c")
    }

    #[test]
    fn good_files_pass() {
        assert_eq!(admit(&remote()), Ok(()));
        let mut local = example("local", "tool.bin", "");
        local.files[0].checksums.clear();
        assert_eq!(admit(&local), Ok(()));
    }

    #[test]
    fn bad_files_are_refused() {
        type Change = fn(&mut Artifact);
        let table: &[(&str, Change)] = &[
            ("ecosystem", |a| a.ecosystem = "npm".to_owned()),
            ("schema", |a| a.schema = "file/2".to_owned()),
            ("repository", |a| a.repository = "a/b".to_owned()),
            ("virtual repository", |a| a.repository = "all".to_owned()),
            ("another repository", |a| a.repository = "other.example.test".to_owned()),
            ("local with an origin", |a| a.repository = "local".to_owned()),
            ("name", |a| a.name = "../b".to_owned()),
            ("control in the name", |a| a.name = "a\u{1b}[2J".to_owned()),
            ("version", |a| a.version = "1".to_owned()),
            ("qualifier", |a| a.qualifier = "x".to_owned()),
            ("no file", |a| a.files.clear()),
            ("two files", |a| a.files.push(a.files[0].clone())),
            ("role", |a| a.files[0].role = "tarball".to_owned()),
            ("path", |a| a.files[0].path = "a/c".to_owned()),
            ("no checksum", |a| a.files[0].checksums.clear()),
            ("another checksum", |a| a.files[0].checksums = vec![BlobKey::of(b"other").into()]),
            ("no origin", |a| a.files[0].origin.clear()),
            ("another origin", |a| a.files[0].origin = "https://files.example.test:5000/c".to_owned()),
            ("credentials", |a| a.files[0].origin = "https://u:p@files.example.test:5000/a/b%20c".to_owned()),
            ("scheme", |a| a.files[0].origin = "ftp://files.example.test:5000/a/b%20c".to_owned()),
        ];
        for (what, change) in table {
            let mut bad = remote();
            change(&mut bad);
            let problem = admit(&bad).expect_err(what);
            assert_eq!(problem.kind, Kind::Untrusted, "{what}");
            assert!(!problem.to_string().chars().any(char::is_control), "{what}");
        }
    }
}
