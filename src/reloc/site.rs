//! The places that relocations change: which words are lawful there, and where the bits of `X` go.

use crate::insn::layout::{AddSub, Branch, CondBranch, Field, Literal, LoadStore, MoveWide, PcRel, TestBranch};

/// The field of an instruction, or the data, that takes bits `hi:lo` of `X`. Where a form of the instruction depends on
/// those bits, `lo` tells it: a scaled offset starts at bit log2(size), a move-wide group at bit 16 * `hw`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Site {
    /// Nothing is changed.
    None,
    /// Data bytes at any address, in the data's byte order.
    Data,
    /// Eight data bytes, aligned.
    Pointer,
    /// Eight data bytes that hold a signing schema.
    Signed,
    /// A whole instruction word.
    Word,
    Adr,
    Adrp,
    /// `ADD` of an unshifted immediate, either width.
    Add,
    /// `ADD` of an unshifted immediate, 64 bits.
    AddX,
    /// `ADD` of an immediate shifted by twelve, either width.
    AddHi,
    /// Any load or store of `1 << lo` bytes with an unsigned offset.
    LdSt,
    /// `LDR`, `LDRSW` or `PRFM` of a literal.
    Literal,
    /// `LDR Xt` of a literal.
    LiteralX,
    B,
    Bl,
    /// `B.cond`, `BC.cond`, `CBZ`, `CBNZ`.
    CondBr,
    /// `TBZ`, `TBNZ`.
    TestBr,
    /// `MOVZ` or `MOVK`.
    MovZK,
    /// `MOVN` or `MOVZ`, made the one that the sign of `X` asks for.
    MovNZ,
    MovK,
    /// A load of eight bytes, which is marked, not changed.
    MarkLdr,
    /// 64-bit `ADD`, which is marked, not changed.
    MarkAdd,
    /// `BLR`, which is marked, not changed.
    Blr,
}

impl Site {
    /// Bytes that the place occupies.
    pub(super) const fn size(self, hi: u8) -> usize {
        match self {
            Self::None => 0,
            Self::Data | Self::Pointer | Self::Signed => (hi as usize + 1) / 8,
            _ => 4,
        }
    }

    /// What the place's address must be a multiple of.
    pub(super) const fn place_alignment(self) -> u64 {
        match self {
            Self::None | Self::Data => 1,
            Self::Pointer | Self::Signed => 8,
            _ => 4,
        }
    }

    pub(super) const fn is_data(self) -> bool {
        matches!(self, Self::None | Self::Data | Self::Pointer | Self::Signed)
    }

    /// Whether `X` must have its bits below `lo` clear, because the processor supplies them as zeros.
    pub(super) const fn is_scaled(self) -> bool {
        matches!(self, Self::LdSt | Self::Literal | Self::LiteralX | Self::B | Self::Bl | Self::CondBr | Self::TestBr)
    }

    /// Whether the field may be set in `word` (Arm ARM C4.1; SEMANTICS 2).
    pub(super) const fn accepts(self, word: u32, lo: u8) -> bool {
        match self {
            Self::None | Self::Data | Self::Pointer | Self::Signed | Self::Word => true,
            Self::Adr => word & 0x9f00_0000 == 0x1000_0000,
            Self::Adrp => word & 0x9f00_0000 == 0x9000_0000,
            Self::Add => word & 0x7fc0_0000 == 0x1100_0000,
            Self::AddX => word & 0xffc0_0000 == 0x9100_0000,
            Self::AddHi => word & 0x7fc0_0000 == 0x1140_0000,
            Self::LdSt => matches!(scale(word), Some(scale) if scale == lo),
            // opc 3 with V set is unallocated.
            Self::Literal => word & 0x3b00_0000 == 0x1800_0000 && word & 0xff00_0000 != 0xdc00_0000,
            Self::LiteralX => word & 0xff00_0000 == 0x5800_0000,
            Self::B => word & 0xfc00_0000 == 0x1400_0000,
            Self::Bl => word & 0xfc00_0000 == 0x9400_0000,
            Self::CondBr => word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000,
            Self::TestBr => word & 0x7e00_0000 == 0x3600_0000,
            Self::MovZK => is_move(word, lo, MoveWide::MOVZ, MoveWide::MOVK),
            Self::MovNZ => is_move(word, lo, MoveWide::MOVN, MoveWide::MOVZ),
            Self::MovK => is_move(word, lo, MoveWide::MOVK, MoveWide::MOVK),
            // By unsigned offset, register offset or literal; by immediate, shifted or extended register.
            Self::MarkLdr => {
                Self::LdSt.accepts(word, 3) || word & 0xffe0_0c00 == 0xf860_0800 || Self::LiteralX.accepts(word, lo)
            }
            Self::MarkAdd => Self::AddX.accepts(word, lo) || word & 0xff00_0000 == 0x8b00_0000,
            Self::Blr => word & 0xffff_fc1f == 0xd63f_0000,
        }
    }

