//! What a checked patch costs: each kind alone, and the mix of real code (AARCH64.md: C and C++ libraries of Debian).

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::insn::{self, Reg};
use aarch64_reloc::patch::{Fixup, Section};
use aarch64_reloc::reloc::{Reloc, Value};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const TEXT: Addr = Addr::new(0x40_0000);
/// Fixups a batch: as many as a large library has, and few enough to stay in a cache.
const COUNT: usize = 50_000;
/// Bytes from one place to the next: room for a pointer.
const STEP: usize = 8;

/// The kinds, the word that stands at the place before, and how many of a hundred relocations are of it.
const MIX: [(Reloc, u32, usize); 9] = [
    (Reloc::CALL26, insn::bl(), 45),
    (Reloc::ADR_PREL_PG_HI21, insn::adrp(Reg::X0), 12),
    (Reloc::ADD_ABS_LO12_NC, insn::add(Reg::X0, Reg::X0), 12),
    (Reloc::PREL32, 0, 10),
    (Reloc::ABS64, 0, 8),
    (Reloc::ADR_GOT_PAGE, insn::adrp(Reg::X0), 4),
    (Reloc::LD64_GOT_LO12_NC, insn::ldr(Reg::X0, Reg::X0), 4),
    (Reloc::JUMP26, insn::b(), 3),
    (Reloc::LDST64_ABS_LO12_NC, insn::ldr(Reg::X0, Reg::X0), 2),
];

/// A small generator, so that every run patches the same: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % bound
    }
}

/// The text, and a fixup for each of its places in ascending order; targets are eight-aligned and within 16 MiB.
fn batch(kinds: &[(Reloc, u32, usize)]) -> (Vec<u8>, Vec<Fixup>) {
    let mut random = Random(0);
    let mut got = Got::new([Entry::default(); 1], TEXT.plus(0x100_0008)).unwrap();
    let slot = got.slot_for(Symbol::new(1), TEXT).unwrap();
    let hundred: Vec<_> = kinds.iter().flat_map(|&(reloc, word, share)| vec![(reloc, word); share]).collect();
    let mut text = Vec::new();
    let mut fixups = Vec::new();
    for index in 0..COUNT {
        let (reloc, word) = hundred[random.below(hundred.len() as u64) as usize];
        text.extend(u64::from(word).to_le_bytes());
        let value: Value = match reloc {
            Reloc::ADR_GOT_PAGE | Reloc::LD64_GOT_LO12_NC => slot.into(),
            _ => TEXT.plus(random.below(1 << 21) as i64 * 8).into(),
        };
        fixups.push(Fixup::new((index * STEP) as u32, reloc, value));
    }
    (text, fixups)
}

/// Whether every place holds what its fixup says.
fn holds(text: &mut [u8], fixups: &[Fixup]) -> bool {
    let section = Section::new(text, TEXT);
    fixups.iter().all(|fixup| section.verify(fixup.offset(), fixup.reloc(), fixup.value()) == Ok(true))
}

fn patch(c: &mut Criterion) {
    let mut group = c.benchmark_group("patch_all");
    group.throughput(Throughput::Elements(COUNT as u64));
    let each = MIX.iter().map(|&(reloc, word, _)| (reloc.name(), vec![(reloc, word, 1)]));
    for (name, kinds) in each.chain([("mix", MIX.to_vec())]) {
        let (mut text, fixups) = batch(&kinds);
        assert!(!holds(&mut text, &fixups));
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            bench.iter(|| Section::new(black_box(&mut text), TEXT).patch_all(black_box(&fixups)).unwrap());
        });
        assert!(holds(&mut text, &fixups), "{name}");
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("check_all");
    group.throughput(Throughput::Elements(COUNT as u64));
    let (mut text, fixups) = batch(&MIX);
    let before = text.clone();
    group.bench_function("mix", |bench| {
        bench.iter(|| Section::new(black_box(&mut text), TEXT).check_all(black_box(&fixups)).unwrap());
    });
    assert_eq!(text, before);
    group.finish();
}

criterion_group!(benches, patch, check);
criterion_main!(benches);
