//! Paths and the table of what may be asked.
//!
//! A path is split on raw `/` first, and each segment is percent-decoded exactly once afterwards: `%2f` never
//! makes a new segment, and what decoding yields is never decoded again. No segment is ever joined to a path of
//! the file system.

use std::borrow::Cow;

use crate::ecosystem::{Route, Takes};
use crate::problem::{Kind, Problem};

/// The segments of a path, decoded and found harmless.
#[derive(Debug)]
pub(super) struct Path<'a> {
    segments: Vec<Segment<'a>>,
    /// Whether it ends in a slash.
    directory: bool,
}

#[derive(Debug)]
struct Segment<'a> {
    raw: &'a str,
    text: Cow<'a, str>,
}

impl<'a> Path<'a> {
    /// Splits and decodes the raw path of a request. The error says what is wrong with it.
    pub(super) fn parse(raw: &'a str) -> Result<Path<'a>, &'static str> {
        let below = raw.strip_prefix('/').ok_or("the path does not begin with a slash")?;
        let directory = below.is_empty() || below.ends_with('/');
        let below = below.strip_suffix('/').unwrap_or(below);
        if below.is_empty() {
            return if raw == "/" { Ok(Path { segments: Vec::new(), directory }) } else { Err(EMPTY) };
        }
        // `./` leads nowhere (RFC 3986, section 5.2.4); apt asks so for all that a repository without folders has.
        let mut raw: Vec<&str> = below.split("/./").collect();
        if let Some(first) = raw.first_mut() {
            *first = first.strip_prefix("./").unwrap_or(first);
        }
        let segments = raw.into_iter().flat_map(|part| part.split('/')).map(Segment::parse);
        Ok(Path { segments: segments.collect::<Result<_, _>>()?, directory })
    }

    /// How many segments.
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// A segment, decoded.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.segments.get(index).map(|segment| segment.text.as_ref())
    }

    /// A segment as the client wrote it.
    pub(super) fn raw(&self, index: usize) -> Option<&'a str> {
        self.segments.get(index).map(|segment| segment.raw)
    }

    /// Whether the first segments are these.
    pub(super) fn begins_with(&self, prefix: &[String]) -> bool {
        self.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(have, want)| have.text == *want)
    }
}

const EMPTY: &str = "the path has an empty segment";

impl<'a> Segment<'a> {
    fn parse(raw: &'a str) -> Result<Segment<'a>, &'static str> {
        let text = decode(raw)?;
        if text.chars().any(char::is_control) {
            return Err("the path has a control character");
        }
        // A slash that was encoded is part of the segment, and what stands around it must be as harmless as a
        // segment of its own.
        for part in text.split('/') {
            match part {
                "" => return Err(EMPTY),
                "." | ".." => return Err("the path has a relative segment"),
                _ => {}
            }
        }
        Ok(Segment { raw, text })
    }

    fn has_slash(&self) -> bool {
        self.text.contains('/')
    }
}

/// Percent-decodes once, strictly.
fn decode(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("the path has a broken percent-encoding");
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(0));
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "the path is not UTF-8")
}

/// A compiled [`Route`].
#[derive(Debug)]
struct Compiled {
    method: &'static str,
    action: &'static str,
    takes: Takes,
    /// Before a `{name...}`, or everything.
    head: Vec<Pattern>,
    /// The name of a `{name...}`.
    rest: Option<&'static str>,
    /// After a `{name...}`.
    tail: Vec<Pattern>,
    directory: bool,
}

#[derive(Debug)]
enum Pattern {
    Literal(&'static str),
    /// A literal (maybe empty) and the capture behind it.
    Capture(&'static str, &'static str),
}

/// All routes of a mount.
#[derive(Debug)]
pub(super) struct RouteTable(Vec<Compiled>);

/// What a table says to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Matched {
    /// This action, with what its requests bring and what the pattern captured.
    Action(&'static str, Takes, Vec<(&'static str, String)>),
    /// There is something, for these methods only: the value of Allow.
    OtherMethods(String),
    /// There is nothing.
    Nothing,
}

impl RouteTable {
    /// Compiles the routes.
    ///
    /// # Errors
    /// `http.bad-route` for a pattern that is not well-formed: a mistake in an ecosystem, found at start.
    pub(super) fn compile(routes: &[Route]) -> Result<RouteTable, Problem> {
        routes.iter().map(Compiled::new).collect::<Result<_, _>>().map(RouteTable)
    }

