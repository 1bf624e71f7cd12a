//! A plan in numbers: what was checked, and by which rung of the rescue each reference goes.

use super::kinds::Facts;
use super::route::Action;
use crate::reloc::Remedy;
use core::fmt;

/// A plan in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Relocations checked.
    pub relocations: usize,
    /// How those that refer to something are brought there.
    pub rungs: Rungs,
    /// Slots of the GOT.
    pub slots: usize,
    /// Veneers, each for all calls to one target from around it.
    pub veneers: usize,
    /// Hops, each for all conditional branches to one target from around it. Where a veneer is one `B`, it is the hop too.
    pub hops: usize,
    /// Detours, each for one place.
    pub detours: usize,
    /// Landing pads.
    pub pads: usize,
}

/// References by the rung of the rescue that they take, the cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rungs {
    /// To the target itself.
    pub direct: usize,
    /// To a slot of the GOT, because the object wants one.
    pub slot: usize,
    /// Calls through a veneer.
    pub veneer: usize,
    /// Conditional branches through a hop.
    pub hop: usize,
    /// Instructions that became a detour.
    pub detour: usize,
    /// `ADRP`s that became an `ADR` for erratum 843419.
    pub adr: usize,
    /// Weak references to nothing.
    pub nothing: usize,
}

impl Rungs {
    /// Counts what is done for a reference.
    pub(super) fn count(&mut self, facts: &Facts, action: Action) {
        let rung = match action {
            Action::Patch(_) if facts.entry.is_some() => &mut self.slot,
            Action::Patch(_) => &mut self.direct,
            Action::Lead(_, Remedy::Hop) => &mut self.hop,
            Action::Lead(..) => &mut self.veneer,
            Action::Adr(_) => &mut self.adr,
            Action::Replace(_) => &mut self.nothing,
            Action::Detour(_) => &mut self.detour,
        };
        *rung += 1;
    }
}

/// One line for what was checked, and one for each rung that was taken.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relocations, rungs, slots, veneers, hops, detours, pads } = *self;
        write!(f, "{}, {}", Count(relocations, "relocation"), Count(slots, "GOT slot"))?;
        for (count, way, made) in [
            (rungs.direct, "direct", None),
            (rungs.slot, "by the GOT", None),
            (rungs.veneer, "through", Some(Count(veneers, "veneer"))),
            (rungs.hop, "through", Some(Count(hops, "hop"))),
            (rungs.detour, "through", Some(Count(detours, "detour"))),
            (rungs.adr, "by ADR (erratum 843419)", None),
            (rungs.nothing, "to nothing", None),
        ] {
            match made {
                _ if count == 0 => {}
                None => write!(f, "\n{count:8} {way}")?,
                Some(made) => write!(f, "\n{count:8} {way} {made}")?,
            }
        }
        if pads == 0 { Ok(()) } else { write!(f, "\n{pads:8} landing pads for veneers") }
    }
}

/// So many of these, in words.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        write!(f, "{count} {what}{}", if *count == 1 { "" } else { "s" })
    }
}
