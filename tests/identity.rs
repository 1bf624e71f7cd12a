//! The same objects at the same addresses, linked by the example, by ld.lld and by GNU ld: the images are the same to the byte.
//!
//! `identity/identity.py` says what is compared and what may differ; `identity/libraries.sh` does it for whole libraries, and
//! `identity/random_links.py` for objects and addresses at random. `AARCH64_RELOC_LINKS` is how many of those, 8 or more;
//! without it, a few.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64"), feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const TOOLS: [&str; 6] =
    ["ld.lld-19", "aarch64-linux-gnu-ld", "llvm-mc-19", "aarch64-linux-gnu-as", "clang-19", "aarch64-linux-gnu-gcc"];

/// What a script of `identity/` prints that compares links by the example; `None` where a tool is missing.
fn run(script: &str, options: &[&str], paths: &[impl AsRef<OsStr>]) -> Option<String> {
    for tool in TOOLS {
        common::require(tool)?;
    }
    let mut python = common::require("python3")?;
    let example = objects::example()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(script);
    // No cache of compiled Python in the sources' folder.
    python.arg("-B").arg(script).arg("--link").arg(example.get_program()).args(options).args(paths);
    let output = python.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{python:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

/// The numbers in the first line that has `what`.
fn numbers(text: &str, what: &str) -> Vec<usize> {
    let line = text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Relocations and kinds that were compared with `linker` in the link of `paths`; `None` where a tool is missing.
fn compare(linker: &str, paths: &[PathBuf]) -> Option<(usize, usize)> {
    let text = run("identity.py", &["--linker", linker], paths)?;
    let compared = numbers(&text, " relocations of ");
    Some((compared[0], compared[1]))
}

#[test]
fn programs_are_linked_alike() {
    for (linker, variant) in
        ["lld", "gnu"].into_iter().flat_map(|linker| objects::VARIANTS.map(|variant| (linker, variant)))
    {
        let paths = ["main", "shapes"].map(|name| objects::path(&format!("{name}-{variant}.o")));
        let Some((relocations, kinds)) = compare(linker, &paths) else { return };
        assert!(relocations > 100 && kinds >= 6, "{linker}, {variant}: {relocations} relocations of {kinds} kinds");
    }
}

#[test]
fn seldom_kinds_are_linked_alike() {
    let paths = ["kinds.s", "numbers.s"].map(|name| objects::path("../identity").join(name));
    let Some(compared) = compare("lld", &paths) else { return };
    assert_eq!(compared, (58, 42));
}

#[test]
fn thread_local_variables_are_found_alike() {
    let Some(compared) = compare("lld", &[objects::path("../identity/threads.s")]) else { return };
    assert_eq!(compared, (22, 18));
    let variants = ["clang-O2-default", "gcc-O0-default", "clang-O2-no-pic", "clang-O2-pic", "gcc-O2-desc"];
    for (linker, variant) in ["lld", "gnu"].into_iter().flat_map(|linker| variants.map(|variant| (linker, variant))) {
        let paths = ["state", "check"].map(|name| objects::path(&format!("../tls/{name}-{variant}.o")));
        let Some((relocations, kinds)) = compare(linker, &paths) else { return };
        assert!(relocations > 30 && kinds >= 5, "{linker}, {variant}: {relocations} relocations of {kinds} kinds");
    }
}

#[test]
fn libraries_are_linked_alike() {
    let Some(folder) = std::env::var_os("AARCH64_RELOC_ARM64") else {
        return common::skip("AARCH64_RELOC_ARM64 is not set: source .ci/env, after .ci/setup".to_owned());
    };
    let folder = Path::new(&folder).join("usr/lib/aarch64-linux-gnu");
    let libraries = [
        ("lld", "libz.a", 600),
        ("gnu", "libz.a", 600),
        ("lld", "liblua5.4.a", 5000),
        ("lld", "/usr/aarch64-linux-gnu/lib/libm.a", 5000),
    ];
    for (linker, library, least) in libraries {
        let Some((relocations, kinds)) = compare(linker, &[folder.join(library)]) else { return };
        assert!(relocations > least && kinds >= 6, "{linker}, {library}: {relocations} relocations of {kinds} kinds");
    }
}

/// Links of `count` seeds, each by both linkers: relocations and kinds that were compared.
fn compare_random(from: &str, count: usize) -> Option<(usize, usize)> {
    let seeds = format!("0-{count}");
    let text = run("random_links.py", &["--from", from, "--seeds", &seeds], &[] as &[&str])?;
    let compared = numbers(&text, " kinds in all");
    Some((compared[0], compared[1]))
}

fn links(few: usize) -> usize {
    std::env::var("AARCH64_RELOC_LINKS").map_or(few, |text| text.parse().unwrap())
}

#[test]
fn random_objects_are_linked_alike() {
    let count = links(8);
    let Some((relocations, kinds)) = compare_random("assembler", count) else { return };
    // Of 103 that one linker or the other applies.
    assert!(relocations > 400 * count && kinds > 90, "{relocations} relocations of {kinds} kinds");
}

#[test]
fn random_programs_are_linked_alike() {
    let count = links(4);
    let Some((relocations, kinds)) = compare_random("compilers", count) else { return };
    assert!(relocations > 200 * count && kinds > 15, "{relocations} relocations of {kinds} kinds");
}