    /// Finds the action for a method and what is left of a path after `skip` segments. The first match wins.
    pub(super) fn find(&self, method: &str, path: &Path<'_>, skip: usize) -> Matched {
        let mut others: Vec<&'static str> = Vec::new();
        for route in &self.0 {
            let serves = route.method == method || (method == "HEAD" && route.method == "GET");
            if !serves && others.contains(&route.method) {
                continue;
            }
            let Some(captures) = route.matches(path, skip) else { continue };
            if serves {
                return Matched::Action(route.action, route.takes, captures);
            }
            others.push(route.method);
            if route.method == "GET" {
                others.push("HEAD");
            }
        }
        if others.is_empty() { Matched::Nothing } else { Matched::OtherMethods(others.join(", ")) }
    }
}

impl Compiled {
    fn new(route: &Route) -> Result<Compiled, Problem> {
        let bad = |why: &str| {
            Problem::new(Kind::Failed, "http.bad-route", format!("the route {:?} {why}", route.pattern))
        };
        let pattern = route.pattern.strip_prefix('/').unwrap_or(route.pattern);
        let mut compiled = Compiled {
            method: route.method,
            action: route.action,
            takes: route.takes,
            head: Vec::new(),
            rest: None,
            tail: Vec::new(),
            directory: pattern.is_empty() || pattern.ends_with('/'),
        };
        let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
        if pattern.is_empty() {
            return Ok(compiled);
        }
        for segment in pattern.split('/') {
            let part = match segment.split_once('{') {
                None if segment.is_empty() => return Err(bad("has an empty segment")),
                None => Pattern::Literal(segment),
                Some((lead, name)) => {
                    let name = name.strip_suffix('}').ok_or_else(|| bad("has an open brace"))?;
                    if let Some(name) = name.strip_suffix("...") {
                        if compiled.rest.replace(name).is_some() || !lead.is_empty() {
                            return Err(bad("has a second or a prefixed rest"));
                        }
                        continue;
                    }
                    Pattern::Capture(lead, name)
                }
            };
            if compiled.rest.is_some() { compiled.tail.push(part) } else { compiled.head.push(part) }
        }
        Ok(compiled)
    }

    fn matches(&self, path: &Path<'_>, skip: usize) -> Option<Vec<(&'static str, String)>> {
        let segments = path.segments.get(skip..)?;
        // The mount's own root is one place, with and without its slash.
        if self.directory != path.directory && !segments.is_empty() {
            return None;
        }
        let fixed = self.head.len() + self.tail.len();
        let enough = match self.rest {
            Some(_) => segments.len() > fixed,
            None => segments.len() == fixed,
        };
        if !enough {
            return None;
        }
        let (head, others) = segments.split_at_checked(self.head.len())?;
        let (middle, tail) = others.split_at_checked(others.len().checked_sub(self.tail.len())?)?;
        // Nothing is allocated for a route that does not match.
        let mut pairs = self.head.iter().zip(head).chain(self.tail.iter().zip(tail));
        if !pairs.all(|(pattern, segment)| pattern.accepts(segment)) {
            return None;
        }
        let mut captures = capture(&self.head, head);
        if let Some(name) = self.rest {
            // An encoded slash would be indistinguishable from a real one here.
            if middle.iter().any(Segment::has_slash) {
                return None;
            }
            let texts: Vec<&str> = middle.iter().map(|segment| segment.text.as_ref()).collect();
            captures.push((name, texts.join("/")));
            captures.append(&mut capture(&self.tail, tail));
        }
        Some(captures)
    }
}

