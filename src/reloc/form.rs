//! Which words fit a place, told by their upper bits: [`Site::accepts`] as a table, and as masks where masks can say it.

use super::site::Site;
use crate::insn::layout::MoveWide;

/// The words that fit a place: a bit of [`FORMS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form(u32);

/// The lowest of the bits of a word that tell what instruction it is: those of `hw` in a move-wide, fewer in any other.
const LOWEST: usize = MoveWide::HW.offset;

impl Form {
    /// No word: only [`Site::accepts`] tells.
    pub(super) const NONE: Self = Self(0);

    /// Any word, for data.
    pub(super) const DATA: Self = Self(1 << 31);

    /// The form of `site`, of which `lo` says more.
    pub(super) const fn of(site: Site, lo: u8) -> Self {
        if matches!(site, Site::Data | Site::Pointer | Site::Word) {
            return Self::DATA;
        }
        let lo = match site {
            Site::LdSt | Site::MovZK | Site::MovNZ | Site::MovK => lo,
            _ => 0,
        };
        let mut bit = 0;
        while bit < PLACES.len() {
            if PLACES[bit].0 as u8 == site as u8 && PLACES[bit].1 == lo {
                return Self(1 << bit);
            }
            bit += 1;
        }
        Self::NONE
    }

    /// Whether it is `other`.
    pub(super) const fn is(self, other: Self) -> bool {
        self.0 == other.0
    }

    /// Whether it is `word`'s, which is not data where that is `swapped`.
    #[inline(always)]
    pub(super) const fn fits(self, word: u32, swapped: bool) -> bool {
        let form = if swapped { self.0 & !Self::DATA.0 } else { self.0 };
        FORMS[(word >> LOWEST) as usize] & form != 0
    }

    /// What the words have in common, and no others; `None` where that is too little.
    pub(super) const fn pattern(self) -> Option<Pattern> {
        PATTERNS[(self.0.trailing_zeros() % u32::BITS) as usize]
    }
}

/// For the upper bits of a word, from [`LOWEST`] on, what places it fits: a bit for each of [`PLACES`], and that for data.
static FORMS: [u32; 1 << (32 - LOWEST)] = {
    let mut forms = [Form::DATA.0; 1 << (32 - LOWEST)];
    let mut upper = 0;
    while upper < forms.len() {
        let word = (upper as u32) << LOWEST;
        let mut bit = 0;
        while bit < PLACES.len() {
            let (site, lo) = PLACES[bit];
            // Of the two moves that the sign of `X` chooses from, only the one that a positive `X` leaves alone.
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

/// The bits that all words of a form have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    pub(super) mask: u32,
    pub(super) bits: u32,
}

impl Pattern {
    const fn of(form: Form) -> Option<Self> {
        let upper_bits = u32::MAX >> LOWEST;
        let (mut ones, mut zeros, mut count) = (upper_bits, upper_bits, 0_u32);
        let mut upper = 0;
        while upper < FORMS.len() {
            if FORMS[upper] & form.0 != 0 {
                ones &= upper as u32;
                zeros &= !(upper as u32);
                count += 1;
            }
            upper += 1;
        }
        let mask = ones | zeros;
        let varying = upper_bits.count_ones() - mask.count_ones();
        if count == 1 << varying { Some(Self { mask: mask << LOWEST, bits: ones << LOWEST }) } else { None }
    }
}

/// One for each bit of [`FORMS`].
static PATTERNS: [Option<Pattern>; u32::BITS as usize] = {
    let mut patterns = [None; u32::BITS as usize];
    let mut bit = 0;
    while bit < patterns.len() {
        patterns[bit] = Pattern::of(Form(1 << bit));
        bit += 1;
    }
    patterns
};

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
