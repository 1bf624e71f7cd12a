//! The tables that linking needs, lent by the caller, and what is in them.

use super::isles::{CELL, Isle};
use super::kinds::slots;
use super::order::{self, Step};
use super::parts::FULL;
use super::sequence::Ordered;
use crate::addr::Addr;
use crate::arena::Prot;
use crate::got::Kind;
use crate::patch::Fixup;
use crate::{got, veneer};
use bitfield_struct::bitfield;

/// The tables, as slices: of arrays, of a static, of a `Vec`. Their content does not matter before.
#[derive(Debug)]
pub struct Tables<'t, 'data> {
    /// One an object.
    pub objects: &'t mut [First],
    /// One a section.
    pub sections: &'t mut [Placed],
    /// One a symbol.
    pub symbols: &'t mut [Target],
    /// Hash buckets for the names of symbols.
    pub names: &'t mut [u64],
    /// Hash buckets for the names of output sections.
    pub output_names: &'t mut [u64],
    /// Hash buckets for the keys of section groups.
    pub groups: &'t mut [u64],
    /// One a section that has an order.
    pub ordered: &'t mut [Ordered<'data>],
    /// One an output section.
    pub outputs: &'t mut [Output<'data>],
    /// One a segment.
    pub segments: &'t mut [Segment],
    /// One a GOT slot.
    pub slots: &'t mut [got::Entry],
    /// One an island.
    pub islands: &'t mut [Isle],
    /// One a cell of an island.
    pub veneers: &'t mut [veneer::Cell],
    /// One a relocation.
    pub fixups: &'t mut [Fixup],
}

/// Where an object's own records start in the tables of all, and its share of the GOT.
#[derive(Clone, Copy, Debug, Default)]
pub struct First {
    pub(super) section: usize,
    pub(super) symbol: usize,
    /// The number and the address of the object's base of the GOT.
    pub(super) base: u32,
    pub(super) got: Addr,
    /// It has relocations that reach only the slots near its base.
    pub(super) has_near: bool,
}

/// Where an input section lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placed {
    /// The output section; [`NONE`] for a section that is not loaded, [`LEFT_OUT`] for one of a group that another object
    /// has.
    pub(super) output: u32,
    /// The island that follows it, or [`NONE`].
    pub(super) isle: u32,
    /// It comes after those of no order.
    pub(super) is_ordered: bool,
    /// Bytes between it and what is before it, if its output section [is filled](Output::is_filled).
    pub(super) gap: u8,
    /// Bytes from the output section's start.
    pub(super) offset: u64,
    /// Bytes by which it was moved since what the islands need was counted.
    pub(super) moved: i64,
    pub(super) run: Run,
}

/// Of a section of relocations: the number of the section that they change, else [`NONE`]; and what the plan makes of them, which is the
/// `count` fixups from number `first` on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub(super) of: u32,
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Placed {
    /// A section that is not loaded.
    pub(super) const NOWHERE: Self = Self {
        output: NONE,
        isle: NONE,
        is_ordered: false,
        gap: 0,
        offset: 0,
        moved: 0,
        run: Run { of: NONE, first: 0, count: 0 },
    };
}

/// No record.
pub(super) const NONE: u32 = u32::MAX;
/// In the place of a segment's number: the output section lies in its object.
pub(super) const IN_PLACE: u32 = u32::MAX - 1;
/// No record, because the section is of a group that is kept elsewhere.
pub(super) const LEFT_OUT: u32 = u32::MAX - 1;

/// A symbol: which definition it means, and what is known of that. Relocations refer to them in no order, so that each lies
/// in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub struct Target {
    /// Where it is, once the layout is known.
    pub(super) addr: Addr,
    /// The symbol that defines it, as an index in this table; itself, where it does.
    pub(super) definer: u32,
    /// The object whose symbol it is, and the index there.
    pub(super) object: u32,
    pub(super) index: u32,
    /// The section that holds it, as an index in the table of sections, or [`NONE`].
    pub(super) section: u32,
    /// The number of its slot of the GOT, or [`NONE`]: once one is counted that is the same for all objects, and as long as none
    /// is to lie near a base. While the objects get their bases, the last base that a slot near it is wanted of.
    pub(super) slot: u32,
    pub(super) state: State,
    /// log2 of the alignment of a common symbol.
    pub(super) align: u8,
    /// The kinds of entries of the GOT that are counted for it, a bit each.
    pub(super) entries: u8,
    pub(super) flags: Flags,
}

