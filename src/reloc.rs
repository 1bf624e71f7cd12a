//! Every static relocation of the ABI, as one table, and the function that applies a row of it.
//!
//! [`Reloc::apply`] turns the bits at a place into the bits that refer to a target, or says why it cannot. It is `const`
//! and touches no memory: [`Section`](crate::patch::Section) brings the bytes.
//!
//! Notation, as in AAELF64: `S` the symbol's address, `A` the addend, `P` the address of the place *in the executing
//! view*, `X` the value before bits of it are picked. Sums are modulo 2^64; checks see `X` as signed.

mod distinct;
mod form;
mod recipe;
mod row;
mod site;
mod stencil;
mod table;
mod value;

#[cfg(feature = "link")]
pub(crate) use distinct::distinct;
pub(crate) use recipe::{Recipe, Shape};
pub(crate) use stencil::Stencil;
pub use table::Reloc;
pub use value::{Class, Reason, Remedy, Slot, Value};

use crate::addr::Addr;
use crate::arena::Reach;
use core::ops::RangeInclusive;
use row::X;
use site::Site;

impl Reloc {
    /// The class of value it takes.
    pub const fn takes(self) -> Class {
        self.row().takes
    }

    /// Bytes of the place that it reads and writes: 0, 2, 4 or 8.
    pub const fn size(self) -> usize {
        self.row().site.size(self.row().hi)
    }

    /// Whether the place is data, in the data's byte order, and not an instruction, which is always little-endian.
    pub const fn is_data(self) -> bool {
        self.row().site.is_data()
    }

    /// What the address of the place must be a multiple of: 1, 4 or 8 bytes.
    pub const fn place_alignment(self) -> u64 {
        self.row().site.place_alignment()
    }

    /// What `X` must be a multiple of, in bytes: 1 to 16.
    pub const fn alignment(self) -> u64 {
        self.row().align as u64
    }

    /// The `X` in range, in bytes. Both ends can be reached: a branch ends at `+0x7fffffc`, an `ADRP` at `+0xfffff000`.
    pub const fn bounds(self) -> RangeInclusive<i64> {
        let (min, max) = self.row().bounds();
        min..=max
    }

    /// Whether `X` is measured from the place.
    pub const fn is_pc_relative(self) -> bool {
        matches!(self.row().x, X::Rel | X::Page)
    }

    /// Whether `X` counts whole pages: `Page(value) - Page(P)`.
    pub const fn is_paged(self) -> bool {
        matches!(self.row().x, X::Page)
    }

    /// The distances from place to target, `S + A - P`, that are in range wherever in its page the place lies; all, for a
    /// relocation that is not PC-relative.
    ///
    /// Of pages that is exact: a place at the end of its page, `...ffc`, is 4 bytes short of where the next one begins, so
    /// that the last target all places reach is the fourth byte of the last page.
    pub const fn reach(self) -> Reach {
        let (min, max) = self.row().bounds();
        match self.row().x {
            X::Page if max != i64::MAX => Reach { min, max: max + 3 },
            X::Rel => Reach { min, max },
            X::Page | X::None | X::Abs => Reach { min: i64::MIN, max: i64::MAX },
        }
    }

