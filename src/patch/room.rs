//! Room to move: how far a section, or what it refers to, may go before a relocation no longer fits.

use super::Fixup;
use crate::addr::Addr;
use crate::reloc::{Class, Reason, Reloc};

/// The distances by which something may move so that every fixup of a list can be applied: all from
/// [`first`](Self::first) to [`last`](Self::last), in steps of [`step`](Self::step) bytes, modulo 2^64.
///
/// It is exact. The bytes at the places are not looked at; what fits no place, whatever moves, leaves no room: a value of
/// the wrong class, one that is not aligned as its relocation wants, a pointer that must be signed when the program runs.
/// A relocation that the ABI does not check, such as `R_AARCH64_ADR_PREL_PG_HI21_NC`, fits everywhere.
///
/// ```
/// use aarch64_reloc::{Addr, Fixup, Reloc, patch::Room};
/// let table = Addr::new(0x40_2345);
/// let fixups = [Fixup::new(0, Reloc::ADR_PREL_PG_HI21, table), Fixup::new(4, Reloc::ADD_ABS_LO12_NC, table)];
/// // The table may move by whole pages: its own from 4 GiB below that of the code to just short of 4 GiB above.
/// let text = Addr::new(0x40_0ffc);
/// let room = Room::of_targets(text, &fixups).unwrap();
/// assert_eq!((room.first(), room.last(), room.step()), (-0x1_0000_2000, 0xffff_d000, 4096));
/// // The code may move by whole instructions, to the end of the page that is 4 GiB above the table's.
/// let room = Room::of_section(text, &fixups).unwrap();
/// assert_eq!((room.first(), room.last(), room.step()), (-0xffff_dffc, 0x1_0000_2000, 4));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Room {
    first: i64,
    /// Bytes from `first` to the last, a multiple of `step`. It is 2^64 - `step`, which is everything, or below 2^63: the
    /// longest interval of the table is that of a `MOVW_PREL_G2`.
    span: u64,
    /// A power of two.
    step: u64,
}

impl Room {
    /// By how much the section at `addr` may move while the targets of its `fixups` stay; `None` where it fits nowhere.
    ///
    /// The steps are those of the places' alignment: 4 bytes where there is an instruction.
    pub fn of_section(addr: Addr, fixups: &[Fixup]) -> Option<Self> {
        fixups.iter().try_fold(Self::all(1), |room, fixup| {
            let (reloc, place) = (fixup.reloc(), addr.at(fixup.offset()));
            let x = x(fixup, place)?;
            let aligned = Self { first: Addr::new(0).distance_from(place), ..Self::all(reloc.place_alignment()) };
            let room = room.and(aligned)?;
            if !reloc.is_pc_relative() {
                return reloc.bounds().contains(&x).then_some(room);
            }
            // X falls as the place rises: by the byte, or by the page and not before the next one begins.
            let towards = Self::between(reloc, x);
            let page = if reloc.is_paged() { Addr::PAGE } else { 1 };
            let within = place.get() & (page - 1);
            let first = towards.last().wrapping_neg().wrapping_sub_unsigned(within);
            room.and(Self { first, span: towards.span.saturating_add(page - 1), step: 1 })
        })
    }

    /// By how much the targets of `fixups` may move, all together and in whole pages of 4 KiB, while the section at `addr`
    /// stays; `None` where they fit nowhere.
    ///
    /// This is how far apart two segments may lie, where `fixups` are what one refers to in the other. Values of
    /// [`Class::Offset`] do not move.
    pub fn of_targets(addr: Addr, fixups: &[Fixup]) -> Option<Self> {
        fixups.iter().try_fold(Self::all(Addr::PAGE), |room, fixup| {
            let (reloc, place) = (fixup.reloc(), addr.at(fixup.offset()));
            let x = x(fixup, place).filter(|_| place.is_aligned_to(reloc.place_alignment()))?;
            match reloc.takes() {
                Class::Addr | Class::Slot => room.and(Self::between(reloc, x)),
                Class::Offset | Class::Any => reloc.bounds().contains(&x).then_some(room),
            }
        })
    }

    /// What both leave; `None` where they have nothing in common. For what moves together: sections of one segment.
    pub fn and(self, other: Self) -> Option<Self> {
        let (fine, coarse) = if self.step <= other.step { (self, other) } else { (other, self) };
        let from = |start: i64, end: i64| end.wrapping_sub(start).cast_unsigned();
        if from(coarse.first, fine.first) & (fine.step - 1) != 0 {
            return None;
        }
        if fine.is_all() {
            return Some(coarse);
        }
        // One of the two begins inside the other, and not both do: neither goes half way round.
        let (first, span) = if coarse.is_all() {
            (fine.first, fine.span)
        } else if let Some(rest) = coarse.span.checked_sub(from(coarse.first, fine.first)) {
            (fine.first, fine.span.min(rest))
        } else {
            (coarse.first, coarse.span.min(fine.span.checked_sub(from(fine.first, coarse.first))?))
        };
        let skipped = from(first, coarse.first) & (coarse.step - 1);
        let span = span.checked_sub(skipped)? & !(coarse.step - 1);
        Some(Self { first: first.wrapping_add_unsigned(skipped), span, step: coarse.step })
    }

    /// Whether it may move by `distance` bytes.
    pub const fn contains(self, distance: i64) -> bool {
        let from_first = distance.wrapping_sub(self.first).cast_unsigned();
        from_first <= self.span && from_first & (self.step - 1) == 0
    }

    /// The least distance, in bytes: modulo 2^64 and read as signed, so that it may be above [`last`](Self::last).
    pub const fn first(self) -> i64 {
        self.first
    }

    /// The greatest distance, in bytes.
    pub const fn last(self) -> i64 {
        self.first.wrapping_add_unsigned(self.span)
    }

    /// Bytes from one distance to the next: a power of two.
    pub const fn step(self) -> u64 {
        self.step
    }

    /// Every multiple of `step`.
    const fn all(step: u64) -> Self {
        Self { first: 0, span: step.wrapping_neg(), step }
    }

    const fn is_all(self) -> bool {
        self.span == self.step.wrapping_neg()
    }

    /// What may be added to `x` for `reloc` to reach.
    fn between(reloc: Reloc, x: i64) -> Self {
        let bounds = reloc.bounds();
        let span = bounds.end().wrapping_sub(*bounds.start()).cast_unsigned();
        Self { first: bounds.start().wrapping_sub(x), span, step: 1 }
    }
}

/// `X` at `place`; `None` where it cannot be applied at any.
fn x(fixup: &Fixup, place: Addr) -> Option<i64> {
    let (reloc, value) = (fixup.reloc(), fixup.value());
    let unsigned = reloc.read(0, Addr::new(0)) != Err(Reason::NeedsSigning);
    // What is measured from the place is aligned where the value is, for the place always is.
    let aligned = Addr::new(value.bits()).is_aligned_to(reloc.alignment());
    reloc.x(place, value).filter(|_| unsigned && aligned)
}
