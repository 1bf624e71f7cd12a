//! What a row comes to at an ordinary place: constants, computed from the row, with which one expression checks and applies
//! any relocation, without a branch for its kind.
//!
//! A recipe never passes what [`Reloc::apply`] refuses, and its answer is the same. It may refuse what
//! `apply` passes, for what is rare is left out of it: whoever is refused asks `apply`, which also says why.

use super::row::{Fits, Row, X};
use super::site::Site;
use super::table::Reloc;
use super::value::Class;
use crate::addr::Addr;
use crate::insn::layout::{Field, MoveWide, PcRel};

/// The constants of one relocation: one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Recipe {
    /// The bits of P that `X` is measured from: none, all, or those of its page.
    origin: u64,
    /// Added to `X` so that what is in range begins at zero.
    bias: u64,
    /// The bits of the biased `X` of which one is set where it is out of range or misaligned.
    outside: u64,
    /// The bits of `X` that the field takes, when it is rotated to where they lie in it.
    picked: u64,
    /// The bits of the place that the field takes.
    field: u64,
    /// What brings the bits of `immlo` to their place too: the distance as a power of two, plus one.
    spread: u64,
    /// The bits of the word that stay.
    keep: u32,
    /// The bits of P that must be zero.
    misaligned: u32,
    /// The bit of [`FORMS`] that tells whether the word may be changed; 0 where [`Reloc::apply`] is
    /// always to be asked.
    form: u32,
    /// By how much `X` is rotated to the left.
    rotate: u8,
    /// Whether the place has a second word.
    is_wide: bool,
    /// The bits before the second word: 32, or 0 where there is none.
    first: u8,
    /// The class of value that it takes.
    class: u8,
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
            Fits::Any => (0, 0),
            // A negative `X` asks for a `MOVN`.
            Fits::Int if matches!(site, Site::MovNZ) => (0, u64::MAX << (width - 1)),
            Fits::Int => (1 << (width - 1), u64::MAX << width),
            // What may be negative or not is seldom negative.
            Fits::Uint | Fits::Both => (0, u64::MAX << width),
        };
        Self {
            origin: match row.x {
                X::None | X::Abs => 0,
                X::Rel => u64::MAX,
                X::Page => !(Addr::PAGE - 1),
            },
            misaligned: site.place_alignment() as u32 - 1,
            bias,
            outside: outside | (row.align as u64 - 1),
            picked: picked.ones(),
            field: field.ones() | low.ones(),
            keep: !(field.ones() | low.ones()) as u32,
            spread,
            form: if size < 4 { 0 } else { form(site, lo) },
            rotate: ((64 + picked.offset - lo as usize) % 64) as u8,
            is_wide: size == 8,
            first: if size == 8 { 32 } else { 0 },
            class: row.takes as u8,
        }
    }

    /// Whether a value of `class` may be given.
    #[inline(always)]
    pub(crate) const fn takes(&self, class: Class) -> bool {
        self.class == class as u8
    }

    /// What [`Reloc::apply`] answers for the lower word of the place, given a value of the right class; `None` where it may
    /// refuse. `swapped` says that data is in the other byte order than instructions.
    #[inline(always)]
    pub(crate) const fn apply(&self, word: u32, place: Addr, value: u64, swapped: bool) -> Option<u64> {
        let x = value.wrapping_sub(place.get() & self.origin);
        let form = if swapped { self.form & !DATA } else { self.form };
        if place.get() as u32 & self.misaligned != 0
            || x.wrapping_add(self.bias) & self.outside != 0
            || FORMS[(word >> FORM) as usize] & form == 0
        {
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

/// The lowest of the bits of a word that tell what instruction it is: those of `hw` in a move-wide, fewer in any other.
const FORM: usize = MoveWide::HW.offset;

/// For the upper bits of a word, from [`FORM`] on, which places it may stand at: a bit for each of [`PLACES`], and one for data.
static FORMS: [u32; 1 << (32 - FORM)] = {
    let mut forms = [DATA; 1 << (32 - FORM)];
    let mut upper = 0;
    while upper < forms.len() {
        let word = (upper as u32) << FORM;
        let mut bit = 0;
        while bit < PLACES.len() {
            let (site, lo) = PLACES[bit];
            // Of a move-wide that is made what the sign of `X` asks for, the one that a positive `X` leaves alone.
            let other = matches!(site, Site::MovNZ) && MoveWide::OPC.get(word as u64) == MoveWide::MOVN as u64;
            if site.accepts(word, lo) && !other {
                forms[upper] |= 1 << bit;
            }
            bit += 1;
        }
        upper += 1;
    }
    forms
};

/// Any word may stand where data does.
const DATA: u32 = 1 << 31;

/// The instructions that the upper bits of a word tell apart, each with what `lo` says of it ([`Site::accepts`]).
const PLACES: [(Site, u8); 28] = [
    (Site::Adr, 0),
    (Site::Adrp, 0),
    (Site::Add, 0),
    (Site::AddX, 0),
    (Site::AddHi, 0),
    (Site::LdSt, 0),
    (Site::LdSt, 1),
    (Site::LdSt, 2),
    (Site::LdSt, 3),
    (Site::LdSt, 4),
    (Site::Literal, 0),
    (Site::LiteralX, 0),
    (Site::B, 0),
    (Site::Bl, 0),
    (Site::CondBr, 0),
    (Site::TestBr, 0),
    (Site::MovZK, 0),
    (Site::MovZK, 16),
    (Site::MovZK, 32),
    (Site::MovZK, 48),
    (Site::MovNZ, 0),
    (Site::MovNZ, 16),
    (Site::MovNZ, 32),
    (Site::MovNZ, 48),
    (Site::MovK, 0),
    (Site::MovK, 16),
    (Site::MovK, 32),
    (Site::MovK, 48),
];

/// The bit of `site` in [`FORMS`]; none for what the upper bits of a word do not tell.
const fn form(site: Site, lo: u8) -> u32 {
    if matches!(site, Site::Data | Site::Pointer | Site::Word) {
        return DATA;
    }
    let lo = match site {
        Site::LdSt | Site::MovZK | Site::MovNZ | Site::MovK => lo,
        _ => 0,
    };
    let mut bit = 0;
    while bit < PLACES.len() {
        if PLACES[bit].0 as u8 == site as u8 && PLACES[bit].1 == lo {
            return 1 << bit;
        }
        bit += 1;
    }
    0
}
