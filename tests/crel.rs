//! Relocations in compressed form (SHT_CREL).
#![cfg(all(target_os = "linux", not(target_arch = "aarch64"), feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Kind, Object, ObjectError, Relocation};
use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: [&str; 3] = ["identity/kinds.s", "identity/threads.s", "rel/addends.s"];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// What clang makes of a source for `target`.
fn assemble(name: &str, target: &str, options: &[&str], to: &Path) -> Option<Vec<u8>> {
    let mut clang = common::require("clang-19")?;
    clang.arg(format!("--target={target}")).args(options).arg("-c").arg(source(name)).arg("-o").arg(to);
    assert!(clang.status().unwrap().success());
    Some(fs::read(to).unwrap())
}

const COMPRESSED: [&str; 2] = ["-Wa,--crel", "-Wa,--allow-experimental-crel"];

/// All relocations, by section; the same whether they are read in order or each by its index.
fn relocations(bytes: &[u8]) -> Vec<Vec<Result<Relocation, ObjectError>>> {
    let object = Elf::parse(bytes).unwrap();
    let tables = (0..object.section_count()).filter_map(|table| match object.section(table).unwrap().kind {
        Kind::Relocations { count, .. } => {
            let mut all = Vec::new();
            object.for_each_relocation(table, count, &mut |relocation| all.push(relocation));
            let by_index: Vec<_> = (0..count).map(|index| object.relocation(table, index)).collect();
            assert_eq!(all, by_index);
            Some(all)
        }
        _ => None,
    });
    tables.collect()
}

#[test]
fn they_are_those_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("object.o");
    for target in ["aarch64-linux-gnu", "aarch64_be-linux-gnu"] {
        for name in SOURCES {
            let Some(table) = assemble(name, target, &[], &path) else { return };
            let Some(compressed) = assemble(name, target, &COMPRESSED, &path) else { return };
            let (table, compressed) = (relocations(&table), relocations(&compressed));
            assert!(table.iter().flatten().count() >= 20);
            assert_eq!(table, compressed, "{name} for {target}");
        }
    }
}

/// What the example links from what clang compressed is what it links from tables.
#[test]
fn they_are_linked_as_those_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let image = |options: &[&str]| {
        let objects = ["identity/kinds.s", "identity/numbers.s"].map(|name| {
            let path = folder.path().join(Path::new(name).with_extension("o").file_name().unwrap());
            assemble(name, "aarch64-linux-gnu", options, &path).map(|_| path)
        });
        let [Some(kinds), Some(numbers)] = objects else { return None };
        let path = folder.path().join("image");
        let mut link = objects::example()?;
        assert!(link.args([kinds, numbers]).arg("--emit").arg(&path).status().unwrap().success());
        Some(fs::read(path).unwrap())
    };
    let Some(table) = image(&[]) else { return };
    assert!(table == image(&COMPRESSED).unwrap());
}

/// What the example makes of objects whose relocations `identity/crel.py` compressed is what ld.lld makes of them; of those
/// whose addends are in place, what it makes of the originals.
#[test]
fn they_are_linked_as_by_another_linker() {
    for tool in ["ld.lld-19", "clang-19"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let kinds = vec![source("identity/kinds.s"), source("identity/numbers.s")];
    let addends = vec![source("rel/addends.s"), source("identity/numbers.s")];
    let threads = vec![source("identity/threads.s")];
    let library = std::env::var_os("AARCH64_RELOC_ARM64").map(|path| Path::new(&path).join(LIBRARY));
    if library.is_none() {
        common::skip("AARCH64_RELOC_ARM64 is not set: source .ci/env, after .ci/setup".to_owned());
    }
    let options: [&[&str]; 3] = [&["--crel"], &["--crel", "--big-endian"], &["--crel", "--rel"]];
    let cases = options.into_iter().flat_map(|options| [(options, &addends, 51), (options, &kinds, 58)]);
    let library = library.map(|path| vec![path]);
    let cases = cases.chain([(options[0], &threads, 22)]);
    let cases = cases.chain(library.iter().flat_map(|paths| [(options[0], paths, 600), (options[2], paths, 600)]));
    for (options, paths, least) in cases {
        let Some(example) = objects::example() else { return };
        let Some(mut python) = common::require("python3") else { return };
        python.arg("-B").arg(source("identity/identity.py")).args(options);
        let output = python.arg("--link").arg(example.get_program()).args(paths).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{options:?} {paths:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
        let line = text.lines().find(|line| line.contains(" relocations of ")).unwrap();
        let count: usize = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(count >= least, "{options:?} {paths:?}: {line}");
    }
}

const LIBRARY: &str = "usr/lib/aarch64-linux-gnu/libz.a";

/// An image of ld.lld keeps them compressed.
#[test]
fn those_of_an_image_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let [object, image] = ["object.o", "image"].map(|name| folder.path().join(name));
    let Some(_) = assemble("verify/compressed.s", "aarch64-linux-gnu", &COMPRESSED, &object) else { return };
    let Some(mut lld) = common::require("ld.lld-19") else { return };
    assert!(
        lld.args(["--emit-relocs", "--no-relax", "-e", "0"])
            .arg(&object)
            .arg("-o")
            .arg(&image)
            .status()
            .unwrap()
            .success()
    );
    let Some(mut link) = objects::example() else { return };
    let output = link.arg("--verify").arg(&image).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("5 relocations verified, ") && text.contains(", 0 wrong"),
        "{text}"
    );
}

/// A table that cannot be read to its end is one line, and nothing is linked.
#[test]
fn those_that_end_too_early_are_refused() {
    let bytes = objects::read("bad/crel.o");
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let headers = (long(40)..bytes.len()).step_by(64);
    let (index, header) = (0..).zip(headers).find(|&(_, at)| bytes[at + 4..at + 8] == [0x14, 0, 0, 0x40]).unwrap();
    let mut bytes = bytes.clone();
    bytes[header + 32] -= 1;
    let folder = tempfile::tempdir().unwrap();
    let [object, image] = ["short.o", "image"].map(|name| folder.path().join(name));
    fs::write(&object, &bytes).unwrap();
    let Some(mut link) = objects::example() else { return };
    let output = link.arg(&object).arg("--emit").arg(&image).output().unwrap();
    let line = format!("section {index}, relocation 0: malformed: the compressed relocations end too early\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.ends_with(&line) && stderr.lines().count() == 1, "{stderr}");
    assert!(output.status.code() == Some(1) && !image.exists());
}
