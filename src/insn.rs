//! Encoders of the instructions that are patched or emitted.
//!
//! An encoder sets opcode and registers and leaves the immediate zero: filling it in is the business of a relocation
//! ([`Reloc::apply`](crate::reloc::Reloc::apply)), which checks what it writes. Source: Arm ARM (DDI 0487), C4.1 and C6.2.

pub(crate) mod layout;

use layout::{AddSub, Branch, BranchReg, CmpBranch, CondBranch, Literal, LoadStore, MoveWide, PcRel, TestBranch};

/// A general register by its number in an instruction field; 31 is `SP` or `XZR`, by the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reg(u8);

impl Reg {
    /// X0, the first argument and the result (AAPCS64 6.1.1).
    pub const X0: Self = Self(0);
    /// X16 = IP0: a veneer may change it between a call and the callee (AAPCS64 6.1.1).
    pub const X16: Self = Self(16);
    /// X17 = IP1: like [`Reg::X16`].
    pub const X17: Self = Self(17);
    /// X30, the link register.
    pub const LR: Self = Self(30);
    /// Register 31: the zero register, or the stack pointer where the instruction says so.
    pub const ZR: Self = Self(31);

    /// The register numbered `number` modulo 32.
    pub const fn new(number: u8) -> Self {
        Self(number & 31)
    }

    /// The register's number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }

    const fn into_bits(self) -> u8 {
        self.0 & 31
    }

    const fn from_bits(bits: u8) -> Self {
        Self::new(bits)
    }
}

/// Which sixteen bits of a 64-bit value a move-wide instruction sets: the `hw` field, `n` of the relocations' `Gn`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Hw {
    /// Bits 15:0.
    G0,
    /// Bits 31:16.
    G1,
    /// Bits 47:32.
    G2,
    /// Bits 63:48.
    G3,
}

impl Hw {
    const fn into_bits(self) -> u8 {
        self as u8
    }

    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::G0,
            1 => Self::G1,
            2 => Self::G2,
            _ => Self::G3,
        }
    }
}

/// `NOP`.
pub const NOP: u32 = 0xd503_201f;
/// `UDF #0`: never executes; what unused text holds.
pub const UDF: u32 = 0;
/// `BTI c`: where calls and a `BR x16` or `BR x17` may land on a guarded page; elsewhere a `NOP`.
pub const BTI_C: u32 = 0xd503_245f;

/// Whether `BR x16` or `BR x17` may lead to `word` on a guarded page: `BTI c`, `BTI j`, `BTI jc`, `PACIASP`, `PACIBSP`.
///
/// Such a branch sets `PSTATE.BTYPE` to 0b01, with which all of these are compatible, whatever `SCTLR_ELx.BT` says (Arm ARM
/// C6.2, `BR`, `BTI`, `PACIASP`, `PACIBSP`). `BTI` without a target is not.
pub const fn is_landing_pad(word: u32) -> bool {
    const BTI_J: u32 = 0xd503_249f;
    const BTI_JC: u32 = 0xd503_24df;
    const PACIASP: u32 = 0xd503_233f;
    const PACIBSP: u32 = 0xd503_237f;
    matches!(word, BTI_C | BTI_J | BTI_JC | PACIASP | PACIBSP)
}

/// `ADR Xd, .`
pub const fn adr(rd: Reg) -> u32 {
    PcRel::new().with_rd(rd).into_bits()
}

/// `ADRP Xd, .`
pub const fn adrp(rd: Reg) -> u32 {
    PcRel::new().with_rd(rd).with_page(true).into_bits()
}

/// `ADD Xd, Xn, #0`
pub const fn add(rd: Reg, rn: Reg) -> u32 {
    AddSub::new().with_rd(rd).with_rn(rn).with_sf(true).into_bits()
}

/// `MOVN Xd, #0, LSL #(16 * hw)`
pub const fn movn(rd: Reg, hw: Hw) -> u32 {
    move_wide(rd, hw, MoveWide::MOVN)
}

/// `MOVZ Xd, #0, LSL #(16 * hw)`
pub const fn movz(rd: Reg, hw: Hw) -> u32 {
    move_wide(rd, hw, MoveWide::MOVZ)
}

/// `MOVK Xd, #0, LSL #(16 * hw)`
pub const fn movk(rd: Reg, hw: Hw) -> u32 {
    move_wide(rd, hw, MoveWide::MOVK)
}

