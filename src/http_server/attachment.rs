//! A JSON document with a file in it in base64, taken apart while it comes: the file goes on to where it belongs, and the rest
//! of the document, which is small, is kept. There the file is an empty text.
//!
//! Only as much of JSON is understood as finding the file takes. Whether the rest is JSON is for who reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::envelope::Malformed;

/// The most bytes that the document may have besides its file.
pub(super) const LARGEST: usize = 16 * 1024 * 1024;
/// How deep objects and lists may be in each other: as deep as serde_json reads.
const DEEPEST: usize = 127;
/// How many characters of base64 stand for bytes together.
const GROUP: usize = 4;

/// A document on its way.
#[derive(Debug)]
pub(super) struct Attachment {
    /// The members that lead to the file.
    path: &'static [&'static str],
    /// The document so far, without the file.
    document: Vec<u8>,
    /// The objects and lists that are open, the innermost last.
    open: Vec<Level>,
    state: State,
    /// Whether the file was there.
    has_file: bool,
    /// What of the file's base64 is not decoded yet: less than a group.
    rest: Vec<u8>,
    /// Whether its end was decoded.
    is_padded: bool,
}

/// An object or list that is open.
#[derive(Debug)]
struct Level {
    is_object: bool,
    /// Whether a key comes next.
    key_is_next: bool,
    /// Whether the way to it is the file's.
    is_on_path: bool,
    /// Whether the last key leads on to the file.
    leads_on: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between texts.
    Between,
    /// In a text that begins there in the document.
    Text { begin: usize, is_escaped: bool },
    /// In the file.
    File { is_escaped: bool },
}

impl Attachment {
    /// A document whose file these members lead to. A `*` at the beginning of one stands for anything before the rest.
    pub(super) fn new(path: &'static [&'static str]) -> Attachment {
        Attachment {
            path,
            document: Vec::new(),
            open: Vec::new(),
            state: State::Between,
            has_file: false,
            rest: Vec::new(),
            is_padded: false,
        }
    }

    /// Takes what came; returns the bytes of the file that are among it.
    ///
    /// # Errors
    /// If it cannot be such a document, or is one with more than it may have besides its file.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<Bytes>, Malformed> {
        let mut file = Vec::new();
        while let Some((first, others)) = bytes.split_first() {
            bytes = match self.state {
                State::Between => {
                    self.step(*first)?;
                    others
                }
                State::Text { begin, is_escaped: true } => {
                    self.document.push(*first);
                    self.state = State::Text { begin, is_escaped: false };
                    others
                }
                State::Text { begin, is_escaped: false } => self.text(begin, bytes),
                // Some write it before every slash.
                State::File { is_escaped: true } if *first == b'/' => {
                    self.decode(b"/", &mut file)?;
                    self.state = State::File { is_escaped: false };
                    others
                }
                State::File { is_escaped: true } => return Err(Malformed),
                State::File { is_escaped: false } => self.file(bytes, &mut file)?,
            };
            if self.document.len() > LARGEST {
                return Err(Malformed);
            }
        }
        Ok(file)
    }

    /// The document, if it is whole.
    pub(super) fn finish(self) -> Result<Bytes, Malformed> {
        let is_whole = self.open.is_empty() && matches!(self.state, State::Between);
        if is_whole { Ok(self.document.into()) } else { Err(Malformed) }
    }

    /// A byte that is in no text.
    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.document.push(byte);
        match byte {
            b'"' => self.state = self.begin_text()?,
            b'{' | b'[' => {
                if self.open.len() == DEEPEST {
                    return Err(Malformed);
                }
                let is_object = byte == b'{';
                let is_on_path = self.open.last().is_none_or(|outer| outer.leads_on);
                self.open.push(Level { is_object, key_is_next: is_object, is_on_path, leads_on: false });
            }
            b'}' | b']' => {
                self.open.pop().ok_or(Malformed)?;
            }
            b',' | b':' => {
                if let Some(level) = self.open.last_mut() {
                    level.key_is_next = level.is_object && byte == b',';
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_text(&mut self) -> Result<State, Malformed> {
        let is_value = |level: &Level| level.is_object && !level.key_is_next && level.leads_on;
        if self.open.len() != self.path.len() || !self.open.last().is_some_and(is_value) {
            return Ok(State::Text { begin: self.document.len() - 1, is_escaped: false });
        }
        if self.has_file {
            return Err(Malformed);
        }
        self.has_file = true;
        Ok(State::File { is_escaped: false })
    }

    /// Goes on in a text; returns what comes after it.
    fn text<'a>(&mut self, begin: usize, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr2(b'"', b'\\', bytes).map_or(bytes.len(), |end| end + 1);
        let (text, others) = bytes.split_at(end);
        self.document.extend_from_slice(text);
        match text.last() {
            Some(b'\\') => self.state = State::Text { begin, is_escaped: true },
            Some(b'"') => {
                self.state = State::Between;
                self.end_text(begin);
            }
            _ => {}
        }
        others
    }

    /// Remembers whether a key leads on to the file.
    fn end_text(&mut self, begin: usize) {
        let depth = self.open.len();
        let wanted = depth.checked_sub(1).and_then(|depth| self.path.get(depth));
        let (Some(level), Some(wanted)) = (self.open.last_mut(), wanted) else { return };
        if level.key_is_next {
            let key = self.document.get(begin..).and_then(|key| serde_json::from_slice::<String>(key).ok());
            level.leads_on = level.is_on_path && key.is_some_and(|key| is_of(&key, wanted));
        }
    }

    /// Goes on in the file; returns what comes after it.
    fn file<'a>(&mut self, bytes: &'a [u8], file: &mut Vec<Bytes>) -> Result<&'a [u8], Malformed> {
        let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (encoded, others) = bytes.split_at(end);
        self.decode(encoded, file)?;
        let Some((mark, others)) = others.split_first() else { return Ok(others) };
        if *mark == b'\\' {
            self.state = State::File { is_escaped: true };
            return Ok(others);
        }
        if !self.rest.is_empty() {
            return Err(Malformed);
        }
        self.document.push(b'"');
        self.state = State::Between;
        Ok(others)
    }

    /// Decodes as many whole groups as there are.
    fn decode(&mut self, mut encoded: &[u8], file: &mut Vec<Bytes>) -> Result<(), Malformed> {
        if !self.rest.is_empty() {
            let missing = (GROUP - self.rest.len()).min(encoded.len());
            let (first, others) = encoded.split_at(missing);
            self.rest.extend_from_slice(first);
            encoded = others;
            if self.rest.len() == GROUP {
                let group = std::mem::take(&mut self.rest);
                self.decode_groups(&group, file)?;
            }
        }
        let (groups, rest) = encoded.split_at(encoded.len() - encoded.len() % GROUP);
        self.decode_groups(groups, file)?;
        self.rest.extend_from_slice(rest);
        Ok(())
    }

    fn decode_groups(&mut self, groups: &[u8], file: &mut Vec<Bytes>) -> Result<(), Malformed> {
        let Some(last) = groups.last() else { return Ok(()) };
        if self.is_padded {
            return Err(Malformed);
        }
        self.is_padded = *last == b'=';
        file.push(STANDARD.decode(groups).map_err(|_| Malformed)?.into());
        Ok(())
    }
}

