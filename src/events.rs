//! What happens while a job runs: the same events drive progress bars, `--json` lines and later the HTTP interface.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::findings::Gap;
use crate::problem::Problem;

/// One event as it is written out: a happening with its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this form.
    pub v: u32,
    /// Counts the events of a job, from 1.
    pub seq: u64,
    /// When, RFC 3339 UTC.
    pub time: String,
    /// Which job.
    pub job: String,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What can happen. Only [`Happening::ItemProgress`] may be dropped by a listener that is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// A stage begins; totals where they are known.
    Stage {
        /// `resolve`, `download`, `pack`, `verify`, `import` …
        name: String,
        /// How many items it will handle.
        #[serde(skip_serializing_if = "Option::is_none")]
        items: Option<u64>,
        /// How many bytes it will handle.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// What is about to be done, in numbers.
    Preflight(Preflight),
    /// A request was resolved to so many artifacts.
    Resolved {
        /// The request as the person wrote it.
        request: String,
        /// How many artifacts it stands for.
        artifacts: u64,
    },
    /// An item begins.
    ItemStart {
        /// What a person knows it by.
        item: String,
        /// Its size, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// So many more bytes of the stage are done since the last such event.
    ItemProgress {
        /// Bytes since the last one.
        bytes: u64,
    },
    /// An item is done.
    ItemDone {
        /// What a person knows it by.
        item: String,
    },
    /// An item needed no work.
    ItemSkip {
        /// What a person knows it by.
        item: String,
        /// Why it needed none.
        reason: String,
    },
    /// An item is in one of the states that its verb has: a layer `exists` at the target, is `mounted` there, `uploading`
    /// or `pushed`, and in a dry run `missing`.
    ItemState {
        /// What a person knows it by.
        item: String,
        /// The state.
        state: String,
    },
    /// Something that will be missing inside.
    Gap(Gap),
    /// Something a person should know, which stops nothing.
    Warning {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
    /// Something for a person to read, which is no warning.
    Message {
        /// In words.
        message: String,
    },
    /// Clients are answered at this address from now on.
    Serving {
        /// The address: `http://127.0.0.1:2385/`.
        address: String,
    },
    /// An error. A job that fails ends with one, or with several, of which the last decided.
    Error {
        /// What went wrong.
        problem: Problem,
    },
    /// The job is done: the last event of one that does not fail.
    Done,
}

/// What a job is about to do, in numbers, before it downloads anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// Artifacts in the snapshot.
    pub artifacts: u64,
    /// Files to download.
    pub downloads: u64,
    /// Bytes to download, at most as far as upstream tells.
    pub download_bytes: u64,
    /// How many of the downloads are of a size that upstream does not tell.
    pub unknown_sizes: u64,
    /// The size of the bundle, at most as far as upstream tells.
    pub bundle_bytes: u64,
    /// What the store's file system has left.
    pub store_free: Option<u64>,
    /// What the output's file system has left.
    pub out_free: Option<u64>,
}

/// Who listens. A listener never blocks the worker that speaks.
pub trait Events: Send + Sync {
    /// Something happened.
    fn emit(&self, happening: Happening);

    /// A warning, the most common thing to say.
    fn warn(&self, code: &str, message: String) {
        self.emit(Happening::Warning { code: code.to_owned(), message });
    }
}

/// Stamps the happenings of one job.
#[derive(Debug)]
pub struct Stamp {
    job: String,
    next: AtomicU64,
}

impl Stamp {
    /// Stamps for the job of this name.
    pub fn new(job: impl Into<String>) -> Stamp {
        Stamp { job: job.into(), next: AtomicU64::new(1) }
    }

    /// The happening with number and time.
    pub fn stamp(&self, happening: Happening) -> Event {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        Event { v: 1, seq, time: clock::now_text(), job: self.job.clone(), happening }
    }
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn emit(&self, _: Happening) {}
}
