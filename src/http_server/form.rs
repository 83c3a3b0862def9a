//! A form with a file in it (RFC 7578), taken apart while it comes: the file goes on to where it belongs, and the other parts,
//! which are small, are kept.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

use super::envelope::Malformed;

/// The most bytes that all of a form may have besides its file: a whole README stands in one of its parts.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;
/// The most bytes of what is said of a part before it begins.
const LARGEST_HEAD: usize = 16 * 1024;
/// The longest boundary in bytes (RFC 2046 allows 70).
const LONGEST_BOUNDARY: usize = 200;

/// A form on its way.
#[derive(Debug)]
pub(super) struct Form {
    /// The name of the part that is the file.
    file: &'static str,
    /// What ends a part.
    delimiter: Vec<u8>,
    /// What is not understood yet.
    rest: BytesMut,
    state: State,
    /// The parts that are whole. The value of the file is its name.
    parts: Vec<(String, String)>,
    /// How many bytes there were besides the file's.
    kept: usize,
}

#[derive(Debug)]
enum State {
    /// Before the first part; nobody reads what stands there.
    Before,
    /// Behind a delimiter.
    Between,
    /// In what is said of a part.
    Head,
    /// In a part that is kept.
    Part { name: String, value: BytesMut },
    /// In the file.
    File,
    /// Behind the last part.
    After,
}

impl Form {
    /// A form that a request with these headers brings; `None`, if they speak of none.
    pub(super) fn of(headers: &HeaderMap, file: &'static str) -> Option<Form> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (kind, parameters) = text.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|one| value_of(one, "boundary"))?;
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
            return None;
        }
        Some(Form {
            file,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // So the first delimiter is one like the others.
            rest: BytesMut::from(&b"\r\n"[..]),
            state: State::Before,
            parts: Vec::new(),
            kept: 0,
        })
    }

    /// Takes what came; returns the bytes of the file that are among it.
    ///
    /// # Errors
    /// If it is no form, or one with more than the file may have besides.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, Malformed> {
        self.rest.extend_from_slice(bytes);
        let mut file = Vec::new();
        while self.step(&mut file)? {}
        Ok(file)
    }

    /// Whether it is whole, and then all its parts.
    pub(super) fn finish(self) -> Result<Vec<(String, String)>, Malformed> {
        if matches!(self.state, State::After) { Ok(self.parts) } else { Err(Malformed) }
    }

    /// Goes on as far as is clear; says whether more is.
    fn step(&mut self, file: &mut Vec<Bytes>) -> Result<bool, Malformed> {
        match &mut self.state {
            State::After => {
                self.rest.clear();
                Ok(false)
            }
            State::Between => {
                let padding = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let Some(end) = self.rest.get(padding..padding + 2) else {
                    return if padding > LARGEST_HEAD { Err(Malformed) } else { Ok(false) };
                };
                self.state = match end {
                    b"--" => State::After,
                    b"\r\n" => State::Head,
                    _ => return Err(Malformed),
                };
                self.rest.advance(padding + 2);
                Ok(true)
            }
            State::Head => {
                let Some(end) = memmem::find(&self.rest, b"\r\n\r\n") else {
                    return if self.rest.len() > LARGEST_HEAD { Err(Malformed) } else { Ok(false) };
                };
                let head = self.rest.split_to(end + 4);
                self.keep(head.len())?;
                self.begin(&head)?;
                Ok(true)
            }
            State::Before | State::Part { .. } | State::File => {
                let found = memmem::find(&self.rest, &self.delimiter);
                // The delimiter may have come in part.
                let end = found.unwrap_or((self.rest.len() + 1).saturating_sub(self.delimiter.len()));
                let bytes = self.rest.split_to(end);
                match &mut self.state {
                    State::File if bytes.is_empty() => {}
                    State::File => file.push(bytes.freeze()),
                    State::Part { value, .. } => {
                        value.extend_from_slice(&bytes);
                        self.keep(bytes.len())?;
                    }
                    _ => self.keep(bytes.len())?,
                }
                if found.is_none() {
                    return Ok(false);
                }
                self.rest.advance(self.delimiter.len());
                if let State::Part { name, value } = std::mem::replace(&mut self.state, State::Between) {
                    self.parts.push((name, String::from_utf8_lossy(&value).into_owned()));
                }
                Ok(true)
            }
        }
    }

    fn keep(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.kept += bytes;
        if self.kept > LARGEST { Err(Malformed) } else { Ok(()) }
    }

    /// Begins the part of this head.
    fn begin(&mut self, head: &[u8]) -> Result<(), Malformed> {
        let head = std::str::from_utf8(head).map_err(|_| Malformed)?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let disposition = disposition.ok_or(Malformed)?;
        let parameter = |name| parameters(disposition).find_map(|one| value_of(one, name));
        let name = parameter("name").ok_or(Malformed)?;
        if name != self.file {
            self.state = State::Part { name, value: BytesMut::new() };
            return Ok(());
        }
        if self.parts.iter().any(|(other, _)| *other == name) {
            return Err(Malformed);
        }
        self.parts.push((name, parameter("filename").unwrap_or_default()));
        self.state = State::File;
        Ok(())
    }
}

