//! What lld-link makes of the same objects at the same addresses, byte for byte.

use super::{common, objects};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::link::{
    Cause, Failure, Input, Kind, Object, Options, Part, Pin, Plan, Policy, Storage, each, measure,
};
use aarch64_reloc::patch::Section;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image that lld-link has written.
struct Image<'a> {
    base: u64,
    /// The name that the header has room for, the offset from the base, the size, and the bytes of the file.
    sections: Vec<(&'a str, u64, u64, &'a [u8])>,
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..][..len].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

impl<'a> Image<'a> {
    /// PE Format, "Headers".
    fn parse(bytes: &'a [u8]) -> Self {
        let header = number(bytes, 0x3c, 4) as usize;
        assert_eq!(&bytes[header..][..4], b"PE\0\0");
        let (count, optional) = (number(bytes, header + 6, 2), number(bytes, header + 20, 2) as usize);
        let sections = (0..count as usize).map(|index| {
            let at = header + 24 + optional + 40 * index;
            let name = core::str::from_utf8(&bytes[at..][..8]).unwrap().trim_end_matches('\0');
            let [size, addr, in_file, start] = [8, 12, 16, 20].map(|field| number(bytes, at + field, 4));
            (name, addr, size, &bytes[start as usize..][..in_file.min(size) as usize])
        });
        Self { base: number(bytes, header + 24 + 24, 8), sections: sections.collect() }
    }

    /// The number of the section of our output section `name`, from 0 on.
    fn find(&self, name: &str) -> Option<usize> {
        let name = match name {
            // As make.sh has them called, so that they are not merged.
            ".xdata" => ".xdata_",
            ".bss" => ".bss_",
            name if ARRAYS.contains(&name) => ".CRT",
            name => name.get(..8).unwrap_or(name),
        };
        self.sections.iter().position(|&(other, ..)| other == name)
    }
}

/// Our output sections of what lld-link puts into `.CRT`, in their order there.
const ARRAYS: [&str; 3] = [".init_array", ".preinit_array", ".dtors"];

/// A failure of a link: the name of the object, which is its number, and the relocation, by its place or by its number.
#[derive(Debug)]
pub struct Refusal {
    pub object: String,
    pub place: Option<(String, u64)>,
    pub part: Option<Part>,
    pub line: String,
}

impl Refusal {
    fn of(failure: &Failure<'_>) -> Self {
        Self {
            object: failure.object.to_owned(),
            place: failure.place.map(|(section, offset)| (section.to_owned(), offset)),
            part: if let Cause::Object(error) = failure.cause { Some(error.part) } else { None },
            line: failure.to_string(),
        }
    }
}

/// In the name of a symbol: what is there is the number of the output section of the symbol that is named behind it.
const SECIDX: &str = "secidx_of_";

