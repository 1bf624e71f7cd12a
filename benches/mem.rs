//! What a small function costs from its bytes to where it can be called, and how much of that is the system's: the same
//! system calls without anything around them, in the same run.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr;
use std::time::Instant;

use aarch64_reloc::arena::Prot;
use aarch64_reloc::mem::{Draft, Reservation, synchronises_cores};

const RET: [u8; 4] = 0xd65f_03c0u32.to_le_bytes();
const PAGE: usize = 4096;

/// Nanoseconds that `timed` takes of what `prepare` makes, the median of `times`. What it makes of that is dropped after.
fn median<P, T>(times: usize, mut prepare: impl FnMut() -> P, mut timed: impl FnMut(P) -> T) -> f64 {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let prepared = prepare();
            let start = Instant::now();
            let made = timed(prepared);
            let taken = start.elapsed();
            drop(black_box(made));
            taken.as_nanos() as u64
        })
        .collect();
    taken.sort_unstable();
    taken[times / 2] as f64
}

/// A draft of so many functions.
fn draft(memory: &Reservation, functions: usize) -> Draft {
    let draft = memory.draft();
    for _ in 0..functions {
        draft.place(Prot::ReadExec, &RET).unwrap();
    }
    draft
}

/// A page that was written, in the middle of others that are sealed, as in a reservation.
struct Page(*mut c_void);

impl Page {
    fn new() -> Self {
        let (flags, sealed) =
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, libc::PROT_READ | libc::PROT_EXEC);
        // SAFETY: no mapping is replaced.
        let start = unsafe { libc::mmap(ptr::null_mut(), 3 * PAGE, sealed, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        let middle = start.wrapping_byte_add(PAGE);
        // SAFETY: the page was just mapped.
        assert_eq!(unsafe { libc::mprotect(middle, PAGE, libc::PROT_READ | libc::PROT_WRITE) }, 0);
        // SAFETY: the page was just made writable.
        unsafe { middle.cast::<u8>().write_volatile(RET[0]) };
        Self(middle)
    }

    /// The system calls of a seal.
    fn seal(self) -> Self {
        // SAFETY: the page is this value's, and nothing borrows it.
        assert_eq!(unsafe { libc::mprotect(self.0, PAGE, libc::PROT_READ | libc::PROT_EXEC) }, 0);
        if synchronises_cores() {
            const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
            // SAFETY: touches no memory.
            assert_eq!(unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) }, 0);
        }
        self
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the pages are this value's.
        assert_eq!(unsafe { libc::munmap(self.0.wrapping_byte_sub(PAGE), 3 * PAGE) }, 0);
    }
}

fn main() {
    let memory = Reservation::new(1 << 28).unwrap();
    let is_timed = std::env::args().any(|argument| argument == "--bench");
    let times = if is_timed { 3_001 } else { 1 };
    let before = memory.free_bytes();
    // Something lives on, as in a program; so a stretch is not mapped anew each time.
    let _lives = draft(&memory, 1).seal().unwrap();
    let calls = median(times, Page::new, Page::seal);
    let place = median(
        times,
        || memory.draft(),
        |draft| {
            draft.place(Prot::ReadExec, &RET).unwrap();
            draft
        },
    );
    let one = median(times, || draft(&memory, 1), |draft| draft.seal().unwrap());
    let hundred = median(times / 10 + 1, || draft(&memory, 100), |draft| draft.seal().unwrap());
    let free = median(times, || Some(draft(&memory, 1).seal().unwrap()), |mut sealed| sealed.take().map(drop));
    assert_eq!(memory.free_bytes(), before - memory.page().bytes());
    if !is_timed {
        return;
    }
    println!("reserve {:.0} ns", median(1_001, || (), |()| Reservation::new(1 << 28).unwrap()));
    println!("place one function {place:.0} ns, free it {free:.0} ns");
    println!(
        "seal one function {one:.0} ns, its system calls {calls:.0} ns: {:.2}, wanted: 1.20 at the most",
        one / calls
    );
    println!("seal 100 functions {hundred:.0} ns: {:.2} times one", hundred / one);
    assert!(one <= 1.2 * calls, "sealing is slower than its system calls by {:.2}", one / calls);
}
