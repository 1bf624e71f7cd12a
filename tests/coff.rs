//! COFF objects: each of the reader's errors is reached, what it reads is linked as lld-link does, and what was changed at
//! random is no danger.
#![cfg(all(feature = "std", feature = "object"))]

mod common;
#[path = "coff/file.rs"]
mod file;
#[path = "coff/identity.rs"]
mod identity;
#[path = "common/random.rs"]
mod numbers;
#[path = "coff/random.rs"]
mod random;
#[path = "coff/reader.rs"]
mod reader;
#[path = "common/texts.rs"]
mod texts;

/// The prebuilt files of `coff/make.sh`.
mod objects {
    pub fn read(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coff").join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
