//! Where the instructions of an object lead, after RuntimeDyld has relocated them and before any of them runs.
//!
//! A memory manager sees no relocations, so that whether a place reaches *its* target is not known here; but every target of
//! an instruction that makes an address from its own is in a section that RuntimeDyld asked for, and a truncated immediate
//! leads, but for chance, to where there is none.

use super::live::{Kind, Live, Sections};
use crate::addr::Addr;
use crate::insn::Reg;
use crate::insn::layout::{LoadStore, PcRel};
use crate::reloc::Reloc;
use core::fmt;
use core::{ptr, slice};

/// The instructions that make an address from their own, by a relocation of each.
const RELATIVE: [Reloc; 7] = [
    Reloc::ADR_PREL_PG_HI21,
    Reloc::ADR_PREL_LO21,
    Reloc::LD_PREL_LO19,
    Reloc::CALL26,
    Reloc::JUMP26,
    Reloc::CONDBR19,
    Reloc::TSTBR14,
];

/// The instructions that add the low twelve bits to a page.
const LOW: [Reloc; 6] = [
    Reloc::ADD_ABS_LO12_NC,
    Reloc::LDST64_ABS_LO12_NC,
    Reloc::LDST32_ABS_LO12_NC,
    Reloc::LDST8_ABS_LO12_NC,
    Reloc::LDST16_ABS_LO12_NC,
    Reloc::LDST128_ABS_LO12_NC,
];

/// Instructions after an `ADRP` that are looked at for what uses its page.
const AHEAD: usize = 32;

/// The audit of one section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audit<'a> {
    sections: &'a Sections,
    code: &'a [u8],
    addr: Addr,
}

impl<'a> Audit<'a> {
    /// The audit of `section`, all of whose code is judged; there is none in one of another kind.
    ///
    /// # Safety
    ///
    /// `sections` are readable, `section` is one of them, and nobody writes any while the audit lives.
    pub(super) unsafe fn new(sections: &'a Sections, section: Live) -> Self {
        let Live { addr, len, kind } = section;
        let len = if kind == Kind::Code { len as usize } else { 0 };
        let start = ptr::with_exposed_provenance(addr.get() as usize);
        // SAFETY: the caller's.
        Self { sections, code: unsafe { slice::from_raw_parts(start, len) }, addr }
    }

    /// The first instruction that leads nowhere.
    pub(super) fn wrong(self) -> Option<Astray> {
        (0..self.code.len()).step_by(4).find_map(|offset| self.judge(offset).err())
    }

    /// Judges the instruction at `offset`, and where it is an `ADRP` those that use its page.
    fn judge(self, offset: usize) -> Result<(), Astray> {
        let (place, Some(word)) = (self.addr.at(offset), self.word(offset)) else { return Ok(()) };
        let read = |reloc: &Reloc| Some((*reloc, reloc.read(word.into(), place).ok()?));
        let Some((reloc, x)) = RELATIVE.iter().find_map(read) else { return Ok(()) };
        let astray = |target, lacks| Err(Astray { place, reloc, target, lacks });
        match reloc {
            Reloc::ADR_PREL_PG_HI21 => {
                let page = place.page().plus(x);
                if !self.sections.is_in_page(page) {
                    return astray(page, Lacks::Section);
                }
                self.uses(offset, PcRel::from_bits(word).rd(), page)
            }
            Reloc::ADR_PREL_LO21 if !self.sections.touch(place.plus(x)) => astray(place.plus(x), Lacks::Section),
            Reloc::ADR_PREL_LO21 => Ok(()),
            Reloc::LD_PREL_LO19 => self.load(place, reloc, place.plus(x)),
            _ => match self.sections.at(place.plus(x)) {
                Some(Live { kind: Kind::Code, .. }) => Ok(()),
                _ => astray(place.plus(x), Lacks::Code),
            },
        }
    }

    /// Judges what adds low bits to `page`, which the `ADRP` at `offset` puts into `register`, until it may hold something else.
    fn uses(self, offset: usize, register: Reg, page: Addr) -> Result<(), Astray> {
        for offset in (offset + 4..).step_by(4).take(AHEAD) {
            let (place, Some(word)) = (self.addr.at(offset), self.word(offset)) else { return Ok(()) };
            // A load's fields are those of an `ADD`, of a pair too but for its second register.
            let fields = LoadStore::from_bits(word);
            let second = Reg::new((word >> 10) as u8);
            let read = |reloc: &Reloc| Some((*reloc, reloc.read(word.into(), place).ok()?));
            match LOW.iter().find_map(read).filter(|_| fields.rn() == register) {
                Some((reloc, low)) if reloc == Reloc::ADD_ABS_LO12_NC => {
                    let target = page.plus(low & 0xfff);
                    if !self.sections.touch(target) {
                        return Err(Astray { place, reloc, target, lacks: Lacks::Section });
                    }
                }
                Some((reloc, low)) => self.load(place, reloc, page.plus(low))?,
                None if fields.rn() == register || second == register || is_branch(word) => return Ok(()),
                None => {}
            }
            if fields.rt() == register {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Judges a load or store at `target`; in a GOT, it must be of a slot.
    fn load(self, place: Addr, reloc: Reloc, target: Addr) -> Result<(), Astray> {
        let astray = |lacks| Err(Astray { place, reloc, target, lacks });
        match self.sections.at(target) {
            None => astray(Lacks::Section),
            Some(Live { kind: Kind::Got, addr, len }) => {
                let offset = target.distance_from(addr).cast_unsigned();
                if !offset.is_multiple_of(8) || len - offset < 8 { astray(Lacks::Slot) } else { Ok(()) }
            }
            Some(_) => Ok(()),
        }
    }

    fn word(self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.code.get(offset..)?.first_chunk()?))
    }
}

/// Whether `word` is of the group of branches, exceptions and system instructions (Arm ARM C4.1).
fn is_branch(word: u32) -> bool {
    word & 0x1c00_0000 == 0x1400_0000
}

/// An instruction that leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Astray {
    place: Addr,
    reloc: Reloc,
    target: Addr,
    lacks: Lacks,
}

/// What is not at the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lacks {
    Section,
    Code,
    Slot,
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, reloc, target, lacks } = self;
        let page = if reloc.is_paged() { "page " } else { "" };
        write!(f, "{} at {place}: reaches {page}{target}, where ", reloc.name())?;
        f.write_str(match lacks {
            Lacks::Section => "the arena has no section: truncated, or of the process and not reached through the GOT",
            Lacks::Code => "the arena has no code",
            Lacks::Slot => "the GOT has no slot",
        })
    }
}
