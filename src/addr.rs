//! An address on the machine the code will run on.

use core::fmt;

/// A 64-bit address of the executing machine, whatever the host that links.
///
/// All arithmetic is modulo 2^64, as the processor's own address arithmetic is: a kernel address and a user address are
/// simply far apart. Nothing here panics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Addr(u64);

impl Addr {
    /// Bytes in the page of `ADRP`: 4 KiB, whatever the page size of the operating system (Arm ARM, `ADRP`).
    pub const PAGE: u64 = 1 << 12;

    /// The address `value`.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `Page(self)` of AAELF64: the address with its low twelve bits cleared.
    pub const fn page(self) -> Self {
        Self(self.0 & !(Self::PAGE - 1))
    }

    /// `self + addend` bytes, modulo 2^64.
    pub const fn plus(self, addend: i64) -> Self {
        Self(self.0.wrapping_add_signed(addend))
    }

    /// The address `offset` bytes further on, modulo 2^64.
    pub const fn at(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset as u64))
    }

    /// The first multiple of `align` bytes, a power of two, from this address on, modulo 2^64.
    pub const fn align_up(self, align: u64) -> Self {
        let mask = align.wrapping_sub(1);
        Self(self.0.wrapping_add(mask) & !mask)
    }

    /// Bytes from `origin` to `self`, modulo 2^64 and read as signed: `S - P` is `s.distance_from(p)`.
    pub const fn distance_from(self, origin: Self) -> i64 {
        self.0.wrapping_sub(origin.0).cast_signed()
    }

    /// The address without its tag: bits 63:56 are copies of bit 55, which says to which end of the address space it belongs
    /// (Arm ARM D8.8, top-byte-ignore).
    pub const fn untagged(self) -> Self {
        Self((self.0.cast_signed() << 8 >> 8).cast_unsigned())
    }

    /// Whether the address is a multiple of `align` bytes, a power of two.
    pub const fn is_aligned_to(self, align: u64) -> bool {
        self.0 & align.wrapping_sub(1) == 0
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addr({:#x})", self.0)
    }
}

/// An address is not where it must be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Misaligned {
    /// The address.
    pub addr: Addr,
    /// What it must be a multiple of, in bytes.
    pub align: u64,
}

impl Misaligned {
    pub(crate) const fn check(addr: Addr, align: u64) -> Result<(), Self> {
        if addr.is_aligned_to(align) { Ok(()) } else { Err(Self { addr, align }) }
    }
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a multiple of {}", self.addr, self.align)
    }
}

impl core::error::Error for Misaligned {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_wraps() {
        let kernel = Addr::new(0xffff_8000_0000_0000);
        let user = Addr::new(0x1000);
        assert_eq!(user.distance_from(kernel), 0x8000_0000_1000);
        assert_eq!(kernel.plus(user.distance_from(kernel)), user);
        assert_eq!(Addr::new(u64::MAX).at(1), Addr::new(0));
    }

    #[test]
    fn a_tag_gives_way_to_bit_55() {
        assert_eq!(Addr::new(0x5600_ffff_1234_5678).untagged(), Addr::new(0x0000_ffff_1234_5678));
        assert_eq!(Addr::new(0x56ff_8000_0000_0000).untagged(), Addr::new(0xffff_8000_0000_0000));
    }

    #[test]
    fn pages_are_4_kib() {
        assert_eq!(Addr::new(0x1fff).page(), Addr::new(0x1000));
        assert_eq!(Addr::new(u64::MAX).page(), Addr::new(0xffff_ffff_ffff_f000));
    }
}
