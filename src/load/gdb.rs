//! GDB's JIT interface: a list in this process of symbol files in memory, which the debugger reads (GDB's manual, "JIT
//! Compilation Interface").
//!
//! The debugger finds the list and the function that it stops in by their names, `__jit_debug_descriptor` and
//! `__jit_debug_register_code`, in the symbol table of the program, which must not be stripped.

mod file;

use super::Image;
use core::arch::global_asm;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};
use std::boxed::Box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// The head of the list, in GDB's layout.
#[derive(Debug)]
#[repr(C)]
struct Descriptor {
    _version: u32,
    action: AtomicU32,
    /// What `action` is about.
    relevant: AtomicPtr<Entry>,
    first: AtomicPtr<Entry>,
}

const NOTHING: u32 = 0;
const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// A symbol file, in GDB's layout.
#[derive(Debug)]
#[repr(C)]
struct Entry {
    next: AtomicPtr<Entry>,
    prev: AtomicPtr<Entry>,
    file: AtomicPtr<u8>,
    size: u64,
}

// Weak, which Rust has no word for: where another JIT of the program defines both, such as LLVM's linked in statically, its
// definitions are used, of the same layout.
global_asm!(
    ".pushsection .data.__jit_debug_descriptor, \"aw\", @progbits",
    ".weak __jit_debug_descriptor",
    ".type __jit_debug_descriptor, @object",
    ".size __jit_debug_descriptor, 24",
    ".balign 8",
    "__jit_debug_descriptor:",
    ".4byte 1", // the interface's version
    ".zero 20",
    ".popsection",
    ".pushsection .text.__jit_debug_register_code, \"ax\", @progbits",
    ".weak __jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    ".balign 4",
    "__jit_debug_register_code:",
    "ret",
    ".size __jit_debug_register_code, . - __jit_debug_register_code",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "__jit_debug_descriptor"]
    safe static DESCRIPTOR: Descriptor;
    /// Where the debugger stops to read the descriptor.
    #[link_name = "__jit_debug_register_code"]
    safe fn register_code();
}

/// Held by whoever reads or changes the list.
static LIST: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    // Nothing panics while the list is half changed.
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Image {
    /// Tells a debugger, through GDB's JIT interface, the names of the image's functions and data and how to unwind its
    /// frames, until the image is dropped. Before [`start`](Self::start), it knows the initialisers too.
    ///
    /// Another JIT of the program that defines the interface, such as LLVM's linked in statically, shares its list with this
    /// one, but not its lock: neither may announce while the other does. LLVM in a shared library has a list of its own, and
    /// newer versions of GDB read both.
    pub fn announce(&mut self) {
        if self.announced.is_none() {
            self.announced = Some(Announced::new(self.symbol_file()));
        }
    }
}

/// A symbol file in the list, until it is dropped.
#[derive(Debug)]
pub(super) struct Announced {
    /// From a `Box`, and owned.
    entry: AtomicPtr<Entry>,
    /// What `entry` points to.
    _file: Vec<u8>,
}

impl Announced {
    fn new(file: Vec<u8>) -> Self {
        let _list = lock();
        let first = DESCRIPTOR.first.load(Relaxed);
        let entry = Box::into_raw(Box::new(Entry {
            next: AtomicPtr::new(first),
            prev: AtomicPtr::new(ptr::null_mut()),
            file: AtomicPtr::new(file.as_ptr().cast_mut()),
            size: file.len() as u64,
        }));
        // SAFETY: what is in the list is there until `drop` takes it out, under the lock that is held here.
        if let Some(first) = unsafe { first.as_ref() } {
            first.prev.store(entry, Relaxed);
        }
        DESCRIPTOR.first.store(entry, Relaxed);
        tell(REGISTER, entry);
        Self { entry: AtomicPtr::new(entry), _file: file }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _list = lock();
        let own = *self.entry.get_mut();
        // SAFETY: from `Box::into_raw` in `new`, which nothing else gives back.
        let entry = unsafe { Box::from_raw(own) };
        let (next, prev) = (entry.next.load(Relaxed), entry.prev.load(Relaxed));
        // SAFETY: as in `new`: neighbours in the list, which is locked.
        let (after, before) = unsafe { (next.as_ref(), prev.as_ref()) };
        before.map_or(&DESCRIPTOR.first, |before| &before.next).store(next, Relaxed);
        if let Some(after) = after {
            after.prev.store(prev, Relaxed);
        }
        tell(UNREGISTER, own);
    }
}

/// Has the debugger, if there is one, read what was done to `entry`, whose list is locked.
fn tell(action: u32, entry: *mut Entry) {
    DESCRIPTOR.action.store(action, Relaxed);
    DESCRIPTOR.relevant.store(entry, Relaxed);
    register_code();
    DESCRIPTOR.action.store(NOTHING, Relaxed);
    DESCRIPTOR.relevant.store(ptr::null_mut(), Relaxed);
}
