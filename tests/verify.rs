//! The verdict on linked images: nothing is wrong with what linkers make, and every planted fault is found, and nothing else.
//!
//! `verify/make.sh` makes the images; `verify/libcrypto.sh` does the same with all of libcrypto.
#![cfg(feature = "link")]

#[cfg(all(feature = "std", not(target_arch = "aarch64")))]
mod common;
#[cfg(all(feature = "std", feature = "object", target_os = "linux"))]
#[allow(dead_code)]
mod objects;
#[path = "common/texts.rs"]
mod texts;

use aarch64_reloc::formats::image::{Counts, Image};
use aarch64_reloc::link::{ObjectError, Part, Problem};
use aarch64_reloc::verify::{Found, Memory, Target, Unverified, Verdict, View, Wrong};
use aarch64_reloc::{Addr, Reloc};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify")
}

/// What is said of an image: how many places of each kind, and a line for each that is wrong.
fn verify(bytes: &[u8]) -> Result<(Counts, Vec<String>), ObjectError> {
    let image = Image::parse(bytes)?;
    let mut sections = image.sections().collect::<Result<Vec<_>, _>>()?;
    sections.retain(|(_, view)| !view.bytes.is_empty());
    sections.sort_by_key(|(_, view)| view.addr);
    let views: Vec<View<'_>> = sections.iter().map(|&(_, view)| view).collect();
    let got: Vec<View<'_>> = sections.iter().filter(|(name, _)| *name == ".got").map(|&(_, view)| view).collect();
    let bases: Vec<Addr> = got.iter().map(|view| view.addr).collect();
    let memory = Memory { views: &views, got: &got, bases: &bases, ..Memory::default() };
    let mut lines = Vec::new();
    let counts = image.verify(&memory, &mut |_| None, &mut |applied, wrong| {
        assert_eq!(Addr::new(applied.relocation.offset), wrong.place);
        lines.push(wrong.to_string());
    })?;
    assert_eq!(counts.wrong, lines.len());
    Ok((counts, lines))
}

/// What GNU ld 2.40 makes of a conditional branch to nowhere: it loops. AAELF64, "Weak references", wants the next instruction.
const LOOP: &str = "R_AARCH64_CONDBR19 at 0x400188: reaches 0x400188, not 0x40018c (-0x4 bytes off)";

