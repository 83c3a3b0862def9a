//! What bundles list as comma-separated values (RFC 4180), a line for each file.

use crate::cli::output::{self, printable};
use crate::ops::inspect::Inspected;
use crate::problem::Problem;

/// The columns.
const TITLES: &str =
    "channel,sequence,package,licence,repository,role,path,size,sha256,upstream checksums,origin";

/// Prints all bundles below one line of titles.
pub(super) fn print(bundles: &[Inspected]) -> Result<(), Problem> {
    output::line(TITLES);
    for bundle in bundles {
        for artifact in bundle.artifacts.iter() {
            let artifact = artifact?;
            for file in &artifact.files {
                let checksums: Vec<String> = file.checksums.iter().map(ToString::to_string).collect();
                let cells = [
                    bundle.which.channel.as_str(),
                    &bundle.which.sequence.to_string(),
                    &artifact.named.purl,
                    artifact.named.licence.as_deref().unwrap_or_default(),
                    &artifact.named.repository,
                    &file.role,
                    &file.path,
                    &file.size.to_string(),
                    &file.blob.hex(),
                    &checksums.join(" "),
                    &file.origin,
                ];
                output::line(&cells.map(cell).join(","));
            }
        }
    }
    Ok(())
}

/// A cell: quoted where it has to be, and never a formula. Spreadsheets run those, and what stands here was written by
/// strangers.
fn cell(text: &str) -> String {
    let text = printable(text);
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text };
    if text.contains([',', '"']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("@scope/name", "'@scope/name"),
            ("a\nb\u{1b}[1m", "a b\u{fffd}[1m"),
            ("\t=1", "\u{fffd}=1"),
            (" x", "\" x\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
