//! Islands of veneers, hops, detours and landing pads.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::got::a64r_ledger_facts;
use super::pointer::{given, hand_out, put, records};
use super::reloc::{a64r_value, relocation};
use super::section::{a64r_section, open};
use crate::addr::Addr;
use crate::insn;
use crate::reloc::{Reloc, Value};
use crate::veneer::{Callee, Cell, Detour, Island, Purpose, VeneerError};
use core::mem::MaybeUninit;
use std::boxed::Box;
use std::vec::Vec;

/// The ledger of an island: what branches go through to where they do not reach. Nothing is written before
/// `a64r_island_write`. One thread at a time may use it.
#[derive(Debug)]
pub struct a64r_island(Island<Vec<Cell>>);

/// What cells of an island are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_purpose {
    /// Calls of a function, by its address or through a slot.
    Veneer = 0,
    /// Conditional branches to an address.
    Hop,
    /// The instruction at an address.
    Detour,
    /// Veneers elsewhere that lead to an address.
    Pad,
}

/// Makes an empty island of `capacity` cells of sixteen bytes at `base`, a multiple of 16.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_new(
    base: u64,
    capacity: usize,
    out: Option<&mut MaybeUninit<*mut a64r_island>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_island(Island::new(records(capacity)?, Addr::new(base))?))))
}

/// Frees the ledger; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_free(island: Option<Box<a64r_island>>) {
    drop(island);
}

/// What a veneer leads to.
fn callee(value: a64r_value) -> Result<Callee, Refused> {
    match value.get()? {
        Value::Addr(addr) => Ok(addr.into()),
        Value::Slot(slot) => Ok(slot.into()),
        Value::Offset(offset) => Err(Refused::Invalid("callee", offset.cast_unsigned())),
    }
}

/// Writes to `out` where `make` says that cells of the island are.
fn cells(
    island: Option<&mut a64r_island>,
    out: Option<&mut MaybeUninit<u64>>,
    make: impl FnOnce(&mut Island<Vec<Cell>>) -> Result<Addr, VeneerError>,
) -> Result<(), Refused> {
    let out = given(out, "out")?;
    put(Some(out), make(&mut given(island, "island")?.0)?.get())
}

/// Writes to `out` the address of the veneer to `callee`, an address or a slot of the GOT, which is made if there is none. It
/// is what a `B` or `BL` goes through that does not reach the callee, and may change x16 and x17.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_veneer_for(
    island: Option<&mut a64r_island>,
    callee: a64r_value,
    out: Option<&mut MaybeUninit<u64>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let callee = self::callee(callee)?;
        cells(island, out, |island| island.veneer_for(callee))
    })
}

/// Writes to `out` the address of a `B target` for conditional branches, which is made if there is none. It must reach the
/// target.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_hop_to(
    island: Option<&mut a64r_island>,
    target: u64,
    out: Option<&mut MaybeUninit<u64>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || cells(island, out, |island| island.hop_to(Addr::new(target))))
}

/// Writes to `out` the address of a landing pad, `BTI c; B callee`, which is made if there is none. It must reach the callee.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_pad_for(
    island: Option<&mut a64r_island>,
    callee: u64,
    out: Option<&mut MaybeUninit<u64>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || cells(island, out, |island| island.pad_for(Addr::new(callee))))
}

/// Replaces the instruction at byte `offset` of `section`, an `ADRP`, `ADR` or literal load of a general register that does
/// not reach `value`, by a `B` to cells that do what the relocation of ELF64 code `reloc` would have it do, in its own
/// register alone, and come back. Refused, it changes neither the section nor the island.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_detour(
    island: Option<&mut a64r_island>,
    section: Option<&a64r_section>,
    offset: usize,
    reloc: u32,
    value: a64r_value,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let island = &mut given(island, "island")?.0;
        let mut section = open(section)?;
        let reloc = relocation(reloc)?;
        // The word itself is what a `PATCHINST` reads, the place being in the section.
        section.check(offset, Reloc::PATCHINST, Addr::new(0))?;
        let word = section.bytes().get(offset..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        let detour = Detour::new(section.addr().at(offset), u32::from_le_bytes(word), reloc, value.get()?)?;
        let cells = island.detour_for(detour)?;
        section.write_word(offset, insn::b())?;
        Ok(section.patch(offset, Reloc::JUMP26, cells)?)
    })
}

/// Frees the cells for `purpose`, an `a64r_purpose`, of `key`: a callee, a target, or the place of an instruction. Nothing may
/// branch there any more.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_remove(
    island: Option<&mut a64r_island>,
    purpose: u32,
    key: a64r_value,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    const VENEER: u32 = a64r_purpose::Veneer as u32;
    const HOP: u32 = a64r_purpose::Hop as u32;
    const DETOUR: u32 = a64r_purpose::Detour as u32;
    const PAD: u32 = a64r_purpose::Pad as u32;
    answer(text, || {
        let purpose = match (purpose, callee(key)?) {
            (VENEER, callee) => Purpose::Veneer(callee),
            (HOP, Callee::Addr(target)) => Purpose::Hop(target),
            (DETOUR, Callee::Addr(place)) => Purpose::Detour(place),
            (PAD, Callee::Addr(callee)) => Purpose::Pad(callee),
            _ => return Err(Refused::Invalid("purpose", purpose.into())),
        };
        given(island, "island")?.0.remove(purpose).map(drop).ok_or(Refused::NotFound)
    })
}

/// Writes to `out` how full the island is.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_describe(
    island: Option<&a64r_island>,
    out: Option<&mut MaybeUninit<a64r_ledger_facts>>,
) -> a64r_status {
    answer(None, || {
        let island = &given(island, "island")?.0;
        let (base, size) = (island.base().get(), island.size());
        put(out, a64r_ledger_facts { base, size, used: island.len(), capacity: island.capacity() })
    })
}

/// Writes the island where it lies in `section`. No core may execute it meanwhile. Where the section does not hold all of it,
/// what comes before is written.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_island_write(
    island: Option<&a64r_island>,
    section: Option<&a64r_section>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || Ok(given(island, "island")?.0.write(&mut open(section)?)?))
}