/// The parameters of a header, which may have a `;` in their quotes.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |one: char| {
        is_quoted ^= one == '"';
        one == ';' && !is_quoted
    })
}

/// The value of a parameter, if it is called so.
fn value_of(parameter: &str, name: &str) -> Option<String> {
    let (key, value) = parameter.split_once('=')?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    key.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn form(content_type: &str) -> Option<Form> {
        let headers = [(CONTENT_TYPE, HeaderValue::try_from(content_type).unwrap())];
        Form::of(&headers.into_iter().collect(), "content")
    }

    /// The parts of a form and its file.
    type Read = (Vec<(String, String)>, Vec<u8>);

    /// Reads a form that comes in pieces of so many bytes.
    fn read(body: &[u8], piece: usize) -> Result<Read, Malformed> {
        let mut form = form("multipart/form-data; boundary=\"x y\"").unwrap();
        let mut file = Vec::new();
        for piece in body.chunks(piece) {
            file.extend(form.take(piece)?.concat());
        }
        Ok((form.finish()?, file))
    }

    const BODY: &[u8] = b"before\r\n--x y  \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\n--x y\r\n\
        X: y\r\ncontent-disposition: form-data; filename=\"f;1.whl\"; name=content\r\n\r\n\r\n--x\0\r\n--x y\r\n\
        Content-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--x y--\r\nafter\r\n--x y\r\n";

    #[test]
    fn a_form_is_read_however_it_comes() {
        let parts = [("a", "1\r\n--x"), ("content", "f;1.whl"), ("a", "")];
        let parts: Vec<_> = parts.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for piece in 1..BODY.len() + 1 {
            assert_eq!(read(BODY, piece), Ok((parts.clone(), b"\r\n--x\0".to_vec())), "{piece}");
        }
    }

    #[test]
    fn a_file_goes_on_at_once() {
        let mut form = form("multipart/form-data; boundary=x").unwrap();
        form.take(b"--x\r\nContent-Disposition: form-data; name=content\r\n\r\n").unwrap();
        let passed: usize = form.take(&[7; 100_000]).unwrap().iter().map(Bytes::len).sum();
        assert_eq!(passed, 100_000 + 1 - "\r\n--x".len());
        assert!(form.rest.len() < 10);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for cut in 0..BODY.len() - b"\r\nafter\r\n--x y\r\n".len() {
            assert_eq!(read(&BODY[..cut], 7).map(|_| ()), Err(Malformed), "{cut}");
        }
        let endless = vec![b'x'; LARGEST + 100];
        let head = [&b"--x y\r\nContent-Disposition: form-data; name=a\r\n\r\n"[..], &endless].concat();
        let twice = b"--x y\r\nContent-Disposition: a; name=content\r\n\r\n\r\n--x y\r\n\
            Content-Disposition: a; name=content\r\n\r\n\r\n--x y--";
        let padding = [&b"--x y"[..], &vec![b' '; LARGEST_HEAD + 10]].concat();
        for body in [&endless[..], &[b"--x y\r\n", &endless[..]].concat(), &head, twice, b"--x yz", &padding]
        {
            assert_eq!(read(body, 1000).map(|_| ()), Err(Malformed));
        }
        for head in ["X: y", "Content-Disposition: form-data", "Content-Disposition: form-data; filename=x"] {
            let body = format!("--x y\r\n{head}\r\n\r\n\r\n--x y--\r\n");
            assert_eq!(read(body.as_bytes(), 9).map(|_| ()), Err(Malformed), "{head}");
        }
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=x",
            "application/x-www-form-urlencoded",
        ] {
            assert!(form(kind).is_none(), "{kind}");
        }
    }
}