/// What patterns capture of segments that they accept.
fn capture(patterns: &[Pattern], segments: &[Segment<'_>]) -> Vec<(&'static str, String)> {
    let captured = patterns.iter().zip(segments).filter_map(|(pattern, segment)| match pattern {
        Pattern::Literal(_) => None,
        Pattern::Capture(lead, name) => Some((*name, segment.text.strip_prefix(lead)?.to_owned())),
    });
    captured.collect()
}

impl Pattern {
    fn accepts(&self, segment: &Segment<'_>) -> bool {
        match self {
            Pattern::Literal(literal) => segment.text == *literal,
            Pattern::Capture("", _) => true,
            // `@{scope}` is a scope alone: `@scope%2fname` belongs to a capture of the whole segment.
            Pattern::Capture(lead, _) => {
                segment.text.len() > lead.len() && segment.text.starts_with(lead) && !segment.has_slash()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &[Route] = &[
        Route::get("/", "root"),
        Route::get("/-/ping", "ping"),
        Route::post("/-/audit", "audit"),
        Route::get("/@{scope}/{name}", "scoped"),
        Route::get("/{package}", "package"),
        Route { method: "PUT", pattern: "/{package}", action: "publish", takes: Takes::Document(1) },
        Route::get("/{package}/-/{file}", "tarball"),
        Route::get("/simple/{project}/", "project"),
        Route::get("/files/{path...}", "file"),
        Route::get("/images/{name...}/manifests/{reference}", "manifest"),
    ];

    fn find(method: &str, path: &str) -> String {
        let table = RouteTable::compile(ROUTES).unwrap();
        let path = match Path::parse(path) {
            Ok(path) => path,
            Err(why) => return format!("bad: {why}"),
        };
        match table.find(method, &path, 0) {
            Matched::Action(action, _, captures) => {
                let captures: Vec<String> = captures.iter().map(|(n, v)| format!(" {n}={v}")).collect();
                format!("{action}{}", captures.concat())
            }
            Matched::OtherMethods(allow) => format!("allow {allow}"),
            Matched::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn routes_are_found_by_raw_segments() {
        for (path, expected) in [
            ("/", "root"),
            ("/-/ping", "ping"),
            ("/-/ping/", "nothing"),
            ("/left-pad", "package package=left-pad"),
            ("/./left-pad", "package package=left-pad"),
            ("/files/./a/./b", "file path=a/b"),
            ("/@s/p", "scoped scope=s name=p"),
            ("/@s%2fp", "package package=@s/p"),
            ("/@s%2Fp", "package package=@s/p"),
            ("/%40s/p", "scoped scope=s name=p"),
            ("/@s%2fp/-/p-1.tgz", "tarball package=@s/p file=p-1.tgz"),
            ("/@/p", "nothing"),
            ("/simple/x/", "project project=x"),
            ("/simple/x", "nothing"),
            ("/files/a/b%20c", "file path=a/b c"),
            ("/files/a%2fb", "nothing"),
            ("/files", "package package=files"),
            ("/images/a/b/manifests/1", "manifest name=a/b reference=1"),
            ("/images/manifests/1", "nothing"),
            ("/%252e%252e", "package package=%2e%2e"),
        ] {
            // A literal route for a directory does not swallow the same name without its slash.
            assert_eq!(find("GET", path), expected, "{path}");
        }
    }

    #[test]
    fn methods_are_an_exhaustive_table() {
        assert_eq!(find("HEAD", "/x"), "package package=x");
        assert_eq!(find("PUT", "/x"), "publish package=x");
        assert_eq!(find("DELETE", "/x"), "allow GET, HEAD, PUT");
        assert_eq!(find("GET", "/-/audit"), "allow POST");
        assert_eq!(find("get", "/-/ping"), "allow GET, HEAD");
    }

    #[test]
    fn path_tricks_are_refused() {
        for path in [
            "",
            "x",
            "*",
            "//",
            "//x",
            "/x//y",
            "/x//",
            "/.",
            "/..",
            "/x/../y",
            "/x/.",
            "/./",
            "/x/././y",
            "/%2e%2e",
            "/%2E./x",
            "/%2e",
            "/a%2f..%2fb",
            "/%2f",
            "/a%2f",
            "/%2fa",
            "/a%2f%2fb",
            "/%00",
            "/a%0ab",
            "/%7f",
            "/%zz",
            "/%2",
            "/%",
            "/%+1",
            "/%ff",
            "/%c0%af",
            "/%c0%ae%c0%ae",
            "/%ed%a0%80",
            "/%c2%85",
        ] {
            assert!(find("GET", path).starts_with("bad: "), "{path}: {}", find("GET", path));
        }
    }

    #[test]
    fn bad_patterns_are_found_at_start() {
        for pattern in ["/{open", "/a//b", "/{a...}/{b...}", "/x{a...}"] {
            assert!(RouteTable::compile(&[Route::get(pattern, "x")]).is_err(), "{pattern}");
        }
    }
}
