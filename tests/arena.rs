//! Laws of placement, against random sequences and a naive model.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{Arena, ArenaError, Block, PageSize, Prot, Reach, Segment};
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::reloc::{Class, Reloc, Value};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const BASE: Addr = Addr::new(0x7f00_0000_0000);
const PROTS: [Prot; 3] = [Prot::Read, Prot::ReadWrite, Prot::ReadExec];

#[derive(Clone, Debug)]
enum Step {
    Alloc(Prot, u64),
    AllocAt(Prot, u64, u64),
    Free(usize),
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let len = |g: &mut Gen| u64::from(u16::arbitrary(g)) << g.choose(&[0, 0, 2, 5]).unwrap();
        let prot = *g.choose(&PROTS).unwrap();
        match u8::arbitrary(g) % 8 {
            0..4 => Self::Alloc(prot, len(g)),
            4 => Self::AllocAt(prot, len(g) & !0xfff, len(g)),
            _ => Self::Free(usize::arbitrary(g)),
        }
    }
}

/// One flag a page: the plainest arena there is.
struct Model {
    held: Vec<bool>,
    page: u64,
}

impl Model {
    fn runs(&self) -> Vec<u64> {
        self.held.split(|&held| held).map(|run| run.len() as u64 * self.page).filter(|&len| len > 0).collect()
    }

    fn pages(&mut self, start: u64, len: u64) -> Option<&mut [bool]> {
        let count = len.div_ceil(self.page).max(1);
        let first = usize::try_from(start / self.page).ok()?;
        self.held.get_mut(first..)?.get_mut(..usize::try_from(count).ok()?)
    }

    fn mark(&mut self, segment: Segment, held: bool) {
        let pages = self.pages(segment.addr().get() - BASE.get(), segment.len()).expect("inside the range");
        assert!(pages.iter().all(|&was| was != held), "{segment:?} overlaps or was not held");
        pages.fill(held);
    }
}

fn check(arena: &Arena<Vec<Block>>, model: &Model, live: &[Segment]) {
    let runs = model.runs();
    assert_eq!(arena.free_bytes(), runs.iter().sum::<u64>());
    assert_eq!(arena.largest_free(), runs.iter().copied().max().unwrap_or(0));
    let mut sorted = live.to_vec();
    sorted.sort_by_key(Segment::addr);
    assert!(arena.segments().eq(sorted), "segments() is the live ones in address order");
}

fn run(steps: Vec<Step>, page: PageSize) {
    let count = 1 << 20 >> page.bytes().ilog2();
    let mut arena = Arena::new(vec![Block::EMPTY; 2 * count + 1], BASE, 1 << 20, page).unwrap();
    let mut model = Model { held: vec![false; count], page: page.bytes() };
    let mut live: Vec<Segment> = Vec::new();
    for step in steps {
        match step {
            Step::Alloc(prot, len) => match arena.alloc(prot, len) {
                Ok(segment) => {
                    assert_eq!(segment.len(), len.next_multiple_of(page.bytes()).max(page.bytes()));
                    assert!(segment.prot() == prot && segment.addr().is_aligned_to(page.bytes()));
                    model.mark(segment, true);
                    live.push(segment);
                }
                Err(error) => {
                    let (free, largest) = (arena.free_bytes(), arena.largest_free());
                    assert_eq!(error, ArenaError::Full { asked: len, free, largest });
                    assert!(largest < len.max(1), "a run of {largest:#x} bytes fits {len:#x}");
                }
            },
            Step::AllocAt(prot, offset, len) => {
                let addr = BASE.plus(offset.cast_signed());
                let aligned = offset % page.bytes() == 0;
                let fits = aligned && model.pages(offset, len).is_some_and(|pages| !pages.contains(&true));
                match arena.alloc_at(prot, addr, len) {
                    Ok(segment) => {
                        assert!(fits && segment.addr() == addr && segment.prot() == prot);
                        model.mark(segment, true);
                        live.push(segment);
                    }
                    Err(ArenaError::NotPages { .. }) => assert!(!aligned),
                    Err(error) => assert!(!fits && error == ArenaError::Taken { addr, len }),
                }
            }
            Step::Free(which) => {
                if let Some(index) = which.checked_rem(live.len()) {
                    let segment = live.swap_remove(index);
                    arena.free(segment).unwrap();
                    model.mark(segment, false);
                    let again = ArenaError::Unknown { addr: segment.addr(), len: segment.len() };
                    assert_eq!(arena.free(segment), Err(again));
                }
            }
        }
        check(&arena, &model, &live);
    }
    for segment in live.drain(..) {
        arena.free(segment).unwrap();
    }
    assert_eq!((arena.free_bytes(), arena.largest_free()), (1 << 20, 1 << 20));
    assert_eq!(arena.alloc(Prot::Read, 1 << 20).map(|all| all.addr()), Ok(BASE));
}

