//! A tarball's file name, read back: which version is it for.

use super::names;

/// The version that a tarball's file name is for, if it is the conventional name.
pub(super) fn tarball_version<'a>(name: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(names::base_name(name))?
        .strip_prefix('-')?
        .strip_suffix(".tgz")
        .filter(|v| is_sane_version(v))
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
    fn only_the_conventional_name_is_read() {
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
