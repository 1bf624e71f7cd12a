//! One program in three formats: objects of ELF, Mach-O and COFF are linked alike, with one another too, and from archives of
//! mixed members.
#![cfg(all(target_os = "linux", feature = "std", feature = "object", not(target_arch = "aarch64")))]

mod common;
#[allow(dead_code)]
mod objects;

use std::path::PathBuf;
use std::process::Command;

fn path(name: &str) -> PathBuf {
    objects::path("../formats").join(name)
}

/// The files of a program, and its entry where that is not `main`.
const PROGRAMS: [(&[&str], Option<&str>); 7] = [
    (&["status.elf.o", "twice.elf.o"], None),
    // Symbols of Mach-O keep their underscore.
    (&["status.macho.o", "twice.macho.o"], Some("_main")),
    (&["status.coff.obj", "twice.coff.obj"], None),
    (&["status.elf.o", "twice.coff.obj"], None),
    (&["status.coff.obj", "twice.elf.o"], None),
    (&["status.elf.o", "mixed.a"], None),
    (&["status.macho.o", "mixed.a"], Some("_main")),
];

#[test]
fn every_format_is_linked_and_runs() {
    if common::require("qemu-aarch64").is_none() {
        return;
    }
    for (names, entry) in PROGRAMS {
        let Some(mut link) = objects::example() else { return };
        link.args(entry.iter().flat_map(|entry| ["--entry", entry])).args(names.iter().map(|name| path(name)));
        let output = link.output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(42), &b""[..]), "{names:?}");
    }
}

#[test]
fn every_format_is_linked_anywhere() {
    for (names, entry) in PROGRAMS {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut link) = objects::example() else { return };
        link.args(entry.iter().flat_map(|entry| ["--entry", entry])).args(names.iter().map(|name| path(name)));
        let output = link.arg("--emit").arg(folder.path().join("image")).output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{names:?}");
    }
}

#[test]
fn the_objects_are_what_their_script_makes() {
    for tool in ["clang-19", "llvm-ar-19"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("sh").arg(path("make.sh")).arg(folder.path()).status().unwrap().success());
    let starts = ["starts.elf.o", "starts.macho.o", "starts.coff.obj"];
    for name in PROGRAMS.iter().flat_map(|(names, _)| *names).chain(&starts) {
        // Objects of COFF have the time in them that they were made at.
        let read = |path: PathBuf| {
            let mut bytes = std::fs::read(path).unwrap();
            if name.ends_with(".obj") {
                bytes[4..8].fill(0);
            }
            bytes
        };
        let is_archive = name.ends_with(".a");
        assert!(is_archive || read(folder.path().join(name)) == read(path(name)), "{name}");
    }
}
