//! What debuggers and profilers are told of an image, read as they read it.
#![cfg(all(feature = "std", feature = "link", target_os = "linux"))]

#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Binding, Failure, Input, Object, Options};
use aarch64_reloc::load::Image;
use aarch64_reloc::mem::Reservation;
use elf::endian::LittleEndian;
use elf::{ElfBytes, abi, section::SectionHeader, symbol::Symbol};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const NAMES: [&str; 2] = ["main-gcc-O0-pic.o", "shapes-clang-O0-pic.o"];

/// The program of two objects, linked with a library that is nowhere.
fn image() -> Image {
    let files = NAMES.map(objects::read);
    let inputs = [0, 1].map(|at| Input { name: NAMES[at], object: Elf::parse(&files[at]).unwrap() });
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let resolve = &mut |name: &str| (!name.ends_with("nowhere")).then_some(Addr::new(0x10_0000));
    let reservation = Reservation::new(1 << 24).unwrap();
    let image = Image::load(&reservation, &inputs, &Options::default(), resolve, report);
    image.unwrap_or_else(|error| panic!("{error}\n{}", lines.join("\n")))
}

/// A function or datum as the objects have it.
struct Sized {
    size: u64,
    function: bool,
    binding: Binding,
}

/// The functions and data that the objects define; of weak definitions, all have one size.
fn sized() -> BTreeMap<String, Sized> {
    let mut found = BTreeMap::new();
    for name in NAMES {
        let file = objects::read(name);
        let object = Elf::parse(&file).unwrap();
        for symbol in (0..object.symbol_count()).map(|index| object.symbol(index).unwrap()).filter(|one| one.size > 0) {
            let sized = Sized { size: symbol.size, function: symbol.function, binding: symbol.binding };
            found.entry(symbol.name.to_owned()).or_insert(sized);
        }
    }
    found
}

/// The list that a debugger reads, in the layout of GDB's manual.
mod gdb {
    use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

    #[repr(C)]
    struct Descriptor {
        version: u32,
        action: AtomicU32,
        relevant: AtomicPtr<Entry>,
        first: AtomicPtr<Entry>,
    }

    #[repr(C)]
    struct Entry {
        next: *mut Entry,
        prev: *mut Entry,
        file: *const u8,
        size: u64,
    }

    unsafe extern "C" {
        #[link_name = "__jit_debug_descriptor"]
        static DESCRIPTOR: Descriptor;
    }

    /// The symbol files from first to last, after a check of every link backwards.
    pub fn files(_list: &super::List) -> Vec<Vec<u8>> {
        // SAFETY: the crate defines it.
        let descriptor = unsafe { &DESCRIPTOR };
        assert_eq!((descriptor.version, descriptor.action.load(Relaxed)), (1, 0));
        assert!(descriptor.relevant.load(Relaxed).is_null());
        let (mut files, mut prev) = (Vec::new(), std::ptr::null_mut());
        let mut next = descriptor.first.load(Relaxed);
        // SAFETY: images are announced and dropped by who holds the list alone, and entries are there until then.
        while let Some(entry) = unsafe { next.as_ref() } {
            assert_eq!(entry.prev, prev);
            // SAFETY: as above; so are their files.
            files.push(unsafe { std::slice::from_raw_parts(entry.file, entry.size as usize) }.to_vec());
            (prev, next) = (next, entry.next);
        }
        files
    }
}

/// The right to change the list and to read it.
type List = MutexGuard<'static, ()>;

fn list() -> List {
    static LIST: Mutex<()> = Mutex::new(());
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A symbol file taken apart.
struct Parsed {
    sections: BTreeMap<String, SectionHeader>,
    numbers: BTreeMap<u16, String>,
    symbols: Vec<(String, Symbol)>,
    locals: usize,
}

fn parse(file: &[u8]) -> Parsed {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).unwrap();
    assert_eq!((elf.ehdr.e_type, elf.ehdr.e_machine, elf.ehdr.e_phnum), (abi::ET_EXEC, abi::EM_AARCH64, 0));
    let (headers, titles) = elf.section_headers_with_strtab().unwrap();
    let (headers, titles) = (headers.unwrap(), titles.unwrap());
    let title = |header: &SectionHeader| titles.get(header.sh_name as usize).unwrap().to_owned();
    let (symbols, names) = elf.symbol_table().unwrap().unwrap();
    let named = symbols.iter().skip(1).map(|symbol| (names.get(symbol.st_name as usize).unwrap().to_owned(), symbol));
    Parsed {
        sections: headers.iter().map(|header| (title(&header), header)).collect(),
        numbers: (0..).zip(headers.iter()).map(|(number, header)| (number, title(&header))).collect(),
        symbols: named.collect(),
        locals: headers.iter().find(|header| header.sh_type == abi::SHT_SYMTAB).unwrap().sh_info as usize - 1,
    }
}

