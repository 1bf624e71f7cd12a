//! The ledger of a global offset table: which entry has which slot, and what stands in it.
//!
//! ```text
//! base             +8               +16              +24              +32              +40
//! | GDAT(puts)     | GTPREL(errno)  | GTLSIDX(cache)                  | free           |
//! | address        | TPREL          | module           DTPREL         | 0              |
//! ```
//!
//! A slot lies where it lies until it is removed, for code refers to it; so a symbol is re-pointed by one store of
//! eight bytes, with no instruction changed. Nothing is written before [`Got::write`], so a ledger serves a plan as
//! well as the table itself. The entries are those of AAELF64, "Relocation operations"; a slot is eight bytes at a
//! multiple of eight.

use crate::addr::{Addr, Misaligned};
use crate::patch::{PatchError, Section};
use crate::reloc::{Reloc, Slot};
use crate::slots::{Key, Slots, State, Units};
use core::fmt;

/// The storage of one slot, opaque: an array, slice or vector of as many as there shall be slots.
pub use crate::slots::Record as Entry;

/// Bytes of a slot.
const SLOT: usize = 8;

/// The name of what a slot refers to: any number that is the caller's own.
///
/// It is not an address: two symbols at one address keep two slots, so that either can be re-pointed alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Symbol(u64);

impl Symbol {
    /// The symbol numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The kinds of entry, as AAELF64, "Relocation operations", names them. A symbol may have one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// `GDAT(S)`: see [`Content::Gdat`].
    Gdat,
    /// `GTPREL(S)`: see [`Content::Gtprel`].
    Gtprel,
    /// `GTLSIDX(S)`: see [`Content::Gtlsidx`].
    Gtlsidx,
    /// `GLDM(S)`: see [`Content::Gldm`].
    Gldm,
    /// `GTLSDESC(S)`: see [`Content::Gtlsdesc`].
    Gtlsdesc,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Gdat, Self::Gtprel, Self::Gtlsidx, Self::Gldm, Self::Gtlsdesc];

    const fn of(self, symbol: Symbol) -> Key {
        Key { id: symbol.0, kind: self as u8 }
    }
}

/// What stands in an entry: one slot or two, the second right after the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// `GDAT(S)`, one slot: the address of S.
    Gdat(Addr),
    /// `GTPREL(S)`, one slot: the offset of S from the thread pointer, in bytes.
    Gtprel(i64),
    /// `GTLSIDX(S)`, two slots: the argument of `__tls_get_addr`.
    Gtlsidx {
        /// The number of the module that defines S.
        module: u64,
        /// The offset of S within the module's block, in bytes.
        offset: i64,
    },
    /// `GLDM(S)`, two slots: the argument of `__tls_get_addr` for the start of a module's block, the second slot being
    /// zero. One entry serves the whole module: give the same symbol for all of its variables.
    Gldm {
        /// The number of the module.
        module: u64,
    },
    /// `GTLSDESC(S)`, two slots: a TLS descriptor.
    Gtlsdesc {
        /// The function that the code calls.
        resolver: Addr,
        /// What the function finds beside its own address.
        argument: u64,
    },
}

impl Content {
    /// The kind of entry it belongs into.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Gdat(_) => Kind::Gdat,
            Self::Gtprel(_) => Kind::Gtprel,
            Self::Gtlsidx { .. } => Kind::Gtlsidx,
            Self::Gldm { .. } => Kind::Gldm,
            Self::Gtlsdesc { .. } => Kind::Gtlsdesc,
        }
    }

    const fn to_units(self) -> Units {
        match self {
            Self::Gdat(target) => Units::One(target.get()),
            Self::Gtprel(offset) => Units::One(offset.cast_unsigned()),
            Self::Gtlsidx { module, offset } => Units::Two([module, offset.cast_unsigned()]),
            Self::Gldm { module } => Units::Two([module, 0]),
            Self::Gtlsdesc { resolver, argument } => Units::Two([resolver.get(), argument]),
        }
    }

    pub(crate) const fn from_words(kind: Kind, [first, second]: [u64; 2]) -> Self {
        match kind {
            Kind::Gdat => Self::Gdat(Addr::new(first)),
            Kind::Gtprel => Self::Gtprel(first.cast_signed()),
            Kind::Gtlsidx => Self::Gtlsidx { module: first, offset: second.cast_signed() },
            Kind::Gldm => Self::Gldm { module: first },
            Kind::Gtlsdesc => Self::Gtlsdesc { resolver: Addr::new(first), argument: second },
        }
    }
}

