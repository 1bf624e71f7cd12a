//! Why an island has no room for more, or does not reach.

use crate::addr::{Addr, Misaligned};
use core::fmt;

/// Why there is no veneer, hop, detour or pad.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum VeneerError {
    /// There is no room for another.
    Full {
        /// The cells there are.
        capacity: usize,
        /// The cells in use. If that is not all of them, two side by side were wanted.
        used: usize,
    },
    /// No branch leads to such an address.
    Misaligned(Misaligned),
    /// A branch does not reach: one of the island, or the one to it.
    OutOfReach {
        /// The address of the branch.
        from: Addr,
        /// Where it would have led.
        to: Addr,
    },
    /// The instruction at this place has another detour already, which is to be removed first.
    Taken(Addr),
}

impl fmt::Display for VeneerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity, used } if used == capacity => {
                write!(f, "island is full: all {capacity} cells are in use")
            }
            Self::Full { capacity, used } => {
                write!(f, "island is full: no two cells side by side are free, {used} of {capacity} are in use")
            }
            Self::Misaligned(misaligned) => write!(f, "no branch leads there: {misaligned}"),
            Self::OutOfReach { from, to } => write!(f, "{to} is out of reach of a B at {from}"),
            Self::Taken(place) => write!(f, "the instruction at {place} has another detour"),
        }
    }
}

impl core::error::Error for VeneerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Misaligned(misaligned) => Some(misaligned),
            Self::Full { .. } | Self::OutOfReach { .. } | Self::Taken(_) => None,
        }
    }
}
