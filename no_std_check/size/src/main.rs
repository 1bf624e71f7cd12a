//! What a part of the core takes of a program's flash: `run.sh` builds it with one feature after the other, for size.
//!
//! Each function is what a loader would call, on arguments that the optimizer knows nothing of.

#![no_std]
#![no_main]

unsafe extern "C" {
    safe fn on_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    on_panic()
}

#[unsafe(no_mangle)]
extern "C" fn _start() {
    #[cfg(feature = "patcher")]
    core::hint::black_box((patcher::patch as fn(_, _, _, _) -> _, patcher::read as fn(_, _, _) -> _));
    #[cfg(feature = "ledgers")]
    core::hint::black_box((
        ledgers::slot as fn(_, _, _) -> _,
        ledgers::rescue as fn(_, _, _, _, _) -> _,
        ledgers::write as fn(_, _, _) -> _,
        ledgers::place as fn(_, _, _) -> _,
    ));
    #[cfg(feature = "link")]
    core::hint::black_box((link::needs as fn(_) -> _, link::link as fn(_, _, _, _, _, _) -> _));
    #[cfg(feature = "install")]
    core::hint::black_box(install::run as fn(_, _, _) -> _);
    #[cfg(feature = "display")]
    core::hint::black_box(display::show as fn(_, _) -> _);
}

#[cfg(feature = "patcher")]
mod patcher {
    use aarch64_reloc::{Fixup, PatchError, Reloc, Section, Value};

    pub fn patch(section: &mut Section<'_>, code: u32, value: Value, fixups: &[Fixup]) -> Result<(), PatchError> {
        let Some(reloc) = Reloc::from_elf(code) else { return Ok(()) };
        if section.reaches(0, reloc, value) {
            section.patch(0, reloc, value)?;
        }
        section.patch_all(fixups).map_err(|failures| failures.first()).or_else(|first| first.map_or(Ok(()), Err))
    }

    pub fn read(section: &Section<'_>, reloc: Reloc, value: Value) -> Result<(bool, i64), PatchError> {
        Ok((section.verify(0, reloc, value)?, section.read(0, reloc)?))
    }
}

#[cfg(feature = "ledgers")]
mod ledgers {
    use aarch64_reloc::arena::{Arena, ArenaError, Block, Prot, Segment};
    use aarch64_reloc::got::{Entry, Full};
    use aarch64_reloc::veneer::{Cell, Detour, VeneerError};
    use aarch64_reloc::{Addr, Got, Island, PatchError, Reloc, Section, Slot, Symbol, Value};

    type LentGot<'a> = Got<&'a mut [Entry]>;
    type LentIsland<'a> = Island<&'a mut [Cell]>;

    pub fn slot(got: &mut LentGot<'_>, symbol: Symbol, addr: Addr) -> Result<Slot, Full> {
        got.slot_for(symbol, addr)
    }

    pub fn rescue(
        island: &mut LentIsland<'_>,
        section: &mut Section<'_>,
        reloc: Reloc,
        target: Addr,
        slot: Slot,
    ) -> Result<[Addr; 4], VeneerError> {
        let place = section.addr();
        let detour = Detour::new(place, 0x9000_0000, reloc, Value::Addr(target));
        let detour = detour.map_err(|_| VeneerError::Taken(place))?;
        let addrs = [island.detour_for(detour)?, island.hop_to(target)?];
        Ok([addrs[0], addrs[1], island.veneer_for(target)?, island.veneer_for(slot)?])
    }

    pub fn write(got: &LentGot<'_>, island: &LentIsland<'_>, section: &mut Section<'_>) -> Result<(), PatchError> {
        got.write(section)?;
        island.write(section)
    }

    pub fn place(arena: &mut Arena<&mut [Block]>, prot: Prot, segment: Segment) -> Result<Addr, ArenaError> {
        arena.free(segment)?;
        Ok(arena.alloc(prot, segment.len())?.addr())
    }
}

#[cfg(feature = "link")]
mod link {
    use aarch64_reloc::formats::elf::Elf;
    use aarch64_reloc::link::{Failure, Input, Needs, ObjectError, Options, Plan, Request, Tables, measure};
    use aarch64_reloc::{Addr, Section};

    pub fn needs(bytes: [&[u8]; 2]) -> Result<Needs, ObjectError> {
        Ok(measure(&inputs(bytes)?, 0))
    }

    fn inputs(bytes: [&[u8]; 2]) -> Result<[Input<'_, Elf<'_>>; 2], ObjectError> {
        let [one, other] = bytes;
        Ok([Input { name: "one", object: Elf::parse(one)? }, Input { name: "other", object: Elf::parse(other)? }])
    }

    pub fn link<'data>(
        bytes: [&'data [u8]; 2],
        options: &Options<'_, 'data>,
        tables: Tables<'_, 'data>,
        place: &mut dyn FnMut(&mut [Request]) -> Result<(), u8>,
        memory: &mut [Section<'_>],
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
    ) -> Result<Option<Addr>, u8> {
        let inputs = inputs(bytes).map_err(|_| 1)?;
        let mut count = 0_u32;
        let report = &mut |_: &Failure<'_>| count = count.wrapping_add(1);
        let plan = Plan::new(&inputs, options, tables, resolve, place, report).map_err(|_| 2)?;
        plan.commit(memory).map_err(|_| 3)?;
        Ok(plan.find("main"))
    }
}

#[cfg(feature = "install")]
mod install {
    use aarch64_reloc::cache::Native;
    use aarch64_reloc::formats::elf::Elf;
    use aarch64_reloc::install::{Installed, install};
    use aarch64_reloc::link::Plan;
    use aarch64_reloc::{Addr, Prot, Section};

    pub fn run(
        plan: &mut Plan<'_, 'static, Elf<'static>>,
        memory: Section<'_>,
        protect: fn(Addr, u64, Prot) -> Result<(), u8>,
    ) -> Result<(), u8> {
        let mut pages = protect;
        let installed: Installed<'_> = install(plan, memory, &mut Native, &mut pages).map_err(|_| 1)?;
        // SAFETY: never run.
        if let Some(main) = plan.find("main").and_then(|main| unsafe { installed.function::<extern "C" fn()>(main) }) {
            main();
        }
        installed.unload(&mut pages)
    }
}

#[cfg(feature = "display")]
mod display {
    use aarch64_reloc::link::{Failure, Summary};
    use core::fmt::{self, Write};

    pub fn show(to: &mut dyn Write, what: (&Failure<'_>, &Summary)) -> fmt::Result {
        write!(to, "{} {}", what.0, what.1)
    }
}
