//! The same objects at the same addresses, linked by the example and by ld.lld: the images are the same to the byte.
//!
//! `identity/identity.py` says what is compared and what may differ; `identity/long.sh` does it for whole libraries.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64"), feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use std::path::{Path, PathBuf};

/// Relocations and kinds that were compared in the link of `paths`; `None` where a tool is missing.
fn compare(paths: &[PathBuf]) -> Option<(usize, usize)> {
    for tool in ["ld.lld-19", "clang-19"] {
        common::require(tool)?;
    }
    let mut python = common::require("python3")?;
    let example = objects::example()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity/identity.py");
    // No cache of compiled Python in the sources' folder.
    python.arg("-B").arg(script).arg("--link").arg(example.get_program()).args(paths);
    let output = python.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{paths:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.contains(" relocations of ")).unwrap();
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    Some((numbers.next().unwrap(), numbers.next().unwrap()))
}

#[test]
fn programs_are_linked_alike() {
    for variant in objects::VARIANTS {
        let paths = ["main", "shapes"].map(|name| objects::path(&format!("{name}-{variant}.o")));
        let Some((relocations, kinds)) = compare(&paths) else { return };
        assert!(relocations > 100 && kinds >= 6, "{variant}: {relocations} relocations of {kinds} kinds");
    }
}

#[test]
fn seldom_kinds_are_linked_alike() {
    let paths = ["kinds.s", "numbers.s"].map(|name| objects::path("../identity").join(name));
    let Some(compared) = compare(&paths) else { return };
    assert_eq!(compared, (58, 42));
}

#[test]
fn thread_local_variables_are_found_alike() {
    let Some(compared) = compare(&[objects::path("../identity/threads.s")]) else { return };
    assert_eq!(compared, (22, 18));
    for variant in ["clang-O2-default", "gcc-O0-default", "clang-O2-no-pic", "clang-O2-pic", "gcc-O2-desc"] {
        let paths = ["state", "check"].map(|name| objects::path(&format!("../tls/{name}-{variant}.o")));
        let Some((relocations, kinds)) = compare(&paths) else { return };
        assert!(relocations > 30 && kinds >= 5, "{variant}: {relocations} relocations of {kinds} kinds");
    }
}

#[test]
fn libraries_are_linked_alike() {
    let Some(folder) = std::env::var_os("AARCH64_RELOC_ARM64") else {
        return common::skip("AARCH64_RELOC_ARM64 is not set: source .ci/env, after .ci/setup".to_owned());
    };
    let folder = Path::new(&folder).join("usr/lib/aarch64-linux-gnu");
    let libraries = [("libz.a", 600), ("liblua5.4.a", 5000), ("/usr/aarch64-linux-gnu/lib/libm.a", 5000)];
    for (library, least) in libraries {
        let Some((relocations, kinds)) = compare(&[folder.join(library)]) else { return };
        assert!(relocations > least && kinds >= 6, "{library}: {relocations} relocations of {kinds} kinds");
    }
}
