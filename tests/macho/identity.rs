//! The same objects at the same addresses, linked by a plan and by ld64.lld: the images are the same to the byte.
//!
//! Both get copies, in which every section is one piece (no `MH_SUBSECTIONS_VIA_SYMBOLS`), literals and frames are plain data,
//! and compact unwind information is for debuggers: ld64.lld merges, sorts and rewrites these. What no object defines, a stub
//! does.
//!
//! A load from the GOT may differ: ld64.lld makes it an ADD where the symbol is of the image. Then what the ADD gives must be
//! what our slot holds; else, what both slots hold.

use crate::common;
use crate::file::{Entry, File, Header};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{Input, Kind, Object, Options, Pin, Plan, Request, Section, Storage, each, measure};
use aarch64_reloc::patch;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Command;

const PAGE21: [u8; 2] = [5, 8];
const PAGEOFF12: [u8; 2] = [6, 9];
const POINTER_TO_GOT: u8 = 7;

/// Prepares a copy for both linkers.
fn prepare(file: &mut File) {
    let flags = file.u32(24);
    file.put(24, flags & !0x2000, 4);
    // Made by both linkers, each where it likes.
    let made = b"\0___dso_handle\0";
    if let Some(at) = file.bytes.windows(made.len()).position(|bytes| bytes == made) {
        file.bytes[at + 1] = b'a';
    }
    for header in file.sections() {
        match (&*file.name(header), file.flags(header)) {
            // S_CSTRING_LITERALS, S_4BYTE_LITERALS, S_8BYTE_LITERALS, S_16BYTE_LITERALS
            (_, flags) if matches!(flags & 0xff, 2 | 3 | 4 | 14) => {
                file.put(header.0 + Header::FLAGS, flags & !0xff, 4)
            }
            ("__TEXT,__eh_frame", _) => {
                file.rename(header, "__TEXT,__frames");
                file.put(header.0 + Header::FLAGS, 0_u32, 4);
            }
            ("__TEXT,__StaticInit", _) => file.rename(header, "__TEXT,__starts"),
            ("__LD,__compact_unwind", _) => file.rename(header, "__DWARF,__compact"),
            _ => {}
        }
    }
}

/// The output sections of ld64.lld's image: address and bytes.
struct Image(BTreeMap<String, (u64, Vec<u8>)>);

impl Image {
    fn word(&self, addr: u64) -> u32 {
        u32::from_le_bytes(self.at(addr, 4).try_into().unwrap())
    }

    fn held_at(&self, slot: u64) -> u64 {
        assert_eq!(slot % 8, 0, "{slot:#x} is no slot");
        u64::from_le_bytes(self.at(slot, 8).try_into().unwrap())
    }

    fn at(&self, addr: u64, len: usize) -> &[u8] {
        let holds = |(start, bytes): &&(u64, Vec<u8>)| (*start..start + bytes.len() as u64).contains(&addr);
        let (start, bytes) = self.0.values().find(holds).unwrap_or_else(|| panic!("nothing at {addr:#x}"));
        &bytes[(addr - start) as usize..][..len]
    }

    fn clear(&mut self, addr: u64, mask: u32) {
        let word = self.word(addr) & !mask;
        let holds = |(start, bytes): &&mut (u64, Vec<u8>)| (*start..start + bytes.len() as u64).contains(&addr);
        let (start, bytes) = self.0.values_mut().find(holds).unwrap();
        bytes[(addr - *start) as usize..][..4].copy_from_slice(&word.to_le_bytes());
    }
}

pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What ld64.lld takes for a thread variable's own if an object defines it.
const BOOTSTRAP: &str = "__tlv_bootstrap";

/// An object that defines what `objects` leave undefined, but for [`BOOTSTRAP`].
fn stub(objects: &[File], folder: &Path) -> File {
    let is_defined = |file: &File, index| file.bytes[file.symbol_at(index) + 4] & 0xe != 0;
    let (mut known, mut wanted) = (BTreeSet::new(), BTreeSet::from(["_main".to_owned()]));
    for file in objects {
        for index in 0..file.symbol_count() {
            let at = file.symbol_at(index);
            let is_weak_or_common = file.bytes[at + 6] & 0x40 != 0 || file.u64(at + 8) != 0;
            match is_defined(file, index) {
                true => known.insert(file.symbol_name(index)),
                false => !is_weak_or_common && wanted.insert(file.symbol_name(index)),
            };
        }
    }
    let lines = wanted
        .difference(&known)
        .filter(|name| *name != BOOTSTRAP)
        .map(|name| format!(".globl {name}\n.p2align 4\n{name}: ret\n"));
    let (source, object) = (folder.join("stub.s"), folder.join("stub.o"));
    fs::write(&source, lines.collect::<String>()).unwrap();
    let mut assembler = Command::new("llvm-mc-19");
    run(assembler.args(["-triple", "arm64-apple-macos13", "-filetype=obj", "-o"]).arg(&object).arg(source));
    File { bytes: fs::read(object).unwrap() }
}

