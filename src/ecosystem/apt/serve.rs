//! The archive that apt, debootstrap and mmdebstrap talk to: `/apt/<repository>/dists/…` from the newest edition, and all
//! else, the pool, by the names that packages have upstream.

use bytes::Bytes;

use crate::ecosystem::{Answer, ClientRequest, Content, Route, Serve, ServeContext};
use crate::problem::Problem;

/// Serves apt's clients.
pub(super) struct AptServe;

static ROUTES: &[Route] = &[Route::get("", "about"), Route::get("{path...}", "file")];

/// Since when a package has been as it is. When upstream made it is not known here; but its path never has other bytes, so any
/// date is right, and apt needs one to go on where it was interrupted.
const ALWAYS: &str = "1980-01-01T00:00:00Z";

const TEXT: &str = "text/plain; charset=utf-8";

impl Serve for AptServe {
    fn prefix(&self) -> &'static str {
        "apt"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let repository = request.repository.as_deref();
        let path = request.captures.iter().find(|(key, _)| *key == "path").map_or("", |(_, value)| value);
        if path.is_empty() {
            return about(context);
        }
        // What begins so is for whoever makes editions.
        if let Some(repository) = repository.filter(|_| !path.starts_with('/'))
            && let Some(found) = context.edition(repository, path)?
        {
            let media_type = media_type(path).to_owned();
            let content = Content::Blob { key: found.blob, size: found.size, media_type };
            let answer = Answer { lasting: path.contains("/by-hash/"), ..Answer::from(content) };
            // apt asks by dates, and knows no entity tags.
            return Ok(answer.since(&found.since));
        }
        let is_index = path.starts_with("dists/");
        let found = match is_index {
            true => None,
            // A client that holds the indices of before is still to find what they list.
            false => match context.file_at(repository, path)? {
                Some(found) => Some(found),
                None => context.former_file_at(repository, path)?,
            },
        };
        if let Some(found) = found {
            let media_type = media_type(path).to_owned();
            let content = Content::Blob { key: found.file.blob, size: found.file.size, media_type };
            // Files of one path and other bytes are refused at import.
            return Ok(Answer { lasting: true, ..Answer::from(content) }.since(ALWAYS));
        }
        if let (Some((name, version)), false) = (package_of(path), is_index) {
            context.missed(repository, name, &version);
        }
        let why = match repository {
            None if is_index => "indices belong to one repository: ask for /apt/<repository>/dists/",
            _ => "this mirror has nothing at that address",
        };
        Ok(refusal(404, why))
    }

    fn error(&self, _status: u16, message: &str) -> Bytes {
        Bytes::from(format!("{message}\n"))
    }
}

/// The names of all repositories, a line each.
fn about(context: &dyn ServeContext) -> Result<Answer, Problem> {
    let mut names = context.repositories()?.join("\n");
    names.push('\n');
    Ok(Content::Document { media_type: TEXT, body: Bytes::from(names), vary: "" }.into())
}

fn refusal(status: u16, message: &str) -> Answer {
    Content::Status { status, media_type: TEXT, body: Bytes::from(format!("{message}\n")) }.into()
}

/// The package and version that a path of a pool is of: `…/hello_2.10-3_amd64.deb`. An epoch is not in the name.
fn package_of(path: &str) -> Option<(&str, String)> {
    let name = path.rsplit('/').next()?.strip_suffix(".deb")?;
    let mut parts = name.split('_');
    let (package, version) = (parts.next()?, parts.next()?);
    super::request::is_name(package).then(|| (package, version.replace("%3a", ":")))
}

/// Never what a bundle claims.
fn media_type(path: &str) -> &'static str {
    match path.rsplit(['.', '/']).next() {
        Some("deb") => "application/vnd.debian.binary-package",
        Some("xz") => "application/x-xz",
        Some("gz") => "application/gzip",
        Some("gpg") => "application/pgp-signature",
        Some("asc" | "dsc" | "InRelease" | "Release") => TEXT,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_in_vain_is_known_by_its_file() {
        for (path, expected) in [
            ("pool/main/h/hello/hello_2.10-3_amd64.deb", Some(("hello", "2.10-3"))),
            ("pool/main/7/7zip/7zip_22.01+really26.01-1_all.deb", Some(("7zip", "22.01+really26.01-1"))),
            ("pool/x/x_1%3a2_all.deb", Some(("x", "1:2"))),
            ("pool/x/x.deb", None),
            ("pool/x/x_1.dsc", None),
            ("pool/x/\u{1b}_1_all.deb", None),
        ] {
            let found = package_of(path);
            assert_eq!(found.as_ref().map(|(name, version)| (*name, version.as_str())), expected, "{path}");
        }
    }
}
