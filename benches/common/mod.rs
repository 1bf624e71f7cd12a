//! What the patchers are measured by: texts, and fixups for them that every applier is given alike.

#![allow(dead_code, reason = "each bench uses some of it")]

pub mod appliers;
pub mod llvm;
pub mod time;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::insn::{self, Reg};
use aarch64_reloc::patch::{Batch, Block, Fixup, Section};
use aarch64_reloc::reloc::{Reloc, Value};

pub const TEXT: Addr = Addr::new(0x40_0000);
/// How far from the start of the text targets lie, in bytes: within reach of a call.
const SPREAD: u64 = 1 << 24;

/// A kind, the word that stands at its places before, and how many of a hundred relocations are of it.
pub type Share = (Reloc, u32, usize);

const CALL: u32 = insn::bl();
const PAGE: u32 = insn::adrp(Reg::X0);
const ADD: u32 = insn::add(Reg::X0, Reg::X0);
const LOAD: u32 = insn::ldr(Reg::X0, Reg::X0);

/// The mix by which the appliers are compared: what every one of them knows.
pub const MIX: &[Share] = &[
    (Reloc::CALL26, CALL, 30),
    (Reloc::ADR_PREL_PG_HI21, PAGE, 20),
    (Reloc::ADD_ABS_LO12_NC, ADD, 20),
    (Reloc::LDST64_ABS_LO12_NC, LOAD, 20),
    (Reloc::ABS64, 0, 10),
];

/// The mix of real code: C and C++ libraries of Debian.
pub const REAL: &[Share] = &[
    (Reloc::CALL26, CALL, 45),
    (Reloc::ADR_PREL_PG_HI21, PAGE, 12),
    (Reloc::ADD_ABS_LO12_NC, ADD, 12),
    (Reloc::PREL32, 0, 10),
    (Reloc::ABS64, 0, 8),
    (Reloc::ADR_GOT_PAGE, PAGE, 4),
    (Reloc::LD64_GOT_LO12_NC, LOAD, 4),
    (Reloc::JUMP26, insn::b(), 3),
    (Reloc::LDST64_ABS_LO12_NC, LOAD, 2),
];

/// The order of the places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Ascending, eight bytes from one to the next.
    Sorted,
    /// Ascending, each where the one before ends: a store that the next load must not wait for.
    Packed,
    /// As `Sorted`, then shuffled.
    Random,
}

/// A small generator, so that every run patches the same: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % bound
    }
}

/// A text, and a fixup for each of its places; targets are eight-aligned.
pub fn batch(shares: &[Share], count: usize, order: Order) -> (Vec<u8>, Vec<Fixup>) {
    let mut random = Random(0);
    let mut got = Got::new([Entry::default(); 1], TEXT.plus(SPREAD as i64 + 8)).unwrap();
    let slot = got.slot_for(Symbol::new(1), TEXT).unwrap();
    let hundred: Vec<_> = shares.iter().flat_map(|&(reloc, word, share)| vec![(reloc, word); share]).collect();
    let mut text = Vec::with_capacity(count * 8);
    let mut fixups = Vec::with_capacity(count);
    for _ in 0..count {
        let (reloc, word) = hundred[random.below(hundred.len() as u64) as usize];
        if order != Order::Packed || reloc.size() == 8 {
            text.resize(text.len().next_multiple_of(8), 0);
        }
        let value: Value = match reloc {
            Reloc::ADR_GOT_PAGE | Reloc::LD64_GOT_LO12_NC => slot.into(),
            _ => TEXT.plus(random.below(SPREAD / 8) as i64 * 8).into(),
        };
        fixups.push(Fixup::new(text.len() as u32, reloc, value));
        text.extend(&u64::from(word).to_le_bytes()[..reloc.size()]);
    }
    // So that the last place is not within eight bytes of the end, which is another path, once.
    text.resize(text.len().next_multiple_of(8) + 8, 0);
    if order == Order::Random {
        for last in (1..count).rev() {
            fixups.swap(last, random.below(last as u64 + 1) as usize);
        }
    }
    (text, fixups)
}

/// Whether every place holds what its fixup says.
pub fn holds(text: &mut [u8], fixups: &[Fixup]) -> bool {
    let section = Section::new(text, TEXT);
    fixups.iter().all(|fixup| section.verify(fixup.offset(), fixup.reloc(), fixup.value()) == Ok(true))
}

/// The same fixups, recorded kind by kind.
pub fn recorded(fixups: &[Fixup]) -> Batch<Vec<Block>> {
    let mut batch = Batch::new(vec![Block::EMPTY; fixups.len() / Block::SITES + Reloc::ALL.len()]);
    for fixup in fixups {
        batch.push(fixup.offset() as u32, fixup.reloc(), fixup.value()).unwrap();
    }
    batch
}
