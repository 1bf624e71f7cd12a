//! An image without an operating system that loads modules: boots on qemu's `virt` at EL1 or EL2, turns the MMU on, links two
//! modules, runs, unloads and loads them again, and refuses a corpus of bad ones. `run.sh` builds and runs it.
//!
//! No panic is left in it: [`on_panic`] is defined nowhere, and it would not link.

#![no_std]
#![no_main]

mod board;
mod boot;
mod corpus;
mod loader;
mod mmu;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Input, Needs, Plan, Policy, Summary};
use aarch64_reloc::{Addr, tables};
use board::say;
use corpus::Corpus;
use loader::Memory;

include!(env!("NEEDS"));
static C: &[u8] = include_bytes!(env!("MODULE_C"));
static RUST: &[u8] = include_bytes!(env!("MODULE_RUST"));
static CORPUS: &[u8] = include_bytes!(env!("CORPUS"));

/// For whatever bad modules may want.
const ROOMY: Needs = Needs {
    objects: 2,
    sections: 128,
    symbols: 256,
    names: 256,
    output_names: 128,
    groups: 16,
    ordered: 0,
    outputs: 64,
    segments: 3,
    slots: 64,
    islands: 32,
    veneers: 128,
    fixups: 512,
};

unsafe extern "C" {
    safe fn on_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    on_panic()
}

/// What modules may ask for.
extern "C" fn board_add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

static BOARD_SERIAL: u64 = 0x1234_5678_9abc;

fn export(name: &str) -> Option<Addr> {
    match name {
        "board_add" => Some(Addr::new(board_add as *const () as u64)),
        "BOARD_SERIAL" => Some(mmu::far(&raw const BOARD_SERIAL as u64)),
        _ => None,
    }
}

/// What `entry` returns for `x` when it is called for the `call`th time since it was loaded, from 0.
fn answer(x: u64, call: u64) -> u64 {
    // The same sum was seen at each call before. `shared` was 7, and gets the number of each call.
    let mixed = 2 * (x + BOARD_SERIAL) + 100 + call + call;
    mixed + 7 + (call + 1) * (call + 2) / 2
}

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    mmu::enable();
    say!("part {:#x} at EL{}, MMU on, writable never executable", board::part(), board::level());
    let result = check_protections().and_then(|()| load_twice());
    say!("stack {} bytes deep, the tables among them", boot::stack_depth());
    let result = result.and_then(|()| refuse_all());
    match result {
        Ok(()) => {
            say!("passed");
            board::exit(0)
        }
        Err(what) => {
            say!("FAILED: {what}");
            board::exit(1)
        }
    }
}

fn ensure(is_true: bool, what: &'static str) -> Result<(), &'static str> {
    if is_true { Ok(()) } else { Err(what) }
}

fn check_protections() -> Result<(), &'static str> {
    ensure(board::is_writable(mmu::MODULES_BASE), "memory for modules cannot be written")?;
    ensure(!board::is_writable(main as *const () as u64), "the image's own code can be written")?;
    ensure(!board::is_writable(&raw const BOARD_SERIAL as u64), "the image's constants can be written")
}

fn policy() -> Policy {
    Policy { erratum_843419: board::part() == board::CORTEX_A53, ..Policy::ALL }
}

// Apart, so that the stack has the tables of one of the two.
#[inline(never)]
fn load_twice() -> Result<(), &'static str> {
    let parse = |bytes| Elf::parse(bytes).map_err(|_| "a module is no object");
    let inputs = [Input { name: "c.o", object: parse(C)? }, Input { name: "rust.o", object: parse(RUST)? }];
    let mut memory = Memory::new().ok_or("no arena")?;
    let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| say!("{failure}");
    let tables = tables!(NEEDS);
    let plan = memory.plan(&inputs, tables, policy(), &mut export, report);
    let mut plan = plan.map_err(|_| "the modules were not linked")?;
    say!("tables {} bytes; {}", NEEDS.bytes(), plan.summary());
    check_summary(plan.summary())?;
    ensure(plan.needs() == NEEDS, "the plan needs other tables than the build script said")?;
    let entry = plan.find("entry").ok_or("no entry")?;
    for load in 0..2 {
        run(&mut plan, &mut memory, entry)?;
        ensure(mmu::executable_pages() == 0, "what was unloaded can be executed")?;
        say!("load {load}: ran, and was unloaded");
    }
    Ok(())
}

