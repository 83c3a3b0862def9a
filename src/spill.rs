//! Lists that may outgrow memory: filled in any order, then read sorted, as often as needed.
//!
//! A short list stays where it is. A longer one goes to a file without a name, which the system takes back whatever
//! becomes of the process. So what two hundred thousand artifacts need is bounded, and a project of five hundred touches
//! no disk.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::fsx;
use crate::problem::{Kind, Problem};

/// How many entries are held in memory: of the largest kind, artifacts as resolved, some 8 MiB.
const HELD: usize = 2048;
/// How much is read and written at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// Writes what somebody reads to a file without a name in `directory`, and gives it from its beginning. Blocks.
///
/// # Errors
/// If it cannot be read, or there is no room for it.
pub fn to_file(from: &mut dyn Read, directory: &Path) -> io::Result<File> {
    let mut file = fsx::nameless_file(directory)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            let mut file = file.inner().try_clone()?;
            file.rewind()?;
            return Ok(file);
        }
        file.write_all(buffer.get(..length).unwrap_or_default())?;
    }
}

/// What a list consists of.
pub trait Entry: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The order of the list. Entries that compare as equal stay in the order in which they came.
    fn order(&self, other: &Self) -> Ordering;
}

/// A list that is being filled.
pub struct Sorter<T> {
    directory: PathBuf,
    held: Vec<T>,
    /// The last entry on the disk.
    last: Option<T>,
    /// What is on the disk, sorted each in itself.
    runs: Vec<Range<u64>>,
    file: Option<fsx::File>,
    end: u64,
    length: u64,
}

impl<T: Entry> Sorter<T> {
    /// An empty list. `directory` gets the file, should one be needed.
    pub fn new(directory: &Path) -> Sorter<T> {
        let directory = directory.to_owned();
        Sorter { directory, held: Vec::new(), last: None, runs: Vec::new(), file: None, end: 0, length: 0 }
    }

    /// Adds an entry. Writes to the disk now and then.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn push(&mut self, entry: T) -> Result<(), Problem> {
        self.held.push(entry);
        self.length += 1;
        if self.held.len() >= HELD { self.spill() } else { Ok(()) }
    }

    /// Adds many.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub fn extend(&mut self, entries: impl IntoIterator<Item = T>) -> Result<(), Problem> {
        entries.into_iter().try_for_each(|entry| self.push(entry))
    }

    /// The list, sorted.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub fn finish(mut self) -> Result<Sorted<T>, Problem> {
        let length = self.length;
        if self.runs.is_empty() {
            self.held.sort_by(T::order);
            return Ok(Sorted { place: Place::Memory(self.held.into()), length });
        }
        self.spill()?;
        let Some(file) = self.file.take() else { return Ok(Sorted::default()) };
        let file = share(&file, &self.directory)?;
        let sections = self.runs.iter().map(|run| Section { file: file.clone(), range: run.clone() });
        let mut sections: Vec<Section> = sections.collect();
        let section =
            if sections.len() > 1 { merge::<T>(sections, &self.directory)? } else { sections.remove(0) };
        Ok(Sorted { place: Place::Disk(section), length })
    }

    /// Writes what is held to the disk: as a run of its own, or after the last one if it sorts there.
    fn spill(&mut self) -> Result<(), Problem> {
        let Some(first) = self.held.first() else { return Ok(()) };
        if self.file.is_none() {
            let file =
                fsx::nameless_file(&self.directory).map_err(|error| unwritable(&self.directory, &error))?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let sorted_already = self.held.is_sorted_by(|one, next| one.order(next) != Ordering::Greater);
        let continues =
            sorted_already && self.last.as_ref().is_some_and(|last| last.order(first) != Ordering::Greater);
        if !sorted_already {
            self.held.sort_by(T::order);
        }
        let mut lines = Vec::new();
        let mut written = 0;
        for entry in &self.held {
            write_line(&mut lines, entry).map_err(|error| unwritable(&self.directory, &error))?;
            if lines.len() >= BUFFER {
                file.write_all(&lines).map_err(|error| unwritable(&self.directory, &error))?;
                written += lines.len() as u64;
                lines.clear();
            }
        }
        file.write_all(&lines).map_err(|error| unwritable(&self.directory, &error))?;
        written += lines.len() as u64;
        match self.runs.last_mut() {
            Some(run) if continues => run.end += written,
            _ => self.runs.push(self.end..self.end + written),
        }
        self.end += written;
        self.last = self.held.pop();
        self.held.clear();
        Ok(())
    }
}

/// A sorted list, which does not change any more. Clones are the same list.
#[derive(Debug, Clone)]
pub struct Sorted<T> {
    place: Place<T>,
    length: u64,
}

