//! Thread-local storage: programs of `tls/*.c` in this process and as images, and the words of ld.lld and GNU ld.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

#[cfg(not(target_arch = "aarch64"))]
mod common;
#[allow(dead_code)]
mod objects;
#[path = "tls/rows.rs"]
mod rows;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Failure, Input};
use std::path::PathBuf;

/// Compiled so that they run in any process: by descriptors, or by calls of `__tls_get_addr`.
const PIC: [&str; 7] =
    ["clang-O0-pic", "clang-O2-pic", "clang-O2-local", "gcc-O0-trad", "gcc-O2-trad", "gcc-O0-desc", "gcc-O2-desc"];

/// Compiled with the options that compilers take by themselves, and for what is at a fixed address.
const FIXED: [&str; 6] =
    ["clang-O0-default", "clang-O2-default", "gcc-O0-default", "gcc-O2-default", "clang-O2-no-pic", "gcc-O2-no-pic"];

fn path(name: &str) -> PathBuf {
    objects::path("../tls").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn images_of_one_thread_run() {
    let Some(mut qemu) = common::require("qemu-aarch64") else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    qemu.arg(&image);
    for variant in PIC.into_iter().chain(FIXED) {
        let Some(mut link) = objects::example() else { return };
        let paths = ["single", "state", "check"].map(|source| path(&format!("{source}-{variant}.o")));
        let output = link.arg("--emit").arg(&image).args(paths).output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{variant}");
        assert_eq!(qemu.status().unwrap().code(), Some(0), "{variant}: the status is a line of check.c");
    }
}

mod in_memory {
    use super::*;
    use aarch64_reloc::link::{Cause, Options};
    use aarch64_reloc::load::{Image, LoadError};
    use aarch64_reloc::mem::Reservation;

    /// Loads objects of this folder into this process, which has what they want of the C library.
    pub fn load(names: &[String]) -> Result<Image, Vec<String>> {
        let files: Vec<Vec<u8>> = names.iter().map(|name| read(name)).collect();
        let inputs: Vec<_> = names
            .iter()
            .zip(&files)
            .map(|(name, file)| Input { name: name.as_str(), object: Elf::parse(file).unwrap() })
            .collect();
        let reservation = Reservation::new(1 << 24).unwrap();
        let process = libloading::os::unix::Library::this();
        let mut resolve = |name: &str| {
            // SAFETY: only the address is taken.
            let symbol = unsafe { process.get::<*const ()>(name) }.ok()?;
            Some(Addr::new(symbol.into_raw() as u64))
        };
        let mut lines = Vec::new();
        let report = &mut |failure: &Failure<'_>| {
            assert!(matches!(failure.cause, Cause::FixedOffset(_)), "{failure}");
            lines.push(failure.to_string());
        };
        let image = Image::load(&reservation, &inputs, &Options::default(), &mut resolve, report);
        image.map_err(|error| {
            assert!(matches!(error, LoadError::Plan(_)), "{error}");
            lines
        })
    }

    pub fn names(sources: &[&str], variant: &str) -> Vec<String> {
        sources.iter().map(|source| format!("{source}-{variant}.o")).collect()
    }

    #[test]
    fn code_for_a_fixed_offset_is_refused_in_a_process() {
        for variant in FIXED {
            let lines = load(&names(&["single", "state", "check"], variant)).unwrap_err();
            let remedy = "needs a variable at a fixed offset from the thread pointer, and there is none in a running \
                          process; recompile with -fPIC (symbol '";
            assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(remedy)), "{lines:?}");
        }
    }

    #[test]
    fn a_block_of_4_gib_is_refused() {
        let file = read("huge.o");
        let inputs = [Input { name: "huge.o", object: Elf::parse(&file).unwrap() }];
        let reservation = Reservation::new(1 << 34).unwrap();
        let image = Image::load(&reservation, &inputs, &Options::default(), &mut |_| None, &mut |_| {});
        let error = image.unwrap_err();
        assert!(matches!(error, LoadError::ThreadLocal { size: 0x1_0000_0000, align: 1 }), "{error}");
        let line = "thread-local storage of 0x100000000 bytes at a multiple of 0x1 is too large";
        assert_eq!(error.to_string(), line);
    }

    #[test]
    fn no_address_stands_for_all_threads() {
        let image = load(&names(&["state", "check"], "clang-O2-pic")).unwrap();
        assert_eq!((image.symbol("counter"), image.threads()), (None, 0));
        assert!(image.symbol("check").is_some());
    }
}

#[cfg(target_arch = "aarch64")]
mod in_process {
    use super::in_memory::{load, names};
    use super::*;
    use aarch64_reloc::load::Image;
    use std::cell::Cell;
    use std::sync::Barrier;
    use std::sync::mpsc::{Sender, channel};

