//! No step of a link is quadratic: eight times as much takes about eight times as long. Not where the
//! machine is emulated: there time says nothing.
#![cfg(all(feature = "std", feature = "object", not(target_arch = "aarch64")))]

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::select::{Selection, Take};
use aarch64_reloc::link::{Failure, Input, Options, Plan, Policy, Request, Storage, Summary, each, measure};
use aarch64_reloc::patch::Section;
use object::write::{Comdat, Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, ComdatKind, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a link of eight times the size may take, in times of the smaller one. It takes 8 times the instructions, and with
/// caches too small for it up to 24 times as long; a quadratic step takes 64 times as long.
const MOST: u32 = 36;

fn new_object() -> Object<'static> {
    Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little)
}

fn symbol(object: &mut Object<'_>, name: String, section: SymbolSection, value: u64) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.into_bytes(),
        value,
        size: 8,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section,
        flags: SymbolFlags::None,
    })
}

fn relocate(object: &mut Object<'_>, section: SectionId, offset: u64, symbol: SymbolId, code: elf::RelocationType) {
    let flags = RelocationFlags::Elf { r_type: code };
    object.add_relocation(section, Relocation { offset, symbol, addend: 0, flags }).unwrap();
}

/// So many sections, each with a name of its own, a function and a call from one to the next.
fn sections(count: usize, name: &dyn Fn(usize) -> String, kind: SectionKind) -> Vec<u8> {
    let mut object = new_object();
    let mut last = symbol(&mut object, "outside".to_owned(), SymbolSection::Undefined, 0);
    for number in 0..count {
        let section = object.add_section(Vec::new(), name(number).into_bytes(), kind);
        object.append_section_data(section, &[0; 8], 8);
        relocate(&mut object, section, 0, last, elf::R_AARCH64_ABS64);
        last = symbol(&mut object, format!("function_{number}"), SymbolSection::Section(section), 0);
    }
    object.write().unwrap()
}

/// So many symbols in one section, and as many outside it, each called and each loaded from the GOT.
fn symbols(count: usize) -> Vec<u8> {
    let mut object = new_object();
    let section = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    for number in 0..count / 2 {
        let words = [0x9400_0000_u32, 0x9000_0000, 0xf940_0000, 0x9400_0000];
        let at = object.append_section_data(section, &words.map(u32::to_le_bytes).concat(), 4);
        let inside = symbol(&mut object, format!("inside_{number}"), SymbolSection::Section(section), at);
        let outside = symbol(&mut object, format!("outside_{number}"), SymbolSection::Undefined, 0);
        relocate(&mut object, section, at, outside, elf::R_AARCH64_CALL26);
        relocate(&mut object, section, at + 4, outside, elf::R_AARCH64_ADR_GOT_PAGE);
        relocate(&mut object, section, at + 8, outside, elf::R_AARCH64_LD64_GOT_LO12_NC);
        relocate(&mut object, section, at + 12, inside, elf::R_AARCH64_CALL26);
    }
    object.write().unwrap()
}

/// So many symbols whose names would have one hash, were that not seeded: its state after the length is the first eight bytes, so
/// that their product is zero whatever the next eight are.
fn of_one_hash(count: usize) -> Vec<u8> {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let state = |len: usize| (len as u64).wrapping_mul(ODD).to_le_bytes();
    let len = (16..).find(|&len| state(len).iter().all(|byte| byte.is_ascii() && !b"\0@".contains(byte))).unwrap();
    let first = String::from_utf8(state(len).to_vec()).unwrap();
    let mut object = new_object();
    let section = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    object.append_section_data(section, &[0; 4], 4);
    for number in 0..count {
        let name = format!("{first}{number:08}{}", "x".repeat(len - 16));
        symbol(&mut object, name, SymbolSection::Section(section), 0);
    }
    object.write().unwrap()
}

