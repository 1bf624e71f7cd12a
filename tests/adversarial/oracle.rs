//! What the ABI wants of the bytes, by an interpreter and arithmetic of its own: nothing here asks the crate.

use super::follow::{Memory, State, takes};
use super::layout::{Layout, MARGIN, Random, untagged};
use super::program::{Program, Reference, Target, size};
use aarch64_reloc::link::{Policy, Tags};
use object::elf::*;
use std::collections::HashMap;

/// What was written: the address and the bytes of each segment.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub segments: Vec<(u64, Vec<u8>)>,
}

impl Memory for Image {
    /// Of what is not in the image each byte is its own.
    fn byte(&self, addr: u64) -> u8 {
        match self.bytes(addr, 1) {
            Some(&[byte]) => byte,
            _ => Random(addr).next() as u8,
        }
    }

    fn number(&self, addr: u64, size: u64) -> u64 {
        match self.bytes(addr, size) {
            Some(bytes) => bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)),
            None => (0..size).rev().fold(0, |number, at| number << 8 | u64::from(self.byte(addr.wrapping_add(at)))),
        }
    }
}

impl Image {
    pub fn bytes(&self, addr: u64, size: u64) -> Option<&[u8]> {
        self.segments.iter().find_map(|(start, bytes)| {
            let offset = usize::try_from(addr.wrapping_sub(*start)).ok()?;
            bytes.get(offset..offset.checked_add(size as usize)?)
        })
    }
}

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
fn is_relative(code: RelocationType) -> bool {
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

/// What is to be judged.
#[derive(Debug)]
pub struct Oracle<'p> {
    pub program: &'p Program,
    pub layout: &'p Layout,
    pub policy: Policy,
}

