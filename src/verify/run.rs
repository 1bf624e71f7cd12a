//! Following the code of a veneer, hop or detour: the few instructions of which linkers make them (Arm ARM C6.2).

use super::Memory;
use crate::addr::Addr;
use crate::insn::layout::{AddSub, BranchReg, Literal, LoadStore, MoveWide, PcRel};
use crate::insn::{NOP, Reg};
use crate::reloc::Reloc;

/// Instructions followed at most: twice as many as the longest detour has, or a thunk to a stub of the PLT.
const STEPS: usize = 16;

/// What a register holds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Held {
    /// Its bits, where they can be known.
    pub(super) bits: Option<u64>,
    /// The address it was loaded from, and how.
    pub(super) from: Option<(Addr, Load)>,
}

/// Code that is being followed.
#[derive(Debug)]
pub(super) struct Run<'m, 'a> {
    memory: &'m Memory<'a>,
    pc: Addr,
    regs: [Held; 32],
    /// One bit for each register that was written.
    written: u32,
    /// Where the last branch led to.
    pub(super) landed: Addr,
}

impl<'m, 'a> Run<'m, 'a> {
    /// Code that begins at `pc`, with registers of which nothing is known.
    pub(super) fn new(memory: &'m Memory<'a>, pc: Addr) -> Self {
        Self { memory, pc, regs: [Held::default(); 32], written: 0, landed: pc }
    }

    /// Whether the code branches to `target`, having written none but the registers in `free`. Falling into it does not count:
    /// what lies before a function is no veneer of it.
    pub(super) fn arrives(&mut self, target: Addr, free: u32) -> bool {
        for _ in 0..STEPS {
            let before = self.pc.plus(4);
            if self.step().is_none() || self.written & !free != 0 {
                return false;
            }
            if self.pc != before {
                self.landed = self.pc;
                if self.pc == target {
                    return true;
                }
            }
        }
        false
    }

    /// What the one register that was written holds when the code comes to `end`.
    pub(super) fn result_at(&mut self, end: Addr) -> Option<Held> {
        for _ in 0..STEPS {
            self.step()?;
            if self.pc == end {
                let only = self.written.count_ones() == 1;
                return self.regs.get(self.written.trailing_zeros() as usize).copied().filter(|_| only);
            }
        }
        None
    }

    /// Executes one instruction; `None` where it is not of those that are followed, or depends on what is not known.
    fn step(&mut self) -> Option<()> {
        let pc = self.pc;
        let word = self.memory.word(pc)?;
        // The fields are read by the relocations that set them.
        let read = |reloc: Reloc| reloc.read(word.into(), pc).ok();
        let mut next = pc.plus(4);
        if word == NOP || word & 0xffff_ff3f == BTI {
        } else if let Some(x) = read(Reloc::JUMP26) {
            next = pc.plus(x);
        } else if word & 0xffff_fc1f == BR {
            next = Addr::new(self.known(BranchReg::from_bits(word).rn())?);
        } else if let Some(x) = read(Reloc::ADR_PREL_PG_HI21) {
            self.set(PcRel::from_bits(word).rd(), pc.page().plus(x).get())?;
        } else if let Some(x) = read(Reloc::ADR_PREL_LO21) {
            self.set(PcRel::from_bits(word).rd(), pc.plus(x).get())?;
        } else if word & 0xff80_0000 == ADD {
            let insn = AddSub::from_bits(word);
            let imm = u64::from(insn.imm12()) << if insn.sh() { 12 } else { 0 };
            self.set(insn.rd(), self.known(insn.rn())?.wrapping_add(imm))?;
        } else if word & 0xffe0_fc00 == ADD_REGISTERS {
            // Its registers lie where those of a `LDR` (Rm, in imm12) and an `ADD` do.
            let insn = LoadStore::from_bits(word);
            let rm = Reg::new((insn.imm12() >> 6) as u8);
            self.set(insn.rt(), self.known(insn.rn())?.wrapping_add(self.known(rm)?))?;
        } else if word & 0x9f80_0000 == MOVE_WIDE {
            self.move_wide(MoveWide::from_bits(word))?;
        } else if let Some(x) = read(Reloc::LD_PREL_LO19) {
            let insn = Literal::from_bits(word);
            let kind = if insn.v() { None } else { Load::of(insn.opc()) };
            self.load(insn.rt(), kind?, pc.plus(x))?;
        } else {
            let insn = LoadStore::from_bits(word);
            let (kind, offset) = match word & 0xffc0_0000 {
                0xb940_0000 => (Load::Word, read(Reloc::LDST32_ABS_LO12_NC)?),
                0xf940_0000 => (Load::Double, read(Reloc::LDST64_ABS_LO12_NC)?),
                0xb980_0000 => (Load::Signed, read(Reloc::LDST32_ABS_LO12_NC)?),
                _ => return None,
            };
            self.load(insn.rt(), kind, Addr::new(self.known(insn.rn())?).plus(offset))?;
        }
        self.pc = next;
        Some(())
    }

    fn move_wide(&mut self, insn: MoveWide) -> Option<()> {
        let shift = 16 * insn.hw() as u32;
        let imm = u64::from(insn.imm16()) << shift;
        let bits = match insn.opc() {
            MoveWide::MOVN => !imm,
            MoveWide::MOVZ => imm,
            MoveWide::MOVK => self.known(insn.rd())? & !(0xffff << shift) | imm,
            _ => return None,
        };
        self.set(insn.rd(), bits)
    }

    fn load(&mut self, rt: Reg, kind: Load, from: Addr) -> Option<()> {
        let size = if kind == Load::Double { Reloc::ABS64 } else { Reloc::ABS32 };
        let bits = self.memory.raw(from, size).map(|raw| match kind {
            Load::Word | Load::Double => raw,
            Load::Signed => i64::from(raw as i32).cast_unsigned(),
        });
        self.write(rt, Held { bits, from: Some((from, kind)) })
    }

    fn known(&self, reg: Reg) -> Option<u64> {
        self.regs.get(usize::from(reg.number()))?.bits
    }

    fn set(&mut self, reg: Reg, bits: u64) -> Option<()> {
        self.write(reg, Held { bits: Some(bits), from: None })
    }

    /// Writes a register; not 31, which is `SP` to one instruction and nothing to another.
    fn write(&mut self, reg: Reg, held: Held) -> Option<()> {
        if reg == Reg::ZR {
            return None;
        }
        *self.regs.get_mut(usize::from(reg.number()))? = held;
        self.written |= 1 << reg.number();
        Some(())
    }
}

/// `BTI`, any of its four.
const BTI: u32 = 0xd503_241f;
/// `BR X0`.
const BR: u32 = 0xd61f_0000;
/// `ADD Xd, Xn, #imm`, shifted or not.
const ADD: u32 = 0x9100_0000;
/// `ADD Xd, Xn, Xm`.
const ADD_REGISTERS: u32 = 0x8b00_0000;
/// `MOVN`, `MOVZ`, `MOVK` of 64 bits.
const MOVE_WIDE: u32 = 0x9280_0000;

/// The loads of a general register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    Word,
    Double,
    Signed,
}

impl Load {
    /// The load of a literal by its `opc`.
    fn of(opc: u8) -> Option<Self> {
        match opc {
            0 => Some(Self::Word),
            1 => Some(Self::Double),
            2 => Some(Self::Signed),
            _ => None,
        }
    }
}
