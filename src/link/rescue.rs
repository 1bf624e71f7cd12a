//! What is done for a reference that does not reach: it leads to something in an island that leads on.

use super::error::Cause;
use super::isles::Wanted;
use super::parts::FULL;
use super::route::{Action, Reference, Router};
use super::tables::{NONE, State};
use crate::addr::Addr;
use crate::insn;
use crate::patch::PatchError;
use crate::reloc::{Reason, Reloc, Remedy, Value};
use crate::veneer::{Callee, Detour, Form, NoDetour, VeneerError};
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

/// What a reference is to lead to.
#[derive(Clone, Copy)]
enum Means<'b> {
    /// A veneer, for a call. `begins` tells the first instruction of a function of the link.
    Call(&'b dyn Fn(&Reference<'_>) -> Option<u32>),
    /// A hop, for a conditional branch.
    Hop,
    /// A detour, for an instruction that computes or loads.
    Detour(Detour),
}

impl Router<'_> {
    /// A call leads to a veneer.
    pub(super) fn call(
        &mut self,
        reference: &Reference<'_>,
        to: Value,
        begins: &dyn Fn(&Reference<'_>) -> Option<u32>,
    ) -> Result<Action, Cause<'static>> {
        self.lead(reference, to, Means::Call(begins))
    }

    /// A conditional branch leads to a hop.
    pub(super) fn hop(&mut self, reference: &Reference<'_>, to: Value) -> Result<Action, Cause<'static>> {
        self.lead(reference, to, Means::Hop)
    }

    /// An instruction that computes or loads becomes a branch to what does the same from anywhere.
    pub(super) fn detour(&mut self, reference: &Reference<'_>, to: Value, raw: u64) -> Result<Action, Cause<'static>> {
        let Reference { reloc, place, .. } = *reference;
        match Detour::new(place, raw as u32, reloc, to) {
            Ok(detour) => self.lead(reference, to, Means::Detour(detour)),
            Err(error) => Err(stranded(reference, to, Stranded::Detour(error))),
        }
    }

    /// Makes something in an island near the place, and sends the reference there.
    #[inline(never)]
    fn lead(&mut self, reference: &Reference<'_>, to: Value, means: Means<'_>) -> Result<Action, Cause<'static>> {
        let Reference { reloc, place, isle: own, .. } = *reference;
        let (branch, own) = match means {
            Means::Call(_) => (reloc, None),
            _ if !FULL => (reloc, None),
            Means::Hop => (reloc, Some(own).filter(|&own| own != NONE)),
            Means::Detour(_) => (Reloc::JUMP26, None),
        };
        let mut cause = Stranded::NoIsland;
        let reaches = |addr: Addr| branch.reaches(place, addr.into());
        let [first, second] = self.isles.nearest(place, reference.moved);
        // With one island there is no other.
        let isles = if FULL { &[own, first, second][..] } else { &[first] };
        for &isle in isles {
            // Of several islands it is not what is in them that decides which is asked: so it is the same when asked again.
            let Some((isle, addr)) = isle.and_then(|isle| Some((isle, self.isles.addr(isle)?))) else { continue };
            if !reaches(addr) || !reaches(self.isles.last(isle, addr)) {
                continue;
            }
            let made = match means {
                Means::Hop | Means::Detour(_) if !FULL => Err(Stranded::NoIsland),
                Means::Call(begins) => self.veneer(reference, to, begins, isle, addr),
                Means::Hop => self.isles.claim(isle, Wanted::Hop(Addr::new(to.bits()))).map_err(Stranded::Veneer),
                Means::Detour(detour) => self.isles.claim(isle, Wanted::Detour(detour)).map_err(Stranded::Veneer),
            };
            match (made, means) {
                (Ok(made), _) if !reaches(made) => {}
                (Ok(made), _) if !FULL => return Ok(Action::Lead(made, Remedy::Veneer)),
                (Ok(made), Means::Call(_)) => return Ok(Action::Lead(made, Remedy::Veneer)),
                (Ok(made), Means::Hop) => return Ok(Action::Lead(made, Remedy::Hop)),
                (Ok(made), Means::Detour(_)) => {
                    // Both are of four bytes: what is in reach is encoded.
                    match branch.apply(insn::b().into(), place, made.into()) {
                        Ok(word) => return Ok(Action::Detour(word as u32)),
                        Err(_) => break,
                    }
                }
                (Err(why), _) => cause = why,
            }
        }
        Err(stranded(reference, to, cause))
    }

    /// The veneer for a call, in island number `isle` at `addr`.
    fn veneer(
        &mut self,
        reference: &Reference<'_>,
        to: Value,
        begins: &dyn Fn(&Reference<'_>) -> Option<u32>,
        isle: u32,
        addr: Addr,
    ) -> Result<Addr, Stranded> {
        let policy = self.policy;
        let mut callee = match to {
            Value::Slot(slot) => Callee::Slot(slot),
            to => Callee::Addr(Addr::new(to.bits())),
        };
        // Where in the island the veneer comes to lie is not known yet.
        let is_indirect = |from: Addr| !Reloc::JUMP26.reaches(from, to);
        if !policy.scratches() && is_indirect(addr) {
            return Err(Stranded::Scratch);
        }
        // A pad that turns out not to be needed does no harm.
        if let Callee::Addr(entry) = callee
            && policy.pads()
            && policy.scratches()
            && (is_indirect(addr) || is_indirect(addr.at(self.isles.size(isle))))
            && reference.target.state == State::Defined
            && !begins(reference).is_some_and(insn::is_landing_pad)
        {
            callee = Callee::Addr(self.pad(entry, reference.target_moved).map_err(Stranded::Veneer)?);
        }
        let veneer = self.isles.claim(isle, Wanted::Veneer(callee)).map_err(Stranded::Veneer)?;
        let is_direct = || callee.veneer_at(veneer).is_ok_and(|veneer| veneer.form() == Form::Direct);
        if policy.scratches() || is_direct() { Ok(veneer) } else { Err(Stranded::Scratch) }
    }

    /// The landing pad of the function at `entry`, which was `moved` by so many bytes since the islands were counted.
    fn pad(&mut self, entry: Addr, moved: i64) -> Result<Addr, VeneerError> {
        let mut result = Err(VeneerError::Full { capacity: 0, used: 0 });
        for isle in self.isles.nearest(entry, moved).into_iter().flatten() {
            result = result.or_else(|_| self.isles.claim(isle, Wanted::Pad(entry)));
        }
        result
    }
}