    /// The instructions that may stand at the place, in words.
    pub const fn expects(self) -> &'static str {
        self.row().site.expects(self.row().lo)
    }

    /// What brings a target that is out of range within reach; `None` where nothing does but moving one of the two.
    pub const fn remedy(self) -> Option<Remedy> {
        match self.row().site {
            Site::B | Site::Bl => Some(Remedy::Veneer),
            Site::Data if matches!(self, Self::PLT32) => Some(Remedy::Veneer),
            Site::CondBr | Site::TestBr => Some(Remedy::Hop),
            Site::Adr | Site::Adrp | Site::Literal | Site::LiteralX => Some(Remedy::Detour),
            _ => None,
        }
    }

    /// The value before masking, in bytes, modulo 2^64 and read as signed; `None` where the relocation takes another
    /// class of value.
    pub const fn x(self, place: Addr, value: Value) -> Option<i64> {
        if self.takes().takes(value) { Some(self.row().x(place, value)) } else { None }
    }

    /// Whether `X` is in range: false too where the relocation takes another class of value. Alignment and the
    /// instruction at the place are not looked at.
    pub const fn reaches(self, place: Addr, value: Value) -> bool {
        match self.x(place, value) {
            Some(x) => self.row().in_range(x),
            None => false,
        }
    }

    /// The bits of the place, relocated: `raw` with the field *replaced*, so that patching twice is patching once with
    /// the last value.
    ///
    /// `raw` holds [`size`](Self::size) bytes of the place as a number (instructions read little-endian, data in its own
    /// byte order); higher bits come back unchanged.
    ///
    /// # Errors
    ///
    /// In this order: [`Reason::NeedsSigning`], [`Reason::MisalignedPlace`], [`Reason::WrongOpcode`],
    /// [`Reason::WrongValue`], [`Reason::OutOfRange`], [`Reason::Misaligned`].
    ///
    /// ```
    /// use aarch64_reloc::{addr::Addr, reloc::{Reason, Reloc, Value}};
    /// const BL: Result<u64, Reason> =
    ///     Reloc::CALL26.apply(0x9400_0000, Addr::new(0x1000), Value::Addr(Addr::new(0x0ffc)));
    /// assert_eq!(BL, Ok(0x97ff_ffff));
    /// ```
    pub const fn apply(self, raw: u64, place: Addr, value: Value) -> Result<u64, Reason> {
        let row = self.row();
        if let Err(reason) = self.check_place(raw, place) {
            return Err(reason);
        }
        let Some(x) = self.x(place, value) else {
            return Err(Reason::WrongValue);
        };
        if !row.in_range(x) {
            return Err(Reason::OutOfRange { x });
        }
        if !row.is_aligned(x) {
            return Err(Reason::Misaligned { x });
        }
        Ok(row.site.insert(raw, x, row.hi, row.lo))
    }

    /// The inverse of [`apply`](Self::apply): the `X` that the field of `raw` holds, in bytes. It is sign-extended where
    /// the field is signed: whole pages for `ADRP`, the low twelve bits for a lo12, the bits of one group for a move.
    ///
    /// # Errors
    ///
    /// [`Reason::NeedsSigning`], [`Reason::MisalignedPlace`] and [`Reason::WrongOpcode`], as for `apply`.
    pub const fn read(self, raw: u64, place: Addr) -> Result<i64, Reason> {
        match self.check_place(raw, place) {
            Ok(()) => Ok(self.row().read(raw)),
            Err(reason) => Err(reason),
        }
    }

    /// `A` of an entry that holds none, in bytes: what stands in its place before it is relocated (AAELF64 5.7.2).
    ///
    /// Data is sign-extended; of an instruction the field is, scaled as the instruction has it. A move-wide and an `ADRP`
    /// are not scaled, so that they hold small addends: 16 and 21 bits of bytes. What marks an instruction, or replaces all
    /// of it, has an addend of 0. `raw` is as for [`apply`](Self::apply); whether it holds the right instruction, `apply`
    /// says.
    ///
    /// ```
    /// use aarch64_reloc::Reloc;
    /// assert_eq!(Reloc::CALL26.implicit_addend(0x97ff_ffff), -4);
    /// assert_eq!(Reloc::ADR_PREL_PG_HI21.implicit_addend(0xb000_0000), 1);
    /// ```
    pub const fn implicit_addend(self, raw: u64) -> i64 {
        self.row().implicit_addend(raw)
    }

    /// What does not depend on the value.
    const fn check_place(self, raw: u64, place: Addr) -> Result<(), Reason> {
        let row = self.row();
        if matches!(row.site, Site::Signed) {
            return Err(Reason::NeedsSigning);
        }
        if !place.is_aligned_to(row.site.place_alignment()) {
            return Err(Reason::MisalignedPlace);
        }
        if !row.site.accepts(raw as u32, row.lo) {
            return Err(Reason::WrongOpcode { found: raw as u32 });
        }
        Ok(())
    }
}