#[derive(Debug, Clone)]
enum Place<T> {
    Memory(Arc<[T]>),
    Disk(Section),
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Sorted { place: Place::Memory(Arc::new([])), length: 0 }
    }
}

impl<T> Sorted<T> {
    /// How many entries.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<T: Entry> Sorted<T> {
    /// All entries in order. Reads from the disk now and then; an error ends it.
    pub fn iter(&self) -> Iter<T> {
        match &self.place {
            Place::Memory(entries) => Iter::Memory(entries.clone(), 0),
            Place::Disk(section) => Iter::Disk(Lines::new(section)),
        }
    }
}

impl<T: Entry> Serialize for Sorted<T> {
    /// As a list; what is on the disk is read while it is written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(usize::try_from(self.len()).ok())?;
        for entry in self.iter() {
            list.serialize_element(&entry.map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}

impl<T: Entry> Sorted<T> {
    /// The list with every entry changed. What it is sorted by should stay as it is, or it is sorted anew.
    ///
    /// # Errors
    /// What `change` returns, or as [`Sorter::push`].
    pub fn map(
        &self,
        directory: &Path,
        mut change: impl FnMut(&mut T) -> Result<(), Problem>,
    ) -> Result<Sorted<T>, Problem> {
        let mut sorter = Sorter::new(directory);
        for entry in self.iter() {
            let mut entry = entry?;
            change(&mut entry)?;
            sorter.push(entry)?;
        }
        sorter.finish()
    }

    /// The list without entries that are equal to the one before.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub fn distinct(self, directory: &Path) -> Result<Sorted<T>, Problem>
    where
        T: PartialEq,
    {
        let mut sorter = Sorter::new(directory);
        let mut last: Option<T> = None;
        for entry in self.iter() {
            let entry = entry?;
            if last.as_ref() != Some(&entry) {
                sorter.push(entry.clone())?;
            }
            last = Some(entry);
        }
        if sorter.length == self.length { Ok(self) } else { sorter.finish() }
    }
}

/// The entries of a list, one after the other.
pub enum Iter<T> {
    #[doc(hidden)]
    Memory(Arc<[T]>, usize),
    #[doc(hidden)]
    Disk(Lines),
}

impl<T: Entry> Iterator for Iter<T> {
    type Item = Result<T, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Memory(entries, next) => {
                let entry = entries.get(*next)?.clone();
                *next += 1;
                Some(Ok(entry))
            }
            Iter::Disk(lines) => match lines.next_line() {
                Ok(true) => Some(lines.entry()),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            },
        }
    }
}

/// A part of a file that several read at once.
#[derive(Debug, Clone)]
struct Section {
    file: Arc<File>,
    range: Range<u64>,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let read = self.file.read_at(buffer.get_mut(..length).unwrap_or_default(), self.range.start)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += read as u64;
        Ok(read)
    }
}

/// The lines of a section.
pub struct Lines {
    reader: BufReader<Section>,
    line: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn new(section: &Section) -> Lines {
        Lines { reader: BufReader::with_capacity(BUFFER, section.clone()), line: Vec::new(), ended: false }
    }

    /// Goes to the next line; false at the end.
    fn next_line(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        if self.ended {
            return Ok(false);
        }
        let read = self.reader.read_until(b'\n', &mut self.line).inspect_err(|_| self.ended = true);
        let read = read.map_err(|error| unreadable(&error))?;
        self.ended = read == 0;
        Ok(read > 0)
    }

    /// The entry of the line that it is at.
    fn entry<T: Entry>(&mut self) -> Result<T, Problem> {
        serde_json::from_slice(&self.line).map_err(|error| {
            self.ended = true;
            unreadable(&error)
        })
    }
}

/// A run that is being merged, at its first line that is not written yet.
struct Head<T> {
    entry: T,
    run: usize,
    lines: Lines,
}

impl<T: Entry> Ord for Head<T> {
    /// The greatest is the one to be written next; of equal ones that of the earlier run.
    fn cmp(&self, other: &Self) -> Ordering {
        other.entry.order(&self.entry).then(other.run.cmp(&self.run))
    }
}

impl<T: Entry> PartialOrd for Head<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Entry> PartialEq for Head<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Entry> Eq for Head<T> {}

fn merge<T: Entry>(runs: Vec<Section>, directory: &Path) -> Result<Section, Problem> {
    let failed = |error: io::Error| unwritable(directory, &error);
    let mut heads = BinaryHeap::new();
    for (run, section) in runs.iter().enumerate() {
        let mut lines = Lines::new(section);
        if lines.next_line()? {
            heads.push(Head::<T> { entry: lines.entry()?, run, lines });
        }
    }
    let mut out = io::BufWriter::with_capacity(BUFFER, fsx::nameless_file(directory).map_err(failed)?);
    let mut end = 0;
    while let Some(mut head) = heads.pop() {
        out.write_all(&head.lines.line).map_err(failed)?;
        end += head.lines.line.len() as u64;
        if head.lines.next_line()? {
            head.entry = head.lines.entry()?;
            heads.push(head);
        }
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(Section { file: share(&file, directory)?, range: 0..end })
}

/// The same open file, to be read by many.
fn share(file: &fsx::File, directory: &Path) -> Result<Arc<File>, Problem> {
    Ok(Arc::new(file.inner().try_clone().map_err(|error| unwritable(directory, &error))?))
}

fn write_line<T: Serialize>(lines: &mut Vec<u8>, entry: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, entry)?;
    lines.push(b'\n');
    Ok(())
}

