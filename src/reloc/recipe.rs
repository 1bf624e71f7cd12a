//! What a row comes to at an ordinary place: constants, computed from the row, with which one expression checks and applies
//! any relocation, without a branch for its kind.
//!
//! A recipe never passes what [`Reloc::apply`] refuses, and its answer is the same. It may refuse what
//! `apply` passes, for what is rare is left out of it: whoever is refused asks `apply`, which also says why.

use super::form::{Form, Pattern};
use super::row::{Fits, Row, X};
use super::site::Site;
use super::stencil::Stencil;
use super::table::Reloc;
use super::value::Class;
use crate::addr::Addr;
use crate::insn::layout::{Field, PcRel};

/// The constants of one relocation: one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Recipe {
    /// The bits of P that `X` is measured from: none, all, or those of its page.
    pub(super) origin: u64,
    /// Added to `X` so that what is in range begins at zero.
    pub(super) bias: u64,
    /// The bits of the biased `X` of which one is set where it is out of range or misaligned.
    pub(super) outside: u64,
    /// The bits of `X` that the field takes, when it is rotated to where they lie in it.
    pub(super) picked: u64,
    /// The bits of the place that the field takes.
    field: u64,
    /// What brings the bits of `immlo` to their place too: the distance as a power of two, plus one.
    pub(super) spread: u64,
    /// The bits of the word that stay.
    pub(super) keep: u32,
    /// The words that may be changed; none where [`Reloc::apply`] is always to be asked.
    form: Form,
    /// By how much `X` is rotated to the left.
    pub(super) rotate: u8,
    /// The bits of P that must be zero.
    misaligned: u8,
    /// Whether the place has a second word.
    is_wide: bool,
    /// The bits before the second word: 32, or 0 where there is none.
    first: u8,
    /// The class of value that it takes.
    class: u8,
    /// What it has in common with others.
    pub(crate) shape: Shape,
}

const _: () = assert!(size_of::<Recipe>() == 64);

/// One for each of [`Reloc::ALL`].
const RECIPES: [Recipe; Reloc::ALL.len()] = {
    let mut recipes = [const { Recipe::of(Reloc::NONE.row()) }; Reloc::ALL.len()];
    let mut i = 0;
    while i < recipes.len() {
        recipes[i] = Recipe::of(Reloc::ALL[i].row());
        i += 1;
    }
    recipes
};

impl Reloc {
    #[inline(always)]
    pub(crate) fn recipe(self) -> &'static Recipe {
        const { &RECIPES }.get(self as usize).unwrap_or(const { &RECIPES[0] })
    }
}

impl Recipe {
    const fn of(row: &Row) -> Self {
        let Row { site, hi, lo, width, .. } = *row;
        let size = site.size(hi);
        let field = site.field(hi);
        // A lo12 leaves the upper bits of a scaled offset zero.
        let taken = Field { offset: field.offset, width: (hi - lo) as usize + 1 };
        let (low, picked, spread) = match site {
            // `immlo` lies above `immhi`: both are picked as they lie in `X`, and then spread.
            Site::Adr | Site::Adrp => {
                let below = taken.offset - PcRel::IMMLO.width;
                (PcRel::IMMLO, Field { offset: below, ..taken }, 1 + (1 << (PcRel::IMMLO.offset - below)))
            }
            _ => (Field::NONE, taken, 1),
        };
        let (bias, outside) = match row.fits {
            // A negative `X` asks for a `MOVN`.
            Fits::Any | Fits::Int if matches!(site, Site::MovNZ) => (0, u64::MAX << (width - 1)),
            Fits::Any => (0, 0),
            Fits::Int => (1 << (width - 1), u64::MAX << width),
            // What may be negative or not is seldom negative.
            Fits::Uint | Fits::Both => (0, u64::MAX << width),
        };
        let recipe = Self {
            origin: match row.x {
                X::None | X::Abs => 0,
                X::Rel => u64::MAX,
                X::Page => !(Addr::PAGE - 1),
            },
            misaligned: site.place_alignment() as u8 - 1,
            bias,
            outside: outside | (row.align as u64 - 1),
            picked: picked.ones(),
            field: field.ones() | low.ones(),
            keep: !(field.ones() | low.ones()) as u32,
            spread,
            form: if size < 4 { Form::NONE } else { Form::of(site, lo) },
            rotate: ((64 + picked.offset - lo as usize) % 64) as u8,
            is_wide: size == 8,
            first: if size == 8 { 32 } else { 0 },
            class: row.takes as u8,
            shape: Shape::Other,
        };
        Self { shape: recipe.shape(), ..recipe }
    }

    /// Whether a value of `class` may be given.
    #[inline(always)]
    pub(crate) const fn takes(&self, class: Class) -> bool {
        self.class == class as u8
    }

    /// Whether the place may hold `word`. `swapped` says that data is in the other byte order than instructions.
    #[inline(always)]
    pub(crate) const fn fits(&self, word: u32, swapped: bool) -> bool {
        self.form.fits(word, swapped)
    }

