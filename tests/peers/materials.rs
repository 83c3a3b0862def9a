//! Bills of materials are held to the schemas by the libraries of those who wrote them.

use std::fs;

use super::command::{bounded, run};
use super::outside::{self, Lockfile};

/// Fails with the first thing that is wrong, if anything is.
const VALIDATE: &str = r#"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
with open("bundle.cdx.json") as document:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.read())
assert error is None, error
document = parse_file("bundle.spdx.json")
messages = [message.validation_message for message in validate_full_spdx_document(document)]
assert not messages, messages
print(len(document.packages))
"#;

#[test]
fn bills_of_materials_are_valid() {
    let directory = tempfile::tempdir_in(outside::directory()).unwrap();
    let bundle = outside::collected(Lockfile::Bare).bundle();
    for (format, name) in [("cyclonedx", "bundle.cdx.json"), ("spdx", "bundle.spdx.json")] {
        let document = run(outside::aftk_behind(&[]).args(["inspect", "--format", format]).arg(&bundle));
        fs::write(directory.path().join(name), document.succeeded().stdout).unwrap();
    }
    run(bounded(&[], "python3").args(["-m", "venv", "tools"]).current_dir(directory.path())).succeeded();
    let tools = directory.path().join("tools/bin");
    let wanted = ["install", "--quiet", "cyclonedx-python-lib[json-validation]", "spdx-tools"];
    run(bounded(&[], tools.join("pip")).args(wanted)).succeeded();
    let mut python = bounded(&[], tools.join("python"));
    let counted = run(python.args(["-c", VALIDATE]).current_dir(directory.path())).succeeded().stdout;
    assert!(counted.trim().parse::<u64>().unwrap() > 0, "{counted}");
}
