//! Addresses, instructions, relocations, sections, placement.

use crate::drain;
use aarch64_reloc::arena::{Arena, ArenaError, Block, PageSize, Prot, Reach, Segment, Taken, Zone, Zones};
use aarch64_reloc::insn::{self, Hw, Reg};
use aarch64_reloc::patch::{Batch, BatchError, Endian, Fixup, PatchError, Room, Section};
use aarch64_reloc::{Addr, Reason, Reloc, Value, patch};
use core::hint::black_box;
use core::ops::RangeInclusive;

#[unsafe(no_mangle)]
pub fn prove_addr(addr: Addr, other: Addr, addend: i64, offset: usize) -> (Addr, Addr, Addr, i64, bool) {
    (addr.page(), addr.plus(addend), addr.at(offset), addr.distance_from(other), addr.is_aligned_to(other.get()))
}

#[unsafe(no_mangle)]
pub fn prove_insn(number: u8, other: u8, hw: Hw) -> [u32; 18] {
    let (rd, rn) = (Reg::new(number), Reg::new(other));
    [
        insn::adr(rd),
        insn::adrp(rd),
        insn::add(rd, rn),
        insn::movn(rd, hw),
        insn::movz(rd, hw),
        insn::movk(rd, hw),
        insn::ldr(rd, rn),
        insn::str(rd, rn),
        insn::ldr_literal(rd),
        insn::b(),
        insn::bl(),
        insn::b_cond(other),
        insn::cbz(rd),
        insn::cbnz(rd),
        insn::tbz(rd, other),
        insn::tbnz(rd, other),
        insn::br(rn),
        insn::blr(rn),
    ]
}

#[unsafe(no_mangle)]
pub fn prove_apply(reloc: Reloc, raw: u64, place: Addr, value: Value) -> (Result<u64, Reason>, Result<i64, Reason>) {
    (reloc.apply(raw, place, value), reloc.read(raw, place))
}

#[unsafe(no_mangle)]
pub fn prove_reloc(code: u32, place: Addr, value: Value) -> Option<(RangeInclusive<i64>, Reach, bool, Option<i64>)> {
    let reloc = Reloc::from_elf(code)?;
    black_box((
        reloc.code(),
        reloc.name(),
        reloc.takes().name(),
        reloc.size(),
        reloc.is_data(),
        reloc.place_alignment(),
    ));
    black_box((reloc.alignment(), reloc.is_pc_relative(), reloc.is_paged(), reloc.expects(), reloc.remedy()));
    Some((reloc.bounds(), reloc.reach(), reloc.reaches(place, value), reloc.x(place, value)))
}

#[unsafe(no_mangle)]
pub fn prove_section(
    bytes: &mut [u8],
    addr: Addr,
    endian: Endian,
    offset: usize,
    reloc: Reloc,
    value: Value,
) -> Result<i64, PatchError> {
    let Some((mut section, _)) = Section::new(bytes, addr).with_endian(endian).split_at(offset) else { return Ok(0) };
    black_box(section.reborrow().skip(offset));
    section.check(offset, reloc, value)?;
    section.patch(offset, reloc, value)?;
    section.write_word(offset, insn::NOP)?;
    black_box((section.verify(offset, reloc, value)?, section.reaches(offset, reloc, value)));
    black_box((section.addr(), section.len(), section.is_empty(), section.bytes().first().copied()));
    black_box(section.bytes_mut());
    section.read(offset, reloc)
}

#[unsafe(no_mangle)]
pub fn prove_patch_all(section: &mut Section<'_>, fixups: &[Fixup], offset: u32, reloc: Reloc, value: Value) {
    let _ = section.check_all(&[Fixup::new(offset, reloc, value)]).map_err(drain);
    let _ = section.check_all(fixups).map_err(|failures| drain(failures.first().into_iter().chain(failures)));
    let _ = section.patch_all(fixups).map_err(drain);
}

#[unsafe(no_mangle)]
pub fn prove_patch_batch(
    section: &mut Section<'_>,
    blocks: &mut [patch::Block],
    offset: u32,
    reloc: Reloc,
    value: Value,
) -> Result<(usize, bool), BatchError> {
    let mut batch = Batch::new(blocks);
    batch.clear();
    for step in 0..offset {
        batch.push(step, reloc, value)?;
    }
    let _ = section.check_batch(&batch).map_err(drain);
    let _ = section.patch_batch(&batch).map_err(drain);
    Ok((batch.len(), batch.is_empty()))
}

#[unsafe(no_mangle)]
pub fn prove_patch_run(section: &mut Section<'_>, offset: usize, reloc: Reloc, targets: &[Addr]) {
    let _ = section.check_run(offset, reloc, targets).map_err(drain);
    let _ = section.patch_run(offset, reloc, targets).map_err(drain);
}

#[unsafe(no_mangle)]
pub fn prove_arena(
    storage: &mut [Block],
    base: Addr,
    len: u64,
    page: PageSize,
    segment: Segment,
) -> Result<u64, ArenaError> {
    let mut arena = Arena::new(storage, base, len, page)?;
    prove_lent_arena(&mut arena, Prot::ReadExec, len, base, segment)?;
    black_box((arena.base(), arena.len(), arena.page()));
    Ok(arena.largest_free())
}

#[unsafe(no_mangle)]
pub fn prove_lent_arena(
    arena: &mut Arena<&mut [Block]>,
    prot: Prot,
    len: u64,
    addr: Addr,
    segment: Segment,
) -> Result<u64, ArenaError> {
    let first = arena.alloc(prot, len)?;
    let second = arena.alloc_at(prot, addr, len)?;
    black_box((first.addr(), first.len(), first.prot(), first.contains(addr, len)));
    drain(arena.segments());
    arena.free(segment)?;
    arena.free(second)?;
    black_box(arena.largest_free());
    Ok(arena.free_bytes())
}

#[unsafe(no_mangle)]
pub fn prove_guarantees(arena: &Arena<&mut [Block]>, zones: &Zones<&mut [Block]>, reloc: Reloc) -> (bool, bool) {
    (arena.guarantees(reloc), zones.guarantees(reloc))
}

#[unsafe(no_mangle)]
pub fn prove_zones(
    storage: &mut [Block],
    base: Addr,
    len: u64,
    page: PageSize,
    corridor: u64,
) -> Result<Zones<&mut [Block]>, ArenaError> {
    Zones::new(storage, base, len, page, corridor)
}

#[unsafe(no_mangle)]
pub fn prove_lent_zones(
    zones: &mut Zones<&mut [Block]>,
    prot: Prot,
    len: u64,
    segment: Segment,
) -> Result<Taken, ArenaError> {
    black_box(zones.free(segment)?);
    for zone in Zone::ALL {
        black_box((zones.largest_free(zone), zone.prot(), zones.alloc(zone, len)?));
    }
    black_box((zones.corridor(segment), zones.free_bytes()));
    drain(zones.segments());
    zones.alloc(prot.into(), len)
}

#[unsafe(no_mangle)]
pub fn prove_room(addr: Addr, fixups: &[Fixup], distance: i64) -> Option<(i64, i64, u64, bool)> {
    let room = Room::of_section(addr, fixups)?.and(Room::of_targets(addr, fixups)?)?;
    Some((room.first(), room.last(), room.step(), room.contains(distance)))
}

#[unsafe(no_mangle)]
pub fn prove_pages(bytes: u64, reach: Reach, distance: i64) -> (Option<PageSize>, bool, bool) {
    (PageSize::from_bytes(bytes), reach.covers(distance), reach.spans(bytes))
}
