//! What an instruction does at another place, when it does not reach from its own.
//!
//! ```text
//! place      ADRP x1, far   ->   B cell            cell   MOVZ x1, #0x7fff, LSL #32
//! place + 4  ADD  x1, x1, #lo    ADD x1, x1, #lo          MOVK x1, #0x1000
//!                                                         B    place + 4
//! ```
//!
//! The instruction is replaced alone, whatever stands beside it or branches to it: no pair is looked for, and a lo12 after it
//! stays as it is.

use super::step::Steps;
use crate::addr::Addr;
use crate::insn::layout::{Literal, PcRel};
use crate::insn::{Reg, b, ldr, ldr_w, ldrsw};
use crate::patch::PatchError;
use crate::reloc::{Reason, Reloc, Remedy, Value};
use core::fmt;

/// The detour of one instruction: `ADRP`, `ADR`, or `LDR` of a literal into a general register.
///
/// The island's cells do what the instruction would, in its own register and no other, and return to the one after it. So
/// there is none for what has no such register to build an address in.
///
/// ```
/// use aarch64_reloc::{Addr, Island, Reloc, Section, insn, veneer::{Cell, Detour}};
/// let (place, far) = (Addr::new(0x40_0000), Addr::new(0x7fff_0000_1234));
/// let mut island = Island::new([Cell::default(); 8], Addr::new(0x41_0000))?;
/// let detour = Detour::new(place, insn::adrp(insn::Reg::X0), Reloc::ADR_PREL_PG_HI21, far.into())?;
/// assert_eq!((detour.register(), detour.address()), (insn::Reg::X0, far.page()));
///
/// let mut bytes = insn::b().to_le_bytes();
/// Section::new(&mut bytes, place).patch(0, Reloc::JUMP26, island.detour_for(detour)?)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Detour {
    place: Addr,
    address: Addr,
    register: Reg,
    load: Load,
}

/// What is done with the address once the register holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
enum Load {
    /// Nothing: it is the result.
    None,
    /// `LDR Xt, [Xt]`
    X,
    /// `LDR Wt, [Xt]`
    W,
    /// `LDRSW Xt, [Xt]`
    Sw,
}

impl Detour {
    /// The detour of the instruction `word` at `place`, which `reloc` would make refer to `value`.
    ///
    /// `reloc` is one whose [remedy](Reloc::remedy) is a detour: those of `ADRP`, `ADR` and of literals, for addresses and for
    /// slots. `value` is any that it takes, up to 2^64: in reach or not.
    ///
    /// # Errors
    ///
    /// [`NoDetour::Reloc`], [`NoDetour::Refused`] for whatever `reloc` refuses but the distance, and [`NoDetour::NoRegister`].
    pub fn new(place: Addr, word: u32, reloc: Reloc, value: Value) -> Result<Self, NoDetour> {
        if reloc.remedy() != Some(Remedy::Detour) {
            return Err(NoDetour::Reloc { reloc, place });
        }
        let refuse = |reason| NoDetour::Refused(PatchError { reloc, place, value: Some(value), reason });
        reloc.read(word.into(), place).map_err(refuse)?;
        let x = reloc.x(place, value).ok_or(refuse(Reason::WrongValue))?;
        if !Addr::new(x.cast_unsigned()).is_aligned_to(reloc.alignment()) {
            return Err(refuse(Reason::Misaligned { x }));
        }
        let address = Addr::new(value.bits());
        let (pc_rel, literal) = (PcRel::from_bits(word), Literal::from_bits(word));
        Ok(match word & 0x9f00_0000 {
            ADRP => Self { place, address: address.page(), register: pc_rel.rd(), load: Load::None },
            ADR => Self { place, address, register: pc_rel.rd(), load: Load::None },
            _ => {
                let load = Load::of(literal).ok_or(NoDetour::NoRegister { place, found: word })?;
                Self { place, address, register: literal.rt(), load }
            }
        })
    }

    /// Where the instruction stands, which becomes a `B` to the detour.
    pub const fn place(self) -> Addr {
        self.place
    }

    /// The register that the instruction sets.
    pub const fn register(self) -> Reg {
        self.register
    }

    /// The address that the register gets, for `ADRP` that of a page; or that it is [loaded](Self::is_load) from.
    pub const fn address(self) -> Addr {
        self.address
    }

    /// Whether the register gets what stands at the address.
    pub const fn is_load(self) -> bool {
        !matches!(self.load, Load::None)
    }

    pub(super) fn steps(self) -> Steps {
        let Self { place, address, register, load } = self;
        let mut steps = Steps::new();
        steps.push_moves(register, address);
        match load {
            Load::None => {}
            Load::X => steps.whole(ldr(register, register)),
            Load::W => steps.whole(ldr_w(register, register)),
            Load::Sw => steps.whole(ldrsw(register, register)),
        }
        steps.patched(b(), Reloc::JUMP26, Value::Addr(place.plus(4)));
        steps
    }

    /// The register and what is done with it, in seven bits.
    pub(super) const fn to_bits(self) -> u8 {
        (self.load as u8) << 5 | self.register.number()
    }

    /// The detour at `place` by `address` of which these are the [bits](Self::to_bits).
    pub(super) const fn from_bits(place: Addr, address: u64, bits: u8) -> Self {
        let load = match bits >> 5 & 3 {
            0 => Load::None,
            1 => Load::X,
            2 => Load::W,
            _ => Load::Sw,
        };
        Self { place, address: Addr::new(address), register: Reg::new(bits), load }
    }
}

/// What bits 31 and 28:24 of these instructions are; of a literal load they are others (Arm ARM C4.1).
const ADR: u32 = 0x1000_0000;
const ADRP: u32 = 0x9000_0000;

impl Load {
    /// What the instruction does with its general register; `None` where it has none that could hold an address.
    const fn of(insn: Literal) -> Option<Self> {
        match insn.opc() {
            _ if insn.v() || insn.rt().number() == Reg::ZR.number() => None,
            0 => Some(Self::W),
            1 => Some(Self::X),
            2 => Some(Self::Sw),
            _ => None,
        }
    }
}

/// Why an instruction has no detour.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum NoDetour {
    /// The relocation is none that a detour could serve.
    Reloc {
        /// The relocation.
        reloc: Reloc,
        /// `P`: the address of the place when the code runs.
        place: Addr,
    },
    /// The instruction, the value or the place is one that the relocation refuses at any distance.
    Refused(PatchError),
    /// The instruction has no general register in which an address could be built: it loads a SIMD register or XZR, or
    /// prefetches.
    NoRegister {
        /// `P`: the address of the place when the code runs.
        place: Addr,
        /// The word at the place.
        found: u32,
    },
}

impl fmt::Display for NoDetour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reloc { reloc, place } => write!(f, "{} at {place}: no detour serves it", reloc.name()),
            Self::Refused(error) => write!(f, "{error}"),
            Self::NoRegister { place, found } => {
                write!(f, "no detour at {place}: {found:#010x} has no general register to build the address in")
            }
        }
    }
}

impl core::error::Error for NoDetour {}
