//! Arenas in the states that programs leave them in.

#![allow(dead_code, reason = "each bench uses some of it")]

use aarch64_reloc::addr::Addr;
pub use aarch64_reloc::arena::{Arena, Block};
use aarch64_reloc::arena::{PageSize, Prot, Segment};

pub const BASE: Addr = Addr::new(0x7f00_0000_0000);
pub const LEN: u64 = 1 << 40;
pub const K4: PageSize = PageSize::K4;
pub const PAGE: u64 = K4.bytes();

/// Lengths without a pattern a predictor could learn: 1 to `most` pages.
pub struct Lengths {
    pub seed: u64,
    pub most: u64,
}

impl Lengths {
    pub fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.seed >> 33) % self.most + 1) * PAGE
    }
}

/// An arena with `live` segments in a row.
pub fn filled(live: usize) -> (Arena<Vec<Block>>, Vec<Segment>) {
    let mut arena = Arena::new(vec![Block::EMPTY; 2 * live + 16], BASE, LEN, K4).unwrap();
    let mut lengths = Lengths { seed: 1, most: 64 };
    let segments = (0..live).map(|_| arena.alloc(Prot::ReadExec, lengths.next()).unwrap()).collect();
    (arena, segments)
}

/// The same with every other segment freed again: a hole of 1 to 64 pages between any two.
pub fn fragmented(live: usize) -> Arena<Vec<Block>> {
    let (mut arena, segments) = filled(2 * live);
    for segment in segments.into_iter().step_by(2) {
        arena.free(segment).unwrap();
    }
    assert_eq!(arena.segments().count(), live);
    arena
}

/// Takes and gives back `count` segments of up to 1 MiB, one at a time.
pub fn alloc_free(arena: &mut Arena<Vec<Block>>, count: usize) {
    let mut lengths = Lengths { seed: 2, most: 256 };
    for _ in 0..count {
        let segment = arena.alloc(Prot::ReadExec, lengths.next()).unwrap();
        arena.free(segment).unwrap();
    }
}
