//! Thread-local storage of images: a block for each thread that touches it, made when it first does (SYSVABI64, "Dynamic
//! thread-local storage").
//!
//! ```text
//! descriptor -> the thread's last block      changes x0 and x30 alone
//!                 | of another image
//!                 v
//!               the thread's blocks
//!                 | none yet
//!                 v
//!               the images, and all blocks   under a lock
//! ```
//!
//! A block is given back when its thread ends or its image is dropped, whichever is first. What still runs in a thread after
//! its blocks are gone, such as a destructor, gets a new one, which stays until the image is dropped.

#[cfg(target_arch = "aarch64")]
mod descriptor;

use super::LoadError;
use crate::addr::Addr;
use crate::link::{Template, Tls};
use core::cell::Cell;
use core::ptr;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::process::abort;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// The number of an image, which is its own; dropping it gives the blocks of all threads back.
#[derive(Debug)]
pub(super) struct Module {
    number: u32,
}

/// All images that have thread-local storage.
static MODULES: Mutex<Modules> = Mutex::new(Modules { last: 0, blocks: BTreeMap::new() });

#[derive(Debug)]
struct Modules {
    /// No number is given twice: a thread may remember the block of an image that is gone.
    last: u32,
    blocks: BTreeMap<u32, Blocks>,
}

/// The blocks of an image.
#[derive(Debug)]
struct Blocks {
    /// What a block begins as; zeros follow.
    bytes: Vec<u8>,
    layout: Layout,
    /// By the addresses of what their threads remember.
    by_thread: BTreeMap<usize, Block>,
}

#[derive(Clone, Copy, Debug)]
struct Block(*mut u8);

// SAFETY: the memory is the heap's, and only its thread uses it.
unsafe impl Send for Block {}

fn modules() -> MutexGuard<'static, Modules> {
    // A panic under the lock is one of allocation, before anything changed.
    MODULES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Module {
    /// A new one; without a number once there have been 2^32 - 1.
    pub(super) fn new() -> Self {
        let mut modules = modules();
        let number = modules.last.checked_add(1).unwrap_or(0);
        modules.last = modules.last.max(number);
        Self { number }
    }

    /// What its variables are linked by. An argument of a descriptor has the number in its upper half, the offset below.
    pub(super) fn tls(&self) -> Tls<'static> {
        match u64::from(self.number) {
            0 => Tls::Refused,
            module => Tls::Dynamic { module, resolver: resolver(), argument: module << 32 },
        }
    }

    /// Lets threads have blocks that begin as `template`, with `bytes`.
    pub(super) fn open(&self, template: Template, bytes: Vec<u8>) -> Result<(), LoadError> {
        let Template { size, align, .. } = template;
        let layout = u32::try_from(size).ok().and_then(|size| {
            // An argument has 32 bits for an offset.
            Layout::from_size_align(size as usize, usize::try_from(align).ok()?).ok()
        });
        let layout = layout.ok_or(LoadError::ThreadLocal { size, align })?;
        let blocks = Blocks { bytes, layout, by_thread: BTreeMap::new() };
        modules().blocks.insert(self.number, blocks);
        Ok(())
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> usize {
        modules().blocks.get(&self.number).map_or(0, |blocks| blocks.by_thread.len())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let gone = modules().blocks.remove(&self.number);
        drop(gone);
    }
}

impl Blocks {
    /// A new block, for a thread that has none.
    fn make(&mut self, thread: usize) -> Block {
        // SAFETY: no template is empty.
        let start = unsafe { alloc(self.layout) };
        if start.is_null() {
            handle_alloc_error(self.layout);
        }
        let len = self.bytes.len().min(self.layout.size());
        // SAFETY: so many bytes were allocated, and nobody else has heard of them.
        unsafe {
            ptr::copy_nonoverlapping(self.bytes.as_ptr(), start, len);
            ptr::write_bytes(start.add(len), 0, self.layout.size() - len);
        }
        self.by_thread.insert(thread, Block(start));
        Block(start)
    }

