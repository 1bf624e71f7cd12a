//! One range in zones: many objects that come and go, in arithmetic and in memory.

#[cfg(all(feature = "std", feature = "link", target_os = "linux"))]
#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{ArenaError, Block, PageSize, Segment, Stretch, Zone, Zones};
use aarch64_reloc::reloc::{Reloc, Value};

const BASE: Addr = Addr::new(0x7f00_0000_0000);

/// Numbers without a pattern, the same in every run (the generator of Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        let count = from.len() as u64;
        (count > 0).then(|| from.swap_remove(self.below(count) as usize))
    }
}

/// Whose each page is: the plainest zones there are.
struct Model {
    zone: Vec<Option<Zone>>,
    held: Vec<bool>,
    page: u64,
    /// Mappings of one protection each that the range took at the worst moment.
    mappings: usize,
}

impl Model {
    fn new(len: u64, page: PageSize) -> Self {
        let count = (len / page.bytes()) as usize;
        Self { zone: vec![None; count], held: vec![false; count], page: page.bytes(), mappings: 1 }
    }

    fn pages(&self, addr: Addr, len: u64) -> std::ops::Range<usize> {
        let start = (addr.get() - BASE.get()) / self.page;
        assert!(addr.is_aligned_to(self.page) && len.is_multiple_of(self.page) && len > 0);
        start as usize..(start + len / self.page) as usize
    }

    fn change(&mut self, stretch: Stretch, from: Option<Zone>, to: Option<Zone>) {
        let pages = self.pages(stretch.addr, stretch.len);
        assert!(self.zone[pages.clone()].iter().all(|&zone| zone == from), "{stretch:?} is not {from:?}'s");
        assert!(to.is_some() || !self.held[pages.clone()].contains(&true), "{stretch:?} is given back with pages held");
        self.zone[pages].fill(to);
        let borders = self.zone.windows(2).filter(|pair| pair[0].map(Zone::prot) != pair[1].map(Zone::prot));
        self.mappings = self.mappings.max(1 + borders.count());
    }

    fn mark(&mut self, zone: Zone, segment: Segment, held: bool) {
        let pages = self.pages(segment.addr(), segment.len());
        assert!(self.held[pages.clone()].iter().all(|&was| was != held), "{segment:?} overlaps or was not held");
        assert!(self.zone[pages.clone()].iter().all(|&of| of == Some(zone)), "{segment:?} is not in {zone:?}");
        self.held[pages].fill(held);
    }
}

/// Zones and their model, which every step is done in.
struct Both {
    zones: Zones<Vec<Block>>,
    model: Model,
}

impl Both {
    fn new(len: u64, page: PageSize, corridor: u64) -> Self {
        let zones = Zones::new(vec![Block::EMPTY; 20_000], BASE, len, page, corridor).unwrap();
        Self { zones, model: Model::new(len, page) }
    }

    fn alloc(&mut self, zone: Zone, len: u64) -> Result<Segment, ArenaError> {
        let largest = self.zones.largest_free(zone);
        let taken = self.zones.alloc(zone, len);
        assert_eq!(taken.is_ok(), len.max(1) <= largest, "{zone:?} has {largest:#x} bytes for {len:#x}: {taken:?}");
        let taken = taken?;
        if let Some(stretch) = taken.grown {
            self.model.change(stretch, None, Some(zone));
        }
        self.model.mark(zone, taken.segment, true);
        assert_eq!(taken.segment.prot(), zone.prot());
        Ok(taken.segment)
    }

    fn free(&mut self, zone: Zone, segment: Segment) {
        self.model.mark(zone, segment, false);
        if let Some(stretch) = self.zones.free(segment).unwrap() {
            self.model.change(stretch, Some(zone), None);
        }
        let unknown = ArenaError::Unknown { addr: segment.addr(), len: segment.len() };
        assert_eq!(self.zones.free(segment), Err(unknown));
    }

    /// Nothing is held and nothing is anybody's.
    fn assert_empty(&self) {
        assert!(self.model.zone.iter().all(Option::is_none));
        assert_eq!(self.zones.free_bytes(), self.model.zone.len() as u64 * self.model.page);
        assert_eq!(self.zones.segments().count(), 0);
    }
}

type Object = [(Zone, Segment); 4];

fn object(both: &mut Both, random: &mut Random) -> Object {
    Zone::ALL.map(|zone| {
        let most = match zone {
            Zone::Text => 1 << 18,
            Zone::Got => 1 << 12,
            Zone::ReadOnly | Zone::Data => 1 << 16,
        };
        (zone, both.alloc(zone, random.below(most)).unwrap())
    })
}

