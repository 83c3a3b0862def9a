//! Whether registries ever published what a bundle brings: their signatures, which stand in the carried version objects, held
//! against the keys that were pinned at this side, and those that the bundle brings.
//!
//! Keys that are pinned under the name of a repository (`npm.json`) make a signature by one of them a condition for it.
//! Those of other names prove what they can. Keys that only the bundle brings prove nothing to this side; but what
//! contradicts them was changed after it was collected.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::Artifact;

use super::admit::untrusted;
use super::attestations::{self, Attestations, Verified};
use super::keys::{self, Keys};
use super::packument;
use super::signature::{self, Fault};
use super::version_object::VersionObject;
use super::{KEYS, SCHEMA};
use crate::ecosystem::{AdmitContext, Together, Verdict, attested};
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::Roots;
use crate::units;

/// The proof of the packages of one bundle.
pub(super) struct Proving<'a> {
    context: &'a dyn AdmitContext,
    /// What is pinned for a repository.
    pinned: BTreeMap<String, Keys>,
    /// What is pinned.
    any: Keys,
    /// By repository: what the bundle brings.
    carried: BTreeMap<String, Keys>,
    found: BTreeMap<String, Found>,
    /// Whose attestations are believed.
    roots: Roots,
    /// By repository and package: who made what, and whether all of that is known.
    attested: BTreeMap<(String, String), (Vec<String>, bool)>,
}

/// What is known of the packages of a repository.
#[derive(Default)]
struct Found {
    /// How many are signed with pinned keys, and which keys those are.
    proved: u64,
    signers: BTreeSet<String>,
    /// How many are signed with keys that the bundle alone brings.
    unpinned: u64,
    /// How many are not signed with any known key, and the first of them.
    unsigned: u64,
    example: String,
}

