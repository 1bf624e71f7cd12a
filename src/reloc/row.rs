//! A row of the table, and the arithmetic that it alone decides.

use super::site::Site;
use super::value::{Class, Value};
use crate::addr::Addr;

/// How `X`, the value before masking, comes from the value and the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum X {
    /// Nothing: no bits are set.
    None,
    /// The value.
    Abs,
    /// The value minus P.
    Rel,
    /// Page(value) - Page(P).
    Page,
}

/// Which `X` a row lets pass, for the row's `width` n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fits {
    /// All.
    Any,
    /// -2^(n-1) <= X < 2^(n-1).
    Int,
    /// 0 <= X < 2^n.
    Uint,
    /// -2^(n-1) <= X < 2^n: data that is signed to one reader and unsigned to another.
    Both,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) takes: Class,
    pub(super) x: X,
    pub(super) site: Site,
    pub(super) hi: u8,
    pub(super) lo: u8,
    pub(super) fits: Fits,
    pub(super) width: u8,
    pub(super) align: u8,
}

impl Row {
    /// Whether nothing tells it from `other`.
    pub(super) const fn is(&self, other: &Self) -> bool {
        const fn columns(row: &Row) -> [u8; 8] {
            let &Row { takes, x, site, hi, lo, fits, width, align } = row;
            [takes as u8, x as u8, site as u8, hi, lo, fits as u8, width, align]
        }
        u64::from_le_bytes(columns(self)) == u64::from_le_bytes(columns(other))
    }

    /// `X` before masking, modulo 2^64 and read as signed.
    pub(super) const fn x(&self, place: Addr, value: Value) -> i64 {
        let value = Addr::new(value.bits());
        match self.x {
            X::None => 0,
            X::Abs => value.get().cast_signed(),
            X::Rel => value.distance_from(place),
            X::Page => value.page().distance_from(place.page()),
        }
    }

    /// The least and the greatest `X` that pass, the greatest rounded down to one that can be reached.
    pub(super) const fn bounds(&self) -> (i64, i64) {
        let step = if matches!(self.x, X::Page) { Addr::PAGE.cast_signed() } else { self.align as i64 };
        match self.fits {
            Fits::Any => (i64::MIN, i64::MAX),
            Fits::Int => (-(1 << (self.width - 1)), (1 << (self.width - 1)) - step),
            Fits::Uint => (0, (1 << self.width) - step),
            Fits::Both => (-(1 << (self.width - 1)), (1 << self.width) - step),
        }
    }

    /// Whether `X` is in range, its alignment apart.
    pub(super) const fn in_range(&self, x: i64) -> bool {
        let (min, max) = self.bounds();
        // One test for both ends; a misaligned X just above `max` is misaligned, not far.
        min <= x && x <= max | (self.align as i64 - 1)
    }

    pub(super) const fn is_aligned(&self, x: i64) -> bool {
        x & (self.align as i64 - 1) == 0
    }

    /// The `X` that the field of `raw` holds, sign-extended where the field is signed.
    pub(super) const fn read(&self, raw: u64) -> i64 {
        let x = self.site.extract(raw, self.hi, self.lo).cast_signed();
        let signed = matches!(self.fits, Fits::Int) && !matches!(self.site, Site::MovNZ);
        if signed || matches!(self.site, Site::Adrp) {
            let above = 63 - self.hi as u32;
            x << above >> above
        } else {
            x
        }
    }

    /// The addend that an entry without one has in place.
    pub(super) const fn implicit_addend(&self, raw: u64) -> i64 {
        let x = self.site.extract(raw, self.hi, self.lo).cast_signed();
        let bits = match self.site {
            // A word that is replaced as a whole holds an instruction, and no number.
            Site::None | Site::MarkLdr | Site::MarkAdd | Site::Blr | Site::Word => return 0,
            // Bits 31:0, beside the schema (PAUTHABIELF64).
            Site::Signed => return raw as i32 as i64,
            // Neither counts groups or pages, so that small addends can be had.
            Site::MovZK | Site::MovNZ | Site::MovK => return self.site.field(self.hi).get(raw) as i16 as i64,
            Site::Adrp => return x << (63 - self.hi) >> (63 - self.hi) >> self.lo,
            // All of the field, where a lo12 takes less of it.
            Site::LdSt => self.site.field(self.hi).width as u32 + self.lo as u32,
            _ => self.hi as u32 + 1,
        };
        x << (64 - bits) >> (64 - bits)
    }

    /// The facts that a row states twice, from the layouts of the instructions and from the columns.
    pub(super) const fn assert_consistent(&self) {
        let bits = (self.hi - self.lo + 1) as usize;
        let width = self.site.field(self.hi).width;
        match self.site {
            Site::None | Site::MarkLdr | Site::MarkAdd | Site::Blr => {
                assert!(self.hi == 0 && matches!(self.x, X::None))
            }
            Site::Signed => assert!(bits == 64),
            // Two bits more lie in `immlo`.
            Site::Adr | Site::Adrp => assert!(bits == width + 2),
            // A 12-bit scaled offset, of which a lo12 needs only those bits that lie in a page.
            Site::LdSt => assert!(bits == width || self.hi == 11),
            _ => assert!(bits == width),
        }
        assert!(self.align.is_power_of_two());
        assert!(self.align == if self.site.is_scaled() { 1 << self.lo } else { 1 });
        assert!(self.site.is_data() || self.site.size(self.hi) == 4);
        match self.fits {
            Fits::Any => assert!(self.width == 64),
            // The sign of a move-wide group is in its opcode, one bit above the field.
            Fits::Int if matches!(self.site, Site::MovNZ) => assert!(self.width == self.hi + 2),
            Fits::Int | Fits::Uint | Fits::Both => assert!(self.width == self.hi + 1),
        }
        assert!(matches!(self.x, X::None) == matches!(self.takes, Class::Any));
        assert!(matches!(self.x, X::Page) == matches!(self.site, Site::Adrp));
    }
}
