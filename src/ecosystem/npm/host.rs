//! What npm, pnpm, yarn and bun write into the repositories that this site hosts: who may, and which request does what.
//! [`super::publish`] takes versions in, [`super::revise`] changes what is said of them or takes them out.

use bundle_format::Algorithm;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::serve::{NpmServe, asked_package, capture, refusal};
use super::{hosted, names, publish, revise};
use crate::access::Hosted;
use crate::ecosystem::host::{BodyEnd, Host, HostContext, Receiving, Stop, Upload};
use crate::ecosystem::{Answer, BASIC, ClientRequest, Principal};
use crate::problem::Problem;
use crate::store::Place;

/// The actions of the routes that write.
pub(super) const PUBLISH: &str = "publish";
pub(super) const REVISE: &str = "revise";
pub(super) const UNPUBLISH: &str = "unpublish";
pub(super) const DELETE_TARBALL: &str = "delete-tarball";
pub(super) const SET_TAG: &str = "set-tag";
pub(super) const DROP_TAG: &str = "drop-tag";

/// Where the tarball stands in what is published.
pub(super) const TARBALL: &[&str] = &["_attachments", "*.tgz", "data"];
/// The most bytes of a document that changes what is there: as many as may stand around a tarball.
pub(super) const LARGEST_DOCUMENT: usize = 16 << 20;
/// The largest tarball that is published, in bytes. npm holds one several times in memory before it sends it, and cannot
/// write a longer text than half a gigabyte.
const LARGEST_TARBALL: u64 = 256 << 20;
/// What uploads are for: each is whole with its one request.
pub(super) const SCOPE: &str = "tarball";

impl Host for NpmServe {
    fn write(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Answer, Problem> {
        Stop::answer(Writer::admit(request, context).and_then(|writer| match request.action {
            REVISE => revise::revise(&writer),
            UNPUBLISH => revise::unpublish(&writer),
            DELETE_TARBALL => revise::delete_tarball(&writer),
            SET_TAG => revise::set_tag(&writer),
            _ => revise::drop_tag(&writer),
        }))
    }

    fn receive(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Receiving, Problem> {
        let writer = match Writer::admit(request, context) {
            Ok(writer) => writer,
            Err(stop) => return Stop::answer(Err(stop)).map(Receiving::Answer),
        };
        // Asked before there is an upload, which nobody would find again if this failed.
        let most = context.room(writer.hosted)?.min(LARGEST_TARBALL);
        let upload = context.begin_upload(writer.hosted, SCOPE, &[Algorithm::Sha1, Algorithm::Sha512])?;
        Ok(Receiving::Into { upload, most })
    }

    fn received(
        &self,
        request: &ClientRequest,
        upload: Upload,
        end: BodyEnd,
        context: &dyn HostContext,
    ) -> Result<Answer, Problem> {
        Stop::answer(Writer::admit(request, context).and_then(|writer| {
            let id = upload.id.clone();
            let made = writer.received(upload, end);
            // Of what was taken in it is gone already.
            context.cancel_upload(writer.hosted, SCOPE, &id);
            made
        }))
    }
}

/// Somebody who may write a package into a hosted repository.
pub(super) struct Writer<'a> {
    pub(super) request: &'a ClientRequest,
    pub(super) context: &'a dyn HostContext,
    pub(super) hosted: &'a Hosted,
    /// The package.
    pub(super) name: String,
}

impl<'a> Writer<'a> {
    /// Turns away who may not write there.
    fn admit(request: &'a ClientRequest, context: &'a dyn HostContext) -> Result<Writer<'a>, Stop> {
        let name = asked_package(request);
        if !names::is_valid(&name) {
            return Err(refusal(400, "bad_request", "this is no package's name").into());
        }
        let home = hosted::home(context, request.repository.as_deref(), &name)?;
        let Some(hosted) = home.and_then(|home| context.hosted(home)) else {
            let (message, hint) = match home {
                Some(mirror) => {
                    (format!("{mirror} is a mirror, which only imports change"), "host a repository")
                }
                None => (
                    format!("no hosted repository has {name}, so publish to the address of one of them"),
                    "list the name in `packages`",
                ),
            };
            let message = format!("{message}; whoever runs this site can {hint} in [[hosted]] of site.toml");
            return Err(forbidden(&message).into());
        };
        hosted.takes(&name).map_err(|why| forbidden(&why))?;
        match &request.principal {
            Principal::Account(account) if hosted.may_write(account) => {
                Ok(Writer { request, context, hosted, name })
            }
            Principal::Account(account) => {
                let message = format!("the account {account} may not write into {}", hosted.name);
                Err(forbidden(&message).into())
            }
            Principal::Anonymous => {
                let message = format!(
                    "an account is needed to write into {}: npm login, or `_auth` in .npmrc",
                    hosted.name
                );
                let mut answer = refusal(401, "unauthorized", &message);
                answer.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
                Err(answer.into())
            }
        }
    }

    fn received(&self, upload: Upload, end: BodyEnd) -> Result<Answer, Stop> {
        match end {
            BodyEnd::Whole => publish::received(self, upload),
            BodyEnd::TooLarge => Err(self.too_large().into()),
            BodyEnd::Broken => Err(bad_request("the body broke off").into()),
            BodyEnd::Malformed => {
                let most = LARGEST_DOCUMENT >> 20;
                let message = format!(
                    "this is no JSON with at most one tarball in base64, or has more than {most} MiB besides the tarball"
                );
                Err(bad_request(&message).into())
            }
        }
    }

    /// That the repository, its disk or its limits have no room.
    pub(super) fn too_large(&self) -> Answer {
        let most = LARGEST_TARBALL >> 20;
        let message = match self.hosted.quota {
            Some(quota) => format!(
                "a tarball has at most {most} MiB, and the repository {} at most {quota} bytes in all",
                self.hosted.name
            ),
            None => {
                format!("a tarball has at most {most} MiB, and no more than this site's disk has room for")
            }
        };
        refusal(413, "too_large", &message)
    }

    /// What a request's path has under that name.
    pub(super) fn capture(&self, name: &str) -> &str {
        capture(self.request, name)
    }

    /// A version or tag of the package.
    pub(super) fn place(&self, what: &str) -> Place {
        Place {
            ecosystem: "npm".to_owned(),
            repository: self.hosted.name.clone(),
            name: self.name.clone(),
            what: what.to_owned(),
        }
    }

    /// The package for the audit log, with a version or tag of it.
    pub(super) fn subject(&self, what: &str) -> String {
        format!("{}/{}@{what}", self.hosted.name, self.name)
    }
}

/// That something is not allowed.
pub(super) fn forbidden(message: &str) -> Answer {
    refusal(403, "forbidden", message)
}

/// That a request makes no sense.
pub(super) fn bad_request(message: &str) -> Answer {
    refusal(400, "bad_request", message)
}
