//! What twine, uv, poetry and flit upload into the indexes that this site hosts: the interface of forms that all of them speak
//! (`:action=file_upload`).

use bundle_format::{Artifact, BlobKey, Digest, File};
use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::SCHEMA;
use super::facts::{Facts, FileFacts, METADATA, METADATA_END, SDIST, WHEEL};
use super::file_name::{FileName, Kind};
use super::name::Name;
use super::serve::{PypiServe, refuse};
use super::version::Version;
use super::{metadata, wheel};
use crate::access::Hosted;
use crate::clock;
use crate::ecosystem::host::{BodyEnd, Host, HostContext, Receiving, Stop, Upload};
use crate::ecosystem::{Answer, BASIC, ClientRequest, Principal};
use crate::problem::Problem;
use crate::store::Change;

/// The part of an upload's form that is the file.
pub(super) const CONTENT: &str = "content";
/// What uploads are for: each is whole with its one request.
const SCOPE: &str = "file";

impl Host for PypiServe {
    fn write(&self, _request: &ClientRequest, _context: &dyn HostContext) -> Result<Answer, Problem> {
        Ok(refuse(405, "files are uploaded in forms"))
    }

    fn receive(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Receiving, Problem> {
        let hosted = match writer(request, context) {
            Ok(hosted) => hosted,
            Err(refusal) => return Ok(Receiving::Answer(refusal)),
        };
        // Asked before there is an upload, which nobody would find again if this failed.
        let most = context.room(hosted)?;
        Ok(Receiving::Into { upload: context.begin_upload(hosted, SCOPE, &[])?, most })
    }

    fn received(
        &self,
        request: &ClientRequest,
        upload: Upload,
        end: BodyEnd,
        context: &dyn HostContext,
    ) -> Result<Answer, Problem> {
        let taken = writer(request, context).map_err(Stop::Refused).and_then(|hosted| {
            let given = given(request, hosted, end).inspect_err(|_| {
                context.cancel_upload(hosted, SCOPE, &upload.id);
            })?;
            let digest = Digest::from(given.digest);
            let Some((key, size)) = context.finish_upload((hosted, SCOPE), upload, &[digest])? else {
                let message = format!("{} does not have the sha256_digest that was sent with it", given.file);
                return Err(say(400, message).into());
            };
            Taking { context, hosted, given, key, size }.take()
        });
        Stop::answer(taken)
    }
}

/// What a form says, if it came whole.
fn given(request: &ClientRequest, hosted: &Hosted, end: BodyEnd) -> Result<Given, Answer> {
    match end {
        BodyEnd::Whole => Given::read(&request.form, hosted),
        BodyEnd::TooLarge => Err(too_large(hosted)),
        BodyEnd::Broken => Err(say(400, "the body broke off".to_owned())),
        BodyEnd::Malformed => {
            Err(say(400, "this is no form that uploads a file (multipart/form-data)".to_owned()))
        }
    }
}

/// The hosted index that somebody who may write into it asks for; or why they may not.
fn writer<'a>(request: &ClientRequest, context: &'a dyn HostContext) -> Result<&'a Hosted, Answer> {
    let name = request.repository.as_deref().unwrap_or(crate::ecosystem::ALL);
    let Some(hosted) = context.hosted(name) else {
        return Err(say(
            403,
            format!(
                "{name} is a mirror, which only imports change; whoever runs this site can host an index with [[hosted]] \
                 in site.toml"
            ),
        ));
    };
    match &request.principal {
        Principal::Account(account) if hosted.may_write(account) => Ok(hosted),
        Principal::Account(account) => {
            Err(say(403, format!("the account {account} may not write into {name}")))
        }
        Principal::Anonymous => {
            let mut answer = say(401, format!("an account is needed to upload into {name}"));
            answer.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            Err(answer)
        }
    }
}

/// An answer whose message stands behind the status as well: twine shows that alone.
fn say(status: u16, message: String) -> Answer {
    Answer { tells_reason: true, ..refuse(status, &message) }
}

fn too_large(hosted: &Hosted) -> Answer {
    let name = &hosted.name;
    say(
        413,
        match hosted.quota {
            Some(quota) => format!("the index {name} may have {quota} bytes in all, and this would be more"),
            None => "the disk of this site is full".to_owned(),
        },
    )
}

/// What a form says of the file that it brings.
struct Given {
    file: String,
    parsed: FileName,
    /// The project, as the client spells it.
    spelled: String,
    name: Name,
    digest: BlobKey,
    requires_python: Option<String>,
}

impl Given {
    fn read(form: &[(String, String)], hosted: &Hosted) -> Result<Given, Answer> {
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
            found.filter(|value| !value.is_empty() && *value != "UNKNOWN")
        };
        let needed = |name: &str| {
            field(name).ok_or_else(|| say(400, format!("the form has no {name}, which is needed")))
        };
        let action = needed(":action")?;
        if action != "file_upload" {
            return Err(say(
                400,
                format!("{action:?} is nothing that can be done here: only file_upload is"),
            ));
        }
        let (file, spelled, version) = (needed(CONTENT)?, needed("name")?, needed("version")?);
        let wrong = |error: &dyn std::fmt::Display| say(400, error.to_string());
        let name = Name::parse(spelled).map_err(|error| wrong(&error))?;
        let version =
            Version::parse(version).ok_or_else(|| say(400, format!("{version:?} is no version")))?;
        let parsed =
            FileName::parse(file, &name).filter(|parsed| parsed.version == version).ok_or_else(|| {
                say(400, format!("{file:?} is neither a wheel nor a source distribution of {name} {version}"))
            })?;
        hosted.takes(name.as_str()).map_err(|why| say(403, why))?;
        let digest = needed("sha256_digest")?;
        let digest = BlobKey::from_hex(&digest.to_ascii_lowercase())
            .map_err(|_| say(400, format!("{digest:?} is no sha256 in hexadecimal digits")))?;
        let requires_python = field("requires_python").map(str::to_owned);
        Ok(Given {
            file: file.to_owned(),
            parsed,
            spelled: spelled.to_owned(),
            name,
            digest,
            requires_python,
        })
    }
}

