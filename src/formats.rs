//! The file formats, each translated at the edge into the linker's one view ([`Object`](crate::link::Object)).

pub mod elf;
