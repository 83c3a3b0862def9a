//! Writes a value canonically while serde walks over it: no tree of it is built.
//!
//! serde_json walks, and escapes as the canonical form does. What is left are numbers, depth, and the order of keys:
//! the fields of an object are written as they come, and put in order at its end.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::scanner::Text;
use super::{CanonicalError, MAX_DEPTH, MAX_INTEGER};

/// The canonical bytes of `value`.
///
/// Fails on numbers that are not integers of at most 2^53−1, on a key that stands twice, and beyond [`MAX_DEPTH`].
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut writer = Writer { out: Vec::with_capacity(1024), ..Writer::default() };
    // Everything goes to the writer's own bytes. What would go elsewhere fails: here is no room for any.
    let mut nowhere: &mut [u8] = &mut [];
    value
        .serialize(&mut Serializer::with_formatter(&mut nowhere, &mut writer))
        .map_err(|e| CanonicalError::Unwritable(e.to_string()))?;
    Ok(writer.out)
}

/// What is written so far.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// The fields of all objects that are open, those of the innermost last.
    fields: Vec<Field>,
    /// For each open object, how many fields stood before its own.
    objects: Vec<usize>,
    /// How many arrays and objects are open.
    depth: usize,
    /// Where fields are put in order; kept for the next object.
    sorted: Vec<u8>,
}

/// Where in the output a field stands, `"key":value`, and how long its key is with the quotes.
#[derive(Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    key: usize,
}

impl Field {
    fn bytes(self, out: &[u8]) -> &[u8] {
        out.get(self.start..self.end).unwrap_or_default()
    }

    fn key(self, out: &[u8]) -> Text<'_> {
        let quoted = out.get(self.start..self.start + self.key).unwrap_or_default();
        Text::new(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
    }
}

fn unwritable<T>(reason: String) -> io::Result<T> {
    Err(io::Error::other(reason))
}

impl Writer {
    fn open(&mut self, bracket: u8) {
        self.depth += 1;
        self.out.push(bracket);
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.out.push(bracket);
    }

    fn separate(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
    }

    /// A value begins within an array or an object.
    fn enter(&self) -> io::Result<()> {
        if self.depth > MAX_DEPTH { unwritable(format!("deeper than {MAX_DEPTH} levels")) } else { Ok(()) }
    }

    fn number(&mut self, value: Option<i64>, text: impl std::fmt::Display) -> io::Result<()> {
        match value.filter(|value| value.unsigned_abs() <= MAX_INTEGER) {
            Some(value) => CompactFormatter.write_i64(&mut self.out, value),
            None => unwritable(format!("{text} is not an integer of at most 2^53-1")),
        }
    }

    /// Puts the fields of the innermost object in order.
    fn sort(&mut self) -> io::Result<()> {
        let before = self.objects.pop().unwrap_or_default();
        let Writer { out, fields, sorted, .. } = self;
        let own = fields.get_mut(before..).unwrap_or_default();
        let start = own.first().map_or(out.len(), |field| field.start);
        if !own.is_sorted_by(|a, b| a.key(out) < b.key(out)) {
            own.sort_unstable_by(|a, b| a.key(out).cmp(&b.key(out)));
            if !own.is_sorted_by(|a, b| a.key(out) < b.key(out)) {
                return unwritable("a key stands twice".to_owned());
            }
            sorted.clear();
            for field in own {
                sorted.extend_from_slice(field.bytes(out));
                sorted.push(b',');
            }
            sorted.pop();
            out.truncate(start);
            out.extend_from_slice(sorted);
        }
        fields.truncate(before);
        Ok(())
    }
}

/// Each whole number is written like the others, whatever its type.
macro_rules! whole_numbers {
    ($($write:ident: $type:ty),*) => {
        $(fn $write<W: ?Sized + Write>(&mut self, _: &mut W, value: $type) -> io::Result<()> {
            self.number(i64::try_from(value).ok(), value)
        })*
    };
}

impl Formatter for &mut Writer {
    whole_numbers! {
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128,
        write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128
    }

    fn write_f32<W: ?Sized + Write>(&mut self, _: &mut W, value: f32) -> io::Result<()> {
        self.number(None, value)
    }

    fn write_f64<W: ?Sized + Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        self.number(None, value)
    }

    fn write_null<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.write_null(&mut self.out)
    }

    fn write_bool<W: ?Sized + Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        CompactFormatter.write_bool(&mut self.out, value)
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.begin_string(&mut self.out)
    }

    fn end_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.end_string(&mut self.out)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, text: &str) -> io::Result<()> {
        CompactFormatter.write_string_fragment(&mut self.out, text)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        CompactFormatter.write_char_escape(&mut self.out, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open(b'[');
        Ok(())
    }

    fn end_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.close(b']');
        Ok(())
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.separate(first);
        self.enter()
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.objects.push(self.fields.len());
        self.open(b'{');
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.sort()?;
        self.close(b'}');
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.separate(first);
        let start = self.out.len();
        self.fields.push(Field { start, end: start, key: 0 });
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.out.len();
        if let Some(field) = self.fields.last_mut() {
            field.key = end - field.start;
        }
        self.out.push(b':');
        self.enter()
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.out.len();
        if let Some(field) = self.fields.last_mut() {
            field.end = end;
        }
        Ok(())
    }
}
