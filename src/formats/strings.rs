//! Names in object files: string tables (gABI, "String Table"), and how long a name may be.

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
