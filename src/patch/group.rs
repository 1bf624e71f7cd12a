//! Places of one kind together: what the kind decides is decided once, and stays in registers.

use super::batch::Block;
use super::failures::Source;
use super::places::{Places, Run};
use super::quick::QUICK;
use super::{Batch, Endian, Failures, PatchError, Section};
use crate::addr::Addr;
use crate::reloc::{Recipe, Reloc, Shape, Stencil};

impl Section<'_> {
    /// Applies all of `batch`, kind by kind.
    ///
    /// # Errors
    ///
    /// As [`patch_all`](Self::patch_all); the failures are in the order of the batch's blocks.
    pub fn patch_batch<'s, T>(&'s mut self, batch: &'s Batch<T>) -> Result<(), Failures<'s>>
    where
        T: AsRef<[Block]> + AsMut<[Block]>,
    {
        let mut first = None;
        for (number, block) in batch.blocks().iter().enumerate() {
            self.patch_group(block.sites(), number * Block::SITES, &mut first);
        }
        Failures::after(first, self, Source::Blocks(batch.blocks()))
    }

    /// Says of all of `batch` what [`patch_batch`](Self::patch_batch) would refuse, and writes nothing.
    ///
    /// # Errors
    ///
    /// As [`check_all`](Self::check_all); the failures are in the order of the batch's blocks.
    pub fn check_batch<'s, T>(&'s self, batch: &'s Batch<T>) -> Result<(), Failures<'s>>
    where
        T: AsRef<[Block]> + AsMut<[Block]>,
    {
        Failures::of(self, Source::Blocks(batch.blocks()))
    }

    /// Applies `reloc` at places that follow each other from byte `offset` on, [`reloc.size()`](Reloc::size) bytes from one to
    /// the next: a table of pointers, a row of words.
    ///
    /// # Errors
    ///
    /// As [`patch_all`](Self::patch_all).
    ///
    /// ```
    /// use aarch64_reloc::{Addr, Reloc, Section};
    /// let mut table = [0; 16];
    /// let functions = [Addr::new(0x40_0000), Addr::new(0x40_0020)];
    /// Section::new(&mut table, Addr::new(0x42_0000)).patch_run(0, Reloc::ABS64, &functions).unwrap();
    /// assert_eq!(table, [0, 0, 0x40, 0, 0, 0, 0, 0, 0x20, 0, 0x40, 0, 0, 0, 0, 0]);
    /// ```
    pub fn patch_run<'s>(&'s mut self, offset: usize, reloc: Reloc, targets: &'s [Addr]) -> Result<(), Failures<'s>> {
        let (run, mut first) = (Run::new(offset, reloc, targets), None);
        self.patch_group(run, 0, &mut first);
        Failures::after(first, self, Source::Run(run))
    }

    /// Says of the same run what [`patch_run`](Self::patch_run) would refuse, and writes nothing.
    ///
    /// # Errors
    ///
    /// As [`check_all`](Self::check_all).
    pub fn check_run<'s>(&'s self, offset: usize, reloc: Reloc, targets: &'s [Addr]) -> Result<(), Failures<'s>> {
        Failures::of(self, Source::Run(Run::new(offset, reloc, targets)))
    }

    /// Applies all of `places`; where none was refused before, notes the first that is, and its index from `base` on.
    fn patch_group<P: Places>(&mut self, mut places: P, base: usize, first: &mut Option<(usize, PatchError)>) {
        let count = places.len();
        let recipe = places.reloc().recipe();
        let aligned = recipe.aligned(self.addr.get() | places.alignment());
        let in_order = self.endian == Endian::Little || !recipe.is_data();
        let shape =
            if QUICK && aligned && in_order && recipe.takes(places.class()) { recipe.shape } else { Shape::Other };
        loop {
            let done = match shape {
                Shape::Other => 0,
                Shape::Value => self.patch_values(places),
                Shape::Distance => self.patch_distances(places),
                Shape::Low => self.patch_low(places, recipe),
                Shape::LowForm => self.patch_low_forms(places, recipe),
                Shape::Whole => self.patch_whole(places, recipe),
                Shape::Page => self.patch_pages(places, recipe),
                Shape::Word => self.patch_words(places, recipe),
                Shape::Form => self.patch_forms(places, recipe),
            };
            if done == places.len() {
                return;
            }
            let refused = places.skip(done);
            let Some((offset, value)) = refused.first() else { return };
            let result = self.patch_exactly(offset, places.reloc(), value);
            *first = first.or(result.err().map(|error| (base + count - refused.len(), error)));
            places = refused.skip(1);
        }
    }

    // Each a function of its own, so that its loop has the registers for itself.

    #[inline(never)]
    fn patch_values(&mut self, places: impl Places) -> usize {
        self.patch_while::<8>(places, |_, _, value| Some(value))
    }

    #[inline(never)]
    fn patch_distances(&mut self, places: impl Places) -> usize {
        let addr = self.addr.get();
        self.patch_while::<8>(places, move |_, offset, value| {
            Some(value.wrapping_sub(addr.wrapping_add(offset as u64)))
        })
    }

    #[inline(never)]
    fn patch_low(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        self.patch_stencil(places, recipe, Stencil::low)
    }

    #[inline(never)]
    fn patch_low_forms(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        self.patch_fitting(places, recipe.low_form())
    }

    #[inline(never)]
    fn patch_whole(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        let Some(stencil) = recipe.stencil(self.addr) else { return 0 };
        self.patch_while::<4>(places, move |word, offset, value| stencil.fill(word, offset, value).map(u64::from))
    }

    #[inline(never)]
    fn patch_pages(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        self.patch_stencil(places, recipe, Stencil::page)
    }

    #[inline(never)]
    fn patch_words(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        self.patch_stencil(places, recipe, |stencil| stencil)
    }

    #[inline(never)]
    fn patch_forms(&mut self, places: impl Places, recipe: &Recipe) -> usize {
        self.patch_fitting(places, recipe.word())
    }

    /// Applies the stencil of `recipe`, as `shape` has it, until a word is refused: how many.
    #[inline(always)]
    fn patch_stencil(&mut self, places: impl Places, recipe: &Recipe, shape: impl Fn(Stencil) -> Stencil) -> usize {
        let Some(stencil) = recipe.stencil(self.addr).map(shape) else { return 0 };
        self.patch_while::<4>(places, move |word, offset, value| stencil.apply(word, offset, value).map(u64::from))
    }

    /// Applies `recipe` to words that fit, until one is refused: how many.
    #[inline(always)]
    fn patch_fitting(&mut self, places: impl Places, recipe: Recipe) -> usize {
        let addr = self.addr;
        self.patch_while::<4>(places, move |word, offset, value| {
            recipe.apply(word, addr.at(offset), value).filter(|_| recipe.fits(word, false))
        })
    }

    /// Sets places, of `SIZE` bytes, to what `new` makes of the word, the offset and the value, until it refuses one: how many.
    #[inline(always)]
    fn patch_while<const SIZE: usize>(
        &mut self,
        places: impl Places,
        new: impl Fn(u32, usize, u64) -> Option<u64>,
    ) -> usize {
        let Some(last) = self.bytes.len().checked_sub(SIZE) else { return 0 };
        let mut done = 0;
        for eight in places.eights() {
            for (offset, value) in eight {
                if !patch::<SIZE>(self.bytes, last, offset, value, &new) {
                    return done;
                }
                done += 1;
            }
        }
        for (offset, value) in places.skip(done).ones() {
            if !patch::<SIZE>(self.bytes, last, offset, value, &new) {
                return done;
            }
            done += 1;
        }
        done
    }
}

/// Sets a place of `SIZE` bytes to `new`, if that passes; otherwise nothing has changed. `last` is where the last place begins.
#[inline(always)]
fn patch<const SIZE: usize>(
    bytes: &mut [u8],
    last: usize,
    offset: usize,
    value: u64,
    new: impl Fn(u32, usize, u64) -> Option<u64>,
) -> bool {
    // One comparison, of which the compiler derives the two that are needed.
    if offset > last {
        return false;
    }
    let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<SIZE>) else { return false };
    let Some(&word) = place.first_chunk::<4>() else { return false };
    let Some(new) = new(u32::from_le_bytes(word), offset, value) else { return false };
    let Some(&new) = new.to_le_bytes().first_chunk::<SIZE>() else { return false };
    *place = new;
    true
}