impl<'a> Proving<'a> {
    /// Reads the keys that are pinned here.
    pub(super) fn begin(context: &'a dyn AdmitContext) -> Result<Proving<'a>, Problem> {
        let (mut pinned, mut any) = (BTreeMap::<String, Keys>::new(), Keys::default());
        let mut roots = Roots::default();
        for (path, bytes) in context.keyrings(&["json"])? {
            let unusable = |why: String| {
                Problem::new(Kind::Usage, "npm.keys", "the pinned keys of a registry cannot be used")
                    .at(path.display())
                    .because(why)
                    .hint(format!("it has to be what the registry answers at {}", keys::PLACE))
                    .hint("or a trusted_root.json, as clients of Sigstore have it")
            };
            let Some(keys) = Keys::read(&bytes).map_err(unusable)? else {
                roots.extend(Roots::read(&bytes).map_err(|_| unusable("it lists no keys".to_owned()))?);
                continue;
            };
            any.extend(keys.clone());
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            pinned.entry(name).or_default().extend(keys);
        }
        let (carried, found, attested) = Default::default();
        Ok(Proving { context, pinned, any, carried, found, roots, attested })
    }

    /// Holds the attestations of a version to whom this side believes.
    fn attest(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        let file = |role: &str| artifact.files.iter().find(|file| file.role == role);
        let (Some(document), Some(tarball)) = (file(attestations::ROLE), file("tarball")) else {
            return Ok(());
        };
        if self.roots.is_empty() {
            return Ok(());
        }
        let (name, version) = (artifact.name.as_str(), artifact.version.as_str());
        let wrong = |why: String| {
            untrusted(name, version, &format!("its attestations do not hold: {why}"))
                .hint("or this side believes others: HOME/npm/keyrings")
        };
        let bytes = self.context.read(&document.blob, attestations::LARGEST)?;
        let read = Attestations::read(&bytes, (name, version), &tarball.checksums).map_err(wrong)?;
        let must = self.pinned.get(&artifact.repository);
        let keys = match must {
            Some(keys) => vec![keys],
            None => [&self.any].into_iter().chain(self.carried.get(&artifact.repository)).collect(),
        };
        let Verified { attested, unknown } = read.verify(&self.roots, &keys).map_err(wrong)?;
        if let (Some(key), Some(_)) = (unknown.first(), must) {
            return Err(wrong(format!("one is signed with the key {key}, which is not pinned here")));
        }
        let mut told = vec![attested::said(&attested)];
        told.extend(
            unknown
                .iter()
                .map(|key| format!("published, as {key} is said to have signed, which is not known here")),
        );
        told.retain(|one| !one.is_empty());
        let key = (artifact.repository.clone(), artifact.name.clone());
        let (all, is_known) = self.attested.entry(key).or_insert_with(|| (Vec::new(), true));
        all.push(format!("{version}, {}", told.join("; ")));
        *is_known &= unknown.is_empty();
        Ok(())
    }

    fn prove(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        let must = self.pinned.get(&artifact.repository);
        let pinned = must.unwrap_or(&self.any);
        let carried = self.carried.get(&artifact.repository);
        if pinned.is_empty() && carried.is_none() {
            return Ok(());
        }
        let wrong = |why: &str| untrusted(&artifact.name, &artifact.version, why);
        let Some(manifest) = packument::file(artifact, "manifest") else { return Ok(()) };
        let bytes = self.context.read(&manifest.blob, packument::VERSION_OBJECT_LIMIT)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("its version object is no text"))?;
        let (name, version) = (artifact.name.as_str(), artifact.version.as_str());
        let object = VersionObject::read(text, name, version, &artifact.repository)?;
        let verify = |keys| signature::verify(&object, (name, version), packument::published(artifact), keys);
        let with_carried = || match carried {
            Some(keys) => verify(keys),
            None => Err(Fault::UnknownKey(String::new())),
        };
        let found = self.found.entry(artifact.repository.clone()).or_default();
        match verify(pinned) {
            Ok(signers) if !signers.is_empty() => {
                found.proved += 1;
                found.signers.extend(signers);
                return Ok(());
            }
            Ok(_) if must.is_some() => return Err(wrong("its registry did not sign it")),
            Err(Fault::UnknownKey(_)) if must.is_none() => match with_carried() {
                Ok(_) => {
                    found.unpinned += 1;
                    return Ok(());
                }
                Err(Fault::UnknownKey(_)) => {}
                Err(fault) => return Err(wrong(&fault.to_string())),
            },
            Ok(_) => {}
            Err(fault) => return Err(wrong(&fault.to_string())),
        }
        found.unsigned += 1;
        if found.example.is_empty() {
            found.example = format!("{name}@{version}");
        }
        Ok(())
    }
}

impl Together for Proving<'_> {
    fn first(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        if artifact.schema == KEYS {
            let keys = Keys::of(&artifact.attributes)
                .map_err(|why| untrusted(&artifact.name, &artifact.version, &why))?;
            self.carried.entry(artifact.repository.clone()).or_default().extend(keys);
        }
        Ok(())
    }

    fn second(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        if artifact.schema != SCHEMA {
            return Ok(());
        }
        self.prove(artifact)?;
        self.attest(artifact)
    }

    fn verdicts(self: Box<Self>) -> Vec<Verdict> {
        let verdict = |(repository, found): (String, Found)| {
            let Found { proved, signers, unpinned, unsigned, example } = found;
            let mut parts = Vec::new();
            if proved > 0 {
                let signers: Vec<String> = signers.into_iter().collect();
                parts.push(format!("{} signed by {}", units::count(proved, "package"), signers.join(" ")));
            }
            if unpinned > 0 {
                let count = units::count(unpinned, "package");
                parts.push(format!("{count} signed by keys that are not pinned in HOME/npm/keyrings"));
            }
            if unsigned > 0 {
                let count = units::count(unsigned, "package");
                parts.push(format!("{count} not signed by a known key, such as {example}"));
            }
            let subject = format!("{repository} {}", keys::PLACE);
            Verdict { subject, is_proved: unpinned + unsigned == 0, text: parts.join("; ") }
        };
        let attested = self.attested.into_iter().map(|((repository, name), (told, is_known))| Verdict {
            subject: format!("{repository} {name}"),
            is_proved: is_known,
            text: told.join("; "),
        });
        self.found.into_iter().map(verdict).chain(attested).collect()
    }
}