const _: () = assert!(size_of::<Target>() == 32);

/// What else there is to know of a symbol.
#[bitfield(u8)]
pub(super) struct Flags {
    /// It has an address that is no variable's of a thread: what is given that needs no more to be known.
    pub(super) is_plain: bool,
    pub(super) weak: bool,
    pub(super) global: bool,
    pub(super) hidden: bool,
    pub(super) function: bool,
    /// What is defined is the function that tells where the one is that is meant.
    pub(super) indirect: bool,
    /// A veneer to its slot is counted for it.
    pub(super) veneer: bool,
    /// Reported undefined.
    pub(super) reported: bool,
}

impl Target {
    /// One of which nothing is known.
    pub(super) const EMPTY: Self = Self {
        addr: Addr::new(0),
        definer: 0,
        object: 0,
        index: 0,
        section: NONE,
        slot: NONE,
        state: State::Unreadable,
        align: 0,
        entries: 0,
        flags: Flags::new(),
    };

    /// Counts an entry of the GOT for it, unless there is one of the kind: so many slots more.
    pub(super) fn count(&mut self, kind: Kind) -> usize {
        let before = self.entries;
        self.entries |= 1 << kind as u8;
        if self.entries == before { 0 } else { slots(kind) }
    }

    /// Counts a veneer to its slot for it, unless that was done before, which it answers.
    pub(super) fn count_veneer(&mut self) -> bool {
        let before = self.flags;
        self.flags = before.with_veneer(true);
        before.veneer()
    }

    /// Takes down that it was reported, unless that was done before, which it answers.
    pub(super) fn report(&mut self) -> bool {
        let before = self.flags;
        self.flags = before.with_reported(true);
        before.reported()
    }

    pub(super) fn has_addr(&self) -> bool {
        matches!(self.state, State::Defined | State::Common | State::Absolute | State::External)
            || matches!(self.state, State::Made | State::GotBase)
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// What defines a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum State {
    /// Nothing that could be read.
    #[default]
    Unreadable,
    /// A section of an object.
    Defined,
    /// The room that the linker gives to common symbols.
    Common,
    /// A number.
    Absolute,
    /// A section of a group that is kept elsewhere.
    LeftOut,
    /// No object.
    Undefined,
    /// No object, but the resolver knows its address.
    External,
    /// No object, but the linker makes it.
    Made,
    /// No object: it is the base of the GOT, of each object its own.
    GotBase,
    /// No object: it is the start of the template of thread-local storage.
    TlsBase,
    /// A section that is not loaded.
    NotLoaded,
    /// Nothing, which is lawful for a weak symbol.
    Null,
}

/// An output section: the input sections of one name and protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Output<'data> {
    pub(super) name: &'data str,
    pub(super) prot: Prot,
    pub(super) addr: Addr,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) segment: u32,
    /// When it is placed, among those of its protection.
    pub(super) step: Step,
    pub(super) zeros: bool,
    /// There is nothing in it but bytes of its sections, and the gap that each knows of.
    pub(super) is_filled: bool,
    /// It is part of the template of thread-local storage.
    pub(super) is_thread_local: bool,
    /// It lies where the caller says.
    pub(super) is_pinned: bool,
    /// Of an executable one, the last of its input sections and the one before that, or [`NONE`]; and the bytes from its start
    /// to the first and to the last of the wide islands inside it, 0 where there is none.
    pub(super) last: u32,
    pub(super) last_but_one: u32,
    pub(super) until: u64,
    pub(super) since: u64,
}

