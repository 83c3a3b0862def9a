//! What is stated of which files (in-toto).

use std::collections::BTreeMap;

use bundle_format::Digest;
use serde::Deserialize;

use super::{Fault, malformed};

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The files that it is about, each with its digests. Those of algorithms that are not known here are left out.
    pub subjects: Vec<(String, Vec<Digest>)>,
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
    /// Reads a statement.
    ///
    /// # Errors
    /// If it is none.
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
            let digests = subject.digest.iter().filter_map(|(algorithm, hex)| {
                format!("{algorithm}:{}", hex.to_ascii_lowercase()).parse::<Digest>().ok()
            });
            (subject.name, digests.collect())
        });
        Ok(Statement { subjects: subjects.collect(), kind: written.predicate_type })
    }

    /// Whether it is about one file, of this name and with these checksums: one that nobody can forge is the same, and none is
    /// another.
    ///
    /// # Errors
    /// If it is about another.
    pub fn is_about(&self, name: &str, checksums: &[Digest]) -> Result<(), Fault> {
        let [(about, digests)] = self.subjects.as_slice() else {
            return Err(Fault::Statement("it is not about one file".to_owned()));
        };
        if about != name {
            let about: String = about.chars().take(200).collect();
            return Err(Fault::Statement(format!("it is about {}", about.escape_debug())));
        }
        let is_same = digests.iter().any(|digest| digest.is_strong() && checksums.contains(digest));
        let is_other = digests.iter().any(|digest| {
            checksums.iter().any(|known| known.algorithm() == digest.algorithm() && known != digest)
        });
        if is_same && !is_other {
            return Ok(());
        }
        Err(Fault::Statement("it is about a file of this name with other bytes".to_owned()))
    }
}
