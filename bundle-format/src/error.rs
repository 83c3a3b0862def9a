//! What can be wrong with a volume, with a stable code for each.

use std::fmt;
use std::io;

/// Why a bundle is not accepted.
///
/// [`FormatError::code`] is stable and meant for scripts; the text is meant for people.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not what the format, or a digest, says they must be.
    #[error("{place}: {met}")]
    Damaged {
        /// What kind of damage.
        damage: Damage,
        /// Where it was met.
        place: Place,
        /// What was met, in words.
        met: String,
    },
    /// Well formed as far as can be told, but this version does not read it; it is named.
    #[error("{place}: {met}")]
    Unsupported {
        /// Why it is not read.
        reason: Unsupported,
        /// Where it was met.
        place: Place,
        /// What was met, in words.
        met: String,
    },
    /// The signatures do not let it in.
    #[error("{place}: {reason}")]
    Untrusted {
        /// Which document.
        place: Place,
        /// What the verifier said.
        #[source]
        reason: Untrusted,
    },
    /// The source could not be read.
    #[error("{place}: cannot be read: {source}")]
    Read {
        /// How far reading had come.
        place: Place,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes were good, but whoever was to take them failed.
    #[error("the bytes cannot be passed on: {0}")]
    Sink(#[source] io::Error),
}

/// Kinds of damage, each with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The source ends too early.
    Truncated,
    /// A tar header is not the one that its name and size determine.
    Header,
    /// A member that is not a plain file: links, directories, pax, GNU and other extensions.
    MemberType,
    /// Another member than the one that must stand here.
    UnexpectedMember,
    /// The archive ends where a member must stand.
    MissingMember,
    /// Something is larger than its limit.
    TooLarge,
    /// The bytes after a member up to the next 512 are not zero.
    Padding,
    /// What follows the last member is not exactly 1,024 zero bytes.
    Trailing,
    /// A document is not canonical JSON.
    Json,
    /// A document breaks a rule of its type.
    Document,
    /// A signature file is not in its form.
    SignatureLine,
    /// The packing list belongs to another snapshot.
    SnapshotMismatch,
    /// The contents table is not the one in the packing list.
    ContentsMismatch,
    /// The contents table breaks a rule.
    Contents,
    /// A blob's bytes do not have the digest that names it.
    DigestMismatch,
    /// A size is not the one that was signed.
    SizeMismatch,
    /// A segment's lines are not well-formed records.
    Segment,
    /// Records stand in the wrong order, or twice.
    RecordOrder,
    /// A file of recovery stands where a volume must, or is of no use.
    Recovery,
}

/// Why something well formed is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsupported {
    /// Another version of the format.
    Version,
    /// A feature that the document says a reader must understand.
    MustUnderstand,
    /// A name that is reserved for a later version.
    Reserved,
}

/// What a [`crate::Verifier`] says against a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Untrusted {
    /// A stable code such as `trust.unknown-key`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A place in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The member's name, or what stands for it outside a volume.
    pub member: String,
    /// Bytes from the start of the volume; within the document or segment where that is read alone.
    pub offset: u64,
}

impl Place {
    /// A place in `member`.
    pub fn new(member: impl Into<String>, offset: u64) -> Place {
        Place { member: member.into(), offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.member, self.offset)
    }
}

impl Damage {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Damage::Truncated => "bundle.truncated",
            Damage::Header => "bundle.header",
            Damage::MemberType => "bundle.member-type",
            Damage::UnexpectedMember => "bundle.unexpected-member",
            Damage::MissingMember => "bundle.missing-member",
            Damage::TooLarge => "bundle.too-large",
            Damage::Padding => "bundle.padding",
            Damage::Trailing => "bundle.trailing",
            Damage::Json => "bundle.json",
            Damage::Document => "bundle.document",
            Damage::SignatureLine => "bundle.signature-line",
            Damage::SnapshotMismatch => "bundle.snapshot-mismatch",
            Damage::ContentsMismatch => "bundle.contents-mismatch",
            Damage::Contents => "bundle.contents",
            Damage::DigestMismatch => "bundle.digest-mismatch",
            Damage::SizeMismatch => "bundle.size-mismatch",
            Damage::Segment => "bundle.segment",
            Damage::RecordOrder => "bundle.record-order",
            Damage::Recovery => "bundle.recovery",
        }
    }
}

impl Unsupported {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Unsupported::Version => "bundle.version",
            Unsupported::MustUnderstand => "bundle.must-understand",
            Unsupported::Reserved => "bundle.reserved",
        }
    }
}

impl FormatError {
    pub(crate) fn damaged(damage: Damage, place: Place, met: impl Into<String>) -> FormatError {
        FormatError::Damaged { damage, place, met: readable(&met.into()) }
    }

    pub(crate) fn unsupported(reason: Unsupported, place: Place, met: impl Into<String>) -> FormatError {
        FormatError::Unsupported { reason, place, met: readable(&met.into()) }
    }

    /// The stable code: `bundle.…`, or the verifier's own.
    pub fn code(&self) -> &str {
        match self {
            FormatError::Damaged { damage, .. } => damage.code(),
            FormatError::Unsupported { reason, .. } => reason.code(),
            FormatError::Untrusted { reason, .. } => &reason.code,
            FormatError::Read { .. } => "bundle.read",
            FormatError::Sink(_) => "bundle.sink",
        }
    }

    /// Where it was met; none where the fault is not the volume's.
    pub fn place(&self) -> Option<&Place> {
        match self {
            FormatError::Damaged { place, .. }
            | FormatError::Unsupported { place, .. }
            | FormatError::Untrusted { place, .. }
            | FormatError::Read { place, .. } => Some(place),
            FormatError::Sink(_) => None,
        }
    }
}

/// A text that quotes hostile input, made fit to be shown: at most 400 characters, and none that a terminal obeys
/// or that turns the direction of what is read.
pub(crate) fn readable(text: &str) -> String {
    let unsafe_to_show = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    let mut shown = String::with_capacity(text.len().min(400));
    for (index, c) in text.chars().enumerate() {
        if index == 400 {
            shown.push('…');
            break;
        }
        if unsafe_to_show(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn what_hostile_input_says_is_shown_safely() {
        assert_eq!(readable("é\u{1b}[2J\u{202e}"), "é\\u{1b}[2J\\u{202e}");
        assert_eq!(readable(&"x".repeat(1 << 20)).chars().count(), 401);
    }
}
