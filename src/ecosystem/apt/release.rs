//! A suite's Release: what the archive says that the suite has, and who signed it.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Algorithm, BlobKey, Digest};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::credentials::Ways;
use super::deb822::Stanza;
use super::source::Source;
use crate::ecosystem::{CollectContext, MetadataRequest, Planned};
use crate::problem::{Kind, Problem};
use crate::protocol::openpgp::{self, Fault, Keyring, Signer};

/// The largest Release that is read, in bytes: Debian's has 150 KiB.
const LARGEST: u64 = 16 << 20;
/// How many files a Release may list. Debian's lists 900.
const MOST_FILES: usize = 200_000;
/// A Release may be dated so much later than it is now: clocks differ.
const FUTURE: SignedDuration = SignedDuration::from_hours(1);

/// A file as a Release lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its SHA256, or its SHA512 where the Release has none other.
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: u64,
}

/// What a Release says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) origin: String,
    pub(super) label: String,
    pub(super) suite: String,
    pub(super) codename: String,
    pub(super) version: String,
    pub(super) date: Timestamp,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) components: Vec<String>,
    pub(super) architectures: Vec<String>,
    pub(super) not_automatic: bool,
    pub(super) but_automatic_upgrades: bool,
    pub(super) by_hash: bool,
    /// Whether `Architecture: all` has indices of its own, which have to be read besides.
    pub(super) has_index_for_all: bool,
    pub(super) files: BTreeMap<String, Listed>,
}

/// What proves what a Release says: its documents, which are held, and whose signatures counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    /// Role, base name, blob and size in bytes.
    pub(super) documents: Vec<(&'static str, &'static str, BlobKey, u64)>,
    /// Fingerprints of the certificates; none, if nobody asked for a signature.
    pub(super) signers: Vec<String>,
    /// When it was looked at.
    pub(super) observed: Timestamp,
}

/// Fetches a suite's Release and believes it, or says why not.
///
/// # Errors
/// Untrusted, if it is not signed as the source demands; unavailable, if there is none; stale, if it is not valid any more.
pub(super) async fn fetch(
    source: &Source,
    keys: Option<&Keyring>,
    ways: &Ways,
    context: &dyn CollectContext,
) -> Result<(Release, Proof), Problem> {
    let now = now();
    let directory = address(source, &source.directory())?;
    let get = async |name: &str| {
        let access = ways.access(joined(&directory, name)?, context).await?;
        context.metadata(&MetadataRequest { access, accept: "", limit: LARGEST, fresh: true }).await
    };
    // Stores of objects that do not list what they have say so of what they do not have.
    let mut forbidden = None;
    let inrelease = get("InRelease").await.or_else(|problem| match &*problem.code {
        "net.forbidden" => {
            forbidden = Some(problem);
            Ok(None)
        }
        _ => Err(problem),
    })?;
    let place = directory.to_string();
    let untrusted = |fault: Fault, name: &str| {
        Problem::new(Kind::Untrusted, "apt.signature", format!("{} is not believed", source.suite_of_repository()))
            .at(format!("{place}{name}"))
            .caused_by(&fault)
            .hint("if the archive changed its keys, get its new keyring from whom you trust, and name it with `signed-by`")
    };
    if let Some(found) = inrelease {
        let (text, signers) = match keys {
            Some(keys) => openpgp::verify_inline(&found.bytes, keys, now)
                .map(|(text, signers)| (text, certificates(signers)))
                .map_err(|fault| untrusted(fault, "InRelease"))?,
            None => (
                openpgp::unverified(&found.bytes).map_err(|fault| untrusted(fault, "InRelease"))?,
                Vec::new(),
            ),
        };
        let release = read(&text, &format!("{place}InRelease"))?;
        let documents = vec![("inrelease", "InRelease", found.digest, found.bytes.len() as u64)];
        return Ok((release, Proof { documents, signers, observed: now }));
    }
    let Some(found) = get("Release").await? else {
        if let Some(problem) = forbidden {
            return Err(problem);
        }
        let message = format!("{} has no Release file", source.suite_of_repository());
        return Err(Problem::new(Kind::Unavailable, "apt.no-release", message)
            .at(place)
            .hint(format!("is there such a suite? {} names it", source.place)));
    };
    let mut documents = vec![("release", "Release", found.digest, found.bytes.len() as u64)];
    let mut signers = Vec::new();
    if let Some(keys) = keys {
        let signature = get("Release.gpg").await?;
        let signature = signature.ok_or_else(|| {
            untrusted(Fault::NotSigned(vec!["it has no signature at all".to_owned()]), "Release")
        })?;
        documents.push(("signature", "Release.gpg", signature.digest, signature.bytes.len() as u64));
        let verified = openpgp::verify_detached(&found.bytes, &signature.bytes, keys, now);
        let verified = verified.map_err(|fault| untrusted(fault, "Release.gpg"))?;
        signers = certificates(verified);
    }
    let release = read(&found.bytes, &format!("{place}Release"))?;
    Ok((release, Proof { documents, signers, observed: now }))
}

