//! Running what was linked where no operating system is: in memory that the caller has, with protections that the caller sets.
//!
//! ```text
//! Plan --install()--> Installed --function()--> extern "C" fn
//! of lent tables      |  written, caches clean, pages of final protection
//!                     `--unload()--> the memory is the caller's again, to be written
//! ```
//!
//! Nothing here or below allocates or panics. `no_std_check/image` is a whole loader, which boots.
//!
//! # What to call, in which order
//!
//! 1. [`Elf::parse`](crate::formats::elf::Elf::parse) reads each object where it lies, in RAM or flash.
//! 2. Tables are lent: of the lengths that [`measure`](crate::link::measure) says, or [`tables!`](crate::tables) of a constant. A
//!    build script has that from [`Plan::needs`], which does the same link on the host; so does the example `link --needs`.
//! 3. An [`Arena`](crate::arena::Arena) over the memory for modules gives each segment pages of its own.
//! 4. [`Plan::new`] is told by `resolve` where the symbols are that the loader exports, and reports all that is wrong. Nothing
//!    is written before it is content.
//! 5. [`install`] writes, cleans the caches, protects. [`Installed::word`] and [`Installed::function`] get at the functions of
//!    [`Plan::array`]`(".init_array")`, which come first, then at any other.
//! 6. After those of `.fini_array`, [`Installed::unload`]; the pages go back to the arena. The same plan can be installed again.
//!
//! Objects that are in RAM already can stay: [`Options::in_place`](crate::link::Options::in_place). For a Cortex-A53 there is
//! [`Policy::erratum_843419`](crate::link::Policy::erratum_843419).
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use aarch64_reloc::arena::{Arena, Block, PageSize, Prot};
//! use aarch64_reloc::{Addr, Section, cache::Native, formats::elf::Elf, install::{Installed, install}, tables};
//! use aarch64_reloc::link::{Input, Needs, Options, Plan, each};
//! // What a build script wrote, by `Debug`.
//! const NEEDS: Needs = Needs {
//!     objects: 1, sections: 12, symbols: 17, names: 6, output_names: 16, groups: 0, ordered: 0,
//!     outputs: 8, segments: 3, slots: 1, islands: 1, veneers: 0, fixups: 29,
//! };
//! # let object = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/link/hello.o"))?;
//! # let mut ram = [0; 0x8000];
//! # let ram_addr = Addr::new(0x4020_0000);
//! let inputs = [Input { name: "hello.o", object: Elf::parse(&object)? }];
//! let mut arena = Arena::new([Block::EMPTY; 8], ram_addr, ram.len() as u64, PageSize::K4)?;
//! let place = each(|request| arena.alloc(request.prot, request.most).map(|segment| segment.addr()));
//! let tables = tables!(NEEDS);
//! let options = Options::default();
//! let mut plan = Plan::new(&inputs, &options, tables, &mut |_| None, place, &mut |failure| println!("{failure}"))?;
//! assert_eq!(plan.needs(), NEEDS);
//! let mut protect = |_addr: Addr, _len: u64, _prot: Prot| Ok::<_, &str>(()); // the translation tables are the caller's
//! let installed: Installed<'_> = install(&mut plan, Section::new(&mut ram, ram_addr), &mut Native, &mut protect)?;
//! // SAFETY: `main` is of that type, and returns before it is unloaded.
//! if let Some(main) = plan.find("main").and_then(|main| unsafe { installed.function::<extern "C" fn()>(main) }) {
//!     main();
//! }
//! installed.unload(&mut protect)?;
//! # }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What is asked of the machine
//!
//! Any exception level will do: [`Native`](crate::cache::Native) executes `DC CVAU`, `IC IVAU`, `DSB`, `ISB` and reads `CTR_EL0`;
//! nothing else is special. EL0 must be allowed these (`SCTLR_EL1.UCI` and `UCT`). Rust's code for AArch64 uses the SIMD
//! registers, which `CPACR_EL1` or `CPTR_EL2` must allow, unless it is built for a `-softfloat` target. Nothing is accessed
//! unaligned that was not asked to be.
//!
//! Memory for modules is mapped at the addresses it will run at, normal and inner shareable; readable and writable when a plan is
//! installed. [`Protect`] changes the permissions alone: for `r-x` `AP[2]` set and execution allowed at the level that will run it,
//! for `rw-` execution never (`UXN`, `PXN`; at EL2 `XN`), which `SCTLR_ELx.WXN` then bears out. That needs no break-before-make, but
//! a `TLBI` by address and a `DSB`. Segments share no page, of whatever size the pages are ([`PageSize`](crate::arena::PageSize)).
//! With the MMU off `Protect` does nothing. Other cores execute an `ISB` before they call new code.
//!
//! # Memory
//!
//! Bytes of flash on AArch64, text and constants, by what is called; `no_std_check/size` measures and guards them, and says how
//! such a program is built (without unwind tables, in the tiny code model):
//!
//! | what | `opt-level = "z"` |
//! |---|---:|
//! | patching by [`Section`], with the whole table of relocations | 4.3 KiB |
//! | that, with feature `fast` | 23 KiB |
//! | patching, GOT, islands and arena | 13 KiB |
//! | linking of ELF objects (feature `link`) | 32 KiB |
//! | installing besides | 34 KiB |
//! | linking with all that there is (feature `full`), see [`Omitted`](crate::link::Omitted) | 69 KiB |
//! | installing besides | 71 KiB |
//! | all, and every error as text | 98 KiB |
//!
//! RAM: the tables, of [`Needs::bytes`](crate::link::Needs::bytes), which are free once the plan is dropped; the segments
//! ([`Request::size`](crate::link::Request::size)), as many bytes as are used where the tables are exactly as long as needed; under
//! 2 KiB for the arena; 40 bytes for each of its blocks. The objects themselves are read where they lie. Linking was seen to take
//! 16 KiB of stack (`no_std_check/image`, release).

