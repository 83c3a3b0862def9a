//! The seam for hosting: what clients write into repositories of the site's own.
//!
//! A route says whether it writes, and how its body is taken ([`super::Takes`]). A body that may be large is never in
//! memory: [`Host::receive`] says which upload it belongs to, the server writes it there, and [`Host::received`] goes on.

use std::fs::File;
use std::sync::MutexGuard;

use bundle_format::{Algorithm, BlobKey, Digest};
use bytes::Bytes;

use super::{Answer, ClientRequest, ServeContext};
use crate::access::Hosted;
use crate::problem::Problem;
use crate::store::{BlobWrite, Change};

/// Writing into hosted repositories. Every method runs on a thread that may block.
pub trait Host: Send + Sync {
    /// Answers a request that writes, whose body, if it has one, is in memory.
    fn write(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Answer, Problem>;
    /// Says where the body of a request goes, before any of it is read.
    fn receive(&self, request: &ClientRequest, context: &dyn HostContext) -> Result<Receiving, Problem>;
    /// Goes on when the body has ended, one way or another.
    fn received(
        &self,
        request: &ClientRequest,
        upload: Upload,
        end: BodyEnd,
        context: &dyn HostContext,
    ) -> Result<Answer, Problem>;
}

/// What becomes of the body of a request.
pub enum Receiving {
    /// It is not read; this is the answer.
    Answer(Answer),
    /// It goes into this upload.
    Into {
        /// The upload.
        upload: Upload,
        /// The most bytes that it may have when the body has ended.
        most: u64,
    },
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// All of it was written.
    Whole,
    /// It would have been more than the upload may have; what fitted was written.
    TooLarge,
    /// The client went away; what came was written.
    Broken,
    /// It is not the form or document that it should be, or too much stands in it besides the file.
    Malformed,
}

/// Why something that a client brings is not taken.
#[derive(Debug)]
pub enum Stop {
    /// It is the client's to mend.
    Refused(Answer),
    /// It is not.
    Failed(Problem),
}

impl Stop {
    /// What is answered in any case but that of a problem of our own.
    ///
    /// # Errors
    /// In that case.
    pub fn answer(made: Result<Answer, Stop>) -> Result<Answer, Problem> {
        match made {
            Ok(answer) | Err(Stop::Refused(answer)) => Ok(answer),
            Err(Stop::Failed(problem)) => Err(problem),
        }
    }
}

impl From<Answer> for Stop {
    fn from(answer: Answer) -> Stop {
        Stop::Refused(answer)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Failed(problem)
    }
}

/// Bytes that a client brings, over as many requests as it likes.
pub struct Upload {
    /// By what the client finds it again.
    pub id: String,
    /// What is computed of the bytes besides sha256.
    pub algorithms: Vec<Algorithm>,
    /// Where the bytes go.
    pub write: Box<dyn BlobWrite>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({}, {} bytes)", self.id, self.write.length())
    }
}

/// What an upload is when it is asked for.
#[derive(Debug)]
pub enum Resumed {
    /// It goes on.
    Upload(Upload),
    /// Another request works on it.
    Busy,
    /// There is none, not for this client and repository, or not any more.
    Unknown,
}

/// What a hosting ecosystem sees and can do besides reading. An upload belongs to a hosted repository, to a `scope` in it, by
/// which the ecosystem names what it is for, and to whoever began it.
pub trait HostContext: ServeContext {
    /// Begins an upload of no bytes; `algorithms` are computed besides sha256 while they come.
    ///
    /// # Errors
    /// Unavailable, if there are too many, of this client or in all.
    fn begin_upload(&self, hosted: &Hosted, scope: &str, algorithms: &[Algorithm])
    -> Result<Upload, Problem>;
    /// Takes an upload up again.
    fn resume_upload(&self, hosted: &Hosted, scope: &str, id: &str) -> Resumed;
    /// How many bytes an upload has; `None` if there is none.
    fn upload_length(&self, hosted: &Hosted, scope: &str, id: &str) -> Option<u64>;
    /// Puts an upload aside, for the next request. For an hour, unless that comes.
    fn suspend_upload(&self, upload: Upload);
    /// Throws an upload away; says whether there was one.
    fn cancel_upload(&self, hosted: &Hosted, scope: &str, id: &str) -> bool;
    /// Makes the bytes of an upload a blob of the store, durably, which stays while this request is answered. `Ok(None)`: they
    /// do not have one of these digests, and are thrown away.
    fn finish_upload(
        &self,
        whose: (&Hosted, &str),
        upload: Upload,
        digests: &[Digest],
    ) -> Result<Option<(BlobKey, u64)>, Problem>;
    /// Makes a small document a blob of the store in the same way.
    fn take_in(&self, bytes: &Bytes) -> Result<BlobKey, Problem>;
    /// Opens a blob that is held, at its beginning.
    fn open(&self, key: &BlobKey) -> Result<File, Problem>;
    /// Keeps blobs while this request is answered; says whether all of them are held.
    fn hold(&self, keys: &[BlobKey]) -> Result<bool, Problem>;
    /// A blob that any repository of the ecosystem has, and its size: by its key, or the label of a deposit.
    fn blob_of(&self, key: Option<&BlobKey>, label: &str) -> Result<Option<(BlobKey, u64)>, Problem>;
    /// How many bytes a repository may still take in beside what is on its way.
    fn room(&self, hosted: &Hosted) -> Result<u64, Problem>;
    /// How many bytes this blob may have: as many as it likes, if the repository has it already.
    fn room_for(&self, hosted: &Hosted, blob: &BlobKey) -> Result<u64, Problem>;
    /// Keeps others from committing between what is looked up from here on and what is committed for it.
    fn alone(&self) -> Result<MutexGuard<'_, ()>, Problem>;
    /// Commits. `action` and what it is about stand in the audit log, with the account; nothing stands there if `action` is
    /// empty.
    fn commit(&self, changes: Vec<Change>, action: &str, about: &[(&str, &str)]) -> Result<(), Problem>;
}