/// The newest object and all others refer to each other from end to end.
fn assert_reach(live: &[Object], guaranteed: &[Reloc]) {
    let ends = |(_, s): &(Zone, Segment)| [s.addr(), s.addr().at(s.len() as usize - 4)];
    let newest: Vec<Addr> = live.last().unwrap().iter().flat_map(ends).collect();
    for other in live.iter().flatten().flat_map(ends) {
        for reloc in guaranteed {
            let both = |&one| reloc.reaches(one, Value::Addr(other)) && reloc.reaches(other, Value::Addr(one));
            assert!(newest.iter().all(both), "{}", reloc.name());
        }
    }
}

#[test]
fn a_thousand_objects_come_and_go_in_any_order() {
    for (len, page, corridor) in [
        (1 << 27, PageSize::K4, 0),
        (1 << 30, PageSize::K4, 0),
        (1 << 30, PageSize::K4, 1 << 16),
        ((1 << 30) - (5 << 16), PageSize::K64, 1 << 16),
        (1 << 32, PageSize::K16, 1 << 20),
    ] {
        let (mut both, mut random) = (Both::new(len, page, corridor), Random(len));
        let relocs = [Reloc::CALL26, Reloc::PREL32, Reloc::ADR_PREL_PG_HI21];
        let guaranteed: Vec<_> = relocs.into_iter().filter(|&reloc| both.zones.guarantees(reloc)).collect();
        assert_eq!(guaranteed.len(), relocs.len() - usize::from(len > 1 << 27) - usize::from(len > 1 << 31));
        let mut live: Vec<Object> = Vec::new();
        let mut made = 0;
        while made < 1000 || !live.is_empty() {
            if made < 1000 && random.below(5) < 3 {
                live.push(object(&mut both, &mut random));
                made += 1;
                assert_reach(&live, &guaranteed);
            } else if let Some(object) = random.pick(&mut live) {
                object.into_iter().for_each(|(zone, segment)| both.free(zone, segment));
            }
            let held: u64 = live.iter().flatten().map(|(_, segment)| segment.len()).sum();
            let corridors = len - both.zones.free_bytes() - held;
            assert!(corridors.is_multiple_of(page.bytes()) && (corridor > 0 || corridors == 0));
            let mut all: Vec<Segment> = live.iter().flatten().map(|&(_, segment)| segment).collect();
            all.sort_by_key(Segment::addr);
            assert!(both.zones.segments().eq(all));
        }
        both.assert_empty();
        assert!((2..=32).contains(&both.model.mappings), "{} mappings", both.model.mappings);
    }
}

/// Text fills the range; every segment reaches its corridor, whole, by a branch from either end.
#[test]
fn every_page_of_text_reaches_its_corridor() {
    let reaches = |from: Segment, to: Segment| {
        let ends = |s: Segment| [s.addr(), s.addr().at(s.len() as usize - 4)];
        ends(from).into_iter().all(|place| {
            ends(to).into_iter().all(|target| Reloc::CALL26.apply(0x9400_0000, place, target.into()).is_ok())
        })
    };
    for len in [(1 << 27) + (1 << 16), 300 << 20, 1 << 30, 3 << 30, (1 << 32) + (1 << 31)] {
        let (mut both, mut random) = (Both::new(len, PageSize::K64, 1 << 16), Random(7));
        let mut live = Vec::new();
        for round in 0..3 {
            while let Ok(segment) = both.alloc(Zone::Text, random.below(20 << 20)) {
                live.push(segment);
            }
            for &segment in &live {
                let corridor = both.zones.corridor(segment).unwrap();
                assert!(reaches(segment, corridor) && reaches(corridor, segment), "{segment:?} {corridor:?}");
                assert_eq!(corridor.len(), 1 << 16);
                assert!(!both.model.held[both.model.pages(corridor.addr(), corridor.len())].contains(&true));
                assert!(both.zones.free(corridor).is_err(), "nobody frees a corridor");
            }
            let keep = if round < 2 { live.len() / 2 } else { 0 };
            while live.len() > keep {
                let segment = random.pick(&mut live).unwrap();
                both.free(Zone::Text, segment);
            }
        }
        both.assert_empty();
        // As long as a piece of text can be, and a page longer.
        let most = (1 << 27) - (1 << 16);
        let piece = both.alloc(Zone::Text, most.min(both.zones.largest_free(Zone::Text))).unwrap();
        assert!(reaches(piece, both.zones.corridor(piece).unwrap()));
        assert!(matches!(both.alloc(Zone::Text, most + 1), Err(ArenaError::Full { .. })));
        both.free(Zone::Text, piece);
        both.assert_empty();
    }
}

