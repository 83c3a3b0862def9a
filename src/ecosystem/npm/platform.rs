//! Platforms as npm tells them apart: operating system, processor and C library.

use super::version_object::VersionObject;
use crate::problem::{Kind, Problem};

/// A platform that packages are wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    os: String,
    cpu: String,
    /// `glibc` or `musl`; `None` for either.
    libc: Option<String>,
}

impl Platform {
    /// Reads `linux-x64-glibc` (npm's words, the library optional) or `linux/amd64` (Docker's).
    ///
    /// # Errors
    /// If it is neither.
    pub(crate) fn read(text: &str) -> Result<Platform, Problem> {
        let unknown = || {
            Problem::new(
                Kind::Usage,
                "npm.unknown-platform",
                format!("{text:?} is no platform that npm knows"),
            )
            .hint("write it as OS-CPU or OS-CPU-LIBC: linux-x64-glibc, linux/arm64, win32-x64, darwin-arm64")
        };
        let mut parts = text.split(['-', '/']);
        let (Some(os), Some(cpu), rest) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unknown());
        };
        if parts.next().is_some() {
            return Err(unknown());
        }
        let os = match os {
            "windows" => "win32",
            "macos" => "darwin",
            "aix" | "android" | "darwin" | "freebsd" | "linux" | "netbsd" | "openbsd" | "sunos" | "win32" => {
                os
            }
            _ => return Err(unknown()),
        };
        let (cpu, libc) = match (cpu, rest) {
            // Docker's variant of an ARM processor; npm knows one 32-bit ARM.
            ("arm", Some("v5" | "v6" | "v7")) | ("arm64", Some("v8")) => (cpu, None),
            ("amd64" | "x86_64", rest) => ("x64", rest),
            ("386" | "i386", rest) => ("ia32", rest),
            ("aarch64", rest) => ("arm64", rest),
            (
                "arm" | "arm64" | "ia32" | "loong64" | "mips64el" | "ppc64" | "ppc64le" | "riscv64" | "s390x"
                | "x64",
                rest,
            ) => (cpu, rest),
            _ => return Err(unknown()),
        };
        let libc = match libc {
            None => None,
            Some("glibc" | "gnu") => Some("glibc".to_owned()),
            Some("musl") => Some("musl".to_owned()),
            Some(_) => return Err(unknown()),
        };
        Ok(Platform { os: os.to_owned(), cpu: cpu.to_owned(), libc })
    }

    /// Whether a version is for this platform.
    pub(crate) fn fits(&self, object: &VersionObject) -> bool {
        let libc = object.libc.is_empty()
            || self.os == "linux" && self.libc.as_ref().is_none_or(|libc| allows(&object.libc, libc));
        allows(&object.os, &self.os) && allows(&object.cpu, &self.cpu) && libc
    }
}

/// Whether a list such as `["linux", "darwin"]` or `["!win32"]` allows a value: none of the denied ones, and one of
/// the others if there are any.
fn allows(list: &[String], value: &str) -> bool {
    if list.is_empty() || list == ["any"] {
        return true;
    }
    let denied = |entry: &String| entry.strip_prefix('!').map(str::to_owned);
    if list.iter().filter_map(denied).any(|entry| entry == value) {
        return false;
    }
    list.iter().any(|entry| entry == value) || list.iter().all(|entry| entry.starts_with('!'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(os: &[&str], cpu: &[&str], libc: &[&str]) -> VersionObject {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        VersionObject { os: texts(os), cpu: texts(cpu), libc: texts(libc), ..VersionObject::default() }
    }

    #[test]
    fn platforms_fit_as_npm_decides() {
        let musl = object(&["linux"], &["x64"], &["musl"]);
        let not_windows = object(&["!win32"], &[], &[]);
        let mixed = object(&["linux", "!win32"], &["any"], &[]);
        for (platform, object, fits) in [
            ("linux-x64", &musl, true),
            ("linux-x64-musl", &musl, true),
            ("linux-x64-glibc", &musl, false),
            ("linux/amd64", &musl, true),
            ("linux/arm64", &musl, false),
            ("darwin-x64", &musl, false),
            ("darwin-arm64", &not_windows, true),
            ("windows/amd64", &not_windows, false),
            ("linux/arm/v7", &mixed, true),
            ("darwin-x64", &mixed, false),
        ] {
            assert_eq!(Platform::read(platform).unwrap().fits(object), fits, "{platform} {object:?}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for bad in [
            "",
            "linux",
            "linux-",
            "plan9-x64",
            "linux-z80",
            "linux-x64-uclibc",
            "linux-x64-musl-1",
            "x64-linux",
        ] {
            assert_eq!(Platform::read(bad).unwrap_err().code, "npm.unknown-platform", "{bad}");
        }
    }
}
