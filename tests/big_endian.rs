//! Objects for `aarch64_be`: headers and data are big-endian, instructions little-endian.
#![cfg(all(feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::image::Image;
use aarch64_reloc::link::{CommitError, Failure, Input, Object, Options, Plan, Refused, Storage, each, measure};
use aarch64_reloc::load::{self, LoadError};
use aarch64_reloc::mem::Reservation;
use aarch64_reloc::patch::{Endian, Section};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// What is linked: a call, a slot, and data of each width.
const SOURCE: &str = "
    .globl  main, taken
    .type   taken, %function
main:
    bl      taken
    adrp    x0, :got:taken
    ldr     x0, [x0, #:got_lo12:taken]
    .section .text.taken, \"axG\", %progbits, taken, comdat
taken:
    ret
    .data
    .xword  taken
    .word   taken - .
    .hword  small
    .globl  small
    .set    small, 0x1234
";

/// The object that `tool` makes of a source, and where it lies.
fn assemble(tool: &str, args: &[&str], source: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let mut tool = common::require(tool)?;
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("source.s"), folder.path().join("object.o"));
    std::fs::write(&from, source).unwrap();
    assert!(tool.args(args).arg(&from).arg("-o").arg(&to).status().unwrap().success());
    Some((folder, to))
}

const CLANG: (&str, &[&str]) = ("clang-19", &["--target=aarch64_be-linux-gnu", "-c"]);
const GNU: (&str, &[&str]) = ("aarch64-linux-gnu-as", &["-EB"]);

/// Segments, each with its address and what was written there.
type Written = Vec<(Addr, Vec<u8>)>;

/// Links at fixed addresses, into memory that says nothing of its byte order.
fn link(files: &[&[u8]]) -> Result<(Endian, Written), Vec<String>> {
    let names = ["one.o", "two.o", "three.o"];
    let inputs: Vec<_> =
        files.iter().zip(names).map(|(bytes, name)| Input { name, object: Elf::parse(bytes).unwrap() }).collect();
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut lines = Vec::new();
    let mut next = 0x40_0000;
    let place = each(|request| {
        next += 0x1_0000;
        assert!(request.size < 0x1_0000);
        Ok::<_, Infallible>(Addr::new(next))
    });
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let plan = match Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, report) {
        Ok(plan) => plan,
        Err(Refused::Failures(count)) => {
            assert_eq!(count, lines.len());
            return Err(lines);
        }
    };
    let mut memory: Written =
        plan.segments().iter().map(|segment| (segment.addr(), vec![0xa5; segment.size() as usize])).collect();
    let sections = memory.iter_mut().map(|(addr, bytes)| Section::new(bytes, *addr));
    assert_eq!(plan.commit(&mut sections.collect::<Vec<_>>()), Ok::<(), CommitError>(()));
    Ok((plan.endian(), memory))
}

