//! Patterns: what a selector says of the artifacts of one ecosystem, `@org/*` in `npm:@org/*`.

use bundle_format::Artifact;

/// What a pattern says of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// It is not selected.
    No,
    /// It is selected, and with it every ref that leads to it.
    Yes,
    /// It is selected if a ref whose label matches this leads to it, and then by such refs alone.
    ByLabel(&'a str),
}

/// What stands after the colon of a selector, as its ecosystem read it.
pub trait Pattern: Send + Sync {
    /// Whether it selects an artifact.
    fn choose(&self, artifact: &Artifact) -> Choice<'_>;
}

/// A pattern of names, or of names with their versions: `left-pad`, `@org/*`, `left-pad@1.3.0`.
pub fn names(pattern: &str) -> Box<dyn Pattern> {
    Box::new(Names(pattern.to_owned()))
}

struct Names(String);

impl Pattern for Names {
    fn choose(&self, artifact: &Artifact) -> Choice<'_> {
        let is_selected = matches(&self.0, &artifact.name)
            || matches(&self.0, &format!("{}@{}", artifact.name, artifact.version));
        if is_selected { Choice::Yes } else { Choice::No }
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any run of characters and `?` for one byte. Linear in memory, and at
/// most quadratic in time whatever the pattern is: it goes back to the last star only.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            // Back to the last star, which takes one more character.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run_and_question_marks_for_one() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("@org/*", "@org/x", true),
            ("@org/*", "@other/x", false),
            ("*lodash*", "my-lodash-es", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("", "a", false),
            ("1.*", "11.2", false),
            ("1.?", "1.2", true),
            ("1.?", "1.22", false),
            ("*-alpine", "3.1-alpine-x", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        // A naive matcher takes longer than anybody waits here.
        assert!(!matches(&format!("{}b", "a*".repeat(200)), &"a".repeat(2000)));
    }
}
