//! Running what was linked: objects go in, code that can be called comes out.
//!
//! An [`Image`] has not run; [`Image::start`] makes it [`Running`]: exceptions unwind through it, its initialisers have run,
//! and dropping it runs its finalisers before the memory goes.

#![allow(unsafe_code)]

mod arrays;
mod atexit;
// Where the code runs, and where it is tested.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod gdb;
mod perf;
mod running;
mod symbols;
mod tls;

pub use running::Running;

use arrays::Arrays;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use gdb::Announced;
use symbols::Symbols;

use crate::addr::Addr;
use crate::arena::{self, Prot};
use crate::link::{
    CommitError, Failure, Input, Object, Options, Plan, Policy, Refused, Request, Segment, Storage, Summary, measure,
};
use crate::mem::{self, Draft, Function, Part, Reservation, Sealed};
use crate::patch::{Endian, Section};
use core::fmt;
use std::string::String;
use std::vec::Vec;

/// Linked objects in executable memory, none of whose code has run. Dropping it gives the memory back.
///
/// Calls to indirect functions lead to address 0 until it is [started](Self::start).
#[derive(Debug)]
pub struct Image {
    /// Before the memory, which a debugger may read until this is dropped.
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    announced: Option<Announced>,
    sealed: Vec<Sealed>,
    reservation: Reservation,
    symbols: Symbols,
    /// Where each segment begins, and the names of the output sections in it.
    segments: Vec<(Addr, String)>,
    arrays: Arrays,
    frames: Vec<Addr>,
    /// Resolvers of indirect functions, and the slots for what they say.
    resolvers: Vec<(Addr, Addr)>,
    /// Gives the blocks of thread-local storage back.
    module: tls::Module,
    summary: Summary,
}