    type Check = extern "C" fn(i32) -> i32;

    fn check(image: &Image) -> Check {
        // SAFETY: check.c has it, and no caller here keeps it longer than its image.
        unsafe { image.function(image.symbol("check").unwrap()) }.unwrap()
    }

    #[test]
    fn four_threads_have_variables_of_their_own() {
        for variant in PIC {
            let image = load(&names(&["threads", "state", "check"], variant)).unwrap();
            // SAFETY: threads.c has it, and the image lives until it has returned.
            let main: extern "C" fn() -> i32 = unsafe { image.function(image.symbol("main").unwrap()) }.unwrap();
            assert_eq!(main(), 0, "{variant}: the status is a line of check.c, or a sum of them");
            // The four are over; this one is not.
            assert_eq!(image.threads(), 1, "{variant}");
        }
    }

    #[test]
    fn blocks_go_with_their_threads() {
        for variant in PIC {
            let image = load(&names(&["state", "check"], variant)).unwrap();
            let check = check(&image);
            for round in 0..8 {
                let all = Barrier::new(33);
                std::thread::scope(|scope| {
                    for number in 0..32 {
                        let all = &all;
                        scope.spawn(move || {
                            assert_eq!(check(round * 100 + number), 0, "{variant}");
                            all.wait();
                            all.wait();
                        });
                    }
                    all.wait();
                    assert_eq!(image.threads(), 32);
                    all.wait();
                });
                // A scope ends before its threads' destructors.
                while image.threads() > 0 {
                    std::thread::yield_now();
                }
            }
        }
    }

    #[test]
    fn images_have_blocks_of_their_own() {
        // Two at once, each thread going from one to the other; then others, in a thread that remembers those.
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for round in 0..50 {
                        let images = ["clang-O2-pic", "gcc-O2-trad"]
                            .map(|variant| load(&names(&["state", "check"], variant)).unwrap());
                        for image in &images {
                            assert_eq!(check(image)(thread * 100 + round), 0);
                            assert_eq!(image.threads(), 1);
                        }
                        let bumps = images.each_ref().map(|image| -> extern "C" fn(i32) -> i32 {
                            // SAFETY: state.c has it, and the image outlives the calls.
                            unsafe { image.function(image.symbol("bump").unwrap()) }.unwrap()
                        });
                        for _ in 0..10 {
                            assert_eq!(bumps.map(|bump| bump(1)), [0, 0]);
                        }
                    }
                });
            }
        });
    }

    /// Calls `check` twice when its thread ends.
    struct Late(Check, Sender<[i32; 2]>);

    impl Drop for Late {
        fn drop(&mut self) {
            self.1.send([self.0(1), self.0(2)]).unwrap();
        }
    }

    thread_local! {
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }

    #[test]
    fn what_runs_after_a_threads_blocks_are_gone_has_one_again() {
        for variant in PIC {
            let image = load(&names(&["state", "check"], variant)).unwrap();
            let check = check(&image);
            let (sender, receiver) = channel();
            let thread = std::thread::spawn(move || {
                // Destructors run from the last to the first.
                LATE.set(Some(Late(check, sender)));
                assert_eq!(check(0), 0);
            });
            thread.join().unwrap();
            let [first, second] = receiver.recv().unwrap();
            // What is new at first is not at the second call.
            assert!(first == 0 && second != 0, "{variant}: lines {first} and {second} of check.c");
            assert_eq!(image.threads(), 1);
        }
    }

    #[test]
    fn a_descriptor_changes_x0_and_x30_alone() {
        let image = load(&["keep.o".to_owned()]).unwrap();
        // SAFETY: keep.s has it; it reads and writes as many words, and the image outlives the calls.
        let keep: extern "C" fn(*const u64, *mut u64) -> u64 =
            unsafe { image.function(image.symbol("keep").unwrap()) }.unwrap();
        // Every flag, and exceptions that were raised: IOC to IXC, IDC and QC (Arm ARM, "FPSR").
        for (nzcv, fpsr) in [(0xa000_0000, 0x0800_0095), (0x5000_0000, 0x1a), (0xf000_0000, 0), (0, 0x0800_009f)] {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut before: [u64; 95] =
                        std::array::from_fn(|at| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    (before[92], before[93], before[94]) = (nzcv, fpsr, 0);
                    // At first the thread has no block of this image; then it is the last that it used.
                    for _ in 0..2 {
                        let mut after = [!0; 95];
                        assert_eq!(keep(before.as_ptr(), after.as_mut_ptr()), 0x0123_4567_89ab_cdef);
                        assert_eq!(after, before);
                    }
                });
            });
        }
    }
}