impl Output<'_> {
    /// Makes room for `size` bytes at a multiple of `align`, and says at which offset.
    pub(super) fn append(&mut self, align: u64, size: u64) -> Option<u64> {
        let offset = self.size.checked_next_multiple_of(align)?;
        self.size = offset.checked_add(size)?;
        self.align = self.align.max(align);
        Some(offset)
    }

    /// Makes room for an island of `size` bytes at its end, and says at which offset: a multiple of 16 in memory, where it is
    /// pinned without regard to the alignment of the whole.
    pub(super) fn append_isle(&mut self, size: u64) -> Option<u64> {
        if size == 0 {
            return Some(self.size);
        }
        if !self.is_pinned() {
            return self.append(CELL as u64, size);
        }
        let start = self.addr.plus(self.size.cast_signed()).align_up(CELL as u64);
        let offset = start.distance_from(self.addr).cast_unsigned();
        self.size = offset.checked_add(size)?;
        Some(offset)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Its final protection.
    pub fn prot(&self) -> Prot {
        self.prot
    }

    /// Its address.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What its address is a multiple of, in bytes.
    pub fn align(&self) -> u64 {
        self.align
    }

    /// Whether it lies where the caller says.
    pub(super) fn is_pinned(&self) -> bool {
        FULL && self.is_pinned
    }

    pub(super) fn is_text(&self) -> bool {
        self.prot == Prot::ReadExec
    }

    /// The address after its last byte.
    pub(super) fn end(&self) -> Addr {
        self.addr.plus(self.size.cast_signed())
    }

    /// Whether it is `.tdata` or `.tbss`: what a thread's block begins as ([`Template`](super::Template)).
    pub fn is_thread_local(&self) -> bool {
        FULL && self.is_thread_local
    }

    /// Whether it is all zeros, which a file need not hold.
    pub fn is_zeros(&self) -> bool {
        self.zeros
    }

    /// The index of its segment; `None` for one that has none: it is empty, or [lies in place](Self::is_in_place).
    pub fn segment(&self) -> Option<usize> {
        (self.segment < IN_PLACE).then_some(self.segment as usize)
    }

    /// Whether it is a section of an object that runs where it lies ([`Options::in_place`](super::Options::in_place)).
    pub fn is_in_place(&self) -> bool {
        FULL && self.segment == IN_PLACE
    }
}

impl Default for Output<'_> {
    fn default() -> Self {
        Self {
            name: "",
            prot: Prot::Read,
            addr: Addr::new(0),
            size: 0,
            align: 1,
            segment: NONE,
            step: order::FIRST,
            zeros: true,
            is_filled: false,
            is_thread_local: false,
            is_pinned: false,
            last: NONE,
            last_but_one: NONE,
            until: 0,
            since: 0,
        }
    }
}

/// Output sections of one protection, in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub(super) prot: Prot,
    pub(super) addr: Addr,
    pub(super) size: u64,
    pub(super) in_file: u64,
}

impl Segment {
    /// The final protection.
    pub fn prot(&self) -> Prot {
        self.prot
    }

    /// The address of the first byte.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// The size in bytes, not rounded up to pages.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from its start that a file must hold; what follows is zeros.
    pub fn in_file(&self) -> u64 {
        self.in_file
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self { prot: Prot::Read, addr: Addr::new(0), size: 0, in_file: 0 }
    }
}

/// [`Tables`](crate::link::Tables) of the lengths in a constant, a [`Needs`](crate::link::Needs): arrays where the macro stands.
///
/// ```
/// use aarch64_reloc::{link::{Needs, Tables}, tables};
/// // As `Debug` writes it.
/// const NEEDS: Needs = Needs {
///     objects: 1, sections: 9, symbols: 12, names: 8, output_names: 12, groups: 0, ordered: 0,
///     outputs: 6, segments: 2, slots: 1, islands: 1, veneers: 2, fixups: 4,
/// };
/// let tables: Tables<'_, '_> = tables!(NEEDS);
/// assert_eq!((tables.symbols.len(), tables.veneers.len()), (12, 2));
/// ```
#[macro_export]
macro_rules! tables {
    ($needs:expr) => {
        $crate::link::Tables {
            objects: &mut [Default::default(); $needs.objects],
            sections: &mut [Default::default(); $needs.sections],
            symbols: &mut [Default::default(); $needs.symbols],
            names: &mut [0; $needs.names],
            output_names: &mut [0; $needs.output_names],
            groups: &mut [0; $needs.groups],
            ordered: &mut [Default::default(); $needs.ordered],
            outputs: &mut [Default::default(); $needs.outputs],
            segments: &mut [Default::default(); $needs.segments],
            slots: &mut [Default::default(); $needs.slots],
            islands: &mut [Default::default(); $needs.islands],
            veneers: &mut [Default::default(); $needs.veneers],
            fixups: &mut [Default::default(); $needs.fixups],
        }
    };
}