#[test]
fn corridors_are_for_ranges_longer_than_a_branch() {
    let corridor = |len| {
        let mut zones = Zones::new([Block::EMPTY; 8], BASE, len, PageSize::K4, 1).unwrap();
        let text = zones.alloc(Zone::Text, 1).unwrap().segment;
        let drawn = zones.map(|_| None).to_string().contains("r-x  corridor\n");
        assert_eq!(zones.corridor(text).is_some(), drawn);
        drawn
    };
    assert_eq!([corridor(1 << 27), corridor((1 << 27) + 4096)], [false, true]);
}

/// Any zone may have it all, whatever the length, and what another zone leaves.
#[test]
fn one_purpose_may_fill_the_range() {
    for pages in (1..100).chain([1000, 4097]) {
        for zone in Zone::ALL {
            let mut both = Both::new(pages << 12, PageSize::K4, 0);
            let all = both.alloc(zone, pages << 12).unwrap();
            assert_eq!((all.addr(), all.len(), both.zones.free_bytes()), (BASE, pages << 12, 0));
            both.free(zone, all);
            let singles: Vec<_> = (0..pages).map(|_| both.alloc(zone, 1).unwrap()).collect();
            assert!(matches!(both.alloc(zone, 1), Err(ArenaError::Full { asked: 1, free: 0, largest: 0 })));
            singles.into_iter().for_each(|segment| both.free(zone, segment));
            both.assert_empty();
        }
    }
}

/// With too few blocks a request is refused and nothing changes; freeing is never refused, and all space comes back.
#[test]
fn few_blocks_are_an_answer() {
    for blocks in 1..40 {
        let mut zones = Zones::new(vec![Block::EMPTY; blocks], BASE, 1 << 30, PageSize::K4, 4096).unwrap();
        let mut random = Random(blocks as u64);
        let mut live = Vec::new();
        for _ in 0..300 {
            let before = zones.free_bytes();
            match zones.alloc(Zone::ALL[random.below(4) as usize], random.below(1 << 26)) {
                Ok(taken) => live.push(taken.segment),
                Err(error) => {
                    assert!(matches!(error, ArenaError::NoBlocks { .. } | ArenaError::Full { .. }), "{error}");
                    assert_eq!(zones.free_bytes(), before);
                    if let Some(segment) = random.pick(&mut live) {
                        zones.free(segment).unwrap();
                    }
                }
            }
        }
        while let Some(segment) = random.pick(&mut live) {
            zones.free(segment).unwrap();
        }
        assert_eq!((zones.free_bytes(), zones.largest_free(Zone::Data)), (1 << 30, 1 << 30), "{blocks} blocks");
    }
}

#[cfg(all(feature = "std", target_os = "linux"))]
mod memory {
    use super::*;
    use aarch64_reloc::arena::Prot;
    use aarch64_reloc::mem::{Part, Reservation, Sealed};

    /// Mappings within the reservation, as the kernel counts them: what it says of this thread is not emulated by qemu, as
    /// what it says of the process is.
    fn mappings(memory: &Reservation) -> usize {
        let (start, end) = (memory.addr().get(), memory.addr().at(memory.len()).get());
        let maps = std::fs::read_to_string("/proc/thread-self/maps").unwrap();
        let ends = maps.lines().filter_map(|line| line.split_once(' ')?.0.split_once('-'));
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let count = ends.filter(|&(low, high)| number(low) < end && number(high) > start).count();
        assert_ne!(count, 0);
        count
    }

    /// Bytes of the reservation that are in memory.
    fn resident(memory: &Reservation) -> u64 {
        let page = memory.page().bytes();
        let mut pages = vec![0u8; memory.len() / page as usize];
        let start = std::ptr::with_exposed_provenance_mut(memory.addr().get() as usize);
        // SAFETY: the range is mapped, and there is a byte for each of its pages.
        assert_eq!(unsafe { libc::mincore(start, memory.len(), pages.as_mut_ptr()) }, 0);
        pages.iter().filter(|&page| page & 1 == 1).count() as u64 * page
    }

    /// What lives, and the byte that it is full of.
    struct Live {
        sealed: Sealed,
        parts: Vec<(Part, Addr)>,
        fill: u8,
    }

    impl Live {
        fn check(&self) {
            let word = u64::from_ne_bytes([self.fill; 8]);
            for &(part, addr) in &self.parts {
                if part.prot == Prot::ReadWrite {
                    let last = addr.at(part.len - 8);
                    // SAFETY: nobody else knows of the words.
                    assert_eq!([addr, last].map(|at| unsafe { self.sealed.load(at) }.unwrap()), [word; 2]);
                } else {
                    let bytes = self.sealed.bytes(addr, part.len).unwrap();
                    assert!(bytes.iter().all(|&byte| byte == self.fill), "{part:?} at {addr}");
                }
            }
        }
    }

