//! What is stated of which files (in-toto).

use bundle_format::BlobKey;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{Fault, malformed};

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The files that it is about, each with its sha256.
    pub subjects: Vec<(String, BlobKey)>,
    /// What kind of thing is stated: an address.
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(rename = "_type")]
    form: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// The most files that one statement may be about.
const MOST_SUBJECTS: usize = 10_000;

impl Statement {
    /// Reads a statement, which has been verified.
    ///
    /// # Errors
    /// If it is none, or a file has no sha256.
    pub fn read(bytes: &[u8]) -> Result<Statement, Fault> {
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| malformed(format!("its statement: {error}")))?;
        if !["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"]
            .contains(&written.form.as_str())
        {
            return Err(malformed("its statement is of a form that is not known here"));
        }
        if written.subject.len() > MOST_SUBJECTS {
            return Err(malformed("its statement is about more than 10,000 files"));
        }
        let subjects = written.subject.into_iter().map(|subject| {
            let digest = subject.digest.get("sha256").and_then(|hex| BlobKey::from_hex(hex).ok());
            Some((subject.name, digest?))
        });
        let subjects: Option<Vec<_>> = subjects.collect();
        let subjects = subjects.ok_or_else(|| malformed("its statement has a file without a sha256"))?;
        Ok(Statement { subjects, kind: written.predicate_type })
    }

    /// Whether it is about one file, of this name and these bytes.
    ///
    /// # Errors
    /// If it is about another.
    pub fn is_about(&self, name: &str, sha256: &BlobKey) -> Result<(), Fault> {
        match self.subjects.as_slice() {
            [(about, _)] if about != name => {
                Err(Fault::Statement(format!("it is about {}", about.escape_debug())))
            }
            [(_, digest)] if digest != sha256 => {
                Err(Fault::Statement("it is about a file of this name with other bytes".to_owned()))
            }
            [_] => Ok(()),
            _ => Err(Fault::Statement("it is not about one file".to_owned())),
        }
    }
}
