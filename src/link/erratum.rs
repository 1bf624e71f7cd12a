//! Cortex-A53 erratum 843419: an `ADRP` in one of the last two words of a page may lead a later access to a wrong address.
//!
//! ```text
//! ...ff8 or ...ffc  ADRP Xn, ...
//!        +4         a load or store of one register, STP, STNP or ST1, that leaves Xn alone
//!       (+8         anything but a branch)
//!        +8 or +12  a load or store by [Xn, #imm]
//! ```
//!
//! Without the `ADRP` there is no such sequence: it becomes an `ADR` to the page, or where that does not reach (±1 MiB), a `B` to
//! a detour. No island holds an `ADRP` in the last words of a page, for one stands at the start of a cell of sixteen bytes.
//!
//! A sequence is looked for within one section, as linkers do; that the word between writes Xn, which would be harmless, is not.

use super::error::{Cause, Failure};
use super::isles::CELL;
use super::object::{Content, Definition, Kind, Object, Relocation, Section};
use super::plan::Plan;
use super::rescue::{Stranded, stranded};
use super::route::{Action, Reference, Router};
use super::tables::First;
use super::walk::for_each_relocation;
use super::{Input, Report};
use crate::addr::Addr;
use crate::arena::{Prot, Reach};
use crate::insn::layout::PcRel;
use crate::insn::{self, Reg};
use crate::reloc::{Reloc, Remedy, Value};
use core::slice::from_ref;

/// Where in its page an affected `ADRP` begins, at the least.
const LAST_WORDS: u64 = Addr::PAGE - 8;

const _: () = assert!(!LAST_WORDS.is_multiple_of(CELL as u64), "an island's ADRP may be affected");

/// The reach of what stands for an affected `ADRP`, to anywhere in the page: a target in its last byte is so much further.
pub(super) const REACH: Reach = {
    let Reach { min, max } = Reloc::ADR_PREL_LO21.reach();
    Reach { min: min + Addr::PAGE.cast_signed() - 1, max }
};

/// Whether the sequence begins with the first word of `code`, were it in the last two of its page.
pub(super) fn is_sequence(code: &[u8]) -> bool {
    let word = |index: usize| code.get(4 * index..)?.first_chunk().copied().map(u32::from_le_bytes);
    let (Some(first), Some(second), Some(third)) = (word(0), word(1), word(2)) else { return false };
    let Ok(_) = Reloc::ADR_PREL_PG_HI21.read(first.into(), Addr::new(0)) else { return false };
    let register = PcRel::from_bits(first).rd();
    is_access(second)
        && !writes(second, register)
        && (is_by(third, register) || !is_branch(third) && word(3).is_some_and(|fourth| is_by(fourth, register)))
}

/// Whether `word` is a load or store as the second of a sequence is (Arm ARM C4.1.94): of one register, or of two that are
/// stored, or `ST1`.
const fn is_access(word: u32) -> bool {
    is_of_one(word) || is_pair(word) && word & LOAD == 0 || is_st1(word)
}

/// A load, of most kinds.
const LOAD: u32 = 1 << 22;

/// Of one register: exclusive or ordered, from a literal, or with any kind of address of ARMv8.0.
const fn is_of_one(word: u32) -> bool {
    is_exclusive(word)
        || is_literal(word)
        || word & 0x3b00_0000 == 0x3900_0000
        || word & 0x3b20_0000 == 0x3800_0000
        || word & 0x3b20_0c00 == 0x3820_0800
}

const fn is_exclusive(word: u32) -> bool {
    word & 0x3f00_0000 == 0x0800_0000
}

const fn is_literal(word: u32) -> bool {
    word & 0x3b00_0000 == 0x1800_0000
}

const fn is_pair(word: u32) -> bool {
    word & 0x3a00_0000 == 0x2800_0000
}

/// `ST1` of several structures or of one.
const fn is_st1(word: u32) -> bool {
    let is_several = word & 0xbfff_0000 == 0x0c00_0000 || word & 0xbfe0_0000 == 0x0c80_0000;
    let is_one = word & 0xbfff_0000 == 0x0d00_0000 || word & 0xbfe0_0000 == 0x0d80_0000;
    is_several && matches!(word >> 12 & 15, 0b0010 | 0b0110 | 0b0111 | 0b1010)
        || is_one && matches!(word >> 13 & 7, 0b000 | 0b010 | 0b100)
}