/// A Release that was believed before, as a lock has it.
///
/// # Errors
/// If it is not held any more, or cannot be read.
pub(super) async fn held(
    evidence: &Planned,
    context: &dyn CollectContext,
) -> Result<(Release, Proof), Problem> {
    let place = format!("{} {}", evidence.repository, evidence.name);
    let wrong = |why: &str| Problem::new(Kind::Untrusted, "apt.release", why).at(&place);
    let document = evidence.files.iter().find(|file| matches!(&*file.role, "inrelease" | "release"));
    let document = document.and_then(|file| Some((file.role == "inrelease", file.blob?)));
    let (is_inline, key) = document.ok_or_else(|| wrong("the lock has no Release of a suite"))?;
    let bytes = context.held(&key, LARGEST).await?;
    let text = match is_inline {
        true => openpgp::unverified(&bytes)
            .map_err(|fault| wrong("a Release is held that is none").caused_by(&fault))?,
        false => bytes.to_vec(),
    };
    let proof = Proof { documents: Vec::new(), signers: Vec::new(), observed: now() };
    Ok((read(&text, &place)?, proof))
}

/// Of whose certificates signatures are, each once.
fn certificates(signers: Vec<Signer>) -> Vec<String> {
    let all: BTreeSet<String> = signers.into_iter().map(|one| one.certificate).collect();
    all.into_iter().collect()
}

/// Whether a Release is one to go by now. What was let pass although it is over is said.
///
/// # Errors
/// Stale, if its time is over, or one of a later date was locked before; failed, if it is yet to come.
pub(super) fn must_be_current(
    release: &Release,
    source: &Source,
    before: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<String>, Problem> {
    let what = source.suite_of_repository();
    if release.date > now + FUTURE {
        let message = format!("{what} is dated {}, which is still to come", release.date);
        return Err(
            Problem::new(Kind::Failed, "apt.not-yet-valid", message).hint("is this machine's clock right?")
        );
    }
    if let Some(before) = before.filter(|before| release.date < *before) {
        let message = format!("{what} is of {}: the lock has a newer one, of {before}", release.date);
        return Err(Problem::new(Kind::Stale, "apt.rolled-back", message).at(&source.place).hint(
            "a mirror that lags, or somebody who hides updates: try again later or another mirror; to go back on purpose, \
             remove the lock",
        ));
    }
    let Some(until) = release.valid_until.filter(|until| *until < now) else { return Ok(None) };
    let message = format!("{what} was valid until {until}");
    if source.check_valid_until {
        return Err(Problem::new(Kind::Stale, "apt.expired", message).at(&source.place).hint(
            "a mirror that lags, or somebody who hides updates: try again later or another mirror; for a snapshot of \
             former times, write `check-valid-until = false` into its [[apt]] (Check-Valid-Until: no in apt's own sources)",
        ));
    }
    Ok(Some(message))
}

pub(super) fn now() -> Timestamp {
    Timestamp::try_from(crate::clock::now()).unwrap_or(Timestamp::MAX)
}

impl Source {
    /// As messages call it: `bookworm of debian`.
    pub(super) fn suite_of_repository(&self) -> String {
        format!("{} of {}", self.suite, self.repository)
    }
}

/// The address of something below an archive, whose path is written in plain characters.
pub(super) fn address(source: &Source, path: &str) -> Result<Url, Problem> {
    joined(&source.base, path)
}

/// The address of a path below another. Every character that has a meaning in addresses is escaped, `+` as well: some
/// servers take it for a space.
pub(super) fn joined(base: &Url, path: &str) -> Result<Url, Problem> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    base.join(&format!("./{}", utf8_percent_encode(path, ESCAPED))).map_err(|error| {
        Problem::new(Kind::Untrusted, "apt.path", format!("{path:?} makes no address"))
            .at(base)
            .caused_by(&error)
    })
}