#[test]
fn segments_of_whom_the_storage_served_before_are_unknown() {
    let mut storage = [Block::EMPTY; 8];
    let mut before = Arena::new(&mut storage[..], BASE, 1 << 20, PageSize::K4).unwrap();
    let segments = [1, 2, 3].map(|pages| before.alloc(Prot::Read, pages << 12).unwrap());
    let mut after = Arena::new(&mut storage[..], BASE, 1 << 20, PageSize::K4).unwrap();
    for segment in segments {
        let unknown = ArenaError::Unknown { addr: segment.addr(), len: segment.len() };
        assert_eq!(after.free(segment), Err(unknown));
    }
    assert_eq!((after.free_bytes(), after.segments().count()), (1 << 20, 0));
}

#[test]
fn agrees_with_a_flag_a_page() {
    fn law(steps: Vec<Step>, which: u8) {
        run(steps, [PageSize::K4, PageSize::K16, PageSize::K64][usize::from(which) % 3]);
    }
    QuickCheck::new().rng(Gen::new(400)).tests(400).quickcheck(law as fn(Vec<Step>, u8));
}

/// Ten thousand runs of lengths that crowd the inexact size classes, every other one freed, then asked for to the page.
#[test]
fn finds_a_run_whenever_one_fits() {
    const RUNS: u64 = 10_000;
    let pages = |i: u64| 16 + i * 7919 % 240;
    let total: u64 = (0..RUNS).map(|i| pages(i) << 12).sum();
    let mut arena = Arena::new(vec![Block::EMPTY; 20_001], BASE, total, PageSize::K4).unwrap();
    let live: Vec<_> = (0..RUNS).map(|i| arena.alloc(Prot::Read, pages(i) << 12).unwrap()).collect();
    assert_eq!(arena.free_bytes(), 0);
    let mut lengths = Vec::new();
    for segment in live.iter().step_by(2) {
        arena.free(*segment).unwrap();
        lengths.push(segment.len());
    }
    // Longest first, so that each time only a run of that very length is left to serve it.
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    for len in lengths {
        assert_eq!(arena.largest_free(), len);
        arena.alloc(Prot::Read, len).unwrap();
    }
    assert_eq!(arena.alloc(Prot::Read, 1), Err(ArenaError::Full { asked: 1, free: 0, largest: 0 }));
}

#[test]
fn full_has_numbers_and_so_has_storage() {
    let mut arena = Arena::new([Block::EMPTY; 3], BASE, 0x6000, PageSize::K4).unwrap();
    let low = arena.alloc(Prot::ReadExec, 0x2000).unwrap();
    let mid = arena.alloc(Prot::Read, 0x1001).unwrap();
    assert_eq!((mid.addr(), mid.len()), (BASE.at(0x2000), 0x2000));
    assert_eq!(arena.alloc(Prot::Read, 1), Err(ArenaError::NoBlocks { blocks: 3 }));
    arena.free(low).unwrap();
    let full = arena.alloc(Prot::Read, 0x3000).unwrap_err();
    assert_eq!(full, ArenaError::Full { asked: 0x3000, free: 0x4000, largest: 0x2000 });
    assert_eq!(full.to_string(), "arena is full: 0x3000 bytes asked for, 0x4000 free, 0x2000 in one run");
    // A run that fits exactly needs no block.
    assert_eq!(arena.alloc(Prot::ReadWrite, 0x2000).map(|s| s.addr()), Ok(BASE.at(0)));
}

