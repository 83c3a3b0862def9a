//! The pages of the simple repository interface: PEP 503 in HTML, PEP 691 in JSON, with what later ones added (592, 658, 700,
//! 714, 740, 792).

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::ACCEPT;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::facts::{METADATA_END, PROVENANCE_END, Status, Yanked};
use super::listed::{Listed, Project};
use crate::ecosystem::ServeContext;
use crate::ecosystem::template::{Template, within_quotes};
use crate::ecosystem::weights::weighted;
use crate::problem::Problem;

/// The version of the interface: the one that brought the states of projects.
const API_VERSION: &str = "1.4";
/// How many names are read from the catalogue at once.
const NAMES_AT_ONCE: usize = 4096;
/// What stands in addresses as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The forms of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Html,
    /// The same document under the name that all clients know.
    PlainHtml,
}

impl Form {
    pub(super) const ALL: [Form; 3] = [Form::Json, Form::Html, Form::PlainHtml];

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/vnd.pypi.simple.v1+json",
            Form::Html => "application/vnd.pypi.simple.v1+html",
            Form::PlainHtml => "text/html; charset=utf-8",
        }
    }

    /// The form that a client likes most; `None` if it takes none of them. Whoever says nothing, or that anything will do,
    /// is answered as every index did before there were others.
    pub(super) fn liked(headers: &HeaderMap) -> Option<Form> {
        let accepted: Vec<(&str, u16)> =
            weighted(headers, ACCEPT).filter(|(range, _)| !range.is_empty()).collect();
        if accepted.is_empty() {
            return Some(Form::PlainHtml);
        }
        let weighed = Form::ALL.into_iter().filter_map(|form| {
            let named = accepted.iter().filter_map(|(range, weight)| Some((form.named_by(range)?, *weight)));
            // What is said of a type itself counts, whatever is said of all.
            let (precision, weight) = named.max_by_key(|(precision, _)| *precision)?;
            let rank = match form {
                Form::PlainHtml if precision == 0 => 3,
                Form::Json => 2,
                Form::Html => 1,
                Form::PlainHtml => 0,
            };
            (weight > 0).then_some(((weight, precision, rank), form))
        });
        weighed.max_by_key(|(liked, _)| *liked).map(|(_, form)| form)
    }

    /// Whether a media range means this form: 0 by `*/*`, 1 by its first half, 2 by its name.
    fn named_by(self, range: &str) -> Option<u8> {
        let (names, half) = match self {
            Form::Json => (
                ["application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json"],
                "application/*",
            ),
            Form::Html => (
                ["application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.latest+html"],
                "application/*",
            ),
            Form::PlainHtml => (["text/html"; 2], "text/*"),
        };
        if names.iter().any(|name| range.eq_ignore_ascii_case(name)) {
            return Some(2);
        }
        match range {
            "*/*" => Some(0),
            _ => range.eq_ignore_ascii_case(half).then_some(1),
        }
    }

    /// An address as it stands in the gaps of such a page.
    pub(super) fn filling(self, address: &str) -> String {
        match self {
            Form::Json => within_quotes(address),
            Form::Html | Form::PlainHtml => escaped(address),
        }
    }
}

/// The list of all projects.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn index(
    context: &dyn ServeContext,
    repository: Option<&str>,
    form: Form,
) -> Result<Template, Problem> {
    let mut page = Template::default();
    match form {
        Form::Json => {
            page.push_str(&format!("{{\"meta\":{{\"api-version\":\"{API_VERSION}\"}},\"projects\":["))
        }
        Form::Html | Form::PlainHtml => page.push_str(&head("Simple index", None)),
    }
    let mut after = String::new();
    let mut is_first = true;
    loop {
        let names = context.names(repository, &after, NAMES_AT_ONCE)?;
        let Some(last) = names.last() else { break };
        last.clone_into(&mut after);
        for name in &names {
            match form {
                Form::Json => {
                    let comma = if is_first { "" } else { "," };
                    page.push_str(&format!("{comma}{{\"name\":{}}}", Value::from(name.as_str())));
                }
                Form::Html | Form::PlainHtml => {
                    page.push_str(&format!("<a href=\"{}/\">{}</a><br>\n", encoded(name), escaped(name)));
                }
            }
            is_first = false;
        }
        if names.len() < NAMES_AT_ONCE {
            break;
        }
    }
    page.push_str(match form {
        Form::Json => "]}",
        Form::Html | Form::PlainHtml => FOOT,
    });
    Ok(page)
}

/// The list of a project's files. Its gaps are for where clients reach the index, ending in a slash.
pub(super) fn project(name: &str, project: &Project, form: Form) -> Template {
    match form {
        Form::Json => json_page(name, project),
        Form::Html | Form::PlainHtml => html_page(name, project),
    }
}