impl From<Addr> for Content {
    fn from(target: Addr) -> Self {
        Self::Gdat(target)
    }
}

/// The ledger of a global offset table at a known address.
///
/// `T` is the storage: `[Entry; N]`, `&mut [Entry]`, `Vec<Entry>`, or a `heapless::Vec` filled to the wanted length.
/// There are as many slots as entries, at most 2^32 - 1. Finding, making and removing an entry take constant time
/// whatever the number, unless the symbols were chosen to collide.
///
/// ```
/// use aarch64_reloc::{addr::Addr, got::{Entry, Got, Symbol}};
/// let mut got = Got::new([Entry::default(); 64], Addr::new(0x42_0000))?;
/// let puts = got.slot_for(Symbol::new(7), Addr::new(0x7fff_0000_1000))?;
/// assert_eq!(puts.addr(), Addr::new(0x42_0000));
/// assert_eq!(got.slot_for(Symbol::new(7), Addr::new(0x7fff_0000_1000)), Ok(puts));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Got<T> {
    base: Addr,
    slots: Slots<T>,
}

impl<T: AsRef<[Entry]> + AsMut<[Entry]>> Got<T> {
    /// An empty table at `base`. What `storage` held is overwritten.
    ///
    /// # Errors
    ///
    /// `base` is not a multiple of 8.
    pub fn new(storage: T, base: Addr) -> Result<Self, Misaligned> {
        Misaligned::check(base, SLOT as u64)?;
        Ok(Self { base, slots: Slots::new(storage) })
    }

    /// The slot of `symbol` for this kind of content, the first of two if it takes two. It is made if there is none; if
    /// there is one, its content stays: who re-pointed a symbol does not want the next relocation to undo it. See
    /// [`repoint`](Self::repoint).
    ///
    /// # Errors
    ///
    /// No slot, or no two side by side, are free.
    #[inline]
    pub fn slot_for(&mut self, symbol: Symbol, content: impl Into<Content>) -> Result<Slot, Full> {
        let content = content.into();
        match self.get(symbol, content.kind()) {
            Some(slot) => Ok(slot),
            None => self.make(content.kind().of(symbol), content.to_units()),
        }
    }

    /// The slot of `key`, which has none yet.
    fn make(&mut self, key: Key, units: Units) -> Result<Slot, Full> {
        match self.slots.add(key, units) {
            Some(unit) => Ok(self.slot(unit)),
            None => Err(Full { capacity: self.capacity(), used: self.len() }),
        }
    }

    /// Makes entries `GDAT(S)`, the first of all: of `count` symbols, each in the slot whose number comes with it, which are those
    /// from 0 on. Answers whether there is room.
    #[cfg(feature = "link")]
    pub(crate) fn fill(&mut self, count: u32, symbols: impl Iterator<Item = (u32, Symbol, Addr)>) -> bool {
        self.slots.fill(count, symbols.map(|(unit, symbol, target)| (unit, Kind::Gdat.of(symbol), target.get())))
    }

    /// Replaces what stands in the entry of `symbol` of this kind, and returns its slot; `None` if there is no such
    /// entry.
    ///
    /// In a table that is in use, the way is one store to the slot, and the ledger follows.
    pub fn repoint(&mut self, symbol: Symbol, content: impl Into<Content>) -> Option<Slot> {
        let content = content.into();
        let unit = self.slots.find(content.kind().of(symbol))?;
        self.slots.set(unit, content.to_units());
        Some(self.slot(unit))
    }

