//! Memory managers for LLVM's RuntimeDyld, which MCJIT and ORC's `RTDyldObjectLinkingLayer` link with: the callbacks of
//! `LLVMCreateSimpleMCJITMemoryManager` and of
//! `LLVMOrcCreateRTDyldObjectLinkingLayerWithMCJITMemoryManagerLikeCallbacks`, over one arena.
//!
//! RuntimeDyld asks for memory section by section, and truncates whatever does not reach (LLVM issue 173269). Here all sections
//! of all objects come from one [`Reservation`](crate::mem::Reservation) that `ADRP` and `PREL32` span, so everything reaches.

mod audit;
mod context;
mod frames;
mod line;
mod live;
mod rooms;
mod scratch;

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::arena::a64r_range_facts;
use super::memory::facts;
use super::pointer::{given, hand_out, put};
use crate::arena::Prot;
use context::{Arena, Context, Refusals, Request};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;

/// One range of addresses for the sections of all objects, of any number of JITs. Any threads may use it at once. It is
/// counted: `a64r_llvm_arena_new` and `a64r_llvm_arena_retain` are each for one `a64r_llvm_arena_release`, and contexts keep
/// its memory while they live.
#[derive(Debug)]
pub struct a64r_llvm_arena(Arena);

/// The memory of one object (ORC) or of all objects of one engine (MCJIT): the `Opaque` of LLVM's callbacks. One thread at a
/// time may use it, as LLVM does.
#[derive(Debug)]
pub struct a64r_llvm_context(Context);

/// What an arena does beyond its task, to be OR-ed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_llvm_flag {
    /// Before an object's memory becomes executable, decodes every instruction that makes an address from its own: `ADRP` with
    /// the `ADD`, load or store after it, `ADR`, literal loads, branches. Each must lead into a section of the arena or right
    /// behind one, a branch into code, and an access to `.got` must be of a slot. So it finds what RuntimeDyld truncated: a
    /// reference to a symbol of the process that does not go through the GOT, in reach by luck or not at all. It takes code
    /// sections to hold code alone.
    Audit = 1,
}

/// Bytes of an arena whose length is given as 0.
pub const A64R_LLVM_LEN: usize = 0x4000_0000;

/// Bytes of an arena at the most: `PREL32`, of which `.eh_frame` is full, spans no more.
pub const A64R_LLVM_MOST: usize = 0x8000_0000;

/// Reserves an arena of `len` bytes, at most `A64R_LLVM_MOST`, or of `A64R_LLVM_LEN` if that is 0. It costs address space
/// alone until objects come. `flags` are of `a64r_llvm_flag`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_arena_new(
    len: usize,
    flags: u32,
    out: Option<&mut MaybeUninit<*mut a64r_llvm_arena>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    const AUDIT: u32 = a64r_llvm_flag::Audit as u32;
    answer(text, || {
        let out = given(out, "out")?;
        if flags & !AUDIT != 0 {
            return Err(Refused::Invalid("flags", flags.into()));
        }
        let len = if len == 0 { A64R_LLVM_LEN } else { len };
        if len > A64R_LLVM_MOST {
            return Err(Refused::TooLong(len as u64, A64R_LLVM_MOST as u64));
        }
        let arena = Arc::new(a64r_llvm_arena(Arena::new(len, flags & AUDIT != 0)?));
        put(Some(out), Arc::into_raw(arena).cast_mut())
    })
}

/// Counts one more owner of `arena` and returns it.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_arena_retain(arena: *mut a64r_llvm_arena) -> *mut a64r_llvm_arena {
    if !arena.is_null() {
        // SAFETY: the caller owns one, made by `a64r_llvm_arena_new`.
        unsafe { Arc::increment_strong_count(arena.cast_const()) };
    }
    arena
}

/// Counts one owner of `arena` less; null is nothing. The address space goes back to the system when there is neither an owner
/// nor a context.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_arena_release(arena: *mut a64r_llvm_arena) {
    if !arena.is_null() {
        // SAFETY: the caller owns one, made by `a64r_llvm_arena_new`, and owns it no more.
        unsafe { Arc::decrement_strong_count(arena.cast_const()) };
    }
}

/// Writes to `out` where the arena is and how full.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_arena_describe(
    arena: Option<&a64r_llvm_arena>,
    out: Option<&mut MaybeUninit<a64r_range_facts>>,
) -> a64r_status {
    answer(None, || put(out, facts(given(arena, "arena")?.0.reservation())))
}

