//! A recipe at many places of one section, as few constants as there are registers for.
//!
//! What makes a range begin at zero is subtracted from the section's address beforehand. It turns over one bit of the field,
//! so that bit is turned back by the constant that the word is compared with:
//!
//! ```text
//! opcode  field        field, from what was subtracted
//! 100101  1000...      word ^ this: zero, where the opcode is right; the field ^ 1000...
//! ```

use super::form::Pattern;
use super::recipe::Recipe;
use crate::addr::Addr;

/// The constants.
#[derive(Clone, Copy)]
pub(crate) struct Stencil {
    /// The address of the section, less the bias.
    base: u64,
    /// The bits of the place that are subtracted from the value.
    origin: u64,
    /// The bits of the distance, biased, of which one is set where it is out of range or misaligned.
    outside: u64,
    /// By how much the distance is rotated to the left.
    rotate: u32,
    /// The bits of it that are picked then, and how they are spread.
    picked: u64,
    spread: u64,
    /// The bits of the word that the field takes.
    field: u32,
    /// What the word is compared with, and in which bits.
    bits: u32,
    mask: u32,
}

impl Stencil {
    /// The bits of the place that a page is measured from.
    pub(super) const PAGE: u64 = !(Addr::PAGE - 1);

    /// How the bits of `ADRP` are spread.
    pub(super) const SPREAD: u64 = 1 + (1 << 26);

    /// That of `recipe`, of whose words a pattern tells, in a section at `addr`.
    #[inline(always)]
    pub(super) const fn of(recipe: &Recipe, Pattern { mask, bits }: Pattern, addr: Addr) -> Self {
        let &Recipe { origin, bias, outside, picked, spread, keep, rotate, .. } = recipe;
        let rotate = rotate as u32;
        let turned = (bias.rotate_left(rotate) & picked).wrapping_mul(spread) as u32 & !keep;
        let base = addr.get().wrapping_sub(bias);
        Self { base, origin, outside, rotate, picked, spread, field: !keep, bits: bits | turned, mask }
    }

    /// What [`Reloc::apply`](super::Reloc::apply) makes of the word at byte `offset`, which is aligned, given a value of the
    /// right class; `None` where it may refuse.
    #[inline(always)]
    pub(crate) const fn apply(&self, word: u32, offset: usize, value: u64) -> Option<u32> {
        let x = value.wrapping_sub(self.base.wrapping_add(offset as u64) & self.origin);
        let other = word ^ self.bits;
        if x & self.outside != 0 || other & self.mask != 0 {
            return None;
        }
        let picked = (x.rotate_left(self.rotate) & self.picked).wrapping_mul(self.spread) as u32;
        Some(word ^ (picked ^ other) & self.field)
    }

    /// The same for [`Shape::Whole`](super::Shape::Whole): one comparison for the range, the alignment and the opcode.
    #[inline(always)]
    pub(crate) const fn fill(&self, word: u32, offset: usize, value: u64) -> Option<u32> {
        let x = value.wrapping_sub(self.base.wrapping_add(offset as u64)).rotate_left(self.rotate);
        if (x | (word ^ self.bits) as u64) & !(self.field as u64) != 0 {
            return None;
        }
        Some(x as u32 ^ self.bits)
    }

    /// The stencil of [`Shape::Page`](super::Shape::Page), what it has in common with others being constants of the code.
    #[inline(always)]
    pub(crate) const fn page(self) -> Self {
        Self { origin: Self::PAGE, picked: u64::MAX, spread: Self::SPREAD, ..self }
    }

    /// The same for [`Shape::Low`](super::Shape::Low).
    #[inline(always)]
    pub(crate) const fn low(self) -> Self {
        Self { origin: 0, outside: 0, picked: u64::MAX, spread: 1, ..self }
    }
}