#[test]
fn storage_is_an_array_a_slice_or_a_vector() {
    fn first<T: AsRef<[Block]> + AsMut<[Block]>>(storage: T) -> Addr {
        Arena::new(storage, BASE, 0x1_0000, PageSize::K64).unwrap().alloc(Prot::Read, 0).unwrap().addr()
    }
    let mut array = [Block::EMPTY; 4];
    let heapless: heapless::Vec<Block, 4> = array.into_iter().collect();
    assert_eq!([first(&mut array[..]), first(array), first(heapless), first(vec![Block::EMPTY])], [BASE; 4]);
    let none = Arena::new([Block::EMPTY; 0], BASE, 0x1000, PageSize::K4);
    assert_eq!(none.err(), Some(ArenaError::NoBlocks { blocks: 0 }));
}

#[cfg(feature = "std")]
#[test]
fn grown_storage_goes_on_where_it_stopped() {
    let mut arena = Arena::new(vec![Block::EMPTY], BASE, 0x3000, PageSize::K4).unwrap();
    assert_eq!(arena.alloc(Prot::Read, 1), Err(ArenaError::NoBlocks { blocks: 1 }));
    arena.add_blocks(2);
    let addrs = [1, 1, 1].map(|len| arena.alloc(Prot::Read, len).map(|s| s.addr()));
    assert_eq!(addrs, [0, 0x1000, 0x2000].map(|offset| Ok(BASE.at(offset))));
}

#[test]
fn a_range_is_whole_pages_below_the_end_of_addresses() {
    let new = |addr: u64, len, page| Arena::new([Block::EMPTY; 4], Addr::new(addr), len, page).err();
    let not_pages = |addr: u64, len, page| Some(ArenaError::NotPages { addr: Addr::new(addr), len, page });
    assert_eq!(new(0, 0, PageSize::K4), not_pages(0, 0, PageSize::K4));
    assert_eq!(new(0x1000, 0x4000, PageSize::K16), not_pages(0x1000, 0x4000, PageSize::K16));
    assert_eq!(new(0x4000, 0x4001, PageSize::K16), not_pages(0x4000, 0x4001, PageSize::K16));
    let top = 0xffff_ffff_ffff_0000;
    assert_eq!(new(top, 0x2_0000, PageSize::K4), Some(ArenaError::Wraps { addr: Addr::new(top), len: 0x2_0000 }));

    let mut last = Arena::new([Block::EMPTY; 4], Addr::new(top), 0x1_0000, PageSize::K4).unwrap();
    assert_eq!(last.alloc_at(Prot::Read, Addr::new(top + 0xf000), 1).map(|s| s.len()), Ok(0x1000));
    let beyond = last.alloc_at(Prot::Read, Addr::new(0), 1);
    assert_eq!(beyond, Err(ArenaError::Taken { addr: Addr::new(0), len: 1 }));
    assert!(last.map(|_| Some("end")).to_string().contains("\n0xfffffffffffff000   4 KiB  r--  end\n"));

    let len = 0u64.wrapping_sub(0x1000);
    let mut most = Arena::new([Block::EMPTY; 4], Addr::new(0), len, PageSize::K4).unwrap();
    let full = most.alloc(Prot::Read, u64::MAX);
    assert_eq!(full, Err(ArenaError::Full { asked: u64::MAX, free: len, largest: len }));
    let all = most.alloc(Prot::Read, len).unwrap();
    assert_eq!((all.len(), most.segments().count(), most.largest_free()), (len, 1, 0));
    assert_eq!((most.free(all), most.largest_free()), (Ok(()), len));
}

#[test]
fn segments_of_another_arena_are_unknown() {
    let mut ours = Arena::new([Block::EMPTY; 4], BASE, 0x4000, PageSize::K4).unwrap();
    let mut theirs = Arena::new([Block::EMPTY; 4], BASE.at(0x4000), 0x4000, PageSize::K4).unwrap();
    let segment = theirs.alloc(Prot::Read, 1).unwrap();
    ours.alloc(Prot::Read, 1).unwrap();
    assert!(matches!(ours.free(segment), Err(ArenaError::Unknown { .. })));
    assert_eq!((ours.free_bytes(), theirs.free(segment)), (0x3000, Ok(())));
}

