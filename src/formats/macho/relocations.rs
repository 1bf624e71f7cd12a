//! The relocations of Mach-O arm64 objects (`<mach-o/arm64/reloc.h>`), in the vocabulary of [`Reloc`].
//!
//! Two kinds go before another entry for the same place, and do nothing by themselves:
//!
//! ```text
//! ARM64_RELOC_ADDEND      before BRANCH26, PAGE21 and PAGEOFF12: their addend, 24 bits with a sign
//! ARM64_RELOC_SUBTRACTOR  before UNSIGNED: the symbol that its target is measured from
//! ```
//!
//! Data has its addend in place; an instruction none. A pointer of 4 bytes may be what can be read back with a sign or without:
//! JITLink takes 0 to 2^32, `ld64.lld` -2^31 to 2^31. A difference of two symbols has a sign, for both.

use super::MachO;
use super::sections::is_template;
use crate::addr::Addr;
use crate::link::{Origin, Problem, Relocation};
use crate::reloc::Reloc;
use object::LittleEndian as LE;
use object::macho::{self, RelocationInfo, RelocationType, Section64};

/// A kind of relocation that changes an instruction.
struct Kind {
    kind: RelocationType,
    name: &'static str,
    /// What its field `r_pcrel` must say.
    pcrel: bool,
    /// What it may be: the instruction at the place decides.
    relocs: &'static [Reloc],
    /// What is wrong with an entry that says otherwise of itself.
    entry: &'static str,
    /// What is wrong with an instruction that fits none.
    word: &'static str,
}

macro_rules! kinds {
    ($($kind:ident $pcrel:literal [$($reloc:ident)*];)*) => {
        const KINDS: &[Kind] = &[$(Kind {
            kind: macho::$kind,
            name: stringify!($kind),
            pcrel: $pcrel,
            relocs: &[$(Reloc::$reloc),*],
            entry: concat!(stringify!($kind), " with a wrong r_pcrel, r_length or r_extern"),
            word: concat!(stringify!($kind), " at another instruction, or one with an addend in itself"),
        },)*];
    };
}

#[rustfmt::skip]
kinds! {
    // kind                           r_pcrel
    ARM64_RELOC_BRANCH26              true  [CALL26 JUMP26];
    ARM64_RELOC_PAGE21                true  [ADR_PREL_PG_HI21];
    ARM64_RELOC_PAGEOFF12             false [ADD_ABS_LO12_NC LDST8_ABS_LO12_NC LDST16_ABS_LO12_NC LDST32_ABS_LO12_NC
                                             LDST64_ABS_LO12_NC LDST128_ABS_LO12_NC];
    ARM64_RELOC_GOT_LOAD_PAGE21       true  [ADR_GOT_PAGE];
    ARM64_RELOC_GOT_LOAD_PAGEOFF12    false [LD64_GOT_LO12_NC];
    // The slot holds the address of a variable's descriptor, as any holds its symbol's.
    ARM64_RELOC_TLVP_LOAD_PAGE21      true  [ADR_GOT_PAGE];
    ARM64_RELOC_TLVP_LOAD_PAGEOFF12   false [LD64_GOT_LO12_NC];
}

/// What the type `kind` is called; empty where it is unknown.
pub(super) fn name(kind: RelocationType) -> &'static str {
    match kind {
        macho::ARM64_RELOC_UNSIGNED => "ARM64_RELOC_UNSIGNED",
        macho::ARM64_RELOC_SUBTRACTOR => "ARM64_RELOC_SUBTRACTOR",
        macho::ARM64_RELOC_POINTER_TO_GOT => "ARM64_RELOC_POINTER_TO_GOT",
        macho::ARM64_RELOC_ADDEND => "ARM64_RELOC_ADDEND",
        macho::ARM64_RELOC_AUTHENTICATED_POINTER => "ARM64_RELOC_AUTHENTICATED_POINTER",
        kind => KINDS.iter().find(|known| known.kind == kind).map_or("", |known| known.name),
    }
}

/// `r_length` of 4 bytes, and of 8.
const LONG: u8 = 2;
const QUAD: u8 = 3;

