//! An image whose code runs.

use super::{Image, LoadError};
use crate::mem::Error;
use core::ffi::{c_char, c_int, c_void};
use core::ops::Deref;
use core::ptr;
use std::vec::Vec;

/// An image that was started: unwinders know its frames, and its initialisers have run.
///
/// Dropping it calls its `atexit` handlers, then its finalisers, as at the end of a process, and forgets its frames; then
/// the memory goes back.
#[derive(Debug)]
pub struct Running {
    image: Image,
}

/// The second argument of a resolver (SYSVABI64, "GNU Indirect functions": `__ifunc_arg_t`).
#[repr(C)]
struct Features {
    size: u64,
    hwcap: u64,
    hwcap2: u64,
}

impl Features {
    /// In the first argument, `AT_HWCAP`: there is a second (`_IFUNC_ARG_HWCAP`).
    const GIVEN: u64 = 1 << 62;
}

type Resolver = unsafe extern "C" fn(u64, *const Features) -> u64;
type Initialiser = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);
type Finaliser = unsafe extern "C" fn();

unsafe extern "C" {
    /// Of libgcc's unwinder: exceptions pass through the functions of this `.eh_frame`. (LLVM's libunwind has a function of
    /// this name that takes a single frame: with it, exceptions do not unwind through an image.)
    fn __register_frame(begin: *const c_void);
    fn __deregister_frame(begin: *const c_void);
    /// Of the C library (Itanium C++ ABI 3.3.6.3): calls and forgets the `atexit` handlers of a module.
    fn __cxa_finalize(dso_handle: *const c_void);
    static environ: *const *const c_char;
}

impl Image {
    /// Calls the resolvers of the image's indirect functions, registers its unwind tables and calls its initialisers, with `argv` as the arguments of the program.
    ///
    /// # Errors
    ///
    /// This is no AArch64 machine, or a resolver or an initialiser is not in the image's text; nothing but resolvers has run
    /// then, and the image is gone.
    ///
    /// # Safety
    ///
    /// The image's resolvers, initialisers, handlers and finalisers may be called, its unwind tables are true, and `argv` points to
    /// strings and ends with a null pointer. What runs must not outlive the image: no thread, and no pointer to its code.
    pub unsafe fn start(self, argv: &[*const c_char]) -> Result<Running, LoadError> {
        if !cfg!(target_arch = "aarch64") {
            return Err(Error::ForeignHost.into());
        }
        // SAFETY: the caller vouches for the resolvers, and no thread is in the image.
        unsafe { self.resolve() }?;
        // SAFETY: nothing else of the image has run.
        let entries = unsafe { self.initialisers() }?.into_iter();
        // SAFETY: the caller vouches for the initialisers.
        let calls = entries.map(|entry| unsafe { self.function(entry) }).collect::<Result<Vec<Initialiser>, _>>()?;
        for frames in &self.frames {
            // SAFETY: the output section `.eh_frame`, which ends with a length of zero, in sealed memory of the image.
            unsafe { __register_frame(ptr::with_exposed_provenance(frames.get() as usize)) };
        }
        let running = Running { image: self };
        let count = argv.len().saturating_sub(1) as c_int;
        for call in calls {
            // SAFETY: as above; `environ` is the C library's.
            unsafe { call(count, argv.as_ptr(), environ) };
        }
        Ok(running)
    }
}

impl Image {
    /// Has each resolver say where its function is.
    ///
    /// # Safety
    ///
    /// The resolvers may be called, and nothing of the image runs.
    unsafe fn resolve(&self) -> Result<(), Error> {
        let (hwcap, hwcap2) = features();
        let features = Features { size: size_of::<Features>() as u64, hwcap, hwcap2 };
        for &(resolver, slot) in &self.resolvers {
            // SAFETY: the object says that this is a resolver.
            let resolve: Resolver = unsafe { self.function(resolver) }?;
            // SAFETY: the caller vouches for it; it is given what the C library gives.
            let found = unsafe { resolve(hwcap | Features::GIVEN, &raw const features) };
            // SAFETY: the slot is of the GOT, or a place of an object, for this very answer.
            unsafe { self.store(slot, found) }?;
        }
        Ok(())
    }
}

/// The `AT_HWCAP` and `AT_HWCAP2` of the process; nothing, where there are none.
fn features() -> (u64, u64) {
    #[cfg(target_os = "linux")]
    let (hwcap, hwcap2) = rustix::param::linux_hwcap();
    #[cfg(not(target_os = "linux"))]
    let (hwcap, hwcap2) = (0_usize, 0_usize);
    (hwcap as u64, hwcap2 as u64)
}

impl Deref for Running {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.image
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(handle) = self.image.arrays.dso_handle {
            // SAFETY: the handlers are the image's, whose memory is still there.
            unsafe { __cxa_finalize(ptr::with_exposed_provenance(handle.get() as usize)) };
        }
        // SAFETY: `start` asked that nothing of the image runs any more.
        for entry in unsafe { self.image.finalisers() }.unwrap_or_default() {
            // SAFETY: the caller of `start` vouched for the finalisers.
            if let Ok(call) = unsafe { self.image.function::<Finaliser>(entry) } {
                // SAFETY: as above.
                unsafe { call() };
            }
        }
        for frames in &self.image.frames {
            // SAFETY: registered by `start`, once.
            unsafe { __deregister_frame(ptr::with_exposed_provenance(frames.get() as usize)) };
        }
    }
}
