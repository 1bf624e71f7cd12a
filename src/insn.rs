//! The instruction words that are patched or emitted: their layouts, and encoders for them.
//!
//! ```text
//!            31 30 29 28         24 23 22 21 20                10 9    5 4    0
//! PcRel      op immlo  1  0 0 0 0 |            immhi                   |  Rd   |  ADR ADRP
//! AddSub     sf op  S  1  0 0 0 1  0 sh |       imm12         |   Rn   |  Rd   |  ADD (immediate)
//! MoveWide   sf opc    1  0 0 1 0  1  hw  |           imm16            |  Rd   |  MOVN MOVZ MOVK
//! LoadStore  size   1  1  1 V 0 1  opc  |       imm12         |   Rn   |  Rt   |  LDR STR PRFM (unsigned offset)
//! Literal    opc    0  1  1 V 0 0 |            imm19                   |  Rt   |  LDR LDRSW PRFM (literal)
//! CondBranch  0  1  0  1  0 1 0 0 |            imm19                   |o0|cond|  B.cond BC.cond
//! CmpBranch  sf  0  1  1  0 1 0 op|            imm19                   |  Rt   |  CBZ CBNZ
//! TestBranch b5  0  1  1  0 1 1 op|  b40    |      imm14               |  Rt   |  TBZ TBNZ
//! Branch     op  0  0  1  0 1 |                 imm26                          |  B BL
//! ```
//!
//! An encoder sets opcode and registers and leaves the immediate zero: filling it in is the business of a relocation
//! ([`Reloc::apply`](crate::reloc::Reloc::apply)), which checks what it writes. Source: Arm ARM (DDI 0487), C4.1 and C6.2.

use bitfield_struct::bitfield;

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

/// `ADR` and `ADRP`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct PcRel {
    /// Destination.
    #[bits(5)]
    pub(crate) rd: Reg,
    /// The upper nineteen bits of the immediate.
    #[bits(19)]
    pub(crate) immhi: u32,
    #[bits(5, default = 0b10000)]
    class: u8,
    /// The lower two bits of the immediate.
    #[bits(2)]
    pub(crate) immlo: u8,
    /// `ADRP`: the immediate counts pages.
    pub(crate) page: bool,
}

/// `ADD`, `ADDS`, `SUB`, `SUBS` of an immediate.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct AddSub {
    /// Destination; 31 is `SP`.
    #[bits(5)]
    pub(crate) rd: Reg,
    /// Source; 31 is `SP`.
    #[bits(5)]
    pub(crate) rn: Reg,
    /// The unsigned immediate.
    #[bits(12)]
    pub(crate) imm12: u16,
    /// The immediate is shifted left by twelve.
    pub(crate) sh: bool,
    #[bits(6, default = 0b100010)]
    class: u8,
    /// Sets the flags.
    pub(crate) s: bool,
    /// Subtracts.
    pub(crate) op: bool,
    /// 64-bit registers.
    pub(crate) sf: bool,
}

/// `MOVN`, `MOVZ`, `MOVK`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct MoveWide {
    /// Destination.
    #[bits(5)]
    pub(crate) rd: Reg,
    /// The sixteen bits to set.
    #[bits(16)]
    pub(crate) imm16: u16,
    /// Which sixteen bits of the register.
    #[bits(2)]
    pub(crate) hw: Hw,
    #[bits(6, default = 0b100101)]
    class: u8,
    /// 0 `MOVN`, 2 `MOVZ`, 3 `MOVK`; 1 is unallocated.
    #[bits(2)]
    pub(crate) opc: u8,
    /// 64-bit registers.
    pub(crate) sf: bool,
}

impl MoveWide {
    /// `opc` of `MOVN`: the register gets the complement of the shifted immediate.
    pub(crate) const MOVN: u8 = 0b00;
    /// `opc` of `MOVZ`: the other bits become zero.
    pub(crate) const MOVZ: u8 = 0b10;
    /// `opc` of `MOVK`: the other bits keep their value.
    pub(crate) const MOVK: u8 = 0b11;
}

/// Loads, stores and prefetches with an unsigned, scaled, twelve-bit offset.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct LoadStore {
    /// The register loaded or stored, or the prefetch operation.
    #[bits(5)]
    pub(crate) rt: Reg,
    /// Base; 31 is `SP`.
    #[bits(5)]
    pub(crate) rn: Reg,
    /// The offset in units of the access size.
    #[bits(12)]
    pub(crate) imm12: u16,
    /// Load, store, sign extension.
    #[bits(2)]
    pub(crate) opc: u8,
    #[bits(2, default = 0b01)]
    class: u8,
    /// SIMD and floating-point register.
    pub(crate) v: bool,
    #[bits(3, default = 0b111)]
    group: u8,
    /// log2 of the access size in bytes (but 16 bytes is `size` 0 with `v` and the upper bit of `opc`).
    #[bits(2)]
    pub(crate) size: u8,
}

