//! What a relocation of an object is given: the target itself, a slot of the GOT, or what stands in an island.

use super::error::Cause;
use super::isles::Isles;
use super::kinds::{Base, Facts, got_offset};
use super::parts::{FULL, Omitted};
use super::policy::{Policy, Tags};
use super::rescue::{Stranded, stranded};
use super::tables::{State, Target};
use super::tls::{Access, Threads};
use super::{bases, indirect};
use crate::addr::Addr;
use crate::got::{self, Got};
use crate::insn::layout::PcRel;
use crate::insn::{self, Hw};
use crate::patch::Fixup;
use crate::reloc::{Class, Reloc, Remedy, Slot, Value};

/// A relocation, with its target found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'a> {
    pub(super) reloc: Reloc,
    pub(super) facts: &'static Facts,
    /// `P`.
    pub(super) place: Addr,
    /// The number of the input section that holds the place, and of the island right after it, or
    /// [`NONE`](super::tables::NONE).
    pub(super) section: u32,
    pub(super) isle: u32,
    /// The number and the address of the output section that holds the place.
    pub(super) output: u32,
    pub(super) home: Addr,
    /// Bytes by which the place and its target were moved since what the islands need was counted.
    pub(super) moved: i64,
    pub(super) target_moved: i64,
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
    /// The object's bytes from the place on to the end of the section.
    pub(super) code: &'a [u8],
    /// `S` is measured from a section's start, or from a symbol: the row is for that, whatever else it is for.
    pub(super) is_measured: bool,
}

/// What there is to know of most relocations: from where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) facts: &'static Facts,
    /// `P`, and the numbers of the input section and of the output section that hold it.
    pub(super) place: Addr,
    pub(super) section: u32,
    pub(super) output: u32,
    /// The address of that output section: 0 until it is placed.
    pub(super) home: Addr,
    /// The definition meant, and its number.
    pub(super) target: &'a Target,
    pub(super) number: u32,
    /// `S + A`.
    pub(super) to: Addr,
}

impl<'a> Reference<'a> {
    pub(super) fn link(&self) -> Link<'a> {
        let Self { facts, place, section, output, home, target, number, addr, addend, .. } = *self;
        Link { facts, place, section, output, home, target, number, to: addr.plus(addend) }
    }
}

/// What is done at the place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// The relocation is applied with this value.
    Patch(Value),
    /// The same, and the value is what stands in an island.
    Lead(Addr, Remedy),
    /// The instruction, which the relocation may change, is replaced by this one.
    Replace(u32),
    /// The same, by an `ADR` that makes the page of an `ADRP`.
    Adr(u32),
    /// The same, by a branch to a detour.
    Detour(u32),
}

impl Action {
    /// What is to be done at the byte `offset` of a section.
    pub(super) fn fixup(self, offset: u64, reloc: Reloc) -> Result<Fixup, Cause<'static>> {
        let offset = u32::try_from(offset).map_err(|_| Cause::FarPlace)?;
        Ok(match self {
            Self::Patch(value) => Fixup::new(offset, reloc, value),
            Self::Lead(to, _) => Fixup::new(offset, reloc, to),
            Self::Replace(word) | Self::Adr(word) | Self::Detour(word) => {
                Fixup::new(offset, Reloc::PATCHINST, Addr::new(word.into()))
            }
        })
    }
}

/// The ledgers that references are routed through.
#[derive(Debug)]
pub(super) struct Router<'t> {
    pub(super) got: Got<&'t mut [got::Entry]>,
    pub(super) isles: Isles<'t>,
    pub(super) policy: Policy,
    /// `None` where thread-local storage is refused.
    pub(super) threads: Option<Threads>,
    /// Bytes by which a place and its target may still move against each other.
    pub(super) margin: i64,
}

