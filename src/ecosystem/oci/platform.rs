//! Platforms as images tell them apart: operating system, architecture and variant.

use std::collections::{BTreeSet, HashSet};

use bundle_format::Digest;

use super::manifest::{self, Descriptor, Manifest};
use crate::problem::{Kind, Problem};

/// A platform that images are wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    /// Of ARM processors: `v7`; empty for any.
    variant: String,
}

impl Platform {
    /// Reads `linux/amd64`, `linux/arm/v7`, or what npm and others call them: `linux-x64-glibc`, `linux-x86_64`.
    ///
    /// # Errors
    /// If it is none of these.
    pub(crate) fn read(text: &str) -> Result<Platform, Problem> {
        let unknown = || {
            let message = format!("{text:?} is no platform that images are made for");
            Problem::new(Kind::Usage, "oci.unknown-platform", message)
                .hint("write it as OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT: linux/amd64, linux/arm64, linux/arm/v7")
        };
        let mut parts = text.split(['/', '-']);
        let (Some(os), Some(architecture), variant) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unknown());
        };
        let os = match os {
            "win32" => "windows",
            "macos" => "darwin",
            other => other,
        };
        let (architecture, variant) = match (architecture, variant.unwrap_or_default()) {
            // C libraries are npm's to tell apart: an image brings its own.
            (architecture, "glibc" | "gnu" | "musl") => (architecture, ""),
            other => other,
        };
        let (architecture, variant) = match (architecture, variant) {
            ("x64" | "x86_64" | "x86-64", variant) => ("amd64", variant),
            ("ia32" | "i386" | "i686" | "x86", variant) => ("386", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", "") => ("arm", "v7"),
            ("armel", "") => ("arm", "v6"),
            other => other,
        };
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if parts.next().is_some()
            || !is_word(os)
            || !is_word(architecture)
            || !(variant.is_empty() || is_word(variant))
        {
            return Err(unknown());
        }
        Ok(Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() })
    }

    /// The platform of images that run here: those for Linux, as Docker has it on other systems too.
    ///
    /// # Errors
    /// If images know no such processor.
    pub(crate) fn of_this_machine() -> Result<Platform, Problem> {
        Platform::read(&format!("linux/{}", std::env::consts::ARCH))
    }

    /// Whether what an image says of itself is this platform. A variant that nobody named is any: which of several is
    /// the best one is for the machine that runs it to know.
    pub(crate) fn is(&self, image: &manifest::Platform) -> bool {
        let usual = |variant: &str| match (self.architecture.as_str(), variant) {
            ("arm64", "") => "v8".to_owned(),
            ("arm", "") => "v7".to_owned(),
            ("amd64", "") => "v1".to_owned(),
            (_, variant) => variant.to_owned(),
        };
        self.os == image.os
            && self.architecture == image.architecture
            && (self.variant.is_empty() || usual(&self.variant) == usual(&image.variant))
    }
}

/// The entries of an index for platforms (all, if none is named): those of each with what attests them, and those that are
/// for no platform.
pub(crate) fn entries_for<'m>(index: &'m Manifest, platforms: &[Platform]) -> HashSet<&'m Digest> {
    let all = index.manifests.iter();
    if platforms.is_empty() {
        return all.map(|entry| &entry.digest).collect();
    }
    let is_wanted =
        |entry: &&Descriptor| match entry.platform.as_ref().filter(|runs_on| !runs_on.is_unknown()) {
            Some(runs_on) => platforms.iter().any(|platform| platform.is(runs_on)),
            None => true,
        };
    let themselves = all.clone().filter(|entry| entry.attests.is_none()).filter(is_wanted);
    let mut found: HashSet<&Digest> = themselves.map(|entry| &entry.digest).collect();
    let attesting = all.filter(|entry| entry.attests.as_ref().is_some_and(|of| found.contains(of)));
    let attesting: Vec<&Digest> = attesting.map(|entry| &entry.digest).collect();
    found.extend(attesting);
    found
}

/// The most platforms that a message names.
const NAMED: usize = 8;

/// Platforms as a message names them, each once.
pub(crate) fn named<'p>(platforms: impl Iterator<Item = &'p manifest::Platform>) -> String {
    let platforms: BTreeSet<String> = platforms.map(ToString::to_string).collect();
    let more = platforms.len().saturating_sub(NAMED);
    let names: Vec<String> = platforms.into_iter().take(NAMED).collect();
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// That none of the platforms that are wanted is among those that are here.
pub(crate) fn none_for<'p>(
    wanted: &[Platform],
    here: impl Iterator<Item = &'p manifest::Platform>,
) -> String {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let here = named(here);
    let here = if here.is_empty() { "none at all" } else { &here };
    format!("it has no image for {}, but {here}", wanted.join(" or "))
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_for_a_platform_are_read() {
        for (text, meant) in [
            ("linux/amd64", "linux/amd64"),
            ("linux-x64-glibc", "linux/amd64"),
            ("linux-x86_64", "linux/amd64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux-aarch64", "linux/arm64"),
            ("win32-x64", "windows/amd64"),
        ] {
            assert_eq!(Platform::read(text).unwrap().to_string(), meant, "{text}");
        }
        for bad in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "lin ux/amd64"] {
            assert!(Platform::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variants_are_told_apart_where_somebody_does() {
        let image = |architecture: &str, variant: &str| manifest::Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        };
        let is = |wanted: &str, architecture: &str, variant: &str| {
            Platform::read(wanted).unwrap().is(&image(architecture, variant))
        };
        assert!(is("linux/arm64", "arm64", "v8") && is("linux/arm64/v8", "arm64", ""));
        assert!(is("linux/arm", "arm", "v6") && is("linux/arm/v7", "arm", ""));
        assert!(
            !is("linux/arm/v7", "arm", "v6")
                && !is("linux/arm", "arm64", "")
                && !is("linux/amd64", "386", "")
        );
        assert!(!is("windows/amd64", "amd64", ""));
    }
}
