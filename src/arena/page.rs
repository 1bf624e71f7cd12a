//! What an arena hands out: whole pages of one protection.

use core::fmt;

use crate::addr::Addr;

/// The page size of the operating system: what protections are set by. AArch64 has three granules (Arm ARM D8.1).
///
/// Not the page of `ADRP`, which is always [`Addr::PAGE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum PageSize {
    /// 4 KiB.
    K4 = 0x1000,
    /// 16 KiB.
    K16 = 0x4000,
    /// 64 KiB.
    K64 = 0x1_0000,
}

impl PageSize {
    /// The page size of `bytes` bytes, if AArch64 has it.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            0x1000 => Some(Self::K4),
            0x4000 => Some(Self::K16),
            0x1_0000 => Some(Self::K64),
            _ => None,
        }
    }

    /// Bytes in a page.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    pub(super) const fn divides(self, len: u64) -> bool {
        len & (self.bytes() - 1) == 0
    }

    /// Bytes of the pages that hold `len` bytes, one page at least; of 2^64, which no range has, one less.
    pub(super) const fn whole(self, len: u64) -> u64 {
        (len.saturating_sub(1) | (self.bytes() - 1)).saturating_add(1)
    }
}

/// What the finished pages allow. There is no writable and executable one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Prot {
    /// Constants.
    Read,
    /// Data, and a GOT that is re-pointed while its code runs.
    ReadWrite,
    /// Code.
    ReadExec,
}

/// As `/proc/self/maps` writes it.
impl fmt::Display for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "r--",
            Self::ReadWrite => "rw-",
            Self::ReadExec => "r-x",
        })
    }
}

/// Whole pages of one final protection, held in an [`Arena`](super::Arena).
///
/// A record, not a guard: dropping it frees nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Segment {
    pub(super) addr: Addr,
    pub(super) len: u64,
    pub(super) prot: Prot,
    /// Where the arena recorded it, so that freeing needs no search. Checked, never trusted.
    pub(super) block: u32,
}

impl Segment {
    /// The first address, a multiple of the page size.
    pub const fn addr(&self) -> Addr {
        self.addr
    }

    /// Bytes: a positive multiple of the page size.
    #[expect(clippy::len_without_is_empty, reason = "a segment is at least a page")]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// What its pages allow once sealed.
    pub const fn prot(&self) -> Prot {
        self.prot
    }

    /// Whether all `len` bytes from `addr` are inside. None at all are inside even at the end.
    pub const fn contains(&self, addr: Addr, len: u64) -> bool {
        // Below the segment the offset wraps round to a large one.
        let offset = addr.get().wrapping_sub(self.addr.get());
        offset <= self.len && len <= self.len - offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_eq_size!(Segment, [u64; 3]);

    #[test]
    fn every_page_size_is_found_by_its_bytes() {
        for page in [PageSize::K4, PageSize::K16, PageSize::K64] {
            assert_eq!(PageSize::from_bytes(page.bytes()), Some(page));
            assert_eq!(page.whole(0), page.bytes());
            assert_eq!(page.whole(page.bytes()), page.bytes());
            assert_eq!(page.whole(page.bytes() + 1), 2 * page.bytes());
            assert_eq!(page.whole(0u64.wrapping_sub(page.bytes())), 0u64.wrapping_sub(page.bytes()));
            assert_eq!(page.whole(u64::MAX), u64::MAX);
        }
        assert_eq!(PageSize::from_bytes(0x2000), None);
    }

    #[test]
    fn containment_at_the_edges() {
        let addr = Addr::new(0x2000);
        let segment = Segment { addr, len: 0x1000, prot: Prot::Read, block: 0 };
        assert!(segment.contains(addr, 0x1000));
        assert!(segment.contains(Addr::new(0x3000), 0));
        assert!(!segment.contains(addr, 0x1001));
        assert!(!segment.contains(Addr::new(0x1fff), 1));
        assert!(!segment.contains(Addr::new(0x3000), 1));
        assert!(!segment.contains(addr, u64::MAX));
    }
}
