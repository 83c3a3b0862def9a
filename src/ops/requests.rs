//! From what a person wrote to requests.

use std::path::Path;

use crate::ecosystem::{Collect, CollectContext, Ecosystem, Request, registry};
use crate::problem::{Kind, Problem};

/// Whether a request is one that can be read, by its words alone.
///
/// # Errors
/// As [`parse`].
pub fn check(text: &str) -> Result<(), Problem> {
    let (collect, word, what) = find(text)?;
    collect.check(word, what)
}

/// Finds the ecosystem of a request and lets it read the rest. No network.
///
/// # Errors
/// A usage problem that names what could have been meant.
pub async fn parse(text: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let (collect, word, what) = find(text)?;
    let mut request = collect.parse(word, what, context).await?;
    request.text = text.to_owned();
    Ok(request)
}

/// What collects for a request, and what it has to read.
fn find(text: &str) -> Result<(&'static dyn Collect, &str, &str), Problem> {
    let (ecosystem, word, what) = split(text)?;
    let collect = ecosystem.collect().ok_or_else(|| {
        let message = format!("{} cannot be collected by this version", ecosystem.name());
        Problem::new(Kind::Usage, "request.not-collected", message).at(text)
    })?;
    Ok((collect, word, what))
}

/// The ecosystem of a request's text, and what it has to read.
fn split(text: &str) -> Result<(&'static dyn Ecosystem, &str, &str), Problem> {
    let file_name = Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let by_name = registry::ECOSYSTEMS.iter().copied().find(|ecosystem| ecosystem.is_lockfile(file_name));
    if let (true, Some(ecosystem)) = (is_path || !text.contains(':'), by_name) {
        return Ok((ecosystem, ecosystem.words().first().copied().unwrap_or_default(), text));
    }
    let usage = |message: String| Problem::new(Kind::Usage, "request.unknown", message).at(text);
    if is_path {
        return Err(usage("this is not a lockfile that aftk knows by its name".to_owned())
            .hint(format!("to carry the file as it is: file:{text}")));
    }
    let Some((name, what)) = text.split_once(':') else {
        return Err(usage("a request is `ecosystem:what` or a path to a lockfile".to_owned())
            .hint(format!("this version knows: {}", known())));
    };
    let Some(ecosystem) = registry::of_word(name) else {
        return Err(usage(format!("no ecosystem is called {name:?}"))
            .hint(format!("this version knows: {}", known())));
    };
    if what.is_empty() {
        return Err(usage(format!("nothing stands behind `{name}:`")));
    }
    Ok((ecosystem, name, what))
}

fn known() -> String {
    registry::ECOSYSTEMS
        .iter()
        .flat_map(|ecosystem| ecosystem.words())
        .copied()
        .collect::<Vec<_>>()
        .join(", ")
}
