//! Plain files: the smallest ecosystem.

use bundle_format::Artifact;

use super::Ecosystem;

/// The ecosystem of plain files.
pub(super) struct FileEcosystem;

impl Ecosystem for FileEcosystem {
    fn name(&self) -> &'static str {
        "file"
    }

    fn schema(&self) -> &'static str {
        "file/1"
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let checksum = artifact.files.first().map(|file| file.blob.to_string()).unwrap_or_default();
        format!("pkg:generic/{}?checksum={checksum}", artifact.name)
    }
}