fn number(written: &Written, at: u64, len: usize) -> u64 {
    let holds = |(addr, bytes): &&(Addr, Vec<u8>)| (addr.get()..addr.get() + bytes.len() as u64).contains(&at);
    let (addr, bytes) = written.iter().find(holds).unwrap();
    let at = (at - addr.get()) as usize;
    bytes[at..at + len].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[test]
fn data_is_big_endian_and_instructions_are_not() {
    for (tool, args) in [CLANG, GNU] {
        let Some((_folder, path)) = assemble(tool, args, SOURCE) else { continue };
        let bytes = std::fs::read(path).unwrap();
        let object = Elf::parse(&bytes).unwrap();
        assert_eq!(object.endian(), Endian::Big);
        let (endian, written) = link(&[&bytes]).unwrap();
        assert_eq!(endian, Endian::Big);
        let [(text, code), (got, _)] = [&written[0], &written[1]].map(|(addr, bytes)| (addr.get(), bytes));
        // BL to what follows, ADRP of the slot's page, LDR of its offset, RET: each with its low byte first.
        let words: Vec<u32> = code.chunks(4).take(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let taken = text + 12;
        let page = ((got >> 12) - (text >> 12)) as u32;
        let adrp = 0x9000_0000 | (page & 3) << 29 | page >> 2 << 5;
        assert_eq!(words, [0x9400_0003, adrp, 0xf940_0000 | ((got & 0xfff) as u32 / 8) << 10, 0xd65f_03c0]);
        assert_eq!(number(&written, got, 8), taken);
        let data = got + 8;
        assert_eq!(number(&written, data, 8), taken);
        assert_eq!(number(&written, data + 8, 4), taken.wrapping_sub(data + 8) & 0xffff_ffff);
        assert_eq!(number(&written, data + 12, 2), 0x1234);
    }
}

#[test]
fn a_link_has_one_byte_order() {
    let (big, little) = (objects::read("bad/big-endian.o"), objects::read("bad/status.o"));
    let says = "its data is big-endian, and that of one.o is not";
    assert_eq!(link(&[&little, &big]).unwrap_err(), [format!("two.o: {says}")]);
    let says = "its data is little-endian, and that of one.o is not";
    let both = [format!("two.o: {says}"), format!("three.o: {says}")];
    let other = objects::read("bad/weak.o");
    assert_eq!(link(&[&big, &little, &other]).unwrap_err()[..2], both);
}

#[test]
fn what_is_of_the_other_byte_order_is_not_loaded() {
    let bytes = objects::read("bad/big-endian.o");
    let inputs = [Input { name: "big.o", object: Elf::parse(&bytes).unwrap() }];
    let reservation = Reservation::new(1 << 24).unwrap();
    let error = load::Image::load(&reservation, &inputs, &Options::default(), &mut |_| None, &mut |_| {}).unwrap_err();
    assert!(matches!(error, LoadError::ForeignEndian(Endian::Big)));
    assert_eq!(error.to_string(), "big-endian objects do not run in a little-endian process");
}

/// The script of `identity.rs`, with these options.
fn compare(args: &[&str], paths: &[PathBuf]) -> Option<String> {
    for tool in ["ld.lld-19", "clang-19"] {
        common::require(tool)?;
    }
    let mut python = common::require("python3")?;
    let example = objects::example()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity/identity.py");
    python.arg("-B").arg(script).arg("--link").arg(example.get_program()).args(args).args(paths);
    let output = python.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{paths:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

#[test]
fn objects_are_linked_as_by_lld() {
    let sources = ["identity/kinds.s", "identity/numbers.s", "rel/addends.s"];
    let [kinds, numbers, addends] = sources.map(|name| objects::path("..").join(name));
    for (args, paths, compared) in [
        (&["--big-endian"][..], &[kinds.clone(), numbers.clone()][..], "58  relocations of 42 kinds"),
        (&["--big-endian", "--rel"], &[kinds, numbers.clone()], "58  relocations of 42 kinds"),
        (&["--big-endian", "--rel"], &[addends, numbers], "51  relocations of 37 kinds"),
    ] {
        let Some(text) = compare(args, paths) else { return };
        assert!(text.contains(compared), "{text}");
    }
}

#[test]
fn programs_are_linked_as_by_lld() {
    let Some(mut clang) = common::require("clang-19") else { return };
    let folder = tempfile::tempdir().unwrap();
    // The headers of the C library but for this one, which is of functions that are not there.
    std::fs::create_dir(folder.path().join("gnu")).unwrap();
    std::fs::write(folder.path().join("gnu/stubs-lp64_be.h"), "").unwrap();
    let args = ["--target=aarch64_be-linux-gnu", "-isystem", "/usr/aarch64-linux-gnu/include", "-I.", "-O1", "-c"];
    let paths = ["main", "shapes"].map(|name| objects::path(&format!("{name}.c")));
    assert!(clang.args(args).args(&paths).current_dir(folder.path()).status().unwrap().success());
    let paths = ["main.o", "shapes.o"].map(|name| folder.path().join(name));
    for args in [&["--big-endian"][..], &["--big-endian", "--rel"]] {
        let Some(text) = compare(args, &paths) else { return };
        let line = text.lines().find(|line| line.contains(" relocations of ")).unwrap();
        let count: usize = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(count > 100, "{line}");
    }
}

#[test]
fn an_emitted_image_is_big_endian_and_right() {
    let Some((folder, path)) = assemble(CLANG.0, CLANG.1, SOURCE) else { return };
    let Some(mut example) = objects::example() else { return };
    let image = folder.path().join("image");
    assert!(example.arg("--emit").arg(&image).arg("--emit-relocs").arg(&path).status().unwrap().success());
    let bytes = std::fs::read(&image).unwrap();
    // ELFCLASS64, ELFDATA2MSB, ET_EXEC, EM_AARCH64.
    assert_eq!((&bytes[4..6], &bytes[16..20]), (&[2, 2][..], &[0, 2, 0, 183][..]));
    assert_eq!(Image::parse(&bytes).unwrap().endian(), Endian::Big);
    let verify = |path: &Path| objects::example().unwrap().arg("--verify").arg(path).output().unwrap();
    let said = |path: &Path| String::from_utf8(verify(path).stdout).unwrap();
    assert!(said(&image).ends_with("relocations verified, 0 wrong\n"), "{}", said(&image));
    // What lld left is read too, and a wrong byte of a big-endian word is found.
    let Some(mut lld) = common::require("ld.lld-19") else { return };
    let linked = folder.path().join("linked");
    lld.args(["--emit-relocs", "--no-relax", "-e", "main", "-o"]).arg(&linked).arg(&path);
    assert!(lld.status().unwrap().success());
    assert_eq!(said(&linked), "5 relocations verified, 0 wrong\n");
    let mut bytes = std::fs::read(&linked).unwrap();
    let at = {
        let linked = Image::parse(&bytes).unwrap();
        let (_, data) = linked.sections().map(Result::unwrap).find(|(name, _)| *name == ".data").unwrap();
        data.bytes.as_ptr().addr() - bytes.as_ptr().addr()
    };
    // The low byte of the address comes last.
    bytes[at + 7] += 1;
    std::fs::write(&linked, bytes).unwrap();
    let said = said(&linked);
    assert!(said.contains("(+0x1 bytes off) (symbol 'taken')") && said.contains(", 1 wrong"), "{said}");
}
