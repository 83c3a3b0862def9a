//! Putting an edition together: what is signed by this site, what is left as upstream signed it, and the keys of both.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::index::{Index, Written, list_path, write};
use super::release::BACKDATED;
use super::{
    KEYRING, KEYRING_OF_UPSTREAM, LARGEST_RELEASE, Place, Planned, SIGNERS, SUITES, SuiteFacts, path_of,
    signers,
};
use crate::ecosystem::MaterialiseContext;
use crate::ecosystem::apt::source::directory_of;
use crate::problem::Problem;
use crate::protocol::openpgp::Keyring;
use crate::protocol::openpgp::sign::{SigningKey, sign_detached, sign_inline};
use crate::store::{EditionDocument, EditionDocuments};

/// Puts an edition of one repository together.
pub(super) struct Publisher<'a> {
    pub(super) repository: &'a str,
    pub(super) keys: &'a [SigningKey],
    /// How long what is signed is valid; none: without end.
    pub(super) valid_for: Option<SignedDuration>,
    pub(super) now: Timestamp,
    pub(super) context: &'a dyn MaterialiseContext,
}

impl Publisher<'_> {
    /// Adds the documents of all its suites. `believed` are those who signed what is published as it is.
    pub(super) fn publish(
        &self,
        suites: &BTreeMap<String, Planned>,
        indices: &BTreeMap<Place, Index>,
        believed: &Keyring,
        edition: &mut EditionDocuments,
    ) -> Result<(), Problem> {
        let signers = signers(self.keys);
        let same_signers = self.before(SIGNERS)?.as_deref() == Some(signers.as_str());
        let mut facts = Vec::new();
        for (name, planned) in suites {
            facts.push(SuiteFacts {
                suite: name.clone(),
                components: planned.suite.components.iter().cloned().collect(),
                architectures: planned.suite.architectures.iter().cloned().collect(),
                sources: planned.sources.iter().cloned().collect(),
                verbatim: planned.verbatim.is_some(),
            });
            if let Some(documents) = &planned.verbatim {
                edition.extend(documents.clone());
                continue;
            }
            let directory = directory_of(name);
            let mut listed = Vec::new();
            for (component, architecture) in planned.places() {
                let place = (name.clone(), component, architecture);
                let Some(index) = indices.get(&place) else { continue };
                let path = path_of(&place.1, &place.2);
                add_index(edition, &format!("{directory}{path}"), index);
                listed.push((path, index));
            }
            let before = self.before(&format!("{directory}Release"))?;
            let text = planned.suite.text(&listed, before.as_deref(), self.now, self.valid_for);
            let is_new = !same_signers || before.as_deref() != Some(text.as_str());
            self.sign(&directory, &text, is_new, edition)?;
        }
        if !believed.is_empty() {
            let text = believed.armored();
            let written = write(text.as_bytes(), self.context)?;
            edition.insert(KEYRING_OF_UPSTREAM.to_owned(), document(written, false));
        }
        let facts = serde_json::to_vec(&facts).unwrap_or_default();
        let certificates: String = self.keys.iter().map(SigningKey::certificate).collect();
        for (path, bytes) in
            [(SUITES, &facts[..]), (SIGNERS, signers.as_bytes()), (KEYRING, certificates.as_bytes())]
        {
            edition.insert(path.to_owned(), document(write(bytes, self.context)?, false));
        }
        Ok(())
    }

    /// Adds a Release with its signatures; those of the edition before, if it is as it was.
    fn sign(
        &self,
        directory: &str,
        text: &str,
        is_new: bool,
        edition: &mut EditionDocuments,
    ) -> Result<(), Problem> {
        let paths = ["InRelease", "Release.gpg"].map(|name| format!("{directory}{name}"));
        if !is_new {
            let mut kept = Vec::new();
            for path in &paths {
                kept.extend(
                    self.context.before(self.repository, path)?.map(|(document, _)| (path, document)),
                );
            }
            if kept.len() == paths.len() {
                edition.extend(kept.into_iter().map(|(path, document)| (path.clone(), document)));
                edition.insert(
                    format!("{directory}Release"),
                    document(write(text.as_bytes(), self.context)?, false),
                );
                return Ok(());
            }
        }
        // Clocks of clients that are late must not take a signature for one to come.
        let at = self.now - BACKDATED;
        let inline = sign_inline(text, self.keys, at);
        let beside = sign_detached(text.as_bytes(), self.keys, at);
        for (path, bytes) in paths.iter().zip([inline, beside]) {
            edition.insert(path.clone(), document(write(bytes.as_bytes(), self.context)?, false));
        }
        edition.insert(format!("{directory}Release"), document(write(text.as_bytes(), self.context)?, false));
        Ok(())
    }

    /// A small text of the edition before.
    fn before(&self, path: &str) -> Result<Option<String>, Problem> {
        let Some((document, _)) = self.context.before(self.repository, path)? else { return Ok(None) };
        Ok(String::from_utf8(self.context.read(&document.blob, LARGEST_RELEASE)?.to_vec()).ok())
    }
}

/// An index in both its forms, by its name and by its digests; unpacked it is only listed, as the large archives do it.
fn add_index(edition: &mut EditionDocuments, path: &str, index: &Index) {
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    for (ending, written) in [("xz", index.xz), ("gz", index.gz)] {
        edition.insert(format!("{path}.{ending}"), document(written, false));
        edition.insert(format!("{folder}by-hash/SHA256/{}", written.0.hex()), document(written, true));
    }
    edition.insert(list_path(path), document(index.parts, false));
}

fn document((blob, size): Written, lasts: bool) -> EditionDocument {
    EditionDocument { blob, size, lasts }
}