/// So many calls, whose relocations are compressed (SHT_CREL): what can only be read in order.
fn compressed(count: usize) -> Vec<u8> {
    let mut object = new_object();
    let section = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    object.append_section_data(section, &0x9400_0000_u32.to_le_bytes().repeat(count), 4);
    let callee = symbol(&mut object, "callee".to_owned(), SymbolSection::Section(section), 0);
    relocate(&mut object, section, 0, callee, elf::R_AARCH64_CALL26);
    let mut bytes = object.write().unwrap();
    let long = |at: usize, bytes: &[u8]| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let headers = long(40, &bytes);
    // SHT_RELA
    let header = (headers..bytes.len()).step_by(64).find(|&at| bytes[at + 4] == 4).unwrap();
    let index = bytes[long(header + 24, &bytes) + 12];
    // So many with their addends in place, at multiples of four; the first's symbol and type.
    let head = count << 3 | 2;
    let mut table: Vec<u8> = [0, 7, 14, 21].map(|shift| (head >> shift) as u8 | 0x80).to_vec();
    table.extend([(head >> 28) as u8, 3, index, 0x9b, 0x02]);
    table.resize(table.len() + count - 1, 1 << 2);
    for (field, value) in [(24, bytes.len()), (32, table.len()), (56, 1)] {
        bytes[header + field..][..8].copy_from_slice(&value.to_le_bytes());
    }
    bytes[header + 4..][..4].copy_from_slice(&0x4000_0014_u32.to_le_bytes());
    bytes.extend(table);
    bytes
}

/// So many groups of one section in each of two objects: the second's are left out.
fn groups(count: usize) -> Vec<u8> {
    let mut object = new_object();
    for number in 0..count {
        let name = format!(".text.group_{number}").into_bytes();
        let section = object.add_section(Vec::new(), name, SectionKind::Text);
        object.append_section_data(section, &[0; 8], 8);
        let symbol = symbol(&mut object, format!("group_{number}"), SymbolSection::Section(section), 0);
        object.add_comdat(Comdat { kind: ComdatKind::Any, symbol, sections: vec![section] });
    }
    object.write().unwrap()
}

/// So many pages, each with calls, and with data in its last words that looks like a sequence of Cortex-A53 erratum 843419.
fn look_alikes(pages: u64) -> Vec<u8> {
    const CALLS: u64 = 64;
    let mut object = new_object();
    let section = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    let mark = |object: &mut Object<'_>, name: &str, offset| {
        let mark = symbol(object, name.to_owned(), SymbolSection::Section(section), offset);
        object.symbol_mut(mark).scope = SymbolScope::Compilation;
        mark
    };
    // ldr x1, [x3] ; bl . ... ; nop ... ; adrp x3, . ; ldr x1, [x2]
    let mut words = vec![0xf940_0061_u32];
    words.resize(1 + CALLS as usize, 0x9400_0000);
    words.resize(1022, 0xd503_201f);
    words.extend([0x9000_0003, 0xf940_0041]);
    let words: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    for _ in 0..pages {
        let page = object.append_section_data(section, &words, 0x1000);
        let code = mark(&mut object, "$x", page + 4);
        mark(&mut object, "$d", page + 0xff8);
        for call in 1..=CALLS {
            relocate(&mut object, section, page + 4 * call, code, elf::R_AARCH64_CALL26);
        }
    }
    object.write().unwrap()
}

/// A GNU archive of so many members with an index, each of which wants the one before it.
fn archive(count: usize) -> Vec<u8> {
    let header = |name: &str, size: usize| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    let member = |number: usize| {
        let mut object = new_object();
        let section = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
        object.append_section_data(section, &0x9400_0000_u32.to_le_bytes(), 4);
        symbol(&mut object, format!("member_{number}"), SymbolSection::Section(section), 0);
        let before = symbol(&mut object, format!("member_{}", number.wrapping_sub(1)), SymbolSection::Undefined, 0);
        relocate(&mut object, section, 0, before, elf::R_AARCH64_CALL26);
        let mut bytes = object.write().unwrap();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        [header(&format!("{number}.o/"), bytes.len()).into_bytes(), bytes].concat()
    };
    let members: Vec<Vec<u8>> = (0..count).map(member).collect();
    let mut names: String = (0..count).map(|number| format!("member_{number}\0")).collect();
    if names.len() % 2 == 1 {
        names.push('\0');
    }
    let index_len = 4 + 4 * count + names.len();
    let mut next = 8 + 60 + index_len as u32;
    let mut index = (count as u32).to_be_bytes().to_vec();
    for member in &members {
        index.extend(next.to_be_bytes());
        next += member.len() as u32;
    }
    let parts = [b"!<arch>\n".to_vec(), header("/", index_len).into_bytes(), index, names.into_bytes()];
    parts.into_iter().chain(members).collect::<Vec<_>>().concat()
}