fn unwritable(directory: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot write a temporary file in {}", directory.display());
    let problem = Problem::new(Kind::Failed, "spill.unwritable", message).caused_by(error);
    match error.kind() {
        io::ErrorKind::StorageFull => problem.hint("free some space there"),
        _ => problem,
    }
}

fn unreadable(error: &dyn std::error::Error) -> Problem {
    let message = "a temporary file of this program came back damaged";
    Problem::new(Kind::Failed, "spill.unreadable", message)
        .caused_by(error)
        .hint("the disk may be failing: look at the system's log, then try again")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// A number to sort by, and what tells equal ones apart.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Numbered(u64, u64);

    impl Entry for Numbered {
        fn order(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }
    }

    fn list(entries: &[Numbered], directory: &Path) -> Sorted<Numbered> {
        let mut sorter = Sorter::new(directory);
        sorter.extend(entries.iter().cloned()).unwrap();
        sorter.finish().unwrap()
    }

    fn all(list: &Sorted<Numbered>) -> Vec<Numbered> {
        list.iter().map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_is_a_stable_sort(keys in prop::collection::vec(0u64..500, 0..4 * HELD)) {
            let home = fsx::test_directory();
            let entries = keys.iter().zip(0..).map(|(key, index)| Numbered(*key, index));
            let mut entries: Vec<_> = entries.collect();
            let list = list(&entries, home.path());
            entries.sort_by_key(|entry| entry.0);
            prop_assert_eq!(list.len(), entries.len() as u64);
            prop_assert_eq!(&all(&list), &entries);
            prop_assert_eq!(&all(&list), &entries, "a second time");
            prop_assert_eq!(home.path().read_dir().unwrap().count(), 0, "no file has a name");
        }
    }

    #[test]
    fn what_comes_sorted_is_written_once() {
        let home = fsx::test_directory();
        let entries: Vec<_> = (0..5 * HELD as u64).map(|key| Numbered(key / 2, key)).collect();
        let mut sorter = Sorter::new(home.path());
        sorter.extend(entries.clone()).unwrap();
        assert_eq!(sorter.runs.len(), 1);
        assert_eq!(all(&sorter.finish().unwrap()), entries);
    }

    #[test]
    fn equal_neighbours_become_one() {
        let home = fsx::test_directory();
        for many in [10, 3 * HELD as u64] {
            let entries: Vec<_> = (0..many).map(|key| Numbered(key / 3, key / 6)).collect();
            let list = list(&entries, home.path()).distinct(home.path()).unwrap();
            let mut expected = entries;
            expected.dedup();
            assert_eq!((all(&list), list.len()), (expected.clone(), expected.len() as u64));
            let doubled = list.map(home.path(), |entry| {
                entry.0 *= 2;
                Ok(())
            });
            let doubled = doubled.unwrap();
            assert!(all(&doubled).iter().zip(&expected).all(|(new, old)| new.0 == 2 * old.0));
        }
    }

    #[test]
    fn two_read_at_once() {
        let home = fsx::test_directory();
        let entries: Vec<_> = (0..2 * HELD as u64 + 1).map(|key| Numbered(key, key)).collect();
        let list = list(&entries, home.path());
        let clone = list.clone();
        assert!(
            list.iter().zip(clone.iter().skip(1)).all(|(one, next)| one.unwrap().0 + 1 == next.unwrap().0)
        );
    }

    #[test]
    fn a_full_disk_is_a_problem_and_not_a_short_list() {
        use crate::fsx::faults::{Fault, Kind, Watch};
        let home = fsx::test_directory();
        let entries: Vec<_> = (0..3 * HELD as u64).rev().map(|key| Numbered(key, 0)).collect();
        let attempt = || {
            let mut sorter = Sorter::new(home.path());
            sorter.extend(entries.clone())?;
            sorter.finish()
        };
        let watch = Watch::new(home.path());
        attempt().unwrap();
        let writes = watch.count();
        assert!(writes > 3);
        for at in 1..=writes {
            watch.plan(Fault { at, kind: Kind::Enospc });
            assert_eq!(attempt().unwrap_err().code, "spill.unwritable", "fault {at}");
            watch.forget();
        }
    }
}