    /// What [`Reloc::apply`] answers for the lower word of the place, given what fits and a value of the right class; `None`
    /// where it may refuse.
    #[inline(always)]
    pub(crate) const fn apply(&self, word: u32, place: Addr, value: u64) -> Option<u64> {
        let x = self.x(place, value);
        if !self.aligned(place.get()) || x.wrapping_add(self.bias) & self.outside != 0 {
            return None;
        }
        let picked = x.rotate_left(self.rotate as u32) & self.picked;
        Some((word & self.keep) as u64 | picked.wrapping_mul(self.spread) & self.field)
    }

    /// Where the second word of `new` lies, in words from the first, and what it is; 0 and the first again where there is
    /// none.
    #[inline(always)]
    pub(crate) const fn second(&self, new: u64) -> (usize, u32) {
        (self.is_wide as usize, new.wrapping_shr(self.first as u32) as u32)
    }
}

/// What recipes have in common, so that places of one kind are applied with less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// [`Reloc::apply`] is always to be asked.
    Other,
    /// Eight bytes of data: all of the value.
    Value,
    /// Eight bytes of data: all of the distance from the place.
    Distance,
    /// A word that takes some bits of any value, not measured from the place; what words fit, a [`Pattern`] tells.
    Low,
    /// A word that takes some bits of the value, not measured from the place; what words fit, only the table of [`Form`] tells.
    LowForm,
    /// A word that is all field and opcode, and takes the distance from the place, checked.
    Whole,
    /// A word that takes the distance between pages, checked, and spreads it; what words fit, a pattern tells.
    Page,
    /// Any other word of which a pattern tells.
    Word,
    /// Any other word.
    Form,
}

impl Recipe {
    const fn shape(&self) -> Shape {
        if self.form.is(Form::NONE) {
            return Shape::Other;
        }
        match (self, self.has_stencil()) {
            (Self { is_wide: true, origin: 0, .. }, _) => Shape::Value,
            (Self { is_wide: true, origin: u64::MAX, .. }, _) => Shape::Distance,
            (Self { is_wide: true, .. }, _) => Shape::Other,
            (Self { origin: 0, bias: 0, outside: 0, spread: 1, .. }, true) => Shape::Low,
            (Self { origin: 0, bias: 0, spread: 1, .. }, false) => Shape::LowForm,
            (Self { origin: u64::MAX, spread: 1, .. }, true) if self.is_whole() => Shape::Whole,
            (Self { origin: Stencil::PAGE, spread: Stencil::SPREAD, .. }, true) if self.is_picked() => Shape::Page,
            (_, true) => Shape::Word,
            (_, false) => Shape::Form,
        }
    }

    /// Whether a pattern tells what words fit, none of it in the field, and the origin is subtracted with the bias.
    const fn has_stencil(&self) -> bool {
        match self.form.pattern() {
            Some(pattern) => pattern.mask & !self.keep == 0 && self.bias & !self.origin == 0,
            None => false,
        }
    }

    /// Whether the field is what a pattern does not tell of the word, and what is not checked of `X`, rotated.
    const fn is_whole(&self) -> bool {
        let field = !self.keep as u64;
        match self.form.pattern() {
            Some(Pattern { mask, .. }) => {
                mask == self.keep && self.picked == field && self.outside.rotate_left(self.rotate as u32) == !field
            }
            None => false,
        }
    }

    /// Whether nothing of an `X` that passed, rotated, is in the way where bits are spread to.
    const fn is_picked(&self) -> bool {
        let passes = !self.outside.rotate_left(self.rotate as u32) as u32;
        passes.leading_zeros() + self.spread.ilog2() >= u32::BITS
    }

    /// The same for many places in a section at `addr`; `None` where it has no such [`Shape`].
    #[inline(always)]
    pub(crate) const fn stencil(&self, addr: Addr) -> Option<Stencil> {
        match self.form.pattern() {
            Some(pattern) => Some(Stencil::of(self, pattern, addr)),
            None => None,
        }
    }

    /// Whether the place is data, in the data's byte order.
    pub(crate) const fn is_data(&self) -> bool {
        self.form.is(Form::DATA)
    }

    /// Whether `place` is aligned.
    #[inline(always)]
    pub(crate) const fn aligned(&self, place: u64) -> bool {
        place as u8 & self.misaligned == 0
    }

    /// `X`, modulo 2^64.
    #[inline(always)]
    const fn x(&self, place: Addr, value: u64) -> u64 {
        value.wrapping_sub(place.get() & self.origin)
    }

    /// The recipe at aligned places, the constants of [`Shape::Form`] being constants of the code.
    #[inline(always)]
    pub(crate) const fn word(&self) -> Self {
        Self { misaligned: 0, is_wide: false, first: 0, field: !self.keep as u64, ..*self }
    }

    /// The same for [`Shape::LowForm`].
    #[inline(always)]
    pub(crate) const fn low_form(&self) -> Self {
        Self { origin: 0, bias: 0, spread: 1, field: u64::MAX, ..self.word() }
    }
}