const fn move_wide(rd: Reg, hw: Hw, opc: u8) -> u32 {
    MoveWide::new().with_rd(rd).with_hw(hw).with_opc(opc & 3).with_sf(true).into_bits()
}

/// `LDR Xt, [Xn, #0]`
pub const fn ldr(rt: Reg, rn: Reg) -> u32 {
    LoadStore::new().with_rt(rt).with_rn(rn).with_opc(1).with_size(3).into_bits()
}

/// `LDR Wt, [Xn, #0]`
pub const fn ldr_w(rt: Reg, rn: Reg) -> u32 {
    LoadStore::new().with_rt(rt).with_rn(rn).with_opc(1).with_size(2).into_bits()
}

/// `LDRSW Xt, [Xn, #0]`
pub const fn ldrsw(rt: Reg, rn: Reg) -> u32 {
    LoadStore::new().with_rt(rt).with_rn(rn).with_opc(2).with_size(2).into_bits()
}

/// `STR Xt, [Xn, #0]`
pub const fn str(rt: Reg, rn: Reg) -> u32 {
    LoadStore::new().with_rt(rt).with_rn(rn).with_size(3).into_bits()
}

/// `LDR Xt, .`
pub const fn ldr_literal(rt: Reg) -> u32 {
    Literal::new().with_rt(rt).with_opc(1).into_bits()
}

/// `B .`
pub const fn b() -> u32 {
    Branch::new().into_bits()
}

/// `BL .`
pub const fn bl() -> u32 {
    Branch::new().with_link(true).into_bits()
}

/// `B.cond .`, the condition being the low four bits of `cond` (Arm ARM C1.2.4).
pub const fn b_cond(cond: u8) -> u32 {
    CondBranch::new().with_cond(cond & 15).into_bits()
}

/// `CBZ Xt, .`
pub const fn cbz(rt: Reg) -> u32 {
    CmpBranch::new().with_rt(rt).with_sf(true).into_bits()
}

/// `CBNZ Xt, .`
pub const fn cbnz(rt: Reg) -> u32 {
    CmpBranch::new().with_rt(rt).with_nonzero(true).with_sf(true).into_bits()
}

/// `TBZ Xt, #bit, .`, of bit `bit` modulo 64.
pub const fn tbz(rt: Reg, bit: u8) -> u32 {
    TestBranch::new().with_rt(rt).with_b40(bit & 31).with_b5(bit & 32 != 0).into_bits()
}

/// `TBNZ Xt, #bit, .`, of bit `bit` modulo 64.
pub const fn tbnz(rt: Reg, bit: u8) -> u32 {
    TestBranch::from_bits(tbz(rt, bit)).with_nonzero(true).into_bits()
}

/// `BR Xn`
pub const fn br(rn: Reg) -> u32 {
    BranchReg::new().with_rn(rn).into_bits()
}

/// `BLR Xn`
pub const fn blr(rn: Reg) -> u32 {
    BranchReg::new().with_rn(rn).with_link(true).into_bits()
}

// Words of llvm-mc 19 for `adrp x16, .`, `br x16` and so on: a slipped layout does not compile.
const _: () = {
    let x1 = Reg::new(1);
    assert!(adr(x1) == 0x1000_0001);
    assert!(adrp(Reg::X16) == 0x9000_0010);
    assert!(add(Reg::X16, Reg::X16) == 0x9100_0210);
    assert!(movn(x1, Hw::G1) == 0x92a0_0001);
    assert!(movz(Reg::X16, Hw::G3) == 0xd2e0_0010);
    assert!(movk(Reg::X16, Hw::G0) == 0xf280_0010);
    assert!(ldr(Reg::X16, Reg::X16) == 0xf940_0210);
    assert!(ldr_w(x1, Reg::X0) == 0xb940_0001);
    assert!(ldrsw(x1, Reg::X0) == 0xb980_0001);
    assert!(str(x1, Reg::X0) == 0xf900_0001);
    assert!(ldr_literal(Reg::X16) == 0x5800_0010);
    assert!(b() == 0x1400_0000);
    assert!(bl() == 0x9400_0000);
    assert!(b_cond(0) == 0x5400_0000);
    assert!(cbz(x1) == 0xb400_0001);
    assert!(cbnz(x1) == 0xb500_0001);
    assert!(tbz(x1, 33) == 0xb608_0001);
    assert!(tbnz(x1, 1) == 0x3708_0001);
    assert!(br(Reg::X16) == 0xd61f_0200);
    assert!(blr(x1) == 0xd63f_0020);
};
