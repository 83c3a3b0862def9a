//! The only reader of environment variables.

use std::ffi::OsString;

/// An environment variable, if it is set, not empty, and UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one reader that everything else asks")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An environment variable that holds a path.
#[expect(clippy::disallowed_methods, reason = "this is the one reader that everything else asks")]
pub fn variable_os(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// All UTF-8 variables whose names begin with `prefix`, in any case: npm reads `NPM_CONFIG_…` like `npm_config_…`.
#[expect(clippy::disallowed_methods, reason = "this is the one reader that everything else asks")]
pub fn all_with_prefix(prefix: &str) -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
        .collect()
}