#![allow(unsafe_code)]

use crate::addr::Addr;
use crate::arena::Prot;
use crate::cache::Cache;
use crate::link::{CommitError, Object, Plan};
use crate::patch::Section;
use core::{fmt, ptr};

pub use crate::function::Function;

/// The translation tables, as far as they say what memory may be used for.
///
/// Implemented for closures, such as one that does nothing where the MMU is off.
pub trait Protect {
    /// Why a protection was not set.
    type Error;

    /// Gives the pages of the `len` bytes from `addr` this protection, and no other; on return every core translates so (of
    /// AArch64: after a break-before-make where the architecture asks for one, `TLBI` and `DSB`; Arm ARM D8.16).
    ///
    /// # Errors
    /// The pages are not to be had so.
    fn protect(&mut self, addr: Addr, len: u64, prot: Prot) -> Result<(), Self::Error>;
}

impl<E, F: FnMut(Addr, u64, Prot) -> Result<(), E>> Protect for F {
    type Error = E;

    fn protect(&mut self, addr: Addr, len: u64, prot: Prot) -> Result<(), E> {
        self(addr, len, prot)
    }
}

/// Code that can be called, in memory that is borrowed until it is [unloaded](Self::unload). `N` segments at most: three, and
/// one more for each that is pinned.
#[derive(Debug)]
#[must_use = "its pages keep their protections when it is dropped"]
pub struct Installed<'m, const N: usize = 3> {
    parts: [Option<(Section<'m>, Prot)>; N],
}

/// Writes `plan` into `memory`, publishes the code, then protects the pages of each segment.
///
/// `memory` holds the segments wherever the plan placed them in it, each on pages of its own, readable and writable.
///
/// # Errors
/// What did not work; nothing can be called then, and what was protected is writable again as far as `pages` allows.
pub fn install<'m, 'data, const N: usize, O: Object<'data>, P: Protect>(
    plan: &mut Plan<'_, 'data, O>,
    memory: Section<'m>,
    cache: &mut impl Cache,
    pages: &mut P,
) -> Result<Installed<'m, N>, InstallError<P::Error>> {
    let mut parts = carve(plan, memory)?;
    let mut sections = parts.each_mut().map(|part| match part {
        Some((section, _)) => section.reborrow(),
        None => Section::new(&mut [], Addr::default()),
    });
    let count = plan.segments().len();
    plan.commit(sections.get_mut(..count).unwrap_or_default()).map_err(InstallError::Commit)?;
    let installed = Installed { parts };
    let protected = installed.parts().try_for_each(|(section, prot)| {
        if prot == Prot::ReadExec {
            cache.publish(section.bytes());
        }
        pages.protect(section.addr(), section.len() as u64, prot)
    });
    match protected {
        Ok(()) => Ok(installed),
        Err(error) => {
            // The first error is the one to tell.
            let _ = installed.unload(pages);
            Err(InstallError::Protect(error))
        }
    }
}

