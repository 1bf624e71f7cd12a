//! Which references can be made at all, and under which policy.

use super::layout::{MARGIN, untagged};
use super::oracle::Oracle;
use super::program::{Reference, Target};
use aarch64_reloc::link::{Policy, Tags};
use object::elf::*;

/// Whether a reference can be made at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Fits,
    Far,
    /// It depends on where exactly the linker puts something of its own.
    Either,
}

/// The `X` that the field of `code` holds, modulo its alignment (AAELF64 5.7): the least and the greatest; of pages, of the
/// page.
fn range(code: RelocationType) -> (i64, i64) {
    match code {
        R_AARCH64_TSTBR14 => (-0x8000, 0x7ffc),
        R_AARCH64_CONDBR19 | R_AARCH64_LD_PREL_LO19 | R_AARCH64_GOT_LD_PREL19 => (-0x10_0000, 0xf_fffc),
        R_AARCH64_ADR_PREL_LO21 => (-0x10_0000, 0xf_ffff),
        R_AARCH64_CALL26 | R_AARCH64_JUMP26 => (-0x800_0000, 0x7ff_fffc),
        R_AARCH64_ADR_PREL_PG_HI21 | R_AARCH64_ADR_GOT_PAGE => (-0x1_0000_0000, 0xffff_f000),
        R_AARCH64_PREL32 => (-0x8000_0000, 0x7fff_ffff),
        R_AARCH64_PREL16 => (-0x8000, 0x7fff),
        R_AARCH64_ABS32 => (-0x8000_0000, 0xffff_ffff),
        R_AARCH64_ABS16 => (-0x8000, 0xffff),
        R_AARCH64_MOVW_UABS_G0 => (0, 0xffff),
        R_AARCH64_MOVW_UABS_G1 => (0, 0xffff_ffff),
        R_AARCH64_MOVW_UABS_G2 => (0, 0xffff_ffff_ffff),
        _ => (i64::MIN, i64::MAX),
    }
}

fn covers(code: RelocationType, x: u64) -> bool {
    let (least, greatest) = range(code);
    (least..=greatest).contains(&x.cast_signed())
}

/// Whether `X` is measured from the place, and of an address.
pub fn is_relative(code: RelocationType) -> bool {
    matches!(
        code,
        R_AARCH64_TSTBR14
            | R_AARCH64_CONDBR19
            | R_AARCH64_LD_PREL_LO19
            | R_AARCH64_ADR_PREL_LO21
            | R_AARCH64_CALL26
            | R_AARCH64_JUMP26
            | R_AARCH64_ADR_PREL_PG_HI21
            | R_AARCH64_PREL32
            | R_AARCH64_PREL16
            | R_AARCH64_PREL64
    )
}

/// Bytes that the islands of a program stay below.
const ISLAND: u64 = 0x4000;

