//! `IMAGE_REL_ARM64_*` in the vocabulary of [`Reloc`] (PE Format, "ARM64 Processors"). Addends are in the places.

use super::file::File;
use crate::addr::Addr;
use crate::link::{Origin, Problem, Relocation};
use crate::patch::{Endian, raw_at};
use crate::reloc::Reloc;
use object::LittleEndian as LE;
use object::pe::{self, ImageRelocation, ImageSectionHeader, RelocationType};

impl File<'_> {
    /// What `entry` says, a relocation of the section of `header`.
    pub(super) fn relocation(
        &self,
        header: &ImageSectionHeader,
        entry: &ImageRelocation,
    ) -> Result<Relocation, Problem> {
        let outside = Problem::Malformed("the place is outside its section");
        let symbol = entry.symbol_table_index.get(LE) as usize;
        // "An arbitrary value that is subtracted from offsets" (PE Format, "Section Table").
        let offset = entry.virtual_address.get(LE).checked_sub(header.virtual_address.get(LE)).ok_or(outside)?;
        let content = self.content(header)?;
        let raw = |reloc| raw_at(content, offset as usize, reloc, Endian::Little).ok_or(outside);
        let (reloc, origin) = translate(entry.typ.get(LE), raw)?;
        if reloc != Reloc::NONE && self.records.is_auxiliary(symbol) {
            return Err(Problem::Malformed("the symbol is an auxiliary record"));
        }
        let addend = addend(reloc, raw(reloc)?)?;
        Ok(Relocation { offset: offset.into(), reloc, symbol, addend, origin })
    }
}

/// A type of relocation.
struct Kind {
    kind: RelocationType,
    name: &'static str,
    /// What it may be: the instruction at the place decides. Where it is none, the plan refuses the first.
    relocs: &'static [Reloc],
    origin: Origin,
}

macro_rules! kinds {
    ($($kind:ident $origin:ident [$($reloc:ident)*];)*) => {
        const KINDS: &[Kind] = &[$(Kind {
            kind: pe::$kind,
            name: stringify!($kind),
            relocs: &[$(Reloc::$reloc),*],
            origin: Origin::$origin,
        },)*];
    };
}

#[rustfmt::skip]
kinds! {
    // type                           measured from
    IMAGE_REL_ARM64_ABSOLUTE          Zero     [NONE];
    IMAGE_REL_ARM64_ADDR32            Zero     [ABS32];
    IMAGE_REL_ARM64_ADDR32NB          Image    [ABS32];
    IMAGE_REL_ARM64_BRANCH26          Zero     [CALL26 JUMP26];
    IMAGE_REL_ARM64_PAGEBASE_REL21    Zero     [ADR_PREL_PG_HI21];
    IMAGE_REL_ARM64_REL21             Zero     [ADR_PREL_LO21];
    IMAGE_REL_ARM64_PAGEOFFSET_12A    Zero     [ADD_ABS_LO12_NC];
    IMAGE_REL_ARM64_PAGEOFFSET_12L    Zero     [LDST8_ABS_LO12_NC LDST16_ABS_LO12_NC LDST32_ABS_LO12_NC
                                                LDST64_ABS_LO12_NC LDST128_ABS_LO12_NC];
    IMAGE_REL_ARM64_SECREL            Section  [ABS32];
    IMAGE_REL_ARM64_SECREL_LOW12A     Section  [ADD_ABS_LO12_NC];
    // The one row of an unsigned value of 24 bits whose upper half is added.
    IMAGE_REL_ARM64_SECREL_HIGH12A    Section  [TLSLE_ADD_TPREL_HI12];
    IMAGE_REL_ARM64_SECREL_LOW12L     Section  [LDST8_ABS_LO12_NC LDST16_ABS_LO12_NC LDST32_ABS_LO12_NC
                                                LDST64_ABS_LO12_NC LDST128_ABS_LO12_NC];
    // Of what only .NET knows, nothing is made.
    IMAGE_REL_ARM64_TOKEN             Zero     [];
    IMAGE_REL_ARM64_SECTION           Number   [ABS16];
    IMAGE_REL_ARM64_ADDR64            Zero     [ABS64];
    IMAGE_REL_ARM64_BRANCH19          Zero     [CONDBR19];
    IMAGE_REL_ARM64_BRANCH14          Zero     [TSTBR14];
    IMAGE_REL_ARM64_REL32             Zero     [PREL32];
}

// The types are numbered as they stand here.
const _: () = {
    let mut number = 0;
    while number < KINDS.len() {
        assert!(KINDS[number].kind.0 as usize == number);
        number += 1;
    }
};

/// What is known of the type `kind`.
fn find(kind: RelocationType) -> Option<&'static Kind> {
    KINDS.get(usize::from(kind.0))
}

/// The name of the type that `entry` is of; empty where it has none.
pub(super) fn name(entry: &ImageRelocation) -> &'static str {
    find(entry.typ.get(LE)).map_or("", |kind| kind.name)
}

/// What stands for the type `kind`; `raw` tells what the place holds.
fn translate(kind: RelocationType, raw: impl Fn(Reloc) -> Result<u64, Problem>) -> Result<(Reloc, Origin), Problem> {
    let found = find(kind).ok_or(Problem::Unknown("relocation type", kind.0.into()))?;
    let Some(&first) = found.relocs.first() else {
        return Err(Problem::Unsupported("tokens of the Common Language Runtime (IMAGE_REL_ARM64_TOKEN)"));
    };
    let raw = raw(first)?;
    let fits = |reloc: &&Reloc| reloc.read(raw, NOWHERE).is_ok();
    Ok((*found.relocs.iter().find(fits).unwrap_or(&first), found.origin))
}

/// No field that holds an addend depends on where it lies.
const NOWHERE: Addr = Addr::new(0);

/// `A`, in bytes, of a place that holds `raw`. Of an instruction that the relocation does not fit, which the plan refuses,
/// it is 0.
fn addend(reloc: Reloc, raw: u64) -> Result<i64, Problem> {
    let field = reloc.read(raw, NOWHERE).unwrap_or(0);
    Ok(match reloc {
        // The field counts bytes until it counts pages.
        Reloc::ADR_PREL_PG_HI21 => field >> 12,
        Reloc::ABS32 => (field as i32).into(),
        // Measured from the end of the place.
        Reloc::PREL32 => field - 4,
        // Linkers OR the field of a branch. Of the other one assemblers store the lower bits, which do not belong there.
        Reloc::CALL26 | Reloc::JUMP26 | Reloc::CONDBR19 | Reloc::TSTBR14 if field != 0 => {
            return Err(Problem::Unsupported("a branch with an addend (IMAGE_REL_ARM64_BRANCH*)"));
        }
        Reloc::TLSLE_ADD_TPREL_HI12 if field != 0 => {
            return Err(Problem::Unsupported("an addend of more than a page (IMAGE_REL_ARM64_SECREL_HIGH12A)"));
        }
        _ => field,
    })
}