/// The images: verified places, those that are thread-local, and what is wrong with them.
const IMAGES: [(&str, usize, usize, &[&str]); 6] = [
    ("places-lld", 40, 2, &[]),
    ("places-gnu", 40, 2, &[LOOP]),
    ("far-lld", 5, 0, &[]),
    ("far-gnu", 5, 0, &[]),
    ("erratum-lld", 2, 0, &[]),
    ("erratum-gnu", 2, 0, &[]),
];

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(format!("{name}.elf"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn as_listed(folder: &Path) {
    for (name, verified, thread_local, lines) in IMAGES {
        let (counts, found) = verify(&read(folder, name)).unwrap();
        assert_eq!(found, lines, "{name}");
        let of = |why| counts.unverified[Unverified::ALL.iter().position(|&all| all == why).unwrap()];
        assert_eq!((counts.verified, of(Unverified::ThreadLocal)), (verified, thread_local), "{name}");
        assert_eq!(counts.unverified.iter().sum::<usize>(), thread_local, "{name}");
    }
}

#[test]
fn what_linkers_make_is_right() {
    as_listed(&folder().join("images"));
}

#[test]
#[cfg(all(feature = "std", not(target_arch = "aarch64")))]
fn what_linkers_make_now_is_right() {
    for tool in ["clang-19", "ld.lld-19", "aarch64-linux-gnu-ld"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let images = tempfile::tempdir().unwrap();
    let script = folder().join("make.sh");
    assert!(std::process::Command::new("sh").arg(script).arg(images.path()).status().unwrap().success());
    as_listed(images.path());
}

/// An image that is being spoilt.
struct Spoilt {
    bytes: Vec<u8>,
}

impl Spoilt {
    fn new(name: &str) -> Self {
        Self { bytes: read(&folder().join("images"), name) }
    }

    /// The place of the relocation `reloc` number `nth` against `symbol`: its address and its offset in the file.
    fn place(&self, reloc: Reloc, symbol: &str, nth: usize) -> (Addr, usize) {
        let image = Image::parse(&self.bytes).unwrap();
        let relocations = image.relocations().map(Result::unwrap);
        let mut of_kind = relocations.filter(|found| found.relocation.reloc == reloc && found.symbol == symbol);
        let place = Addr::new(of_kind.nth(nth).unwrap().relocation.offset);
        (place, self.offset_of(place))
    }

    /// Where the file has the byte at `addr`.
    fn offset_of(&self, addr: Addr) -> usize {
        let image = Image::parse(&self.bytes).unwrap();
        let view = image.sections().find_map(|found| found.unwrap().1.part(addr, 1)).unwrap();
        view.bytes.as_ptr() as usize - self.bytes.as_ptr() as usize
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    fn change(&mut self, at: usize, change: impl FnOnce(u32) -> u32) {
        let word = change(self.word(at));
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// The lines for what is wrong now and was not before.
    #[track_caller]
    fn faults(&self, name: &str) -> Vec<String> {
        let (_, before) = verify(&read(&folder().join("images"), name)).unwrap();
        let (_, lines) = verify(&self.bytes).unwrap();
        assert!(before.iter().all(|line| lines.contains(line)));
        lines.into_iter().filter(|line| !before.contains(line)).collect()
    }
}

/// Spoils one word of each linker's image: the place of `reloc` against `symbol`. What is found is told with the place as `P`.
#[track_caller]
fn spoil(reloc: Reloc, symbol: &str, change: impl Fn(u32) -> u32) -> [String; 2] {
    ["places-lld", "places-gnu"].map(|name| {
        let mut image = Spoilt::new(name);
        let (place, at) = image.place(reloc, symbol, 0);
        image.change(at, &change);
        let faults = image.faults(name);
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        let (head, rest) = faults[0].split_once(": ").unwrap();
        assert_eq!(head, format!("{} at {place}", reloc.name()));
        rest.to_owned()
    })
}

/// All that follows the two addresses.
fn off(line: &str) -> &str {
    &line[line.find('(').unwrap()..]
}

#[test]
fn a_truncated_page_is_found() {
    // The target is moved out of range and the immediate wrapped, as RuntimeDyld did (LLVM issue 173269).
    for name in ["places-lld", "places-gnu"] {
        for far in [0x1_2345_6000_i64, 0x2_0000_0000, 0x7fff_0000_0000, -0x1_2345_6000, -0x10_0000_0000] {
            let mut image = Spoilt::new(name);
            let (place, at) = image.place(Reloc::ADR_PREL_PG_HI21, "table", 0);
            let record = image
                .bytes
                .windows(16)
                .position(|record| record[..8] == place.get().to_le_bytes() && record[8..12] == 275_u32.to_le_bytes());
            let addend = record.unwrap() + 16;
            image.bytes[addend..addend + 8].copy_from_slice(&far.to_le_bytes());
            image.change(at, |word| {
                let imm = (word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3;
                let imm = imm.wrapping_add((far >> 12) as u32);
                word & 0x9f00_001f | (imm >> 2 & 0x7_ffff) << 5 | (imm & 3) << 29
            });
            let faults = image.faults(name);
            let [line] = faults.as_slice() else { panic!("{far:#x}: {faults:?}") };
            assert!(line.starts_with(&format!("R_AARCH64_ADR_PREL_PG_HI21 at {place}: reaches page 0x")), "{line}");
            assert!(line.ends_with("00000000 bytes off: the immediate was truncated)"), "{line}");
        }
    }
}

#[test]
fn a_wrong_page_is_not_called_truncated() {
    for line in spoil(Reloc::ADR_PREL_PG_HI21, "table", |word| word ^ 1 << 29) {
        assert!(matches!(off(&line), "(+0x1000 bytes off)" | "(-0x1000 bytes off)"), "{line}");
    }
}

#[test]
fn a_call_beside_its_target_is_found() {
    for (distance, text) in [(1, "(+0x4 bytes off)"), (u32::MAX, "(-0x4 bytes off)")] {
        for line in
            spoil(Reloc::CALL26, "callee", |word| word & 0xfc00_0000 | word.wrapping_add(distance) & 0x03ff_ffff)
        {
            assert_eq!(off(&line), text);
        }
    }
}

#[test]
fn wrong_low_bits_are_found() {
    for line in spoil(Reloc::ADD_ABS_LO12_NC, "table", |word| word ^ 4 << 10) {
        assert!(
            line.starts_with("holds 0x") && matches!(off(&line), "(+0x4 bytes off)" | "(-0x4 bytes off)"),
            "{line}"
        );
    }
    // The right number, in units of another size.
    for line in spoil(Reloc::LDST64_ABS_LO12_NC, "table", |word| word & !(3 << 30) | 2 << 30) {
        assert!(line.starts_with("expected 8-byte load or store (unsigned offset), found 0xb9"), "{line}");
    }
}

#[test]
fn wrong_moves_are_found() {
    for line in spoil(Reloc::MOVW_UABS_G1_NC, "table", |word| word ^ 1 << 5) {
        assert!(matches!(off(&line), "(+0x10000 bytes off)" | "(-0x10000 bytes off)"), "{line}");
    }
    for line in spoil(Reloc::MOVW_UABS_G3, "table", |word| word ^ 1 << 5) {
        assert_eq!(line, "holds 0x1000000000000, not 0x0 (+0x1000000000000 bytes off)");
    }
}

#[test]
fn wrong_branches_are_found() {
    for reloc in [Reloc::CONDBR19, Reloc::TSTBR14, Reloc::LD_PREL_LO19] {
        let symbol = if reloc == Reloc::LD_PREL_LO19 { "literal" } else { "callee" };
        for line in spoil(reloc, symbol, |word| word ^ 1 << 5) {
            assert!(matches!(off(&line), "(+0x4 bytes off)" | "(-0x4 bytes off)"), "{line}");
        }
    }
    for line in spoil(Reloc::JUMP26, "callee", |_| 0xd65f_03c0) {
        assert_eq!(line, "expected B, found 0xd65f03c0");
    }
}

#[test]
fn wrong_data_is_found() {
    for reloc in [Reloc::PREL32, Reloc::ABS32] {
        for line in spoil(reloc, "callee", |word| word.wrapping_add(1)) {
            assert_eq!(off(&line), "(+0x1 bytes off)");
        }
    }
    for line in spoil(Reloc::ABS64, "nowhere", |_| 8) {
        assert_eq!(line, "holds 0x8, not 0x0 (+0x8 bytes off)");
    }
}

#[test]
fn a_slot_with_a_wrong_content_is_found() {
    for name in ["places-lld", "places-gnu"] {
        let mut image = Spoilt::new(name);
        let held = {
            let parsed = Image::parse(&image.bytes).unwrap();
            let callee = parsed.relocations().map(Result::unwrap).find(|found| found.symbol == "callee").unwrap();
            callee.addr.unwrap()
        };
        let (_, load) = image.place(Reloc::LD64_GOT_LO12_NC, "callee", 0);
        let (_, got) = {
            let parsed = Image::parse(&image.bytes).unwrap();
            parsed.sections().map(Result::unwrap).find(|(name, _)| *name == ".got").unwrap()
        };
        let slot = got.addr.page().at((image.word(load) >> 10 & 0xfff) as usize * 8);
        let at = image.offset_of(slot);
        image.change(at, |word| word + 4);
        let (page, load) = (Reloc::ADR_GOT_PAGE, Reloc::LD64_GOT_LO12_NC);
        let expected = [page, load].map(|reloc| {
            let (place, _) = image.place(reloc, "callee", 0);
            format!("{} at {place}: no slot of the GOT holds {held}", reloc.name())
        });
        assert_eq!(image.faults(name), expected);
    }
    for line in spoil(Reloc::LD64_GOT_LO12_NC, "table", |word| word ^ 0x20 << 10) {
        assert!(line.starts_with("holds 0x"), "{line}");
    }
    for line in spoil(Reloc::ADR_GOT_PAGE, "table", |word| word ^ 1 << 23) {
        assert!(line.starts_with("reaches page 0x"), "{line}");
    }
    for line in spoil(Reloc::GOT_LD_PREL19, "table", |word| word ^ 0x10 << 5) {
        assert!(line.starts_with("reaches 0x"), "{line}");
    }
}

#[test]
fn a_veneer_to_elsewhere_is_found() {
    for name in ["far-lld", "far-gnu"] {
        let mut image = Spoilt::new(name);
        let (place, at) = image.place(Reloc::CALL26, "far", 0);
        let veneer = place.plus(i64::from((image.word(at) << 6).cast_signed() >> 6) * 4);
        let at = image.offset_of(veneer);
        match name {
            // The address that it loads; the low bits of the one that it makes.
            "far-lld" => image.change(at + 8, |word| word + 4),
            _ => image.change(at + 4, |word| word + (4 << 10)),
        }
        let to = "reaches 0x40010004, not 0x40010000 (+0x4 bytes off)";
        assert_eq!(image.faults(name), [format!("R_AARCH64_CALL26 at {place}: goes through {veneer} and {to}")]);
    }
}

#[test]
fn an_instruction_moved_for_the_erratum_must_come_back() {
    for name in ["erratum-lld", "erratum-gnu"] {
        let mut image = Spoilt::new(name);
        let (_, at) = image.place(Reloc::LDST64_ABS_LO12_NC, "", 0);
        // GNU ld leaves the load where it is, and makes the ADRP an ADR.
        let at = if image.word(at) >> 26 == 5 { at + 12 } else { at };
        image.change(at, |word| if word >> 26 == 5 { word + 1 } else { word ^ 1 << 10 });
        assert_eq!(image.faults(name).len(), 1, "{name}");
    }
    let mut image = Spoilt::new("erratum-gnu");
    let (_, at) = image.place(Reloc::ADR_PREL_PG_HI21, "", 0);
    image.change(at, |word| word ^ 1 << 29);
    assert_eq!(image.faults("erratum-gnu").len(), 1);
}

mod words {
    //! Code that linkers other than those at hand make, in the words of llvm-mc 19.
    use super::*;

    const P: Addr = Addr::new(0x10_0000);
    const TARGET: Addr = Addr::new(0x1234_5678_9000);

    /// Judges the first word of `words`, which lie at [`P`].
    fn judge(words: &[u32], reloc: Reloc, target: impl Into<Option<Addr>>) -> Result<Verdict, Wrong> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let views = [View { addr: P, bytes: &bytes }];
        let target = target.into().map_or(Target::Nothing { addend: 0 }, Target::Addr);
        Memory { views: &views, ..Memory::default() }.check(P, reloc, target)
    }

    #[track_caller]
    fn right(words: &[u32], reloc: Reloc, target: impl Into<Option<Addr>>) {
        assert_eq!(judge(words, reloc, target), Ok(Verdict::Right));
    }

    #[track_caller]
    fn found(words: &[u32], reloc: Reloc, target: impl Into<Option<Addr>>) -> Found {
        judge(words, reloc, target).unwrap_err().found
    }

    /// `b .+8`, what follows the place, and a detour: `movz x5, #0x1234, lsl #32; movk x5, #0x5678, lsl #16; movk x5, #0x9000`
    /// and `b .-16`.
    const DETOUR: [u32; 6] = [0x1400_0002, 0xd503_201f, 0xd2c2_4685, 0xf2aa_cf05, 0xf292_0005, 0x17ff_fffc];
    /// Where it begins.
    const CELL: Addr = P.at(8);

    #[test]
    fn detours_of_pages_come_back() {
        right(&DETOUR, Reloc::ADR_PREL_PG_HI21, TARGET.at(0xabc));
        right(&DETOUR, Reloc::ADR_PREL_PG_HI21_NC, TARGET);
        right(&DETOUR, Reloc::ADR_PREL_LO21, TARGET);
        let (reached, expected) = (TARGET, TARGET.at(0x1000));
        assert_eq!(
            found(&DETOUR, Reloc::ADR_PREL_PG_HI21, expected),
            Found::Through { veneer: CELL, reached, expected }
        );
        let expected = TARGET.at(4);
        assert_eq!(found(&DETOUR, Reloc::ADR_PREL_LO21, expected), Found::Through { veneer: CELL, reached, expected });
    }

    #[test]
    fn detours_that_do_anything_else_are_refused() {
        let refused = Found::Astray { detour: CELL };
        // Comes back to the place itself, or behind; writes another register too (movz x6, #0); calls (bl); is cut off.
        for (index, word) in [(5, 0x17ff_fffb), (5, 0x17ff_fffd), (1, 0xd280_0006), (5, 0x97ff_fffc)] {
            let mut words = DETOUR;
            words[index] = word;
            if index == 1 {
                // The way is through it: `b .+4`.
                words[0] = 0x1400_0001;
                words[5] = 0x17ff_fffc;
                let verdict = judge(&words, Reloc::ADR_PREL_PG_HI21, TARGET);
                assert!(verdict.is_err(), "{verdict:?}");
                continue;
            }
            assert_eq!(found(&words, Reloc::ADR_PREL_PG_HI21, TARGET), refused, "{index} {word:#x}");
        }
        let two = [0x1400_0002, 0xd503_201f, 0xd2c2_4685, 0xf2aa_cf05, 0xf292_0005, 0xd280_0006, 0x17ff_fffb];
        assert_eq!(found(&two, Reloc::ADR_PREL_PG_HI21, TARGET), refused);
        assert_eq!(found(&DETOUR[..5], Reloc::ADR_PREL_PG_HI21, TARGET), refused);
    }

    #[test]
    fn detours_of_literals_load_from_their_target() {
        // `ldr x5, [x5]`, `ldr w5, [x5, #8]`, `ldrsw x5, [x5]`.
        for (load, offset) in [(0xf940_00a5, 0), (0xb940_08a5, 8), (0xb980_00a5, 0)] {
            let words = [0x1400_0002, 0xd503_201f, 0xd2c2_4685, 0xf2aa_cf05, 0xf292_0005, load, 0x17ff_fffb];
            right(&words, Reloc::LD_PREL_LO19, TARGET.at(offset));
            let (reached, expected) = (TARGET.at(offset), TARGET.at(offset + 4));
            assert_eq!(
                found(&words, Reloc::LD_PREL_LO19, expected),
                Found::Through { veneer: CELL, reached, expected }
            );
        }
        // The address instead of what lies there.
        let refused = Found::Astray { detour: CELL };
        assert_eq!(found(&DETOUR, Reloc::LD_PREL_LO19, TARGET), refused);
    }

    /// A file of 5 MiB of slots, and places that reach none which is right: the time of one does not grow with the slots.
    #[test]
    fn many_slots_cost_a_place_no_more_than_some() {
        let slots = vec![0; 5 << 20];
        let got = [View { addr: TARGET, bytes: &slots }];
        // `adrp x0, .`, `ldr x0, [x0]`, `movz x0, #0`
        let bytes: Vec<u8> =
            [0x9000_0000_u32, 0xf940_0000, 0xd280_0000].into_iter().flat_map(u32::to_le_bytes).collect();
        let views = [View { addr: P, bytes: &bytes }, got[0]];
        let memory = Memory { views: &views, got: &got, bases: &[TARGET], ..Memory::default() };
        let slot = Target::Slot { holds: P, addend: 0 };
        let start = Instant::now();
        for _ in 0..5000 {
            let judge = |offset: usize, reloc| memory.check(P.at(offset), reloc, slot).map_err(|wrong| wrong.found);
            assert_eq!(judge(0, Reloc::ADR_GOT_PAGE), Err(Found::OtherSlot { reached: P, holds: P }));
            let low = Found::OtherSlot { reached: Addr::new(0), holds: P };
            assert_eq!(judge(4, Reloc::LD64_GOT_LO12_NC), Err(low));
            let unknown = Ok(Verdict::Unverified(Unverified::ManySlots));
            assert_eq!(judge(8, Reloc::MOVW_GOTOFF_G0), unknown);
        }
        // All of the slots for each of the places would take a minute.
        assert!(cfg!(target_arch = "aarch64") || start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let wrong = memory.check(P, Reloc::ADR_GOT_PAGE, slot).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "R_AARCH64_ADR_GOT_PAGE at 0x100000: reaches 0x100000, which leads to no slot that holds 0x100000"
        );
    }

    #[test]
    fn detours_to_slots_make_their_page_or_load_them_whole() {
        const SLOT: Addr = TARGET.at(0x800);
        let judge = |words: &[u32], reloc| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let got = [View { addr: SLOT, bytes: &P.get().to_le_bytes() }];
            let mut views = [View { addr: P, bytes: &bytes }, got[0]];
            views.sort_by_key(|view| view.addr);
            let memory = Memory { views: &views, got: &got, ..Memory::default() };
            memory.check(P, reloc, Target::Slot { holds: P, addend: 0 }).map_err(|wrong| wrong.found)
        };
        assert_eq!(judge(&DETOUR, Reloc::ADR_GOT_PAGE), Ok(Verdict::Right));
        // `movk x5, #0x9800`: the slot itself, to which its low bits would be added again.
        let mut words = DETOUR;
        words[4] = 0xf293_0005;
        assert_eq!(
            judge(&words, Reloc::ADR_GOT_PAGE),
            Err(Found::Through { veneer: CELL, reached: SLOT, expected: TARGET })
        );
        // `ldr x5, [x5, #0x800]`; then `ldr w5` and `ldrsw x5`, which leave half of the slot behind.
        let through = |load| [0x1400_0002, 0xd503_201f, 0xd2c2_4685, 0xf2aa_cf05, 0xf292_0005, load, 0x17ff_fffb];
        assert_eq!(judge(&through(0xf944_00a5), Reloc::GOT_LD_PREL19), Ok(Verdict::Right));
        let refused = Err(Found::Astray { detour: CELL });
        for half in [0xb948_00a5, 0xb988_00a5] {
            assert_eq!(judge(&through(half), Reloc::GOT_LD_PREL19), refused);
        }
    }

    #[test]
    fn hops_change_no_register() {
        // `cbz x0, .+8`, `nop`, then `b .+8` to a target.
        right(&[0xb400_0040, 0xd503_201f, 0x1400_0002], Reloc::CONDBR19, P.at(16));
        right(&[0x3618_0040, 0xd503_201f, 0x1400_0002], Reloc::TSTBR14, P.at(16));
        // `adrp x16, .`, `br x16`: a veneer, which only calls may go through.
        let through = |place| [place, 0xd503_201f, 0x9000_0010, 0xd61f_0200];
        right(&through(0x9400_0002), Reloc::CALL26, P);
        assert_eq!(found(&through(0xb400_0040), Reloc::CONDBR19, P), Found::Other { reached: P.at(8), expected: P });
        // `adrp x5, .`, `br x5`: no register of a veneer.
        let words = [0x9400_0002, 0xd503_201f, 0x9000_0005, 0xd61f_00a0];
        assert_eq!(found(&words, Reloc::CALL26, P), Found::Other { reached: P.at(8), expected: P });
    }

    #[test]
    fn a_veneer_may_lie_where_a_truncated_branch_would_lead() {
        // `bl .+8`, and there `ldr x16, .+8`, `br x16` to 2^28 bytes further on.
        let to = P.at(8 + (1 << 28)).get();
        let veneer = [0x9400_0002, 0xd503_201f, 0x5800_0050, 0xd61f_0200, to as u32, (to >> 32) as u32];
        right(&veneer, Reloc::CALL26, Addr::new(to));
    }

    #[test]
    fn falling_into_a_function_is_not_reaching_it() {
        let words = [0x9400_0002, 0xd503_201f, 0xd503_201f, 0xd65f_03c0];
        assert_eq!(found(&words, Reloc::CALL26, P.at(12)), Found::Other { reached: P.at(8), expected: P.at(12) });
    }

    #[test]
    fn veneers_that_never_arrive_end() {
        // `bl .+8` to `b .`, and to two that branch to each other.
        assert!(judge(&[0x9400_0002, 0xd503_201f, 0x1400_0000], Reloc::CALL26, TARGET).is_err());
        assert!(judge(&[0x9400_0002, 0xd503_201f, 0x1400_0001, 0x17ff_ffff], Reloc::CALL26, TARGET).is_err());
    }

    #[test]
    fn nothing_is_where_linkers_put_it() {
        // `bl .+4`, `nop`; `movz x0, #0`; `adrp x0, .`; `adr x0, .`.
        right(&[0x9400_0001], Reloc::CALL26, None);
        right(&[0xd503_201f], Reloc::JUMP26, None);
        right(&[0xd280_0000, 0xd503_201f], Reloc::ADR_PREL_PG_HI21, None);
        right(&[0x9000_0000], Reloc::ADR_PREL_PG_HI21, None);
        right(&[0x1000_0000], Reloc::ADR_PREL_LO21, None);
        right(&[0], Reloc::PREL32, None);
        right(&[0x9100_0000], Reloc::ADD_ABS_LO12_NC, None);
        assert!(judge(&[0x9400_0000], Reloc::CALL26, None).is_err());
        assert!(judge(&[0xb000_0000], Reloc::ADR_PREL_PG_HI21, None).is_err());
        assert!(judge(&[0xd503_201f], Reloc::ADR_PREL_PG_HI21, None).is_err());
        assert!(judge(&[4], Reloc::PREL32, None).is_err());
    }

    #[test]
    fn truncation_is_told_of_every_checked_field() {
        let wrong = |words: &[u32], reloc, target| judge(words, reloc, target).unwrap_err();
        // Each holds what is left of a target beyond its range.
        for (word, reloc, target) in [
            (0x9400_0001, Reloc::CALL26, P.at(4 + (1 << 28))),
            (0xb400_0040, Reloc::CONDBR19, P.at(8 + (1 << 21))),
            (0x3618_0040, Reloc::TSTBR14, P.at(8 + (1 << 16))),
            (0x1000_0020, Reloc::ADR_PREL_LO21, P.at(4 + (1 << 21))),
            (0x9000_0000, Reloc::ADR_PREL_PG_HI21, P.at(1 << 33)),
            (0x0000_0004, Reloc::PREL32, P.at(4 + (1 << 32))),
            (0x0000_0004, Reloc::ABS32, Addr::new(4 + (1 << 32))),
            (0xd2a0_0020, Reloc::MOVW_UABS_G1, Addr::new(0x1_0001_0000)),
        ] {
            let wrong = wrong(&[word], reloc, target);
            assert!(wrong.is_truncated(), "{wrong}");
            assert!(wrong.to_string().ends_with("bytes off: the immediate was truncated)"), "{wrong}");
        }
        assert!(!wrong(&[0x9400_0001], Reloc::CALL26, P.at(8)).is_truncated());
    }

    #[test]
    fn a_place_outside_the_image_is_told() {
        let wrong = judge(&[], Reloc::CALL26, TARGET).unwrap_err();
        assert_eq!(wrong.to_string(), "R_AARCH64_CALL26 at 0x100000: the place is not in the image");
    }
}

#[cfg(all(feature = "std", feature = "object", target_os = "linux"))]
mod example {
    //! The example: what it keeps of relocations, and what it says of an image.
    use super::*;

    /// What `link --verify` says of `image`, and its status.
    fn said(image: &Path) -> Option<(Vec<String>, Option<i32>)> {
        let output = objects::example()?.arg("--verify").arg(image).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        Some((text.lines().map(str::to_owned).collect(), output.status.code()))
    }

    /// Links `objects` with `options`, keeping relocations, and verifies the image by the library and by the example.
    fn emitted(objects: &[&str], options: &[&str]) -> Option<Counts> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let mut link = objects::example()?;
        link.args(objects.iter().map(|name| objects::path(name))).args(options);
        assert!(link.arg("--emit-relocs").arg("-o").arg(&image).status().unwrap().success());
        let (counts, lines) = verify(&std::fs::read(&image).unwrap()).unwrap();
        assert_eq!(lines, [""; 0], "{objects:?}");
        let summary = format!("{} relocations verified, 0 wrong", counts.verified);
        assert_eq!(said(&image)?, (vec![summary], Some(0)));
        Some(counts)
    }

    #[test]
    fn what_the_example_makes_is_right() {
        // What a C library would define: its functions out of reach, so that calls go through slots and veneers.
        let functions = "fputs fwrite memchr printf puts qsort snprintf strchr strcmp strlen vfprintf vprintf";
        let far: Vec<String> = functions.split(' ').map(|name| format!("--define={name}=0x123456789000")).collect();
        let defines: Vec<&str> = far.iter().map(String::as_str).chain(["--define=stdout=0x480000"]).collect();
        for variant in objects::VARIANTS {
            let names = ["main", "shapes"].map(|name| format!("{name}-{variant}.o"));
            let Some(counts) = emitted(&names.each_ref().map(String::as_str), &defines) else { return };
            assert!(counts.verified > 100, "{variant}: {counts:?}");
        }
    }

    #[test]
    fn a_weak_symbol_is_nowhere_or_where_it_is_defined() {
        // Two for its slot, the call of `main`, and what the start routine knows of thread-local storage and of
        // indirect functions.
        for options in [&[][..], &["--define=nowhere=0x123456789000"]] {
            let Some(counts) = emitted(&["bad/weak.o"], options) else { return };
            assert_eq!(counts.verified, 3 + 7 * 4, "{options:?}");
        }
    }

    #[test]
    fn a_line_for_each_wrong_place_and_a_status() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut image = Spoilt::new("places-lld");
        let (place, at) = image.place(Reloc::CALL26, "callee", 0);
        image.change(at, |word| word + 1);
        std::fs::write(&path, &image.bytes).unwrap();
        let Some((lines, status)) = said(&path) else { return };
        assert_eq!((lines.len(), status), (2, Some(1)));
        assert!(lines[0].starts_with(&format!("R_AARCH64_CALL26 at {place}: reaches 0x")), "{lines:?}");
        assert!(lines[0].ends_with(" (+0x4 bytes off) (symbol 'callee')"), "{lines:?}");
        assert_eq!(lines[1], "40 relocations verified, 2 not verified (thread-local), 1 wrong");
    }

    #[test]
    fn what_cannot_be_verified_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let Some(mut link) = objects::example() else { return };
        assert!(link.arg(objects::path("bad/status.o")).arg("-o").arg(&image).status().unwrap().success());
        let errors = [
            (
                image.clone(),
                format!("{}: no relocations are kept; link it with --emit-relocs --no-relax", image.display()),
            ),
            (objects::path("bad/status.o"), {
                let path = objects::path("bad/status.o");
                format!("{}: not supported: a relocatable object, not a linked image", path.display())
            }),
            (folder.path().join("none"), {
                let path = folder.path().join("none");
                format!("{}: No such file or directory (os error 2)", path.display())
            }),
        ];
        for (path, line) in errors {
            assert_eq!(said(&path), Some((vec![line], Some(1))));
        }
    }
}

/// The text of a problem of any ELF file, in a build that has the texts.
const fn told(text: &'static str) -> &'static str {
    if cfg!(feature = "full") { text } else { "" }
}

#[test]
fn what_is_no_image_is_refused_by_its_name() {
    let image = Spoilt::new("places-lld").bytes;
    let reached = RefCell::new(BTreeSet::new());
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = image.clone();
        change(&mut bytes);
        let error = verify(&bytes).unwrap_err();
        if let Problem::Malformed(text) | Problem::Unsupported(text) | Problem::Unknown(text, _) = error.problem {
            reached.borrow_mut().insert(text.to_owned());
        }
        error
    };
    let file = |problem| Part::File.error(problem);
    assert_eq!(refused(&|bytes| bytes.clear()), file(Problem::Malformed(told("not an ELF file"))));
    let types = [(1, "a relocatable object, not a linked image"), (4, "a core dump, not a linked image")];
    for (kind, text) in types {
        assert_eq!(refused(&|bytes| bytes[16] = kind), file(Problem::Unsupported(text)));
    }
    assert_eq!(refused(&|bytes| bytes[16] = 9), file(Problem::Unknown("file type", 9)));

    // Fields of the header of the first table of relocations.
    let headers = u64::from_le_bytes(image[40..48].try_into().unwrap()) as usize;
    let kind = |index: usize| headers + 64 * index + 4;
    let table = (0..).find(|&index| image[kind(index)] == 4).unwrap();
    let section = |problem| Part::Section(table).error(problem);
    let at = headers + 64 * table;
    let rel = Problem::Unsupported("relocations without addends");
    assert_eq!(refused(&|bytes| bytes[at + 4] = 9), section(rel));
    let other = Problem::Malformed("the relocations are of another table of symbols");
    assert_eq!(refused(&|bytes| bytes[at + 40] = 0), section(other));
    let size = Problem::Malformed(told("the size of an entry is not 24"));
    assert_eq!(refused(&|bytes| bytes[at + 56] = 16), section(size));
    assert_eq!(refused(&|bytes| bytes[at + 44] = 200), Part::Section(200).error(Problem::Index));
    let first = u64::from_le_bytes(image[at + 24..at + 32].try_into().unwrap()) as usize;
    assert_eq!(refused(&|bytes| bytes[first + 14] = 1).part, Part::Symbol(0x1_0000 | usize::from(image[first + 12])));
    let unknown = Part::Relocation(table, 0).error(Problem::Unknown("relocation type", 0xff13));
    assert_eq!(refused(&|bytes| bytes[first + 9] = 0xff), unknown);
    let missed = &texts::problems(include_str!("../src/formats/image.rs")) - &reached.into_inner();
    assert_eq!(missed, BTreeSet::new());

    // For the dynamic linker, the same table is one of its own.
    let dynamic = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = image.clone();
        bytes[at + 8] |= 2;
        // The first is R_AARCH64_ABS64.
        bytes[first + 8..first + 12].copy_from_slice(&257_u32.to_le_bytes());
        change(&mut bytes);
        Image::parse(&bytes).unwrap().dynamic().find_map(Result::err)
    };
    assert_eq!(dynamic(&|_| {}), None);
    assert_eq!(dynamic(&|bytes| bytes[at + 56] = 16), Some(section(size)));
    assert_eq!(dynamic(&|bytes| bytes[at + 40] = 200), Some(Part::Section(200).error(Problem::Index)));
    let index = Part::Relocation(table, 0).error(Problem::Index);
    assert_eq!(dynamic(&|bytes| bytes[first + 14] = 1), Some(index));
}

#[test]
fn any_change_of_an_image_ends_in_a_verdict_or_an_error() {
    let image = Spoilt::new("places-gnu").bytes;
    for at in 0..image.len() {
        for change in [1, 0x80] {
            let mut bytes = image.clone();
            bytes[at] ^= change;
            let _ = verify(&bytes);
        }
    }
    for end in 0..image.len() {
        let _ = verify(&image[..end]);
    }
}
