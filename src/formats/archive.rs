//! `ar` archives: members and the index of their symbols, in the GNU (32-bit, 64-bit, thin), BSD and COFF forms, which crate
//! `object` reads.

use super::strings::{LONGEST_NAME, defined_name};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use object::read::archive::{ArchiveFile, ArchiveMember};

/// An archive in the bytes of its file: its members, and which of them defines what. No member is looked into.
#[derive(Debug)]
pub struct Archive<'data> {
    members: Vec<Member<'data>>,
    index: Vec<Entry<'data>>,
}

/// A file in an archive.
#[derive(Clone, Copy, Debug)]
pub struct Member<'data> {
    name: &'data [u8],
    content: Source<'data>,
    /// Bytes from the start of the archive to the member's header, by which the index calls it.
    header: u64,
}

/// Where a member's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source<'data> {
    /// In the archive.
    Inside(&'data [u8]),
    /// In a file of its own, whose path from the archive's folder is the member's name: the archive is thin.
    Outside,
}

/// A line of an archive's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'data> {
    /// The number of the member, in [`Archive::members`].
    pub member: usize,
    /// The symbol that it defines, by the name that it is wanted by: an index says `foo@@V2` of a version.
    pub symbol: &'data str,
}

/// The longest name of a member, in bytes: Linux's `PATH_MAX`. Names can lie on top of each other in the file, so that a
/// small one could ask for any amount of memory.
const LONGEST_PATH: usize = 4096;

impl<'data> Archive<'data> {
    /// Whether `bytes` begin as an archive does.
    pub fn is(bytes: &[u8]) -> bool {
        bytes.starts_with(&object::archive::MAGIC) || bytes.starts_with(&object::archive::THIN_MAGIC)
    }

    /// Reads the headers of all members, and the index.
    ///
    /// # Errors
    ///
    /// `bytes` are no archive, or contradict the format, or end too early.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ArchiveError> {
        if !Self::is(bytes) {
            return Err(ArchiveError(Wrong::Magic));
        }
        let file = ArchiveFile::parse(bytes).map_err(Wrong::File)?;
        let mut members = Vec::new();
        for member in file.members() {
            let member = member.map_err(Wrong::File)?;
            members.push(Member::read(&member, bytes)?);
        }
        let mut index = Vec::new();
        for symbol in file.symbols().map_err(Wrong::File)?.into_iter().flatten() {
            let symbol = symbol.map_err(Wrong::File)?;
            let offset = symbol.offset().0;
            // Most are of the member that the one before was of.
            let last = index.last().map(|entry: &Entry<'_>| entry.member);
            let last =
                last.filter(|&last| members.get(last).is_some_and(|member: &Member<'_>| member.header == offset));
            let search = || members.binary_search_by_key(&offset, |member| member.header);
            let member = last.map_or_else(search, Ok).map_err(|_| Wrong::Entry(offset))?;
            if symbol.name().len() > LONGEST_NAME {
                return Err(Wrong::Symbol(symbol.name().len()).into());
            }
            // What is not UTF-8 nothing can ask for.
            if let Ok(symbol) = core::str::from_utf8(symbol.name()) {
                index.push(Entry { member, symbol: defined_name(symbol) });
            }
        }
        // BSD's index may be sorted by name.
        index.sort_by_key(|entry| entry.member);
        Ok(Self { members, index })
    }

    /// The members, in the order of the file, without index and table of names.
    pub fn members(&self) -> &[Member<'data>] {
        &self.members
    }

    /// The index that the archive brings, in the order of the members; empty where there is none.
    pub fn index(&self) -> &[Entry<'data>] {
        &self.index
    }
}

impl<'data> Member<'data> {
    fn read(member: &ArchiveMember<'data>, bytes: &'data [u8]) -> Result<Self, Wrong> {
        let name = member.name();
        if name.len() > LONGEST_PATH {
            return Err(Wrong::Name(name.len()));
        }
        // The header is a part of `bytes`, so that its address says where it lies.
        let header = member.header().map_or(0, |header| core::ptr::from_ref(header).addr() - bytes.as_ptr().addr());
        let content = match member.is_thin() {
            true => Source::Outside,
            false => Source::Inside(member.data(bytes).map_err(Wrong::File)?),
        };
        Ok(Self { name, content, header: header as u64 })
    }

    /// The name; for people, where it is not UTF-8.
    pub fn name(&self) -> Cow<'data, str> {
        String::from_utf8_lossy(self.name)
    }

    /// Where its bytes are.
    pub fn source(&self) -> Source<'data> {
        self.content
    }
}

/// What is wrong with an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchiveError(Wrong);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    Magic,
    File(object::read::Error),
    Name(usize),
    Symbol(usize),
    Entry(u64),
}

impl From<Wrong> for ArchiveError {
    fn from(wrong: Wrong) -> Self {
        Self(wrong)
    }
}

impl core::error::Error for ArchiveError {}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Wrong::Magic => write!(f, "not an archive"),
            Wrong::File(error) => write!(f, "malformed: {error}"),
            Wrong::Name(len) => {
                write!(f, "malformed: a member's name of {len} bytes is longer than {LONGEST_PATH}")
            }
            Wrong::Symbol(len) => {
                write!(f, "malformed: a symbol's name of {len} bytes is longer than {LONGEST_NAME}")
            }
            Wrong::Entry(offset) => write!(f, "malformed: the index names a member at {offset:#x}, where none begins"),
        }
    }
}
