//! Why memory was refused.

use core::fmt;
use std::io;

use crate::addr::Addr;
use crate::arena::{ArenaError, Prot};

/// Why memory could not be had, sealed or used. Lengths are in bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a call about a range of memory.
    System {
        /// The call, by its manual page.
        call: &'static str,
        /// Where the range begins; 0 where the system was to choose.
        addr: Addr,
        /// Its length.
        len: usize,
        /// What the system answered.
        source: io::Error,
    },
    /// The system refused to make the other cores see new code (`membarrier`).
    Barrier {
        /// What the system answered.
        source: io::Error,
    },
    /// The system's pages have a size that no AArch64 has.
    PageSize {
        /// The size.
        bytes: usize,
    },
    /// The range asked for is in use, in part at least.
    Elsewhere {
        /// Where it begins.
        asked: Addr,
        /// What the system offered instead.
        offered: Addr,
    },
    /// The reservation has no room, or no such range.
    Arena(ArenaError),
    /// The bytes are in no sealed segment of the protection that is needed.
    Outside {
        /// Where they begin.
        addr: Addr,
        /// How many there are.
        len: usize,
        /// The protection.
        prot: Prot,
    },
    /// The address is not a multiple of what is read, written or called there.
    Misaligned {
        /// The address.
        addr: Addr,
        /// The bytes it should be a multiple of.
        align: u64,
    },
    /// An alignment is not a power of two.
    Alignment {
        /// The alignment, in bytes.
        align: u64,
    },
    /// The code is AArch64 and this process is not.
    ForeignHost,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { call, addr, len, source } => write!(f, "{call} of {len:#x} bytes at {addr}: {source}"),
            Self::Barrier { source } => write!(f, "membarrier: {source}"),
            Self::PageSize { bytes } => write!(f, "pages of {bytes:#x} bytes are not of AArch64 (4, 16 or 64 KiB)"),
            Self::Elsewhere { asked, offered } => write!(f, "range at {asked} is in use: the system offered {offered}"),
            Self::Arena(error) => error.fmt(f),
            Self::Outside { addr, len, prot } => {
                write!(f, "range of {len:#x} bytes at {addr} is not in sealed {prot} memory")
            }
            Self::Misaligned { addr, align } => write!(f, "address {addr} is not a multiple of {align}"),
            Self::Alignment { align } => write!(f, "alignment of {align:#x} bytes is not a power of two"),
            Self::ForeignHost => f.write_str("AArch64 code cannot be called on this host"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::System { source, .. } | Self::Barrier { source } => Some(source),
            // Shown as it is, so what lies below it is what lies below the arena's error.
            Self::Arena(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ArenaError> for Error {
    fn from(error: ArenaError) -> Self {
        Self::Arena(error)
    }
}
