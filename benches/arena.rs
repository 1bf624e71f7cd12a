//! What a placement costs: `alloc` and `free` of one segment, by how much else lives and how torn the free space is, in one
//! arena and in zones.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{Arena, Block, PageSize, Prot, Segment, Zone, Zones};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const BASE: Addr = Addr::new(0x7f00_0000_0000);
const LEN: u64 = 1 << 40;

/// Lengths without a pattern a predictor could learn: 1 to `most` pages.
struct Lengths {
    seed: u64,
    most: u64,
}

impl Lengths {
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.seed >> 33) % self.most + 1) << 12
    }
}

/// An arena with `live` segments in a row.
fn filled(live: usize) -> (Arena<Vec<Block>>, Vec<Segment>) {
    let mut arena = Arena::new(vec![Block::EMPTY; 2 * live + 16], BASE, LEN, PageSize::K4).unwrap();
    let mut lengths = Lengths { seed: 1, most: 64 };
    let segments = (0..live).map(|_| arena.alloc(Prot::ReadExec, lengths.next()).unwrap()).collect();
    (arena, segments)
}

/// The same with every other segment freed again: a hole of 1 to 64 pages between any two.
fn fragmented(live: usize) -> Arena<Vec<Block>> {
    let (mut arena, segments) = filled(2 * live);
    for segment in segments.into_iter().step_by(2) {
        arena.free(segment).unwrap();
    }
    assert_eq!(arena.segments().count(), live);
    arena
}

/// One segment comes and goes.
fn alloc_free(c: &mut Criterion) {
    let mut group = c.benchmark_group("alloc_free");
    let mut run = |name: BenchmarkId, mut arena: Arena<Vec<Block>>| {
        let (free, mut lengths) = (arena.free_bytes(), Lengths { seed: 2, most: 64 });
        group.bench_function(name, |b| {
            b.iter(|| {
                let segment = arena.alloc(Prot::ReadExec, lengths.next()).unwrap();
                arena.free(segment).unwrap();
                segment
            });
        });
        assert_eq!(arena.free_bytes(), free);
    };
    for live in [0, 100, 10_000, 100_000] {
        run(BenchmarkId::new("packed", live), filled(live).0);
    }
    for live in [100, 10_000, 100_000] {
        run(BenchmarkId::new("fragmented", live), fragmented(live));
    }
    group.finish();
}

/// A random live segment goes and another comes: the steady state of a program that compiles and unloads.
fn replace(c: &mut Criterion) {
    let mut group = c.benchmark_group("replace");
    for live in [100, 10_000, 100_000] {
        let (mut arena, mut segments) = filled(live);
        let (mut lengths, mut picks) = (Lengths { seed: 3, most: 64 }, Lengths { seed: 4, most: live as u64 });
        group.bench_function(BenchmarkId::from_parameter(live), |b| {
            b.iter(|| {
                let slot = &mut segments[(picks.next() >> 12) as usize - 1];
                arena.free(*slot).unwrap();
                *slot = arena.alloc(Prot::ReadExec, lengths.next()).unwrap();
            });
        });
        segments.sort_by_key(Segment::addr);
        assert!(arena.segments().eq(segments));
    }
    group.finish();
}

/// The same in zones, each segment in the next one.
fn replace_in_zones(c: &mut Criterion) {
    let mut group = c.benchmark_group("replace_in_zones");
    for live in [100, 10_000, 100_000] {
        let mut zones = Zones::new(vec![Block::EMPTY; 2 * live + 80], BASE, LEN, PageSize::K4, 0).unwrap();
        let (mut lengths, mut picks) = (Lengths { seed: 3, most: 64 }, Lengths { seed: 4, most: live as u64 });
        let mut segments: Vec<_> = Zone::ALL
            .into_iter()
            .cycle()
            .take(live)
            .map(|zone| (zone, zones.alloc(zone, 1).unwrap().segment))
            .collect();
        group.bench_function(BenchmarkId::from_parameter(live), |b| {
            b.iter(|| {
                let (zone, segment) = &mut segments[(picks.next() >> 12) as usize - 1];
                zones.free(*segment).unwrap();
                *segment = zones.alloc(*zone, lengths.next()).unwrap().segment;
            });
        });
        segments.sort_by_key(|(_, segment)| segment.addr());
        assert!(zones.segments().eq(segments.into_iter().map(|(_, segment)| segment)));
    }
    group.finish();
}

criterion_group!(benches, alloc_free, replace, replace_in_zones);
criterion_main!(benches);
