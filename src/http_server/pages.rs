//! Our own pages: what this server is, how clients are set up, and how it is.
//!
//! Whatever comes from a bundle is escaped, and no page has a script: the policy allows nothing but its own style.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use bundle_format::BlobKey;
use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::mount::Mounts;
use super::origin::Origin;
use super::reply::{Asked, Refusal, Reply};
use super::route::{Matched, Path, RouteTable};
use super::site::Site;
use crate::clock;
use crate::ecosystem::{ALL, ClientFile, Ecosystem, Editions, Route, Setup, SetupServer, registry};
use crate::problem::Problem;
use crate::store::edition_document;

const ROUTES: &[Route] = &[
    Route::get("/", "index"),
    Route::get("/-/health", "health"),
    Route::get("/-/metrics", "metrics"),
    Route::get("/setup/ca.pem", "authority"),
    Route::get("/setup/{client}", "setup"),
];

/// Whether the page at a path is everybody's, whoever may read: what watches a server has no account, and clients need
/// the certificate authority before they can show theirs. Other pages name what is served.
pub(super) fn is_everybodys(path: &str) -> bool {
    matches!(path, "/-/health" | "/setup/ca.pem")
}

/// The pages of a site.
pub(super) struct Pages {
    table: RouteTable,
    /// With the name of the ecosystem whose clients they are.
    setups: Vec<(&'static str, &'static dyn Setup)>,
    /// The certificate authority that clients need to believe us, in PEM.
    authority: Option<String>,
}

/// A page that was asked for.
#[derive(Debug)]
pub(super) enum Page {
    Index,
    Health,
    Metrics,
    /// The certificate authority that clients need.
    Authority,
    /// Of this client.
    Setup(String),
}

impl Pages {
    /// The pages for these ecosystems.
    pub(super) fn new(
        ecosystems: &[&'static dyn Ecosystem],
        authority: Option<String>,
    ) -> Result<Pages, Problem> {
        let of = |one: &&'static dyn Ecosystem| {
            let name = one.name();
            one.setup().iter().map(move |setup| (name, *setup)).collect::<Vec<_>>()
        };
        let setups = ecosystems.iter().flat_map(of).collect();
        Ok(Pages { table: RouteTable::compile(ROUTES)?, setups, authority })
    }

    /// Finds the page at a path.
    pub(super) fn find(&self, method: &str, path: &Path<'_>) -> Result<Page, Refusal> {
        match self.table.find(method, path, 0) {
            Matched::Action("index", _, _) => Ok(Page::Index),
            Matched::Action("health", _, _) => Ok(Page::Health),
            Matched::Action("metrics", _, _) => Ok(Page::Metrics),
            Matched::Action("authority", _, _) => Ok(Page::Authority),
            Matched::Action(_, _, captures) => {
                Ok(Page::Setup(captures.into_iter().next().map(|(_, client)| client).unwrap_or_default()))
            }
            Matched::OtherMethods(allow) => Err(Refusal::method(allow)),
            Matched::Nothing => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        }
    }

    /// Makes a page. Reads the store, so call it where blocking is allowed.
    pub(super) fn answer(
        &self,
        page: &Page,
        site: &Site,
        mounts: &Mounts,
        origin: &Origin,
        asked: Asked<'_>,
    ) -> Result<Reply, Problem> {
        let server = origin.to_string();
        let text = |body: String| plain(body, "text/plain; charset=utf-8", "", asked, site);
        match page {
            Page::Index => self.index(site, mounts, &server, asked),
            Page::Health => Ok(health(site, asked)),
            Page::Metrics => {
                let revision = site.catalogue.revision()?.0;
                let body = site.metrics.text(revision, site.documents.bytes(), site.misses.dropped());
                Ok(plain(body, "text/plain; version=0.0.4; charset=utf-8", "", asked, site))
            }
            Page::Authority => match &self.authority {
                Some(pem) => Ok(plain(pem.clone(), "application/x-pem-file", "", asked, site)),
                None => {
                    let message = "this server has no certificate authority of its own to hand out";
                    Ok(Refusal::new(StatusCode::NOT_FOUND, message).into())
                }
            },
            Page::Setup(client) => match self.setups.iter().find(|(_, setup)| setup.client() == client) {
                Some((ecosystem, setup)) => {
                    Ok(text(self.configuration(*setup, ecosystem, site, &server)?.text))
                }
                None => {
                    let known: Vec<&str> = self.setups.iter().map(|(_, setup)| setup.client()).collect();
                    let message =
                        format!("there is no client {client:?}; these are known: {}", known.join(", "));
                    Ok(Refusal::new(StatusCode::NOT_FOUND, message).into())
                }
            },
        }
    }

    fn index(&self, site: &Site, mounts: &Mounts, server: &str, asked: Asked<'_>) -> Result<Reply, Problem> {
        let repositories = shown(site, mounts, server)?;
        let files = self.files(site, server)?;
        if !wants_html(asked.headers) {
            return Ok(plain(
                index_text(server, &repositories, &files),
                "text/plain; charset=utf-8",
                "Accept",
                asked,
                site,
            ));
        }
        let reply = plain(
            index_html(server, &repositories, &files),
            "text/html; charset=utf-8",
            "Accept",
            asked,
            site,
        );
        Ok(reply.with_policy(POLICY.clone()))
    }

