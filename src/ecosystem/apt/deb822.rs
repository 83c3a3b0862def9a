//! Reading control data (deb822) without changing a byte of it: stanzas of `Name: value` fields, with blank lines between.
//!
//! Nothing is unfolded, decoded or copied into maps: an index has 60,000 stanzas, of which a few hundred are wanted, and
//! those are carried as upstream wrote them.

use std::io::{self, Read};

use memchr::memchr;

/// The most bytes that one stanza may have: 4 MiB. The longest of Debian's, the kernel's source, has 0.3.
const LARGEST_STANZA: usize = 4 << 20;
/// How much is read at once, in bytes.
const BLOCK: usize = 128 << 10;

/// One stanza, as it stands in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stanza<'a> {
    /// Its bytes, without the newline that ends its last line and without the blank line after it.
    pub(super) raw: &'a [u8],
    /// Where it begins in its document, in bytes.
    pub(super) offset: u64,
}

impl<'a> Stanza<'a> {
    /// A document that consists of one stanza, such as a `Release`: all of it, up to the first blank line.
    pub(super) fn only(document: &'a [u8]) -> Stanza<'a> {
        let start = blank_lines(document);
        let rest = &document[start..];
        let end = end_of(rest, 0, true).unwrap_or(rest.len());
        Stanza { raw: &rest[..end], offset: start as u64 }
    }

    /// The value of a field, whose name is compared without regard to case: without the white space around it, and with
    /// the line breaks and indents within it. Of several fields of one name it is the first; see [`Stanza::defect`].
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The same as text; `None` where it is absent or not UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.field(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Its fields in order, each with its value as [`Stanza::field`] gives it. Lines that are no field are left out.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        entries(self.raw).filter_map(|entry| {
            let colon = memchr(b':', entry)?;
            let name = &entry[..colon];
            is_name(name).then(|| (name, entry[colon + 1..].trim_ascii()))
        })
    }

    /// What is wrong with it, if a client might read it differently than we do: lines that are no field, two fields of
    /// one name, bytes that are not UTF-8, control characters.
    pub(super) fn defect(&self) -> Option<String> {
        let Ok(text) = std::str::from_utf8(self.raw) else { return Some("it is not UTF-8".to_owned()) };
        if let Some(character) = text.chars().find(|one| one.is_control() && !matches!(one, '\n' | '\t')) {
            return Some(format!("it has the control character {}", character.escape_unicode()));
        }
        let mut names: Vec<String> = Vec::new();
        for entry in entries(self.raw) {
            let line = entry.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).escape_debug().to_string();
            let Some(colon) = memchr(b':', line).filter(|colon| is_name(&line[..*colon])) else {
                return Some(format!("the line {shown:?} is no field"));
            };
            names.push(String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase());
        }
        names.sort_unstable();
        let twice = names.windows(2).find(|two| two[0] == two[1])?;
        Some(format!("the field {:?} is there twice", twice[0]))
    }
}

/// What may be a field's name: printable ASCII without a colon, beginning with neither `#` nor `-`.
fn is_name(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic) && !matches!(name.first(), None | Some(b'#' | b'-'))
}

/// A stanza's lines, each with the indented ones that continue it.
fn entries(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            match memchr(b'\n', &rest[end..]) {
                None => end = rest.len(),
                Some(newline) => {
                    end += newline;
                    if matches!(rest.get(end + 1), Some(b' ' | b'\t')) {
                        end += 1;
                        continue;
                    }
                }
            }
            let (entry, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            return Some(entry);
        }
    })
}

/// The stanzas of a document that may be larger than memory.
pub(super) struct Stanzas<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of the buffer has not been handed out: the bytes from `start` to `end`.
    start: usize,
    end: usize,
    /// Where `start` is in the document.
    offset: u64,
    finished: bool,
}

impl<R: Read> Stanzas<R> {
    pub(super) fn new(reader: R) -> Stanzas<R> {
        Stanzas { reader, buffer: vec![0; BLOCK], start: 0, end: 0, offset: 0, finished: false }
    }

    /// The next stanza; `None` at the document's end.
    ///
    /// # Errors
    /// Those of the reader; `InvalidData` if a stanza is longer than 4 MiB.
    pub(super) fn next(&mut self) -> io::Result<Option<Stanza<'_>>> {
        let length = loop {
            let blank = blank_lines(&self.buffer[self.start..self.end]);
            self.skip(blank);
            // A lone `\r` may be the beginning of a blank line whose rest was not read yet.
            if !self.finished && self.end - self.start < 2 {
                self.read_on()?;
                continue;
            }
            if self.start == self.end {
                return Ok(None);
            }
            break self.length_of_stanza()?;
        };
        let (start, offset) = (self.start, self.offset);
        self.skip(length);
        Ok(Some(Stanza { raw: &self.buffer[start..start + length], offset }))
    }

    fn skip(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// How many bytes the stanza has that begins here; all of it is in the buffer then.
    fn length_of_stanza(&mut self) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let seen = &self.buffer[self.start..self.end];
            if let Some(length) = end_of(seen, searched, self.finished) {
                return Ok(length);
            }
            // The last two bytes may be the beginning of what ends it.
            searched = seen.len().saturating_sub(2);
            if seen.len() > LARGEST_STANZA {
                let message = format!("a stanza is longer than {LARGEST_STANZA} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.read_on()?;
        }
    }

    /// Reads a block more, behind what has not been handed out.
    fn read_on(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() - self.end < BLOCK / 2 {
            self.buffer.resize(self.end + BLOCK, 0);
        }
        let read = loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        self.finished = read == 0;
        Ok(())
    }
}

