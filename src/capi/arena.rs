//! Placement by arithmetic.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::pointer::{given, hand_out, put};
use super::reloc::relocation;
use crate::addr::Addr;
use crate::arena::{Arena, ArenaError, Block, PageSize, Prot, Segment};
use core::mem::MaybeUninit;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// Which pages of a range of addresses hold what. It touches no memory. One thread at a time may use it.
#[derive(Debug)]
pub struct a64r_arena {
    arena: Arena<Vec<Block>>,
    held: BTreeMap<u64, Segment>,
}

/// What finished pages allow. There is no writable and executable one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_prot {
    /// Constants.
    Read = 0,
    /// Data, and a GOT that is re-pointed while its code runs.
    ReadWrite,
    /// Code.
    ReadExec,
}

/// The protection numbered `prot`.
pub(super) fn protection(prot: u32) -> Result<Prot, Refused> {
    const READ: u32 = a64r_prot::Read as u32;
    const READ_WRITE: u32 = a64r_prot::ReadWrite as u32;
    const READ_EXEC: u32 = a64r_prot::ReadExec as u32;
    match prot {
        READ => Ok(Prot::Read),
        READ_WRITE => Ok(Prot::ReadWrite),
        READ_EXEC => Ok(Prot::ReadExec),
        _ => Err(Refused::Invalid("prot", prot.into())),
    }
}

/// Whole pages.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_pages {
    /// The first address.
    addr: u64,
    /// Bytes.
    len: u64,
}

/// A range of addresses, and how much of it is free.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_range_facts {
    /// The first address.
    pub(super) addr: u64,
    /// Bytes, held and free.
    pub(super) len: u64,
    /// Bytes of a page.
    pub(super) page: u64,
    /// Bytes that are free.
    pub(super) free: u64,
    /// Bytes of the longest run that can still be had.
    pub(super) largest: u64,
}

/// Makes an arena over the `len` bytes from `base`, all free. Both are multiples of `page`, the bytes of a page: 4, 16 or 64
/// KiB.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_new(
    base: u64,
    len: u64,
    page: u64,
    out: Option<&mut MaybeUninit<*mut a64r_arena>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        hand_out(out, || {
            let page = PageSize::from_bytes(page).ok_or(Refused::Invalid("page", page))?;
            let arena = Arena::new(vec![Block::EMPTY; 16], Addr::new(base), len, page)?;
            Ok(a64r_arena { arena, held: BTreeMap::new() })
        })
    })
}

/// Frees the arena; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_free(arena: Option<Box<a64r_arena>>) {
    drop(arena);
}

impl a64r_arena {
    /// What `alloc` hands out, with as much storage as it takes.
    fn hold(
        &mut self,
        alloc: impl Fn(&mut Arena<Vec<Block>>) -> Result<Segment, ArenaError>,
    ) -> Result<a64r_pages, Refused> {
        let segment = match alloc(&mut self.arena) {
            Err(ArenaError::NoBlocks { blocks }) => {
                self.arena.add_blocks(blocks);
                alloc(&mut self.arena)
            }
            result => result,
        }?;
        self.held.insert(segment.addr().get(), segment);
        Ok(a64r_pages { addr: segment.addr().get(), len: segment.len() })
    }
}

/// Takes `len` bytes, rounded up to whole pages, that will have protection `prot`, an `a64r_prot`: whichever are free.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_alloc(
    arena: Option<&mut a64r_arena>,
    prot: u32,
    len: u64,
    out: Option<&mut MaybeUninit<a64r_pages>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let (out, prot) = (given(out, "out")?, protection(prot)?);
        put(Some(out), given(arena, "arena")?.hold(|arena| arena.alloc(prot, len))?)
    })
}

/// Takes the `len` bytes from `addr`, a multiple of the page, rounded up to whole pages.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_alloc_at(
    arena: Option<&mut a64r_arena>,
    prot: u32,
    addr: u64,
    len: u64,
    out: Option<&mut MaybeUninit<a64r_pages>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let (out, prot) = (given(out, "out")?, protection(prot)?);
        put(Some(out), given(arena, "arena")?.hold(|arena| arena.alloc_at(prot, Addr::new(addr), len))?)
    })
}

/// Gives the pages that begin at `addr` back.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_give_back(
    arena: Option<&mut a64r_arena>,
    addr: u64,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let a64r_arena { arena, held } = given(arena, "arena")?;
        Ok(arena.free(held.remove(&addr).ok_or(Refused::NotFound)?)?)
    })
}

/// Whether every place in the arena encodes every target in it, by the relocation of ELF64 code `reloc`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_guarantees(arena: Option<&a64r_arena>, reloc: u32) -> bool {
    let guarantees = || Ok::<_, Refused>(given(arena, "arena")?.arena.guarantees(relocation(reloc)?));
    guarantees().unwrap_or(false)
}

/// Writes to `out` how full the arena is.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_describe(
    arena: Option<&a64r_arena>,
    out: Option<&mut MaybeUninit<a64r_range_facts>>,
) -> a64r_status {
    answer(None, || {
        let arena = &given(arena, "arena")?.arena;
        let (addr, len, page) = (arena.base().get(), arena.len(), arena.page().bytes());
        put(out, a64r_range_facts { addr, len, page, free: arena.free_bytes(), largest: arena.largest_free() })
    })
}

/// Writes to `map` what lies where, for people.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_arena_map(arena: Option<&a64r_arena>, map: Option<&mut a64r_text>) -> a64r_status {
    answer(None, || {
        given(map, "map")?.set(given(arena, "arena")?.arena.map(|_| None));
        Ok(())
    })
}
