//! The start routine of an emitted executable, as one more object of the link.

use aarch64_reloc::arena::Prot;
use aarch64_reloc::link::{
    Binding, Content, Definition, Kind, Object, ObjectError, Origin, Part, Problem, Relocation, Section, Symbol,
};
use aarch64_reloc::patch::Endian;
use aarch64_reloc::reloc::Reloc;

/// Calls `entry(argc, argv)` and ends the process with what it returns.
pub struct Start<'data> {
    pub entry: &'data str,
    /// That of the other objects.
    pub endian: Endian,
}

/// Its name in the symbol table.
pub const NAME: &str = "_start";

/// The words of llvm-mc 19 for:
///
/// ```text
/// mov x29, #0          // the outermost frame
/// mov x30, #0
/// ldr x0, [sp]         // argc, as Linux leaves it
/// add x1, sp, #8       // argv
/// bl  entry
/// mov x8, #94          // exit_group
/// svc #0
/// ```
const CODE: &[u8] = &[
    0x1d, 0x00, 0x80, 0xd2, 0x1e, 0x00, 0x80, 0xd2, 0xe0, 0x03, 0x40, 0xf9, 0xe1, 0x23, 0x00, 0x91, //
    0x00, 0x00, 0x00, 0x94, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
];
/// Where the call stands in it.
const CALL: u64 = 16;

impl<'data> Object<'data> for Start<'data> {
    fn endian(&self) -> Endian {
        self.endian
    }

    fn section_count(&self) -> usize {
        2
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let kind = match index {
            0 => Kind::Loaded { prot: Prot::ReadExec, align: 4, content: Content::Bytes(CODE) },
            1 => Kind::Relocations { of: 0, count: 1 },
            _ => return Err(Part::Section(index).error(Problem::Index)),
        };
        Ok(Section { name: ".start", kind })
    }

    fn symbol_count(&self) -> usize {
        2
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let symbol = Symbol {
            name: NAME,
            definition: Definition::Section { index: 0, offset: 0 },
            binding: Binding::Local,
            hidden: false,
            function: true,
            size: CODE.len() as u64,
        };
        match index {
            0 => Ok(symbol),
            1 => Ok(Symbol {
                name: self.entry,
                definition: Definition::Undefined,
                binding: Binding::Global,
                size: 0,
                ..symbol
            }),
            _ => Err(Part::Symbol(index).error(Problem::Index)),
        }
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        match (section, index) {
            (1, 0) => Ok(Relocation { offset: CALL, reloc: Reloc::CALL26, symbol: 1, addend: 0, origin: Origin::Zero }),
            _ => Err(Part::Relocation(section, index).error(Problem::Index)),
        }
    }

    fn member(&self, section: usize, _: usize) -> Result<usize, ObjectError> {
        Err(Part::Section(section).error(Problem::Index))
    }
}
