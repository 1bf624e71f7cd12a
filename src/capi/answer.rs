//! What a call answers: a code, and a line for people.

use crate::addr::Misaligned;
use crate::arena::ArenaError;
use crate::got::Full;
use crate::mem;
use crate::patch::PatchError;
use crate::reloc::Reason;
use crate::veneer::{NoDetour, VeneerError};
use crate::verify::{Unverified, Wrong};
use core::ffi::c_char;
use core::fmt::{self, Write};

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_status {
    /// Done.
    Ok = 0,
    /// A pointer is null that must not be.
    Null,
    /// A number is none of an enumeration, or a length is longer than any memory.
    Invalid,
    /// There is no memory for what the library itself keeps.
    NoMemory,
    /// AAELF64 has no static relocation of this code.
    UnknownRelocation,
    /// The place does not lie wholly inside the section.
    OutOfBounds,
    /// The place is not aligned as its relocation wants.
    MisalignedPlace,
    /// The word at the place is not an instruction that the relocation may change.
    WrongOpcode,
    /// The target is too far for the relocation, or out of reach of a branch of an island.
    OutOfRange,
    /// An address, a target or an alignment is not a multiple of what it must be.
    Misaligned,
    /// The relocation takes another class of value.
    WrongValue,
    /// The place would hold a pointer that is signed when the program runs.
    NeedsSigning,
    /// All slots, cells or pages are in use, or no run of them is long enough.
    Full,
    /// There is no such entry, or no such segment.
    NotFound,
    /// The instruction has another detour already, or the range is in use.
    Taken,
    /// The instruction has no detour.
    NoDetour,
    /// The range is not whole pages, or runs past the last address.
    BadRange,
    /// The place does not reach its target.
    WrongTarget,
    /// The place cannot be judged.
    Unverified,
    /// The system refused.
    System,
    /// The address is not in sealed memory of the protection that is needed.
    Outside,
    /// AArch64 code cannot be called in this process.
    ForeignHost,
    /// A range is too long for what is to be in it.
    TooLong,
}

/// Where a line of text is written to: a buffer of the caller's, `{buffer, sizeof buffer, 0}`. Wherever a function takes one
/// it may be null.
///
/// A call that answers anything but `A64R_STATUS_OK` says in it what was refused and why; one that is done leaves it as it is.
#[derive(Debug)]
#[repr(C)]
pub struct a64r_text {
    /// The buffer. What is written there ends with a NUL and is cut off where the buffer ends.
    text: *mut c_char,
    /// Bytes of the buffer.
    capacity: usize,
    /// Set to the bytes of the whole text without its NUL, as `snprintf` counts.
    length: usize,
}

impl a64r_text {
    /// Writes `line`.
    pub(super) fn set(&mut self, line: impl fmt::Display) {
        self.length = 0;
        // `write_str` below refuses nothing; a `Display` of the crate that did would leave what it wrote before.
        let _ = write!(self, "{line}");
        let end = self.length.min(self.capacity.saturating_sub(1));
        self.put(end, 0);
    }

    /// Writes one byte of the buffer, if there is such a byte.
    fn put(&mut self, at: usize, byte: u8) {
        if !self.text.is_null() && at < self.capacity {
            // SAFETY: the caller of the function says that the buffer has `capacity` bytes.
            unsafe { self.text.cast::<u8>().add(at).write(byte) };
        }
    }
}

impl Write for a64r_text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            // The last byte of the buffer is for the NUL.
            if self.length.saturating_add(1) < self.capacity {
                self.put(self.length, byte);
            }
            self.length = self.length.saturating_add(1);
        }
        Ok(())
    }
}