fn check_summary(summary: Summary) -> Result<(), &'static str> {
    let rungs = summary.rungs;
    ensure(rungs.slot > 0 && summary.slots > 0, "nothing goes by the GOT")?;
    ensure(rungs.veneer > 0 && summary.veneers > 0, "no call goes through a veneer")?;
    ensure(rungs.detour > 0 && summary.detours > 0, "nothing goes through a detour")?;
    ensure((rungs.adr > 0) == policy().erratum_843419, "the erratum is not mended, or where it need not be")
}

fn run<'data>(plan: &mut Plan<'_, 'data, Elf<'data>>, memory: &mut Memory, entry: Addr) -> Result<(), &'static str> {
    // SAFETY: what had the bytes before is unloaded.
    let mut bytes = unsafe { memory.bytes() };
    bytes.bytes_mut().fill(0xee);
    let installed = loader::load(plan, bytes).map_err(|_| "the modules were not installed")?;
    ensure(!board::is_writable(entry.get()), "code can be written")?;
    ensure(mmu::executable_pages() > 0, "code cannot be executed")?;
    // SAFETY: that is its type, and it returns before the modules are unloaded.
    let function =
        unsafe { installed.function::<extern "C" fn(u64) -> u64>(entry) }.ok_or("no function at the entry")?;
    for call in 0..3 {
        ensure(function(40) == answer(40, call), "the answer is wrong")?;
    }
    installed.unload(&mut mmu::protect).map_err(|_| "not unloaded")
}

#[inline(never)]
fn refuse_all() -> Result<(), &'static str> {
    static mut ROOM: [u8; 0x1_0000] = [0; 0x1_0000];
    // SAFETY: this function is called once.
    let room = unsafe { (&raw mut ROOM).as_mut() }.ok_or("no room")?;
    let mut memory = Memory::new().ok_or("no arena")?;
    let mut counts = [0; 5];
    for bad in Corpus(CORPUS) {
        let (good, other) = if bad.of == 0 { (C, RUST) } else { (RUST, C) };
        let bytes = bad.make(good, room).ok_or("no room for a bad module")?;
        let refusal = refuse(bytes, other, &mut memory);
        if refusal != bad.refusal {
            say!("{}: {refusal} and not {}", bad.name, bad.refusal);
            return Err("a bad module was not refused as it must");
        }
        ensure(mmu::executable_pages() == 0, "pages of a bad module can be executed")?;
        if let Some(count) = counts.get_mut(usize::from(refusal)) {
            *count += 1;
        }
    }
    let [.., object, link, room, _] = counts;
    say!("refused {} bad modules: {object} unreadable, {link} not to be linked, {room} too big", object + link + room);
    ensure(object > 50 && link > 50 && room > 0, "the corpus is too small")
}

/// The number of the refusal; 0 for a module that was loaded.
fn refuse(bytes: &[u8], other: &[u8], memory: &mut Memory) -> u8 {
    let mut attempt = || {
        let inputs =
            [Input { name: "bad.o", object: Elf::parse(bytes)? }, Input { name: "good.o", object: Elf::parse(other)? }];
        let tables = tables!(ROOMY);
        let mut plan = memory.plan(&inputs, tables, policy(), &mut export, &mut |_| {})?;
        // SAFETY: what had the bytes before is unloaded.
        let bytes = unsafe { memory.bytes() };
        loader::load(&mut plan, bytes).map(drop)
    };
    let refusal = attempt().map_or_else(|refusal: loader::Refusal| refusal as u8, |()| 0);
    memory.clear();
    refusal
}
