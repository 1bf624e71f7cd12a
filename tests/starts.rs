//! What a format has run before and after a program runs, in its order.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{Failure, Input, Object, Options};
use aarch64_reloc::load::Image;
use aarch64_reloc::mem::Reservation;
use core::ffi::c_void;
use std::cell::RefCell;

thread_local! {
    static NOTES: RefCell<String> = const { RefCell::new(String::new()) };
}

extern "C" fn note(letter: i32) {
    NOTES.with_borrow_mut(|notes| notes.push(char::from(letter as u8)));
}

unsafe extern "C" {
    fn __cxa_atexit(handler: unsafe extern "C" fn(*mut c_void), argument: *mut c_void, dso: *mut c_void) -> i32;
}

/// Loads `object`, starts it, calls its function `entry` and drops it; what it noted.
fn notes<'data>(object: impl Object<'data>, entry: &str) -> String {
    let inputs = [Input { name: "starts", object }];
    let space = Reservation::new(1 << 20).unwrap();
    let resolve = &mut |name: &str| match name.trim_start_matches('_') {
        "note" => Some(Addr::new(note as *const () as u64)),
        "cxa_atexit" => Some(Addr::new(__cxa_atexit as *const () as u64)),
        _ => None,
    };
    let report = &mut |failure: &Failure<'_>| panic!("{failure}");
    let image = Image::load(&space, &inputs, &Options::default(), resolve, report).unwrap();
    // SAFETY: its code notes letters, and nothing of it outlives it.
    let image = unsafe { image.start(&[core::ptr::null()]) }.unwrap();
    // SAFETY: `run` takes nothing and returns a number.
    let run: extern "C" fn() -> i32 = unsafe { image.function(image.symbol(entry).unwrap()) }.unwrap();
    assert_eq!(run(), 42);
    drop(image);
    NOTES.take()
}

#[test]
#[cfg_attr(not(target_arch = "aarch64"), ignore = "it runs what it links, which only AArch64 can")]
fn initialisers_and_terminators_run_in_the_order_of_the_format() {
    let read = |name| std::fs::read(format!("{}/tests/formats/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(notes(Elf::parse(&read("starts.elf.o")).unwrap(), "run"), "abcrz");
    assert_eq!(notes(MachO::parse(&read("starts.macho.o")).unwrap(), "_run"), "abcrz");
    assert_eq!(notes(Coff::parse(&read("starts.coff.obj")).unwrap(), "run"), "iabcrpz");
}
