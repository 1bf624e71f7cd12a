//! Memory on the machine the tests run on: any Linux, and calls on AArch64.
#![cfg(all(feature = "std", target_os = "linux"))]

use std::error::Error as _;
use std::ops::Range;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{ArenaError, Prot};
use aarch64_reloc::mem::{Draft, Error, Part, Reservation, Sealed};
use aarch64_reloc::patch::Section;
use quickcheck::quickcheck;

static_assertions::assert_impl_all!(Reservation: Clone, Send, Sync);
static_assertions::assert_impl_all!(Draft: Send, Sync);
static_assertions::assert_impl_all!(Sealed: Send, Sync);
static_assertions::assert_impl_all!(Error: Send, Sync);
static_assertions::assert_not_impl_any!(Draft: Clone);
static_assertions::assert_not_impl_any!(Sealed: Clone);
static_assertions::assert_eq_size!(Reservation, usize);

const RET: [u8; 4] = 0xd65f_03c0u32.to_le_bytes();

/// The permissions of what is mapped inside `range`, as the kernel sees it.
fn mapped(range: Range<u64>) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let inside = maps.lines().filter_map(|line| {
        let (start, rest) = line.split_once('-')?;
        let (end, rest) = rest.split_once(' ')?;
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        (number(start) < range.end && number(end) > range.start).then(|| rest[..4].to_string())
    });
    inside.collect()
}

fn range(memory: &Reservation) -> Range<u64> {
    memory.addr().get()..memory.addr().get() + memory.len() as u64
}

/// Whether the kernel writes to `addr` on our behalf: it answers EFAULT where a store would fault.
fn writable(addr: Addr) -> bool {
    let mut ends = [0; 2];
    // SAFETY: `ends` takes two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: reads one byte of a static.
    assert_eq!(unsafe { libc::write(ends[1], b"!".as_ptr().cast(), 1) }, 1);
    // SAFETY: the callers give memory of their own that is not borrowed.
    let got = unsafe { libc::read(ends[0], std::ptr::with_exposed_provenance_mut(addr.get() as usize), 1) };
    let fault = std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT);
    for end in ends {
        // SAFETY: ours, and closed once.
        unsafe { libc::close(end) };
    }
    assert!(got == 1 || fault);
    got == 1
}

#[test]
fn a_reservation_maps_nothing_usable() {
    let memory = Reservation::new(1).unwrap();
    assert_eq!(memory.len() as u64, memory.page().bytes());
    assert!(memory.addr().is_aligned_to(memory.page().bytes()));
    assert_eq!(memory.free_bytes(), memory.len() as u64);
    assert!(mapped(range(&memory)).iter().all(|perms| perms == "---p"));
    assert!(matches!(Reservation::new(0), Err(Error::System { call: "mmap", len: 0, .. })));
    assert!(matches!(Reservation::new(usize::MAX), Err(Error::System { call: "mmap", .. })));
}

#[test]
fn an_address_is_reserved_once() {
    const AT: Addr = Addr::new(0x20_0000_0000);
    let first = Reservation::at(AT, 0x10_0000).unwrap();
    assert_eq!((first.addr(), first.len()), (AT, 0x10_0000));
    for taken in [AT, AT.at(0xf_0000)] {
        let error = Reservation::at(taken, 0x10_0000).unwrap_err();
        assert!(matches!(error, Error::System { .. } | Error::Elsewhere { .. }), "{error}");
    }
    drop(first);
    assert_eq!(Reservation::at(AT, 0x10_0000).unwrap().addr(), AT);
    assert!(Reservation::at(AT.at(1), 0x1000).is_err());
}

#[test]
fn pages_come_back_and_read_as_zero() {
    let memory = Reservation::new(1 << 20).unwrap();
    for prot in [Prot::Read, Prot::ReadWrite, Prot::ReadExec] {
        let dirty = memory.draft();
        let addr = dirty.place(prot, &[0xff; 0x5000]).unwrap().addr();
        assert!(memory.free_bytes() < memory.len() as u64);
        drop(dirty);
        assert_eq!(memory.largest_free(), memory.len() as u64);

        let clean = memory.draft();
        let section = clean.alloc(prot, 0x5000).unwrap();
        assert_eq!((section.addr(), section.len()), (addr, 0x5000));
        assert!(section.bytes().iter().all(|&byte| byte == 0));
        drop(clean.seal().unwrap());
        assert_eq!(memory.largest_free(), memory.len() as u64);
        assert!(mapped(range(&memory)).iter().all(|perms| perms == "---p"));
    }
}

