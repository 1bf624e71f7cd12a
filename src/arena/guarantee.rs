//! What a range promises to everything in it.

use super::{Arena, Block};
use crate::addr::Addr;
use crate::reloc::{Class, Reason, Reloc, Value};

impl<T: AsRef<[Block]> + AsMut<[Block]>> Arena<T> {
    /// Whether every place in the range encodes every target in it, by `reloc`: an address, the end of the range apart, or
    /// the slot of a GOT. Alignment and the instruction at the place are not looked at; an addend counts as part of the
    /// address.
    ///
    /// Exact: where the answer is no, there is a place and a target in the range that [`Reloc::apply`] refuses. It is no
    /// too for an offset that is checked (TLS, or from the GOT), which no range decides, and for a place that is to be
    /// signed.
    ///
    /// ```
    /// # use aarch64_reloc::{addr::Addr, arena::*, reloc::Reloc};
    /// let arena = Arena::new([Block::EMPTY; 1], Addr::new(0x4000_0000), 1 << 27, PageSize::K4)?;
    /// assert!(arena.guarantees(Reloc::CALL26));
    /// assert!(arena.guarantees(Reloc::ABS32));
    /// assert!(!arena.guarantees(Reloc::CONDBR19));
    /// # Ok::<(), ArenaError>(())
    /// ```
    pub fn guarantees(&self, reloc: Reloc) -> bool {
        if reloc.read(0, self.base) == Err(Reason::NeedsSigning) {
            return false;
        }
        if reloc.bounds() == (i64::MIN..=i64::MAX) {
            return true;
        }
        if reloc.is_pc_relative() {
            return reloc.reach().spans(self.len);
        }
        let (first, last) = (self.base, Addr::new(self.base.get() + (self.len - 1)));
        let encodes = |addr| reloc.reaches(self.base, Value::Addr(addr));
        // Read as signed, a range over 2^63 turns from the greatest number to the least, which no bounds have both.
        let turns = first.get().cast_signed() > last.get().cast_signed();
        reloc.takes() == Class::Addr && !turns && encodes(first) && encodes(last)
    }
}