impl<'data> MachO<'data> {
    /// Entry `index` of the relocations of section `number`.
    pub(super) fn read_relocation(&self, number: usize, index: usize) -> Result<Relocation, Problem> {
        let header = self.header(number).ok_or(Problem::Index)?;
        let table = self.relocations(header)?;
        let entry = |index: usize| table.get(index).map(|entry| entry.info(LE));
        let own = entry(index).ok_or(Problem::Index)?;
        if own.r_address & macho::R_SCATTERED != 0 {
            return Err(Problem::Unsupported("a scattered relocation"));
        }
        let offset = own.r_address.into();
        if let macho::ARM64_RELOC_ADDEND | macho::ARM64_RELOC_SUBTRACTOR = own.r_type {
            let next = index.checked_add(1).and_then(entry);
            self.check_pair(&own, next.as_ref())?;
            return Ok(Relocation { offset, reloc: Reloc::NONE, symbol: 0, addend: 0, origin: Origin::Zero });
        }
        // A pair that is none is an error of the entry before.
        let before = index.checked_sub(1).and_then(entry).filter(|before| self.check_pair(before, Some(&own)).is_ok());
        let (mut reloc, implicit) = self.translate(header, &own)?;
        let (symbol, start) = self.target(&own)?;
        let (explicit, origin) = match before {
            Some(RelocationInfo { r_type: macho::ARM64_RELOC_ADDEND, r_symbolnum, .. }) => {
                (i64::from((r_symbolnum << 8).cast_signed() >> 8), Origin::Zero)
            }
            Some(RelocationInfo { r_type: macho::ARM64_RELOC_SUBTRACTOR, r_symbolnum, .. }) => {
                reloc = if own.r_length == LONG { Reloc::PREL32 } else { Reloc::PREL64 };
                (0, Origin::Symbol(r_symbolnum as usize))
            }
            _ if self.is_thread_offset(header, &own) => (0, Origin::Section),
            _ => (0, Origin::Zero),
        };
        let addend = implicit.wrapping_add(explicit).wrapping_sub(start.cast_signed());
        Ok(Relocation { offset, reloc, symbol, addend, origin })
    }

    /// Checks that `next` is what `first` is to go before.
    fn check_pair(&self, first: &RelocationInfo, next: Option<&RelocationInfo>) -> Result<(), Problem> {
        let next = next.filter(|next| next.r_address == first.r_address);
        let kind = next.map(|next| next.r_type);
        let shape = (first.r_pcrel, first.r_length, first.r_extern);
        match first.r_type {
            macho::ARM64_RELOC_ADDEND => match kind {
                _ if shape != (false, LONG, false) => {
                    Err(Problem::Malformed("ARM64_RELOC_ADDEND with a wrong r_pcrel, r_length or r_extern"))
                }
                Some(macho::ARM64_RELOC_BRANCH26 | macho::ARM64_RELOC_PAGE21 | macho::ARM64_RELOC_PAGEOFF12) => Ok(()),
                _ => Err(Problem::Malformed("ARM64_RELOC_ADDEND without BRANCH26, PAGE21 or PAGEOFF12 after it")),
            },
            macho::ARM64_RELOC_SUBTRACTOR => match kind {
                _ if !matches!(shape, (false, LONG | QUAD, true)) => {
                    Err(Problem::Malformed("ARM64_RELOC_SUBTRACTOR with a wrong r_pcrel, r_length or r_extern"))
                }
                Some(macho::ARM64_RELOC_UNSIGNED) if next.is_some_and(|next| next.r_length == first.r_length) => {
                    self.target(first).map(|_| ())
                }
                _ => Err(Problem::Malformed("ARM64_RELOC_SUBTRACTOR without UNSIGNED of its size after it")),
            },
            _ => Err(Problem::Malformed("no pair begins with this")),
        }
    }