#[test]
fn nothing_is_ever_writable_and_executable() {
    let memory = Reservation::new(1 << 20).unwrap();
    let draft = memory.draft();
    for prot in [Prot::ReadExec, Prot::Read, Prot::ReadWrite] {
        assert_eq!(draft.place(prot, &RET).unwrap().bytes(), RET);
    }
    let perms = |memory| {
        let mut perms: Vec<_> = mapped(range(memory)).into_iter().filter(|p| p != "---p").collect();
        // An emulator may show one mapping as two.
        perms.dedup();
        perms
    };
    let (page, start) = (memory.page().bytes(), memory.addr().get());
    // What is drafted, and the pages free for more of its protection.
    assert_eq!(perms(&memory), ["rw-p", "r-xp", "rw-p", "r--p", "rw-p"]);
    let code = draft.seal().unwrap();
    assert_eq!(perms(&memory), ["r-xp", "r--p", "rw-p"]);
    let found: Vec<_> = code.segments().iter().map(|s| (s.addr().get(), s.len(), s.prot())).collect();
    let stretch = (memory.len() as u64 / 32).max(page);
    let at = |index, prot| (start + index * stretch, page, prot);
    assert_eq!(found, [at(0, Prot::ReadExec), at(1, Prot::Read), at(2, Prot::ReadWrite)]);
    assert!(memory.map(|_| Some("ours")).contains("r-x  ours\n"));
    let writes: Vec<_> = code.segments().iter().map(|s| writable(s.addr())).collect();
    assert_eq!(writes, [false, false, true]);
}

#[test]
fn sealed_memory_keeps_the_range_and_dropping_it_ends_it() {
    const AT: Addr = Addr::new(0x30_0000_0000);
    let memory = Reservation::at(AT, 0x10_0000).unwrap();
    let range = range(&memory);
    let draft = memory.draft();
    drop(memory);
    let addr = draft.place(Prot::Read, b"still here").unwrap().addr();
    let sealed = draft.seal().unwrap();
    assert_eq!(sealed.bytes(addr, 10), Some(&b"still here"[..]));
    assert!(!mapped(range.clone()).is_empty());
    drop(sealed);
    assert_eq!(mapped(range), [""; 0]);
}

#[test]
fn full_is_an_error_with_numbers() {
    let memory = Reservation::new(0x4_0000).unwrap();
    let draft = memory.draft();
    draft.alloc(Prot::Read, 0x1_0000).unwrap();
    let error = draft.alloc(Prot::Read, 0x4_0000).unwrap_err();
    let full = ArenaError::Full { asked: 0x4_0000, free: 0x3_0000, largest: 0x3_0000 };
    assert!(matches!(error, Error::Arena(found) if found == full));
    assert_eq!(error.to_string(), "arena is full: 0x40000 bytes asked for, 0x30000 free, 0x30000 in one run");
    draft.alloc(Prot::Read, 0x3_0000).unwrap();
}

/// What a pinned segment asks for: all pages of a reservation, whatever their number and protection.
#[test]
fn one_protection_may_have_the_whole_range() {
    for pages in [1, 2, 31, 33, 65, 1000] {
        for prot in [Prot::Read, Prot::ReadWrite, Prot::ReadExec] {
            let memory = Reservation::new(pages << 16).unwrap();
            let draft = memory.draft();
            let section = draft.alloc(prot, pages << 16).unwrap();
            assert_eq!((section.addr(), memory.free_bytes()), (memory.addr(), 0));
            draft.seal().unwrap();
        }
    }
}

/// Pages between others of their protection keep it when they are freed, and hold nothing, which as code is `UDF #0`.
#[test]
fn freed_pages_read_as_zero() {
    let memory = Reservation::new(1 << 24).unwrap();
    for prot in [Prot::Read, Prot::ReadWrite, Prot::ReadExec] {
        let place = || {
            let draft = memory.draft();
            let addr = draft.place(prot, &[0xff; 64]).unwrap().addr();
            (draft.seal().unwrap(), addr)
        };
        let [(low, _), (gone, addr), (high, _)] = [(); 3].map(|()| place());
        drop(gone);
        let start = std::ptr::with_exposed_provenance::<[u8; 64]>(addr.get() as usize);
        // SAFETY: the page is mapped while `low` and `high` share its stretch, and nobody writes it.
        assert_eq!(unsafe { *start }, [0; 64]);
        assert_eq!(place().1, addr);
        drop((low, high));
    }
    assert_eq!(memory.largest_free(), memory.len() as u64);
}