    /// The instructions that `accepts` lets pass, in words.
    pub(super) const fn expects(self, lo: u8) -> &'static str {
        match self {
            Self::None | Self::Data | Self::Pointer | Self::Signed | Self::Word => "anything",
            Self::Adr => "ADR",
            Self::Adrp => "ADRP",
            Self::Add => "ADD (immediate, not shifted)",
            Self::AddX => "64-bit ADD (immediate, not shifted)",
            Self::AddHi => "ADD (immediate, LSL #12)",
            Self::LdSt => match lo {
                0 => "1-byte load or store (unsigned offset)",
                1 => "2-byte load or store (unsigned offset)",
                2 => "4-byte load or store (unsigned offset)",
                3 => "8-byte load or store (unsigned offset)",
                _ => "16-byte load or store (unsigned offset)",
            },
            Self::Literal => "LDR (literal)",
            Self::LiteralX => "64-bit LDR (literal)",
            Self::B => "B",
            Self::Bl => "BL",
            Self::CondBr => "B.cond, CBZ or CBNZ",
            Self::TestBr => "TBZ or TBNZ",
            Self::MovZK => match lo {
                0 => "MOVZ or MOVK",
                16 => "MOVZ or MOVK (LSL #16)",
                32 => "MOVZ or MOVK (LSL #32)",
                _ => "MOVZ or MOVK (LSL #48)",
            },
            Self::MovNZ => match lo {
                0 => "MOVN or MOVZ",
                16 => "MOVN or MOVZ (LSL #16)",
                32 => "MOVN or MOVZ (LSL #32)",
                _ => "MOVN or MOVZ (LSL #48)",
            },
            Self::MovK => match lo {
                0 => "MOVK",
                16 => "MOVK (LSL #16)",
                32 => "MOVK (LSL #32)",
                _ => "MOVK (LSL #48)",
            },
            Self::MarkLdr => "8-byte load or store",
            Self::MarkAdd => "64-bit ADD",
            Self::Blr => "BLR",
        }
    }

    /// The field in the word; of `ADR` and `ADRP` the upper part, which two more bits, `immlo`, precede.
    pub(super) const fn field(self, hi: u8) -> Field {
        match self {
            Self::None | Self::Signed | Self::MarkLdr | Self::MarkAdd | Self::Blr => Field::NONE,
            Self::Data | Self::Pointer | Self::Word => Field { offset: 0, width: hi as usize + 1 },
            Self::Adr | Self::Adrp => PcRel::IMMHI,
            Self::Add | Self::AddX | Self::AddHi => AddSub::IMM12,
            Self::LdSt => LoadStore::IMM12,
            Self::Literal | Self::LiteralX => Literal::IMM19,
            Self::B | Self::Bl => Branch::IMM26,
            Self::CondBr => CondBranch::IMM19,
            Self::TestBr => TestBranch::IMM14,
            Self::MovZK | Self::MovNZ | Self::MovK => MoveWide::IMM16,
        }
    }

    /// `raw` with the field replaced by bits `hi:lo` of `x`.
    pub(super) const fn insert(self, raw: u64, x: i64, hi: u8, lo: u8) -> u64 {
        let picked = Field { offset: lo as usize, width: (hi - lo) as usize + 1 };
        let (raw, x) = match self {
            Self::MovNZ if x < 0 => (MoveWide::OPC.set(raw, MoveWide::MOVN as u64), !x),
            Self::MovNZ => (MoveWide::OPC.set(raw, MoveWide::MOVZ as u64), x),
            _ => (raw, x),
        };
        let bits = picked.get(x.cast_unsigned());
        match self {
            Self::Adr | Self::Adrp => PcRel::IMMHI.set(PcRel::IMMLO.set(raw, bits), bits >> PcRel::IMMLO.width),
            _ => self.field(hi).set(raw, bits),
        }
    }

    /// The `X` that the field of `raw` holds, in bytes, its bits above `hi` zero (but for a `MOVN`, one).
    pub(super) const fn extract(self, raw: u64, hi: u8, lo: u8) -> u64 {
        let field = self.field(hi).get(raw);
        match self {
            Self::Adr | Self::Adrp => (field << PcRel::IMMLO.width | PcRel::IMMLO.get(raw)) << lo,
            Self::MovNZ if MoveWide::OPC.get(raw) == MoveWide::MOVN as u64 => !(field << lo),
            _ => field << lo,
        }
    }
}

/// log2 of the access size of a load, store or prefetch with an unsigned offset; `None` for any other word.
const fn scale(word: u32) -> Option<u8> {
    let unallocated = word & 0x84c0_0000 == 0x80c0_0000 || (word & 0x0480_0000 == 0x0480_0000 && word >> 30 != 0);
    if word & 0x3b00_0000 != 0x3900_0000 || unallocated {
        return None;
    }
    let insn = LoadStore::from_bits(word);
    let quad = insn.v() && insn.size() == 0 && insn.opc() & 2 != 0;
    Some(if quad { 4 } else { insn.size() })
}

/// Whether `word` is one of two move-wide instructions on bits `lo + 15 : lo`.
const fn is_move(word: u32, lo: u8, one: u8, other: u8) -> bool {
    let insn = MoveWide::from_bits(word);
    let opc = insn.opc();
    let hw = insn.hw() as u8;
    word & 0x1f80_0000 == 0x1280_0000 && (opc == one || opc == other) && hw * 16 == lo && (insn.sf() || hw <= 1)
}
