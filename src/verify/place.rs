//! A place: what stands there, and whether that is lawful for a target.

use super::error::{Found, is_truncated};
use super::run::{Load, Run};
use super::{Memory, Target, TooMany, Unverified, Verdict};
use crate::addr::Addr;
use crate::insn::layout::MoveWide;
use crate::insn::{NOP, Reg};
use crate::reloc::{Class, Reason, Reloc, Remedy, Slot, Value};

/// Bytes of a slot.
const SLOT: u64 = 8;
/// The registers that a veneer may change (AAPCS64 6.1.1).
const VENEER: u32 = 1 << Reg::X16.number() | 1 << Reg::X17.number();

#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'m, 'a> {
    memory: &'m Memory<'a>,
    addr: Addr,
    reloc: Reloc,
}

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stands {
    /// What the relocation changes: these bits.
    Bits(u64),
    /// Code that continues behind the place with this address in a register, or with what lies there.
    Code(Addr),
}

/// Whether `reloc` is to a slot of the GOT, or to its offset.
pub(super) fn is_to_slot(reloc: Reloc) -> bool {
    let to_symbol = matches!(reloc, Reloc::GOTREL32 | Reloc::GOTREL64);
    matches!(reloc.takes(), Class::Slot | Class::Offset) && !to_symbol
}

/// Whether `reloc` holds all of an offset from the page of the GOT, or from the GOT.
fn is_near_slot(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::LD64_GOTPAGE_LO15 | Reloc::LD64_GOTOFF_LO15)
}

/// Whether `reloc` is of a group of move-wide instructions (AAELF64 5.7.6, 5.7.9).
pub(super) fn is_move(reloc: Reloc) -> bool {
    matches!(reloc.code(), 263..=272 | 287..=293 | 300..=306)
}

/// Whether the place holds an address, as a distance from itself.
pub(super) fn is_address(reloc: Reloc) -> bool {
    reloc.is_pc_relative() && !is_move(reloc)
}

/// The registers that may change on the way to the target of a branch; `None` where `reloc` is no branch.
fn free_registers(reloc: Reloc) -> Option<u32> {
    match reloc {
        Reloc::CALL26 | Reloc::JUMP26 | Reloc::PLT32 => Some(VENEER),
        Reloc::CONDBR19 | Reloc::TSTBR14 => Some(0),
        _ => None,
    }
}

impl<'m, 'a> Place<'m, 'a> {
    pub(super) fn new(memory: &'m Memory<'a>, addr: Addr, reloc: Reloc) -> Self {
        Self { memory, addr, reloc }
    }

    /// What is wrong with the place, which must reach `target`.
    pub(super) fn judge(self, target: Target) -> Result<Verdict, Found> {
        if self.reloc == Reloc::NONE {
            return Ok(Verdict::Right);
        }
        let is_branch = free_registers(self.reloc).is_some() && self.reloc != Reloc::PLT32;
        if is_branch && matches!(target, Target::Nothing { .. }) && self.memory.word(self.addr) == Some(NOP) {
            return Ok(Verdict::Right);
        }
        let stands = self.stands()?;
        match target {
            Target::Addr(addr) if self.reloc.takes() == Class::Offset => self.judge_offset(stands, addr)?,
            Target::Addr(addr) => self.judge_addr(stands, addr)?,
            Target::Slot { holds, addend } => return self.judge_slot(stands, holds, addend),
            Target::Nothing { addend } => self.judge_nothing(stands, addend)?,
        }
        Ok(Verdict::Right)
    }

    fn stands(self) -> Result<Stands, Found> {
        let raw = self.memory.raw(self.addr, self.reloc).ok_or(Found::NoBytes)?;
        match self.reloc.read(raw, self.addr) {
            Ok(_) => Ok(Stands::Bits(raw)),
            Err(reason @ Reason::WrongOpcode { .. }) => self.elsewhere().ok_or_else(|| match self.branch(self.addr) {
                Some(detour) if self.reloc.remedy() == Some(Remedy::Detour) => Found::Astray { detour },
                _ => Found::Refused(reason),
            }),
            Err(reason) => Err(Found::Refused(reason)),
        }
    }