/// Makes a context for `LLVMCreateSimpleMCJITMemoryManager`, which the memory manager destroys.
///
/// MCJIT has no way to hear that memory is refused: a section that is null ends the process, and the answer of finalizing is
/// not looked at. So what was refused is written to standard error as well, and its code never becomes executable.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_mcjit_context(
    arena: Option<&a64r_llvm_arena>,
    out: Option<&mut MaybeUninit<*mut a64r_llvm_context>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_llvm_context(Context::new(&given(arena, "arena")?.0, Refusals::Told)))))
}

/// `LLVMMemoryManagerCreateContextCallback`, whose `CtxCtx` is an `a64r_llvm_arena`: the memory of one object.
///
/// If the arena has no room, the object is linked in memory that never becomes executable, and finalizing it answers with an
/// error, by which its symbols fail to materialize.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_create_context(arena: *mut c_void) -> *mut c_void {
    // SAFETY: the caller gave LLVM an arena that it owns.
    let arena = unsafe { arena.cast::<a64r_llvm_arena>().as_ref() };
    let make =
        |arena: &a64r_llvm_arena| Box::into_raw(Box::new(a64r_llvm_context(Context::new(&arena.0, Refusals::Kept))));
    arena.map_or(ptr::null_mut(), make).cast()
}

/// `LLVMMemoryManagerNotifyTerminatingCallback`: releases the arena, which the layer owned.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_notify_terminating(arena: *mut c_void) {
    a64r_llvm_arena_release(arena.cast());
}

/// The context that `opaque` is.
///
/// # Safety
///
/// It is one, or null, and nobody else uses it meanwhile.
unsafe fn context<'a>(opaque: *mut c_void) -> Option<&'a mut Context> {
    // SAFETY: passed on.
    unsafe { opaque.cast::<a64r_llvm_context>().as_mut() }.map(|context| &mut context.0)
}

/// Memory for a section that LLVM asks for.
fn allocate(opaque: *mut c_void, prot: Prot, len: usize, align: c_uint, name: *const c_char) -> *mut u8 {
    // SAFETY: LLVM passes what it was given as `Opaque`, and calls from one thread at a time.
    let Some(context) = (unsafe { context(opaque) }) else { return ptr::null_mut() };
    // SAFETY: LLVM passes a C string.
    let name = if name.is_null() { c"" } else { unsafe { CStr::from_ptr(name) } };
    context.allocate(Request { prot, len, align: align.into(), name: &name.to_string_lossy() })
}

/// `LLVMMemoryManagerAllocateCodeSectionCallback`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_allocate_code(
    context: *mut c_void,
    size: usize,
    alignment: c_uint,
    section: c_uint,
    name: *const c_char,
) -> *mut u8 {
    let _ = section;
    allocate(context, Prot::ReadExec, size, alignment, name)
}

/// `LLVMMemoryManagerAllocateDataSectionCallback`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_allocate_data(
    context: *mut c_void,
    size: usize,
    alignment: c_uint,
    section: c_uint,
    name: *const c_char,
    is_read_only: c_int,
) -> *mut u8 {
    let _ = section;
    let prot = if is_read_only == 0 { Prot::ReadWrite } else { Prot::Read };
    allocate(context, prot, size, alignment, name)
}

/// `LLVMMemoryManagerFinalizeMemoryCallback`: sets the protections, cleans the caches, and answers 0; or 1, and why in
/// `message`, which LLVM frees. LLVM has registered the object's `.eh_frame` by then; of one that is refused it is
/// deregistered.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_finalize(context: *mut c_void, message: Option<&mut *mut c_char>) -> c_int {
    // SAFETY: as in `allocate`.
    let finalized = match unsafe { self::context(context) } {
        Some(context) => context.finalize(),
        None => Err(String::from("context is null")),
    };
    let Err(why) = finalized else { return 0 };
    if let Some(message) = message {
        *message = line::copy(&why);
    }
    1
}

/// `LLVMMemoryManagerDestroyCallback`: gives all memory of the context back to the arena. None of its code runs any more, and
/// its `.eh_frame` is not registered.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_llvm_destroy(context: *mut c_void) {
    if !context.is_null() {
        // SAFETY: made by `a64r_llvm_mcjit_context` or `a64r_llvm_create_context`, and destroyed once.
        drop(unsafe { Box::from_raw(context.cast::<a64r_llvm_context>()) });
    }
}
