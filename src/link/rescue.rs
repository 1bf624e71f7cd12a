//! What is done for a reference that does not reach: it leads to something in an island that leads on.

use super::error::Cause;
use super::route::{Action, Reference, Router};
use super::tables::{NONE, State};
use crate::addr::Addr;
use crate::insn;
use crate::patch::PatchError;
use crate::reloc::{Reason, Reloc, Remedy, Value};
use crate::veneer::{Callee, Detour, Form, NoDetour, Veneer, VeneerError};
use core::fmt;

/// Why a reference that does not reach was not brought to its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stranded {
    /// The policy does not allow it.
    Policy,
    /// AAELF64 5.7.8 lets no veneer come between: the target is in the same section, and no function.
    NoCall,
    /// The veneer would change x16, which the policy forbids.
    Scratch,
    /// No island is within reach of the place.
    NoIsland,
    /// The segment of the island was given less room than it may need where it lies ([`Request::most`](super::Request::most)).
    Room {
        /// Bytes that it was given.
        given: u64,
        /// Bytes that it may need.
        most: u64,
    },
    /// What there would be in an island cannot be.
    Veneer(VeneerError),
    /// The instruction cannot go through a detour.
    Detour(NoDetour),
}

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => write!(f, "the policy does not allow it"),
            Self::NoCall => write!(f, "the target is no function, and in the same section"),
            Self::Scratch => write!(f, "the policy does not allow it to use x16"),
            Self::NoIsland => write!(f, "no island is within reach"),
            Self::Room { given, most } => {
                write!(f, "the r-x segment was given {given:#x} bytes of the {most:#x} that it may need where it lies")
            }
            Self::Veneer(error) => write!(f, "{error}"),
            Self::Detour(error) => write!(f, "{error}"),
        }
    }
}

/// The error of a reference that does not reach, and is not rescued.
pub(super) fn stranded(reference: &Reference<'_>, value: Value, why: Stranded) -> Cause<'static> {
    let Reference { reloc, place, addr, addend, .. } = *reference;
    // A call through a slot is a call of the symbol.
    let value = if reloc.takes().takes(value) { value } else { Value::Addr(addr.plus(addend)) };
    let x = reloc.x(place, value).unwrap_or(0);
    Cause::Stranded(PatchError { reloc, place, value: Some(value), reason: Reason::OutOfRange { x } }, why)
}

impl Router<'_> {
    /// A call leads to a veneer.
    pub(super) fn call(
        &mut self,
        reference: &Reference<'_>,
        to: Value,
        begins: &dyn Fn(&Reference<'_>) -> Option<u32>,
    ) -> Result<Action, Cause<'static>> {
        let fail = |why| stranded(reference, to, why);
        let policy = self.policy;
        self.lead(reference, to, Remedy::Veneer, |router, isle, addr| {
            let mut callee = match to {
                Value::Slot(slot) => Callee::Slot(slot),
                to => Callee::Addr(Addr::new(to.bits())),
            };
            // Where in the island the veneer comes to lie is not known yet.
            let is_indirect = |from: Addr| !Reloc::JUMP26.reaches(from, to);
            if !policy.scratch && is_indirect(addr) {
                return Err(fail(Stranded::Scratch));
            }
            // A pad that turns out not to be needed does no harm.
            let end = addr.at(router.isles.size(isle));
            if let Callee::Addr(entry) = callee
                && policy.landing_pads
                && policy.scratch
                && (is_indirect(addr) || is_indirect(end))
                && reference.target.state == State::Defined
                && !begins(reference).is_some_and(insn::is_landing_pad)
            {
                callee = Callee::Addr(
                    router.pad(entry, reference.target_moved).map_err(|error| fail(Stranded::Veneer(error)))?,
                );
            }
            let at_most = callee.veneer_at(addr).map_or(0, Veneer::most_cells);
            let veneer = router.isles.claim(isle, at_most, |island| island.veneer_for(callee));
            let veneer = veneer.map_err(|error| fail(Stranded::Veneer(error)))?;
            let is_direct = callee.veneer_at(veneer).is_ok_and(|veneer| veneer.form() == Form::Direct);
            if policy.scratch || is_direct { Ok(veneer) } else { Err(fail(Stranded::Scratch)) }
        })
    }

    /// A conditional branch leads to a hop.
    pub(super) fn hop(&mut self, reference: &Reference<'_>, to: Value) -> Result<Action, Cause<'static>> {
        self.lead(reference, to, Remedy::Hop, |router, isle, _| {
            let hop = router.isles.claim(isle, 1, |island| island.hop_to(Addr::new(to.bits())));
            hop.map_err(|error| stranded(reference, to, Stranded::Veneer(error)))
        })
    }

    /// An instruction that computes or loads becomes a branch to what does the same from anywhere.
    pub(super) fn detour(&mut self, reference: &Reference<'_>, to: Value, raw: u64) -> Result<Action, Cause<'static>> {
        let fail = |why| stranded(reference, to, why);
        let Reference { reloc, place, .. } = *reference;
        let detour = Detour::new(place, raw as u32, reloc, to).map_err(|error| fail(Stranded::Detour(error)))?;
        self.lead(reference, to, Remedy::Detour, |router, isle, _| {
            let made = router.isles.claim(isle, detour.most_cells(), |island| island.detour_for(detour));
            made.map_err(|error| fail(Stranded::Veneer(error)))
        })
    }

    /// Has `make` make something in an island near the place, and sends the reference there.
    fn lead(
        &mut self,
        reference: &Reference<'_>,
        to: Value,
        remedy: Remedy,
        make: impl Fn(&mut Self, u32, Addr) -> Result<Addr, Cause<'static>>,
    ) -> Result<Action, Cause<'static>> {
        let Reference { reloc, place, isle: own, .. } = *reference;
        let branch = if remedy == Remedy::Detour { Reloc::JUMP26 } else { reloc };
        let own = Some(own).filter(|&own| remedy == Remedy::Hop && own != NONE);
        let mut cause = stranded(reference, to, Stranded::NoIsland);
        let reaches = |addr: Addr| branch.reaches(place, addr.into());
        for isle in [own].into_iter().chain(self.isles.nearest(place, reference.moved)).flatten() {
            // Of several islands it is not what is in them that decides which is asked: so it is the same when asked again.
            let Some(addr) =
                self.isles.addr(isle).filter(|&addr| reaches(addr) && reaches(self.isles.last(isle, addr)))
            else {
                continue;
            };
            match make(self, isle, addr) {
                Ok(made) if !reaches(made) => {}
                Ok(made) if remedy != Remedy::Detour => return Ok(Action::Lead(made, remedy)),
                Ok(made) => {
                    // Both are of four bytes: what is in reach is encoded.
                    let word = branch.apply(insn::b().into(), place, made.into());
                    return word.map(|word| Action::Detour(word as u32)).map_err(|_| cause);
                }
                Err(why) => cause = why,
            }
        }
        Err(cause)
    }

    /// The landing pad of the function at `entry`, which was `moved` by so many bytes since the islands were counted.
    fn pad(&mut self, entry: Addr, moved: i64) -> Result<Addr, VeneerError> {
        let mut result = Err(VeneerError::Full { capacity: 0, used: 0 });
        for isle in self.isles.nearest(entry, moved).into_iter().flatten() {
            result = result.or_else(|_| self.isles.claim(isle, 1, |island| island.pad_for(entry)));
        }
        result
    }
}
