//! What a relocation of an object is given: the target itself, a slot of the GOT, or a veneer.

use super::bases;
use super::error::Cause;
use super::kinds::{Origin, got_offset, is_call, is_near_slot};
use super::tables::{State, Target};
use crate::addr::Addr;
use crate::got::{self, Got};
use crate::insn::layout::PcRel;
use crate::insn::{self, Hw};
use crate::reloc::{Class, Reloc, Slot, Value};
use crate::veneer::{self, Island};

/// A relocation, with its target found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'a> {
    pub(super) reloc: Reloc,
    /// `P`.
    pub(super) place: Addr,
    /// The number of the input section that holds the place.
    pub(super) section: u32,
    /// The number and the address of the object's base of the GOT.
    pub(super) base: u32,
    pub(super) got: Addr,
    /// The definition meant, and its number.
    pub(super) target: &'a Target,
    pub(super) number: u32,
    /// `S`, as the object sees it.
    pub(super) addr: Addr,
    /// `A`.
    pub(super) addend: i64,
}

/// What is done at the place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// The relocation is applied with this value.
    Patch(Value),
    /// The instruction, which the relocation may change, is replaced by this one.
    Replace(u32),
}

/// The ledgers that references are routed through.
#[derive(Debug)]
pub(super) struct Router<'t> {
    pub(super) got: Got<&'t mut [got::Entry]>,
    pub(super) island: Island<&'t mut [veneer::Cell]>,
}

impl Router<'_> {
    /// What is done for `reference`, whose place holds `raw`. Asked again, it answers the same.
    pub(super) fn route(&mut self, reference: &Reference<'_>, raw: u64) -> Result<Action, Cause<'static>> {
        let Reference { reloc, target, addend, got, .. } = *reference;
        let target_addr = reference.addr.plus(addend);
        let value = match reloc.takes() {
            Class::Any => Value::Addr(target_addr),
            Class::Slot if reloc == Reloc::GOTPCREL32 => Value::Slot(self.slot(reference)?.plus(addend)),
            Class::Slot => Value::Slot(self.plain_slot(reference)?),
            Class::Offset => {
                let Some(origin) = got_offset(reloc) else {
                    // GOTREL: S + A - GOT.
                    return Ok(Action::Patch(Value::Offset(target_addr.distance_from(got))));
                };
                let slot = self.plain_slot(reference)?.addr();
                Value::Offset(match origin {
                    Origin::Got => slot.distance_from(got),
                    Origin::GotPage => slot.distance_from(got.page()),
                })
            }
            Class::Addr if matches!(target.state, State::Null | State::LeftOut) => {
                return Ok(to_nothing(reference, raw));
            }
            Class::Addr if through_slot(reloc, target, addend) => {
                let slot = self.slot(reference)?;
                Value::Addr(self.island.veneer_for(slot).map_err(Cause::Veneer)?)
            }
            Class::Addr if may_detour(reference) && !reloc.reaches(reference.place, Value::Addr(target_addr)) => {
                let veneer = Value::Addr(self.island.veneer_for(target_addr).map_err(Cause::Veneer)?);
                // One out of reach itself is of no use: the error is the target's.
                if reloc.reaches(reference.place, veneer) { veneer } else { Value::Addr(target_addr) }
            }
            Class::Addr => Value::Addr(target_addr),
        };
        Ok(Action::Patch(value))
    }

    fn plain_slot(&mut self, reference: &Reference<'_>) -> Result<Slot, Cause<'static>> {
        match reference.addend {
            0 => self.slot(reference),
            addend => Err(Cause::SlotAddend(reference.reloc, addend)),
        }
    }

    /// The slot of the symbol: the one near the object's base, where that is wanted or there; else the one of all.
    pub(super) fn slot(&mut self, reference: &Reference<'_>) -> Result<Slot, Cause<'static>> {
        let &Reference { reloc, base, number, addr, .. } = reference;
        let near = bases::key(base, number);
        let is_near = is_near_slot(reloc) || self.got.get(near, got::Kind::Gdat).is_some();
        let key = if is_near { near } else { bases::key(0, number) };
        self.got.slot_for(key, addr).map_err(Cause::Got)
    }
}

/// Whether a call goes through a slot of the GOT, so that it can be re-pointed: one to a symbol that no object defines.
pub(super) fn through_slot(reloc: Reloc, target: &Target, addend: i64) -> bool {
    is_call(reloc) && target.state == State::External && addend == 0
}

/// Whether AAELF64 5.7.8 lets a veneer come between: the target is a function, in another section, or undefined.
fn may_detour(reference: &Reference<'_>) -> bool {
    let target = reference.target;
    is_call(reference.reloc) && (target.function || target.section != reference.section)
}

/// A weak reference to nothing (AAELF64, "Weak references"): a branch falls through, an address is zero, and what is
/// relative to the place is relative to that.
fn to_nothing(reference: &Reference<'_>, raw: u64) -> Action {
    let Reference { reloc, place, addend, target, .. } = *reference;
    let rd = PcRel::from_bits(raw as u32).rd();
    match reloc {
        Reloc::CALL26 | Reloc::JUMP26 | Reloc::CONDBR19 | Reloc::TSTBR14 => Action::Patch(Value::Addr(place.plus(4))),
        Reloc::ADR_PREL_PG_HI21 | Reloc::ADR_PREL_PG_HI21_NC | Reloc::ADR_PREL_LO21 if addend == 0 => {
            Action::Replace(insn::movz(rd, Hw::G0))
        }
        _ if reloc.is_pc_relative() && !reloc.is_paged() => Action::Patch(Value::Addr(place.plus(addend))),
        _ => Action::Patch(Value::Addr(target.addr.plus(addend))),
    }
}
