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

/// What stands for the type `kind`; `raw` tells what the place holds.
fn translate(kind: RelocationType, raw: impl Fn(Reloc) -> Result<u64, Problem>) -> Result<(Reloc, Origin), Problem> {
    // Of several that differ in the instruction, the one that is there. Where it is none, the plan refuses the first.
    let one_of = |relocs: &[Reloc]| {
        let first = *relocs.first().unwrap_or(&Reloc::NONE);
        let raw = raw(first)?;
        Ok(relocs.iter().copied().find(|reloc| reloc.read(raw, NOWHERE).is_ok()).unwrap_or(first))
    };
    Ok(match kind {
        pe::IMAGE_REL_ARM64_ABSOLUTE => (Reloc::NONE, Origin::Zero),
        pe::IMAGE_REL_ARM64_ADDR32 => (Reloc::ABS32, Origin::Zero),
        pe::IMAGE_REL_ARM64_ADDR32NB => (Reloc::ABS32, Origin::Image),
        pe::IMAGE_REL_ARM64_ADDR64 => (Reloc::ABS64, Origin::Zero),
        pe::IMAGE_REL_ARM64_REL32 => (Reloc::PREL32, Origin::Zero),
        pe::IMAGE_REL_ARM64_BRANCH26 => (one_of(&[Reloc::CALL26, Reloc::JUMP26])?, Origin::Zero),
        pe::IMAGE_REL_ARM64_BRANCH19 => (Reloc::CONDBR19, Origin::Zero),
        pe::IMAGE_REL_ARM64_BRANCH14 => (Reloc::TSTBR14, Origin::Zero),
        pe::IMAGE_REL_ARM64_PAGEBASE_REL21 => (Reloc::ADR_PREL_PG_HI21, Origin::Zero),
        pe::IMAGE_REL_ARM64_REL21 => (Reloc::ADR_PREL_LO21, Origin::Zero),
        pe::IMAGE_REL_ARM64_PAGEOFFSET_12A => (Reloc::ADD_ABS_LO12_NC, Origin::Zero),
        pe::IMAGE_REL_ARM64_PAGEOFFSET_12L => (one_of(&LOADS)?, Origin::Zero),
        pe::IMAGE_REL_ARM64_SECREL => (Reloc::ABS32, Origin::Section),
        pe::IMAGE_REL_ARM64_SECREL_LOW12A => (Reloc::ADD_ABS_LO12_NC, Origin::Section),
        // The one row of an unsigned value of 24 bits whose upper half is added.
        pe::IMAGE_REL_ARM64_SECREL_HIGH12A => (Reloc::TLSLE_ADD_TPREL_HI12, Origin::Section),
        pe::IMAGE_REL_ARM64_SECREL_LOW12L => (one_of(&LOADS)?, Origin::Section),
        pe::IMAGE_REL_ARM64_SECTION => (Reloc::ABS16, Origin::Number),
        pe::IMAGE_REL_ARM64_TOKEN => {
            return Err(Problem::Unsupported("tokens of the Common Language Runtime (IMAGE_REL_ARM64_TOKEN)"));
        }
        other => return Err(Problem::Unknown("relocation type", other.0.into())),
    })
}

/// Loads and stores, by the size of what they access.
const LOADS: [Reloc; 5] = [
    Reloc::LDST8_ABS_LO12_NC,
    Reloc::LDST16_ABS_LO12_NC,
    Reloc::LDST32_ABS_LO12_NC,
    Reloc::LDST64_ABS_LO12_NC,
    Reloc::LDST128_ABS_LO12_NC,
];

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
