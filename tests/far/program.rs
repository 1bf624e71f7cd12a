//! The C program of `tests/objects` with nothing in reach of its text.

use crate::linked::{File, files, link};
use crate::objects::VARIANTS;
use crate::{DISTANCES, TEXT};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::link::{Options, Pin, Request, Summary};

/// The program, compiled in this way.
fn program(variant: &str) -> Vec<File> {
    files("objects", &[format!("main-{variant}.o"), format!("shapes-{variant}.o")])
}

/// The names of the output sections that `files` have something in.
fn outputs(files: &[File]) -> Vec<String> {
    let mut next = TEXT;
    let place = |request: &Request| {
        let addr = Addr::new(next);
        next = addr.at(request.size as usize).align_up(1 << 16).get();
        Ok::<_, ()>(addr)
    };
    let linked = link(files, &Options::default(), &|_| Some(Addr::new(TEXT)), place);
    let mut outputs = linked.unwrap_or_else(|refusals| panic!("{refusals:#?}")).outputs;
    outputs.retain(|name| name != ".plt");
    outputs
}

/// Where everything is put.
#[derive(Clone, Copy, Debug)]
struct Spread {
    text: u64,
    distance: u64,
    /// The end of the address space.
    end: u64,
}

impl Spread {
    /// Pins every output section that is not text at a multiple of the distance from there; where there is no further
    /// multiple, 5 GiB from another one.
    fn pins(self, names: &[String]) -> Vec<Pin<'_>> {
        let multiples = (self.end - 1) / self.distance;
        let mut others = 0..;
        let mut away = |name: &str| match name {
            ".text" => 0,
            // Its PREL32 are data, which nothing brings further than 2 GiB.
            ".eh_frame" => 1 << 30,
            _ => others.next().map_or(0, |nth| (1 + nth % multiples) * self.distance + nth / multiples * (5 << 30)),
        };
        names.iter().map(|section| Pin { section, addr: Addr::new(self.text + away(section)) }).collect()
    }
}

/// Everything that is not text is reached by detours, the library by veneers.
fn check(summary: Summary, name: &str) {
    let rungs = summary.rungs;
    assert!(rungs.detour > 20 && rungs.detour == summary.detours, "{name}: {summary}");
    assert!(rungs.veneer >= summary.veneers && summary.veneers >= 7, "{name}: {summary}");
}

#[test]
fn every_program_is_linked_far_from_itself() {
    for variant in VARIANTS {
        let files = program(variant);
        let names = outputs(&files);
        for distance in DISTANCES {
            let pins = Spread { text: TEXT, distance, end: 1 << 47 }.pins(&names);
            let options = Options { pins: &pins, ..Options::default() };
            // The library is far from everything, too; what a program may do without, no library has.
            let resolve = |name: &str| (!name.ends_with("nowhere")).then_some(Addr::new(0x7fff_0000_0000));
            let linked = link(&files, &options, &resolve, |_| Ok::<_, ()>(Addr::new(0x1_0000)));
            let linked = linked.unwrap_or_else(|refusals| panic!("{variant}: {refusals:#?}"));
            check(linked.summary, variant);
        }
    }
}

/// What needs no library, in an image of its own.
#[test]
#[cfg(not(target_arch = "aarch64"))]
fn programs_run_from_far_segments() {
    if crate::common::require("qemu-aarch64").is_none() {
        return;
    }
    for variant in VARIANTS {
        let hello = files("objects", &[format!("hello-{variant}.o")]);
        let names = outputs(&hello);
        for distance in DISTANCES {
            let Some(mut link) = crate::objects::example() else { return };
            // qemu maps an image, and all that lies between, as one range.
            for pin in (Spread { text: TEXT, distance, end: 1 << 46 }).pins(&names) {
                link.arg("--place").arg(format!("{}={}", pin.section, pin.addr));
            }
            let output = link.arg(crate::objects::path(&format!("hello-{variant}.o"))).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(printed, "6 + 7 = 13\n6 * 7 = 42\nevery relocation applied\n", "{variant}: {errors}");
            assert_eq!(output.status.code(), Some(0), "{variant}: {errors}");
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod in_process {
    use super::*;
    use crate::linked::load;
    use crate::output::{Main, output_of};
    use libloading::os::unix::Library;

    #[test]
    fn every_program_prints_the_same_from_afar() {
        let expected = String::from_utf8(crate::objects::read("expected.txt")).unwrap();
        let process = Library::this();
        // SAFETY: only the address is taken.
        let symbol = |name: &str| Some(unsafe { process.get::<*const ()>(name) }.ok()?.into_raw() as u64);
        for variant in VARIANTS {
            let files = program(variant);
            let names = outputs(&files);
            for distance in DISTANCES {
                let spreads = (0..64).map(|nth| Spread { text: TEXT + (nth << 26), distance, end: 1 << 47 });
                let pins = |spread: &Spread| spread.pins(&names);
                let (image, _) = load(&files, aarch64_reloc::link::Policy::ALL, spreads, pins, |_, name| {
                    symbol(name).map(Addr::new)
                });
                check(image.summary(), variant);
                // SAFETY: the objects define `main`, and `image` lives until it has returned.
                let main: Main = unsafe { image.function(image.symbol("main").unwrap()) }.unwrap();
                let output = output_of(main, &["program", "one", "two words"]);
                assert_eq!(output, expected, "{variant}, {distance:#x}");
            }
        }
    }
}
