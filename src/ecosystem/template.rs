//! Documents that name themselves by the address that a client used, for many addresses at once.

use bytes::Bytes;

/// A document with gaps where the address stands: it is made once, and filled for each address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// Offsets into the text, ascending.
    gaps: Vec<usize>,
}

impl Template {
    /// Appends text.
    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a gap.
    pub fn push_gap(&mut self) {
        self.gaps.push(self.text.len());
    }

    /// Appends another one with its gaps.
    pub fn append(&mut self, other: &Template) {
        let start = self.text.len();
        self.gaps.extend(other.gaps.iter().map(|gap| start + gap));
        self.text.push_str(&other.text);
    }

    /// The document with `filling` in every gap, exactly as it is to stand there.
    pub fn fill(&self, filling: &str) -> Bytes {
        refill(self.text.as_bytes(), &self.gaps, 0, filling)
    }

    /// Where the gaps are, as [`refill`] takes them.
    pub fn gaps(&self) -> &[usize] {
        &self.gaps
    }
}

/// The same document with another filling, in one copy: `filled` is one whose fillings have `length` bytes, and `gaps` are
/// those of its template.
pub fn refill(filled: &[u8], gaps: &[usize], length: usize, filling: &str) -> Bytes {
    let text = filled.len().saturating_sub(gaps.len().saturating_mul(length));
    let mut document = Vec::with_capacity(text.saturating_add(gaps.len().saturating_mul(filling.len())));
    // How much of what is there was copied or left out.
    let mut done = 0;
    for (number, gap) in gaps.iter().enumerate() {
        let gap = gap.saturating_add(number.saturating_mul(length));
        document.extend_from_slice(filled.get(done..gap).unwrap_or_default());
        document.extend_from_slice(filling.as_bytes());
        done = gap.saturating_add(length);
    }
    document.extend_from_slice(filled.get(done..).unwrap_or_default());
    Bytes::from(document)
}

/// The text of an address as it stands within a JSON string.
pub fn within_quotes(address: &str) -> String {
    let quoted = serde_json::Value::from(address).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_is_filled_whatever_it_was_filled_with_before() {
        let mut inner = Template::default();
        inner.push_str("b");
        inner.push_gap();
        inner.push_str("c");
        let mut template = Template::default();
        template.push_gap();
        template.push_str("a");
        template.append(&inner);
        template.push_gap();
        for (filling, expected) in [("", "abc"), ("<1>", "<1>ab<1>c<1>"), ("-", "-ab-c-")] {
            let filled = template.fill(filling);
            assert_eq!(filled, expected);
            for other in ["", "<1>", "longer"] {
                let again = refill(&filled, &template.gaps, filling.len(), other);
                assert_eq!(again, template.fill(other), "{filling} to {other}");
            }
        }
        assert_eq!(Template::default().fill("x"), "");
    }
}
