//! The file formats, each translated at the edge into the linker's one view ([`Object`](crate::link::Object)).

#[cfg(feature = "object")]
pub mod archive;
mod ascii;
#[cfg(feature = "object")]
pub mod coff;
mod crel;
pub mod detect;
pub(crate) mod dynamic;
pub mod elf;
mod file;
mod frames;
pub mod image;
#[cfg(feature = "object")]
pub mod macho;
mod records;
mod relocations;
#[cfg(feature = "object")]
pub mod select;
mod strings;