    /// What an entry is, and the addend that the place holds, in bytes.
    fn translate(&self, header: &Section64<LE>, entry: &RelocationInfo) -> Result<(Reloc, i64), Problem> {
        let shape = (entry.r_pcrel, entry.r_length, entry.r_extern);
        let place = || self.place(header, entry);
        if let Some(kind) = KINDS.iter().find(|kind| kind.kind == entry.r_type) {
            if shape != (kind.pcrel, LONG, true) {
                return Err(Problem::Malformed(kind.entry));
            }
            let word = place()?;
            let fits = |reloc: &&Reloc| reloc.read(word, Addr::new(0)) == Ok(0);
            let reloc = kind.relocs.iter().find(fits).ok_or(Problem::Malformed(kind.word))?;
            return Ok((*reloc, 0));
        }
        match (entry.r_type, shape) {
            (macho::ARM64_RELOC_UNSIGNED, (false, LONG, _)) => Ok((Reloc::ABS32, i64::from(place()? as i32))),
            (macho::ARM64_RELOC_UNSIGNED, (false, QUAD, _)) => Ok((Reloc::ABS64, place()?.cast_signed())),
            (macho::ARM64_RELOC_UNSIGNED, _) => {
                Err(Problem::Malformed("ARM64_RELOC_UNSIGNED that is relative, or not of 4 or 8 bytes"))
            }
            // What the place holds means nothing: LLVM leaves a distance there.
            (macho::ARM64_RELOC_POINTER_TO_GOT, (true, LONG, true)) => place().map(|_| (Reloc::GOTPCREL32, 0)),
            (macho::ARM64_RELOC_POINTER_TO_GOT, (false, QUAD, true)) => {
                Err(Problem::Unsupported("ARM64_RELOC_POINTER_TO_GOT of 8 bytes: the address of a slot itself"))
            }
            (macho::ARM64_RELOC_POINTER_TO_GOT, _) => {
                Err(Problem::Malformed("ARM64_RELOC_POINTER_TO_GOT with a wrong r_pcrel, r_length or r_extern"))
            }
            (macho::ARM64_RELOC_AUTHENTICATED_POINTER, _) => Err(Problem::Unsupported(
                "ARM64_RELOC_AUTHENTICATED_POINTER: a pointer is signed when the program runs",
            )),
            (other, _) => Err(Problem::Unknown("relocation type", other.0.into())),
        }
    }

    /// The bytes at the place of `entry`, as a number.
    fn place(&self, header: &Section64<LE>, entry: &RelocationInfo) -> Result<u64, Problem> {
        let rest = self.content(header)?.get(entry.r_address as usize..).unwrap_or_default();
        let number = match entry.r_length {
            QUAD => rest.first_chunk().map(|&bytes| u64::from_le_bytes(bytes)),
            _ => rest.first_chunk().map(|&bytes| u32::from_le_bytes(bytes).into()),
        };
        number.ok_or(Problem::Malformed("the place is not in its section"))
    }

    /// The symbol that `entry` refers to, and the address that an addend to it begins at: without a symbol, the place holds
    /// an address in the object.
    fn target(&self, entry: &RelocationInfo) -> Result<(usize, u64), Problem> {
        let number = entry.r_symbolnum as usize;
        if entry.r_extern {
            return match number < self.symbols.len() {
                true => Ok((number, 0)),
                false => Err(Problem::Malformed("its symbol is not in the symbol table")),
            };
        }
        match (self.section_symbol(number), self.header(number)) {
            (Some(symbol), Some(header)) => Ok((symbol, header.addr.get(LE))),
            _ => Err(Problem::Malformed("its target is in a section that is not there")),
        }
    }

    /// Whether `entry` is the field of a thread variable that says where in the template its first value is.
    fn is_thread_offset(&self, header: &Section64<LE>, entry: &RelocationInfo) -> bool {
        let number = entry.r_symbolnum as usize;
        let number = match self.symbols.get(number) {
            Some(symbol) if entry.r_extern && symbol.n_type.typ() == macho::N_SECT => symbol.n_sect.into(),
            _ if entry.r_extern => return false,
            _ => number,
        };
        header.flags.get(LE).typ() == macho::S_THREAD_LOCAL_VARIABLES
            && entry.r_type == macho::ARM64_RELOC_UNSIGNED
            && self.header(number).is_some_and(is_template)
    }
}