    /// What code stands for the instruction that the relocation changes.
    fn elsewhere(self) -> Option<Stands> {
        let back = self.addr.plus(4);
        match self.reloc {
            Reloc::ADR_PREL_PG_HI21 | Reloc::ADR_GOT_PAGE | Reloc::ADR_PREL_LO21 => {
                let bits = Run::new(self.memory, self.addr).result_at(back)?.bits?;
                Some(Stands::Code(Addr::new(bits)))
            }
            Reloc::LD_PREL_LO19 | Reloc::GOT_LD_PREL19 => {
                let (from, load) = Run::new(self.memory, self.addr).result_at(back)?.from?;
                // A slot is loaded whole.
                (self.reloc == Reloc::LD_PREL_LO19 || load == Load::Double).then_some(Stands::Code(from))
            }
            _ => {
                let at = self.branch(self.addr)?;
                let raw = self.memory.raw(at, self.reloc)?;
                let is_same = !self.reloc.is_pc_relative() && self.reloc.read(raw, self.addr).is_ok();
                (is_same && self.branch(at.plus(4)) == Some(back)).then_some(Stands::Bits(raw))
            }
        }
    }

    /// Where the `B` at `addr` leads.
    fn branch(self, addr: Addr) -> Option<Addr> {
        let x = Reloc::JUMP26.read(self.memory.word(addr)?.into(), addr).ok()?;
        Some(addr.plus(x))
    }

    /// Whether what stands here is right for `value`.
    fn is(self, stands: Stands, value: Value) -> bool {
        match stands {
            Stands::Bits(raw) if matches!(self.reloc, Reloc::MOVW_PREL_G3 | Reloc::MOVW_GOTOFF_G3) => {
                // Whichever of MOVN and MOVZ it is: the bits below come later.
                let is_in_place = |x: i64| self.reloc.read(raw, self.addr).is_ok_and(|read| (read ^ x) >> 48 == 0);
                self.reloc.x(self.addr, value).is_some_and(is_in_place)
            }
            Stands::Bits(raw) => self.reloc.apply(raw, self.addr, value) == Ok(raw),
            Stands::Code(addr) => addr == self.whole(Addr::new(value.bits())),
        }
    }

    /// `addr`, or its page where that is all the relocation is about.
    fn whole(self, addr: Addr) -> Addr {
        if self.reloc.is_paged() { addr.page() } else { addr }
    }

    /// The address that is reached: a page, where the relocation is to pages; the value itself, where it is not PC-relative.
    fn reached(self, stands: Stands) -> Addr {
        match stands {
            Stands::Code(addr) => addr,
            Stands::Bits(raw) => {
                let x = self.reloc.read(raw, self.addr).unwrap_or(0);
                if is_address(self.reloc) { self.whole(self.addr).plus(x) } else { Addr::new(x.cast_unsigned()) }
            }
        }
    }

    fn judge_addr(self, stands: Stands, target: Addr) -> Result<(), Found> {
        if self.is(stands, Value::Addr(target)) {
            return Ok(());
        }
        let reached = self.reached(stands);
        if let Some(free) = free_registers(self.reloc)
            && reached != target
        {
            let mut run = Run::new(self.memory, reached);
            if run.arrives(target, free) {
                return Ok(());
            }
            // Where a truncated branch ends up may begin with any branch.
            if run.landed != reached && !is_truncated(self.reloc, reached, target) {
                return Err(Found::Through { veneer: reached, reached: run.landed, expected: target });
            }
        }
        Err(self.found(stands, reached, Value::Addr(target)))
    }

    /// `GOTREL`: S + A - GOT.
    fn judge_offset(self, stands: Stands, target: Addr) -> Result<(), Found> {
        let offset = |base: &Addr| Value::Offset(target.distance_from(*base));
        if self.memory.bases.iter().map(offset).any(|value| self.is(stands, value)) {
            return Ok(());
        }
        let base = self.memory.bases.first().copied().unwrap_or_default();
        Err(self.found(stands, self.reached(stands), offset(&base)))
    }