impl Router<'_> {
    /// What is done for `reference`, whose place holds `raw`. Asked again, it answers the same. `begins` tells the first
    /// instruction of a function of the link.
    pub(super) fn route(
        &mut self,
        reference: &Reference<'_>,
        raw: u64,
        begins: &dyn Fn(&Reference<'_>) -> Option<u32>,
    ) -> Result<Action, Cause<'static>> {
        let Reference { reloc, facts, place, target, addend, .. } = *reference;
        if FULL && reloc == Reloc::FUNCINIT64 {
            return Ok(Action::Patch(Value::Addr(indirect::resolver_of(reference)?)));
        }
        if !reference.is_measured && refers_to_nothing(reloc, target) {
            return match to_nothing(reference, raw) {
                Action::Patch(value) if self.is_affected(reference) => self.mend(reference, value, raw),
                action => Ok(action),
            };
        }
        if through_slot(facts.is_call, target, addend, self.policy) {
            let slot = self.slot(reference)?;
            let direct = Value::Addr(reference.addr);
            return match self.call(reference, Value::Slot(slot), begins) {
                // Better a call that cannot be re-pointed than none.
                Err(Cause::Stranded(..)) if self.reaches(reference, direct) => Ok(Action::Patch(direct)),
                done => done,
            };
        }
        let value = self.value(reference)?;
        if self.is_affected(reference) {
            return self.mend(reference, value, raw);
        }
        let is_aligned = reloc.x(place, value).is_some_and(|x| x & (reloc.alignment().cast_signed() - 1) == 0);
        match facts.remedy {
            Some(remedy) if is_aligned && !self.reaches(reference, value) => match remedy {
                _ if !self.policy.allows(remedy) => Err(stranded(reference, value, Stranded::Policy)),
                Remedy::Veneer if !may_come_between(reference) => Err(stranded(reference, value, Stranded::NoCall)),
                Remedy::Veneer => self.call(reference, value, begins),
                Remedy::Hop if !FULL => Err(Cause::Omitted(Omitted::Islands)),
                Remedy::Hop => self.hop(reference, value),
                Remedy::Detour if !FULL => Err(Cause::Omitted(Omitted::Detours)),
                Remedy::Detour => self.detour(reference, value, raw),
            },
            _ => Ok(Action::Patch(value)),
        }
    }

    /// What the ABI says that the relocation is given.
    fn value(&mut self, reference: &Reference<'_>) -> Result<Value, Cause<'static>> {
        let Reference { reloc, addr, addend, got, is_measured, .. } = *reference;
        if let Some(access) = Access::of(reloc).filter(|_| !is_measured) {
            return self.thread_local(reference, access);
        }
        let target = addr.plus(addend);
        Ok(match reloc.takes() {
            Class::Addr if reloc.is_pc_relative() => {
                let tags = if FULL { self.policy.tags } else { Tags::Keep };
                Value::Addr(tags.admit(target).ok_or(Cause::Tagged(target))?)
            }
            Class::Addr | Class::Any => Value::Addr(target),
            Class::Slot if reloc == Reloc::GOTPCREL32 => Value::Slot(self.slot(reference)?.plus(addend)),
            Class::Slot => Value::Slot(self.plain_slot(reference)?),
            Class::Offset => Value::Offset(match got_offset(reloc) {
                Some(Base::Got) => self.plain_slot(reference)?.addr().distance_from(got),
                Some(Base::GotPage) => self.plain_slot(reference)?.addr().distance_from(got.page()),
                // S + A - GOT.
                None if matches!(reloc, Reloc::GOTREL64 | Reloc::GOTREL32) => target.distance_from(got),
                // What it is measured from was taken off.
                None => target.get().cast_signed(),
            }),
        })
    }

    fn plain_slot(&mut self, reference: &Reference<'_>) -> Result<Slot, Cause<'static>> {
        match reference.addend {
            0 => self.slot(reference),
            addend => Err(Cause::SlotAddend(reference.reloc, addend)),
        }
    }

    /// The slot of the symbol: the one near the object's base, where that is wanted or there; else the one of all.
    pub(super) fn slot(&mut self, reference: &Reference<'_>) -> Result<Slot, Cause<'static>> {
        let &Reference { facts, base, number, addr, .. } = reference;
        let near = bases::key(base, number);
        let is_near = FULL && (facts.is_near_slot || self.got.get(near, got::Kind::Gdat).is_some());
        let key = if is_near { near } else { bases::key(0, number) };
        self.got.slot_for(key, addr).map_err(Cause::Got)
    }

    /// Whether the place reaches the value, however the two still move; those of one section move together.
    fn reaches(&self, reference: &Reference<'_>, value: Value) -> bool {
        let Reference { reloc, place, .. } = *reference;
        let margin = if !FULL || is_within(reference) && matches!(value, Value::Addr(_)) { 0 } else { self.margin };
        reloc.reaches(place.plus(margin), value) && reloc.reaches(place.plus(-margin), value)
    }
}

/// Whether a call goes through a slot of the GOT, so that it can be re-pointed: one to a symbol that no object defines.
pub(super) fn through_slot(is_call: bool, target: &Target, addend: i64, policy: Policy) -> bool {
    let allows = policy.allows(Remedy::Veneer) && policy.scratches();
    is_call && target.state == State::External && addend == 0 && allows
}

/// Whether the target is in the section of the place.
pub(super) fn is_within(reference: &Reference<'_>) -> bool {
    let Reference { target, section, .. } = *reference;
    target.state == State::Defined && target.section == section
}

/// Whether AAELF64 5.7.8 lets a veneer come between: the target is a function, in another section, or undefined.
fn may_come_between(reference: &Reference<'_>) -> bool {
    reference.target.flags.function() || !is_within(reference)
}

/// Whether `reloc` would give the target's address, and there is none. A slot is there all the same, and holds zero.
pub(super) fn refers_to_nothing(reloc: Reloc, target: &Target) -> bool {
    reloc.takes() == Class::Addr && matches!(target.state, State::Null | State::LeftOut)
}

/// A weak reference to nothing (AAELF64, "Weak references"): a branch falls through, an address is zero, and what is
/// relative to the place is relative to that.
fn to_nothing(reference: &Reference<'_>, raw: u64) -> Action {
    let Reference { reloc, place, addend, target, .. } = *reference;
    // What ADR or ADRP is to leave in its register, as far as sixteen bits and a sign can say it.
    let to = target.addr.plus(addend);
    let to = if reloc.is_paged() { to.page() } else { to };
    let set = insn::movz(PcRel::from_bits(raw as u32).rd(), Hw::G0);
    match (reloc, Reloc::MOVW_SABS_G0.apply(set.into(), place, to.into())) {
        (Reloc::CALL26 | Reloc::JUMP26 | Reloc::CONDBR19 | Reloc::TSTBR14, _) => {
            Action::Patch(Value::Addr(place.plus(4)))
        }
        (Reloc::ADR_PREL_PG_HI21 | Reloc::ADR_PREL_PG_HI21_NC | Reloc::ADR_PREL_LO21, Ok(set)) => {
            Action::Replace(set as u32)
        }
        _ if reloc.is_pc_relative() && !reloc.is_paged() => Action::Patch(Value::Addr(place.plus(addend))),
        _ => Action::Patch(Value::Addr(target.addr.plus(addend))),
    }
}