impl Oracle<'_> {
    /// `P`.
    pub fn place(&self, reference: &Reference) -> u64 {
        self.layout.outputs[reference.output].wrapping_add(reference.offset)
    }

    /// `S + A`, without its tag where that is what is measured.
    pub fn target(&self, reference: &Reference) -> u64 {
        let whole = self.whole(reference);
        let strips = self.policy.tags == Tags::Strip && is_relative(reference.code) && !self.has_slot(reference);
        if strips { untagged(whole) } else { whole }
    }

    /// `S + A`.
    fn whole(&self, reference: &Reference) -> u64 {
        self.layout.symbol(reference.target).wrapping_add_signed(reference.addend)
    }

    fn is_text(&self, target: Target) -> bool {
        matches!(target, Target::In { output, .. } if self.program.outputs[output].executable)
    }

    /// Whether an island may come before the output section: it follows text whose branches have one right after it.
    fn is_moved(&self, output: usize) -> bool {
        self.layout.segments.is_some() && self.program.outputs[output].name == "other_text"
    }

    /// Whether the field at the place of `reference` holds `target`.
    fn holds(&self, reference: &Reference, target: u64) -> bool {
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
            _ if to % self.alignment(reference) != 0 => return Verdict::Far,
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
    fn has_slot(&self, reference: &Reference) -> bool {
        let is_call = matches!(reference.code, R_AARCH64_CALL26 | R_AARCH64_JUMP26);
        let is_external = is_call && matches!(reference.target, Target::External(_)) && reference.addend == 0;
        is_external && self.policy.veneers && self.policy.scratch
    }

    /// What is wrong with `image`, if anything is.
    pub fn judge(&self, image: &Image) -> Result<(), String> {
        self.unchanged(image)?;
        let mut slots = HashMap::<Target, [Option<u64>; 2]>::new();
        for reference in &self.program.references {
            let found = self.judge_one(reference, image);
            let slot =
                found.map_err(|wrong| format!("{:x?} at {:#x}: {wrong}", reference.name, self.place(reference)))?;
            for (known, found) in slots.entry(reference.target).or_default().iter_mut().zip(slot) {
                if found.is_some() && known.replace(found.unwrap()).is_some_and(|known| Some(known) != found) {
                    return Err(format!("{:?}: another slot than before", reference.name));
                }
            }
        }
        for (target, parts) in slots {
            let [Some(page), Some(low)] = parts else { continue };
            let (slot, holds) = (page + low, image.number(page + low, 8));
            if !self.is_slot(slot) || holds != self.layout.symbol(target) {
                return Err(format!("the slot {slot:#x} of {target:?} holds {holds:#x}"));
            }
        }
        Ok(())
    }

    fn is_slot(&self, addr: u64) -> bool {
        addr.wrapping_sub(self.layout.got) < MARGIN && addr % 8 == 0
    }

    /// What no relocation changes is what the objects have.
    fn unchanged(&self, image: &Image) -> Result<(), String> {
        for (output, &addr) in self.program.outputs.iter().zip(&self.layout.outputs) {
            if output.bytes.is_empty() {
                continue;
            }
            let written =
                image.bytes(addr, output.bytes.len() as u64).ok_or(format!("no {} at {addr:#x}", output.name))?;
            let same =
                written.iter().zip(&output.bytes).zip(&output.fixed).position(|((a, b), fixed)| *fixed && a != b);
            if let Some(at) = same {
                return Err(format!("{}+{at:#x} is changed", output.name));
            }
            // What a file need not hold is not written.
            let zeros = output.bytes.len() as u64..output.size;
            if zeros.into_iter().any(|at| image.bytes(addr + at, 1).is_some_and(|byte| byte != [0])) {
                return Err(format!("{} is not zero", output.name));
            }
        }
        Ok(())
    }

    /// What is wrong with one reference; where it is half of one to a slot, the slot's page or the rest of its address.
    fn judge_one(&self, reference: &Reference, image: &Image) -> Result<[Option<u64>; 2], String> {
        let (place, to) = (self.place(reference), self.target(reference));
        let &Reference { code, before, target, .. } = reference;
        let is_nothing = matches!(target, Target::Nothing(_));
        let found = image.number(place, size(code) as u64);
        let rd = (before & 31) as usize;
        let word = |word: u32| same(found, word.into());
        match code {
            R_AARCH64_ABS64 => same(found, to)?,
            R_AARCH64_ABS32 | R_AARCH64_ABS16 | R_AARCH64_PREL32 | R_AARCH64_PREL16 => {
                let relative = matches!(code, R_AARCH64_PREL32 | R_AARCH64_PREL16);
                let x = if relative { to.wrapping_sub(place) } else { to };
                same(u64::from(self.holds(reference, to)), 1)?;
                same(found, x & (u64::MAX >> (64 - 8 * size(code))))?;
            }
            R_AARCH64_ADD_ABS_LO12_NC => word(with_imm12(before, to, 0))?,
            R_AARCH64_LDST8_ABS_LO12_NC => word(with_imm12(before, to, 0))?,
            R_AARCH64_LDST16_ABS_LO12_NC => word(with_imm12(before, to, 1))?,
            R_AARCH64_LDST32_ABS_LO12_NC => word(with_imm12(before, to, 2))?,
            R_AARCH64_LDST64_ABS_LO12_NC => word(with_imm12(before, to, 3))?,
            R_AARCH64_LDST128_ABS_LO12_NC => word(with_imm12(before, to, 4))?,
            R_AARCH64_MOVW_UABS_G0
            | R_AARCH64_MOVW_UABS_G0_NC
            | R_AARCH64_MOVW_UABS_G1
            | R_AARCH64_MOVW_UABS_G1_NC
            | R_AARCH64_MOVW_UABS_G2
            | R_AARCH64_MOVW_UABS_G2_NC
            | R_AARCH64_MOVW_UABS_G3 => {
                let shift = (before >> 21 & 3) * 16;
                same(u64::from(self.holds(reference, to)), 1)?;
                word(before & !(0xffff << 5) | ((to >> shift) as u32 & 0xffff) << 5)?;
            }
            R_AARCH64_LD64_GOT_LO12_NC => {
                let low = (found >> 10 & 0xfff) * 8;
                word(with_imm12(before, low, 3))?;
                return Ok([None, Some(low)]);
            }
            R_AARCH64_ADR_GOT_PAGE => {
                let mut state = start(place);
                self.run(&mut state, image, place.wrapping_add(4))?;
                let page = state.x[rd];
                arrived(&state, place.wrapping_add(4), rd, page, place)?;
                same(page & 0xfff, 0)?;
                return Ok([Some(page), None]);
            }
            R_AARCH64_ADR_PREL_PG_HI21 | R_AARCH64_ADR_PREL_LO21 | R_AARCH64_LD_PREL_LO19 | R_AARCH64_GOT_LD_PREL19 => {
                let expected = match (code, before >> 24) {
                    (R_AARCH64_GOT_LD_PREL19, _) => self.layout.symbol(target),
                    (R_AARCH64_LD_PREL_LO19, 0x58) => image.number(to, 8),
                    (R_AARCH64_LD_PREL_LO19, 0x18) => image.number(to, 4),
                    (R_AARCH64_LD_PREL_LO19, 0x98) => image.number(to, 4) as u32 as i32 as u64,
                    // To another register: not by a detour.
                    (R_AARCH64_LD_PREL_LO19, _) => {
                        let x = to.wrapping_sub(place);
                        same(u64::from(self.holds(reference, to)), 1)?;
                        return word(before & !0xff_ffe0 | (x as u32 >> 2 & 0x7_ffff) << 5).map(|()| [None; 2]);
                    }
                    _ if is_nothing => 0,
                    (R_AARCH64_ADR_PREL_PG_HI21, _) => to & !0xfff,
                    _ => to,
                };
                let mut state = start(place);
                self.run(&mut state, image, place.wrapping_add(4))?;
                arrived(&state, place.wrapping_add(4), rd, expected, place)?;
            }
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 => {
                let to = if is_nothing { place.wrapping_add(4) } else { to };
                let mut state = start(place);
                self.run(&mut state, image, to)?;
                let mut expected = start(place);
                if code == R_AARCH64_CALL26 {
                    expected.x[30] = place.wrapping_add(4);
                }
                if self.policy.scratch {
                    [expected.x[16], expected.x[17]] = [state.x[16], state.x[17]];
                }
                expected.pc = to;
                same_state(&state, &expected)?;
            }
            R_AARCH64_CONDBR19 | R_AARCH64_TSTBR14 => {
                let field = if code == R_AARCH64_TSTBR14 { 0x7_ffe0 } else { 0xff_ffe0 };
                same(found & !u64::from(field), u64::from(before & !field))?;
                // All flags, and of a register what either tests.
                for case in 0..20_usize {
                    let mut before_it = start(place);
                    before_it.nzcv = case as u8 & 15;
                    if let Some(value) = [0, 1 << 32, 1, u64::MAX].get(case.wrapping_sub(16)).filter(|_| rd != 31) {
                        before_it.x[rd] = *value;
                    }
                    let taken = takes(before, &before_it).ok_or("no conditional branch")? && !is_nothing;
                    let to = if taken { to } else { place.wrapping_add(4) };
                    let mut state = before_it.clone();
                    self.run(&mut state, image, to)?;
                    before_it.pc = to;
                    same_state(&state, &before_it)?;
                }
            }
            other => return Err(format!("{other:?} has no judge")),
        }
        Ok([None; 2])
    }

    /// Executes from the place on, until it comes to `to`: through nothing but what the linker made.
    fn run(&self, state: &mut State, image: &Image, to: u64) -> Result<(), String> {
        for _ in 0..32 {
            let landed =
                state.step(image).map_err(|unknown| format!("at {:#x} is {:#010x}", unknown.pc, unknown.word))?;
            if let Some(at) = landed.filter(|_| self.policy.landing_pads)
                && image.bytes(at, 4).is_some()
                // BTI c, BTI jc, PACIASP.
                && !matches!(image.number(at, 4), 0xd503_245f | 0xd503_24df | 0xd503_233f)
            {
                return Err(format!("no landing pad at {at:#x}"));
            }
            if state.pc == to {
                return Ok(());
            }
            if image.bytes(state.pc, 4).is_none() || self.is_of_an_object(state.pc) {
                return Err(format!("comes to {:#x}, not to {to:#x}", state.pc));
            }
        }
        Err("goes on and on".to_owned())
    }

    fn is_of_an_object(&self, addr: u64) -> bool {
        let mut outputs = self.program.outputs.iter().zip(&self.layout.outputs);
        outputs.any(|(output, start)| addr.wrapping_sub(*start) < output.size)
    }
}

/// Before the instruction at `place`: every register is different.
fn start(place: u64) -> State {
    let mut random = Random(place);
    State { x: std::array::from_fn(|_| random.next()), pc: place, nzcv: random.next() as u8 & 15 }
}

/// Whether nothing but `rd` and the place of execution has changed since `place`.
fn arrived(state: &State, pc: u64, rd: usize, value: u64, place: u64) -> Result<(), String> {
    let mut expected = start(place);
    expected.pc = pc;
    if rd != 31 {
        expected.x[rd] = value;
    }
    same_state(state, &expected)
}

fn same_state(found: &State, expected: &State) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let register = (0..32).find(|&at| found.x[at] != expected.x[at]);
    Err(match register {
        Some(at) => format!("x{at} is {:#x}, not {:#x}", found.x[at], expected.x[at]),
        None => format!("is at {:#x}, not {:#x}", found.pc, expected.pc),
    })
}

fn same(found: u64, expected: u64) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:#x}, not {expected:#x}")) }
}

fn with_imm12(word: u32, to: u64, scale: u32) -> u32 {
    word & !(0xfff << 10) | ((to as u32 & 0xfff) >> scale) << 10
}