/// Cuts the plan's segments out of `memory`, in the plan's order.
fn carve<'m, 'data, const N: usize, O: Object<'data>, E>(
    plan: &Plan<'_, 'data, O>,
    memory: Section<'m>,
) -> Result<[Option<(Section<'m>, Prot)>; N], InstallError<E>> {
    let mut parts = [const { None }; N];
    let mut rest = memory;
    let mut last = None;
    // From the lowest on, what is above the one before.
    while let Some((index, segment)) = (plan.segments().iter().enumerate())
        .map(|(index, segment)| (index, *segment))
        .filter(|&(index, segment)| last.is_none_or(|last| (segment.addr(), index) > last))
        .min_by_key(|&(index, segment)| (segment.addr(), index))
    {
        last = Some((segment.addr(), index));
        let outside = || InstallError::Outside(segment.addr());
        let size = usize::try_from(segment.size()).map_err(|_| outside())?;
        let offset = rest.offset_of(segment.addr());
        let above = rest.skip(offset).ok_or_else(outside)?;
        let (section, above) = above.split_at(size).ok_or_else(outside)?;
        *parts.get_mut(index).ok_or(InstallError::TooMany(plan.segments().len()))? = Some((section, segment.prot()));
        rest = above;
    }
    Ok(parts)
}

impl<'m, const N: usize> Installed<'m, N> {
    fn parts(&self) -> impl Iterator<Item = (&Section<'m>, Prot)> {
        self.parts.iter().flatten().map(|(section, prot)| (section, *prot))
    }

    /// The `len` bytes from `addr` on; `None` where not all of them are in one segment that is not written.
    pub fn bytes(&self, addr: Addr, len: usize) -> Option<&[u8]> {
        let read_only = self.parts().filter(|&(_, prot)| prot != Prot::ReadWrite);
        read_only.into_iter().find_map(|(section, _)| {
            let offset = section.offset_of(addr);
            section.bytes().get(offset..offset.checked_add(len)?)
        })
    }

    /// The eight bytes at `addr`, in the machine's byte order: an entry of an array of functions, say
    /// ([`Plan::array`]). `None` where not all of them are in one segment, or `addr` is not a multiple of 8.
    pub fn word(&self, addr: Addr) -> Option<u64> {
        self.parts().filter(|_| addr.is_aligned_to(8)).find_map(|(section, _)| {
            let offset = section.offset_of(addr);
            let word = section.bytes().get(offset..)?.first_chunk::<8>()?.as_ptr().cast::<u64>();
            // SAFETY: the bytes are there. Code that runs may write them meanwhile: so they are read at once, as it writes them.
            Some(unsafe { word.read_volatile() })
        })
    }

    /// The function at `entry`; `None` where that is not in the code, not a multiple of 4, or the machine is not AArch64, and where
    /// the code was linked for another address than the one its bytes have here.
    ///
    /// # Safety
    /// At `entry` begins a function of type `F` that keeps the rules of AAPCS64, and of Rust if `F` is a safe function. It does not
    /// run, and is not called, once `self` is unloaded or dropped. Each core that calls it has forgotten what it fetched ahead
    /// ([`Cache::publish`]), and may execute at its exception level what [`Protect`] made `r-x`.
    pub unsafe fn function<F: Function>(&self, entry: Addr) -> Option<F> {
        let is_here = self.parts().any(|(section, prot)| {
            let is_in_place = section.addr().get() == section.bytes().as_ptr().expose_provenance() as u64;
            prot == Prot::ReadExec && is_in_place && section.offset_of(entry) < section.len()
        });
        if !is_here || !entry.is_aligned_to(4) || cfg!(not(target_arch = "aarch64")) {
            return None;
        }
        let entry = ptr::with_exposed_provenance::<()>(entry.get() as usize);
        // SAFETY: the caller vouches for the code; it was published.
        Some(unsafe { F::at(entry) })
    }

    /// Makes the pages writable again, so that the next module can have them.
    ///
    /// # Errors
    /// The first page that is not to be had so; the others are.
    pub fn unload<P: Protect>(self, pages: &mut P) -> Result<(), P::Error> {
        let mut result = Ok(());
        for (section, _) in self.parts() {
            let protected = pages.protect(section.addr(), section.len() as u64, Prot::ReadWrite);
            result = result.and(protected);
        }
        result
    }
}

/// Why a plan was not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InstallError<E> {
    /// The segment at this address is not in the memory, or shares a byte with another.
    Outside(Addr),
    /// So many segments are more than there is room for.
    TooMany(usize),
    /// What the plan could not see.
    Commit(CommitError),
    /// A protection was not set.
    Protect(E),
}

impl<E: fmt::Display> fmt::Display for InstallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(addr) => write!(f, "the segment at {addr} is not in the memory"),
            Self::TooMany(count) => write!(f, "{count} segments are too many"),
            Self::Commit(error) => write!(f, "{error}"),
            Self::Protect(error) => write!(f, "{error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for InstallError<E> {}
