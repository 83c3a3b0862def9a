//! Blobs that clients push: in one piece, in chunks, or by pointing at another repository that has them (OCI distribution
//! specification, "Pushing blobs").

use bundle_format::{Algorithm, BlobKey, Digest};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, RANGE};

use super::hosting::{BEGIN, FINISH, Writer, empty, header};
use super::manifests::{self, Brought};
use super::record;
use super::reference::read_digest;
use super::refusal::{Code, refuse, refuse_as};
use crate::ecosystem::Answer;
use crate::ecosystem::host::{BodyEnd, Receiving, Resumed, Upload};
use crate::problem::Problem;
use crate::store::Change;

/// docker's own name for an upload, which some clients log.
const UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST …/blobs/uploads/`: begins an upload, takes a small blob in at once, or mounts one.
pub(super) fn begin(writer: &Writer<'_>) -> Result<Receiving, Problem> {
    let asked = &writer.asked;
    if let Some(mounted) = asked.parameter("mount")
        && let Ok(digest) = read_digest(&mounted)
        && let Some((key, size)) = find(writer, &digest)?
    {
        // It may have gone since it was found.
        if writer.context.hold(&[key])? {
            return keep(writer, &digest, key, size).map(Receiving::Answer);
        }
    }
    let whole = match asked.parameter("digest").as_deref().map(read_digest).transpose() {
        Ok(digest) => digest,
        Err(why) => return Ok(Receiving::Answer(refuse(Code::DigestInvalid, &why))),
    };
    let algorithm = match (&whole, asked.parameter("digest-algorithm").as_deref()) {
        (Some(digest), _) => digest.algorithm(),
        (None, None | Some("sha256")) => Algorithm::Sha256,
        (None, Some("sha512")) => Algorithm::Sha512,
        (None, Some(other)) => {
            let message = format!("{other:?} is no algorithm for the digests of images");
            return Ok(Receiving::Answer(refuse(Code::DigestInvalid, &message)));
        }
    };
    // Asked before there is an upload, which nobody would find again if this failed.
    let most = writer.context.room(writer.hosted)?;
    let upload = writer.context.begin_upload(writer.hosted, &scope(writer), &[algorithm])?;
    if whole.is_some() {
        return Ok(Receiving::Into { upload, most });
    }
    let answer = progress(writer, 202, &upload.id, 0);
    writer.context.suspend_upload(upload);
    Ok(Receiving::Answer(answer))
}

/// `PATCH` and `PUT`: the next chunk, or the last one.
pub(super) fn go_on(writer: &Writer<'_>) -> Result<Receiving, Problem> {
    let request = writer.asked.request;
    if request.action == FINISH
        && let Err(refusal) = wanted(writer)
    {
        return Ok(Receiving::Answer(refusal));
    }
    let room = writer.context.room(writer.hosted)?;
    let upload =
        match writer.context.resume_upload(writer.hosted, &scope(writer), writer.asked.capture("session")) {
            Resumed::Upload(upload) => upload,
            Resumed::Unknown => return Ok(Receiving::Answer(unknown())),
            Resumed::Busy => {
                let message = "another request is bringing bytes for this upload";
                return Ok(Receiving::Answer(refuse_as(409, Code::BlobUploadInvalid, message)));
            }
        };
    let length = upload.write.length();
    let refusal = match chunk(&request.headers) {
        Ok(None) => None,
        Ok(Some((start, _))) if start != length => {
            // The client is told where to go on.
            let mut answer = refuse_as(416, Code::BlobUploadInvalid, "the chunk is not the next one");
            answer.headers.extend(progress(writer, 416, &upload.id, length).headers);
            Some(answer)
        }
        Ok(Some((start, end))) => {
            let declared = request.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            let declared = declared.and_then(|text| text.parse::<u64>().ok());
            let fits = declared.is_none_or(|declared| end.checked_sub(start) == declared.checked_sub(1));
            (!fits).then(|| refuse(Code::SizeInvalid, "Content-Range and Content-Length do not fit together"))
        }
        Err(why) => Some(refuse(Code::BlobUploadInvalid, &why)),
    };
    if let Some(answer) = refusal {
        writer.context.suspend_upload(upload);
        return Ok(Receiving::Answer(answer));
    }
    Ok(Receiving::Into { upload, most: room.saturating_add(length) })
}

/// A body has ended: of a chunk, or of all.
pub(super) fn received(writer: &Writer<'_>, upload: Upload, end: BodyEnd) -> Result<Answer, Problem> {
    let (context, action) = (writer.context, writer.asked.request.action);
    match end {
        BodyEnd::Whole => {}
        BodyEnd::TooLarge => {
            context.cancel_upload(writer.hosted, &scope(writer), &upload.id);
            return Ok(too_large(writer));
        }
        BodyEnd::Broken | BodyEnd::Malformed => {
            // Of one that came in chunks, what arrived counts.
            if action == BEGIN {
                context.cancel_upload(writer.hosted, &scope(writer), &upload.id);
            } else {
                context.suspend_upload(upload);
            }
            return Ok(refuse(Code::BlobUploadInvalid, "the body broke off"));
        }
    }
    // One that came as a stream could not be held to its word before.
    if let Ok(Some((_, last))) = chunk(&writer.asked.request.headers)
        && last.checked_add(1) != Some(upload.write.length())
    {
        context.cancel_upload(writer.hosted, &scope(writer), &upload.id);
        return Ok(refuse(
            Code::SizeInvalid,
            "the body is not what Content-Range says; the upload was given up",
        ));
    }
    if action != BEGIN && action != FINISH {
        let answer = progress(writer, 202, &upload.id, upload.write.length());
        context.suspend_upload(upload);
        return Ok(answer);
    }
    let digest = match wanted(writer) {
        Ok(digest) => digest,
        Err(refusal) => return Ok(refusal),
    };
    match context.finish_upload((writer.hosted, &scope(writer)), upload, std::slice::from_ref(&digest))? {
        Some((key, size)) => keep(writer, &digest, key, size),
        None => {
            Ok(refuse(Code::DigestInvalid, &format!("the bytes are not {digest}; the upload was given up")))
        }
    }
}

/// `GET` on an upload: how far it is.
pub(super) fn status(writer: &Writer<'_>) -> Answer {
    let id = writer.asked.capture("session");
    match writer.context.upload_length(writer.hosted, &scope(writer), id) {
        Some(length) => progress(writer, 204, id, length),
        None => unknown(),
    }
}

/// `DELETE` on an upload: gives it up.
pub(super) fn cancel(writer: &Writer<'_>) -> Answer {
    match writer.context.cancel_upload(writer.hosted, &scope(writer), writer.asked.capture("session")) {
        true => empty(204),
        false => unknown(),
    }
}

/// By what an upload is bound to its repository.
fn scope(writer: &Writer<'_>) -> String {
    writer.name.to_string()
}

fn unknown() -> Answer {
    refuse(Code::BlobUploadUnknown, "there is no such upload, or not any more; begin again")
}

/// That there is no room for it.
pub(super) fn too_large(writer: &Writer<'_>) -> Answer {
    let message = match writer.hosted.quota {
        Some(quota) => {
            let name = &writer.hosted.name;
            format!("the repository {name} may have {quota} bytes in all, and this would be more")
        }
        None => "the disk of this site is full".to_owned(),
    };
    refuse_as(413, Code::Denied, &message)
}

/// The digest that the client says that it brings.
fn wanted(writer: &Writer<'_>) -> Result<Digest, Answer> {
    let digest = writer.asked.parameter("digest");
    let digest = digest.ok_or_else(|| refuse(Code::DigestInvalid, "the digest is missing"))?;
    read_digest(&digest).map_err(|why| refuse(Code::DigestInvalid, &why))
}

/// The first and last byte that a chunk says that it is: `0-511`.
fn chunk(headers: &HeaderMap) -> Result<Option<(u64, u64)>, String> {
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let text = range.to_str().unwrap_or_default();
    let numbers = text.trim_start_matches("bytes").trim_start_matches([' ', '=']);
    let numbers = numbers.split_once('/').map_or(numbers, |(range, _)| range);
    let read = numbers
        .split_once('-')
        .and_then(|(start, end)| Some((start.parse::<u64>().ok()?, end.parse::<u64>().ok()?)));
    match read {
        Some((start, end)) if start <= end => Ok(Some((start, end))),
        _ => Err(format!("{text:?} is no range of bytes")),
    }
}

/// Where an upload stands, and where it goes on.
fn progress(writer: &Writer<'_>, status: u16, id: &str, length: u64) -> Answer {
    let mut answer = writer.done(status, &format!("blobs/uploads/{id}"));
    // The specification has no way to say that there is nothing yet.
    header(&mut answer, RANGE, &format!("0-{}", length.saturating_sub(1)));
    header(&mut answer, UUID, id);
    answer
}

/// A blob that the client may read, in the repository that it names or else in any.
fn find(writer: &Writer<'_>, digest: &Digest) -> Result<Option<(BlobKey, u64)>, Problem> {
    let asked = &writer.asked;
    let Some(from) = asked.parameter("from") else {
        return writer.context.blob_of(digest.blob_key().as_ref(), &digest.to_string());
    };
    let Ok(from) = asked.name(&from) else { return Ok(None) };
    let path = record::blob_path(&from.path, digest);
    match asked.file(&from, &path, &[record::CONFIG, record::LAYER])? {
        Some(found) => Ok(Some((found.file.blob, found.file.size))),
        None => asked.context.deposit(&from.registry, &from.path, &digest.to_string()),
    }
}

/// Puts a blob that is held into the repository.
fn keep(writer: &Writer<'_>, digest: &Digest, key: BlobKey, size: u64) -> Result<Answer, Problem> {
    let _alone = writer.context.alone()?;
    if size > writer.context.room_for(writer.hosted, &key)? {
        return Ok(too_large(writer));
    }
    let mut changes = vec![Change::Deposit { place: writer.place(digest), blob: key, size }];
    changes.extend(manifests::completed(writer, Brought::Blob(digest, key, size))?);
    writer.context.commit(changes, "", &[])?;
    Ok(writer.created("blobs", digest))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn ranges_of_chunks_are_read_as_clients_write_them() {
        let read = |text: &str| {
            let headers = [(CONTENT_RANGE, HeaderValue::try_from(text).unwrap())];
            chunk(&headers.into_iter().collect())
        };
        assert_eq!(chunk(&HeaderMap::new()), Ok(None));
        for (text, range) in
            [("0-511", (0, 511)), ("512-512", (512, 512)), ("bytes 0-5/6", (0, 5)), ("bytes=3-5", (3, 5))]
        {
            assert_eq!(read(text), Ok(Some(range)), "{text}");
        }
        for bad in ["", "5", "5-", "-5", "5-4", "a-b", "0-99999999999999999999999", "0--1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