/// How many bytes and relocations are in the output sections of a link of `files` that `image` has too; all others of ours
/// are empty. `common` is where in `.bss` lld-link has put the common symbols.
pub fn compare(files: &[Vec<u8>], image: &[u8], common: u64) -> Result<(usize, usize), Vec<Refusal>> {
    let image = Image::parse(image);
    // First, so that its empty sections move nothing.
    let header = objects::read("header.obj");
    let names: Vec<_> = (0..files.len()).map(|number| number.to_string()).collect();
    let objects = [("header", &header)].into_iter().chain(names.iter().map(String::as_str).zip(files));
    let inputs = objects.map(|(name, bytes)| Input { name, object: Coff::parse(bytes).unwrap() });
    let inputs: Vec<_> = inputs.collect();
    let mut pins = BTreeMap::from([(".header", image.base)]);
    let mut sizes = [0; ARRAYS.len()];
    for input in &inputs {
        for index in 0..input.object.section_count() {
            let section = input.object.section(index).unwrap();
            let Kind::Loaded { content, .. } = section.kind else { continue };
            if let Some(number) = image.find(section.output) {
                pins.insert(section.output, image.base + image.sections[number].1);
            }
            if let Some(array) = ARRAYS.iter().position(|&array| array == section.output) {
                sizes[array] += content.size();
            }
        }
    }
    let mut before = 0;
    for (array, size) in ARRAYS.iter().zip(sizes) {
        pins.entry(array).and_modify(|addr| *addr += before);
        before += size;
    }
    if let Some(&bss) = pins.get(".bss") {
        pins.insert("COMMON", bss + common);
    }
    let pins: Vec<Pin<'_>> = pins.into_iter().map(|(section, addr)| Pin { section, addr: Addr::new(addr) }).collect();
    let options = Options { pins: &pins, policy: Policy::NO_RESCUE, ..Options::default() };
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let mut refusals = Vec::new();
    let report = &mut |failure: &Failure<'_>| refusals.push(Refusal::of(failure));
    let place = each(|_| Ok::<_, Infallible>(Addr::new(0x7000_0000)));
    let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, place, report);
    let Ok(plan) = plan else { return Err(refusals) };
    let segments = plan.segments().to_vec();
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0xa5; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    let mut sections: Vec<_> = sections.collect();
    plan.commit(&mut sections).unwrap();

    let located: BTreeMap<_, _> = plan.symbols().map(|found| (found.symbol.name, found)).collect();
    let numbers = located.values().filter_map(|found| Some((found, found.symbol.name.split_once(SECIDX)?.1)));
    let numbers: Vec<_> = numbers.map(|(found, target)| (found.addr, located[target].output.unwrap())).collect();
    let mut size = 0;
    for output in plan.outputs().iter().filter(|output| output.size() > 0) {
        let name = output.name();
        let segment = segments
            .iter()
            .position(|segment| (segment.addr()..segment.addr().plus(segment.size() as i64)).contains(&output.addr()));
        let segment = segment.unwrap();
        let at = output.addr().distance_from(segments[segment].addr()) as usize;
        let ours = &memory[segment][at..][..output.size() as usize];
        if matches!(name, ".header" | "COMMON") {
            assert!(ours.iter().all(|&byte| byte == 0), "{name}");
            continue;
        }
        let number = image.find(name).unwrap_or_else(|| panic!("lld-link has no {name}"));
        let (_, start, len, theirs) = image.sections[number];
        if output.is_zeros() {
            assert!(theirs.is_empty() && len >= output.size());
            continue;
        }
        let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
        theirs.resize(len as usize, 0);
        let before = output.addr().distance_from(Addr::new(image.base + start)) as usize;
        theirs.drain(..before);
        if ARRAYS.contains(&name) {
            theirs.truncate(ours.len());
        }
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for &(addr, target) in &numbers {
            if !(output.addr()..output.addr().plus(output.size() as i64)).contains(&addr) {
                continue;
            }
            // Each counts its own sections, from 1 on, and adds what was there.
            let at = addr.distance_from(output.addr()) as usize;
            let [mine, other] = [&ours, &theirs].map(|bytes| self::number(bytes, at, 2) as usize - 1);
            let found = image.find(plan.outputs()[target].name()).unwrap();
            assert_eq!(mine - target, other - found);
            ours[at..][..2].fill(0);
            theirs[at..][..2].fill(0);
        }
        if name == ".pdata" {
            // lld-link sorts it by the functions' addresses.
            for bytes in [&mut ours, &mut theirs] {
                bytes.as_chunks_mut::<8>().0.sort_unstable();
            }
        }
        let differing: Vec<_> = (0..ours.len()).filter(|&at| ours[at] != theirs[at]).collect();
        assert_eq!(
            differing,
            [] as [usize; 0],
            "{name}: {:x?} {:x?}",
            word(&ours, &differing),
            word(&theirs, &differing)
        );
        size += ours.len();
    }
    Ok((size, plan.summary().relocations))
}

/// The image that lld-link makes of `objects`, with the options that make.sh has.
pub fn link_theirs(objects: &[PathBuf], image: &Path, options: &[&str]) -> Vec<u8> {
    try_link_theirs(objects, image, options).unwrap_or_else(|message| panic!("{message}"))
}

