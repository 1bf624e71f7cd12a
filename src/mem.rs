//! Memory to run what was linked: reserve, draft, seal, call.
//!
//! ```text
//! Reservation --draft()--> Draft --seal()--> Sealed --function()--> extern "C" fn
//! address space            rw- pages         final protections,     callable while
//! nothing mapped           being linked      caches clean           Sealed lives
//! ```
//!
//! Everything that comes from one [`Reservation`] lies within its range, so a reservation no longer than the reach of an
//! instruction ([`Reach::spans`](crate::arena::Reach::spans)) keeps that instruction in reach by construction. Pages are
//! writable or executable, never both, and those of one final protection lie together, so that the system's mappings do not
//! grow with the objects. Dropping a [`Draft`] or a [`Sealed`] gives its memory back.
//!
//! ```
//! use aarch64_reloc::{arena::Prot, mem::Reservation, reloc::Reloc};
//!
//! let memory = Reservation::new(1 << 30)?;
//! let draft = memory.draft();
//! let code: [u32; 3] = [0x9000_0000, 0xf940_0000, 0xd65f_03c0]; // adrp x0, . ; ldr x0, [x0] ; ret
//! let mut text = draft.place(Prot::ReadExec, &code.map(u32::to_le_bytes).concat())?;
//! let rodata = draft.place(Prot::Read, &42u64.to_ne_bytes())?;
//! text.patch(0, Reloc::ADR_PREL_PG_HI21, rodata.addr())?;
//! text.patch(4, Reloc::LDST64_ABS_LO12_NC, rodata.addr())?;
//! let entry = text.addr();
//! let code = draft.seal()?;
//! # #[cfg(target_arch = "aarch64")]
//! # {
//! // SAFETY: `code` holds an `extern "C" fn() -> u64` at `entry` and outlives the call.
//! let run: extern "C" fn() -> u64 = unsafe { code.function(entry)? };
//! assert_eq!(run(), 42);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(unsafe_code)]

mod draft;
mod error;
mod linux;
mod pages;
mod reservation;
mod sealed;

pub use draft::{Draft, Part};
pub use error::Error;
pub use linux::synchronises_cores;
pub use reservation::Reservation;
pub use sealed::Sealed;

pub use crate::function::Function;