/// Reads a Release.
///
/// # Errors
/// Untrusted, if it is not of the form it should have, or lists its files by weak checksums alone.
pub(super) fn read(text: &[u8], place: &str) -> Result<Release, Problem> {
    let wrong = |why: String| {
        Problem::new(Kind::Untrusted, "apt.release", format!("the Release file cannot be used: {why}"))
            .at(place)
    };
    let stanza = Stanza::only(text);
    if !text[stanza.offset as usize + stanza.raw.len()..].trim_ascii().is_empty() {
        return Err(wrong("it has several parts".to_owned()));
    }
    if let Some(defect) = stanza.defect() {
        return Err(wrong(defect));
    }
    let one = |name: &str| stanza.text(name).unwrap_or_default().to_owned();
    let words = |name: &str| one(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let is = |name: &str| stanza.text(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let time = |name: &str| {
        let text = stanza.text(name);
        let read = |text: &str| instant(text).ok_or_else(|| wrong(format!("{name} is no time: {text:?}")));
        text.map(read).transpose()
    };
    let lists = [("SHA256", Algorithm::Sha256), ("SHA512", Algorithm::Sha512)];
    let mut lists = lists.into_iter().filter_map(|(field, algorithm)| Some((stanza.text(field)?, algorithm)));
    let (listed, algorithm) = lists.next().ok_or_else(|| {
        let has_weak = ["MD5Sum", "SHA1"].iter().any(|field| stanza.text(field).is_some());
        wrong(match has_weak {
            true => "it lists its files by MD5 and SHA-1 alone, which prove nothing any more".to_owned(),
            false => "it has neither SHA256 nor SHA512".to_owned(),
        })
    })?;
    let mut files = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.trim().is_empty()) {
        let mut parts = line.split_whitespace();
        let (Some(digest), Some(size), Some(path), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong(format!("the line {:?} lists no file", line.trim())));
        };
        let digest = format!("{}:{}", algorithm.name(), digest.to_ascii_lowercase()).parse();
        let digest = digest.map_err(|_| wrong(format!("the checksum of {path:?} is malformed")))?;
        let size = size.parse().map_err(|_| wrong(format!("the size of {path:?} is no number")))?;
        let listed = Listed { digest, size };
        if files.insert(path.to_owned(), listed.clone()).is_some_and(|other| other != listed) {
            return Err(wrong(format!("{path:?} is listed twice, differently")));
        }
        if files.len() > MOST_FILES {
            return Err(wrong(format!("it lists more than {MOST_FILES} files")));
        }
    }
    let architectures = words("Architectures");
    let not_for_all = words("No-Support-for-Architecture-all").iter().any(|what| what == "Packages");
    Ok(Release {
        origin: one("Origin"),
        label: one("Label"),
        suite: one("Suite"),
        codename: one("Codename"),
        version: one("Version"),
        date: time("Date")?.ok_or_else(|| wrong("it has no Date".to_owned()))?,
        valid_until: time("Valid-Until")?,
        components: words("Components"),
        has_index_for_all: architectures.iter().any(|one| one == "all") && !not_for_all,
        architectures,
        not_automatic: is("NotAutomatic"),
        but_automatic_upgrades: is("ButAutomaticUpgrades"),
        by_hash: is("Acquire-By-Hash"),
        files,
    })
}

/// `Sat, 17 May 2025 09:12:00 UTC`
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = match text.rsplit_once(' ') {
        Some((start, "UTC" | "GMT" | "Z")) => format!("{start} +0000"),
        _ => text.to_owned(),
    };
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&text).ok()
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
