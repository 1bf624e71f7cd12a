//! The verdict on what was linked, by this crate or by another linker: whether each place reaches what its relocation says.
//!
//! What may stand at a place is the relocation applied to the bit, or what a linker lawfully puts in its stead:
//!
//! | place | may also be |
//! |---|---|
//! | `B`, `BL`, `PLT32` | a branch to a veneer, a stub of the PLT or a thunk that arrives at the target, and changes x16 and x17 at most |
//! | `B.cond`, `CBZ`, `TBZ` ... | a branch to a hop that arrives at the target, and changes no register |
//! | `ADRP`, `ADR`, `LDR` (literal) | a `B` to a detour that comes back with the value in one register, and changes no other; an `ADR` for an `ADRP` |
//! | any lo12 | a `B` to the same instruction elsewhere, and back (Cortex-A53 erratum 843419) |
//! | any, of a symbol that nothing defines | the conventions of AAELF64, "Weak references", and of linkers: see [`Target::Nothing`] |
//!
//! The code of veneers and detours is followed instruction by instruction, through the memory of the image. Relaxed code, from
//! which a linker has removed instructions, is reported as wrong: link with `--no-relax`.

mod error;
mod place;
mod run;

pub use error::{Found, Wrong};

use crate::addr::Addr;
use crate::patch::{Endian, raw_at};
use crate::reloc::Reloc;
use core::fmt;
use place::Place;

/// Bytes of an image, and the address they run at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View<'a> {
    /// The address of the first byte.
    pub addr: Addr,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// The `len` bytes from `addr` on; `None` where not all of them are in this view.
    pub fn part(self, addr: Addr, len: usize) -> Option<Self> {
        let offset = self.offset_of(addr)?;
        let bytes = self.bytes.get(offset..offset.checked_add(len)?)?;
        Some(Self { addr, bytes })
    }

    fn offset_of(self, addr: Addr) -> Option<usize> {
        usize::try_from(addr.distance_from(self.addr).cast_unsigned()).ok()
    }
}

/// The memory of an image as it is when the code runs.
///
/// ```
/// use aarch64_reloc::verify::{Memory, Target, Verdict, View};
/// use aarch64_reloc::{Addr, Reloc};
/// // A BL to the NOP behind it, where a RET was meant.
/// let bytes = [0x01, 0, 0, 0x94, 0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6];
/// let views = [View { addr: Addr::new(0x40_0000), bytes: &bytes }];
/// let memory = Memory { views: &views, ..Memory::default() };
/// let call = |target| memory.check(Addr::new(0x40_0000), Reloc::CALL26, Target::Addr(Addr::new(target)));
/// assert_eq!(call(0x40_0004), Ok(Verdict::Right));
/// assert_eq!(
///     call(0x40_0008).unwrap_err().to_string(),
///     "R_AARCH64_CALL26 at 0x400000: reaches 0x400004, not 0x400008 (-0x4 bytes off)",
/// );
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory<'a> {
    /// All of it that has content, sorted by address and none of them empty: in the last that does not begin after an address
    /// it is looked for, and nowhere else.
    pub views: &'a [View<'a>],
    /// The global offset tables, whose words are slots, in the order of addresses: of a plan, its output section `.got`. With
    /// none, every place that refers to a slot is wrong.
    pub got: &'a [View<'a>],
    /// `GOT` of AAELF64, from which offsets of slots are measured. Where objects have bases of their own, all of them: each
    /// offset must be right from one. Few, for each is tried in turn.
    pub bases: &'a [Addr],
    /// The byte order of data.
    pub endian: Endian,
}

/// What a place must reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// `S + A`.
    Addr(Addr),
    /// A slot of the GOT.
    Slot {
        /// `S`: the address that the slot holds.
        holds: Addr,
        /// `A`, which only `R_AARCH64_GOTPCREL32` adds to the slot's address.
        addend: i64,
    },
    /// `A` alone: nothing defines the symbol. A branch may continue behind itself or be a `NOP`; what is relative to the
    /// place may take `S` for 0, for the place or for its page; an `ADRP` or `ADR` may be a `MOVZ` of 0.
    Nothing {
        /// `A`, in bytes.
        addend: i64,
    },
}

impl Target {
    /// The target of `reloc` whose symbol is at `symbol`, or nowhere.
    pub fn new(reloc: Reloc, symbol: Option<Addr>, addend: i64) -> Self {
        match symbol {
            _ if place::is_to_slot(reloc) => Self::Slot { holds: symbol.unwrap_or_default(), addend },
            Some(symbol) => Self::Addr(symbol.plus(addend)),
            None => Self::Nothing { addend },
        }
    }
}

/// What was found where nothing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The place reaches its target.
    Right,
    /// The place cannot be judged.
    Unverified(Unverified),
}