/// Admits the keys of a registry as they are carried.
///
/// # Errors
/// Untrusted, if they are not as collecting makes them.
pub(super) fn admit_keys(artifact: &Artifact) -> Result<(), Problem> {
    let keys =
        Keys::of(&artifact.attributes).map_err(|why| untrusted(&artifact.name, &artifact.version, &why))?;
    let is_plain = artifact.qualifier.is_empty() && artifact.files.is_empty() && artifact.requires.is_empty();
    if artifact.name != keys::PLACE || artifact.version != keys.version() || !is_plain {
        return Err(untrusted(
            &artifact.name,
            &artifact.version,
            "it is not how keys of a registry are carried",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;

    use bundle_format::BlobKey;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::super::fake_store;
    use super::super::keys::testing::Signing;
    use super::*;
    use crate::ecosystem::npm::admit::NpmAdmit;
    use crate::ecosystem::{Admit as _, Planned};

    /// A site with some keys pinned, and what a bundle brought.
    #[derive(Default)]
    struct Site {
        pinned: Vec<(&'static str, Value)>,
        blobs: BTreeMap<BlobKey, Bytes>,
        artifacts: Vec<Artifact>,
    }

    impl AdmitContext for Site {
        fn read(&self, key: &BlobKey, _: u64) -> Result<Bytes, Problem> {
            Ok(self.blobs[key].clone())
        }

        fn open(&self, _: &BlobKey) -> Result<Box<dyn Read + Send>, Problem> {
            unreachable!("no large blob is needed")
        }

        fn keyrings(&self, endings: &[&str]) -> Result<Vec<(PathBuf, Bytes)>, Problem> {
            assert_eq!(endings, ["json"]);
            let file = |(name, keys): &(&str, Value)| {
                (PathBuf::from(format!("/home/npm/keyrings/{name}")), Bytes::from(keys.to_string()))
            };
            Ok(self.pinned.iter().map(file).collect())
        }
    }

    impl Site {
        /// Brings a version with these signatures of it.
        fn bring(&mut self, name: &str, sign: impl FnOnce(&str) -> Vec<Value>) {
            let (mut artifact, object, _) = fake_store::artifact(name, "1.0.0");
            let mut object: Value = serde_json::from_slice(&object).unwrap();
            let message = format!("{name}@1.0.0:{}", object["dist"]["integrity"].as_str().unwrap());
            object["dist"]["signatures"] = sign(&message).into();
            let object = Bytes::from(object.to_string());
            artifact.files[0].blob = BlobKey::of(&object);
            self.blobs.insert(BlobKey::of(&object), object);
            self.artifacts.push(artifact);
        }

        fn bring_keys(&mut self, keys: &Value) {
            let keys = Keys::read(keys.to_string().as_bytes()).unwrap().unwrap();
            let Planned { ecosystem, repository, name, version, qualifier, schema, attributes, .. } =
                keys.planned("npm");
            let (files, requires) = (Vec::new(), Vec::new());
            self.artifacts.push(Artifact {
                ecosystem,
                repository,
                name,
                version,
                qualifier,
                schema,
                attributes,
                files,
                requires,
            });
        }

        /// What is found, as a line for each repository.
        fn verdict(&self) -> Result<String, String> {
            let told = |problem: Problem| problem.causes.join("; ");
            let mut proving = NpmAdmit.together(self).map_err(told)?.unwrap();
            for artifact in &self.artifacts {
                NpmAdmit.admit(artifact, &mut |key| Ok(self.blobs[key].clone())).map_err(told)?;
            }
            self.artifacts.iter().try_for_each(|artifact| proving.first(artifact)).map_err(told)?;
            self.artifacts.iter().try_for_each(|artifact| proving.second(artifact)).map_err(told)?;
            let verdicts = proving.verdicts();
            let shown = verdicts.iter().map(|one| format!("{} {} {}", one.is_proved, one.subject, one.text));
            Ok(shown.collect::<Vec<_>>().join("\n"))
        }
    }

    #[test]
    fn what_pinned_keys_signed_is_proved() {
        let (one, other) = (Signing::new("SHA256:one"), Signing::new("SHA256:other"));
        let (keys, others) = (json!({ "keys": [one.key(None)] }), json!({ "keys": [other.key(None)] }));
        let mut site = Site::default();
        site.bring("a", |message| vec![one.sign(message)]);
        assert_eq!(site.verdict(), Ok(String::new()), "nobody knows anything");
        site.bring_keys(&keys);
        let unpinned =
            "false npm -/npm/v1/keys 1 package signed by keys that are not pinned in HOME/npm/keyrings";
        assert_eq!(site.verdict(), Ok(unpinned.to_owned()));
        site.pinned = vec![("public.json", keys.clone())];
        assert_eq!(site.verdict(), Ok("true npm -/npm/v1/keys 1 package signed by SHA256:one".to_owned()));
        site.pinned = vec![("public.json", others.clone())];
        assert_eq!(site.verdict(), Ok(unpinned.to_owned()));
        site.pinned = vec![("npm.json", others.clone()), ("public.json", keys.clone())];
        assert!(site.verdict().unwrap_err().contains("none of the registry's"), "one's own pins alone count");
        // What one registry did not sign proves nothing, unless it has to.
        site.pinned = vec![("npm.json", keys.clone())];
        assert!(site.verdict().unwrap().starts_with("true "));
        site.bring("b", |_| Vec::new());
        assert_eq!(site.verdict().unwrap_err(), "its registry did not sign it");
        site.pinned = vec![("public.json", keys)];
        let some = "false npm -/npm/v1/keys 1 package signed by SHA256:one; 1 package not signed by a known key, such as b@1.0.0";
        assert_eq!(site.verdict(), Ok(some.to_owned()));
    }

    #[test]
    fn what_contradicts_known_keys_is_refused_whoever_knows_them() {
        let (one, forged) = (Signing::new("SHA256:one"), Signing::new("SHA256:one"));
        let keys = json!({ "keys": [one.key(None)] });
        let mut site = Site::default();
        site.bring("a", |message| vec![forged.sign(message)]);
        site.bring_keys(&keys);
        assert!(site.verdict().unwrap_err().contains("never signed"));
        // Not even with a key of that name in the bundle, once the right one is pinned.
        site.artifacts.truncate(1);
        site.bring_keys(&json!({ "keys": [forged.key(None)] }));
        assert!(site.verdict().is_ok());
        site.pinned = vec![("public.json", keys)];
        assert!(site.verdict().unwrap_err().contains("never signed"));
        site.pinned = vec![("public.json", json!({ "keys": [] }))];
        assert_eq!(site.verdict().unwrap_err(), "it lists no keys");
    }

    #[test]
    fn keys_are_admitted_only_as_they_are_collected() {
        let mut site = Site::default();
        site.bring_keys(&json!({ "keys": [Signing::new("SHA256:one").key(None)] }));
        let good = site.artifacts.remove(0);
        let admit = |artifact: &Artifact| NpmAdmit.admit(artifact, &mut |_| unreachable!("no files"));
        assert!(admit(&good).is_ok());
        let file = fake_store::artifact("a", "1.0.0").0.files.remove(0);
        type Change<'a> = &'a dyn Fn(&mut Artifact);
        let changes: [(&str, Change<'_>); 7] = [
            ("name", &|a| a.name = "a".to_owned()),
            ("version", &|a| a.version = "1".to_owned()),
            ("qualifier", &|a| a.qualifier = "x".to_owned()),
            ("files", &|a| a.files.push(file.clone())),
            ("keys", &|a| a.attributes.clear()),
            ("no keys", &|a| drop(a.attributes.insert("keys".to_owned(), json!([])))),
            ("repository", &|a| a.repository = "../x".to_owned()),
        ];
        for (what, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(admit(&bad).is_err(), "{what}");
        }
    }
}
