//! Plain files: the smallest ecosystem.
//!
//! An artifact is one file. Its name is its path below `/files/<repository>/`; the repository is `local` for files of
//! the collecting machine, else the host that a file came from.

mod admit;
mod collect;
mod path;
mod serve;

use bundle_format::{Artifact, File};

use super::{Admit, Collect, Ecosystem, Serve};

/// The schema of files' artifacts.
const SCHEMA: &str = "file/1";

/// The repository of files that were collected from the machine itself.
const LOCAL: &str = "local";

/// The one role of a file.
const ROLE: &str = "file";

/// The ecosystem of plain files.
pub(super) struct FileEcosystem;

impl Ecosystem for FileEcosystem {
    fn name(&self) -> &'static str {
        "file"
    }

    fn words(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let checksum = artifact.files.first().map(|file| file.blob.to_string()).unwrap_or_default();
        format!("pkg:generic/{}?checksum={checksum}", path::escaped(&artifact.name))
    }

    fn plain_files<'a>(&self, artifact: &'a Artifact) -> Vec<(String, &'a File)> {
        artifact.files.iter().map(|file| (artifact.name.clone(), file)).collect()
    }

    fn component_type(&self) -> &'static str {
        "file"
    }

    fn collect(&self) -> Option<&dyn Collect> {
        Some(&collect::FileCollect)
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::FileAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::FileServe)
    }
}

/// A file as it comes out of a bundle.
#[cfg(test)]
fn example(repository: &str, name: &str, origin: &str) -> Artifact {
    let blob = bundle_format::BlobKey::of(b"content");
    let file = bundle_format::File {
        role: ROLE.to_owned(),
        path: name.to_owned(),
        blob,
        size: 7,
        media_type: "text/html".to_owned(),
        checksums: vec![blob.into()],
        origin: origin.to_owned(),
    };
    Artifact {
        ecosystem: "file".to_owned(),
        repository: repository.to_owned(),
        name: name.to_owned(),
        version: String::new(),
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes: std::collections::BTreeMap::new(),
        files: vec![file],
        requires: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_a_purl() {
        let artifact = example("local", "a b?.tgz", "");
        let expected = format!("pkg:generic/a%20b%3F.tgz?checksum={}", artifact.files[0].blob);
        assert_eq!(FileEcosystem.purl(&artifact), expected);
    }
}
