//! The memory of one object, or of one engine's objects one after another.

use super::audit::Audit;
use super::frames;
use super::live::{Kind, Live, Sections};
use super::rooms::Rooms;
use super::scratch::Scratch;
use crate::addr::Addr;
use crate::arena::Prot;
use crate::mem::{Draft, Error, Part, Reservation, Sealed};
use core::ptr;
use std::format;
use std::io::Write as _;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// What LLVM gets where it asks for no alignment, as of its own `SectionMemoryManager`.
const ALIGN: u64 = 16;

/// A range that all sections come from.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    reservation: Reservation,
    sections: Arc<Mutex<Sections>>,
    audits: bool,
}

impl Arena {
    pub(super) fn new(len: usize, audits: bool) -> Result<Self, Error> {
        Ok(Self { reservation: Reservation::new(len)?, sections: Arc::default(), audits })
    }

    pub(super) fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    fn sections(&self) -> MutexGuard<'_, Sections> {
        // A panic under the lock is one of allocation, before the sections changed.
        self.sections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusals {
    /// It is what finalizing answers; until then the object is linked in scratch memory.
    Kept,
    /// It is written to standard error at once, and there is no memory.
    Told,
}

/// A section that LLVM asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// What its memory will be once finalized.
    pub(super) prot: Prot,
    /// Bytes.
    pub(super) len: usize,
    /// What its address is a multiple of, in bytes; 0 where LLVM does not mind.
    pub(super) align: u64,
    pub(super) name: &'a str,
}

/// Memory that is finalized as LLVM says, as often as it says.
#[derive(Debug)]
pub(super) struct Context {
    arena: Arena,
    refusals: Refusals,
    /// What was allocated since memory was last finalized.
    draft: Option<Draft>,
    rooms: Rooms,
    pending: Vec<Live>,
    frames: Vec<Addr>,
    /// Why something was refused since then: all of it will be.
    refused: Option<String>,
    scratch: Scratch,
    sealed: Vec<Sealed>,
    /// The sections in `sealed`.
    live: Vec<Live>,
}

impl Context {
    pub(super) fn new(arena: &Arena, refusals: Refusals) -> Self {
        Self {
            arena: arena.clone(),
            refusals,
            draft: None,
            rooms: Rooms::default(),
            pending: Vec::new(),
            frames: Vec::new(),
            refused: None,
            scratch: Scratch::default(),
            sealed: Vec::new(),
            live: Vec::new(),
        }
    }

    /// The first byte of zeros for `request`, until the context is dropped; null where there is no memory at all, and for MCJIT
    /// wherever the arena has none.
    pub(super) fn allocate(&mut self, request: Request<'_>) -> *mut u8 {
        let request = match request.align {
            0 => Request { align: ALIGN, ..request },
            _ => request,
        };
        if self.refused.is_none() {
            match self.place(request) {
                Ok(addr) => return pointer(addr),
                Err(error) => self.refuse(format!("section {} of {:#x} bytes: {error}", request.name, request.len)),
            }
        }
        if self.refusals == Refusals::Told {
            return ptr::null_mut();
        }
        let Some(start) = self.scratch.take(request.len, request.align) else {
            // There is no other way left, either.
            self.refused.as_deref().map(tell);
            return ptr::null_mut();
        };
        self.remember_frames(request, Addr::new(start.expose_provenance() as u64));
        start
    }

    fn place(&mut self, request: Request<'_>) -> Result<Addr, Error> {
        let Request { prot, len, align, name } = request;
        let bytes = len.max(1) as u64;
        if !align.is_power_of_two() {
            return Err(Error::Alignment { align });
        }
        let addr = match self.rooms.take(prot, bytes, align) {
            Some(addr) => addr,
            None => {
                let draft = self.draft.get_or_insert_with(|| self.arena.reservation.draft());
                // One section a part.
                let addr = draft.alloc_run(&[Part { prot, len, align }])?.swap_remove(0).addr();
                self.rooms.leave(prot, addr, bytes, self.arena.reservation.page().bytes());
                addr
            }
        };
        let section = Live { addr, len: bytes, kind: Kind::of(prot, name) };
        self.pending.push(section);
        self.arena.sections().add(section);
        self.remember_frames(request, addr);
        Ok(addr)
    }

    fn remember_frames(&mut self, request: Request<'_>, addr: Addr) {
        // A table has a length at least.
        if request.name == ".eh_frame" && request.len >= 4 {
            self.frames.push(addr);
        }
    }

    /// Makes what was allocated since last time what it was asked for as.
    ///
    /// # Errors
    ///
    /// What was refused, one line. None of it is executable then, nor has it unwind tables.
    pub(super) fn finalize(&mut self) -> Result<(), String> {
        if self.refused.is_none() && self.arena.audits {
            let sections = self.arena.sections();
            // SAFETY: LLVM has written all of it, and no other thread does.
            let found = self.pending.iter().find_map(|section| unsafe { Audit::new(&sections, *section) }.wrong());
            drop(sections);
            if let Some(wrong) = found {
                self.refuse(format!("{wrong}"));
            }
        }
        if self.refused.is_none() {
            self.seal();
        }
        let Some(why) = &self.refused else { return Ok(()) };
        for start in self.frames.drain(..) {
            // SAFETY: an `.eh_frame` that LLVM asked for, in memory that was not sealed.
            unsafe { frames::forget(start) };
        }
        Err(why.clone())
    }

    fn seal(&mut self) {
        match self.draft.take().map(Draft::seal_or_keep) {
            Some(Err((draft, error))) => {
                if draft.is_none() {
                    // They are gone, and a table of zeros, as which they read, has no frames.
                    self.frames.clear();
                }
                self.draft = draft;
                self.refuse(format!("{error}"));
                return;
            }
            Some(Ok(sealed)) => self.sealed.push(sealed),
            None => {}
        }
        self.rooms = Rooms::default();
        self.frames.clear();
        self.live.append(&mut self.pending);
    }

    fn refuse(&mut self, why: String) {
        if self.refusals == Refusals::Told {
            tell(&why);
        }
        self.refused = Some(why);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut sections = self.arena.sections();
        for section in self.live.iter().chain(&self.pending) {
            sections.remove(section.addr);
        }
    }
}

/// The pointer to an address of the arena.
fn pointer(addr: Addr) -> *mut u8 {
    ptr::with_exposed_provenance_mut(addr.get() as usize)
}

/// Writes `why` to standard error, for want of a better way.
fn tell(why: &str) {
    // Nothing can be done if there is none.
    let _ = writeln!(std::io::stderr(), "aarch64-reloc: {why}");
}