/// How many bytes of blank lines come first. As in apt, a line with spaces alone is not blank but goes on the one before.
fn blank_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

/// Where the stanza ends that begins with these bytes: before the newline that a blank line follows. `from` bytes were
/// searched before. Unless these are all bytes there are, `None` says that more of them have to be seen.
fn end_of(bytes: &[u8], from: usize, all: bool) -> Option<usize> {
    let mut at = from;
    while let Some(newline) = memchr(b'\n', &bytes[at..]) {
        at += newline;
        match &bytes[at + 1..] {
            [b'\n', ..] | [b'\r', b'\n', ..] => return Some(at),
            [] | [b'\r'] if all => return Some(at),
            [] | [b'\r'] => return None,
            _ => at += 1,
        }
    }
    all.then_some(bytes.len())
}

/// A configuration file without its comments, which are lines that begin with `#`. Indices have none.
pub(super) fn without_comments(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let some = self.1.min(self.0.len()).min(into.len());
            into[..some].copy_from_slice(&self.0[..some]);
            self.0 = &self.0[some..];
            Ok(some)
        }
    }

    fn read(document: &[u8], at_once: usize) -> Vec<(String, u64)> {
        let mut stanzas = Stanzas::new(Dribble(document, at_once));
        let mut found = Vec::new();
        while let Some(stanza) = stanzas.next().unwrap() {
            found.push((String::from_utf8(stanza.raw.to_vec()).unwrap(), stanza.offset));
        }
        found
    }

    #[test]
    fn stanzas_are_cut_at_blank_lines_however_they_arrive() {
        let document = b"\n\nPackage: a\nDepends: b,\n c\n \n d\n\n\r\n\nPackage: e\r\n\r\nPackage: f\n";
        let expected = vec![
            ("Package: a\nDepends: b,\n c\n \n d".to_owned(), 2),
            ("Package: e\r".to_owned(), 37),
            ("Package: f".to_owned(), 51),
        ];
        for at_once in [1, 2, 3, 7, 1000] {
            let found = read(document, at_once);
            assert_eq!(found, expected, "{at_once} bytes at a time");
            for (raw, offset) in found {
                assert!(document[usize::try_from(offset).unwrap()..].starts_with(raw.as_bytes()));
            }
        }
        for nothing in [&b""[..], b"\n", b"\n\r\n\n"] {
            assert_eq!(read(nothing, 1), []);
        }
        for end in [&b"A: b"[..], b"A: b\n", b"A: b\n\n"] {
            assert_eq!(read(end, 1), [("A: b".to_owned(), 0)]);
        }
    }

    #[test]
    fn stanzas_longer_than_a_block_are_whole_and_endless_ones_refused() {
        let long = format!("A: {}\nB: c\n\nD: e\n", "x".repeat(3 * BLOCK));
        let found = read(long.as_bytes(), usize::MAX);
        assert_eq!(found[0].0.len(), 3 * BLOCK + 8);
        assert_eq!(found[1], ("D: e".to_owned(), 3 * BLOCK as u64 + 10));
        let endless = io::repeat(b'x');
        let error = Stanzas::new(endless).next().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn fields_are_found_with_all_their_lines() {
        let document =
            b"Package: a\nnotes:first\nDescription: short\n long\n .\n more: words \nEmpty:\nLast: z \n";
        let stanza = Stanza::only(document);
        assert_eq!(stanza.text("package"), Some("a"));
        assert_eq!(stanza.text("Notes"), Some("first"));
        assert_eq!(stanza.text("Description"), Some("short\n long\n .\n more: words"));
        assert_eq!(stanza.text("Empty"), Some(""));
        assert_eq!(stanza.text("Last"), Some("z"));
        assert_eq!(stanza.text("more"), None);
        assert_eq!(stanza.fields().count(), 5);
        assert_eq!(stanza.defect(), None);
    }

    #[test]
    fn what_clients_might_read_differently_is_named() {
        for (document, defect) in [
            (&b"Package: a\nPackage: b"[..], "\"package\" is there twice"),
            (b"Package: a\npackage: b", "\"package\" is there twice"),
            (b"Package: a\nno colon", "is no field"),
            (b" begins: within", "is no field"),
            (b"-----BEGIN: x", "is no field"),
            (b"Package: \xff", "not UTF-8"),
            (b"Package: a\x1b[2J", "control character"),
            (b"Package: a\r", "control character"),
        ] {
            let found = Stanza::only(document).defect();
            assert!(found.as_ref().is_some_and(|found| found.contains(defect)), "{defect}: {found:?}");
        }
    }

    #[test]
    fn comments_are_for_configuration_alone() {
        assert_eq!(without_comments("# a\nTypes: deb\n#URIs: x\n # kept\n"), "Types: deb\n # kept\n");
        assert_eq!(Stanza::only(b"#A: b\nC: d").text("#A"), None);
    }
}
