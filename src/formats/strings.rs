//! Names in object files: string tables (gABI, "String Table"), how long a name may be, and the version in it.

use super::ascii;
use crate::link::{FULL, Omitted, Problem};
use crate::patch::QUICK;
use crate::prefetch::prefetch;

/// The longest name of a symbol or section, in bytes. Names can lie on top of each other in a file, so that without a bound
/// all names of a small one could together be as long as its size squared; with it, and 24 bytes for each symbol of ELF, they are
/// under 700 times its size. Mangled names of C++ templates, the longest there are, have some thousand bytes, and hardly ever
/// more than this.
pub(super) const LONGEST_NAME: usize = 16 * 1024;

/// A string table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings<'data> {
    bytes: &'data [u8],
    /// The same, if every name in it is one that is handled: all of it is UTF-8, the last ends, and none is too long. Else
    /// empty.
    names: &'data str,
}

impl<'data> Strings<'data> {
    /// The table that is these bytes.
    pub(super) fn new(bytes: &'data [u8]) -> Self {
        let names = if QUICK && are_ended(bytes) { str::from_utf8(bytes).unwrap_or_default() } else { "" };
        Self { bytes, names }
    }

    /// Whether any of its bytes is `byte`.
    pub(super) fn has(self, byte: u8) -> bool {
        self.bytes.contains(&byte)
    }

    /// The name that begins `offset` bytes into the table. No more than the longest name is looked at.
    #[inline]
    pub(super) fn get(self, offset: u32) -> Result<&'data str, Problem> {
        if !QUICK {
            return self.look(offset);
        }
        let rest = self.names.get(offset as usize..);
        match rest.and_then(|rest| rest.get(..length(rest.as_bytes())?)) {
            Some(name) => Ok(name),
            None => self.look(offset),
        }
    }

    /// Has the processor fetch the names at `offsets`.
    #[inline]
    pub(super) fn fetch(self, offsets: impl Iterator<Item = u32>) {
        offsets.filter_map(|offset| self.bytes.get(offset as usize)).for_each(prefetch);
    }

    /// The same as [`get`](Self::get), of a table about which nothing is known.
    #[cold]
    #[inline(never)]
    fn look(self, offset: u32) -> Result<&'data str, Problem> {
        // gABI, "String Table": an empty table is permitted, and has the index 0.
        if offset == 0 && self.bytes.is_empty() {
            return Ok("");
        }
        let malformed = Problem::malformed("the name is not in the string table, or not UTF-8");
        let rest = self.bytes.get(offset as usize..).ok_or(malformed)?;
        let window = rest.get(..=LONGEST_NAME);
        let name = match (length(window.unwrap_or(rest)), window) {
            (Some(length), _) => rest.get(..length).unwrap_or_default(),
            (None, Some(_)) => return Err(Problem::unsupported("a name of more than 16 KiB")),
            (None, None) => return Err(malformed),
        };
        if FULL {
            return str::from_utf8(name).map_err(|_| malformed);
        }
        ascii::text(name).ok_or(Omitted::NotAscii.into())
    }
}

/// Whether each name in a table ends in it, and is no longer than the longest.
fn are_ended(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(window) = rest.get(..=LONGEST_NAME) {
        // From the end: of many names, few are looked at.
        let Some(last) = window.iter().rposition(|&byte| byte == 0) else { return false };
        rest = rest.get(last + 1..).unwrap_or_default();
    }
    bytes.last() == Some(&0)
}

/// How many bytes come before the first that is zero; `None` where none is. Names are short, so that eight bytes at a time is enough.
#[cfg_attr(feature = "fast", inline)]
fn length(bytes: &[u8]) -> Option<usize> {
    if !QUICK {
        return bytes.iter().position(|&byte| byte == 0);
    }
    const LOW: u64 = u64::MAX / 255;
    let mut len = 0;
    let mut rest = bytes;
    while let Some((eight, more)) = rest.split_first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        // Of the bytes that borrow, the lowest is zero.
        let zeros = eight.wrapping_sub(LOW) & !eight & LOW << 7;
        if zeros != 0 {
            return Some(len + zeros.trailing_zeros() as usize / 8);
        }
        (len, rest) = (len + 8, more);
    }
    Some(len + rest.iter().position(|&byte| byte == 0)?)
}

/// Whether a name may have a version.
pub(super) fn has_version(name: &str) -> bool {
    name.bytes().any(|byte| byte == b'@')
}

/// The name that the global symbol `name` is wanted by: without the version that follows its first `@`.
///
/// The gABI has no versions; GNU's assembler puts them into names (its manual, ".symver").
pub(super) fn wanted_name(name: &str) -> &str {
    split_version(name).0
}

/// The name that the global symbol `name` is defined by. `foo@@V2` defines the default version, which `foo` means. The older
/// one that `foo@V1` defines keeps its whole name, for else one name would have two definitions.
pub(super) fn defined_name(name: &str) -> &str {
    match split_version(name) {
        (own, version) if version.as_bytes().starts_with(b"@@") => own,
        _ => name,
    }
}

/// A name, and the version that follows it.
fn split_version(name: &str) -> (&str, &str) {
    let mark = name.bytes().position(|byte| byte == b'@').filter(|&at| at > 0);
    mark.and_then(|at| name.split_at_checked(at)).unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    /// Every name is what it is without anything being known of the table.
    fn is_as_looked_at(bytes: &[u8]) -> bool {
        let table = Strings::new(bytes);
        (0..bytes.len() as u32 + 2).all(|offset| table.get(offset) == table.look(offset))
    }

    #[test]
    fn what_is_known_of_a_table_changes_no_name() {
        let tables: [&[u8]; 6] = [b"", b"\0", b"\0main\0", b"\0main", "\0ж\0".as_bytes(), b"\0\xff\0main\0"];
        assert!(tables.into_iter().all(is_as_looked_at));
        quickcheck::quickcheck(is_as_looked_at_random as fn(Vec<u8>) -> bool);
    }

    fn is_as_looked_at_random(bytes: Vec<u8>) -> bool {
        is_as_looked_at(&bytes)
    }

    #[test]
    fn a_table_is_known_by_its_longest_name() {
        for (len, is_known) in [(LONGEST_NAME, true), (LONGEST_NAME + 1, false)] {
            for before in [0, 1, 1000, LONGEST_NAME] {
                let table = [&std::vec![b'a'; before][..], b"\0", &std::vec![b'b'; len], b"\0c\0"].concat();
                assert_eq!(are_ended(&table), is_known);
                let table = Strings::new(&table);
                for offset in [0, before as u32, before as u32 + 1, before as u32 + 2] {
                    assert_eq!(table.get(offset), table.look(offset));
                }
            }
        }
    }
}
