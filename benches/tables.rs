//! A slot for every symbol, and every symbol found again, in nanoseconds of the processor; the maps that would serve beside it,
//! for the ratio. In test mode nothing is timed, but every result is compared.

#[path = "common/time.rs"]
mod time;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use heapless::index_map::FnvIndexMap;
use std::hint::black_box;
use time::{Contestant, Times};

const BASE: Addr = Addr::new(0x42_0000);
const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// Symbols a turn, at least.
const TURN: usize = 100_000;

/// Symbols whose numbers are spread over 64 bits, in no order.
fn symbols(count: usize) -> Vec<Symbol> {
    (1..=count as u64).map(|i| Symbol::new(i.wrapping_mul(0xd6e8_feb8_6659_fd93))).collect()
}

/// What stands beside the maps: the slots of all symbols, made where there are none; the sum of their addresses depends on each.
trait Table {
    const NAME: &'static str;

    fn new(count: usize) -> Self;

    fn slots(&mut self, symbols: &[Symbol]) -> u64;
}

impl Table for Got<Vec<Entry>> {
    const NAME: &'static str = "Got";

    fn new(count: usize) -> Self {
        Self::new(vec![Entry::default(); count], BASE).unwrap()
    }

    fn slots(&mut self, symbols: &[Symbol]) -> u64 {
        let slot = |&symbol: &Symbol| self.slot_for(symbol, BASE).unwrap().addr().get();
        symbols.iter().map(slot).fold(0, u64::wrapping_add)
    }
}

/// The slot of the number that a map keeps for a symbol.
macro_rules! table {
    ($name:literal, $map:ty, $new:expr) => {
        impl Table for $map {
            const NAME: &'static str = $name;

            fn new(count: usize) -> Self {
                $new(count)
            }

            fn slots(&mut self, symbols: &[Symbol]) -> u64 {
                let slot = |symbol: &Symbol| {
                    let next = self.len() as u64;
                    BASE.get() + *self.entry(symbol.get()).or_insert(next) * 8
                };
                symbols.iter().map(slot).fold(0, u64::wrapping_add)
            }
        }
    };
}

table!("std HashMap", std::collections::HashMap<u64, u64>, std::collections::HashMap::with_capacity);
table!("hashbrown", hashbrown::HashMap<u64, u64>, hashbrown::HashMap::with_capacity);

type Heapless = FnvIndexMap<u64, u64, 1024>;

impl Table for Heapless {
    const NAME: &'static str = "heapless";

    fn new(_: usize) -> Self {
        Self::new()
    }

    fn slots(&mut self, symbols: &[Symbol]) -> u64 {
        let slot = |symbol: &Symbol| {
            let next = self.len() as u64;
            BASE.get() + *self.entry(symbol.get()).or_insert(next).unwrap() * 8
        };
        symbols.iter().map(slot).fold(0, u64::wrapping_add)
    }
}

/// Makes the slots of all symbols in an empty table.
fn make<'a, T: Table + 'a>(symbols: &'a [Symbol]) -> Contestant<'a> {
    let count = symbols.len();
    Contestant::timed(T::NAME, count, move || {
        let mut table = T::new(count);
        time::of(|| assert_eq!(table.slots(black_box(symbols)), sum(count)))
    })
}

/// Finds the slots of all symbols.
fn find<'a, T: Table + 'a>(symbols: &'a [Symbol]) -> Contestant<'a> {
    let count = symbols.len();
    let repeats = TURN.div_ceil(count);
    let mut table = T::new(count);
    table.slots(symbols);
    Contestant::new(T::NAME, repeats * count, move || {
        (0..repeats).for_each(|_| assert_eq!(table.slots(black_box(symbols)), sum(count)));
    })
}

/// What the slots of `count` symbols add up to: they are consecutive.
fn sum(count: usize) -> u64 {
    (0..count as u64).map(|index| BASE.get() + index * 8).sum()
}

/// How many times as fast as a map the table must be, where that was timed: when slots are made, and when they are found. A map
/// has no slots that stay where they are, and no order of them.
const MUST: [(&str, [f64; 2]); 3] = [("hashbrown", [0.4, 0.5]), ("std HashMap", [0.8, 1.5]), ("heapless", [1.5, 5.0])];

fn main() {
    let measure = std::env::args().any(|argument| argument == "--bench");
    let rounds = if measure { 51 } else { 1 };
    let mut failed = Vec::new();
    for (count, wanted) in [(FEW, 3), (MANY, 10)] {
        let symbols = symbols(count);
        type Std = std::collections::HashMap<u64, u64>;
        type Hashbrown = hashbrown::HashMap<u64, u64>;
        let mut made = vec![make::<Got<Vec<Entry>>>(&symbols), make::<Hashbrown>(&symbols), make::<Std>(&symbols)];
        let mut found = vec![find::<Got<Vec<Entry>>>(&symbols), find::<Hashbrown>(&symbols), find::<Std>(&symbols)];
        // Beyond 65 536 entries it answers wrongly.
        if count < 1 << 16 {
            made.push(make::<Heapless>(&symbols));
            found.push(find::<Heapless>(&symbols));
        }
        for (which, (what, contestants)) in [("made", made), ("found", found)].into_iter().enumerate() {
            let times = Times::of(rounds, contestants);
            if !measure {
                continue;
            }
            let title = format!("{what}, {count} symbols");
            times.print(&title);
            for (map, must) in MUST.map(|(map, musts)| (map, musts[which])) {
                let Some(ratio) = times.ratio("Got", map) else { continue };
                println!("    {ratio:.2} times as fast as {map}: must {must}");
                if ratio < must {
                    failed.push(format!("{title}: only {ratio:.2} times as fast as {map}, not {must}"));
                }
            }
        }
        if measure {
            println!("    wanted on an idle machine: found in {wanted} ns");
        }
    }
    assert!(failed.is_empty(), "on a noisy machine, again: {failed:#?}");
}