#[test]
fn threads_draft_in_one_range() {
    let memory = Reservation::new(1 << 28).unwrap();
    let sealed: Vec<Sealed> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u8)
            .map(|thread| {
                let memory = &memory;
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for i in 0..50 {
                        let draft = memory.draft();
                        let fill = [thread * 50 + i; 100];
                        let sections = [(); 3].map(|()| draft.place(Prot::Read, &fill).unwrap().addr());
                        let sealed = draft.seal().unwrap();
                        assert!(sections.iter().all(|&addr| sealed.bytes(addr, 100) == Some(&fill)));
                        if i % 2 == 0 {
                            kept.push(sealed);
                        }
                    }
                    kept
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let page = memory.page().bytes();
    assert_eq!(memory.len() as u64 - memory.free_bytes(), 4 * 25 * 3 * page);
    let first = |sealed: &Sealed| sealed.bytes(sealed.segments()[0].addr(), 1).map(|bytes| bytes[0]);
    let mut fills: Vec<_> = sealed.iter().map(|sealed| first(sealed).unwrap()).collect();
    fills.sort_unstable();
    assert!(fills.iter().copied().eq((0..200).step_by(2)));
    drop(sealed);
    assert_eq!(memory.largest_free(), memory.len() as u64);
}

#[test]
fn uses_outside_sealed_memory_are_refused() {
    type Run = extern "C" fn() -> u64;
    let memory = Reservation::new(1 << 20).unwrap();
    let draft = memory.draft();
    let text = draft.place(Prot::ReadExec, &RET).unwrap().addr();
    let slot = draft.alloc(Prot::ReadWrite, 8).unwrap().addr();
    let code = draft.seal().unwrap();
    let end = code.segments()[0].addr().plus(code.segments()[0].len().cast_signed());

    for addr in [slot, end, end.plus(-3), text.plus(-4), Addr::new(0)] {
        // SAFETY: no such function comes back.
        let error = unsafe { code.function::<Run>(addr) }.unwrap_err();
        assert!(matches!(error, Error::Outside { addr: at, len: 4, prot: Prot::ReadExec } if at == addr), "{error}");
    }
    // SAFETY: no such function comes back.
    let error = unsafe { code.function::<Run>(text.at(2)) }.unwrap_err();
    assert_eq!(error.to_string(), format!("address {} is not a multiple of 4", text.at(2)));
    if cfg!(not(target_arch = "aarch64")) {
        // SAFETY: no such function comes back.
        assert!(matches!(unsafe { code.function::<Run>(text) }, Err(Error::ForeignHost)));
    }

    // SAFETY: nobody else knows of the slot.
    unsafe {
        code.store(slot, 0x0123_4567_89ab_cdef).unwrap();
        assert_eq!(code.load(slot).unwrap(), 0x0123_4567_89ab_cdef);
        assert!(matches!(code.store(slot.at(4), 0), Err(Error::Misaligned { align: 8, .. })));
        assert!(matches!(code.store(text, 0), Err(Error::Outside { prot: Prot::ReadWrite, .. })));
        assert!(matches!(code.load(text), Err(Error::Outside { prot: Prot::ReadWrite, .. })));
    }
    assert_eq!(code.bytes(text, 4), Some(&RET[..]));
    assert_eq!([code.bytes(slot, 1), code.bytes(end, 1), code.bytes(text.plus(-1), 1)], [None; 3]);
}

#[test]
fn errors_say_what_where_and_why() {
    let error = Reservation::new(0).unwrap_err();
    assert_eq!(error.to_string(), "mmap of 0x0 bytes at 0x0: Invalid argument (os error 22)");
    assert_eq!(error.source().unwrap().to_string(), "Invalid argument (os error 22)");
    let error = Error::Outside { addr: Addr::new(0x4000), len: 8, prot: Prot::ReadWrite };
    assert_eq!(error.to_string(), "range of 0x8 bytes at 0x4000 is not in sealed rw- memory");
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::*;
    use aarch64_reloc::insn::{self, Hw, Reg};
    use aarch64_reloc::reloc::Reloc;

    fn bytes(code: &[u32]) -> Vec<u8> {
        code.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    const RETURN: u32 = u32::from_le_bytes(RET);

    #[test]
    fn a_data_page_is_read_by_adrp_and_ldr() {
        let memory = Reservation::new(1 << 30).unwrap();
        let draft = memory.draft();
        let code = [insn::adrp(Reg::X0), insn::ldr(Reg::X0, Reg::X0), RETURN];
        let mut text = draft.place(Prot::ReadExec, &bytes(&code)).unwrap();
        let rodata = draft.place(Prot::Read, &[0u64, 0xfeed_face_cafe_f00d].map(u64::to_ne_bytes).concat()).unwrap();
        text.patch(0, Reloc::ADR_PREL_PG_HI21, rodata.addr().at(8)).unwrap();
        text.patch(4, Reloc::LDST64_ABS_LO12_NC, rodata.addr().at(8)).unwrap();
        let entry = text.addr();
        let code = draft.seal().unwrap();
        // SAFETY: such a function is there, and `code` outlives the call.
        let run: extern "C" fn() -> u64 = unsafe { code.function(entry) }.unwrap();
        assert_eq!(run(), 0xfeed_face_cafe_f00d);
        assert!(!writable(entry));
    }

    /// `first(x) = second(x)`, far apart in one reservation; `second` adds its immediate.
    #[test]
    fn one_function_calls_another_on_another_thread() {
        let memory = Reservation::new(1 << 27).unwrap();
        let draft = memory.draft();
        let mut first = draft.place(Prot::ReadExec, &bytes(&[insn::b()])).unwrap();
        draft.alloc(Prot::Read, 100 << 20).unwrap();
        let mut second = draft.place(Prot::ReadExec, &bytes(&[insn::add(Reg::X0, Reg::X0), RETURN])).unwrap();
        first.patch(0, Reloc::JUMP26, second.addr()).unwrap();
        second.patch(0, Reloc::ADD_ABS_LO12_NC, Addr::new(40)).unwrap();
        let (first, second) = (first.addr(), second.addr());
        let code = draft.seal().unwrap();
        std::thread::spawn(move || {
            for entry in [first, second] {
                // SAFETY: such a function is at either, and `code` outlives the calls.
                let run: extern "C" fn(u64) -> u64 = unsafe { code.function(entry) }.unwrap();
                assert_eq!(run(2), 42);
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn reused_pages_run_the_new_code() {
        let memory = Reservation::new(1 << 16).unwrap();
        let mut entries = Vec::new();
        for value in 0..100 {
            let draft = memory.draft();
            let mut text = draft.place(Prot::ReadExec, &bytes(&[insn::movz(Reg::X0, Hw::G0), RETURN])).unwrap();
            text.patch(0, Reloc::MOVW_UABS_G0, Addr::new(value)).unwrap();
            entries.push(text.addr());
            let entry = text.addr();
            let code = draft.seal().unwrap();
            // SAFETY: such a function is there, and `code` outlives the call.
            let run: extern "C" fn() -> u64 = unsafe { code.function(entry) }.unwrap();
            assert_eq!(run(), value);
        }
        entries.dedup();
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn calling_what_was_freed_traps() {
        let memory = Reservation::new(1 << 24).unwrap();
        let place = || {
            let draft = memory.draft();
            let entry = draft.place(Prot::ReadExec, &RET).unwrap().addr();
            (draft.seal().unwrap(), entry)
        };
        let (kept, _) = place();
        let (gone, entry) = place();
        // SAFETY: such a function is there; called once it is not, in a process that ends by it.
        let run: extern "C" fn() = unsafe { gone.function(entry) }.unwrap();
        run();
        drop(gone);
        // SAFETY: the child calls nothing but `run` and `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            run();
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: `status` is a number of ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGILL, "{status:#x}");
        drop(kept);
    }

    /// A stub through a slot in writable memory is re-pointed by one store.
    #[test]
    fn a_slot_is_repointed_while_sealed() {
        let memory = Reservation::new(1 << 20).unwrap();
        let draft = memory.draft();
        let slot = draft.alloc(Prot::ReadWrite, 8).unwrap().addr();
        let stub = [insn::adrp(Reg::X16), insn::ldr(Reg::X16, Reg::X16), insn::br(Reg::X16)];
        let constant = |value: u64| {
            let mut text = draft.place(Prot::ReadExec, &bytes(&[insn::movz(Reg::X0, Hw::G0), RETURN])).unwrap();
            text.patch(0, Reloc::MOVW_UABS_G0, Addr::new(value)).unwrap();
            text.addr()
        };
        let targets = [1, 2].map(|value| (value, constant(value)));
        let mut text = draft.place(Prot::ReadExec, &bytes(&stub)).unwrap();
        text.patch(0, Reloc::ADR_PREL_PG_HI21, slot).unwrap();
        text.patch(4, Reloc::LDST64_ABS_LO12_NC, slot).unwrap();
        let entry = text.addr();
        let code = draft.seal().unwrap();
        for (value, target) in targets {
            // SAFETY: such a function is there once the slot holds one; only the stub reads the slot, by one instruction.
            unsafe {
                code.store(slot, target.get()).unwrap();
                let run: extern "C" fn() -> u64 = code.function(entry).unwrap();
                assert_eq!(run(), value);
            }
        }
    }
}

quickcheck! {
    /// Parts of a run are aligned, apart by whole pages, and writable to their last byte; all of it comes back.
    fn parts_of_a_run_are_apart(wanted: Vec<(u8, u16, u8)>, before: u8) -> bool {
        let memory = Reservation::new(1 << 28).unwrap();
        let page = memory.page().bytes();
        let draft = memory.draft();
        for _ in 0..before % 8 {
            draft.alloc(Prot::Read, 1).unwrap();
        }
        let prots = [Prot::Read, Prot::ReadWrite, Prot::ReadExec];
        let parts: Vec<Part> = wanted
            .iter()
            .take(8)
            .map(|&(prot, len, align)| Part { prot: prots[usize::from(prot % 3)], len: len.into(), align: 1 << (align % 20) })
            .collect();
        let mut run = draft.alloc_run(&parts).unwrap();
        run.iter_mut().for_each(|section| section.bytes_mut().fill(0xff));
        // Whoever comes next gets none of it.
        let next = draft.alloc(Prot::ReadWrite, 4096).unwrap();
        let placed = run.iter().zip(&parts).all(|(section, part)| {
            section.addr().is_aligned_to(page.max(part.align)) && section.len() == part.len
        });
        let ends = |section: &Section<'_>| (section.addr().get(), section.addr().at(section.len().max(1)).get());
        let mut taken: Vec<_> = run.iter().chain([&next]).map(ends).collect();
        taken.sort_unstable();
        let apart = taken.windows(2).all(|pair| pair[0].1.next_multiple_of(page) <= pair[1].0);
        let clean = next.bytes().iter().all(|&byte| byte == 0);
        drop(run);
        drop(draft);
        placed && apart && clean && memory.largest_free() == memory.len() as u64
    }
}

#[test]
fn an_alignment_is_a_power_of_two() {
    let memory = Reservation::new(1 << 20).unwrap();
    let draft = memory.draft();
    for align in [0, 3, 0x2001] {
        let part = Part { prot: Prot::Read, len: 8, align };
        assert!(matches!(draft.alloc_run(&[part]), Err(Error::Alignment { align: refused }) if refused == align));
    }
    assert_eq!(memory.largest_free(), memory.len() as u64);
}

/// Limits are a process's: this runs in a child, and not under qemu, which ignores them.
#[test]
#[cfg(not(target_arch = "aarch64"))]
fn what_is_refused_comes_back() {
    const CHILD: &str = "AARCH64_RELOC_REFUSED";
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", "what_is_refused_comes_back"]).env(CHILD, "").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let memory = Reservation::new(1 << 30).unwrap();
    let sealed = || {
        let draft = memory.draft();
        for prot in [Prot::Read, Prot::ReadExec] {
            draft.place(prot, &RET).unwrap();
        }
        draft.seal().unwrap()
    };
    let (kept, gone) = (sealed(), sealed());
    let free = memory.free_bytes();
    let limit = |bytes| {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: reads a limit of ours.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
    };
    let mut refused = Vec::with_capacity(6);
    // Not 0, which Linux takes for no limit; and without it again before anything is asserted, for a panic needs memory.
    limit(1);
    for prot in [Prot::Read, Prot::ReadWrite, Prot::ReadExec] {
        for len in [1, 100 << 20] {
            refused.push((memory.draft().alloc(prot, len).map(drop), memory.free_bytes()));
        }
    }
    drop(gone);
    drop(kept);
    limit(libc::RLIM_INFINITY);
    for (result, left) in refused {
        assert!(matches!(result, Err(Error::System { call: "mprotect", .. })), "{result:?}");
        assert_eq!(left, free);
    }
    assert_eq!(memory.largest_free(), memory.len() as u64);
    assert!(mapped(range(&memory)).iter().all(|perms| perms == "---p"));
}