/// Loads and prefetches from a PC-relative address.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct Literal {
    /// The register loaded, or the prefetch operation.
    #[bits(5)]
    pub(crate) rt: Reg,
    /// The signed offset in words.
    #[bits(19)]
    pub(crate) imm19: u32,
    #[bits(2)]
    class: u8,
    /// SIMD and floating-point register.
    pub(crate) v: bool,
    #[bits(3, default = 0b011)]
    group: u8,
    /// 0 `LDR Wt`, 1 `LDR Xt`, 2 `LDRSW`, 3 `PRFM`.
    #[bits(2)]
    pub(crate) opc: u8,
}

/// `B.cond` and `BC.cond`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct CondBranch {
    /// The condition.
    #[bits(4)]
    pub(crate) cond: u8,
    /// `BC.cond`: a consistent condition.
    pub(crate) consistent: bool,
    /// The signed offset in words.
    #[bits(19)]
    pub(crate) imm19: u32,
    #[bits(8, default = 0b0101_0100)]
    class: u8,
}

/// `CBZ` and `CBNZ`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct CmpBranch {
    /// The register compared with zero.
    #[bits(5)]
    pub(crate) rt: Reg,
    /// The signed offset in words.
    #[bits(19)]
    pub(crate) imm19: u32,
    /// `CBNZ`.
    pub(crate) nonzero: bool,
    #[bits(6, default = 0b011010)]
    class: u8,
    /// A 64-bit register.
    pub(crate) sf: bool,
}

/// `TBZ` and `TBNZ`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct TestBranch {
    /// The register tested.
    #[bits(5)]
    pub(crate) rt: Reg,
    /// The signed offset in words.
    #[bits(14)]
    pub(crate) imm14: u16,
    /// The lower five bits of the number of the bit tested.
    #[bits(5)]
    pub(crate) b40: u8,
    /// `TBNZ`.
    pub(crate) nonzero: bool,
    #[bits(6, default = 0b011011)]
    class: u8,
    /// The upper bit of the number of the bit tested.
    pub(crate) b5: bool,
}

/// `B` and `BL`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct Branch {
    /// The signed offset in words.
    #[bits(26)]
    pub(crate) imm26: u32,
    #[bits(5, default = 0b00101)]
    class: u8,
    /// `BL`.
    pub(crate) link: bool,
}

/// `BR` and `BLR`.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct BranchReg {
    #[bits(5)]
    zero: u8,
    /// The register that holds the target.
    #[bits(5)]
    pub(crate) rn: Reg,
    #[bits(11, default = 0b111_1100_0000)]
    class: u16,
    /// `BLR`.
    pub(crate) link: bool,
    #[bits(10, default = 0b11_0101_1000)]
    group: u16,
}

/// A run of bits in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub(crate) offset: usize,
    pub(crate) width: usize,
}

impl Field {
    /// The field, at the bottom of a number.
    pub(crate) const fn get(self, raw: u64) -> u64 {
        raw >> self.offset & self.mask()
    }

    /// `raw` with the field replaced by the low bits of `bits`.
    pub(crate) const fn set(self, raw: u64, bits: u64) -> u64 {
        raw & !(self.mask() << self.offset) | (bits & self.mask()) << self.offset
    }

    const fn mask(self) -> u64 {
        if self.width >= 64 { u64::MAX } else { (1 << self.width) - 1 }
    }
}

/// The fields that relocations set, from the layouts above.
macro_rules! fields {
    ($($layout:ident $field:ident $offset:ident $bits:ident;)*) => {
        $(impl $layout {
            pub(crate) const $field: Field = Field { offset: Self::$offset, width: Self::$bits };
        })*
    };
}

fields! {
    PcRel      IMMHI IMMHI_OFFSET IMMHI_BITS;
    PcRel      IMMLO IMMLO_OFFSET IMMLO_BITS;
    AddSub     IMM12 IMM12_OFFSET IMM12_BITS;
    MoveWide   IMM16 IMM16_OFFSET IMM16_BITS;
    MoveWide   OPC   OPC_OFFSET   OPC_BITS;
    LoadStore  IMM12 IMM12_OFFSET IMM12_BITS;
    Literal    IMM19 IMM19_OFFSET IMM19_BITS;
    CondBranch IMM19 IMM19_OFFSET IMM19_BITS;
    CmpBranch  IMM19 IMM19_OFFSET IMM19_BITS;
    TestBranch IMM14 IMM14_OFFSET IMM14_BITS;
    Branch     IMM26 IMM26_OFFSET IMM26_BITS;
}

/// `NOP`.
pub const NOP: u32 = 0xd503_201f;
/// `UDF #0`: never executes; what unused text holds.
pub const UDF: u32 = 0;

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
    // `CONDBR19` sets the one field of two layouts.
    assert!(CondBranch::IMM19.offset == CmpBranch::IMM19.offset && CondBranch::IMM19.width == CmpBranch::IMM19.width);
    let x1 = Reg::new(1);
    assert!(adr(x1) == 0x1000_0001);
    assert!(adrp(Reg::X16) == 0x9000_0010);
    assert!(add(Reg::X16, Reg::X16) == 0x9100_0210);
    assert!(movn(x1, Hw::G1) == 0x92a0_0001);
    assert!(movz(Reg::X16, Hw::G3) == 0xd2e0_0010);
    assert!(movk(Reg::X16, Hw::G0) == 0xf280_0010);
    assert!(ldr(Reg::X16, Reg::X16) == 0xf940_0210);
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
