//! Why an arena refused.

use core::fmt;

use super::PageSize;
use crate::addr::Addr;

/// Why an [`Arena`](super::Arena) refused. Lengths are in bytes, as they were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArenaError {
    /// The range is not one or more whole pages.
    NotPages {
        /// Where it begins.
        addr: Addr,
        /// Its length.
        len: u64,
        /// The page it is no multiple of.
        page: PageSize,
    },
    /// The range runs past the last address, 2^64 - 1.
    Wraps {
        /// Where it begins.
        addr: Addr,
        /// Its length.
        len: u64,
    },
    /// No free run is long enough.
    Full {
        /// What was asked for.
        asked: u64,
        /// What is free in all.
        free: u64,
        /// The longest free run.
        largest: u64,
    },
    /// All records of the storage are in use, though addresses may be free.
    NoBlocks {
        /// How many there are.
        blocks: usize,
    },
    /// The range is not all free, or not all in the arena.
    Taken {
        /// Where it begins.
        addr: Addr,
        /// Its length.
        len: u64,
    },
    /// The arena holds no such segment.
    Unknown {
        /// Where it begins.
        addr: Addr,
        /// Its length.
        len: u64,
    },
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPages { addr, len, page } => {
                write!(f, "range of {len:#x} bytes at {addr} is not whole pages of {:#x} bytes", page.bytes())
            }
            Self::Wraps { addr, len } => write!(f, "range of {len:#x} bytes at {addr} runs past the last address"),
            Self::Full { asked, free, largest } => {
                write!(f, "arena is full: {asked:#x} bytes asked for, {free:#x} free, {largest:#x} in one run")
            }
            Self::NoBlocks { blocks } => write!(f, "arena storage is full: all {blocks} blocks are in use"),
            Self::Taken { addr, len } => write!(f, "range of {len:#x} bytes at {addr} is not free in the arena"),
            Self::Unknown { addr, len } => write!(f, "segment of {len:#x} bytes at {addr} is not held by the arena"),
        }
    }
}

impl core::error::Error for ArenaError {}
