//! What the older interface says of a project or of one of its versions, as JSON: poetry and pipenv ask it for what a
//! release requires.

use serde_json::{Map, Value, json};

use super::facts::Yanked;
use super::listed::{Listed, Project};
use super::metadata;
use super::pages::path;
use super::version::Version;
use super::wheel::LARGEST_METADATA;
use crate::ecosystem::ServeContext;
use crate::ecosystem::template::{Template, within_quotes};
use crate::problem::Problem;

/// What stands in the document where the address belongs: no JSON text has such a character in it unescaped.
const HERE: char = '\u{1}';

/// The document of a version, of the newest one if none is named. `None`: that version is not held.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn document(
    context: &dyn ServeContext,
    project: &Project,
    wanted: Option<&Version>,
) -> Result<Option<Template>, Problem> {
    let Some(version) = wanted.or_else(|| newest(project)) else { return Ok(None) };
    let own: Vec<&Listed> = project.files.iter().filter(|file| file.version == *version).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let urls: Vec<Value> = own.iter().map(|file| described(file)).collect();
    let mut document = json!({
        "info": info(context, project, version, &own)?,
        "urls": urls,
        "vulnerabilities": [],
        "last_serial": 0,
    });
    if let (None, Some(members)) = (wanted, document.as_object_mut()) {
        members.insert("releases".to_owned(), releases(project));
    }
    Ok(Some(with_gaps(&document)))
}

/// The highest version that is neither a prerelease nor taken back; else the highest one.
fn newest(project: &Project) -> Option<&Version> {
    let good = |file: &&Listed| !file.version.is_prerelease() && file.facts.yanked.is_no();
    let found = project.files.iter().rfind(good).or_else(|| project.files.last());
    found.map(|file| &file.version)
}

fn releases(project: &Project) -> Value {
    let mut releases = Map::new();
    for file in &project.files {
        let files = releases.entry(file.version.to_string()).or_insert_with(|| json!([]));
        if let Some(files) = files.as_array_mut() {
            files.push(described(file));
        }
    }
    releases.into()
}

fn described(file: &Listed) -> Value {
    let (is_yanked, why) = yanked(file);
    let python = if file.is_wheel { file.name.rsplit('-').nth(2).unwrap_or_default() } else { "source" };
    json!({
        "filename": file.name,
        "url": format!("{HERE}{}", path(file)),
        "digests": { "sha256": file.blob.hex() },
        "size": file.size,
        "packagetype": if file.is_wheel { "bdist_wheel" } else { "sdist" },
        "python_version": python,
        "requires_python": file.facts.requires_python,
        "upload_time_iso_8601": file.facts.upload_time,
        "yanked": is_yanked,
        "yanked_reason": why,
    })
}

fn yanked(file: &Listed) -> (bool, Option<&str>) {
    match &file.facts.yanked {
        Yanked::Is(is) => (*is, None),
        Yanked::Because(why) => (true, Some(why)),
    }
}

/// What a release says of itself, out of the metadata of its first file that has some.
fn info(
    context: &dyn ServeContext,
    project: &Project,
    version: &Version,
    own: &[&Listed],
) -> Result<Value, Problem> {
    let metadata = match own.iter().find_map(|file| file.metadata) {
        Some(metadata) => context.read(&metadata, LARGEST_METADATA)?,
        None => bytes::Bytes::new(),
    };
    let text = String::from_utf8_lossy(&metadata);
    let all = |wanted: &str| -> Vec<&str> {
        let own = metadata::headers(&text).filter(|(key, _)| key.eq_ignore_ascii_case(wanted));
        own.map(|(_, value)| value).collect()
    };
    let one = |wanted: &str| all(wanted).first().copied();
    // An empty list says that nothing is required, and none that nobody knows.
    let requires = (!metadata.is_empty()).then(|| all("requires-dist"));
    let pythons = own.iter().find_map(|file| file.facts.requires_python.as_deref());
    let (is_yanked, why) = own.first().map(|file| yanked(file)).unwrap_or_default();
    Ok(json!({
        "name": project.spelled,
        "version": version.to_string(),
        "summary": one("summary").unwrap_or_default(),
        "requires_dist": requires,
        "requires_python": pythons.or_else(|| one("requires-python")),
        "provides_extra": all("provides-extra"),
        "license": one("license"),
        "license_expression": one("license-expression"),
        "author": one("author"),
        "author_email": one("author-email"),
        "home_page": one("home-page"),
        "keywords": one("keywords"),
        "platform": one("platform"),
        "classifiers": all("classifier"),
        "yanked": is_yanked,
        "yanked_reason": why,
    }))
}

/// The document with gaps where the address belongs.
fn with_gaps(document: &Value) -> Template {
    let mut template = Template::default();
    let text = document.to_string();
    let mark = within_quotes(&HERE.to_string());
    for (index, part) in text.split(&mark).enumerate() {
        if index > 0 {
            template.push_gap();
        }
        template.push_str(part);
    }
    template
}
