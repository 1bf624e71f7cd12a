//! What the linker leaves out of a build without feature `full`, for the flash of a small loader.
//!
//! Each part is asked for where it begins, so that all of it is still compiled and checked, and what nothing leads to is in
//! no program. An object or an option that wants such a part is refused by its name.

use super::Options;
use super::isles::STRIDE;
use super::kinds::is_thread_local;
use super::object::{Definition, Kind, Origin, Relocation, Section, Symbol};
use super::order::may_have_priority;
use super::policy::Tags;
use super::tables::Output;
use crate::arena::Prot;
use crate::reloc::Reloc;
use core::fmt;

/// Whether all parts are in this build.
pub(crate) const FULL: bool = cfg!(feature = "full");

/// A part of the linker that a build without feature `full` does not have. What needs none of them is linked as by one that
/// has them all, to the byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Omitted {
    /// Files whose data is big-endian.
    BigEndian,
    /// Relocations with their addends in place (`SHT_REL`).
    Rel,
    /// Compressed relocations (`SHT_CREL`).
    Crel,
    /// Thread-local storage. What the linker makes for a start routine that provides it, such as `__tdata_start`, is the
    /// resolver's to give.
    ThreadLocal,
    /// Indirect functions (`STT_GNU_IFUNC`), and places that functions initialise (`R_AARCH64_FUNCINIT64`).
    Indirect,
    /// Section groups (COMDAT).
    Groups,
    /// Sections that the fields of 16 bits cannot number or count (`SHN_XINDEX`, and a count of 0 in the file header).
    ManySections,
    /// Names with versions (`.symver`).
    Versions,
    /// Names that are not ASCII.
    NotAscii,
    /// Arrays of functions that have priorities, and sections that say their order otherwise.
    Order,
    /// Several bases of the GOT, for code that has 15 bits for the offset of a slot (`-fpic`).
    Bases,
    /// Islands beside the one at the end of the text: for conditional branches that may not reach, and for text of more than
    /// 100 MiB.
    Islands,
    /// Output sections at given addresses ([`Options::pins`](super::Options::pins)).
    Pins,
    /// Sections that run where they lie ([`Options::in_place`](super::Options::in_place)).
    InPlace,
    /// Calls of which none goes through a veneer that changes x16 ([`Policy::veneers`](super::Policy::veneers),
    /// [`Policy::scratch`](super::Policy::scratch)).
    DirectCalls,
    /// Detours: `ADRP`, `ADR` and literal loads of what is out of their reach.
    Detours,
    /// Text that is not to be read ([`Policy::execute_only`](super::Policy::execute_only)).
    ExecuteOnly,
    /// Tagged addresses that are not kept ([`Policy::tags`](super::Policy::tags)).
    Tags,
    /// Landing pads for veneers ([`Policy::landing_pads`](super::Policy::landing_pads)).
    LandingPads,
    /// What is done for a Cortex-A53 ([`Policy::erratum_843419`](super::Policy::erratum_843419)).
    Erratum,
    /// Relocations that measure from a section or from a symbol, as no ELF file has them.
    Origins,
}

impl Omitted {
    /// The error that says so, in a build that leaves the part out.
    pub(crate) const fn unless_full(self) -> Result<(), Self> {
        if FULL { Ok(()) } else { Err(self) }
    }

    /// Its name.
    const fn name(self) -> &'static str {
        match self {
            Self::BigEndian => "big-endian data",
            Self::Rel => "relocations without addends (REL)",
            Self::Crel => "compressed relocations (CREL)",
            Self::ThreadLocal => "thread-local storage",
            Self::Indirect => "indirect functions",
            Self::Groups => "section groups (COMDAT)",
            Self::ManySections => "sections that 16 bits cannot number",
            Self::Versions => "names with versions",
            Self::NotAscii => "names that are not ASCII",
            Self::Order => "sections in an order of their own",
            Self::Bases => "slots near a base of the GOT (-fpic)",
            Self::Islands => "several islands of veneers",
            Self::Pins => "sections at given addresses",
            Self::InPlace => "sections that run where they lie",
            Self::DirectCalls => "calls without veneers, or without x16",
            Self::Detours => "detours",
            Self::ExecuteOnly => "text that is not to be read",
            Self::Tags => "tagged addresses that are not kept",
            Self::LandingPads => "landing pads for veneers",
            Self::Erratum => "erratum 843419",
            Self::Origins => "distances from sections and symbols",
        }
    }
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not in this build (feature `full`)", self.name())
    }
}

/// Refuses options that want what is left out.
pub(super) fn check_options(options: &Options<'_, '_>) -> Result<(), Omitted> {
    let Options { policy, .. } = options;
    match () {
        () if FULL => Ok(()),
        () if !options.pins.is_empty() => Err(Omitted::Pins),
        () if options.in_place.is_some() => Err(Omitted::InPlace),
        () if !(policy.veneers && policy.scratch) => Err(Omitted::DirectCalls),
        () if policy.execute_only => Err(Omitted::ExecuteOnly),
        () if policy.tags != Tags::Keep => Err(Omitted::Tags),
        () if policy.landing_pads => Err(Omitted::LandingPads),
        () if policy.erratum_843419 => Err(Omitted::Erratum),
        () => Ok(()),
    }
}

/// What a section of that kind wants that is left out.
#[inline(always)]
pub(super) fn omitted(section: &Section<'_>, kind: Kind<'_>) -> Option<Omitted> {
    match kind {
        _ if FULL => None,
        Kind::ThreadLocal { .. } => Some(Omitted::ThreadLocal),
        Kind::Group { .. } => Some(Omitted::Groups),
        Kind::Loaded { .. } if !section.order.is_empty() || may_have_priority(section.output) => Some(Omitted::Order),
        _ => None,
    }
}

/// What a symbol wants that is left out.
#[inline(always)]
pub(super) fn omitted_symbol(symbol: &Symbol<'_>) -> Option<Omitted> {
    match symbol.definition {
        Definition::Indirect { .. } if !FULL => Some(Omitted::Indirect),
        _ => None,
    }
}

/// Refuses a relocation that wants what is left out.
#[inline(always)]
pub(super) fn check_relocation(relocation: &Relocation) -> Result<(), Omitted> {
    if FULL {
        return Ok(());
    }
    match relocation.reloc {
        _ if relocation.origin != Origin::Zero => Err(Omitted::Origins),
        Reloc::FUNCINIT64 => Err(Omitted::Indirect),
        Reloc::LD64_GOTPAGE_LO15 | Reloc::LD64_GOTOFF_LO15 => Err(Omitted::Bases),
        reloc if is_thread_local(reloc) => Err(Omitted::ThreadLocal),
        _ => Ok(()),
    }
}

/// Refuses text that islands would stand in.
pub(super) fn check_text(outputs: &[Output<'_>]) -> Result<(), Omitted> {
    if FULL {
        return Ok(());
    }
    let text = outputs.iter().filter(|output| output.prot == Prot::ReadExec);
    if text.fold(0, |sum: u64, output| sum.saturating_add(output.size)) > STRIDE {
        Err(Omitted::Islands)
    } else {
        Ok(())
    }
}
