//! The instructions that islands are made of.

use crate::addr::Addr;
use crate::insn::{Hw, Reg, movk, movz};
use crate::reloc::{Reloc, Value};

/// An instruction and the relocation that fills in its immediate, `NONE` for one that is complete.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) insn: u32,
    reloc: Reloc,
    value: Value,
}

impl Step {
    /// An instruction that is complete.
    pub(super) const fn whole(insn: u32) -> Self {
        Self { insn, reloc: Reloc::NONE, value: Value::Offset(0) }
    }

    /// The relocation, where there is one, and what it is given.
    pub(super) fn fixup(self) -> Option<(Reloc, Value)> {
        (self.reloc != Reloc::NONE).then_some((self.reloc, self.value))
    }
}

/// The instructions of one occupant, in order.
pub(super) struct Steps {
    steps: [Step; 6],
    len: usize,
}

impl Steps {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self { steps: [Step::whole(0); 6], len: 0 }
    }

    /// Adds an instruction that is complete.
    pub(super) fn whole(&mut self, insn: u32) {
        self.patched(insn, Reloc::NONE, Value::Offset(0));
    }

    /// Adds an instruction whose immediate is made of `value`; there are six at the most.
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn patched(&mut self, insn: u32, reloc: Reloc, value: Value) {
        if let Some(free) = self.steps.get_mut(self.len) {
            *free = Step { insn, reloc, value };
            self.len += 1;
        }
    }

    /// Adds what sets `rd` to `addr` by as few moves as it has sixteen-bit groups that the first move does not set anyway:
    /// zeros with `MOVZ`, ones with `MOVN`. The first is the highest, for its relocation has the check that nothing above is
    /// lost.
    pub(super) fn push_moves(&mut self, rd: Reg, addr: Addr) {
        const GROUPS: [(Hw, Reloc, Reloc); 4] = [
            (Hw::G3, Reloc::MOVW_UABS_G3, Reloc::MOVW_UABS_G3),
            (Hw::G2, Reloc::MOVW_SABS_G2, Reloc::MOVW_UABS_G2_NC),
            (Hw::G1, Reloc::MOVW_SABS_G1, Reloc::MOVW_UABS_G1_NC),
            (Hw::G0, Reloc::MOVW_SABS_G0, Reloc::MOVW_UABS_G0_NC),
        ];
        let group = |hw: Hw| (addr.get() >> (16 * hw as u32)) as u16;
        let set_by_first = if group(Hw::G3) == u16::MAX { u16::MAX } else { 0 };
        let mut is_first = true;
        for (hw, first, later) in GROUPS {
            if group(hw) == set_by_first && !(is_first && hw == Hw::G0) {
                continue;
            }
            let (insn, reloc) = if is_first { (movz(rd, hw), first) } else { (movk(rd, hw), later) };
            is_first = false;
            self.patched(insn, reloc, Value::Addr(addr));
        }
    }

    /// The instructions.
    pub(super) fn get(&self) -> &[Step] {
        self.steps.get(..self.len).unwrap_or_default()
    }
}
