//! The table of symbols: records, some of which are followed by auxiliary ones.

use crate::link::Problem;
use alloc::vec;
use alloc::vec::Vec;
use object::LittleEndian as LE;
use object::pe::{
    self, ImageAuxSymbolSection, ImageAuxSymbolWeak, ImageSymbol, ImageSymbolEx, SymbolClass, SymbolSection,
    SymbolType, WeakExternSearch,
};
use object::pod;

/// The records, each of 18 or 20 bytes.
#[derive(Debug)]
pub(super) struct Records<'data> {
    bytes: &'data [u8],
    size: usize,
    /// Which records are auxiliary, a bit each: a record itself does not say it.
    auxiliary: Vec<u64>,
}

/// What both forms of a symbol's record say.
#[derive(Clone, Copy)]
pub(super) struct Record<'data> {
    pub(super) name: &'data [u8; 8],
    pub(super) value: u32,
    pub(super) section: SymbolSection,
    kind: SymbolType,
    pub(super) class: SymbolClass,
    /// How many auxiliary records follow.
    count: u8,
}

impl Record<'_> {
    pub(super) fn is_function(&self) -> bool {
        self.kind.derived_type() == pe::IMAGE_SYM_DTYPE_FUNCTION
    }
}

impl<'data> Records<'data> {
    /// The records that `bytes` are, each of `size` bytes.
    pub(super) fn read(bytes: &'data [u8], size: usize) -> Result<Self, Problem> {
        let len = bytes.len() / size;
        let mut records = Self { bytes, size, auxiliary: vec![0; len.div_ceil(64)] };
        let mut index = 0;
        while let Some(record) = records.get(index) {
            let next = index + 1 + usize::from(record.count);
            if next > len {
                return Err(Problem::Malformed("the symbols end within the auxiliary records of one"));
            }
            for auxiliary in index + 1..next {
                if let Some(word) = records.auxiliary.get_mut(auxiliary / 64) {
                    *word |= 1 << (auxiliary % 64);
                }
            }
            index = next;
        }
        Ok(records)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// The record at `index`; `None` where that is auxiliary, or there is none.
    pub(super) fn get(&self, index: usize) -> Option<Record<'data>> {
        if self.is_auxiliary(index) {
            return None;
        }
        let bytes = self.bytes_at(index)?;
        if self.size == pe::IMAGE_SIZEOF_SYMBOL_EX {
            let (symbol, _) = pod::from_bytes::<ImageSymbolEx>(bytes).ok()?;
            return Some(Record {
                name: &symbol.name,
                value: symbol.value.get(LE),
                section: symbol.section_number.get(LE),
                kind: symbol.typ.get(LE),
                class: symbol.storage_class,
                count: symbol.number_of_aux_symbols,
            });
        }
        let (symbol, _) = pod::from_bytes::<ImageSymbol>(bytes).ok()?;
        let section = match symbol.section_number.get(LE) {
            number @ ..=pe::IMAGE_SYM_SECTION_MAX => i32::from(number),
            special => i32::from(special.cast_signed()),
        };
        Some(Record {
            name: &symbol.name,
            value: symbol.value.get(LE),
            section: SymbolSection(section),
            kind: symbol.typ.get(LE),
            class: symbol.storage_class,
            count: symbol.number_of_aux_symbols,
        })
    }

    /// Whether the record at `index` belongs to a symbol before it.
    pub(super) fn is_auxiliary(&self, index: usize) -> bool {
        self.auxiliary.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    /// Whether the symbol at `index` stands for its section (PE Format, "Auxiliary Format 5").
    pub(super) fn defines_section(&self, index: usize) -> bool {
        self.get(index).is_some_and(|record| {
            let is_plain = record.value == 0 && !record.is_function() && record.section.index().is_some();
            record.class == pe::IMAGE_SYM_CLASS_STATIC && record.count > 0 && is_plain
        })
    }

    /// What the symbol at `index`, which stands for its section, says of that.
    pub(super) fn section(&self, index: usize) -> Option<&'data ImageAuxSymbolSection> {
        let (auxiliary, _) = pod::from_bytes(self.bytes_at(index + 1)?).ok()?;
        Some(auxiliary)
    }

    /// Whether the number of a section has 32 bits.
    pub(super) fn are_big(&self) -> bool {
        self.size == pe::IMAGE_SIZEOF_SYMBOL_EX
    }

    /// The index of the default of the weak external at `index`, and where its name is looked for before (PE Format,
    /// "Auxiliary Format 3").
    pub(super) fn weak(&self, index: usize) -> Option<(u32, WeakExternSearch)> {
        self.get(index).filter(|record| record.count > 0)?;
        let (auxiliary, _) = pod::from_bytes::<ImageAuxSymbolWeak>(self.bytes_at(index + 1)?).ok()?;
        Some((auxiliary.weak_default_sym_index.get(LE), auxiliary.weak_search_type.get(LE)))
    }

    fn bytes_at(&self, index: usize) -> Option<&'data [u8]> {
        self.bytes.get(index.checked_mul(self.size)?..)?.get(..self.size)
    }
}