#[test]
fn the_reaches_of_the_map_are_those_of_the_relocations() {
    let relocs = [Reloc::TSTBR14, Reloc::CONDBR19, Reloc::CALL26, Reloc::PREL32, Reloc::ADR_PREL_PG_HI21];
    for ((name, reach), reloc) in Reach::CLASSES.into_iter().zip(relocs) {
        assert_eq!(reach, reloc.reach(), "{name}");
    }
}

/// A word that `reloc` may change, at a place it may stand at: the first there is.
fn word(reloc: Reloc) -> u64 {
    let mut words = (0..=0xffff).map(|high| high << 16);
    words.find(|&word| reloc.read(word, BASE).is_ok()).unwrap_or(0)
}

/// What `reloc` is given to refer to `target`.
fn value(reloc: Reloc, target: Addr) -> Value {
    let got = |base| Got::new([Entry::default(); 1], base).unwrap().slot_for(Symbol::new(0), target).unwrap();
    match reloc.takes() {
        Class::Addr | Class::Any => Value::Addr(target),
        Class::Slot => got(target).into(),
        // Every offset there is, not those of the range alone.
        Class::Offset => Value::Offset(target.get().cast_signed()),
    }
}

/// From the first place to the last target and back, and to the middle, where a range of more than half of all addresses
/// is farthest.
#[test]
fn a_guarantee_is_what_the_relocations_encode_at_the_corners() {
    let words: Vec<(Reloc, u64)> = Reloc::ALL.iter().map(|&reloc| (reloc, word(reloc))).collect();
    let (mut given, mut refused) = (0, 0);
    for exact in [1 << 15, 1 << 16, 1 << 20, 1 << 27, 1 << 31, 1 << 32, 1 << 48, 1 << 63, 0u64.wrapping_sub(0x2000)] {
        for len in [exact, exact + 0x1000] {
            let top = 0u64.wrapping_sub(len);
            let below = |end: u64| end.saturating_sub(len);
            let bases = [0, 0x1000, below(1 << 31), below(1 << 32), below(1 << 32) + 0x1000, BASE.get(), 1 << 63, top];
            for base in bases.into_iter().filter(|base| base.checked_add(len - 1).is_some()) {
                let arena = Arena::new([Block::EMPTY; 1], Addr::new(base), len, PageSize::K4).unwrap();
                let last = base + (len - 1);
                for &(reloc, word) in &words {
                    // What lies in the range whole: a slot is 8 bytes, an instruction or datum its size.
                    let step = if reloc.takes() == Class::Slot { 8 } else { reloc.alignment() };
                    let room = (reloc.size() as u64).max(1);
                    let places = [base, last - (room - 1)];
                    let ends = [base, base + len / 2, last - (step - 1)];
                    let beyond = [1 << 62, 1 << 63];
                    let targets: &[u64] = if reloc.takes() == Class::Offset { &beyond } else { &ends };
                    let encodes = |place: u64, target: u64| {
                        reloc.apply(word, Addr::new(place), value(reloc, Addr::new(target))).is_ok()
                    };
                    let all = places.iter().all(|&place| targets.iter().all(|&target| encodes(place, target)));
                    assert_eq!(arena.guarantees(reloc), all, "{} in {len:#x} bytes at {base:#x}", reloc.name());
                    *(if all { &mut given } else { &mut refused }) += 1;
                }
            }
        }
    }
    assert!(given > 1000 && refused > 1000, "{given} given, {refused} refused");
}

#[test]
fn a_guarantee_ends_where_the_reach_does() {
    let guarantees = |len, reloc| Arena::new([Block::EMPTY; 1], BASE, len, PageSize::K4).unwrap().guarantees(reloc);
    for (len, reloc) in [
        (1 << 15, Reloc::TSTBR14),
        (1 << 20, Reloc::CONDBR19),
        (1 << 20, Reloc::GOT_LD_PREL19),
        (1 << 27, Reloc::CALL26),
        (1 << 31, Reloc::PREL32),
        (1 << 32, Reloc::ADR_PREL_PG_HI21),
        (1 << 32, Reloc::ADR_GOT_PAGE),
    ] {
        assert_eq!([guarantees(len, reloc), guarantees(len + 0x1000, reloc)], [true, false], "{}", reloc.name());
    }
}
