//! The names of packages and tarballs: what npm allows, and the one conventional path of a tarball.

/// npm's own limit, in bytes.
const LONGEST_NAME: usize = 214;

/// Whether npm knows such a name, new or legacy (legacy ones may have capitals, as `JSONStream` has).
///
/// The rules are those of npm's validate-npm-package-name for old packages, and its length limit. Whatever passes
/// is plain ASCII that stands in URLs and paths as it is.
pub(super) fn is_valid(name: &str) -> bool {
    if name.len() > LONGEST_NAME {
        return false;
    }
    match name.strip_prefix('@') {
        None => {
            is_valid_part(name) && !name.starts_with('_') && !matches!(name, "node_modules" | "favicon.ico")
        }
        Some(scoped) => {
            scoped.split_once('/').is_some_and(|(scope, base)| is_valid_part(scope) && is_valid_part(base))
        }
    }
}

/// What encodeURIComponent leaves as it is, not empty, not hidden and not a way up.
fn is_valid_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte))
}

/// The name without its scope.
pub(super) fn basename(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}

/// Where clients expect a version's tarball below the registry. Other paths make berry pin an archive URL and
/// pnpm ask for something that is not there.
pub(super) fn tarball_path(name: &str, version: &str) -> String {
    format!("{name}/-/{}-{version}.tgz", basename(name))
}

/// The version that a tarball's file name is for, if it is the conventional name.
pub(super) fn tarball_version<'a>(name: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(basename(name))?.strip_prefix('-')?.strip_suffix(".tgz").filter(|v| is_sane_version(v))
}

/// Whether a version has only the characters that a version can have (SemVer 2.0.0, loosely read) and npm's length.
/// It stands in URLs and paths as it is.
pub(super) fn is_sane_version(version: &str) -> bool {
    !version.is_empty()
        && version.len() <= 256
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_npm() {
        for good in ["lodash", "JSONStream", "@babel/core", "@types/node", "-", "a.b_c-d", "~'!()*", "@a/_b"]
        {
            assert!(is_valid(good), "{good}");
        }
        let long = "a".repeat(215);
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "_x",
            "a/b",
            "@a",
            "@/b",
            "@a/",
            "@a/b/c",
            "@a/../b",
            "@../b",
            "@a/..",
            "a b",
            "a%2fb",
            "ä",
            "a\\b",
            "a\0",
            "a\n",
            "node_modules",
            "favicon.ico",
            "a?b",
            "a#b",
            "a:b",
            &long,
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn tarballs_have_one_conventional_name() {
        assert_eq!(tarball_path("@x/linux", "1.0.0"), "@x/linux/-/linux-1.0.0.tgz");
        assert_eq!(tarball_version("@x/linux", "linux-1.0.0-rc.1.tgz"), Some("1.0.0-rc.1"));
        for bad in [
            "linux.tgz",
            "linux-.tgz",
            "other-1.0.0.tgz",
            "linux-1.0.0.zip",
            "linux-../x.tgz",
            "linux-1 0.tgz",
        ] {
            assert_eq!(tarball_version("@x/linux", bad), None, "{bad}");
        }
    }
}