/// Whether the access `word` writes the general register: loads it, or writes its new address there.
fn writes(word: u32, register: Reg) -> bool {
    let is_simd = word & 1 << 26 != 0;
    let (rt, rn) = (register.number() == (word & 31) as u8, register.number() == (word >> 5 & 31) as u8);
    let is_load = match word {
        _ if is_simd => false,
        _ if is_literal(word) => word >> 30 != 3,
        _ if is_exclusive(word) => word & LOAD != 0,
        _ if is_pair(word) => word & LOAD != 0,
        // Of the rest `opc` 00 is a store, and 10 of size 11 a prefetch.
        _ => word >> 22 & 3 != 0 && !(word >> 30 == 3 && word >> 22 & 3 == 2),
    };
    let is_written_back = match word {
        _ if is_pair(word) => word & 1 << 23 != 0,
        _ if is_st1(word) => word & 1 << 23 != 0,
        _ => word & 0x3b20_0400 == 0x3800_0400,
    };
    is_load && rt || is_written_back && rn
}

/// A load or store by an unsigned offset from `register`.
fn is_by(word: u32, register: Reg) -> bool {
    word & 0x3b00_0000 == 0x3900_0000 && (word >> 5 & 31) as u8 == register.number()
}

/// Any branch (Arm ARM C4.1.93).
const fn is_branch(word: u32) -> bool {
    word & 0xfe00_0000 == 0xd600_0000
        || word & 0xfe00_0000 == 0x5400_0000
        || word & 0x7c00_0000 == 0x1400_0000
        || word & 0x7c00_0000 == 0x3400_0000
}

/// Whether `place` is in the last two words of its page.
const fn is_last(place: Addr) -> bool {
    place.distance_from(place.page()) >= LAST_WORDS.cast_signed()
}

/// Whether the place is an `ADRP` that may begin a sequence, wherever it comes to lie.
pub(super) fn may_be_affected(reference: &Reference<'_>) -> bool {
    reference.reloc.is_paged() && is_sequence(reference.code)
}

impl Router<'_> {
    /// Whether the place is the affected `ADRP` of a sequence; as long as places still move, whether it may be.
    pub(super) fn is_affected(&self, reference: &Reference<'_>) -> bool {
        self.policy.mends() && (self.margin > 0 || is_last(reference.place)) && may_be_affected(reference)
    }

    /// Makes the register's page without an `ADRP`.
    pub(super) fn mend(&mut self, reference: &Reference<'_>, value: Value, raw: u64) -> Result<Action, Cause<'static>> {
        let page = Value::Addr(Addr::new(value.bits()).page());
        let word = insn::adr(PcRel::from_bits(raw as u32).rd()).into();
        let adr = Reference { reloc: Reloc::ADR_PREL_LO21, ..*reference };
        // The page of what moves moves by whole pages.
        let slack = if self.margin > 0 { self.margin.saturating_add(Addr::PAGE.cast_signed()) } else { 0 };
        let place = adr.place;
        let reaches = adr.reloc.reaches(place.plus(slack), page) && adr.reloc.reaches(place.plus(-slack), page);
        match adr.reloc.apply(word, place, page) {
            Ok(word) if reaches => Ok(Action::Adr(word as u32)),
            _ if self.policy.allows(Remedy::Detour) => self.detour(&adr, page, word),
            _ => Err(stranded(&adr, page, Stranded::Policy)),
        }
    }
}

/// A word of an object that begins a sequence in the last words of a page.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The index of its section in the object, and bytes from the start of that.
    section: usize,
    offset: u64,
    /// A relocation gives its page.
    is_related: bool,
    /// The last mapping symbol (AAELF64 5.5.3) before it: where that is, and whether data begins there.
    since: u64,
    is_data: bool,
}

/// How many places are looked for in one walk over the relocations and symbols of an object.
const AT_ONCE: usize = 128;

/// Places in the order of sections and offsets.
struct Places {
    table: [Place; AT_ONCE],
    len: usize,
}

impl Places {
    /// Adds a place, and says whether there is no room for another.
    fn push(&mut self, section: usize, offset: u64) -> bool {
        if let Some(free) = self.table.get_mut(self.len) {
            *free = Place { section, offset, ..Place::default() };
        }
        self.len += 1;
        self.len >= AT_ONCE
    }

