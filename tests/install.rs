//! Installing without an operating system: in which order memory is written, published and protected, and what runs then.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

#[allow(dead_code)]
mod objects;

use aarch64_reloc::arena::{Arena, Block, PageSize, Prot};
use aarch64_reloc::cache::Coherent;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::install::{InstallError, Installed, install};
use aarch64_reloc::link::{Input, Options, Plan, Storage, each, measure};
use aarch64_reloc::patch::{Fixup, Section};
use aarch64_reloc::verify::{Memory, Target, Verdict, View};
use aarch64_reloc::{Addr, Reloc};
use std::cell::RefCell;

/// Bytes of RAM, on a page boundary.
#[repr(align(65536))]
struct Ram([u8; 1 << 18]);

fn ram() -> Box<Ram> {
    Box::new(Ram([0xee; 1 << 18]))
}

fn hello() -> Vec<Vec<u8>> {
    objects::VARIANTS.iter().map(|variant| objects::read(&format!("hello-{variant}.o"))).collect()
}

/// Where the memory begins.
const BASE: Addr = Addr::new(0x4020_0000);

/// Plans `object` for the memory at `base`, and lets `then` have the plan.
fn planned<'data, R>(
    object: &'data [u8],
    base: Addr,
    options: &Options<'_, '_>,
    then: impl FnOnce(Plan<'_, 'data, Elf<'data>>) -> R,
) -> R {
    let inputs = [Input { name: "hello.o", object: Elf::parse(object).unwrap() }];
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut arena = Arena::new([Block::EMPTY; 8], base, 1 << 17, PageSize::K4).unwrap();
    let place = each(|request| arena.alloc(request.prot, request.size).map(|segment| segment.addr()));
    let options = Options { in_place: options.in_place, policy: options.policy, ..Options::default() };
    let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, place, &mut |failure| panic!("{failure}"));
    then(plan.unwrap())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Published(usize, usize),
    Protected(Addr, u64, Prot),
}