    fn judge_slot(self, stands: Stands, holds: Addr, addend: i64) -> Result<Verdict, Found> {
        let addend = if self.reloc == Reloc::GOTPCREL32 { addend } else { 0 };
        let reached = self.reached(stands);
        let find = |step, phase, is: &dyn Fn(Addr) -> bool| self.memory.find_slot(holds, step, phase, is);
        let holds_it = |slot: Addr| self.memory.slot(slot) == Some(holds);
        let right = match self.reloc.takes() {
            // A detour may come back with what is no page.
            Class::Slot if self.reloc.is_paged() => {
                let mut slots = (0..Addr::PAGE as usize).step_by(SLOT as usize).map(|offset| reached.at(offset));
                Ok(reached == reached.page() && slots.any(holds_it))
            }
            Class::Slot if self.reloc.is_pc_relative() => Ok(holds_it(reached.plus(addend.wrapping_neg()))),
            Class::Slot => find(Addr::PAGE, reached, &|_| true).map(|slot| slot.is_some()),
            _ if is_near_slot(self.reloc) => {
                let slot = |base: Addr| self.origin(base).plus(reached.get().cast_signed());
                Ok(self.memory.bases.iter().any(|&base| holds_it(slot(base))))
            }
            _ => {
                let is = |slot: Addr| self.offsets(slot).any(|value| self.is(stands, value));
                find(SLOT, Addr::new(0), &is).map(|slot| slot.is_some())
            }
        };
        match right {
            Ok(true) => return Ok(Verdict::Right),
            Ok(false) => {}
            Err(TooMany) => return Ok(Verdict::Unverified(Unverified::ManySlots)),
        }
        let slot = match find(SLOT, Addr::new(0), &|_| true) {
            Ok(Some(slot)) => slot,
            Ok(None) => return Err(Found::NoSlot { holds }),
            Err(TooMany) => return Err(Found::OtherSlot { reached, holds }),
        };
        let value = match self.reloc.takes() {
            Class::Slot => Some(Value::Slot(Slot::new(slot.plus(addend)))),
            _ => self.offsets(slot).next(),
        };
        Err(value.map_or(Found::NoSlot { holds }, |value| self.found(stands, reached, value)))
    }

    /// The offset of a slot from each base.
    fn offsets(self, slot: Addr) -> impl Iterator<Item = Value> {
        self.memory.bases.iter().map(move |&base| Value::Offset(slot.distance_from(self.origin(base))))
    }

    /// What the offset of a slot is measured from.
    fn origin(self, base: Addr) -> Addr {
        if self.reloc == Reloc::LD64_GOTPAGE_LO15 { base.page() } else { base }
    }

    fn judge_nothing(self, stands: Stands, addend: i64) -> Result<(), Found> {
        let nowhere = Addr::new(0).plus(addend);
        let is = |addr: Addr| self.is(stands, Value::Addr(addr));
        let is_right = match free_registers(self.reloc) {
            Some(_) if self.reloc != Reloc::PLT32 => {
                return self.judge_addr(stands, self.addr.plus(4));
            }
            _ if self.reloc.is_pc_relative() => {
                is(nowhere)
                    || is(self.addr.plus(addend))
                    || is(self.addr.page().plus(addend))
                    || stands == Stands::Code(Addr::new(0))
            }
            _ if self.reloc.takes() == Class::Offset => return self.judge_offset(stands, nowhere),
            _ => is(nowhere),
        };
        if is_right { Ok(()) } else { Err(self.found(stands, self.reached(stands), Value::Addr(nowhere))) }
    }

    /// That what stands here, which leads to `reached`, is not what the relocation makes of `value`.
    fn found(self, stands: Stands, reached: Addr, value: Value) -> Found {
        if is_address(self.reloc) {
            let expected = self.whole(Addr::new(value.bits()));
            return match self.branch(self.addr).filter(|_| stands == Stands::Code(reached)) {
                Some(veneer) => Found::Through { veneer, reached, expected },
                None => Found::Other { reached, expected },
            };
        }
        let x = self.reloc.x(self.addr, value).unwrap_or(0).cast_unsigned();
        let window = self.window(stands);
        Found::Other { reached: Addr::new(reached.get() & window), expected: Addr::new(x & window) }
    }

    /// The bits of a value that the place decides: of a lo12 twelve, of a move its group, and where that is checked those above.
    fn window(self, stands: Stands) -> u64 {
        let is_checked = *self.reloc.bounds().start() != i64::MIN;
        match stands {
            Stands::Bits(raw) if is_move(self.reloc) => {
                let group = 16 * MoveWide::from_bits(raw as u32).hw() as u32;
                if is_checked { u64::MAX << group } else { 0xffff << group }
            }
            _ if is_checked || self.reloc.is_data() => u64::MAX,
            _ => Addr::PAGE - 1,
        }
    }
}