/// Why a place cannot be judged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unverified {
    /// It is of thread-local storage, whose code linkers replace.
    ThreadLocal,
    /// What it holds is decided when the program starts: indirect functions, signed pointers, patched instructions.
    RunTime,
    /// It is not in memory: debug information.
    NotLoaded,
    /// The linker did not keep up what it says: `ld.lld` leaves the relocations of records that it removes from `.eh_frame`
    /// at places of others, and those against `.eh_frame` itself without their symbol.
    Stale,
    /// It is one of a slot that is not among the first 8192 which it may be.
    ManySlots,
}

impl Unverified {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ThreadLocal, Self::RunTime, Self::NotLoaded, Self::Stale, Self::ManySlots];

    /// Why no place of `reloc` can be judged; `None` where it can.
    pub const fn of(reloc: Reloc) -> Option<Self> {
        match reloc.code() {
            512..=573 | 1029 => Some(Self::ThreadLocal),
            316 | 317 | 580..=597 => Some(Self::RunTime),
            _ => None,
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThreadLocal => "thread-local",
            Self::RunTime => "decided at run time",
            Self::NotLoaded => "not loaded",
            Self::Stale => "stale",
            Self::ManySlots => "too many slots",
        })
    }
}

impl<'a> Memory<'a> {
    /// Judges the place of `reloc` at `place`, which must reach `target`.
    ///
    /// A relocation to a slot of the GOT is right where the slot it reaches holds the address; of a page of the GOT or of
    /// the low bits of a slot, where such a slot is in that page or has those bits. `R_AARCH64_ADR_PREL_PG_HI21_NC` is held
    /// to the range of its checked twin.
    ///
    /// Time grows with the logarithm of the number of views, and with the image no further: what must be looked for in a GOT,
    /// a slot by its low bits or by its offset, is looked for in 8192 slots at most.
    ///
    /// # Errors
    ///
    /// What the place reaches instead.
    pub fn check(&self, place: Addr, reloc: Reloc, target: Target) -> Result<Verdict, Wrong> {
        if let Some(why) = Unverified::of(reloc) {
            return Ok(Verdict::Unverified(why));
        }
        let judged = if reloc == Reloc::ADR_PREL_PG_HI21_NC { Reloc::ADR_PREL_PG_HI21 } else { reloc };
        Place::new(self, place, judged).judge(target).map_err(|found| Wrong { reloc, place, found })
    }

    /// The bytes that `reloc` reads at `addr`, as a number.
    fn raw(&self, addr: Addr, reloc: Reloc) -> Option<u64> {
        read(self.views, addr, reloc, self.endian)
    }

    /// The instruction at `addr`.
    fn word(&self, addr: Addr) -> Option<u32> {
        self.raw(addr, Reloc::PATCHINST).map(|raw| raw as u32)
    }

    /// What the slot at `addr` holds.
    fn slot(&self, addr: Addr) -> Option<Addr> {
        read(self.got, addr, Reloc::ABS64, self.endian).filter(|_| addr.is_aligned_to(8)).map(Addr::new)
    }

    /// A slot that holds `symbol` and that `is` wants, of those at `phase` modulo `step` bytes, a power of two; no more than
    /// the first [`LOOKED_AT`] of these are looked at.
    fn find_slot(
        &self,
        symbol: Addr,
        step: u64,
        phase: Addr,
        is: &dyn Fn(Addr) -> bool,
    ) -> Result<Option<Addr>, TooMany> {
        let mut left = LOOKED_AT;
        for view in self.got {
            let skipped = phase.distance_from(view.addr).cast_unsigned() & step.wrapping_sub(1);
            for n in 0.. {
                // A view costs as much as a slot.
                left = left.checked_sub(1).ok_or(TooMany)?;
                let Some(offset) = step.checked_mul(n).and_then(|offset| offset.checked_add(skipped)) else { break };
                let Ok(at) = usize::try_from(offset) else { break };
                let Some(held) = raw_at(view.bytes, at, Reloc::ABS64, self.endian) else { break };
                let slot = view.addr.at(at);
                if held == symbol.get() && is(slot) {
                    return Ok(Some(slot));
                }
            }
        }
        Ok(None)
    }
}

/// The bytes that `reloc` reads at `addr`, which is in the last of `views` that does not begin after it.
fn read(views: &[View<'_>], addr: Addr, reloc: Reloc, endian: Endian) -> Option<u64> {
    let view = views.get(..views.partition_point(|view| view.addr <= addr))?.last()?;
    raw_at(view.bytes, view.offset_of(addr)?, reloc, endian)
}

/// How many slots are looked at for one place, so that a file of many places and many slots is judged in bounded time: a GOT
/// of 64 KiB, or of 32 MiB where the low bits of the slot are known.
const LOOKED_AT: usize = 8192;

/// More slots than are looked at.
#[derive(Clone, Copy, Debug)]
struct TooMany;
