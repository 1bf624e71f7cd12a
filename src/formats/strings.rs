//! Names in object files: string tables (gABI, "String Table"), how long a name may be, and the version in it.

use crate::link::Problem;

/// The longest name of a symbol or section, in bytes. Names can lie on top of each other in a file, so that without a bound
/// all names of a small one could together be as long as its size squared. Compilers shorten names long before: those of C++
/// templates have some thousand bytes.
pub(super) const LONGEST_NAME: usize = 64 * 1024;

/// A string table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings<'data> {
    bytes: &'data [u8],
    /// The same, if all of it is UTF-8: then so is every name.
    text: Option<&'data str>,
}

impl<'data> Strings<'data> {
    /// The table that is these bytes.
    pub(super) fn new(bytes: &'data [u8]) -> Self {
        Self { bytes, text: str::from_utf8(bytes).ok() }
    }

    /// Whether any of its bytes is `byte`.
    pub(super) fn has(self, byte: u8) -> bool {
        self.bytes.contains(&byte)
    }

    /// The name that begins `offset` bytes into the table. No more than the longest name is looked at.
    pub(super) fn get(self, offset: u32) -> Result<&'data str, Problem> {
        // gABI, "String Table": an empty table is permitted, and has the index 0.
        if offset == 0 && self.bytes.is_empty() {
            return Ok("");
        }
        let malformed = Problem::Malformed("the name is not in the string table, or not UTF-8");
        let rest = self.bytes.get(offset as usize..).ok_or(malformed)?;
        let window = rest.get(..=LONGEST_NAME);
        let name = match (until_nul(window.unwrap_or(rest)), window) {
            (Some(name), _) => name,
            (None, Some(_)) => return Err(Problem::Unsupported("a name of more than 64 KiB")),
            (None, None) => return Err(malformed),
        };
        let start = offset as usize;
        let known = self.text.and_then(|text| text.get(start..start.saturating_add(name.len())));
        known.or_else(|| str::from_utf8(name).ok()).ok_or(malformed)
    }
}

/// The bytes before the first that is zero; `None` where none is. Names are short, so that eight bytes at a time is enough.
fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    const LOW: u64 = u64::MAX / 255;
    let mut len = 0;
    let mut rest = bytes;
    while let Some((eight, more)) = rest.split_first_chunk() {
        let eight = u64::from_le_bytes(*eight);
        // Of the bytes that borrow, the lowest is zero.
        let zeros = eight.wrapping_sub(LOW) & !eight & LOW << 7;
        if zeros != 0 {
            return bytes.get(..len + zeros.trailing_zeros() as usize / 8);
        }
        (len, rest) = (len + 8, more);
    }
    bytes.get(..len + rest.iter().position(|&byte| byte == 0)?)
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
