//! Making new code visible to instruction fetch.
//!
//! Stores go to the data cache, fetches read the instruction cache, and AArch64 need not keep the two equal: each line is
//! cleaned to the point of unification and then invalidated there, with barriers between (Arm ARM B2.7.4, "Synchronization
//! and coherency issues between data and instruction accesses").

//!
//! Whoever makes code executable calls a [`Cache`]: [`Native`] on the machine itself, with an operating system or without;
//! [`Coherent`] where nothing is to be done; a closure where a test wants to see what is published.
//!
//! ```
//! use aarch64_reloc::cache::{Cache, Coherent};
//! let mut published = 0;
//! let mut seen = |code: &[u8]| {
//!     published += code.len();
//!     Coherent.publish(code);
//! };
//! seen.publish(&[0; 64]);
//! assert_eq!(published, 64);
//! ```

#![allow(unsafe_code)]

/// What makes new code visible to instruction fetch.
pub trait Cache {
    /// Makes the instructions in `code` what all cores fetch, at this address. Each core must still forget what it has fetched
    /// ahead: this one has on return, another when it takes an exception, returns from one, or executes an `ISB` (Arm ARM B2.7.4).
    fn publish(&mut self, code: &[u8]);
}

impl<F: FnMut(&[u8])> Cache for F {
    fn publish(&mut self, code: &[u8]) {
        self(code);
    }
}

/// For caches that are coherent, and for code that runs on another machine: nothing is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coherent;

impl Cache for Coherent {
    fn publish(&mut self, _code: &[u8]) {}
}

/// For this machine: on AArch64 the instructions for it, as far as `CTR_EL0` says that they are needed; elsewhere nothing, for
/// there the code is bytes and is never fetched.
///
/// The instructions are the same at EL1, EL2 and EL3, and want no more than that the bytes are mapped there. At EL0 `SCTLR_EL1`
/// must allow them (`UCI`, and `UCT` for the register), as Linux has it. They reach all cores of the inner shareable domain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Cache for Native {
    #[cfg(target_arch = "aarch64")]
    fn publish(&mut self, code: &[u8]) {
        let ctr = CacheType::read();
        if ctr.cleans_data() {
            lines(code, ctr.data_line()).for_each(clean_data_line);
        }
        barrier();
        if ctr.invalidates_instructions() {
            lines(code, ctr.instruction_line()).for_each(invalidate_instruction_line);
            barrier();
        }
        forget_fetched();
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn publish(&mut self, _code: &[u8]) {}
}

#[cfg(any(target_arch = "aarch64", test))]
fn lines(code: &[u8], line: usize) -> impl Iterator<Item = usize> {
    let start = code.as_ptr().addr();
    (start & !(line - 1)..start + code.len()).step_by(line)
}

/// `CTR_EL0`, the cache type register (Arm ARM D24.2).
#[cfg(any(target_arch = "aarch64", test))]
#[derive(Clone, Copy)]
struct CacheType(u64);

#[cfg(any(target_arch = "aarch64", test))]
impl CacheType {
    /// `IDC` clear: cleaning is needed.
    fn cleans_data(self) -> bool {
        self.0 & 1 << 28 == 0
    }

    /// `DIC` clear: invalidating is needed.
    fn invalidates_instructions(self) -> bool {
        self.0 & 1 << 29 == 0
    }

    /// Bytes of the smallest data cache line: `DminLine` is its log2 in words.
    fn data_line(self) -> usize {
        4 << (self.0 >> 16 & 0xf)
    }

    /// Bytes of the smallest instruction cache line, `IminLine`.
    fn instruction_line(self) -> usize {
        4 << (self.0 & 0xf)
    }
}

#[cfg(target_arch = "aarch64")]
impl CacheType {
    fn read() -> Self {
        let ctr: u64;
        // SAFETY: reads a register that every level may read; EL0 where `SCTLR_EL1.UCT` says so, or the system emulates it.
        unsafe { core::arch::asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
        Self(ctr)
    }
}

#[cfg(target_arch = "aarch64")]
fn clean_data_line(addr: usize) {
    // SAFETY: `lines` gives addresses in lines of a live slice, so the page is mapped and readable; no byte is changed.
    unsafe { core::arch::asm!("dc cvau, {}", in(reg) addr, options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
fn invalidate_instruction_line(addr: usize) {
    // SAFETY: as for `clean_data_line`.
    unsafe { core::arch::asm!("ic ivau, {}", in(reg) addr, options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
fn barrier() {
    // SAFETY: waits for what went before; changes nothing.
    unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
fn forget_fetched() {
    // SAFETY: empties the pipeline of this core; changes nothing.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_cache_type_register() {
        // A Cortex-A72: 64-byte lines, neither IDC nor DIC. A Neoverse N1: both.
        let (a72, n1) = (CacheType(0x8444_c004), CacheType(0xb444_c004));
        assert_eq!((a72.data_line(), a72.instruction_line()), (64, 64));
        assert!(a72.cleans_data() && a72.invalidates_instructions());
        assert!(!n1.cleans_data() && !n1.invalidates_instructions());
        assert_eq!((CacheType(0x5_0003).data_line(), CacheType(0x5_0003).instruction_line()), (128, 32));
    }

    /// Through two views of one memory, qemu runs stale code unless the lines are invalidated.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn new_code_is_fetched() {
        const LEN: usize = 0x1_0000;
        let view = |fd, prot| {
            // SAFETY: maps anew, replacing nothing.
            let start = unsafe { libc::mmap(core::ptr::null_mut(), LEN, prot, libc::MAP_SHARED, fd, 0) };
            assert_ne!(start, libc::MAP_FAILED);
            start.cast::<u32>()
        };
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"code".as_ptr(), 0) };
        // SAFETY: `fd` is ours.
        assert_eq!(unsafe { libc::ftruncate(fd, LEN as libc::off_t) }, 0);
        let writable = view(fd, libc::PROT_READ | libc::PROT_WRITE);
        let executable = view(fd, libc::PROT_READ | libc::PROT_EXEC);
        for value in 0..200u32 {
            let code = [0x5280_0000 | value << 5, 0xd65f_03c0]; // movz w0, #value ; ret
            // SAFETY: the mapping is long enough and nobody else knows it.
            unsafe { writable.cast::<[u32; 2]>().write(code) };
            // SAFETY: both words were just written, and are not written again while the slice lives.
            Native.publish(unsafe { core::slice::from_raw_parts(executable.cast(), 8) });
            // SAFETY: that is such a function.
            let run: extern "C" fn() -> u32 = unsafe { core::mem::transmute(executable) };
            assert_eq!(run(), value);
        }
    }

    #[test]
    fn lines_cover_the_code() {
        let code = [0u8; 300];
        for (from, to) in [(0, 300), (1, 2), (63, 65), (5, 5), (17, 290)] {
            let part = &code[from..to];
            let (start, end) = (part.as_ptr().addr(), part.as_ptr().addr() + part.len());
            for byte in start..end {
                assert_eq!(lines(part, 64).filter(|&line| line <= byte && byte < line + 64).count(), 1);
            }
            assert!(lines(part, 64).all(|line| line % 64 == 0 && line < end && line + 64 > start));
        }
    }
}
