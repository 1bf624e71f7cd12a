//! `atexit`, which a C library links into each module instead of exporting it, so that a handler belongs to its module.

use crate::arena::Prot;
use crate::link::{
    Binding, Content, Cursor, Definition, Input, Kind, Object, ObjectError, Origin, Part, Problem, Relocation, Section,
    Symbol,
};
use crate::patch::Endian;
use crate::reloc::Reloc;
use core::ops::Range;
use std::vec::Vec;

/// `inputs`, and the object that brings `atexit` if one of them wants it.
pub(super) fn beside<'o, 'data, O: Object<'data>>(inputs: &'o [Input<'data, O>]) -> Vec<Input<'data, Member<'o, O>>> {
    let given = inputs.iter().map(|input| Input { name: input.name, object: Member::Given(&input.object) });
    let wants = |object: &O| {
        let mut symbols = (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok());
        symbols.any(|symbol| symbol.name == SYMBOLS[0].0 && symbol.definition == Definition::Undefined)
    };
    let wanted = inputs.iter().any(|input| wants(&input.object));
    let endian = inputs.first().map_or(Endian::default(), |input| input.object.endian());
    given.chain(wanted.then_some(Input { name: "atexit", object: Member::Atexit(endian) })).collect()
}

/// An object of an image.
#[derive(Debug)]
pub(super) enum Member<'o, O> {
    Given(&'o O),
    /// In the byte order of the others.
    Atexit(Endian),
}

/// The words of llvm-mc 19 for `atexit(handler)`, which is `__cxa_atexit(handler, 0, &__dso_handle)`:
///
/// ```text
/// adrp x2, __dso_handle
/// add  x2, x2, :lo12:__dso_handle
/// mov  x1, #0
/// b    __cxa_atexit
/// udf  #0
/// ```
const CODE: &[u8] =
    &[0x02, 0x00, 0x00, 0x90, 0x42, 0x00, 0x00, 0x91, 0x01, 0x00, 0x80, 0xd2, 0x00, 0x00, 0x00, 0x14, 0, 0, 0, 0];

const RELOCATIONS: [(u64, Reloc, usize); 3] =
    [(0, Reloc::ADR_PREL_PG_HI21, 1), (4, Reloc::ADD_ABS_LO12_NC, 1), (12, Reloc::JUMP26, 2)];

const SYMBOLS: [(&str, Definition); 3] = [
    ("atexit", Definition::Section { index: 0, offset: 0 }),
    ("__dso_handle", Definition::Undefined),
    ("__cxa_atexit", Definition::Undefined),
];

impl<'data, O: Object<'data>> Object<'data> for Member<'_, O> {
    fn endian(&self) -> Endian {
        match self {
            Self::Given(object) => object.endian(),
            Self::Atexit(endian) => *endian,
        }
    }

    fn section_count(&self) -> usize {
        match self {
            Self::Given(object) => object.section_count(),
            Self::Atexit(_) => 2,
        }
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let kind = match (self, index) {
            (Self::Given(object), _) => return object.section(index),
            (Self::Atexit(_), 0) => Kind::Loaded { prot: Prot::ReadExec, align: 4, content: Content::Bytes(CODE) },
            (Self::Atexit(_), 1) => Kind::Relocations { of: 0, count: RELOCATIONS.len() },
            (Self::Atexit(_), _) => return Err(Part::Section(index).error(Problem::Index)),
        };
        Ok(Section::new(".text", kind))
    }

    fn kind(&self, index: usize) -> Result<Kind<'data>, ObjectError> {
        match self {
            Self::Given(object) => object.kind(index),
            Self::Atexit(_) => self.section(index).map(|section| section.kind),
        }
    }

    fn symbol_count(&self) -> usize {
        match self {
            Self::Given(object) => object.symbol_count(),
            Self::Atexit(_) => SYMBOLS.len(),
        }
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        if let Self::Given(object) = self {
            return object.symbol(index);
        }
        let &(name, definition) = SYMBOLS.get(index).ok_or(Part::Symbol(index).error(Problem::Index))?;
        // Weak: an object that brings its own is preferred, and without a C library nothing calls it.
        Ok(Symbol { name, definition, binding: Binding::Weak, hidden: false, function: true, size: 0 })
    }

    fn linked_symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        match self {
            Self::Given(object) => object.linked_symbol(index),
            Self::Atexit(_) => self.symbol(index),
        }
    }

    fn fetch_symbols(&self, indices: Range<usize>) {
        if let Self::Given(object) = self {
            object.fetch_symbols(indices);
        }
    }

    fn definition(&self, index: usize) -> Result<(Binding, Definition), ObjectError> {
        match self {
            Self::Given(object) => object.definition(index),
            Self::Atexit(_) => self.symbol(index).map(|symbol| (symbol.binding, symbol.definition)),
        }
    }

    fn is_named(&self, index: usize, name: &str) -> bool {
        match self {
            Self::Given(object) => object.is_named(index, name),
            Self::Atexit(_) => self.symbol(index).is_ok_and(|symbol| symbol.name == name),
        }
    }

    fn for_each_kind(&self, section: usize, count: usize, mut visit: impl FnMut(Reloc, i64)) {
        match self {
            Self::Given(object) => object.for_each_kind(section, count, visit),
            Self::Atexit(_) => RELOCATIONS.iter().for_each(|&(_, reloc, _)| visit(reloc, 0)),
        }
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        if let Self::Given(object) = self {
            return object.relocation(section, index);
        }
        let found = RELOCATIONS.get(index).ok_or(Part::Relocation(section, index).error(Problem::Index));
        found.map(|&(offset, reloc, symbol)| Relocation { offset, reloc, symbol, addend: 0, origin: Origin::Zero })
    }

    fn relocation_name(&self, section: usize, index: usize) -> &'static str {
        match self {
            Self::Given(object) => object.relocation_name(section, index),
            Self::Atexit(_) => "",
        }
    }

    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        match self {
            Self::Given(object) => object.read_relocations(section, cursor, batch),
            Self::Atexit(_) => cursor.fill(batch, |index| self.relocation(section, index)),
        }
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        match self {
            Self::Given(object) => object.member(section, index),
            Self::Atexit(_) => Err(Part::Section(section).error(Problem::Index)),
        }
    }
}