/// Why a call was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The argument of this name is null.
    Null(&'static str),
    /// The argument of this name is out of the question.
    Invalid(&'static str, u64),
    /// There is no memory for so many records.
    NoMemory(usize),
    UnknownRelocation(u32),
    Patch(PatchError),
    Misaligned(Misaligned),
    Got(Full),
    Veneer(VeneerError),
    NoDetour(NoDetour),
    Arena(ArenaError),
    Memory(mem::Error),
    /// There is no such entry.
    NotFound,
    Wrong(Wrong),
    Unverified(Unverified),
    /// A range of so many bytes, and the most that it may have.
    TooLong(u64, u64),
}

impl Refused {
    pub(super) fn status(&self) -> a64r_status {
        use a64r_status as Status;
        match self {
            Self::Null(_) => Status::Null,
            Self::Invalid(..) => Status::Invalid,
            Self::NoMemory(_) => Status::NoMemory,
            Self::UnknownRelocation(_) => Status::UnknownRelocation,
            Self::Patch(error) | Self::NoDetour(NoDetour::Refused(error)) => of_patch(error),
            Self::Misaligned(_) | Self::Veneer(VeneerError::Misaligned(_)) => Status::Misaligned,
            Self::Got(_) | Self::Veneer(VeneerError::Full { .. }) => Status::Full,
            Self::Veneer(VeneerError::OutOfReach { .. }) => Status::OutOfRange,
            Self::Veneer(VeneerError::Taken(_)) => Status::Taken,
            Self::NoDetour(_) => Status::NoDetour,
            Self::Arena(error) | Self::Memory(mem::Error::Arena(error)) => of_arena(error),
            Self::Memory(error) => of_memory(error),
            Self::NotFound => Status::NotFound,
            Self::Wrong(_) => Status::WrongTarget,
            Self::Unverified(_) => Status::Unverified,
            Self::TooLong(..) => Status::TooLong,
        }
    }
}

fn of_patch(error: &PatchError) -> a64r_status {
    match error.reason {
        Reason::OutOfBounds => a64r_status::OutOfBounds,
        Reason::MisalignedPlace => a64r_status::MisalignedPlace,
        Reason::WrongOpcode { .. } => a64r_status::WrongOpcode,
        Reason::OutOfRange { .. } => a64r_status::OutOfRange,
        Reason::Misaligned { .. } => a64r_status::Misaligned,
        Reason::WrongValue => a64r_status::WrongValue,
        Reason::NeedsSigning => a64r_status::NeedsSigning,
    }
}

fn of_arena(error: &ArenaError) -> a64r_status {
    match error {
        ArenaError::NotPages { .. } | ArenaError::Wraps { .. } => a64r_status::BadRange,
        ArenaError::Full { .. } => a64r_status::Full,
        ArenaError::NoBlocks { .. } => a64r_status::NoMemory,
        ArenaError::Taken { .. } => a64r_status::Taken,
        ArenaError::Unknown { .. } => a64r_status::NotFound,
    }
}

fn of_memory(error: &mem::Error) -> a64r_status {
    match error {
        mem::Error::System { .. } | mem::Error::Barrier { .. } | mem::Error::PageSize { .. } => a64r_status::System,
        mem::Error::Elsewhere { .. } => a64r_status::Taken,
        mem::Error::Outside { .. } => a64r_status::Outside,
        mem::Error::Misaligned { .. } | mem::Error::Alignment { .. } => a64r_status::Misaligned,
        mem::Error::ForeignHost => a64r_status::ForeignHost,
        mem::Error::Arena(error) => of_arena(error),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(name) => write!(f, "{name} is null"),
            Self::Invalid(name, given) => write!(f, "{name} cannot be {given:#x}"),
            Self::NoMemory(records) => write!(f, "no memory for {records} records"),
            Self::UnknownRelocation(code) => write!(f, "AAELF64 has no static relocation of code {code}"),
            Self::Patch(error) => error.fmt(f),
            Self::Misaligned(error) => error.fmt(f),
            Self::Got(error) => error.fmt(f),
            Self::Veneer(error) => error.fmt(f),
            Self::NoDetour(error) => error.fmt(f),
            Self::Arena(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::NotFound => f.write_str("there is no such entry or segment"),
            Self::Wrong(error) => error.fmt(f),
            Self::Unverified(why) => write!(f, "cannot be judged: {why}"),
            Self::TooLong(given, most) => write!(f, "{given:#x} bytes are too many: at most {most:#x} are in reach"),
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident,)*) => {$(
        impl From<$error> for Refused {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from! {
    PatchError => Patch,
    Misaligned => Misaligned,
    Full => Got,
    VeneerError => Veneer,
    NoDetour => NoDetour,
    ArenaError => Arena,
    mem::Error => Memory,
    Wrong => Wrong,
}

/// What `call` answers, its refusal written to `text`.
pub(super) fn answer(text: Option<&mut a64r_text>, call: impl FnOnce() -> Result<(), Refused>) -> a64r_status {
    let Err(refused) = call() else { return a64r_status::Ok };
    if let Some(text) = text {
        text.set(&refused);
    }
    refused.status()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    /// What is in a buffer of `capacity` bytes after `line` was written there, and the length that it is said to have.
    fn written(capacity: usize, line: &str) -> ([u8; 8], usize) {
        let mut buffer = [b'.'; 8];
        let mut text = a64r_text { text: buffer.as_mut_ptr().cast(), capacity, length: 7 };
        text.set(line);
        let length = text.length;
        (buffer, length)
    }

    #[test]
    fn a_text_is_cut_off_and_counted_whole() {
        assert_eq!(written(8, "abc"), (*b"abc\0....", 3));
        assert_eq!(written(4, "abc"), (*b"abc\0....", 3));
        assert_eq!(written(3, "abc"), (*b"ab\0.....", 3));
        assert_eq!(written(1, "abc"), (*b"\0.......", 3));
        assert_eq!(written(0, "abc"), (*b"........", 3));
        let mut nowhere = a64r_text { text: ptr::null_mut(), capacity: 9, length: 0 };
        nowhere.set("abc");
        assert_eq!(nowhere.length, 3);
    }
}