/// The image that ld64.lld makes of `objects`.
fn link_theirs(objects: &[File], folder: &Path) -> Image {
    let image = folder.join("image");
    let mut linker = Command::new("ld64.lld-19");
    linker.args(["-arch", "arm64", "-platform_version", "macos", "13.0", "13.0", "-no_fixup_chains", "-no_data_const"]);
    // Nothing is exported but the entry: else calls of weak definitions go through stubs.
    linker.args([
        "-ignore_optimization_hints",
        "-exported_symbol",
        "_main",
        "-e",
        "_main",
        "-undefined",
        "dynamic_lookup",
    ]);
    for (index, object) in objects.iter().enumerate() {
        let path = folder.join(format!("{index}.o"));
        fs::write(&path, &object.bytes).unwrap();
        linker.arg(path);
    }
    run(linker.arg("-o").arg(&image));
    let file = File { bytes: fs::read(image).unwrap() };
    let sections = file
        .sections()
        .into_iter()
        .map(|header| (file.name(header), (file.u64(header.0 + Header::ADDR), file.content(header).to_vec())));
    Image(sections.collect())
}

/// The image that a plan makes of `objects`, its sections where `theirs` are, and where each input section lies.
fn link_ours(objects: &[File], theirs: &Image) -> (Image, BTreeMap<(usize, usize), u64>) {
    let parse = |file: &File| MachO::parse(file.bytes.clone().leak()).unwrap();
    let inputs: Vec<_> = objects.iter().map(|file| Input { name: "object", object: parse(file) }).collect();
    let last = theirs.0.values().map(|(addr, bytes)| addr + bytes.len() as u64).max().unwrap();
    // Beyond zeros, which are less than 1 MiB and which the file does not hold.
    let last = last.next_multiple_of(0x1_0000) + 0x10_0000;
    let mut pins = vec![Pin { section: ".got", addr: Addr::new(last + 0x18) }];
    let mut ends = BTreeMap::<String, u64>::new();
    let mut placed = BTreeMap::new();
    let all = inputs.iter().enumerate().flat_map(|(number, Input { object, .. })| {
        (0..object.section_count()).map(move |index| ((number, index), object.section(index).unwrap()))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, section)| section.order);
    for (number, Section { name, output, kind, .. }) in all {
        let Kind::Loaded { align, content, .. } = kind else { continue };
        // Of a name that is not known there is but the second half.
        let is = |name: &&String| **name == output || name.split_once(',').unwrap().1 == output;
        // What is called otherwise here is what goes there first.
        let found = theirs.0.keys().find(is).and_then(|name| theirs.0.get(name)).or(theirs.0.get(name));
        let Some(&(addr, _)) = found else {
            assert_eq!(content.size(), 0, "{output} is not in ld64.lld's image");
            continue;
        };
        if !pins.iter().any(|pin| pin.section == output) {
            pins.push(Pin { section: output, addr: Addr::new(addr) });
        }
        let end = ends.entry(output.to_owned()).or_insert(addr);
        let start = end.next_multiple_of(align);
        placed.insert(number, start);
        *end = start + content.size();
    }
    if let Some((addr, _)) = theirs.0.get("__DATA,__common") {
        pins.push(Pin { section: "COMMON", addr: Addr::new(*addr) });
    }
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let mut next = last + 0x10_0000;
    let place = |request: &Request| {
        next = (next + request.size + 0x1_0000).next_multiple_of(request.align.max(0x1000));
        Ok::<_, Infallible>(Addr::new(next))
    };
    let options = Options { pins: &pins, ..Options::default() };
    let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| println!("{failure}");
    // ld64.lld leaves it to the running program too.
    let resolve = &mut |name: &str| (name == BOOTSTRAP).then_some(Addr::new(0));
    let plan = Plan::new(&inputs, &options, storage.lend(), resolve, each(place), report).unwrap();
    let segments = plan.segments().to_vec();
    let mut memory: Vec<_> = segments.iter().map(|segment| vec![0; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| patch::Section::new(bytes, segment.addr()));
    plan.commit(&mut sections.collect::<Vec<_>>()).unwrap();
    let outputs = plan.outputs().iter().filter(|output| output.size() > 0).map(|output| {
        let index = output.segment().unwrap();
        let start = output.addr().distance_from(segments[index].addr()) as usize;
        let bytes = memory[index][start..][..output.size() as usize].to_vec();
        (output.name().to_owned(), (output.addr().get(), bytes))
    });
    (Image(outputs.collect()), placed)
}

/// The page that the ADRP at `place` gives.
fn page(word: u32, place: u64) -> u64 {
    assert_eq!(word & 0x9f00_0000, 0x9000_0000, "{word:#x} is no ADRP");
    let pages = (((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3) << 11).cast_signed() >> 11;
    (place & !0xfff).wrapping_add_signed(i64::from(pages) << 12)
}

/// What an instruction that goes with an ADRP gives: an address itself, or a slot that holds it.
fn low(word: u32) -> (u64, bool) {
    match word & 0xffc0_0000 {
        0x9100_0000 => (u64::from(word >> 10 & 0xfff), false),
        0xf940_0000 => (u64::from(word >> 10 & 0xfff) << 3, true),
        _ => panic!("{word:#x} is neither ADD nor LDR"),
    }
}

/// `None` where a tool is missing, or belongs to the host of an emulated machine, which says of it what the host says already.
pub fn require_tools() -> Option<()> {
    if cfg!(target_arch = "aarch64") {
        return None;
    }
    common::require("llvm-mc-19")?;
    common::require("ld64.lld-19").map(|_| ())
}

/// Links `objects` both ways and compares; returns how many relocations of how many kinds, and of how many slots.
pub fn compare(mut objects: Vec<File>) -> Option<(usize, usize, usize)> {
    require_tools()?;
    let folder = tempfile::tempdir().unwrap();
    objects.iter_mut().for_each(prepare);
    objects.push(stub(&objects, folder.path()));
    let mut theirs = link_theirs(&objects, folder.path());
    let (mut ours, placed) = link_ours(&objects, &theirs);
    let mut counts = BTreeMap::<u8, usize>::new();
    // Of each symbol with a slot, the pages and the rests that the code of both linkers gives.
    type Said = [(BTreeSet<u64>, BTreeSet<(u64, bool)>); 2];
    let mut slots = BTreeMap::<(usize, String), Said>::new();
    let mut pointers = 0;
    for (number, file) in objects.iter().enumerate() {
        for (index, header) in (1..).zip(file.sections()) {
            let Some(&start) = placed.get(&(number, index)) else { continue };
            for Entry { address, symbol, kind, .. } in file.entries(header) {
                *counts.entry(kind).or_default() += 1;
                let place = start + u64::from(address);
                let words = [&ours, &theirs].map(|image| image.word(place));
                let is_slot = PAGE21.contains(&kind) || PAGEOFF12.contains(&kind);
                if kind == POINTER_TO_GOT {
                    let [one, other] = words.map(|word| place.wrapping_add_signed(word.cast_signed().into()));
                    assert_eq!(ours.held_at(one), theirs.held_at(other), "{}", file.symbol_name(symbol as usize));
                    pointers += 1;
                } else if is_slot {
                    let said = slots.entry((number, file.symbol_name(symbol as usize))).or_default();
                    for (said, word) in said.iter_mut().zip(words) {
                        match PAGE21.contains(&kind) {
                            true => drop(said.0.insert(page(word, place))),
                            false => drop(said.1.insert(low(word))),
                        }
                    }
                }
                let mask = match kind {
                    POINTER_TO_GOT => !0,
                    5 | 8 => 0x60ff_ffe0,
                    // All but the registers: LDR may have become ADD.
                    6 | 9 => 0xffff_fc00,
                    _ => 0,
                };
                for image in [&mut ours, &mut theirs] {
                    image.clear(place, mask);
                }
            }
        }
    }
    for ((_, name), said) in &slots {
        let [one, other] = [0, 1].map(|image| {
            let (pages, rests) = &said[image];
            assert!(pages.len() == 1 && rests.len() == 1, "{name}: {said:x?}");
            let (rest, is_slot) = *rests.first().unwrap();
            let addr = pages.first().unwrap() + rest;
            if is_slot { [&ours, &theirs][image].held_at(addr) } else { addr }
        });
        assert_eq!(one, other, "{name}");
        assert!(said[0].1.first().unwrap().1, "{name}: a load from our GOT was made an ADD");
    }
    let mut compared = 0;
    for (name, (addr, bytes)) in &ours.0 {
        let is_common = name == "COMMON";
        let same = |(start, _): &&(u64, Vec<u8>)| start == addr;
        if name == ".got" || is_common {
            continue;
        }
        let (_, expected) = theirs.0.values().find(same).unwrap_or_else(|| panic!("no {name} at {addr:#x}"));
        // What an image does not hold is zeros.
        let rest = bytes.iter().zip(expected.iter().chain(std::iter::repeat(&0)));
        let differs = rest.enumerate().find(|(_, (one, other))| one != other).map(|(at, _)| at & !3);
        let [word, other] = [&ours, &theirs].map(|image| differs.map(|at| image.word(addr + at as u64)));
        assert!(differs.is_none(), "{name}+{:x?}: {word:x?} here, {other:x?} there", differs);
        compared += bytes.len();
    }
    assert!(compared > 0);
    Some((counts.values().sum(), counts.len(), slots.len() + pointers))
}
