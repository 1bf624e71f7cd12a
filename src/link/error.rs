//! What a plan reports: every failure, with the names around it.

use super::kinds::unsupported;
use super::object::ObjectError;
use super::parts::Omitted;
use super::rescue::Stranded;
use crate::addr::{Addr, Misaligned};
use crate::arena::Prot;
use crate::got;
use crate::patch::{Endian, PatchError};
use crate::reloc::Reloc;
use crate::veneer::VeneerError;
use core::fmt;

/// One reason why the objects cannot be linked, and where. `Display` is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure<'a> {
    /// The object's name, as its [`Input`](super::Input) gives it; empty where no one object is at fault.
    pub object: &'a str,
    /// The section and the byte in it, where there is one.
    pub place: Option<(&'a str, u64)>,
    /// What the file's format calls the relocation, where it is one and its row is called otherwise.
    pub relocation: &'static str,
    /// The symbol's name, where there is one.
    pub symbol: &'a str,
    /// What is wrong.
    pub cause: Cause<'a>,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// The object's file.
    Object(ObjectError),
    /// A relocation does not fit.
    Patch(PatchError),
    /// A relocation does not fit, and what would bring it to its target cannot be.
    Stranded(PatchError, Stranded),
    /// An address with a tag, which the policy refuses to measure.
    Tagged(Addr),
    /// A relocation puts data in text, or loads from there, and text is not to be read.
    ReadsText(Reloc),
    /// The object's data is in this byte order, and that of the first object, which is named, in the other.
    Endian(Endian, &'a str),
    /// An `ADRP` that erratum 843419 affects, and no relocation says what it is to make.
    Erratum,
    /// A slot of the GOT could not be had.
    Got(got::Full),
    /// No object defines the symbol, and the resolver does not know it.
    Undefined,
    /// Two objects define the symbol; this is the other.
    Duplicate(&'a str),
    /// Since AAELF64 2026Q2 the addend of a relocation to a GOT slot must be zero.
    SlotAddend(Reloc, i64),
    /// The relocation is known, but what it asks for cannot be had from a linker.
    Unsupported(Reloc),
    /// The relocation is for thread-local storage, which the options do not provide for.
    NoTls(Reloc),
    /// The relocation is for thread-local storage, and its symbol is no thread-local variable of these objects.
    NotThreadLocal(Reloc),
    /// The relocation is not for thread-local storage, and its symbol is a thread-local variable.
    ThreadLocal(Reloc),
    /// The relocation wants a fixed offset from the thread pointer, and the threads run other images besides.
    FixedOffset(Reloc),
    /// The relocation is for a TLS descriptor, and no object defines the function that it is to call.
    NoDescriptorResolver(Reloc),
    /// `.tbss` was to be placed, which follows `.tdata`: both are copied as one.
    TornTemplate,
    /// A relocation refers to a symbol that is not in its object.
    SymbolIndex(usize),
    /// A relocation refers to a symbol in a section that is not loaded.
    NotLoaded,
    /// The linker's own section does not lie where it can be used.
    Misaligned(Misaligned),
    /// `R_AARCH64_PATCHINST` refers to a symbol that is an address.
    NotAbsolute,
    /// An indirect function, or a place that a function initialises, whose resolver nothing calls before the image runs.
    NoResolver,
    /// `R_AARCH64_FUNCINIT64` is of a place that is not in writable memory, or in what the block of every thread begins as.
    NotWritable,
    /// The resolver of `R_AARCH64_FUNCINIT64` is at address 0, which means that there is none.
    NullResolver,
    /// An indirect function, and the policy does not allow the veneer that it needs.
    NoIndirect,
    /// The veneer of an indirect function could not be had.
    Veneer(VeneerError),
    /// A relocation measures from the section of a symbol that is in none.
    NoSection,
    /// A relocation refers to a local symbol in a section of a group that another object has.
    LeftOut,
    /// A section group is not like the first one of its key, as both must be.
    Unlike,
    /// No output section has the name that was to be placed.
    NoOutput(&'a str),
    /// Two addresses were given for an output section.
    PlacedTwice(&'a str),
    /// An output section cannot be placed at an address that is not a multiple of its alignment.
    MisplacedOutput(&'a str, Addr, u64),
    /// A segment cannot lie at an address that is not a multiple of its alignment.
    MisplacedSegment(Prot, Addr, u64),
    /// An object asks for an alignment that is not a power of two.
    Alignment(u64),
    /// Two output sections overlap.
    Overlap(&'a str, &'a str),
    /// The executable segment was given too little room for the islands that its place makes necessary.
    NoRoom {
        /// Bytes that it was given.
        given: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// A relocation is more than 4 GiB into its section.
    FarPlace,
    /// The sizes of the sections add up to more than 2^63 bytes.
    TooBig,
    /// It needs a part of the linker that is not in this build.
    Omitted(Omitted),
    /// A table that the caller lends is too short; [`Needs`](super::Needs) says how long.
    Table(&'static str),
}

/// Why there is no plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused<E> {
    /// So many failures were reported.
    Failures(usize),
    /// A segment could not be placed.
    Place(E),
}

impl<E: fmt::Display> fmt::Display for Refused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(1) => write!(f, "1 failure, which was reported"),
            Self::Failures(count) => write!(f, "{count} failures, which were reported"),
            Self::Place(error) => write!(f, "no room for a segment: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Refused<E> {}

/// Why a plan could not be written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// The memory of this index is missing, too small, or not at its segment's address.
    Memory(usize),
    /// A relocation overwrote the place of another.
    Patch(PatchError),
    /// Sections lie in place, which [`Plan::commit_in_place`](super::Plan::commit_in_place) is for.
    InPlace,
    /// So many fixups are more than there is room for.
    Fixups(usize),
    /// A place of this object's memory is beyond the 4 GiB that fixups tell apart.
    Beyond(Addr),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(index) => write!(f, "the memory given for segment {index} is not that segment's"),
            Self::Patch(error) => write!(f, "relocations overlap: {error}"),
            Self::InPlace => write!(f, "sections lie in place, and are not to be copied"),
            Self::Fixups(count) => write!(f, "there is no room for {count} fixups"),
            Self::Beyond(addr) => write!(f, "{addr} is not within 4 GiB of the memory's start"),
        }
    }
}

impl core::error::Error for CommitError {}

/// Why planning stops at once. Whatever may fail hands it on, so it is a byte: what is larger was reported before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fatal {
    /// See [`Cause::Table`].
    Table(Lent),
    /// See [`Cause::TooBig`].
    TooBig,
    /// What was reported.
    Reported,
    /// The caller did not place a segment.
    NotPlaced,
}

const _: () = assert!(size_of::<Fatal>() == 1);

/// A table that the caller lends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lent {
    Objects,
    Sections,
    Symbols,
    Names,
    OutputNames,
    Groups,
    Ordered,
    Outputs,
    Segments,
    Slots,
    Islands,
    Veneers,
    Fixups,
}

impl Lent {
    const fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Sections => "sections",
            Self::Symbols => "symbols",
            Self::Names => "names",
            Self::OutputNames => "output_names",
            Self::Groups => "groups",
            Self::Ordered => "ordered",
            Self::Outputs => "outputs",
            Self::Segments => "segments",
            Self::Slots => "slots",
            Self::Islands => "islands",
            Self::Veneers => "veneers",
            Self::Fixups => "fixups",
        }
    }
}