    /// Every client's file for this server.
    fn files(&self, site: &Site, server: &str) -> Result<Vec<(&'static str, ClientFile)>, Problem> {
        let file = |(ecosystem, setup): &(&str, &dyn Setup)| {
            self.configuration(*setup, ecosystem, site, server).map(|file| (setup.client(), file))
        };
        self.setups.iter().map(file).collect()
    }

    /// A client's file for this server.
    fn configuration(
        &self,
        setup: &dyn Setup,
        ecosystem: &str,
        site: &Site,
        server: &str,
    ) -> Result<ClientFile, Problem> {
        // A proxy that is asked without TLS has no certificate to believe.
        let authority = self.authority.as_deref().filter(|_| server.starts_with("https:"));
        let repositories = served(site, ecosystem)?;
        let editions = SiteEditions { site, ecosystem };
        let editions = Some(&editions as &dyn Editions);
        setup.configuration(&SetupServer {
            address: server,
            repositories: &repositories,
            editions,
            authority,
        })
    }
}

/// The most bytes that a document has from which clients are set up.
const LARGEST_DOCUMENT: u64 = 1024 * 1024;

/// What an ecosystem's repositories have in their editions.
#[derive(Debug)]
struct SiteEditions<'a> {
    site: &'a Site,
    ecosystem: &'a str,
}

impl Editions for SiteEditions<'_> {
    fn document(&self, repository: &str, path: &str) -> Result<Option<Bytes>, Problem> {
        let (catalogue, blobs) = (&*self.site.catalogue, &*self.site.blobs);
        let found = edition_document(catalogue, blobs, (self.ecosystem, repository), path)?;
        let Some(found) = found.filter(|found| found.size <= LARGEST_DOCUMENT) else { return Ok(None) };
        Site::read(&found.blob, &self.site.open_sized(&found.blob, found.size)?).map(Some)
    }
}

/// The names of an ecosystem's repositories.
fn served(site: &Site, ecosystem: &str) -> Result<Vec<String>, Problem> {
    let repositories = site.repositories(site.catalogue.revision()?)?;
    let own = repositories.iter().filter(|one| one.ecosystem == ecosystem);
    Ok(own.map(|one| one.name.clone()).collect())
}

fn plain(body: String, media_type: &'static str, vary: &str, asked: Asked<'_>, site: &Site) -> Reply {
    Reply::document(HeaderValue::from_static(media_type), Bytes::from(body), vary, asked, site)
}

fn health(site: &Site, asked: Asked<'_>) -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    let (status, body) = match site.catalogue.revision() {
        Ok(revision) => (
            StatusCode::OK,
            serde_json::json!({ "status": "ok", "version": version, "revision": revision.0 }),
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({ "status": "the store does not answer", "version": version }),
        ),
    };
    let reply = plain(body.to_string(), "application/json", "", asked, site);
    if status == StatusCode::OK { reply } else { reply.with_status(status) }
}

/// A repository as people see it.
struct Shown {
    ecosystem: &'static str,
    name: String,
    address: String,
    origin: String,
    /// What clients are told that gets old, and as of when it is.
    as_of: String,
}

fn shown(site: &Site, mounts: &Mounts, server: &str) -> Result<Vec<Shown>, Problem> {
    let repositories = site.repositories(site.catalogue.revision()?)?;
    let mut all = Vec::new();
    for mount in mounts.visible() {
        let base = format!("{server}/{}", mount.prefix.join("/"));
        let of = |name: Option<&str>, origin: &str, as_of: String| Shown {
            ecosystem: mount.ecosystem,
            name: name.unwrap_or(ALL).to_owned(),
            address: format!("{base}/{}", mount.serve.place(name)),
            origin: origin.to_owned(),
            as_of,
        };
        all.push(of(None, "everything of this kind", String::new()));
        for one in repositories.iter().filter(|one| one.ecosystem == mount.ecosystem) {
            all.push(of(Some(&one.name), &one.origin, as_of(site, mount.ecosystem, &one.name)?));
        }
    }
    Ok(all)
}

/// What clients of a repository are told that gets old, and as of when it is, for people. Nothing, if there is no such thing.
fn as_of(site: &Site, ecosystem: &str, repository: &str) -> Result<String, Problem> {
    let ecosystem = registry::find(ecosystem);
    let Some((ecosystem, name)) = ecosystem.and_then(|one| Some((one, one.dated()?))) else {
        return Ok(String::new());
    };
    let linked = site.catalogue.artifacts(ecosystem.name(), Some(repository), name)?;
    let newest = linked.iter().filter_map(|one| ecosystem.as_of(&one.artifact)).max_by_key(|(_, time)| *time);
    Ok(newest.map_or_else(String::new, |(what, time)| {
        let age = clock::seconds(time).zip(clock::seconds(&clock::now_text())).map(|(then, now)| now - then);
        format!("{what} of {time}, {} days ago", age.unwrap_or(0).max(0) / 86_400)
    }))
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT);
    accepts.iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