#[test]
fn code_is_published_before_it_can_be_executed() {
    for object in hello() {
        let mut ram = ram();
        let start = ram.0.as_ptr().addr();
        planned(&object, BASE, &Options::default(), |mut plan| {
            let events = RefCell::new(Vec::new());
            let mut cache = |code: &[u8]| events.borrow_mut().push(Event::Published(code.as_ptr().addr(), code.len()));
            let mut pages = |addr, len, prot| {
                events.borrow_mut().push(Event::Protected(addr, len, prot));
                Ok::<_, ()>(())
            };
            let memory = Section::new(&mut ram.0, BASE);
            let installed: Installed<'_> = install(&mut plan, memory, &mut cache, &mut pages).unwrap();
            let mut expected = Vec::new();
            for segment in plan.segments() {
                if segment.prot() == Prot::ReadExec {
                    let at = segment.addr().distance_from(BASE) as usize;
                    expected.push(Event::Published(start + at, segment.size() as usize));
                }
                expected.push(Event::Protected(segment.addr(), segment.size(), segment.prot()));
            }
            assert_eq!(expected.len(), 4);
            assert_eq!(events.take(), expected);

            // What was installed is what is committed.
            let mut bytes: Vec<_> = plan.segments().iter().map(|segment| vec![0; segment.size() as usize]).collect();
            let addrs: Vec<_> = plan.segments().iter().map(|segment| segment.addr()).collect();
            let mut sections: Vec<_> =
                bytes.iter_mut().zip(&addrs).map(|(bytes, &addr)| Section::new(bytes, addr)).collect();
            plan.commit(&mut sections).unwrap();
            for (section, segment) in sections.iter().zip(plan.segments()) {
                let seen = installed.bytes(segment.addr(), section.len());
                assert_eq!(seen, Some(section.bytes()).filter(|_| segment.prot() != Prot::ReadWrite));
                assert_eq!(installed.bytes(segment.addr(), section.len() + 1), None);
            }
            // The code was linked for elsewhere than where its bytes are.
            let main = plan.find("main").unwrap();
            // SAFETY: it is not given out.
            assert!(unsafe { installed.function::<extern "C" fn()>(main) }.is_none());

            installed.unload(&mut pages).unwrap();
            let writable = plan.segments().iter().map(|segment| (segment.addr(), segment.size()));
            let expected: Vec<_> = writable.map(|(addr, size)| Event::Protected(addr, size, Prot::ReadWrite)).collect();
            assert_eq!(events.take(), expected);
        });
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_protected() {
    let object = &hello()[0];
    let never = |_: Addr, _: u64, _: Prot| -> Result<(), ()> { panic!("protected") };
    planned(object, BASE, &Options::default(), |mut plan| {
        let mut ram = ram();
        let [text, .., last] = *plan.segments() else { panic!() };
        let mut try_install = |from: usize, to: usize| {
            let memory = Section::new(&mut ram.0[from..to], BASE.at(from));
            install::<3, _, _>(&mut plan, memory, &mut Coherent, &mut { never }).map(drop).unwrap_err()
        };
        let end = last.addr().plus(last.size() as i64).distance_from(BASE) as usize;
        assert_eq!(try_install(0, end - 1), InstallError::Outside(last.addr()));
        assert_eq!(try_install(4, end), InstallError::Outside(text.addr()));
        let memory = Section::new(&mut ram.0, BASE);
        let refused = install::<2, _, _>(&mut plan, memory, &mut Coherent, &mut { never }).map(drop);
        assert_eq!(refused.unwrap_err(), InstallError::TooMany(3));
        assert!(ram.0.iter().all(|&byte| byte == 0xee));
    });
}

#[test]
fn what_cannot_be_protected_is_writable_again() {
    planned(&hello()[0], BASE, &Options::default(), |mut plan| {
        let mut ram = ram();
        let mut state = Vec::new();
        let mut pages = |addr: Addr, _: u64, prot: Prot| {
            if prot == Prot::Read {
                return Err("no such protection");
            }
            state.retain(|&(other, _)| other != addr);
            state.push((addr, prot));
            Ok(())
        };
        let memory = Section::new(&mut ram.0, BASE);
        let error = install::<3, _, _>(&mut plan, memory, &mut Coherent, &mut pages).map(drop).unwrap_err();
        assert_eq!(error, InstallError::Protect("no such protection"));
        assert!(state.len() == 3 && state.iter().all(|&(_, prot)| prot == Prot::ReadWrite), "{state:?}");
    });
}

#[test]
fn the_tables_of_one_link_are_as_long_as_it_says() {
    for object in hello() {
        let (needs, sizes) = planned(&object, BASE, &Options::default(), |plan| {
            (plan.needs(), plan.segments().iter().map(|segment| segment.size()).collect::<Vec<_>>())
        });
        let inputs = [Input { name: "hello.o", object: Elf::parse(&object).unwrap() }];
        let most = measure(&inputs, 0);
        assert!(needs.bytes() < most.bytes() && needs.veneers <= most.veneers && needs.slots <= most.slots);
        let mut storage = Storage::new(needs);
        let mut asked = Vec::new();
        let mut at = BASE;
        let place = each(|request| {
            asked.push(request.size);
            at = at.plus(0x1_0000);
            Ok::<_, ()>(at)
        });
        let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, &mut |error| {
            panic!("{error}")
        });
        assert_eq!(plan.unwrap().needs(), needs);
        assert_eq!(asked, sizes, "no byte is asked for that is not used");
    }
}

/// Links the object that `ram` holds where it lies; the rest goes behind it. Returns where `main` is.
fn link_in_place(ram: &mut [u8], object: &[u8], shift: i64) -> (Addr, Vec<(Addr, Reloc, Target)>) {
    let (own, rest) = ram.split_at_mut(object.len().next_multiple_of(0x1_0000));
    own[..object.len()].copy_from_slice(object);
    let base = Addr::new(own.as_ptr().addr() as u64).plus(shift);
    let rest_addr = Addr::new(rest.as_ptr().addr() as u64).plus(shift);
    let mut fixups = [Fixup::new(0, Reloc::NONE, Addr::new(0)); 256];
    let options = Options { in_place: Some(shift), ..Options::default() };
    let (main, emitted, count) = planned(own, rest_addr, &options, |plan| {
        let mut rest = Some(Section::new(rest, rest_addr));
        let mut memory = Vec::new();
        for segment in plan.segments() {
            let section = rest.take().unwrap();
            let offset = section.offset_of(segment.addr());
            let (own, behind) = section.skip(offset).unwrap().split_at(segment.size() as usize).unwrap();
            memory.push(own);
            rest = Some(behind);
        }
        let mut emitted = Vec::new();
        plan.for_each_emitted(|one| emitted.push((one.place, one.reloc, Target::new(one.reloc, one.addr, one.addend))));
        let object = (base, object.len() as u64);
        assert!(plan.commit(&mut memory).is_err());
        assert!(plan.commit_in_place(&mut memory, object, &mut []).is_err());
        let count = plan.commit_in_place(&mut memory, object, &mut fixups).unwrap().len();
        assert!(plan.outputs().iter().any(|output| output.is_in_place() && output.prot() == Prot::ReadExec));
        (plan.find("main").unwrap(), emitted, count)
    });
    assert!(count > 10, "{count}");
    Section::new(own, base).patch_all(&fixups[..count]).map_err(|failures| failures.to_string()).unwrap();
    (main, emitted)
}

#[test]
fn objects_are_linked_where_they_lie() {
    for object in hello() {
        // At addresses of this machine, and 2^40 above, as through another mapping.
        for shift in [0, 1 << 40] {
            let mut ram = ram();
            let (main, emitted) = link_in_place(&mut ram.0, &object, shift);
            let start = Addr::new(ram.0.as_ptr().addr() as u64).plus(shift);
            assert!((main.distance_from(start) as usize) < object.len());
            let views = [View { addr: start, bytes: &ram.0 }];
            // The slots are somewhere in there.
            let memory = Memory { views: &views, got: &views, ..Memory::default() };
            for (place, reloc, target) in emitted {
                let verdict = memory.check(place, reloc, target);
                assert!(matches!(verdict, Ok(Verdict::Right)), "{verdict:?}");
            }
        }
    }
}

/// On the machine itself, with its own caches and pages.
#[cfg(target_arch = "aarch64")]
mod here {
    use super::*;
    use aarch64_reloc::cache::Native;

    type Main = extern "C" fn(i32, *const *const u8) -> i32;

    /// Memory of its own, with any protection.
    fn map(prot: i32) -> &'static mut [u8] {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps anew, replacing nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), 1 << 18, prot, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the mapping is that long, zero, and nobody else's.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), 1 << 18) }
    }

    fn protect(addr: Addr, len: u64, prot: Prot) -> Result<(), i32> {
        let flags = match prot {
            Prot::Read => libc::PROT_READ,
            Prot::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Prot::ReadExec => libc::PROT_READ | libc::PROT_EXEC,
        };
        let start = std::ptr::with_exposed_provenance_mut(addr.get() as usize);
        // SAFETY: the pages are of the mapping above, and nothing is written there meanwhile.
        match unsafe { libc::mprotect(start, len as usize, flags) } {
            0 => Ok(()),
            error => Err(error),
        }
    }

    #[test]
    fn what_was_installed_runs_and_gives_its_memory_to_the_next() {
        let memory = map(libc::PROT_READ | libc::PROT_WRITE);
        for object in hello() {
            let base = Addr::new(memory.as_ptr().addr() as u64);
            planned(&object, base, &Options::default(), |mut plan| {
                let ram = Section::new(&mut *memory, base);
                let installed: Installed<'_> = install(&mut plan, ram, &mut Native, &mut { protect }).unwrap();
                // SAFETY: that is `int main(int, char **)`.
                let main: Main = unsafe { installed.function(plan.find("main").unwrap()) }.unwrap();
                assert_eq!(main(1, [c"hello".as_ptr().cast(), std::ptr::null()].as_ptr()), 0);
                installed.unload(&mut { protect }).unwrap();
            });
        }
    }

    #[test]
    fn what_was_linked_in_place_runs() {
        for object in hello() {
            let memory = map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
            let (main, _) = link_in_place(memory, &object, 0);
            aarch64_reloc::cache::Cache::publish(&mut Native, memory);
            let main = std::ptr::with_exposed_provenance::<()>(main.get() as usize);
            // SAFETY: that is `int main(int, char **)`, in memory that can be executed, and was published.
            let main = unsafe { std::mem::transmute::<*const (), Main>(main) };
            assert_eq!(main(1, [c"hello".as_ptr().cast(), std::ptr::null()].as_ptr()), 0);
        }
    }
}
