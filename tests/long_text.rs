//! Text several times as long as a call reaches: every call lands, and the islands between take next to nothing.
//!
//! The objects are made here and share their bytes, so that 300 MiB of text cost what the linked image costs.
#![cfg(all(feature = "std", feature = "link"))]

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::link::{
    Binding, Content, Definition, Failure, Input, Kind, Object, ObjectError, Options, Origin, Part, Plan, Problem,
    Relocation, Request, Section, Storage, Symbol, measure,
};
use aarch64_reloc::patch::{self, Endian};
use aarch64_reloc::reloc::Reloc;
use std::convert::Infallible;

/// Functions, each in a section of its own, and bytes of each section.
const FUNCTIONS: usize = 4800;
const SIZE: usize = 64 << 10;
/// Calls of leaves that each function makes.
const CALLS: usize = 4;

/// The words of a section: a leaf that mixes its own number into x0, then a function that calls leaves.
const LEAF: [u32; 3] = [
    0xd280_0001, // movz x1, #number
    0x9b02_0400, // madd x0, x0, x2, x1
    0xd65f_03c0, // ret
];
const CALLER: [u32; 3 + CALLS] = [
    0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
    0x9400_0000, // bl leaf
    0x9400_0000,
    0x9400_0000,
    0x9400_0000,
    0xa8c1_7bfd, // ldp x29, x30, [sp], #16
    0xd65f_03c0, // ret
];
const CALLER_AT: u64 = 4 * LEAF.len() as u64;
const FIRST_CALL: u64 = CALLER_AT + 4;

/// The words of the first function, which calls all the others: `calls` words of `BL` between these.
const MAIN: [u32; 2] = [
    0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
    0xd280_03e2, // movz x2, #31
];
const MAIN_END: [u32; 2] = [0xa8c1_7bfd, 0xd65f_03c0];

/// The leaf that call `call` of function `function` is to, near and far ones in turn.
fn callee(function: usize, call: usize) -> usize {
    (function * 7919 + call * (FUNCTIONS / 3 + 11)) % FUNCTIONS
}

/// What the first function returns for `seed`.
fn expected(seed: u64) -> u64 {
    let calls = (0..FUNCTIONS).flat_map(|function| (0..CALLS).map(move |call| callee(function, call)));
    calls.fold(seed, |x0, leaf| x0.wrapping_mul(31).wrapping_add(leaf as u64))
}

/// All functions as one object: section 0 is that of the first function, and the relocations come last.
struct Long<'data> {
    main: &'data [u8],
    function: &'data [u8],
    names: &'data [String],
    orders: [&'data str; 3],
}

impl<'data> Long<'data> {
    /// What section `index` is ordered by.
    fn order(&self, index: usize) -> &'data str {
        self.orders[index % 3]
    }
}

impl<'data> Object<'data> for Long<'data> {
    fn endian(&self) -> Endian {
        Endian::Little
    }

    fn section_count(&self) -> usize {
        2 * (1 + FUNCTIONS)
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let kind = match index.checked_sub(1 + FUNCTIONS) {
            Some(0) => Kind::Relocations { of: 0, count: FUNCTIONS },
            Some(of) => Kind::Relocations { of, count: 1 + CALLS },
            None => {
                let bytes = if index == 0 { self.main } else { self.function };
                Kind::Loaded { prot: Prot::ReadExec, align: 4, content: Content::Bytes(bytes) }
            }
        };
        Ok(Section { order: self.order(index), ..Section::new(".text", kind) })
    }

    /// First the function that calls all; then for each of the others its leaf, itself, and its number.
    fn symbol_count(&self) -> usize {
        1 + 3 * FUNCTIONS
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let (number, which) = (index.wrapping_sub(1) / 3, index.wrapping_sub(1) % 3);
        let (name, definition) = match (index, which) {
            (0, _) => ("all", Definition::Section { index: 0, offset: 0 }),
            (_, 0) => (&*self.names[number], Definition::Section { index: 1 + number, offset: 0 }),
            (_, 1) => ("", Definition::Section { index: 1 + number, offset: CALLER_AT }),
            (_, _) => ("", Definition::Absolute(number as u64)),
        };
        let binding = if name.is_empty() { Binding::Local } else { Binding::Global };
        Ok(Symbol { name, definition, binding, hidden: false, function: which < 2, size: 0 })
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let leaf = |number: usize| 1 + 3 * number;
        let of = section.checked_sub(1 + FUNCTIONS).ok_or(Part::Relocation(section, index).error(Problem::Index))?;
        let (offset, reloc, symbol) = match (of, index) {
            (0, _) => (4 * (MAIN.len() + index) as u64, Reloc::CALL26, leaf(index) + 1),
            (_, 0) => (0, Reloc::MOVW_UABS_G0, leaf(of - 1) + 2),
            (_, _) => (FIRST_CALL + 4 * (index as u64 - 1), Reloc::CALL26, leaf(callee(of - 1, index - 1))),
        };
        Ok(Relocation { offset, reloc, symbol, addend: 0, origin: Origin::Zero })
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        Err(Part::Relocation(section, index).error(Problem::Index))
    }
}