    /// An object of three parts; now and then one is given up while it is drafted.
    fn make(memory: &Reservation, random: &mut Random, fill: u8) -> Option<Live> {
        let prots = [Prot::ReadExec, Prot::Read, Prot::ReadWrite];
        let parts = prots.map(|prot| Part {
            prot,
            len: 8 * (1 + random.below(1 << 12) as usize),
            align: 1 << random.below(15),
        });
        let draft = memory.draft();
        let mut run = draft.alloc_run(&parts).unwrap();
        for section in &mut run {
            assert!(section.bytes().iter().all(|&byte| byte == 0), "fresh pages hold something");
            section.bytes_mut().fill(fill);
        }
        let parts = parts.into_iter().zip(run).map(|(part, section)| (part, section.addr())).collect();
        let sealed = (random.below(8) > 0).then(|| draft.seal().unwrap())?;
        Some(Live { sealed, parts, fill })
    }

    #[test]
    fn mappings_grow_with_zones_and_not_with_objects() {
        for len in [1 << 26, 1 << 30] {
            let (memory, mut random) = (Reservation::new(len).unwrap(), Random(len as u64));
            let (mut live, mut most_live, mut most) = (Vec::new(), 0, 0);
            for made in 0..1000u32 {
                live.extend(make(&memory, &mut random, made as u8));
                most = most.max(mappings(&memory));
                if random.below(5) < 2
                    && let Some(object) = random.pick(&mut live)
                {
                    object.check();
                    drop(object);
                    most = most.max(mappings(&memory));
                }
                most_live = most_live.max(live.len());
            }
            assert!(most_live > 300, "{most_live}");
            while let Some(object) = random.pick(&mut live) {
                object.check();
                drop(object);
                most = most.max(mappings(&memory));
            }
            assert_eq!(memory.free_bytes(), len as u64);
            assert_eq!(memory.largest_free(), len as u64);
            assert_eq!(resident(&memory), 0);
            assert!(most <= 32, "{most} mappings of {len:#x} bytes");
        }
    }

    /// Programs as compilers make them, linked and unlinked; each is full of references between its segments.
    #[cfg(feature = "link")]
    #[test]
    fn a_thousand_programs_are_linked_and_unlinked_in_any_order() {
        use aarch64_reloc::formats::elf::Elf;
        use aarch64_reloc::link::{Failure, Input, Options};
        use aarch64_reloc::load::Image;

        const HEAD: usize = 64;
        let files = objects::VARIANTS.map(|variant| {
            [format!("main-{variant}.o"), format!("shapes-{variant}.o")].map(|name| (objects::read(&name), name))
        });
        let (memory, mut random) = (Reservation::new(1 << 30).unwrap(), Random(3));
        let library = memory.addr().plus(-(1 << 30));
        let load = |files: &[(Vec<u8>, String); 2]| {
            let inputs = files.each_ref().map(|(file, name)| Input { name, object: Elf::parse(file).unwrap() });
            let report = &mut |failure: &Failure<'_>| panic!("{failure}");
            let image = Image::load(&memory, &inputs, &Options::default(), &mut |_| Some(library), report).unwrap();
            image.symbol("main").map(|main| (image, main)).unwrap()
        };
        let head = |main: Addr| {
            let start = std::ptr::with_exposed_provenance::<[u8; HEAD]>(main.get() as usize);
            // SAFETY: `main` is longer, and its image lives.
            unsafe { *start }
        };
        let (mut live, mut most_live, mut most) = (Vec::new(), 0, 0);
        let mut unlink = |live: &mut Vec<_>, random: &mut Random| {
            let (image, main, text) = random.pick(live)?;
            assert_eq!(head(main), text);
            drop(image);
            most = most.max(mappings(&memory));
            Some(())
        };
        for _ in 0..1000 {
            let (image, main) = load(&files[random.below(files.len() as u64) as usize]);
            live.push((image, main, head(main)));
            most_live = most_live.max(live.len());
            if random.below(5) < 2 {
                unlink(&mut live, &mut random);
            }
        }
        while unlink(&mut live, &mut random).is_some() {}
        assert!(most_live > 500, "{most_live}");
        assert_eq!((memory.largest_free(), resident(&memory)), (memory.len() as u64, 0));
        assert!(most <= 32, "{most} mappings");
    }
}
