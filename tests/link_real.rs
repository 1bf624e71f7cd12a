//! Whole programs, as clang and gcc compile them: linked here, they print what they print when the system links them.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

#[cfg(not(target_arch = "aarch64"))]
mod common;
#[allow(dead_code)]
mod objects;
#[cfg(target_arch = "aarch64")]
#[path = "common/output.rs"]
mod output;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Failure, Input, Options, Plan, Storage, measure};
use objects::VARIANTS;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

/// Both objects of the program, each with the way it was compiled.
fn pairs() -> impl Iterator<Item = [String; 2]> {
    let alike = VARIANTS.into_iter().map(|variant| [variant, variant]);
    // Whoever compiled one half, anybody may have compiled the other.
    let mixed = VARIANTS.into_iter().zip(VARIANTS.into_iter().rev()).map(|(a, b)| [a, b]);
    alike.chain(mixed).map(|[main, shapes]| [format!("main-{main}.o"), format!("shapes-{shapes}.o")])
}

/// Relocations and slots of the program in `folder`, planned with the C library out of every call's reach.
fn plan(folder: &Path, names: &[String; 2]) -> (usize, usize) {
    // Code that is not position independent may refer to the library's data without the GOT.
    let in_reach_of_adrp = names.iter().any(|name| name.contains("no-pic"));
    let library = if in_reach_of_adrp { 0xc000_0000 } else { 0xffff_8000_0000_0000 };
    let files = names.each_ref().map(|name| fs::read(folder.join(name)).unwrap());
    let inputs = [0, 1].map(|at| Input { name: &names[at], object: Elf::parse(&files[at]).unwrap() });
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut next = 0x40_0000;
    let place = |request: &aarch64_reloc::link::Request| {
        let addr = next;
        next = (next + request.size).next_multiple_of(0x1000);
        Ok::<_, Infallible>(Addr::new(addr))
    };
    let mut lines = Vec::new();
    // What a program may do without, no library has.
    let mut resolve = |name: &str| (!name.ends_with("nowhere")).then_some(Addr::new(library));
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let options = Options::default();
    let plan = Plan::new(&inputs, &options, storage.lend(), &mut resolve, aarch64_reloc::link::each(place), report);
    let summary = plan.map(|plan| plan.summary());
    let summary = summary.unwrap_or_else(|_| panic!("{names:?}:\n{}", lines.join("\n")));
    (summary.relocations, summary.slots)
}

#[test]
fn every_program_is_planned_far_from_its_library() {
    for names in pairs() {
        let (relocations, slots) = plan(&objects::path(""), &names);
        // A slot for each function of the library that is called: printf, vprintf, qsort and more.
        assert!(relocations > 100 && slots >= 7, "{names:?}: {relocations} relocations, {slots} slots");
    }
}

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn the_objects_are_what_their_script_makes() {
    for tool in ["clang-19", "aarch64-linux-gnu-gcc", "qemu-aarch64"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let status = std::process::Command::new(objects::path("make.sh")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    // The compilers' versions decide the bytes, but not what the program prints, nor that it can be linked.
    assert_eq!(
        fs::read_to_string(folder.path().join("expected.txt")).unwrap(),
        fs::read_to_string(objects::path("expected.txt")).unwrap()
    );
    for names in pairs() {
        plan(folder.path(), &names);
    }
}

#[test]
fn what_needs_no_library_runs_from_an_image() {
    #[cfg(not(target_arch = "aarch64"))]
    if common::require("qemu-aarch64").is_none() {
        return;
    }
    for variant in VARIANTS {
        let Some(mut link) = objects::example() else { return };
        let output = link.arg(objects::path(&format!("hello-{variant}.o"))).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, "6 + 7 = 13\n6 * 7 = 42\nevery relocation applied\n", "{variant}");
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{variant}");
    }
}

#[cfg(target_arch = "aarch64")]
mod in_process {
    use super::*;
    use aarch64_reloc::load::Image;
    use aarch64_reloc::mem::Reservation;
    use libloading::os::unix::Library;
    use output::{Main, output_of};

    /// Links two objects into this process, the library's functions from the process itself, and runs them.
    fn run(names: &[String; 2]) -> String {
        let files = names.each_ref().map(|name| objects::read(name));
        let inputs = [0, 1].map(|at| Input { name: &names[at], object: Elf::parse(&files[at]).unwrap() });
        let reservation = Reservation::new(1 << 24).unwrap();
        let process = Library::this();
        let mut resolve = |name: &str| {
            // SAFETY: only the address is taken.
            let symbol = unsafe { process.get::<*const ()>(name) }.ok()?;
            Some(Addr::new(symbol.into_raw() as u64))
        };
        let mut lines = Vec::new();
        let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
        let image = Image::load(&reservation, &inputs, &Options::default(), &mut resolve, report);
        let image = image.unwrap_or_else(|error| panic!("{names:?}: {error}\n{}", lines.join("\n")));
        // SAFETY: the objects define `main`, and `image` lives until it has returned.
        let main: Main = unsafe { image.function(image.symbol("main").unwrap()) }.unwrap();
        output_of(main, &["program", "one", "two words"])
    }

    #[test]
    fn every_program_prints_what_the_systems_linker_makes_it_print() {
        let expected = String::from_utf8(objects::read("expected.txt")).unwrap();
        for names in pairs() {
            assert_eq!(run(&names), expected, "{names:?}");
        }
    }
}