    fn free(&mut self, thread: usize) {
        if let Some(Block(start)) = self.by_thread.remove(&thread) {
            // SAFETY: `make` allocated it by this layout, and it was in the map once.
            unsafe { dealloc(start, self.layout) };
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        while let Some((&thread, _)) = self.by_thread.first_key_value() {
            self.free(thread);
        }
    }
}

/// What a thread remembers of its blocks.
#[derive(Debug)]
struct Thread {
    /// By the numbers of their images, in order; some may be gone.
    blocks: Vec<(u32, Block)>,
    /// What descriptors look at; null until one was called.
    last: *mut Last,
}

/// The block that a descriptor of this thread gave last, and the number of its image. The number 0 is of no block, at null.
#[derive(Debug)]
#[repr(C)]
struct Last {
    module: u64,
    block: *mut u8,
}

std::thread_local! {
    /// Null until the thread touches a variable. It has no destructor, so it is there as long as the thread is.
    static OWN: Cell<*mut Thread> = const { Cell::new(ptr::null_mut()) };
    static END: End = const { End };
}

/// Gives the blocks of a thread back when it ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let own = OWN.replace(ptr::null_mut());
        if own.is_null() {
            return;
        }
        // SAFETY: `own` made it, and it is only this thread's.
        let thread = unsafe { Box::from_raw(own) };
        if !thread.last.is_null() {
            // SAFETY: thread-local storage of this library, which no descriptor looks at meanwhile.
            unsafe { thread.last.write(Last { module: 0, block: ptr::null_mut() }) };
        }
        let mut modules = modules();
        for (number, _) in &thread.blocks {
            if let Some(blocks) = modules.blocks.get_mut(number) {
                blocks.free(own.addr());
            }
        }
    }
}

impl Thread {
    /// This thread's.
    fn own() -> &'static mut Self {
        if OWN.get().is_null() {
            OWN.set(Box::into_raw(Box::new(Self { blocks: Vec::new(), last: ptr::null_mut() })));
            // Where the thread is past its destructors, it stays.
            let _ = END.try_with(|_| ());
        }
        // SAFETY: set above or before; only this thread has it, `End` alone frees it, and no caller keeps it.
        unsafe { &mut *OWN.get() }
    }

    /// The thread's block of the image `number`.
    fn block(&mut self, number: u32) -> Block {
        let at = match self.blocks.binary_search_by_key(&number, |&(number, _)| number) {
            Ok(at) => return self.blocks[at].1,
            Err(at) => at,
        };
        let mut modules = modules();
        let block = match modules.blocks.get_mut(&number) {
            Some(blocks) => blocks.make(ptr::from_mut(self).addr()),
            // Code of an image that is gone.
            None => abort(),
        };
        self.blocks.insert(at, (number, block));
        if self.blocks.len() == self.blocks.capacity() {
            self.blocks.retain(|(number, _)| modules.blocks.contains_key(number));
        }
        block
    }
}

/// `__tls_get_addr` of images: the address of a variable, which `index` has the image and the offset of; null for a weak one
/// that is not there.
///
/// # Safety
///
/// `index` points to an entry `GTLSIDX` or `GLDM` of an image that is there.
unsafe extern "C" fn get_addr(index: *const [u64; 2]) -> *mut u8 {
    // SAFETY: the caller's.
    let [module, offset] = unsafe { *index };
    match module as u32 {
        0 => ptr::null_mut(),
        number => Thread::own().block(number).0.wrapping_add(offset as usize),
    }
}

/// The address of what images of this process are linked with in place of what it has under that name.
pub(super) fn symbol(name: &str) -> Option<Addr> {
    let get_addr = get_addr as unsafe extern "C" fn(*const [u64; 2]) -> *mut u8;
    (name == "__tls_get_addr").then(|| Addr::new((get_addr as *const ()).expose_provenance() as u64))
}

#[cfg(target_arch = "aarch64")]
fn resolver() -> Addr {
    Addr::new((descriptor::resolve as *const ()).expose_provenance() as u64)
}

/// None: no code of an image is called here.
#[cfg(not(target_arch = "aarch64"))]
fn resolver() -> Addr {
    Addr::new(0)
}