impl Oracle<'_> {
    /// Whether the field at the place of `reference` holds `target`.
    pub fn holds(&self, reference: &Reference, target: u64) -> bool {
        let place = self.place(reference);
        let x = match reference.code {
            R_AARCH64_ADR_PREL_PG_HI21 | R_AARCH64_ADR_GOT_PAGE => (target & !0xfff).wrapping_sub(place & !0xfff),
            R_AARCH64_ABS64
            | R_AARCH64_ABS32
            | R_AARCH64_ABS16
            | R_AARCH64_MOVW_UABS_G0
            | R_AARCH64_MOVW_UABS_G0_NC
            | R_AARCH64_MOVW_UABS_G1
            | R_AARCH64_MOVW_UABS_G1_NC
            | R_AARCH64_MOVW_UABS_G2
            | R_AARCH64_MOVW_UABS_G2_NC
            | R_AARCH64_MOVW_UABS_G3 => target,
            _ => target.wrapping_sub(place),
        };
        covers(reference.code, x)
    }

    /// What `S + A` must be a multiple of.
    fn alignment(&self, reference: &Reference) -> u64 {
        match reference.code {
            R_AARCH64_LDST16_ABS_LO12_NC => 2,
            R_AARCH64_LDST64_ABS_LO12_NC => 8,
            R_AARCH64_LDST128_ABS_LO12_NC => 16,
            R_AARCH64_LDST32_ABS_LO12_NC | R_AARCH64_LD_PREL_LO19 => 4,
            _ => 1,
        }
    }

    /// Whether it holds all, or none, of a run of addresses.
    fn holds_in(&self, reference: &Reference, start: u64) -> Verdict {
        match (self.holds(reference, start), self.holds(reference, start + MARGIN)) {
            (true, true) => Verdict::Fits,
            (false, false) => Verdict::Far,
            _ => Verdict::Either,
        }
    }

    /// Bytes by which the place may lie above where it is thought to be.
    pub fn slack(&self, reference: &Reference) -> u64 {
        if self.is_moved(reference.output) { MARGIN } else { 0 }
    }

    pub fn verdict(&self, reference: &Reference) -> Verdict {
        let Policy { veneers, hops, detours, scratch, execute_only, tags, .. } = self.policy;
        let &Reference { code, target, before, output, .. } = reference;
        let to = self.target(reference);
        let direct = match code {
            R_AARCH64_ADR_GOT_PAGE | R_AARCH64_GOT_LD_PREL19 => self.holds_in(reference, self.layout.got),
            R_AARCH64_LD_PREL_LO19 if execute_only && self.is_text(target) => return Verdict::Far,
            _ if matches!(target, Target::Nothing(_)) => return Verdict::Fits,
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 if self.has_slot(reference) => return Verdict::Fits,
            _ if tags == Tags::Refuse
                && is_relative(code)
                && untagged(self.whole(reference)) != self.whole(reference) =>
            {
                return Verdict::Far;
            }
            _ if !to.is_multiple_of(self.alignment(reference)) => return Verdict::Far,
            _ if self.is_moved(output) || matches!(target, Target::In { output, .. } if self.is_moved(output)) => {
                Verdict::Either
            }
            _ if self.holds(reference, to) => Verdict::Fits,
            _ => Verdict::Far,
        };
        let rescued = match code {
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 if !veneers || !reference.far_call => Verdict::Far,
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 if scratch => Verdict::Fits,
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 => self.by_branch(reference),
            R_AARCH64_CONDBR19 | R_AARCH64_TSTBR14 if hops => self.by_branch(reference),
            R_AARCH64_LD_PREL_LO19 if !matches!(before >> 24, 0x18 | 0x58 | 0x98) || before & 31 == 31 => Verdict::Far,
            R_AARCH64_ADR_PREL_PG_HI21
            | R_AARCH64_ADR_PREL_LO21
            | R_AARCH64_LD_PREL_LO19
            | R_AARCH64_ADR_GOT_PAGE
            | R_AARCH64_GOT_LD_PREL19
                if detours =>
            {
                Verdict::Fits
            }
            _ => Verdict::Far,
        };
        match (direct, rescued) {
            (Verdict::Fits, _) | (_, Verdict::Fits) => Verdict::Fits,
            (Verdict::Far, Verdict::Far) => Verdict::Far,
            _ => Verdict::Either,
        }
    }

    /// Whether a `B` in an island that the place reaches leads to the target. Each executable output section that is pinned
    /// has one at its end, which all of its text reaches.
    fn by_branch(&self, reference: &Reference) -> Verdict {
        let (place, to) = (self.place(reference), self.target(reference));
        let ends = self.program.outputs.iter().zip(&self.layout.outputs).filter(|(output, _)| output.executable);
        let islands: Vec<_> = ends.map(|(output, at)| at + output.size).chain([self.layout.plt]).collect();
        let leads = |island: u64| [island, island + ISLAND].map(|from| covers(R_AARCH64_JUMP26, to.wrapping_sub(from)));
        let reaches = |island: u64| {
            covers(R_AARCH64_JUMP26, island.wrapping_sub(place))
                || covers(R_AARCH64_JUMP26, (island + ISLAND).wrapping_sub(place))
        };
        let own = self.layout.outputs[reference.output] + self.program.outputs[reference.output].size;
        match leads(own) {
            [true, true] => Verdict::Fits,
            _ if islands.into_iter().any(|island| reaches(island) && leads(island) != [false, false]) => {
                Verdict::Either
            }
            _ => Verdict::Far,
        }
    }

    /// Whether it is a call that goes through a slot.
    pub fn has_slot(&self, reference: &Reference) -> bool {
        let is_call = matches!(reference.code, R_AARCH64_CALL26 | R_AARCH64_JUMP26);
        let is_external = is_call && matches!(reference.target, Target::External(_)) && reference.addend == 0;
        is_external && self.policy.veneers && self.policy.scratch
    }
}