#[test]
fn the_list_has_the_announced_images_whatever_order_they_go_in() {
    let list = list();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut images = [0, 1, 2].map(|_| Some(image()));
        assert!(gdb::files(&list).is_empty(), "an image announces itself only when it is told to");
        let mut files: Vec<Vec<u8>> = Vec::new();
        for image in images.iter_mut().flatten() {
            image.announce();
            image.announce();
            let now = gdb::files(&list);
            // The newest is the first, and the others stay as they were.
            assert_eq!(now[1..], files);
            files = now;
        }
        for gone in order {
            images[gone] = None;
            let first = |at: usize| image_of(&files[2 - at]);
            let left = [0, 1, 2].into_iter().rev().filter(|&at| images[at].is_some());
            let now = gdb::files(&list);
            assert_eq!(now.iter().map(|file| image_of(file)).collect::<Vec<_>>(), left.map(first).collect::<Vec<_>>());
        }
        assert!(gdb::files(&list).is_empty());
    }
}

/// What tells images apart: where `main` is.
fn image_of(file: &[u8]) -> u64 {
    parse(file).symbols.iter().find(|(name, _)| name == "main").unwrap().1.st_value
}

#[test]
fn images_come_and_go_on_many_threads() {
    let list = list();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let mut images = [0, 1].map(|_| image());
                    images.iter_mut().for_each(Image::announce);
                    let [first, second] = images;
                    drop(first);
                    drop(second);
                }
            });
        }
    });
    assert!(gdb::files(&list).is_empty());
}

#[test]
fn a_symbol_file_has_every_symbol_where_it_is() {
    let list = list();
    let mut image = image();
    image.announce();
    let Parsed { sections, numbers, symbols, locals } = parse(&gdb::files(&list)[0]);

    let expected = sized();
    assert!(expected.len() > 20);
    for (name, one) in &expected {
        let found: Vec<_> = symbols.iter().enumerate().filter(|(_, (found, _))| found == name).collect();
        let Some(&(at, (_, symbol))) = found.first() else { panic!("{name} is missing") };
        assert_eq!(symbol.st_size, one.size, "{name}");
        assert_eq!(symbol.st_symtype(), if one.function { abi::STT_FUNC } else { abi::STT_OBJECT }, "{name}");
        assert_eq!(symbol.st_bind() == abi::STB_LOCAL, one.binding == Binding::Local, "{name}");
        assert_eq!(at < locals, one.binding == Binding::Local, "{name}");
        assert_eq!(image.symbol_at(Addr::new(symbol.st_value)), Some((&**name, 0)));
        let section = &numbers[&symbol.st_shndx];
        let header = sections[section];
        assert!(symbol.st_value >= header.sh_addr, "{name}");
        assert!(symbol.st_value + symbol.st_size <= header.sh_addr + header.sh_size, "{name} is in {section}");
        assert_eq!(header.sh_flags & u64::from(abi::SHF_EXECINSTR) != 0, one.function, "{name}");
    }
    for name in ["main", "shapes"] {
        let symbol = &symbols.iter().find(|(found, _)| found == name).unwrap().1;
        assert_eq!(image.symbol(name), Some(Addr::new(symbol.st_value)));
    }
    // Nothing but what an image has: no mapping symbols, no undefined ones.
    assert!(symbols.iter().all(|(name, symbol)| !name.starts_with('$') && symbol.st_shndx != abi::SHN_UNDEF));
}

