//! What the ABI wants of the bytes, by an interpreter and arithmetic of its own: nothing here asks the crate.

use super::follow::{Memory, State, takes};
use super::layout::{Layout, MARGIN, Random, untagged};
use super::program::{Program, Reference, Target, size};
use super::verdict::is_relative;
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
    pub fn whole(&self, reference: &Reference) -> u64 {
        self.layout.symbol(reference.target).wrapping_add_signed(reference.addend)
    }

    pub fn is_text(&self, target: Target) -> bool {
        matches!(target, Target::In { output, .. } if self.program.outputs[output].executable)
    }

    /// Whether an island may come before the output section: it follows text whose branches have one right after it.
    pub fn is_moved(&self, output: usize) -> bool {
        self.layout.segments.is_some() && self.program.outputs[output].name == "other_text"
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
        addr.wrapping_sub(self.layout.got) < MARGIN && addr.is_multiple_of(8)
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
