//! Where files of a bundle are said to be from.

use url::Url;

/// Whether what a record says of a file's origin may be kept: it is shown to people and asked again one day, so it must be
/// printable and hold no secret.
///
/// # Errors
/// What is wrong with it.
pub fn check(origin: &str) -> Result<(), &'static str> {
    if origin.len() > 4096 || origin.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a file's origin is no address");
    }
    match Url::parse(origin) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("a file's origin has credentials in it")
        }
        _ => Ok(()),
    }
}