/// Whether a key is one that is wanted.
fn is_of(key: &str, wanted: &str) -> bool {
    wanted.strip_prefix('*').map_or(key == wanted, |end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const PATH: &[&str] = &["_attachments", "*.tgz", "data"];

    /// Reads a document that comes in pieces of so many bytes: what is left of it, and its file.
    fn read(body: &str, piece: usize) -> Result<(Bytes, Vec<u8>), Malformed> {
        let mut attachment = Attachment::new(PATH);
        let mut file = Vec::new();
        for piece in body.as_bytes().chunks(piece) {
            file.extend(attachment.take(piece)?.concat());
        }
        Ok((attachment.finish()?, file))
    }

    #[test]
    fn the_file_is_found_however_the_document_comes() {
        let file: Vec<u8> = (0..=255).collect();
        let encoded = STANDARD.encode(&file);
        let body = json!({
            "_id": "\"_attachments\":{\"a.tgz\":{\"data\":\"", "data": "ab", "list": [{"data": "cd"}, "_attachments"],
            "_attachments": {
                "a.sigstore": {"data": "{\"no\":\"base64\"}"},
                "a\u{e9}.tgz": {"content_type": "x", "more": {"data": "ef"}, "data": encoded, "length": 256},
            },
        });
        let mut expected = body.clone();
        expected["_attachments"]["a\u{e9}.tgz"]["data"] = json!("");
        let texts = [
            body.to_string(),
            serde_json::to_string_pretty(&body).unwrap(),
            body.to_string()
                .replace(&encoded, &encoded.replace('/', "\\/"))
                .replace("\"data\"", "\"d\\u0061ta\""),
        ];
        for text in texts {
            for piece in [1, 2, 3, 4, 5, 7, 64, 10_000] {
                let (document, found) = read(&text, piece).unwrap();
                assert_eq!(serde_json::from_slice::<Value>(&document).unwrap(), expected, "{piece}");
                assert_eq!(found, file, "{piece}");
            }
        }
    }

    #[test]
    fn a_document_needs_no_file() {
        for text in [
            "{}",
            "[1,{\"_attachments\":{\"a.tgz\":{\"data\":\"YQ==\"}}}]",
            "{\"_attachments\":{\"a.tgz\":{\"data\":7}}}",
        ] {
            let (document, file) = read(text, 3).unwrap();
            assert_eq!((&document[..], file.len()), (text.as_bytes(), 0));
        }
        let empty = "{\"_attachments\":{\"a.tgz\":{\"data\":\"\"}}}";
        assert_eq!(read(empty, 1).unwrap(), (Bytes::from_static(empty.as_bytes()), Vec::new()));
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let with = |data: &str| format!("{{\"_attachments\":{{\"a.tgz\":{{\"data\":\"{data}\"}}}}}}");
        let twice = "{\"_attachments\":{\"a.tgz\":{\"data\":\"\"},\"b.tgz\":{\"data\":\"\"}}}";
        for bad in [
            &with("YQ"),
            &with("YQ=="),
            &with("YQ==YQ=="),
            &with("YW J"),
            &with("YWJj\\n"),
            &with("!!!!"),
            twice,
            "{\"a\":1",
            "{\"a",
            "}",
            &"[".repeat(DEEPEST + 1),
            &format!("\"{}\"", "a".repeat(LARGEST)),
        ] {
            for piece in [1, 4, 1 << 20] {
                assert_eq!(read(bad, piece).is_ok(), *bad == with("YQ=="), "{:?}", &bad[..bad.len().min(60)]);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}\\[\\]\",:a\\\\]{0,60}", piece in 1_usize..8) {
            let _ = read(&text, piece);
        }
    }
}