impl Fatal {
    /// What is to be reported.
    pub(super) const fn cause(self) -> Option<Cause<'static>> {
        Some(match self {
            Self::Table(lent) => Cause::Table(lent.name()),
            Self::TooBig => Cause::TooBig,
            Self::Reported | Self::NotPlaced => return None,
        })
    }
}

impl From<Omitted> for Cause<'_> {
    fn from(part: Omitted) -> Self {
        Self::Omitted(part)
    }
}

impl<'a> Failure<'a> {
    /// `cause`, of the whole of `object`.
    pub(super) const fn of(object: &'a str, cause: Cause<'a>) -> Self {
        Self { object, place: None, relocation: "", symbol: "", cause }
    }
}

impl core::error::Error for Failure<'_> {}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        if let Some((section, offset)) = self.place {
            write!(f, "{section}+{offset:#x}: ")?;
        }
        if !self.relocation.is_empty() {
            write!(f, "{}: ", self.relocation)?;
        }
        write!(f, "{}", self.cause)?;
        if !self.symbol.is_empty() {
            write!(f, " (symbol '{}')", self.symbol)?;
        }
        Ok(())
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(error) => write!(f, "{error}"),
            Self::Patch(error) => write!(f, "{error}"),
            Self::Endian(endian, first) => write!(f, "its data is {endian}, and that of {first} is not"),
            Self::Erratum => write!(f, "an ADRP without a relocation, which Cortex-A53 erratum 843419 affects"),
            Self::Got(error) => write!(f, "{error}"),
            Self::Stranded(error, Stranded::Policy) => write!(f, "{error}, which the policy does not allow"),
            Self::Stranded(error, why) => write!(f, "{error}: {why}"),
            Self::Tagged(addr) => write!(f, "the address {addr} has a tag"),
            Self::ReadsText(reloc) => write!(f, "{} has text read, which is execute-only", reloc.name()),
            Self::Undefined => write!(f, "undefined"),
            Self::Duplicate(first) => write!(f, "defined already in {first}"),
            Self::SlotAddend(reloc, addend) => {
                write!(
                    f,
                    "{} with addend {addend:#x}: the addend of a relocation to a GOT slot must be 0",
                    reloc.name()
                )
            }
            Self::Unsupported(reloc) => {
                write!(f, "{} is not supported", reloc.name())?;
                unsupported(*reloc).map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::NotAbsolute => write!(f, "what replaces an instruction must be a number, an absolute symbol"),
            Self::NoTls(reloc) => write!(f, "{} needs thread-local storage, which is not provided for", reloc.name()),
            Self::NotThreadLocal(reloc) => {
                write!(f, "{} needs a thread-local variable, and no object defines one of the name", reloc.name())
            }
            Self::ThreadLocal(reloc) => {
                write!(f, "{} needs an address, and a thread-local variable has one in each thread", reloc.name())
            }
            Self::FixedOffset(reloc) => {
                write!(
                    f,
                    "{} needs a variable at a fixed offset from the thread pointer, and there is none in a running process; \
                     recompile with -fPIC",
                    reloc.name()
                )
            }
            Self::NoDescriptorResolver(reloc) => {
                write!(f, "{} needs a function for TLS descriptors, and no object defines it", reloc.name())
            }
            Self::TornTemplate => write!(f, ".tbss follows .tdata, and cannot be placed by itself"),
            Self::SymbolIndex(index) => write!(f, "symbol {index} is not in the symbol table"),
            Self::NotLoaded => write!(f, "the target is in a section that is not loaded"),
            Self::Misaligned(error) => write!(f, "{error}"),
            Self::NoResolver => write!(f, "an indirect function, whose resolver nothing calls before the image runs"),
            Self::NotWritable => {
                write!(f, "the place is initialised when the image starts, and not in writable memory")
            }
            Self::NullResolver => write!(f, "the resolver is at address 0, which means that there is none"),
            Self::NoIndirect => write!(f, "an indirect function needs a veneer, which the policy does not allow"),
            Self::Veneer(error) => write!(f, "{error}"),
            Self::NoSection => write!(f, "the target is in no section to measure from"),
            Self::LeftOut => write!(f, "the target is in a section group that another object has"),
            Self::Unlike => write!(f, "a section group of another size or content is in another object"),
            Self::NoOutput(name) => write!(f, "there is no output section {name} to be placed"),
            Self::PlacedTwice(name) => write!(f, "{name} is to be placed at two addresses"),
            Self::MisplacedOutput(name, addr, align) => {
                write!(f, "{name} cannot be placed at {addr}: it is not a multiple of {align:#x}")
            }
            Self::MisplacedSegment(prot, addr, align) => {
                write!(f, "the {prot} segment cannot lie at {addr}: it is not a multiple of {align:#x}")
            }
            Self::Alignment(align) => write!(f, "an alignment of {align:#x} is not a power of two"),
            Self::Overlap(one, other) => write!(f, "{one} and {other} overlap"),
            Self::NoRoom { given, needed } => {
                write!(f, "the r-x segment needs {needed:#x} bytes where it lies, and was given {given:#x}")
            }
            Self::FarPlace => write!(f, "the place is more than 4 GiB into its section"),
            Self::TooBig => write!(f, "the sections are larger than the address space"),
            Self::Omitted(part) => write!(f, "{part}"),
            Self::Table(name) => write!(f, "the table of {name} that was lent is too short"),
        }
    }
}
