//! The start routine of an emitted executable, as one more object of the link.

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Definition, Object, ObjectError, Relocation, Section, Symbol};
use aarch64_reloc::patch::Endian;

/// `start.s`, assembled by `start.sh`: makes the block of thread-local storage, calls `entry(argc, argv)`, and ends the
/// process with what it returns.
pub struct Start<'data> {
    object: Elf<'data>,
    entry: &'data str,
    /// That of the other objects.
    endian: Endian,
}

/// Its name in the symbol table.
pub const NAME: &str = "_start";

/// What TLS descriptors call.
pub const RESOLVER: &str = "__tlsdesc_static";

const START: &[u8] = include_bytes!("start.o");

/// The name under which it wants its entry.
const ENTRY: &str = "entry";

impl<'data> Start<'data> {
    pub fn new(entry: &'data str, endian: Endian) -> Result<Self, ObjectError> {
        Ok(Self { object: Elf::parse(START)?, entry, endian })
    }
}

impl<'data> Object<'data> for Start<'data> {
    fn endian(&self) -> Endian {
        self.endian
    }

    fn section_count(&self) -> usize {
        self.object.section_count()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        self.object.section(index)
    }

    fn symbol_count(&self) -> usize {
        self.object.symbol_count()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let symbol = self.object.symbol(index)?;
        let is_entry = symbol.name == ENTRY && symbol.definition == Definition::Undefined;
        Ok(Symbol { name: if is_entry { self.entry } else { symbol.name }, ..symbol })
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.object.relocation(section, index)
    }

    fn for_each_relocation(
        &self,
        section: usize,
        count: usize,
        visit: &mut dyn FnMut(Result<Relocation, ObjectError>),
    ) {
        self.object.for_each_relocation(section, count, visit);
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        self.object.member(section, index)
    }
}
