#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
// Floors: an import goes down this list, never up (`tests/floors.rs` checks it).

#[cfg(feature = "object")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

// Floor 0: facts.
pub mod addr;
pub mod insn;

// Floor 1: tables and arithmetic.
pub mod arena;
#[cfg(feature = "link")]
mod prefetch;
pub mod reloc;
mod slots;

// Floor 2: bytes.
pub mod patch;

// Floor 3: ledgers, and the verdict on what was linked.
pub mod got;
pub mod veneer;
pub mod verify;

// Floor 4: whole objects.
#[cfg(feature = "link")]
pub mod formats;
#[cfg(feature = "link")]
pub mod link;

// Floor 5: the machine.
pub mod cache;
#[cfg(any(feature = "link", all(feature = "std", target_os = "linux")))]
mod function;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod mem;

// Floor 6: running what was linked; the C face.
#[cfg(all(feature = "capi", target_os = "linux"))]
mod capi;
#[cfg(feature = "link")]
pub mod install;
#[cfg(all(feature = "std", feature = "link", target_os = "linux"))]
pub mod load;

pub use addr::Addr;
pub use arena::{Arena, PageSize, Prot, Reach};
pub use got::{Got, Symbol};
pub use patch::{Endian, Failures, Fixup, PatchError, Section};
pub use reloc::{Reason, Reloc, Slot, Value};
pub use veneer::Island;
