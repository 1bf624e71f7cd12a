//! Names in object files: string tables (gABI, "String Table"), how long a name may be, and the version in it.

use crate::link::Problem;
use core::ffi::CStr;

/// The longest name of a symbol or section, in bytes. Names can lie on top of each other in a file, so that without a bound
/// all names of a small one could together be as long as its size squared. Compilers shorten names long before: those of C++
/// templates have some thousand bytes.
pub(super) const LONGEST_NAME: usize = 64 * 1024;

/// A string table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings<'data>(pub(super) &'data [u8]);

impl<'data> Strings<'data> {
    /// The name that begins `offset` bytes into the table. No more than the longest name is looked at.
    pub(super) fn get(self, offset: u32) -> Result<&'data str, Problem> {
        // gABI, "String Table": an empty table is permitted, and has the index 0.
        if offset == 0 && self.0.is_empty() {
            return Ok("");
        }
        let malformed = Problem::Malformed("the name is not in the string table, or not UTF-8");
        let rest = self.0.get(offset as usize..).ok_or(malformed)?;
        let window = rest.get(..=LONGEST_NAME);
        match (CStr::from_bytes_until_nul(window.unwrap_or(rest)), window) {
            (Ok(name), _) => name.to_str().map_err(|_| malformed),
            (Err(_), Some(_)) => Err(Problem::Unsupported("a name of more than 64 KiB")),
            (Err(_), None) => Err(malformed),
        }
    }
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