fn json_page(name: &str, project: &Project) -> Template {
    let mut page = Template::default();
    let mut before = json!({ "meta": { "api-version": API_VERSION }, "name": name }).to_string();
    before.pop();
    if let Some(status) = &project.status {
        let (word, reason) = status.parts();
        let mut status = json!({ "status": word });
        if let (Some(reason), Some(members)) = (reason, status.as_object_mut()) {
            members.insert("reason".to_owned(), reason.into());
        }
        let _ = write!(before, ",\"project-status\":{status}");
    }
    let mut versions: Vec<String> = project.files.iter().map(|file| file.version.to_string()).collect();
    versions.dedup();
    let _ = write!(before, ",\"versions\":{},\"files\":[", Value::from(versions));
    page.push_str(&before);
    for (index, file) in project.files.iter().enumerate() {
        let path = path(file);
        page.push_str(&format!(
            "{}{{\"filename\":{},\"url\":\"",
            if index == 0 { "" } else { "," },
            Value::from(file.name.as_str())
        ));
        page.push_gap();
        let mut text =
            format!("{path}\",\"hashes\":{{\"sha256\":\"{}\"}},\"size\":{}", file.blob.hex(), file.size);
        for (key, value) in
            [("requires-python", &file.facts.requires_python), ("upload-time", &file.facts.upload_time)]
        {
            if let Some(value) = value {
                let _ = write!(text, ",\"{key}\":{}", Value::from(value.as_str()));
            }
        }
        match &file.facts.yanked {
            Yanked::Is(false) => {}
            Yanked::Is(true) => text.push_str(",\"yanked\":true"),
            Yanked::Because(why) => {
                let _ = write!(text, ",\"yanked\":{}", Value::from(why.as_str()));
            }
        }
        // Only by its newer name: pip before 23.2 reads the older one wrongly in JSON (PEP 714).
        match &file.metadata {
            Some(metadata) => {
                let _ = write!(text, ",\"core-metadata\":{{\"sha256\":\"{}\"}}", metadata.hex());
            }
            None => text.push_str(",\"core-metadata\":false"),
        }
        if file.has_provenance {
            text.push_str(",\"provenance\":\"");
            page.push_str(&text);
            page.push_gap();
            text = format!("{path}{PROVENANCE_END}\"");
        }
        text.push('}');
        page.push_str(&text);
    }
    page.push_str("]}");
    page
}

fn html_page(name: &str, project: &Project) -> Template {
    let mut page = Template::default();
    page.push_str(&head(&format!("Links for {name}"), project.status.as_ref()));
    for file in &project.files {
        let path = path(file);
        page.push_str("<a href=\"");
        page.push_gap();
        let mut text = format!("{path}#sha256={}\"", file.blob.hex());
        let mut attribute = |key: &str, value: &str| {
            let _ = write!(text, " {key}=\"{}\"", escaped(value));
        };
        if let Some(pythons) = &file.facts.requires_python {
            attribute("data-requires-python", pythons);
        }
        if let Some(time) = &file.facts.upload_time {
            attribute("data-upload-time", time);
        }
        match &file.facts.yanked {
            Yanked::Is(false) => {}
            Yanked::Is(true) => attribute("data-yanked", ""),
            Yanked::Because(why) => attribute("data-yanked", why),
        }
        if let Some(metadata) = &file.metadata {
            let metadata = format!("sha256={}", metadata.hex());
            attribute("data-core-metadata", &metadata);
            attribute("data-dist-info-metadata", &metadata);
        }
        if file.has_provenance {
            text.push_str(" data-provenance=\"");
            page.push_str(&text);
            page.push_gap();
            text = format!("{path}{PROVENANCE_END}\"");
        }
        let _ = writeln!(text, ">{}</a><br>", escaped(&file.name));
        page.push_str(&text);
    }
    page.push_str(FOOT);
    page
}

fn head(title: &str, status: Option<&Status>) -> String {
    let mut head = format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"pypi:repository-version\" content=\"{API_VERSION}\">\n"
    );
    if let Some((word, reason)) = status.map(Status::parts) {
        let _ = writeln!(head, "<meta name=\"pypi:project-status\" content=\"{}\">", escaped(word));
        if let Some(reason) = reason {
            let _ =
                writeln!(head, "<meta name=\"pypi:project-status-reason\" content=\"{}\">", escaped(reason));
        }
    }
    let title = escaped(title);
    let _ = write!(head, "<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n");
    head
}

const FOOT: &str = "</body>\n</html>\n";

/// Where a file stands below the index. Its digest is in it, so that what stands there never changes.
pub(super) fn path(file: &Listed) -> String {
    format!("files/{}/{}", file.blob.hex(), encoded(&file.name))
}

/// A segment of a path.
pub(super) fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, PLAIN)
}

/// Text within HTML and its attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The document that a path is about: a file, or what stands beside it; and what stands behind the file's name.
pub(super) fn belonging(path: &str) -> (&str, &'static str) {
    for end in [METADATA_END, PROVENANCE_END] {
        if let Some(file) = path.strip_suffix(end) {
            return (file, end);
        }
    }
    (path, "")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn each_client_gets_the_form_that_it_likes_most() {
        let liked = |accept: &str| {
            let headers = [(ACCEPT, HeaderValue::try_from(accept).unwrap())].into_iter().collect();
            Form::liked(&headers)
        };
        assert_eq!(Form::liked(&HeaderMap::new()), Some(Form::PlainHtml));
        for (accept, form) in [
            // pip and uv.
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
                Some(Form::Json),
            ),
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
                Some(Form::Json),
            ),
            // pip before it knew JSON, curl, a browser.
            ("text/html", Some(Form::PlainHtml)),
            ("*/*", Some(Form::PlainHtml)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Form::PlainHtml)),
            ("application/vnd.pypi.simple.latest+json", Some(Form::Json)),
            ("application/vnd.pypi.simple.v1+html, text/html", Some(Form::Html)),
            ("application/vnd.pypi.simple.v1+json, text/html", Some(Form::Json)),
            ("application/vnd.pypi.simple.v1+json;q=0, */*", Some(Form::PlainHtml)),
            ("text/html;q=0, application/*", Some(Form::Json)),
            ("TEXT/HTML;q=0.5, application/vnd.pypi.simple.v1+json;q=0.4", Some(Form::PlainHtml)),
            ("", Some(Form::PlainHtml)),
            ("application/json", None),
            ("text/html;q=0", None),
            ("application/vnd.pypi.simple.v2+json", None),
        ] {
            assert_eq!(liked(accept), form, "{accept}");
        }
    }
}
