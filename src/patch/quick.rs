//! The quick way: ordinary places by a recipe, and what is not ordinary by [`Section::patch_exactly`].
//!
//! A place is ordinary where eight bytes are left from it on and its recipe passes. That is nearly always, so a processor
//! predicts it, and nothing else in a batch is a branch.

use super::{Endian, Fixup, PatchError, Section};
use crate::addr::Addr;
use crate::reloc::{Class, Recipe, Reloc, Value};

/// Whether there is a quick way: its tables are not for every flash.
pub(crate) const QUICK: bool = cfg!(feature = "fast");

impl Reloc {
    /// Whether the place where `bytes` begin would take `value`, which is of `class`, and all of it is ordinary.
    #[inline]
    pub(crate) fn passes_quickly(self, bytes: &[u8], place: Addr, class: Class, value: u64, endian: Endian) -> bool {
        let recipe = self.recipe();
        let Some(&word) = bytes.first_chunk::<8>() else { return false };
        let word = u64::from_le_bytes(word) as u32;
        let is_swapped = endian == Endian::Big;
        QUICK && recipe.takes(class) && recipe.fits(word, is_swapped) && recipe.apply(word, place, value).is_some()
    }
}

impl Section<'_> {
    /// Applies `reloc` if all of it is ordinary; otherwise nothing has changed.
    #[inline]
    pub(super) fn patch_quickly(&mut self, offset: usize, reloc: Reloc, value: Value) -> bool {
        let recipe = reloc.recipe();
        QUICK
            && recipe.takes(value.class())
            && apply(self.bytes, self.addr, offset, recipe, value.bits(), self.is_swapped())
    }

    /// Whether `reloc` passes and all of it is ordinary.
    #[inline]
    pub(super) fn passes_quickly(&self, offset: usize, reloc: Reloc, value: Value) -> bool {
        let Some(bytes) = self.bytes.get(offset..) else { return false };
        reloc.passes_quickly(bytes, self.addr.at(offset), value.class(), value.bits(), self.endian)
    }

    /// Applies all of `fixups`; the first that was refused, and its index.
    pub(super) fn patch_each(&mut self, fixups: &[Fixup]) -> Option<(usize, PatchError)> {
        match self.endian {
            _ if !QUICK => {
                let mut first = None;
                for (index, fixup) in fixups.iter().enumerate() {
                    let result = self.patch_exactly(fixup.offset(), fixup.reloc(), fixup.value());
                    first = first.or(result.err().map(|error| (index, error)));
                }
                first
            }
            Endian::Little => self.patch_each_of::<false>(fixups),
            Endian::Big => self.patch_each_of::<true>(fixups),
        }
    }

    fn patch_each_of<const SWAPPED: bool>(&mut self, fixups: &[Fixup]) -> Option<(usize, PatchError)> {
        let count = fixups.len();
        let mut first = None;
        // Apart, so that the loop has them in registers.
        let Section { bytes, addr, endian } = self;
        let mut fixups = fixups;
        while let [fixup, rest @ ..] = fixups {
            let recipe = fixup.reloc().recipe();
            let (class, value) = fixup.given();
            if !(QUICK && recipe.takes(class) && apply(bytes, *addr, fixup.offset(), recipe, value, SWAPPED)) {
                Section { bytes, addr: *addr, endian: *endian }.patch_slowly(fixups, &mut first);
            }
            fixups = rest;
        }
        first.map(|(left, error)| (count - left, error))
    }

    /// Applies the first of `fixups` as `patch_exactly` does; where it is the first to be refused, notes how many it begins.
    #[cold]
    #[inline(never)]
    fn patch_slowly(&mut self, fixups: &[Fixup], first: &mut Option<(usize, PatchError)>) {
        let Some(fixup) = fixups.first() else { return };
        let result = self.patch_exactly(fixup.offset(), fixup.reloc(), fixup.value());
        *first = first.or(result.err().map(|error| (fixups.len(), error)));
    }

    fn is_swapped(&self) -> bool {
        self.endian == Endian::Big
    }
}

/// Applies `recipe` at byte `offset`, given a value of its class, if all of it is ordinary; otherwise nothing has changed.
#[inline(always)]
fn apply(bytes: &mut [u8], addr: Addr, offset: usize, recipe: &Recipe, value: u64, swapped: bool) -> bool {
    // One comparison, of which the compiler derives the two that are needed.
    let Some(last) = bytes.len().checked_sub(8) else { return false };
    if offset > last {
        return false;
    }
    let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<8>) else { return false };
    let (words, _) = place.as_chunks_mut::<4>();
    let Some(&word) = words.first() else { return false };
    let word = u32::from_le_bytes(word);
    let Some(new) = recipe.apply(word, addr.at(offset), value).filter(|_| recipe.fits(word, swapped)) else {
        return false;
    };
    // A place of one word is written twice, which is cheaper than to ask.
    for (index, word) in [recipe.second(new), (0, new as u32)] {
        if let Some(bytes) = words.get_mut(index) {
            *bytes = word.to_le_bytes();
        }
    }
    true
}