/// The same, or why it makes none.
pub fn try_link_theirs(objects: &[PathBuf], image: &Path, options: &[&str]) -> Result<Vec<u8>, String> {
    let mut lld = Command::new("lld-link-19");
    lld.args(["/nodefaultlib", "/entry:start", "/subsystem:console", "/opt:noref,noicf,nolldtailmerge"]);
    lld.args(["/merge:.xdata=.xdata_", "/merge:.bss=.bss_"]);
    let output = lld.args(options).arg(format!("/out:{}", image.display())).args(objects).output().unwrap();
    match output.status.success() {
        true => Ok(std::fs::read(image).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Makes `object` of the assembly `source`.
pub fn assemble(source: &str, object: &Path) {
    let path = object.with_extension("s");
    std::fs::write(&path, source).unwrap();
    let mut clang = Command::new("clang-19");
    clang.args(["--target=aarch64-windows-msvc", "-c"]).arg(&path).arg("-o").arg(object);
    assert!(clang.status().unwrap().success());
}

/// Whether there are the tools for what is not prebuilt.
pub fn has_tools() -> bool {
    ["clang-19", "lld-link-19"].iter().all(|tool| common::require(tool).is_some())
}

/// The word of the first difference, to be read.
fn word<'a>(bytes: &'a [u8], differing: &[usize]) -> &'a [u8] {
    differing.first().map_or(&[], |&at| &bytes[at & !3..][..4])
}

#[test]
fn programs_are_linked_alike() {
    for (name, least) in [("c-O0", 50), ("c-O2", 40), ("cc-O0", 100), ("cc-O2", 60)] {
        let (source, level) = name.split_once('-').unwrap();
        let files = ["one", "two"].map(|half| objects::read(&format!("{half}-{source}-{level}.obj")));
        let (size, relocations) = compare(&files, &objects::read(&format!("{name}.exe")), 0).unwrap();
        println!("{name}: {size} bytes, {relocations} relocations");
        assert!(relocations > least && size > 500, "{name}: {size} bytes, {relocations} relocations");
    }
}

#[test]
fn every_kind_is_linked_alike() {
    let files = ["kinds", "other"].map(|name| objects::read(&format!("{name}.obj")));
    let (size, relocations) = compare(&files, &objects::read("kinds.exe"), 0x140).unwrap();
    println!("{size} bytes, {relocations} relocations");
    assert!(relocations > 50 && size > 0x2000);
}

/// Addends that no assembler makes: sums that wrap, pages that are crossed, the ends of what a place can hold.
#[test]
fn every_addend_in_place_is_linked_alike() {
    let (size, relocations) = compare(&[objects::read("edges.obj")], &objects::read("edges.exe"), 0).unwrap();
    assert_eq!((size, relocations), (0x44 + 0x30 + 0x2000, 26));
}

/// What follows a `$` or a dot in the names of sections decides their order.
#[test]
fn sections_are_ordered_alike() {
    let files = ["order-one", "order-two"].map(|name| objects::read(&format!("{name}.obj")));
    let (size, relocations) = compare(&files, &objects::read("order.exe"), 0).unwrap();
    println!("{size} bytes, {relocations} relocations");
    assert_eq!((size, relocations), (0x34 + 0x28 + 0x40 + 0x28, 24));
}

/// Of more sections than 16 bits can number, so that it is a big object: functions that each call the next.
#[test]
fn a_big_object_is_linked_alike() {
    const FUNCTIONS: usize = 66_000;
    if !has_tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [object, image] = ["big.obj", "big.exe"].map(|name| folder.path().join(name));
    let mut text = String::from(".globl start\nstart: bl f0\n");
    for number in 0..FUNCTIONS {
        let next = (number + 1) % FUNCTIONS;
        text += &format!(".section .text,\"xr\",discard,f{number}\n.globl f{number}\nf{number}: b f{next}\n");
    }
    assemble(&text, &object);
    let image = link_theirs(std::slice::from_ref(&object), &image, &["/base:0x10000000", "/largeaddressaware:no"]);
    let object = std::fs::read(&object).unwrap();
    assert!(object.starts_with(&[0, 0, 0xff, 0xff]));
    let (size, relocations) = compare(&[object], &image, 0).unwrap();
    assert_eq!((size, relocations), (4 * (FUNCTIONS + 1), FUNCTIONS + 1));
}