    fn all(&mut self) -> &mut [Place] {
        self.table.get_mut(..self.len).unwrap_or_default()
    }

    /// The first place at or after `offset` bytes into section `section`.
    fn from(&mut self, section: usize, offset: u64) -> Option<&mut Place> {
        let all = self.all();
        let before = all.partition_point(|place| (place.section, place.offset) < (section, offset));
        all.get_mut(before).filter(|place| place.section == section)
    }

    /// Tells each place which mapping symbol of `object` is before it.
    fn map<'data>(&mut self, object: &impl Object<'data>) {
        for symbol in (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok()) {
            let Definition::Section { index, offset } = symbol.definition else { continue };
            let is_data = symbol.name.starts_with("$d");
            if (is_data || symbol.name.starts_with("$x"))
                && let Some(place) = self.from(index, offset).filter(|place| offset >= place.since)
            {
                (place.since, place.is_data) = (offset, is_data);
            }
        }
        // So far each knows of those behind the place before.
        let mut last = Place::default();
        for place in self.all() {
            if place.section == last.section && place.since < last.since {
                (place.since, place.is_data) = (last.since, last.is_data);
            }
            last = *place;
        }
    }
}

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Reports each affected `ADRP` that no relocation is for: the linker cannot tell what it is to make.
    pub(super) fn check_unrelated(&self, report: &mut Report<'_>) {
        if !self.router.policy.mends() {
            return;
        }
        self.inputs.iter().zip(&*self.firsts).for_each(|(input, first)| self.check_object(input, first, report));
    }

    // What there is so much room for is asked for seldom.
    #[inline(never)]
    fn check_object(&self, input: &Input<'data, O>, first: &First, report: &mut Report<'_>) {
        let mut places = Places { table: [Place::default(); AT_ONCE], len: 0 };
        for index in 0..input.object.section_count() {
            let Ok(Section { kind, .. }) = input.object.section(index) else { continue };
            let Kind::Loaded { prot: Prot::ReadExec, content: Content::Bytes(bytes), .. } = kind else { continue };
            let Some(start) = self.layout.section_addr((first.section + index) as u32) else { continue };
            for offset in last_words(start, bytes.len() as u64) {
                let begins = bytes.get(offset as usize..).is_some_and(is_sequence);
                if begins && places.push(index, offset) {
                    self.check_places(input, first, &mut places, report);
                    places.len = 0;
                }
            }
        }
        self.check_places(input, first, &mut places, report);
    }

    /// Reports those of `places` that are instructions without a relocation.
    fn check_places(&self, input: &Input<'data, O>, first: &First, places: &mut Places, report: &mut Report<'_>) {
        if places.len == 0 {
            return;
        }
        for_each_relocation(from_ref(input), from_ref(first), &self.layout, |site| {
            let &Relocation { reloc, offset, .. } = site.relocation;
            let Some(section) = (site.table.number as usize).checked_sub(first.section) else { return };
            let place = places.from(section, offset).filter(|place| place.offset == offset && reloc.is_paged());
            if let Some(place) = place {
                place.is_related = true;
            }
        });
        if places.all().iter().all(|place| place.is_related) {
            return;
        }
        places.map(&input.object);
        for &mut Place { section, offset, .. } in
            places.all().iter_mut().filter(|place| !place.is_related && !place.is_data)
        {
            let name = input.object.section(section).map_or("", |section| section.name);
            report.failure(Failure { place: Some((name, offset)), ..Failure::of(input.name, Cause::Erratum) });
        }
    }
}

/// The offsets of the words, of `size` bytes from `start` on, that are the last two of a page.
fn last_words(start: Addr, size: u64) -> impl Iterator<Item = u64> {
    let pages = (0..).map(move |page: i64| start.page().plus(page.wrapping_mul(Addr::PAGE.cast_signed())));
    let places = pages.flat_map(|page| [LAST_WORDS, LAST_WORDS + 4].map(|at| page.plus(at.cast_signed())));
    let offsets = places.map(move |place| place.distance_from(start));
    offsets.take_while(move |&offset| offset < size.cast_signed()).filter_map(|offset| u64::try_from(offset).ok())
}
