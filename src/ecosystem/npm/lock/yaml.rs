//! YAML as lockfiles use it: mappings in mappings, and texts. It is read as it comes, and never held as a whole.

use saphyr_parser::{Event, Parser, ScanError, Span};

use super::read::Damage;

type Events<'a> = Box<dyn Iterator<Item = Result<(Event<'a>, Span), ScanError>> + 'a>;

/// A YAML document that is being read.
pub(super) struct Yaml<'a> {
    events: std::iter::Peekable<Events<'a>>,
    line: usize,
}

impl<'a> Yaml<'a> {
    pub(super) fn new(text: &'a str) -> Yaml<'a> {
        let events: Events<'a> = Box::new(Parser::new_from_str(text));
        Yaml { events: events.peekable(), line: 1 }
    }

    /// The line that was read last, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Something is wrong here.
    pub(super) fn damage(&self, message: impl Into<String>) -> Damage {
        Damage::new(self.line, message)
    }

    fn next(&mut self) -> Result<Event<'a>, Damage> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => {
                Err(Damage::new(error.marker().line(), format!("the lockfile is not YAML: {}", error.info())))
            }
            None => Err(self.damage("the lockfile is cut off")),
        }
    }

    /// Goes on to the next document; false if there is none.
    pub(super) fn document(&mut self) -> Result<bool, Damage> {
        while self.events.peek().is_some() {
            match self.next()? {
                Event::DocumentStart(_) => return Ok(true),
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {}
                _ => return Err(self.damage("the lockfile has something that is no part of one")),
            }
        }
        Ok(false)
    }

    /// Gives each key of the mapping that comes next to `take`, which has to read its value. Nothing at all counts as an
    /// empty one.
    pub(super) fn mapping(
        &mut self,
        mut take: impl FnMut(&mut Yaml<'a>, &str) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        match self.next()? {
            Event::MappingStart(..) => {}
            Event::Scalar(text, ..) if matches!(&*text, "" | "~" | "null") => return Ok(()),
            _ => return Err(self.damage("the lockfile has something else where a mapping should stand")),
        }
        loop {
            match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(key, ..) => take(self, &key)?,
                _ => return Err(self.damage("the lockfile has something else where a key should stand")),
            }
        }
    }

    /// Whether a mapping comes next.
    pub(super) fn is_mapping(&mut self) -> bool {
        matches!(self.events.peek(), Some(Ok((Event::MappingStart(..), _))))
    }

    /// The text that comes next; nothing for whatever else it is.
    pub(super) fn text(&mut self) -> Result<Option<String>, Damage> {
        if !matches!(self.events.peek(), Some(Ok((Event::Scalar(..), _)))) {
            self.skip()?;
            return Ok(None);
        }
        match self.next()? {
            Event::Scalar(text, ..) if !matches!(&*text, "" | "~" | "null") => Ok(Some(text.into_owned())),
            _ => Ok(None),
        }
    }

    /// A mapping of names to texts.
    pub(super) fn texts(&mut self) -> Result<Vec<(String, String)>, Damage> {
        let mut texts = Vec::new();
        self.mapping(|yaml, name| {
            if let Some(text) = yaml.text()? {
                texts.push((name.to_owned(), text));
            }
            Ok(())
        })?;
        Ok(texts)
    }

    /// Passes over what comes next.
    pub(super) fn skip(&mut self) -> Result<(), Damage> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                Event::DocumentEnd | Event::StreamEnd => return Err(self.damage("the lockfile is cut off")),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