impl Image {
    /// Links `inputs` into pages of `reservation`, pinned output sections elsewhere, and makes them executable.
    ///
    /// `resolve` is asked for the addresses of symbols that no object defines, `report` is told every failure; both are as
    /// [`Plan::new`] has them. `atexit`, which C libraries do not export, is brought along, and so is `__tls_get_addr`:
    /// thread-local storage is the image's own ([`Tls::Dynamic`](crate::link::Tls::Dynamic), whatever `options` say), of
    /// code that was compiled `-fPIC`. A thread has a block of it from when it first touches a variable until it ends or the
    /// image is dropped.
    ///
    /// # Errors
    ///
    /// The objects cannot be linked, or memory cannot be had; none is kept then.
    pub fn load<'data, O: Object<'data>>(
        reservation: &Reservation,
        inputs: &[Input<'data, O>],
        options: &Options<'_, 'data>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
        report: &mut dyn FnMut(&Failure<'_>),
    ) -> Result<Self, LoadError> {
        let draft = reservation.draft();
        let mut sections = Vec::new();
        let place = |requests: &mut [Request]| {
            // What is not used costs address space alone.
            requests.iter_mut().for_each(|request| request.size = request.most);
            let part = |request: &Request| Part { prot: request.prot, len: to_len(request.size), align: request.align };
            sections = draft.alloc_run(&requests.iter().map(part).collect::<Vec<_>>())?;
            for (request, section) in requests.iter_mut().zip(&sections) {
                request.addr = section.addr();
            }
            Ok(())
        };
        let module = tls::Module::new();
        let options = &Options { tls: module.tls(), ..*options };
        let resolve = &mut |name: &str| tls::symbol(name).or_else(|| resolve(name));
        let inputs = atexit::beside(inputs);
        let options = &Options { policy: Policy { resolvers: true, ..options.policy }, ..*options };
        let mut storage = Storage::new(measure(&inputs, options.pins.len()));
        let plan = Plan::new(&inputs, options, storage.lend(), resolve, place, report).map_err(LoadError::Plan)?;
        if plan.endian() != HOST {
            return Err(LoadError::ForeignEndian(plan.endian()));
        }

        // A plan has its pinned segments first.
        let page = reservation.page().bytes();
        let pinned = plan.segments().len() - sections.len();
        let pinned = plan.segments().iter().take(pinned);
        let drafts: Vec<Draft> = pinned.clone().map(|segment| pin(segment, page)).collect::<Result<_, _>>()?;
        let mut memory: Vec<Section<'_>> = drafts
            .iter()
            .zip(pinned)
            .map(|(draft, segment)| pages_of(draft, segment, page))
            .collect::<Result<_, _>>()?;
        memory.append(&mut sections);
        // What a draft gives is zeros already: those of `.bss` need not be touched.
        let in_file = plan.segments().iter().map(|segment| to_len(segment.in_file()));
        let mut memory: Vec<_> = memory.into_iter().zip(in_file).map(|(section, len)| section.take(len)).collect();
        plan.commit(&mut memory).map_err(LoadError::Commit)?;
        if let Some(template) = plan.template() {
            let find = |section: &Section<'_>| {
                let rest = section.bytes().get(section.offset_of(template.addr)..)?;
                Some(rest.get(..to_len(template.in_file))?.to_vec())
            };
            // Zeros alone are in no memory that was asked for.
            module.open(template, memory.iter().find_map(find).unwrap_or_default())?;
        }
        drop(memory);

        let frames = plan.outputs().iter().filter(|output| output.name() == ".eh_frame" && output.size() > 0);
        Ok(Self {
            #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
            announced: None,
            reservation: reservation.clone(),
            symbols: Symbols::of(&plan),
            segments: segments(&plan),
            arrays: Arrays::of(&plan),
            summary: plan.summary(),
            resolvers: plan.indirect().map(|indirect| (indirect.resolver, indirect.slot)).collect(),
            module,
            frames: frames.map(|output| output.addr()).collect(),
            sealed: drafts.into_iter().chain([draft]).map(Draft::seal).collect::<Result<_, _>>()?,
        })
    }

    /// The image's reservation, drawn for people: all that lies in it, this image's segments with the names of their
    /// output sections.
    pub fn map(&self) -> String {
        let names = |segment: &arena::Segment| {
            let found = self.segments.iter().find(|(addr, _)| *addr == segment.addr());
            found.map(|(_, names)| names.as_str())
        };
        self.reservation.map(names)
    }

    /// How many threads have a block of the image's thread-local storage.
    pub fn threads(&self) -> usize {
        self.module.blocks()
    }

    /// What was linked, in numbers.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The address of the global symbol `name`. A thread-local variable has none that all threads share.
    pub fn symbol(&self, name: &str) -> Option<Addr> {
        self.symbols.by_name(name)
    }

    /// The function or datum that `addr` is in, local ones too: its name, and how many bytes into it.
    pub fn symbol_at(&self, addr: Addr) -> Option<(&str, u64)> {
        self.symbols.at(addr)
    }

    /// The function at `entry`, to be called.
    ///
    /// # Errors
    ///
    /// `entry` is not in the image's executable memory, or not aligned, or this is no AArch64 machine.
    ///
    /// # Safety
    ///
    /// There is a function of type `F` at `entry`, and the image outlives every call of it.
    pub unsafe fn function<F: Function>(&self, entry: Addr) -> Result<F, mem::Error> {
        let holds = |sealed: &&Sealed| {
            sealed.segments().iter().any(|segment| entry.distance_from(segment.addr()).cast_unsigned() < segment.len())
        };
        let sealed = self.sealed.iter().find(holds);
        let outside = mem::Error::Outside { addr: entry, len: 4, prot: Prot::ReadExec };
        // SAFETY: what `Sealed::function` asks for, the caller has promised of this image, which owns the sealed pages.
        unsafe { sealed.ok_or(outside)?.function(entry) }
    }

    /// The word at `at`, eight bytes of writable memory, as it is now.
    ///
    /// # Safety
    ///
    /// As for [`Sealed::load`].
    unsafe fn read(&self, at: Addr) -> Result<u64, mem::Error> {
        let mut result = Err(mem::Error::Outside { addr: at, len: 8, prot: Prot::ReadWrite });
        for sealed in &self.sealed {
            // SAFETY: the caller's.
            result = result.or_else(|_| unsafe { sealed.load(at) });
        }
        result
    }

    /// Replaces the word at `slot`, eight bytes of writable memory, by `value`: re-points calls through a slot of the GOT.
    ///
    /// # Errors
    ///
    /// `slot` is not in the image's writable memory, or not aligned.
    ///
    /// # Safety
    ///
    /// The word is a slot of the GOT, and `value` is fit for what the image's code does with it.
    pub unsafe fn store(&self, slot: Addr, value: u64) -> Result<(), mem::Error> {
        let mut result = Err(mem::Error::Outside { addr: slot, len: 8, prot: Prot::ReadWrite });
        for sealed in &self.sealed {
            // SAFETY: what `Sealed::store` asks for, the caller has promised.
            result = result.or_else(|_| unsafe { sealed.store(slot, value) });
        }
        result
    }
}

/// The byte order of data in this process.
const HOST: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

/// A draft on the pages of a pinned segment, and on no others.
fn pin(segment: &Segment, page: u64) -> Result<Draft, mem::Error> {
    let into_page = segment.addr().get() & (page - 1);
    let start = Addr::new(segment.addr().get() - into_page);
    Ok(Reservation::at(start, to_len(into_page.saturating_add(segment.size().max(1))))?.draft())
}

/// The memory of a pinned segment, in its draft.
fn pages_of<'d>(draft: &'d Draft, segment: &Segment, page: u64) -> Result<Section<'d>, mem::Error> {
    let into_page = segment.addr().get() & (page - 1);
    let prot = segment.prot();
    let section = draft.alloc(prot, to_len(into_page.saturating_add(segment.size())))?;
    let outside = mem::Error::Outside { addr: section.addr(), len: to_len(into_page), prot };
    section.skip(to_len(into_page)).ok_or(outside)
}