const ABOUT: &str = "Packages that were carried into this network in verified bundles.";

fn index_text(server: &str, repositories: &[Shown], files: &[(&'static str, ClientFile)]) -> String {
    let mut text = format!("aftk {}\n{ABOUT}\n\nRepositories\n", env!("CARGO_PKG_VERSION"));
    for one in repositories {
        let _ =
            writeln!(text, "  {:<6} {:<24} {}", one.ecosystem, printable(&one.name), printable(&one.address));
        if !one.as_of.is_empty() {
            let _ = writeln!(text, "  {:<31} {}", "", printable(&one.as_of));
        }
    }
    text.push_str("\nSet a client up\n");
    for (client, file) in files {
        let _ = writeln!(text, "  {client:<12} {:<50} curl {server}/setup/{client}", file.place());
    }
    if files.iter().any(|(_, file)| file.authority_file.is_some()) {
        let _ = writeln!(text, "\nCertificate authority   curl --insecure {server}/setup/ca.pem");
    }
    let _ = writeln!(text, "\nHealth   {server}/-/health\nMetrics  {server}/-/metrics");
    text
}

/// Names come from bundles: a terminal must not obey them.
fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { '?' } else { one }).collect()
}

fn index_html(server: &str, repositories: &[Shown], files: &[(&'static str, ClientFile)]) -> String {
    let mut page = String::with_capacity(4096);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>aftk – {host}</title>\n<style>{STYLE}</style>\n\
         <header><h1>aftk</h1><p>{ABOUT}</p></header>\n<main>\n<h2>Repositories</h2>\n<ul class=\"cards\">\n",
        host = Escaped(server),
    );
    for one in repositories {
        let as_of = match one.as_of.is_empty() {
            true => String::new(),
            false => format!("<small>{}</small>", Escaped(&one.as_of)),
        };
        let _ = writeln!(
            page,
            "<li><span class=\"kind\">{}</span> <strong>{}</strong><code>{}</code><small>{}</small>{}</li>",
            Escaped(one.ecosystem),
            Escaped(&one.name),
            Escaped(&one.address),
            Escaped(&one.origin),
            as_of,
        );
    }
    page.push_str("</ul>\n<h2>Set a client up</h2>\n");
    for (client, file) in files {
        let _ = writeln!(
            page,
            "<section><h3>{0}</h3><p>Add this to <code>{1}</code> \
             (<a href=\"/setup/{0}\">as a file</a>):</p>\n<pre>{2}</pre>\n<p>{3}</p><p>{4}</p></section>",
            Escaped(client),
            Escaped(&file.place()),
            Escaped(file.text.trim_end()),
            Escaped(file.then),
            Escaped(&file.authority_advice().unwrap_or_default()),
        );
    }
    let _ = write!(
        page,
        "</main>\n<footer>aftk {} · <a href=\"/-/health\">health</a> · <a href=\"/-/metrics\">metrics</a></footer>\n\
         </html>\n",
        env!("CARGO_PKG_VERSION"),
    );
    page
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--dim:#606060}\
@media(prefers-color-scheme:dark){:root{--dim:#a8a8a8}}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem 1rem}\
h1{margin:0;font-size:1.8rem}h2{margin:2rem 0 .5rem;font-size:1.2rem}h3{margin:1rem 0 0;font-size:1rem}\
header p,footer,small{color:var(--dim)}header p{margin:.2rem 0 0}p{margin:.3rem 0}\
.cards{list-style:none;margin:0;padding:0;display:grid;gap:.6rem;\
grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr))}\
.cards li{border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;min-width:0}\
.cards code,.cards small{display:block;overflow-wrap:anywhere}\
.kind{font-size:.8rem;border:1px solid var(--line);border-radius:1rem;padding:0 .5rem}\
code,pre{font:.9rem/1.5 ui-monospace,monospace}\
pre{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;overflow-x:auto}\
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem;font-size:.9rem}";

/// Nothing but our own style, known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(BlobKey::of(STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Text inside HTML, in an element or in a quoted attribute.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for one in self.0.chars() {
            match one {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(one)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_a_bundle_is_escaped() {
        let hostile = "<script>alert(\"x\")</script>'&\u{1b}[2J";
        let shown = Shown {
            ecosystem: "npm",
            name: hostile.to_owned(),
            address: format!("http://a/npm/{hostile}/"),
            origin: hostile.to_owned(),
            as_of: hostile.to_owned(),
        };
        let file = ClientFile {
            path: ".npmrc",
            text: hostile.to_owned(),
            form: crate::ecosystem::Form::Among("#"),
            then: "",
            authority_file: None,
        };
        let page = index_html("http://a", std::slice::from_ref(&shown), &[("npm", file.clone())]);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(&quot;x&quot;)"));
        assert!(!index_text("http://a", &[shown], &[("npm", file)]).contains('\u{1b}'));
    }
}
