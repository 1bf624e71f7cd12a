//! The GOT and the islands, over lent storage, an array, and whatever state earlier calls left behind.

use crate::drain;
use aarch64_reloc::addr::Misaligned;
use aarch64_reloc::got::{Content, Entry, Full, Kind};
use aarch64_reloc::veneer::{Callee, Cell, Detour, NoDetour, Purpose, VeneerError};
use aarch64_reloc::{Addr, Got, Island, PatchError, Reloc, Section, Slot, Symbol, Value};
use core::hint::black_box;

type LentGot<'a> = Got<&'a mut [Entry]>;
type LentIsland<'a> = Island<&'a mut [Cell]>;

#[unsafe(no_mangle)]
pub fn prove_got_new(storage: &mut [Entry], base: Addr) -> Result<LentGot<'_>, Misaligned> {
    black_box(Got::new([Entry::default(); 3], base)?);
    Got::new(storage, base)
}

#[unsafe(no_mangle)]
pub fn prove_got(
    got: &mut LentGot<'_>,
    symbol: Symbol,
    content: Content,
    kind: Kind,
    slot: Slot,
) -> Result<Slot, Full> {
    black_box((got.get(symbol, kind), got.repoint(symbol, content), got.remove(symbol, kind)));
    black_box((got.base(), got.len(), got.is_empty(), got.capacity(), got.size(), symbol.get()));
    black_box((got.offset_of(slot), got.page_offset_of(slot.plus(8))));
    drain(got.iter());
    got.slot_for(symbol, content)
}

#[unsafe(no_mangle)]
pub fn prove_got_write(got: &LentGot<'_>, section: &mut Section<'_>) -> Result<(), PatchError> {
    got.write(section)
}

#[unsafe(no_mangle)]
pub fn prove_island_new(storage: &mut [Cell], base: Addr) -> Result<LentIsland<'_>, Misaligned> {
    black_box(Island::new([Cell::default(); 3], base)?);
    Island::new(storage, base)
}

#[unsafe(no_mangle)]
pub fn prove_island(island: &mut LentIsland<'_>, callee: Callee, other: Purpose) -> Result<Addr, VeneerError> {
    black_box((island.get(callee), island.remove(other)));
    black_box((island.base(), island.len(), island.is_empty(), island.capacity(), island.size()));
    drain(island.iter().map(|occupant| (occupant.purpose(), occupant.addr(), occupant.size(), occupant.veneer())));
    island.veneer_for(callee)
}

#[unsafe(no_mangle)]
pub fn prove_island_rescues(
    island: &mut LentIsland<'_>,
    target: Addr,
    detour: Detour,
    callee: Addr,
) -> Result<[Addr; 3], VeneerError> {
    Ok([island.hop_to(target)?, island.detour_for(detour)?, island.pad_for(callee)?])
}

#[unsafe(no_mangle)]
pub fn prove_detour(place: Addr, word: u32, reloc: Reloc, value: Value) -> Result<Detour, NoDetour> {
    let detour = Detour::new(place, word, reloc, value)?;
    black_box((detour.place(), detour.register(), detour.address(), detour.is_load()));
    Ok(detour)
}

#[unsafe(no_mangle)]
pub fn prove_island_write(island: &LentIsland<'_>, section: &mut Section<'_>) -> Result<(), PatchError> {
    island.write(section)
}

#[unsafe(no_mangle)]
pub fn prove_veneer(addr: Addr, callee: Callee) -> Result<usize, Misaligned> {
    let veneer = callee.veneer_at(addr)?;
    black_box((veneer.addr(), veneer.callee(), veneer.form()));
    Ok(veneer.size())
}
