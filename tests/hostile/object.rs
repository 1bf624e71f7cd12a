//! An object of whatever format.

use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::formats::detect::Format;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{Cursor, Object, ObjectError, Relocation, Section, Symbol};
use aarch64_reloc::patch::Endian;

pub struct Any<'data>(Box<dyn Object<'data> + 'data>);

impl<'data> Any<'data> {
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        Ok(match Format::of(bytes) {
            Format::Elf => Self(Box::new(Elf::parse(bytes)?)),
            Format::MachO => Self(Box::new(MachO::parse(bytes)?)),
            Format::Coff => Self(Box::new(Coff::parse(bytes)?)),
        })
    }
}

impl<'data> Object<'data> for Any<'data> {
    fn endian(&self) -> Endian {
        self.0.endian()
    }

    fn section_count(&self) -> usize {
        self.0.section_count()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        self.0.section(index)
    }

    fn symbol_count(&self) -> usize {
        self.0.symbol_count()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.0.symbol(index)
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.0.relocation(section, index)
    }

    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        self.0.read_relocations(section, cursor, batch)
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        self.0.member(section, index)
    }
}