/// Taking a file in, whose bytes are held.
struct Taking<'a> {
    context: &'a dyn HostContext,
    hosted: &'a Hosted,
    given: Given,
    key: BlobKey,
    size: u64,
}

impl Taking<'_> {
    /// The METADATA of a wheel, which must be this release's; none of a source distribution.
    fn metadata(&self) -> Result<Option<Bytes>, Stop> {
        if self.given.parsed.kind == Kind::Sdist {
            return Ok(None);
        }
        let file = self.context.open(&self.key)?;
        let read = wheel::metadata(file, &self.given.file, &self.given.name).and_then(|bytes| {
            metadata::identity(&bytes).map(|(name, version)| (Bytes::from(bytes), name, version))
        });
        let (name, version) = (&self.given.name, &self.given.parsed.version);
        match read {
            Ok((bytes, found, of)) if found == *name && of == *version => Ok(Some(bytes)),
            Ok((_, found, of)) => {
                Err(say(400, format!("the METADATA in {} is that of {found} {of}", self.given.file)).into())
            }
            Err(error) => Err(say(400, error.to_string()).into()),
        }
    }

    /// Lists the file in its release, at once.
    fn take(&self) -> Result<Answer, Stop> {
        let metadata = self.metadata()?;
        let (context, given) = (self.context, &self.given);
        let _alone = context.alone()?;
        let mut releases = context.artifacts(Some(&self.hosted.name), given.name.as_str())?.into_iter();
        let existing = releases
            .find(|one| Version::parse(&one.artifact.version).as_ref() == Some(&given.parsed.version))
            .map(|one| one.artifact);
        let mut artifact = existing.unwrap_or_else(|| self.release());
        if let Some(there) = artifact.files.iter().find(|one| one.path == given.file) {
            return Ok(if there.blob == self.key {
                refuse(200, "this very file is there already")
            } else {
                say(400, format!("File already exists: {} has other bytes here, and keeps them", given.file))
            });
        }
        let mut room = context.room_for(self.hosted, &self.key)?;
        let mut files = vec![self.file()];
        if let Some(metadata) = &metadata {
            let key = context.take_in(metadata)?;
            room = room.min(context.room_for(self.hosted, &key)?);
            files.push(File {
                role: METADATA.to_owned(),
                path: format!("{}{METADATA_END}", given.file),
                blob: key,
                size: metadata.len() as u64,
                media_type: "text/plain".to_owned(),
                checksums: Vec::new(),
                origin: String::new(),
            });
        }
        if files.iter().map(|file| file.size).sum::<u64>() > room {
            return Ok(too_large(self.hosted));
        }
        artifact.files.extend(files);
        artifact.files.sort_by(|one, other| {
            (&one.role, &one.path, &one.blob).cmp(&(&other.role, &other.path, &other.blob))
        });
        self.describe(&mut artifact, metadata.as_deref().unwrap_or_default());
        let about = [
            ("release", format!("{}/{} {}", self.hosted.name, artifact.name, artifact.version)),
            ("file", given.file.clone()),
        ];
        let about = about.each_ref().map(|(key, value)| (*key, value.as_str()));
        context.commit(vec![Change::Link(artifact)], "push", &about)?;
        Ok(refuse(200, "it is there"))
    }

    fn release(&self) -> Artifact {
        Artifact {
            ecosystem: "pypi".to_owned(),
            repository: self.hosted.name.clone(),
            name: self.given.name.to_string(),
            version: self.given.parsed.version.to_string(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: Default::default(),
            files: Vec::new(),
            requires: Vec::new(),
        }
    }

    fn file(&self) -> File {
        let is_wheel = self.given.parsed.kind != Kind::Sdist;
        let is_zip = is_wheel || self.given.file.ends_with(".zip");
        File {
            role: if is_wheel { WHEEL } else { SDIST }.to_owned(),
            path: self.given.file.clone(),
            blob: self.key,
            size: self.size,
            media_type: if is_zip { "application/zip" } else { "application/gzip" }.to_owned(),
            checksums: Vec::new(),
            origin: String::new(),
        }
    }

    /// Adds to a release what is to be said of the file. What a wheel says itself counts.
    fn describe(&self, artifact: &mut Artifact, metadata: &[u8]) {
        let text = String::from_utf8_lossy(metadata);
        let field = |wanted: &str| {
            metadata::headers(&text)
                .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_owned())
        };
        let mut facts = Facts::of(artifact).unwrap_or_default();
        if facts.name.is_empty() {
            facts.name = field("name").unwrap_or_else(|| self.given.spelled.clone());
        }
        let requires_python =
            if metadata.is_empty() { self.given.requires_python.clone() } else { field("requires-python") };
        let fact =
            FileFacts { requires_python, upload_time: Some(clock::now_text()), ..FileFacts::default() };
        facts.files.insert(self.given.file.clone(), fact);
        if let Ok(serde_json::Value::Object(members)) = serde_json::to_value(&facts) {
            artifact.attributes.extend(members);
        }
    }
}