/// What the processor has spent on this thread: others share the machine.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the answer.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Links `files` and writes the image down: how long that takes, and how much it is.
fn link(files: &[Vec<u8>]) -> (Duration, Summary) {
    let start = processor_time();
    let mut selection = Selection::new(Elf::parse, |_| Err(()));
    for bytes in files {
        match bytes.starts_with(b"!<arch>") {
            true => selection.archive("archive", bytes, Take::Needed),
            false => selection.object("object", bytes),
        }
    }
    selection.want("wanted");
    let objects = selection.finish().unwrap().objects;
    let inputs: Vec<_> = objects.into_iter().map(|chosen| Input { name: "object", object: chosen.object }).collect();
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut next = 0x40_0000;
    let place = |request: &Request| {
        let addr = u64::next_multiple_of(next, 0x1000);
        next = addr + request.size;
        Ok::<_, Infallible>(Addr::new(addr))
    };
    // What looks for sequences has more to do.
    let policy = Policy { erratum_843419: true, ..Policy::default() };
    let options = Options { policy, ..Options::default() };
    let resolve = &mut |_: &str| Some(Addr::new(0xffff_8000_0000_0000));
    let report = &mut |failure: &Failure<'_>| panic!("{failure}");
    let plan = Plan::new(&inputs, &options, storage.lend(), resolve, each(place), report).unwrap();
    let segments = plan.segments().to_vec();
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    plan.commit(&mut sections.collect::<Vec<_>>()).unwrap();
    // What can be asked of a plan counts, too.
    assert_eq!(plan.slots().count(), plan.summary().slots);
    assert_eq!(plan.veneers().count(), plan.summary().veneers);
    assert!(plan.symbols().count() > 0);
    (processor_time() - start, plan.summary())
}

/// Compares links of `count` and of an eighth of it. Of several runs the fastest counts: others share the caches.
fn assert_linear(what: &str, count: usize, make: &dyn Fn(usize) -> Vec<Vec<u8>>) -> Summary {
    // One at a time, or they share caches.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (small, large) = (make(count / 8), make(count));
    let fastest = |files: &[Vec<u8>]| (0..5).map(|_| link(files).0).min().unwrap();
    let (one, eight) = (fastest(&small), fastest(&large));
    println!("{what}: {one:?} and {eight:?}");
    assert!(eight < MOST * one, "{what}: {one:?} for an eighth, {eight:?} for all");
    link(&large).1
}

#[test]
fn sections_of_distinct_names() {
    let summary = assert_linear("distinct names", 10_000, &|count| {
        vec![sections(count, &|number| format!("section_{number}"), SectionKind::Data)]
    });
    assert_eq!(summary.relocations, 10_000);
}

#[test]
fn more_sections_than_a_symbol_can_name() {
    let summary = assert_linear("many sections", 40_000, &|count| {
        vec![sections(count, &|number| format!(".data.{number}"), SectionKind::Data)]
    });
    assert_eq!(summary.relocations, 40_000);
}

#[test]
fn initialisers_of_distinct_priorities() {
    assert_linear("priorities", 20_000, &|count| {
        vec![sections(count, &|number| format!(".init_array.{number:05}"), SectionKind::Data)]
    });
}

#[test]
fn symbols_slots_and_veneers() {
    let summary = assert_linear("symbols", 100_000, &|count| vec![symbols(count)]);
    assert_eq!((summary.relocations, summary.slots, summary.veneers), (200_000, 50_000, 50_000));
}

#[test]
fn names_of_one_hash() {
    assert_linear("one hash", 8000, &|count| vec![of_one_hash(count)]);
}

#[test]
fn compressed_relocations() {
    let summary = assert_linear("compressed", 200_000, &|count| vec![compressed(count)]);
    assert_eq!(summary.relocations, 200_000);
}

#[test]
fn data_that_looks_like_an_erratum() {
    let summary = assert_linear("look-alikes", 2000, &|count| vec![look_alikes(count as u64)]);
    assert_eq!(summary.relocations, 128_000);
}

#[test]
fn groups_left_out() {
    assert_linear("groups", 10_000, &|count| vec![groups(count), groups(count)]);
}

#[test]
fn members_of_an_archive() {
    let summary = assert_linear("members", 16_000, &|count| {
        let mut main = new_object();
        let section = main.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
        main.append_section_data(section, &0x9400_0000_u32.to_le_bytes(), 4);
        let last = symbol(&mut main, format!("member_{}", count - 1), SymbolSection::Undefined, 0);
        relocate(&mut main, section, 0, last, elf::R_AARCH64_CALL26);
        vec![archive(count), main.write().unwrap()]
    });
    assert_eq!(summary.relocations, 16_001);
}
