//! Relocations recorded kind by kind, as an assembler can that knows the kind of each: the least to read, and none to decode.
//!
//! ```text
//! blocks   | CALL26 168 sites | ADRP 168 sites | ADD  17 sites | CALL26  5 sites | free ...    2048 bytes each
//! block    | value: u64 | value | ...          | offset: u32 | offset | ...      | kind |       12 bytes a site
//! ```
//!
//! A block holds sites of one kind, and a kind that has filled its block takes the next free one. So the blocks lie in about
//! the order of the text, and the text is gone through once, whatever the number of kinds.

use super::places::Sites;
use crate::reloc::{Class, Reloc, Value};
use core::fmt;

/// The storage of [`Block::SITES`] relocations of one kind, opaque; 2048 bytes.
///
/// Begin with [`Block::EMPTY`]; a [`Batch`] empties its storage before use, whatever it held.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Block {
    values: [u64; Block::SITES],
    offsets: [u32; Block::SITES],
    reloc: Reloc,
    len: u8,
    /// The lower bits of all offsets, or-ed: what all are aligned to.
    low: u8,
}

const _: () = assert!(size_of::<Block>() == 2048);

impl Block {
    /// Relocations in a block.
    pub const SITES: usize = 168;

    /// An unused block.
    pub const EMPTY: Self = Self::of(Reloc::NONE);

    const fn of(reloc: Reloc) -> Self {
        Self { values: [0; Self::SITES], offsets: [0; Self::SITES], reloc, len: 0, low: 0 }
    }

    pub(super) fn sites(&self) -> Sites<'_> {
        let used = ..usize::from(self.len);
        Sites {
            reloc: self.reloc,
            low: self.low,
            offsets: self.offsets.get(used).unwrap_or_default(),
            values: self.values.get(used).unwrap_or_default(),
        }
    }

    /// Whether there was room for the site.
    fn push(&mut self, offset: u32, value: u64) -> bool {
        let index = usize::from(self.len);
        let (Some(free), Some(place)) = (self.offsets.get_mut(index), self.values.get_mut(index)) else { return false };
        (*free, *place) = (offset, value);
        self.len += 1;
        self.low |= offset as u8;
        true
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Relocations recorded kind by kind, in the caller's storage; [`Section::patch_batch`](super::Section::patch_batch) applies
/// them.
///
/// Storage is an array, slice or vector of [`Block`]s: one for every [`Block::SITES`] relocations, and one more for each kind,
/// whose last block may not be full.
///
/// ```
/// use aarch64_reloc::{Addr, Reloc, Section, patch::{Batch, Block}};
/// let mut text = [0x00, 0x00, 0x00, 0x94, 0x00, 0x00, 0x00, 0x94]; // bl . ; bl .
/// let mut batch = Batch::new([Block::EMPTY; 4]);
/// let puts = Addr::new(0x41_0000);
/// batch.push(0, Reloc::CALL26, puts)?;
/// batch.push(4, Reloc::CALL26, puts)?;
/// Section::new(&mut text, Addr::new(0x40_0000)).patch_batch(&batch).unwrap();
/// assert_eq!(text, [0x00, 0x40, 0x00, 0x94, 0xff, 0x3f, 0x00, 0x94]);
/// # Ok::<(), aarch64_reloc::patch::BatchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch<T> {
    blocks: T,
    /// Blocks in use.
    used: u32,
    /// For each of [`Reloc::ALL`] the block that takes its next site; [`NONE`] where it has none.
    open: [u32; Reloc::ALL.len()],
}

/// No block.
const NONE: u32 = u32::MAX;

impl<T: AsRef<[Block]> + AsMut<[Block]>> Batch<T> {
    /// Nothing recorded yet.
    pub fn new(blocks: T) -> Self {
        Self { blocks, used: 0, open: [NONE; Reloc::ALL.len()] }
    }

    /// Forgets all relocations.
    pub fn clear(&mut self) {
        (self.used, self.open) = (0, [NONE; Reloc::ALL.len()]);
    }

    /// Records `reloc` at byte `offset` of the section, given `value`.
    ///
    /// # Errors
    ///
    /// [`BatchError::WrongValue`] where `reloc` takes another class of value, [`BatchError::Full`] where the storage has no
    /// block left. Nothing is recorded then.
    #[inline]
    pub fn push(&mut self, offset: u32, reloc: Reloc, value: impl Into<Value>) -> Result<(), BatchError> {
        let value = value.into();
        if !reloc.takes().takes(value) {
            return Err(BatchError::WrongValue { reloc, given: value.class() });
        }
        let open = self.open.get(reloc as usize).copied().unwrap_or(NONE);
        let open = self.blocks.as_mut().get_mut(open as usize);
        if open.is_some_and(|block| block.push(offset, value.bits())) {
            Ok(())
        } else {
            self.begin(offset, reloc, value)
        }
    }

    /// Records it as the first of a block.
    fn begin(&mut self, offset: u32, reloc: Reloc, value: Value) -> Result<(), BatchError> {
        let blocks = self.blocks.as_mut();
        let full = BatchError::Full(blocks.len());
        // The last number names no block.
        let (block, number) =
            blocks.get_mut(self.used as usize).filter(|_| self.used < NONE).map(|b| (b, self.used)).ok_or(full)?;
        *block = Block::of(reloc);
        block.push(offset, value.bits());
        if let Some(open) = self.open.get_mut(reloc as usize) {
            *open = number;
        }
        self.used = number + 1;
        Ok(())
    }

    /// How many relocations are recorded.
    pub fn len(&self) -> usize {
        self.blocks().iter().map(|block| usize::from(block.len)).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The blocks in use.
    pub(super) fn blocks(&self) -> &[Block] {
        self.blocks.as_ref().get(..self.used as usize).unwrap_or_default()
    }
}

/// Why a [`Batch`] did not record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum BatchError {
    /// All blocks, so many, are in use.
    Full(usize),
    /// The relocation takes another class of value.
    WrongValue {
        /// The relocation.
        reloc: Reloc,
        /// The class of what it was given.
        given: Class,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(count) => write!(f, "the batch is full: all {count} blocks are in use"),
            Self::WrongValue { reloc, given } => {
                write!(f, "{} takes {}, was given {}", reloc.name(), reloc.takes().name(), given.name())
            }
        }
    }
}

impl core::error::Error for BatchError {}
