//! Package names: which ones exist, and how they stand in addresses.

/// The most characters of a name.
const LONGEST: usize = 214;

/// Whether a name may be a package's. Old packages have upper case and odd signs in theirs, so what npm calls "valid
/// for old packages" is what counts here: characters that need no escaping in a URL, and a scope if there is a slash.
pub(crate) fn is_valid(name: &str) -> bool {
    if name.is_empty() || name.len() > LONGEST {
        return false;
    }
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| is_part(scope) && is_part(name)),
        None => is_part(name) && !matches!(name, "node_modules" | "favicon.ico") && !name.starts_with('_'),
    }
}

fn is_part(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
}

/// The scope of a name, with its `@`.
pub(crate) fn scope(name: &str) -> Option<&str> {
    let (scope, _) = name.split_once('/')?;
    scope.starts_with('@').then_some(scope)
}

/// A name without its scope.
pub(crate) fn base_name(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, base)| base)
}

/// Where clients look for a tarball below a registry: `@s/p/-/p-1.0.0.tgz`.
pub(crate) fn tarball_path(name: &str, version: &str) -> String {
    format!("{name}/-/{}-{version}.tgz", base_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_npm_allows() {
        for good in ["lodash", "JSONStream", "@s/p", "@S/P.q", "a.b", "-", "left~pad", "@s/_p"] {
            assert!(is_valid(good), "{good}");
        }
        let long = "a".repeat(215);
        for bad in [
            "", ".", "..", ".a", "_a", "a/b", "@s", "@s/", "@/p", "@s/p/q", "@s/..", "a b", "a%2fb", "é",
            &long,
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
