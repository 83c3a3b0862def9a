//! Whatever comes from outside is read or refused, and what was read is written so that it is read again.

use proptest::prelude::*;

use super::attestations::Provenance;
use super::file_name::FileName;
use super::inputs::requirements::Requirements;
use super::inputs::uv_settings::UvSettings;
use super::inputs::{pdm_lock, pipfile_lock, poetry_lock, pylock, pyproject, uv_lock};
use super::marker::{Chosen, Marker};
use super::metadata::Metadata;
use super::requirement::Requirement;
use super::specifier::Specifiers;
use super::target::Target;
use super::version::Version;

/// Words that lead far into the readers, mixed with any others.
fn words() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "1",
        ".",
        "-",
        "_",
        "!",
        "+",
        "*",
        "0",
        "1.0",
        "rc",
        "post",
        "dev",
        ">=",
        "==",
        "<",
        "~=",
        "!=",
        "===",
        ",",
        " ",
        ";",
        "(",
        ")",
        "[",
        "]",
        "'",
        "\"",
        "@",
        "://",
        "#",
        "\\",
        "\n",
        "\t",
        ":",
        "$",
        "{",
        "}",
        "=",
        "python_version",
        "extra",
        "and",
        "or",
        "not",
        "in",
        ".whl",
        ".tar.gz",
        "py3",
        "none",
        "any",
        "cp312",
        "manylinux_2_28_x86_64",
        "linux",
        "x86_64",
        "Name",
        "Version",
        "Requires-Dist",
        "--hash",
        "sha256",
        "-r",
        "é",
        "18446744073709551615",
        "package",
        "name",
        "version",
        "files",
        "[[package]]",
        "source",
        "lock-version",
    ];
    let piece =
        prop_oneof![9 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => any::<String>()];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_words_break_a_reader(text in words()) {
        let target = Target::parse("cp312-linux-x86_64").unwrap();
        if let Some(version) = Version::parse(&text) {
            let again = Version::parse(&version.to_string()).unwrap();
            prop_assert_eq!(&again, &version);
            prop_assert!(version < version.after_locals() && version.first_development() <= version);
        }
        if let Ok(specifiers) = Specifiers::parse(&text) {
            let again = Specifiers::parse(&specifiers.to_string()).unwrap();
            prop_assert_eq!(again.ranges(), specifiers.ranges());
        }
        if let Ok(marker) = Marker::parse(&text) {
            let again = Marker::parse(&marker.to_string()).unwrap();
            let holds = |marker: &Marker| marker.holds(&target.environment, Chosen::default());
            prop_assert_eq!(holds(&again), holds(&marker));
        }
        if let Ok(requirement) = Requirement::parse(&text) {
            let again = Requirement::parse(&requirement.to_string());
            prop_assert_eq!(again.map(|again| again.name), Ok(requirement.name));
        }
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.name).unwrap().name, target.name);
        }
        let _ = FileName::with_project(&text);
        let _ = FileName::with_project(&format!("{text}.whl"));
        let _ = Metadata::parse(text.as_bytes());
        let _ = Requirements::parse(&text, "requirements.txt", &|_| None);
        let _ = pyproject::Pyproject::parse(&text, "pyproject.toml");
        let _ = UvSettings::parse(&text, "uv.toml");
        let _ = Provenance::read(text.as_bytes());
        for parse in [pylock::parse, uv_lock::parse, poetry_lock::parse, pdm_lock::parse, pipfile_lock::parse] {
            let _ = parse(&text, "lock");
        }
    }
}
