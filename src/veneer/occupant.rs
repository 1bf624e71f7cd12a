//! What takes cells of an island, and what for.

use super::step::Steps;
use super::{Callee, Detour, Veneer, VeneerError};
use crate::addr::Addr;
use crate::insn::{BTI_C, b};
use crate::reloc::{Reloc, Slot, Value};
use crate::slots::{Key, Keys, Record, Units};

/// Bytes of a cell.
pub(super) const CELL: usize = 16;

/// What cells are for. An island has one run of cells for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Purpose {
    /// Calls of this callee.
    Veneer(Callee),
    /// Conditional branches to this address.
    Hop(Addr),
    /// The instruction at this place.
    Detour(Addr),
    /// Veneers elsewhere that lead to this address.
    Pad(Addr),
}

impl From<Callee> for Purpose {
    fn from(callee: Callee) -> Self {
        Self::Veneer(callee)
    }
}

impl From<Addr> for Purpose {
    fn from(callee: Addr) -> Self {
        Self::Veneer(callee.into())
    }
}

impl From<Slot> for Purpose {
    fn from(callee: Slot) -> Self {
        Self::Veneer(callee.into())
    }
}

impl From<Detour> for Purpose {
    fn from(detour: Detour) -> Self {
        Self::Detour(detour.place())
    }
}

// The kinds of key.
const TO_ADDR: u8 = 0;
const TO_SLOT: u8 = 1;
const HOP: u8 = 2;
const PAD: u8 = 3;
/// With [`Detour::to_bits`] in the lower seven.
const DETOUR: u8 = 0x80;

impl Purpose {
    /// By which it is found.
    #[inline]
    pub(super) const fn keys(self) -> Keys {
        let (addr, kind, mask) = match self {
            Self::Veneer(Callee::Addr(addr)) => (addr, TO_ADDR, u8::MAX),
            Self::Veneer(Callee::Slot(slot)) => (slot.addr(), TO_SLOT, u8::MAX),
            Self::Hop(addr) => (addr, HOP, u8::MAX),
            Self::Detour(addr) => (addr, DETOUR, DETOUR),
            Self::Pad(addr) => (addr, PAD, u8::MAX),
        };
        Keys::like(Key { id: addr.get(), kind }, mask)
    }
}

/// What stands in one cell of an island, or two side by side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Occupant {
    /// A veneer.
    Veneer(Veneer),
    /// `B target`.
    Hop {
        /// The address of the branch.
        addr: Addr,
        /// Where it leads.
        target: Addr,
    },
    /// The moves, the load if there is one, and `B place + 4`.
    Detour {
        /// The address of the first move.
        addr: Addr,
        /// What is done.
        detour: Detour,
    },
    /// `BTI c; B callee`.
    Pad {
        /// The address of the `BTI c`.
        addr: Addr,
        /// Where the branch leads.
        callee: Addr,
    },
}

impl Occupant {
    /// The address of its first instruction.
    pub const fn addr(self) -> Addr {
        match self {
            Self::Veneer(veneer) => veneer.addr(),
            Self::Hop { addr, .. } | Self::Detour { addr, .. } | Self::Pad { addr, .. } => addr,
        }
    }

    /// Bytes of its instructions: 4 to 24.
    pub fn size(self) -> usize {
        self.steps().get().len() * 4
    }

    /// What it is for.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::Veneer(veneer) => Purpose::Veneer(veneer.callee()),
            Self::Hop { target, .. } => Purpose::Hop(target),
            Self::Detour { detour, .. } => Purpose::Detour(detour.place()),
            Self::Pad { callee, .. } => Purpose::Pad(callee),
        }
    }

    /// The veneer that it is.
    pub const fn veneer(self) -> Option<Veneer> {
        if let Self::Veneer(veneer) = self { Some(veneer) } else { None }
    }

    // Known to be a veneer, as in a small linker, it is no more than that.
    #[inline(always)]
    pub(super) fn steps(self) -> Steps {
        let mut steps = Steps::new();
        let to = match self {
            Self::Veneer(veneer) => return veneer.steps(),
            Self::Detour { detour, .. } => return detour.steps(),
            Self::Hop { target, .. } => target,
            Self::Pad { callee, .. } => {
                steps.whole(BTI_C);
                callee
            }
        };
        steps.patched(b(), Reloc::JUMP26, Value::Addr(to));
        steps
    }

    /// Whether each of its branches reaches, and that from a detour's place.
    pub(super) fn check_reach(self) -> Result<(), VeneerError> {
        let check = |from: Addr, to: Addr| match Reloc::JUMP26.reaches(from, Value::Addr(to)) {
            true => Ok(()),
            false => Err(VeneerError::OutOfReach { from, to }),
        };
        match self {
            // Its form is one that reaches.
            Self::Veneer(_) => return Ok(()),
            Self::Detour { addr, detour } => check(detour.place(), addr)?,
            Self::Hop { .. } | Self::Pad { .. } => {}
        }
        let mut place = self.addr();
        for step in self.steps().get() {
            if let Some((Reloc::JUMP26, Value::Addr(to))) = step.fixup() {
                check(place, to)?;
            }
            place = place.plus(4);
        }
        Ok(())
    }

    /// The same at `addr`.
    pub(super) const fn at(self, addr: Addr) -> Self {
        match self {
            Self::Veneer(veneer) => Self::Veneer(Veneer { addr, ..veneer }),
            Self::Hop { target, .. } => Self::Hop { addr, target },
            Self::Detour { detour, .. } => Self::Detour { addr, detour },
            Self::Pad { callee, .. } => Self::Pad { addr, callee },
        }
    }

    pub(super) const fn key(self) -> Key {
        let key = self.purpose().keys().key();
        match self {
            Self::Detour { detour, .. } => Key { kind: DETOUR | detour.to_bits(), ..key },
            _ => key,
        }
    }

    /// What it takes: the address that a detour builds is kept with its first cell.
    pub(super) fn units(self) -> Units {
        let value = match self {
            Self::Detour { detour, .. } => detour.address().get(),
            _ => 0,
        };
        if self.size() <= CELL { Units::One(value) } else { Units::Two([value, 0]) }
    }

    /// What stands at `addr`, by the record of its first cell.
    pub(super) const fn from_record(addr: Addr, record: &Record) -> Self {
        let Key { id, kind } = record.key();
        let to = Addr::new(id);
        match kind {
            TO_ADDR => Self::Veneer(Veneer { addr, callee: Callee::Addr(to) }),
            TO_SLOT => Self::Veneer(Veneer { addr, callee: Callee::Slot(Slot::new(to)) }),
            HOP => Self::Hop { addr, target: to },
            PAD => Self::Pad { addr, callee: to },
            _ => Self::Detour { addr, detour: Detour::from_bits(to, record.value(), kind) },
        }
    }
}
