//! The layouts of the instruction words that are patched or emitted (Arm ARM C4.1).
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
//! BranchReg   1  1  0  1  0 1 1 0  0  0 op  1 1 1 1 1  0 0 0 0 0 0|   Rn   |0 0 0 0 0|  BR BLR
//! ```
//!
//! They stay inside the crate: their setters panic on what does not fit, and whoever calls them here has made sure.

use super::{Hw, Reg};
use bitfield_struct::bitfield;

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
    /// No bits.
    pub(crate) const NONE: Self = Self { offset: 0, width: 0 };

    /// Its bits in a number, all set.
    pub(crate) const fn ones(self) -> u64 {
        self.mask() << self.offset
    }

    /// The field, at the bottom of a number.
    pub(crate) const fn get(self, raw: u64) -> u64 {
        raw >> self.offset & self.mask()
    }

    /// `raw` with the field replaced by the low bits of `bits`.
    pub(crate) const fn set(self, raw: u64, bits: u64) -> u64 {
        raw & !self.ones() | (bits & self.mask()) << self.offset
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
    MoveWide   HW    HW_OFFSET    HW_BITS;
    MoveWide   OPC   OPC_OFFSET   OPC_BITS;
    LoadStore  IMM12 IMM12_OFFSET IMM12_BITS;
    Literal    IMM19 IMM19_OFFSET IMM19_BITS;
    CondBranch IMM19 IMM19_OFFSET IMM19_BITS;
    CmpBranch  IMM19 IMM19_OFFSET IMM19_BITS;
    TestBranch IMM14 IMM14_OFFSET IMM14_BITS;
    Branch     IMM26 IMM26_OFFSET IMM26_BITS;
}

// `CONDBR19` sets the one field of two layouts.
const _: () =
    assert!(CondBranch::IMM19.offset == CmpBranch::IMM19.offset && CondBranch::IMM19.width == CmpBranch::IMM19.width);
