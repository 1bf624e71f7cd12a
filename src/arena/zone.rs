//! What pages are for, and what a zone is made of.

use super::{Prot, Segment};
use crate::addr::Addr;

/// What pages are for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Zone {
    /// Code.
    Text,
    /// The slots that code finds far addresses in.
    Got,
    /// Constants.
    ReadOnly,
    /// What programs write.
    Data,
}

impl Zone {
    /// Every zone.
    pub const ALL: [Self; 4] = [Self::Text, Self::Got, Self::ReadOnly, Self::Data];

    /// What its finished pages allow.
    pub const fn prot(self) -> Prot {
        match self {
            Self::Text => Prot::ReadExec,
            Self::Got | Self::Data => Prot::ReadWrite,
            Self::ReadOnly => Prot::Read,
        }
    }
}

/// The zone of segments that have no better reason than their protection.
impl From<Prot> for Zone {
    fn from(prot: Prot) -> Self {
        match prot {
            Prot::Read => Self::ReadOnly,
            Prot::ReadWrite => Self::Data,
            Prot::ReadExec => Self::Text,
        }
    }
}

/// Whole stretches, side by side, that a zone took or gave back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stretch {
    /// The first address.
    pub addr: Addr,
    /// Bytes: a positive multiple of the page size.
    pub len: u64,
}

/// What [`Zones::alloc`](super::Zones::alloc) hands out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Taken {
    /// The pages asked for.
    pub segment: Segment,
    /// What the zone took to have them; `segment` is inside.
    pub grown: Option<Stretch>,
}