/// A length in this process; one that is too long is too long for any memory.
fn to_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Where each segment's pages begin, and the names of its output sections.
fn segments<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Vec<(Addr, String)> {
    let names = |index| {
        let outputs = plan.outputs().iter().filter(|output| output.segment() == Some(index) && output.size() > 0);
        outputs.map(|output| output.name()).collect::<Vec<_>>().join(" ")
    };
    plan.segments().iter().enumerate().map(|(index, segment)| (segment.addr(), names(index))).collect()
}

/// Why objects were not loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// They cannot be linked.
    Plan(Refused<mem::Error>),
    /// There is no memory for them.
    Memory(mem::Error),
    /// Their relocations overlap.
    Commit(CommitError),
    /// Their data is in this byte order, and that of the process in the other.
    ForeignEndian(Endian),
    /// Their thread-local storage is larger than 4 GiB, or than its alignment lets it be.
    ThreadLocal {
        /// Its size in bytes.
        size: u64,
        /// Its alignment in bytes.
        align: u64,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Commit(error) => error.fmt(f),
            Self::ForeignEndian(endian) => write!(f, "{endian} objects do not run in a {HOST} process"),
            Self::ThreadLocal { size, align } => {
                write!(f, "thread-local storage of {size:#x} bytes at a multiple of {align:#x} is too large")
            }
        }
    }
}

impl From<mem::Error> for LoadError {
    fn from(error: mem::Error) -> Self {
        Self::Memory(error)
    }
}

impl core::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Plan(error) => Some(error),
            Self::Memory(error) => Some(error),
            Self::Commit(error) => Some(error),
            Self::ForeignEndian(_) => None,
            Self::ThreadLocal { .. } => None,
        }
    }
}
