//! A slot for every symbol, and every symbol found again; the maps that would serve beside it, for the ratio.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use heapless::index_map::FnvIndexMap;
use std::hint::black_box;

const BASE: Addr = Addr::new(0x42_0000);
const FEW: usize = 1_000;
const MANY: usize = 100_000;

/// Symbols whose numbers are spread over 64 bits, in no order.
fn symbols(count: usize) -> Vec<Symbol> {
    (1..=count as u64).map(|i| Symbol::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

fn got(count: usize) -> Got<Vec<Entry>> {
    Got::new(vec![Entry::default(); count], BASE).unwrap()
}

/// Makes or finds the slots of all; the sum of their addresses depends on each.
fn slots(got: &mut Got<Vec<Entry>>, symbols: &[Symbol]) -> u64 {
    let slot = |&symbol: &Symbol| got.slot_for(symbol, BASE).unwrap().addr().get();
    symbols.iter().map(slot).fold(0, u64::wrapping_add)
}

/// What `slots` must answer: the slots are consecutive.
fn sum(count: usize) -> u64 {
    (0..count as u64).map(|index| BASE.get() + index * 8).sum()
}

fn of_got(group: &mut BenchmarkGroup<'_, WallTime>, symbols: &[Symbol]) {
    let count = symbols.len();
    group.bench_function(format!("Got/miss/{count}"), |bench| {
        bench.iter_batched_ref(
            || got(count),
            |got| assert_eq!(slots(got, black_box(symbols)), sum(count)),
            BatchSize::LargeInput,
        );
    });
    group.bench_function(format!("Got/hit/{count}"), |bench| {
        let mut got = got(count);
        slots(&mut got, symbols);
        bench.iter(|| assert_eq!(slots(&mut got, black_box(symbols)), sum(count)));
    });
}

/// A map from symbols to indices, under its name.
macro_rules! of_map {
    ($function:ident, $name:literal, $map:ty) => {
        fn $function(group: &mut BenchmarkGroup<'_, WallTime>, symbols: &[Symbol]) {
            let count = symbols.len();
            let indices = |map: &mut $map| {
                let index = |&symbol: &Symbol| {
                    let next = map.len() as u64;
                    BASE.get() + *map.entry(symbol).or_insert(next) * 8
                };
                black_box(symbols).iter().map(index).fold(0, u64::wrapping_add)
            };
            group.bench_function(format!("{}/miss/{count}", $name), |bench| {
                bench.iter_batched_ref(
                    || <$map>::with_capacity(count),
                    |map| assert_eq!(indices(map), sum(count)),
                    BatchSize::LargeInput,
                );
            });
            group.bench_function(format!("{}/hit/{count}", $name), |bench| {
                let mut map = <$map>::with_capacity(count);
                indices(&mut map);
                bench.iter(|| assert_eq!(indices(&mut map), sum(count)));
            });
        }
    };
}

of_map!(of_std, "std HashMap", std::collections::HashMap<Symbol, u64>);
of_map!(of_hashbrown, "hashbrown", hashbrown::HashMap<Symbol, u64>);

/// Beyond 65 536 entries it answers wrongly.
fn of_heapless(group: &mut BenchmarkGroup<'_, WallTime>, symbols: &[Symbol]) {
    type Map = FnvIndexMap<u64, u64, 1024>;
    let count = symbols.len();
    let indices = |map: &mut Map| {
        let index = |&symbol: &Symbol| {
            let next = map.len() as u64;
            let index = map.entry(symbol.get()).or_insert(next).unwrap();
            BASE.get() + *index * 8
        };
        black_box(symbols).iter().map(index).fold(0, u64::wrapping_add)
    };
    group.bench_function(format!("heapless FnvIndexMap/miss/{count}"), |bench| {
        bench.iter_batched_ref(Map::new, |map| assert_eq!(indices(map), sum(count)), BatchSize::LargeInput);
    });
    group.bench_function(format!("heapless FnvIndexMap/hit/{count}"), |bench| {
        let mut map = Map::new();
        indices(&mut map);
        bench.iter(|| assert_eq!(indices(&mut map), sum(count)));
    });
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slot_for");
    for count in [FEW, MANY] {
        let symbols = symbols(count);
        group.throughput(Throughput::Elements(count as u64));
        of_got(&mut group, &symbols);
        of_std(&mut group, &symbols);
        of_hashbrown(&mut group, &symbols);
        if count < 1 << 16 {
            of_heapless(&mut group, &symbols);
        }
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