    /// The slot of `symbol` of this kind, if it has one.
    #[inline]
    pub fn get(&self, symbol: Symbol, kind: Kind) -> Option<Slot> {
        self.slots.find(kind.of(symbol)).map(|unit| self.slot(unit))
    }

    /// Frees all slots. Nothing may use any of them any more.
    pub fn clear(&mut self) {
        self.slots.empty();
    }

    /// Frees the entry of `symbol` of this kind and returns the slot it had. No code may refer to it any more: the next
    /// entry takes it.
    pub fn remove(&mut self, symbol: Symbol, kind: Kind) -> Option<Slot> {
        self.slots.remove(kind.of(symbol)).map(|unit| self.slot(unit))
    }

    /// `slot - GOT`, in bytes: what the `GOTOFF` relocations take.
    pub const fn offset_of(&self, slot: Slot) -> i64 {
        slot.addr().distance_from(self.base)
    }

    /// `slot - Page(GOT)`, in bytes: what `R_AARCH64_LD64_GOTPAGE_LO15` takes; 0 to 32760 are in its reach.
    pub const fn page_offset_of(&self, slot: Slot) -> i64 {
        slot.addr().distance_from(self.base.page())
    }

    /// The address of the table: `GOT` of AAELF64.
    pub const fn base(&self) -> Addr {
        self.base
    }

    /// The slots in use; an entry of two counts as two.
    pub fn len(&self) -> usize {
        self.slots.used() as usize
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slots there are.
    pub fn capacity(&self) -> usize {
        self.slots.capacity() as usize
    }

    /// The bytes of the table to allocate: up to the highest slot that was ever in use.
    pub fn size(&self) -> usize {
        self.slots.end() as usize * SLOT
    }

    /// The symbol whose entry begins at `slot`.
    pub fn symbol_of(&self, slot: Slot) -> Option<Symbol> {
        let unit = self.unit_of(slot)?;
        let record = self.slots.get(unit).filter(|record| record.state() == State::First)?;
        (self.slot(unit) == slot).then_some(Symbol(record.key().id))
    }

    /// The entries, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, Slot, Content)> {
        self.slots.iter().filter_map(|(unit, record)| {
            let Key { id, kind } = record.key();
            let kind = *Kind::ALL.get(usize::from(kind))?;
            let content = Content::from_words(kind, [record.value(), self.word(unit | 1)]);
            Some((Symbol(id), self.slot(unit), content))
        })
    }

    /// Writes the first [`size`](Self::size) bytes of the table where they lie in `section`, in the byte order of its
    /// data; slots that are free become zero.
    ///
    /// # Errors
    ///
    /// The section does not hold all of them; those before are written.
    pub fn write(&self, section: &mut Section<'_>) -> Result<(), PatchError> {
        (0..self.slots.end()).try_for_each(|unit| {
            let offset = section.offset_of(self.slot(unit).addr());
            section.patch(offset, Reloc::ABS64, Addr::new(self.word(unit)))
        })
    }

    /// The number of a slot of this table.
    pub(crate) fn unit_of(&self, slot: Slot) -> Option<u32> {
        u32::try_from(self.offset_of(slot) / SLOT as i64).ok()
    }

    fn word(&self, unit: u32) -> u64 {
        self.slots.get(unit).map_or(0, Entry::value)
    }

    /// The slot numbered `unit`, from 0 on, whether or not it is in use.
    pub(crate) fn slot(&self, unit: u32) -> Slot {
        Slot::new(self.base.plus(i64::from(unit) * SLOT as i64))
    }
}

/// There is no room for another entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Full {
    /// The slots there are.
    pub capacity: usize,
    /// The slots in use. If that is not all of them, two side by side were wanted.
    pub used: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity, used } = self;
        if used == capacity {
            write!(f, "GOT is full: all {capacity} slots are in use")
        } else {
            write!(f, "GOT is full: no two slots side by side are free, {used} of {capacity} are in use")
        }
    }
}

impl core::error::Error for Full {}
