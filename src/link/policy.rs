//! What the linker may do for a reference that does not reach.

use super::parts::FULL;
use crate::addr::Addr;
use crate::reloc::Remedy;

/// Which rungs of the rescue are allowed, and what the code that runs expects. The default allows all that AAELF64 does.
///
/// The rungs, cheapest first: direct; a call through a veneer; a conditional branch through a hop; an `ADRP`, `ADR` or
/// literal load of a general register through a detour. What may go through no rung that is allowed is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Calls and jumps may go through veneers, where AAELF64 5.7.8 lets one come between.
    pub veneers: bool,
    /// Conditional branches may go through hops.
    pub hops: bool,
    /// `ADRP`, `ADR` and literal loads of general registers may be made detours. Whoever compares the linked text with the
    /// objects' will see a `B` in their place.
    pub detours: bool,
    /// Veneers may change x16 (IP0), as AAPCS64 6.1.1 says; not so where a JIT keeps something of its own there. Without it
    /// a veneer is a `B`, which reaches ±128 MiB, and calls to symbols that no object defines are direct.
    pub scratch: bool,
    /// Text lies on guarded pages (BTI): an indirect branch must land on a `BTI c`, `BTI jc` or `PACIASP`. A veneer that
    /// needs one leads to a function of the link that does not begin so through a landing pad near it (AAELF64 2025Q4;
    /// SYSVABI64, BTI). Symbols that no object defines are taken to begin so.
    pub landing_pads: bool,
    /// Text can be executed and not read (`SHF_AARCH64_PURECODE`). No veneer, hop or detour reads text, but an object may:
    /// a literal load from text, or data in text that a relocation writes, is an error.
    pub execute_only: bool,
    /// Whoever runs the image first calls the resolvers of its [indirect functions](super::Plan::indirect), which need
    /// veneers that may change x16, and of the places that functions initialise. Else they are an error.
    pub resolvers: bool,
    /// The image runs on a Cortex-A53 with erratum 843419: an `ADRP` in the last two words of a page, followed by what makes it
    /// go wrong, becomes an `ADR`, or goes through a detour.
    pub erratum_843419: bool,
    /// What becomes of tagged addresses.
    pub tags: Tags,
}

impl Policy {
    /// Every rung; nothing is said of who runs it.
    pub const ALL: Self = Self {
        veneers: true,
        hops: true,
        detours: true,
        scratch: true,
        landing_pads: false,
        execute_only: false,
        resolvers: false,
        erratum_843419: false,
        tags: Tags::Keep,
    };

    /// Calls through GOT slots and veneers, as any static linker has them, and nothing else.
    pub const NO_RESCUE: Self = Self { hops: false, detours: false, ..Self::ALL };

    /// Whether even what refers to a plain symbol in reach is not simply given its address.
    #[inline(always)]
    pub(super) const fn looks_closer(self) -> bool {
        FULL && (self.execute_only | self.erratum_843419 | !matches!(self.tags, Tags::Keep))
    }

    /// Whether code is looked through for erratum 843419.
    #[inline(always)]
    pub(super) const fn mends(self) -> bool {
        FULL && self.erratum_843419
    }

    /// Whether text is not to be read.
    pub(super) const fn guards_text(self) -> bool {
        FULL && self.execute_only
    }

    /// Whether veneers may change x16.
    pub(super) const fn scratches(self) -> bool {
        !FULL || self.scratch
    }

    /// Whether veneers lead to landing pads.
    pub(super) const fn pads(self) -> bool {
        FULL && self.landing_pads
    }

    pub(super) const fn allows(self, remedy: Remedy) -> bool {
        match remedy {
            // What is not allowed is left out.
            _ if !FULL => true,
            Remedy::Veneer => self.veneers,
            Remedy::Hop => self.hops,
            Remedy::Detour => self.detours,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::ALL
    }
}

/// What becomes of the tag, bits 63:56 (top-byte-ignore, MTE), of an address that a relocation measures from its place.
/// Absolute data, slots of the GOT and absolute moves keep it, whatever is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Tags {
    /// It counts as any other bits do: the address is far, and what builds it whole keeps the tag.
    #[default]
    Keep,
    /// It is replaced by copies of bit 55: the address without a tag.
    Strip,
    /// It is an error.
    Refuse,
}

impl Tags {
    /// `addr` as it is to be measured; `None` where it is refused.
    pub(super) const fn admit(self, addr: Addr) -> Option<Addr> {
        match self {
            Self::Keep => Some(addr),
            Self::Strip => Some(addr.untagged()),
            Self::Refuse if addr.get() == addr.untagged().get() => Some(addr),
            Self::Refuse => None,
        }
    }
}
