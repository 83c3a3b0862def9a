//! What clients push into the repositories that this site hosts: who may, and what is taken out again. [`super::upload`]
//! takes blobs in, [`super::manifests`] what names them.

use bundle_format::Digest;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, LOCATION};

use super::reference::{Name, read_digest};
use super::refusal::{Code, refuse, refuse_as};
use super::serve::{Asked, CONTENT_DIGEST, OciServe, introduce};
use super::{manifests, record, upload};
use crate::access::Hosted;
use crate::ecosystem::host::{BodyEnd, Host, HostContext, Receiving, Upload};
use crate::ecosystem::{Answer, ClientRequest, Content, Principal};
use crate::problem::Problem;
use crate::store::{Change, Place};

/// The actions of the routes that write.
pub(super) const PUT_MANIFEST: &str = "put-manifest";
pub(super) const DELETE_MANIFEST: &str = "delete-manifest";
pub(super) const DELETE_BLOB: &str = "delete-blob";
pub(super) const BEGIN: &str = "begin-upload";
pub(super) const CONTINUE: &str = "continue-upload";
pub(super) const FINISH: &str = "finish-upload";
pub(super) const STATUS: &str = "upload-status";
pub(super) const CANCEL: &str = "cancel-upload";

impl Host for OciServe {
    fn write(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Answer, Problem> {
        let answer = match Writer::admit(request, context) {
            Err(refusal) => refusal,
            Ok(writer) => match request.action {
                PUT_MANIFEST => manifests::put(&writer)?,
                DELETE_MANIFEST => delete_manifest(&writer)?,
                DELETE_BLOB => delete_blob(&writer)?,
                STATUS => upload::status(&writer),
                _ => upload::cancel(&writer),
            },
        };
        Ok(introduced(answer))
    }

    fn receive(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Receiving, Problem> {
        let receiving = match Writer::admit(request, context) {
            Err(refusal) => Receiving::Answer(refusal),
            Ok(writer) => match request.action {
                BEGIN => upload::begin(&writer)?,
                _ => upload::go_on(&writer)?,
            },
        };
        Ok(match receiving {
            Receiving::Answer(answer) => Receiving::Answer(introduced(answer)),
            into @ Receiving::Into { .. } => into,
        })
    }

    fn received(
        &self,
        request: &ClientRequest,
        upload: Upload,
        end: BodyEnd,
        context: &dyn HostContext,
    ) -> Result<Answer, Problem> {
        let answer = match Writer::admit(request, context) {
            Err(refusal) => refusal,
            Ok(writer) => upload::received(&writer, upload, end)?,
        };
        Ok(introduced(answer))
    }
}

fn introduced(mut answer: Answer) -> Answer {
    introduce(&mut answer);
    answer
}

/// Somebody who may write into the repository that is asked for.
pub(super) struct Writer<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) context: &'a dyn HostContext,
    pub(super) hosted: &'a Hosted,
    pub(super) name: Name,
}

impl<'a> Writer<'a> {
    /// Turns away who may not write there.
    fn admit(request: &'a ClientRequest, context: &'a dyn HostContext) -> Result<Writer<'a>, Answer> {
        let asked = Asked::of(request, context);
        let name = asked.name(asked.capture("name")).map_err(|why| refuse(Code::NameInvalid, &why))?;
        let Some(hosted) = context.hosted(&name.registry) else {
            let message = format!(
                "{name} is of a mirror, which only imports change; whoever runs this site can host a repository \
                 with [[hosted]] in site.toml"
            );
            return Err(refuse(Code::Denied, &message));
        };
        hosted.takes(&name.path).map_err(|why| refuse(Code::Denied, &why))?;
        match &request.principal {
            Principal::Account(account) if hosted.may_write(account) => {
                Ok(Writer { asked, context, hosted, name })
            }
            Principal::Account(account) => {
                let message = format!("the account {account} may not write into {}", hosted.name);
                Err(refuse(Code::Denied, &message))
            }
            Principal::Anonymous => Err(super::serve::unauthorized(request, &name)),
        }
    }

    /// What is of the repository, by its digest or tag.
    pub(super) fn place(&self, what: impl ToString) -> Place {
        Place {
            ecosystem: "oci".to_owned(),
            repository: self.name.registry.clone(),
            name: self.name.path.clone(),
            what: what.to_string(),
        }
    }

    /// An answer without a body, with the address of what it is about.
    pub(super) fn done(&self, status: u16, path: &str) -> Answer {
        let path = format!("{}/{path}", self.name);
        let mut answer = empty(status);
        answer.headers.extend(self.asked.location(&path).map(|location| (LOCATION, location)));
        answer
    }

    /// That a blob or manifest is there now.
    pub(super) fn created(&self, kind: &str, digest: &Digest) -> Answer {
        let mut answer = self.done(201, &format!("{kind}/{digest}"));
        header(&mut answer, CONTENT_DIGEST, &digest.to_string());
        answer
    }
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Answer {
    Answer::from(Content::Status { status, media_type: "application/json", body: Bytes::new() })
}

/// Adds a header, unless its value could be none.
pub(super) fn header(answer: &mut Answer, name: HeaderName, value: &str) {
    answer.headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
}

/// Takes a manifest out, with its tags; or a tag alone.
fn delete_manifest(writer: &Writer<'_>) -> Result<Answer, Problem> {
    let (asked, name) = (&writer.asked, &writer.name);
    let reference = asked.capture("reference");
    let _alone = writer.context.alone()?;
    let unknown = || refuse(Code::ManifestUnknown, &format!("{name} has no {reference}"));
    let change = if reference.contains(':') {
        let Ok(digest) = read_digest(reference) else {
            return Ok(refuse(Code::DigestInvalid, &format!("{reference:?} is no digest")));
        };
        let path = record::manifest_path(&name.path, &digest);
        if asked.file(name, &path, &[record::MANIFEST])?.is_none() {
            return Ok(unknown());
        }
        Change::Unlink(writer.place(digest))
    } else {
        if asked.tagged(name, reference)?.is_none() {
            return Ok(unknown());
        }
        Change::DropRef(writer.place(reference))
    };
    let image = format!("{name} {reference}");
    writer.context.commit(vec![change], "delete", &[("image", &image)])?;
    Ok(empty(202))
}

/// Takes a blob out that no manifest names.
fn delete_blob(writer: &Writer<'_>) -> Result<Answer, Problem> {
    let (asked, name) = (&writer.asked, &writer.name);
    let digest = match read_digest(asked.capture("digest")) {
        Ok(digest) => digest,
        Err(why) => return Ok(refuse(Code::DigestInvalid, &why)),
    };
    let _alone = writer.context.alone()?;
    let path = record::blob_path(&name.path, &digest);
    if asked.file(name, &path, &[record::CONFIG, record::LAYER])?.is_some() {
        let message = format!("a manifest of {name} names {digest}; delete that first");
        return Ok(refuse_as(405, Code::Unsupported, &message));
    }
    if asked.context.deposit(&name.registry, &name.path, &digest.to_string())?.is_none() {
        return Ok(refuse(Code::BlobUnknown, &format!("{name} has no blob {digest}")));
    }
    writer.context.commit(vec![Change::Withdraw(writer.place(digest))], "", &[])?;
    Ok(empty(202))
}
