//! What a placement costs, in nanoseconds of the processor: `alloc` and `free` of a segment of up to 1 MiB, by how much else
//! lives and how torn the free space is; beside the system calls that would give and take the pages, and beside an allocator
//! for JITs. In test mode nothing is timed, but every result is checked.

#[path = "common/arena.rs"]
mod arena;
#[path = "common/time.rs"]
mod time;

use aarch64_reloc::arena::{Prot, Segment, Zone, Zones};
use arena::{Arena, BASE, Block, LEN, Lengths, PAGE, filled, fragmented};
use jit_allocator::{JitAllocator, JitAllocatorOptions};
use std::ptr;
use time::{Contestant, Times};

/// Segments a turn, and turns of which the median counts.
const TURN: usize = 20_000;
const ROUNDS: usize = 31;

/// The fewest times as fast as others that an arena must be.
const MUST: [(&str, f64); 2] = [("jit-allocator", 20.0), ("mmap, munmap", 50.0)];

/// One segment comes and goes.
fn alloc_free(name: &'static str, mut arena: Arena<Vec<Block>>) -> Contestant<'static> {
    let free = arena.free_bytes();
    Contestant::new(name, TURN, move || {
        arena::alloc_free(&mut arena, TURN);
        assert_eq!(arena.free_bytes(), free);
    })
}

/// A random live segment goes and another comes: the steady state of a program that compiles and unloads.
fn replace(name: &'static str, live: usize) -> Contestant<'static> {
    let (mut arena, mut segments) = filled(live);
    let (mut lengths, mut picks) = (Lengths { seed: 3, most: 64 }, Lengths { seed: 4, most: live as u64 });
    Contestant::timed(name, TURN, move || {
        let took = time::of(|| {
            for _ in 0..TURN {
                let slot = &mut segments[(picks.next() / PAGE) as usize - 1];
                arena.free(*slot).unwrap();
                *slot = arena.alloc(Prot::ReadExec, lengths.next()).unwrap();
            }
        });
        let mut sorted = segments.clone();
        sorted.sort_by_key(Segment::addr);
        assert!(arena.segments().eq(sorted));
        took
    })
}

/// The same in zones, each segment in the next one.
fn replace_in_zones(name: &'static str, live: usize) -> Contestant<'static> {
    let mut zones = Zones::new(vec![Block::EMPTY; 2 * live + 80], BASE, LEN, arena::K4, 0).unwrap();
    let (mut lengths, mut picks) = (Lengths { seed: 3, most: 64 }, Lengths { seed: 4, most: live as u64 });
    let zoned = Zone::ALL.into_iter().cycle().take(live);
    let mut segments: Vec<_> = zoned.map(|zone| (zone, zones.alloc(zone, 1).unwrap().segment)).collect();
    Contestant::timed(name, TURN, move || {
        let took = time::of(|| {
            for _ in 0..TURN {
                let (zone, segment) = &mut segments[(picks.next() / PAGE) as usize - 1];
                zones.free(*segment).unwrap();
                *segment = zones.alloc(*zone, lengths.next()).unwrap().segment;
            }
        });
        let mut sorted: Vec<_> = segments.iter().map(|(_, segment)| *segment).collect();
        sorted.sort_by_key(Segment::addr);
        assert!(zones.segments().eq(sorted));
        took
    })
}

/// Pages of the same lengths come and go, untouched.
fn map_unmap() -> Contestant<'static> {
    let count = TURN / 20;
    Contestant::new("mmap, munmap", count, move || {
        let mut lengths = Lengths { seed: 2, most: 256 };
        for _ in 0..count {
            let len = lengths.next() as usize;
            // SAFETY: no mapping is replaced.
            let start = unsafe {
                libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
            };
            assert_ne!(start, libc::MAP_FAILED);
            // SAFETY: it was just mapped, and nobody has it.
            assert_eq!(unsafe { libc::munmap(start, len) }, 0);
        }
    })
}

/// Memory of the same lengths comes and goes in a JIT's allocator, which is not asked to fill it.
fn jit_allocator() -> Contestant<'static> {
    let options = JitAllocatorOptions { fill_unused_memory: false, ..Default::default() };
    let mut allocator = JitAllocator::new(options);
    // Something lives on, as in a program.
    allocator.alloc(1).unwrap();
    let count = TURN / 20;
    Contestant::new("jit-allocator", count, move || {
        let mut lengths = Lengths { seed: 2, most: 256 };
        for _ in 0..count {
            let (code, _) = allocator.alloc(lengths.next() as usize).unwrap();
            // SAFETY: it was just allocated, and nobody has it.
            unsafe { allocator.release(code) }.unwrap();
        }
    })
}

fn main() {
    let measure = std::env::args().any(|argument| argument == "--bench");
    let rounds = if measure { ROUNDS } else { 1 };
    let alone = Times::of(
        rounds,
        vec![
            alloc_free("none lives", filled(0).0),
            alloc_free("100 live", filled(100).0),
            alloc_free("10 000 live", filled(10_000).0),
            alloc_free("100 000 live", filled(100_000).0),
            alloc_free("100 live, torn", fragmented(100)),
            alloc_free("10 000 live, torn", fragmented(10_000)),
            alloc_free("100 000 live, torn", fragmented(100_000)),
            jit_allocator(),
            map_unmap(),
        ],
    );
    let replaced =
        [replace("100 live", 100), replace("10 000 live", 10_000), replace_in_zones("10 000 live, in zones", 10_000)];
    let replaced = Times::of(rounds, replaced.into());
    if measure {
        alone.print("one comes and goes");
        replaced.print("one is replaced");
        let mut failed = Vec::new();
        for name in ["none lives", "10 000 live", "10 000 live, torn"] {
            for (other, must) in MUST {
                let ratio = alone.ratio(name, other).unwrap();
                println!("    {name}: {ratio:.1} times as fast as {other}: must {must}");
                if ratio < must {
                    failed.push(format!("{name}: only {ratio:.1} times as fast as {other}, not {must}"));
                }
            }
        }
        println!("    wanted on an idle machine: 20 ns");
        assert!(failed.is_empty(), "on a noisy machine, again: {failed:#?}");
    }
}