#[test]
fn sections_are_the_processes_but_for_the_unwind_table() {
    let list = list();
    let mut image = image();
    image.announce();
    let file = gdb::files(&list).remove(0);
    let Parsed { sections, .. } = parse(&file);
    let alloc = |header: &SectionHeader| header.sh_flags & u64::from(abi::SHF_ALLOC) != 0;
    for (name, header) in sections.iter().filter(|(_, header)| alloc(header)) {
        let expected = if name == ".eh_frame" { abi::SHT_PROGBITS } else { abi::SHT_NOBITS };
        assert_eq!(header.sh_type, expected, "{name}");
    }
    for name in [".text", ".rodata", ".data", ".bss", ".got", ".plt"] {
        assert!(sections.contains_key(name), "{name}");
    }
    let frames = sections[".eh_frame"];
    // A length, an identifier of zero, version 1: a CIE (LSB 10.6.1.1); a length of zero ends it.
    let bytes = &file[frames.sh_offset as usize..][..frames.sh_size as usize];
    assert!(bytes[0] > 0);
    assert_eq!((&bytes[4..9], &bytes[bytes.len() - 4..]), (&[0, 0, 0, 0, 1][..], &[0; 4][..]));
}

#[test]
fn a_perf_map_has_a_line_for_each_function() {
    let image = image();
    let mut map = Vec::new();
    image.write_perf_map(&mut map).unwrap();
    let map = String::from_utf8(map).unwrap();
    let functions = sized().into_iter().filter(|(_, one)| one.function);
    let line = |(name, Sized { size, .. }): (String, Sized)| {
        let line = map.lines().find(|line| line.ends_with(&format!(" {size:x} {name}")));
        let line = line.unwrap_or_else(|| panic!("{name} of size {size:#x} is missing:\n{map}"));
        let addr = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
        assert_eq!(image.symbol_at(Addr::new(addr)), Some((&*name, 0)));
        addr
    };
    let mut addrs: Vec<u64> = functions.map(line).collect();
    addrs.sort();
    let in_map: Vec<u64> =
        map.lines().map(|line| u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()).collect();
    assert_eq!(in_map, addrs);
}

#[test]
fn perfs_own_map_is_appended_to() {
    let [one, other] = [0, 1].map(|_| image());
    let path = format!("/tmp/perf-{}.map", std::process::id());
    one.append_perf_map().unwrap();
    other.append_perf_map().unwrap();
    let found = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut expected = Vec::new();
    one.write_perf_map(&mut expected).unwrap();
    other.write_perf_map(&mut expected).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_writer_that_fails_is_told_of() {
    let mut room = [0; 10];
    let error = image().write_perf_map(&mut room[..]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
}

#[test]
fn an_address_is_in_a_symbol_or_in_none() {
    let image = image();
    let sized = sized();
    for (name, &Sized { size, .. }) in sized.iter().filter(|(_, one)| one.binding != Binding::Local) {
        let start = image.symbol(name).unwrap();
        let offset = |at: i64| image.symbol_at(start.plus(at));
        let size = size.cast_signed();
        assert_eq!(offset(0), Some((&**name, 0)));
        assert_eq!(offset(size / 2), Some((&**name, (size / 2) as u64)));
        assert_eq!(offset(size - 1), Some((&**name, (size - 1) as u64)));
        assert!(offset(size).is_none_or(|(next, into)| next != name && into == 0), "{name}");
        assert!(offset(-1).is_none_or(|(before, into)| before != name && into + 1 == sized[before].size), "{name}");
    }
    // A local function, found by the pointer to it in `shapes[1]`.
    assert_eq!((sized["square"].binding, image.symbol("square")), (Binding::Local, None));
    let pointer = image.symbol("shapes").unwrap().at(32 + 8);
    // SAFETY: the second word of a `struct shape` of 32 bytes (`shapes.h`), in the image's writable memory.
    let square = Addr::new(unsafe { *std::ptr::with_exposed_provenance(pointer.get() as usize) });
    assert_eq!(image.symbol_at(square), Some(("square", 0)));
    assert_eq!(image.symbol_at(square.at(8)), Some(("square", 8)));
    // Outside all of it.
    for addr in [0, 1, u64::MAX, 0x10_0000] {
        assert_eq!(image.symbol_at(Addr::new(addr)), None);
    }
}
