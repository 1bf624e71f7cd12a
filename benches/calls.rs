//! What single calls cost, by criterion: for whoever changes one and wants to know whether it matters. What must hold beside
//! peers, the other benches assert.

use aarch64_reloc::arena::{Arena, Block, PageSize};
use aarch64_reloc::{Addr, Got, Island, Prot, Reloc, Section, Symbol, got, veneer};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const TEXT: Addr = Addr::new(0x40_0000);
const NEAR: Addr = Addr::new(0x41_2345);
const FAR: Addr = Addr::new(0x7fff_0000_1000);

fn patch(criterion: &mut Criterion) {
    let mut bytes = [0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x91]; // adrp x0, . ; add x0, x0, #0
    let mut text = Section::new(&mut bytes, TEXT);
    criterion.bench_function("patch ADRP and ADD", |bench| {
        bench.iter(|| {
            text.patch(0, Reloc::ADR_PREL_PG_HI21, black_box(NEAR)).unwrap();
            text.patch(4, Reloc::ADD_ABS_LO12_NC, black_box(NEAR)).unwrap();
        });
    });
    assert_eq!(text.bytes(), [0x80, 0x00, 0x00, 0xd0, 0x00, 0x14, 0x0d, 0x91]);
    criterion.bench_function("refuse ADRP", |bench| {
        bench.iter(|| assert!(text.patch(0, Reloc::ADR_PREL_PG_HI21, black_box(FAR)).is_err()));
    });
}

fn rescue(criterion: &mut Criterion) {
    let mut got = Got::new([got::Entry::default(); 64], Addr::new(0x42_0000)).unwrap();
    let mut island = Island::new([veneer::Cell::default(); 64], Addr::new(0x41_0000)).unwrap();
    let mut bytes = 0x9400_0000_u32.to_le_bytes(); // bl .
    let mut text = Section::new(&mut bytes, TEXT);
    criterion.bench_function("rescue a call by slot and veneer", |bench| {
        bench.iter(|| {
            let slot = got.slot_for(black_box(Symbol::new(7)), FAR).unwrap();
            text.patch(0, Reloc::CALL26, island.veneer_for(slot).unwrap()).unwrap();
        });
    });
    assert_eq!(text.bytes(), 0x9400_4000_u32.to_le_bytes());
}

fn place(criterion: &mut Criterion) {
    let mut arena = Arena::new([Block::EMPTY; 16], TEXT, 1 << 30, PageSize::K4).unwrap();
    criterion.bench_function("allocate and free 64 KiB", |bench| {
        bench.iter(|| {
            let segment = arena.alloc(Prot::ReadExec, black_box(1 << 16)).unwrap();
            arena.free(segment).unwrap();
        });
    });
    assert_eq!(arena.free_bytes(), 1 << 30);
}

criterion_group!(all, patch, rescue, place);
criterion_main!(all);
