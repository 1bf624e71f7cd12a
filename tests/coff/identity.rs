//! What lld-link makes of the same objects at the same addresses, byte for byte.

use super::{common, objects};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::link::{Failure, Input, Kind, Object, Options, Origin, Pin, Plan, Policy, Storage, each, measure};
use aarch64_reloc::patch::Section;
use std::collections::BTreeMap;
use std::convert::Infallible;
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
            // What is sorted first there is an output section of its own here.
            CONSTRUCTORS => ".CRT",
            name => name.get(..8).unwrap_or(name),
        };
        self.sections.iter().position(|&(other, ..)| other == name)
    }
}

/// Our output section of the constructors.
const CONSTRUCTORS: &str = ".init_array";

/// How many bytes and relocations are in the output sections of a link of `files` that `image` has too; all others of ours
/// are empty. `common` is where in `.bss` lld-link has put the common symbols.
pub fn compare(files: &[Vec<u8>], image: &[u8], common: u64) -> (usize, usize) {
    let image = Image::parse(image);
    // First, so that its empty sections move nothing.
    let header = objects::read("header.obj");
    let objects = [&header].into_iter().chain(files);
    let inputs = objects.map(|bytes| Input { name: "object", object: Coff::parse(bytes).unwrap() });
    let inputs: Vec<_> = inputs.collect();
    let mut pins = BTreeMap::from([(".header", image.base)]);
    let mut constructors = 0;
    for input in &inputs {
        for index in 0..input.object.section_count() {
            let section = input.object.section(index).unwrap();
            let Kind::Loaded { content, .. } = section.kind else { continue };
            if let Some(number) = image.find(section.output) {
                pins.insert(section.output, image.base + image.sections[number].1);
            }
            if section.output == CONSTRUCTORS {
                constructors += content.size();
            }
        }
    }
    if let Some(rest) = pins.get_mut(".CRT") {
        *rest += constructors;
    }
    if let Some(&bss) = pins.get(".bss") {
        pins.insert("COMMON", bss + common);
    }
    let pins: Vec<Pin<'_>> = pins.into_iter().map(|(section, addr)| Pin { section, addr: Addr::new(addr) }).collect();
    let options = Options { pins: &pins, policy: Policy::NO_RESCUE, ..Options::default() };
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let place = each(|_| Ok::<_, Infallible>(Addr::new(0x7000_0000)));
    let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, place, report);
    let Ok(plan) = plan else { panic!("{lines:#?}") };
    let segments = plan.segments().to_vec();
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0xa5; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    let mut sections: Vec<_> = sections.collect();
    plan.commit(&mut sections).unwrap();

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
        if name == ".bss" {
            assert!(theirs.is_empty() && len >= output.size());
            continue;
        }
        let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
        theirs.resize(len as usize, 0);
        let before = output.addr().distance_from(Addr::new(image.base + start)) as usize;
        theirs.drain(..before);
        if name == CONSTRUCTORS {
            theirs.truncate(ours.len());
        }
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (at, target) in numbers(files, name) {
            // Each counts its own sections.
            let [mine, other] = [&ours, &theirs].map(|bytes| self::number(bytes, at, 2) as usize - 1);
            assert_eq!(plan.outputs()[mine].name(), target);
            assert_eq!(image.find(target), Some(other));
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
    (size, plan.summary().relocations)
}

/// The word of the first difference, to be read.
fn word<'a>(bytes: &'a [u8], differing: &[usize]) -> &'a [u8] {
    differing.first().map_or(&[], |&at| &bytes[at & !3..][..4])
}

/// Where the output section `name` has the numbers of output sections, and of which: of the first object, whose sections
/// begin those of the image.
fn numbers(files: &[Vec<u8>], name: &str) -> Vec<(usize, &'static str)> {
    let object = Coff::parse(&files[0]).unwrap();
    let mut found = Vec::new();
    for table in 0..object.section_count() {
        let Kind::Relocations { of, count } = object.section(table).unwrap().kind else { continue };
        if object.section(of).unwrap().output != name {
            continue;
        }
        let all = (0..count).map(|index| object.relocation(table, index).unwrap());
        found.extend(all.filter(|found| found.origin == Origin::Number).map(|found| (found.offset as usize, ".text")));
    }
    found
}

#[test]
fn programs_are_linked_alike() {
    for (name, least) in [("c-O0", 50), ("c-O2", 40), ("cc-O0", 100), ("cc-O2", 60)] {
        let (source, level) = name.split_once('-').unwrap();
        let files = ["one", "two"].map(|half| objects::read(&format!("{half}-{source}-{level}.obj")));
        let (size, relocations) = compare(&files, &objects::read(&format!("{name}.exe")), 0);
        println!("{name}: {size} bytes, {relocations} relocations");
        assert!(relocations > least && size > 500, "{name}: {size} bytes, {relocations} relocations");
    }
}

#[test]
fn every_kind_is_linked_alike() {
    let files = ["kinds", "other"].map(|name| objects::read(&format!("{name}.obj")));
    let (size, relocations) = compare(&files, &objects::read("kinds.exe"), 0x140);
    println!("{size} bytes, {relocations} relocations");
    assert!(relocations > 50 && size > 0x2000);
}

/// What follows a `$` or a dot in the names of sections decides their order.
#[test]
fn sections_are_ordered_alike() {
    let files = ["order-one", "order-two"].map(|name| objects::read(&format!("{name}.obj")));
    let (size, relocations) = compare(&files, &objects::read("order.exe"), 0);
    println!("{size} bytes, {relocations} relocations");
    assert_eq!((size, relocations), (0x34 + 0x28 + 0x40 + 0x28, 24));
}

/// Of more sections than 16 bits can number, so that it is a big object: functions that each call the next.
#[test]
fn a_big_object_is_linked_alike() {
    const FUNCTIONS: usize = 66_000;
    for tool in ["clang-19", "lld-link-19"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let [source, object, image] = ["big.s", "big.obj", "big.exe"].map(|name| folder.path().join(name));
    let mut text = String::from(".globl start\nstart: bl f0\n");
    for number in 0..FUNCTIONS {
        let next = (number + 1) % FUNCTIONS;
        text += &format!(".section .text,\"xr\",discard,f{number}\n.globl f{number}\nf{number}: b f{next}\n");
    }
    std::fs::write(&source, text).unwrap();
    let mut clang = Command::new("clang-19");
    clang.args(["--target=aarch64-windows-msvc", "-c"]).arg(&source).arg("-o").arg(&object);
    let mut lld = Command::new("lld-link-19");
    lld.args(["/nodefaultlib", "/entry:start", "/subsystem:console", "/base:0x10000000", "/largeaddressaware:no"]);
    lld.arg("/opt:noref,noicf").arg(format!("/out:{}", image.display())).arg(&object);
    assert!([clang, lld].iter_mut().all(|command| command.status().unwrap().success()));
    let object = std::fs::read(&object).unwrap();
    assert!(object.starts_with(&[0, 0, 0xff, 0xff]));
    let (size, relocations) = compare(&[object], &std::fs::read(image).unwrap(), 0);
    assert_eq!((size, relocations), (4 * (FUNCTIONS + 1), FUNCTIONS + 1));
}