fn bytes(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Where execution gets from `at` without calling anything: through an island's `B`, or `ADRP x16; ADD x16; BR x16`.
fn through_island(word: impl Fn(u64) -> u32, at: u64) -> u64 {
    let signed = |field: u32, bits: u32| i64::from((field << (32 - bits)).cast_signed() >> (32 - bits));
    let insn = word(at);
    if insn >> 26 == 0x05 {
        return at.wrapping_add_signed(signed(insn, 26) * 4);
    }
    if insn & 0x9f00_001f == 0x9000_0010 && word(at + 8) == 0xd61f_0200 {
        let page = signed(insn >> 5 & 0x7_ffff, 19) << 2 | i64::from(insn >> 29 & 3);
        assert_eq!(word(at + 4) & 0xffc0_03ff, 0x9100_0210);
        return (at & !0xfff).wrapping_add_signed(page << 12) + u64::from(word(at + 4) >> 10 & 0xfff);
    }
    at
}

fn with_object<R>(orders: [&str; 3], run: impl FnOnce(Long<'_>) -> R) -> R {
    let names: Vec<String> = (0..FUNCTIONS).map(|number| format!("leaf{number}")).collect();
    let main = bytes(MAIN.into_iter().chain([0x9400_0000; FUNCTIONS]).chain(MAIN_END));
    let mut function = bytes(LEAF.into_iter().chain(CALLER));
    function.resize(SIZE, 0);
    run(Long { main: &main, function: &function, names: &names, orders })
}

#[test]
fn every_call_lands_in_300_mib_of_text() {
    every_call_lands([""; 3]);
}

#[test]
fn every_call_lands_where_the_text_has_an_order() {
    every_call_lands(["", "$b", "$a"]);
}

fn every_call_lands(orders: [&str; 3]) {
    with_object(orders, |object| {
        let own = (object.main.len() + FUNCTIONS * SIZE) as u64;
        assert!(own >= 300 << 20);
        let inputs = [Input { name: "long.o", object }];
        let mut storage = Storage::new(measure(&inputs, 0));
        const BASE: u64 = 0x4000_0000;
        let place = |requests: &mut [Request]| {
            requests[0].addr = Addr::new(BASE);
            Ok::<_, Infallible>(())
        };
        let report = &mut |failure: &Failure<'_>| panic!("{failure}");
        let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, report);
        let plan = plan.unwrap();
        let [segment] = plan.segments() else { panic!("{:?}", plan.segments()) };
        let islands = segment.size() - own;
        assert!(islands * 1000 < own, "{islands} bytes of islands in {own} of text");
        let mut image = vec![0; segment.size() as usize];
        plan.commit(&mut [patch::Section::new(&mut image, Addr::new(BASE))]).unwrap();

        let word = |at: u64| u32::from_le_bytes(image[(at - BASE) as usize..][..4].try_into().unwrap());
        let leaves: Vec<u64> =
            (0..FUNCTIONS).map(|number| plan.find(&format!("leaf{number}")).unwrap().get()).collect();
        let order = |number: usize| (inputs[0].object.order(1 + number), number);
        let mut numbers: Vec<usize> = (0..FUNCTIONS).collect();
        numbers.sort_by_key(|&number| order(number));
        assert!(numbers.is_sorted_by_key(|&number| leaves[number]));
        let mut through = 0;
        let mut lands = |place: u64, target: u64| {
            assert_eq!(word(place) >> 26, 0x25, "no BL at {place:#x}");
            let offset = i64::from((word(place) << 6).cast_signed() >> 6) * 4;
            let first = place.wrapping_add_signed(offset);
            let last = if first == target { first } else { through_island(word, first) };
            assert_eq!(last, target, "the call at {place:#x}");
            through += usize::from(first != target);
        };
        for (number, leaf) in leaves.iter().enumerate() {
            lands(BASE + 4 * (MAIN.len() + number) as u64, leaf + CALLER_AT);
            for call in 0..CALLS {
                lands(leaf + FIRST_CALL + 4 * call as u64, leaves[callee(number, call)]);
            }
        }
        let summary = plan.summary();
        assert_eq!(summary.relocations, FUNCTIONS * (2 + CALLS));
        assert!(through > FUNCTIONS && summary.rungs.veneer == through, "{summary}");
    });
}

#[test]
#[cfg(all(target_arch = "aarch64", target_os = "linux", feature = "std"))]
fn and_a_processor_gets_there() {
    use aarch64_reloc::load::Image;
    use aarch64_reloc::mem::Reservation;

    with_object([""; 3], |object| {
        let inputs = [Input { name: "long.o", object }];
        let report = &mut |failure: &Failure<'_>| panic!("{failure}");
        let space = Reservation::new(1 << 30).unwrap();
        let image = Image::load(&space, &inputs, &Options::default(), &mut |_| None, report).unwrap();
        // SAFETY: `all` takes and returns a number, and the image lives until it has.
        let all: extern "C" fn(u64) -> u64 = unsafe { image.function(image.symbol("all").unwrap()) }.unwrap();
        assert_eq!(all(12345), expected(12345));
    });
}

#[test]
fn what_is_expected_depends_on_every_call() {
    // The mix tells any two orders of leaves apart that are likely: the last two swapped, say.
    let calls = |swap: bool| {
        let mut leaves: Vec<usize> =
            (0..FUNCTIONS).flat_map(|function| (0..CALLS).map(move |call| callee(function, call))).collect();
        if swap {
            let last = leaves.len() - 1;
            leaves.swap(last, last - 1);
        }
        leaves.into_iter().fold(1_u64, |x0, leaf| x0.wrapping_mul(31).wrapping_add(leaf as u64))
    };
    assert_eq!(calls(false), expected(1));
    assert_ne!(calls(true), expected(1));
}
