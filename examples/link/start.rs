//! The start routine of an emitted executable, as one more object of the link.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{
    Binding, Content, Cursor, Definition, Indirect, Input, Kind, Located, Object, ObjectError, Plan, Relocation,
    Section, Symbol,
};
use aarch64_reloc::patch::Endian;
use aarch64_reloc::reloc::Reloc;
use object::elf;

/// `start.s`, assembled by `start.sh`: makes the block of thread-local storage, has the resolvers of indirect functions fill
/// their slots, calls `entry(argc, argv)`, and ends the process with what it returns.
pub struct Start<'data> {
    object: Elf<'data>,
    entry: &'data str,
    /// That of the other objects.
    endian: Endian,
    /// Room for a relocation for each indirect function.
    room: &'data [u8],
}

/// Its name in the symbol table.
pub const NAME: &str = "_start";

/// What TLS descriptors call.
pub const RESOLVER: &str = "__tlsdesc_static";

/// The section of the relocations of indirect functions, empty in the file.
const SECTION: &str = ".rela.iplt";
/// The symbol at the relocations of indirect functions, and that which says how many bytes they are.
const RELOCATIONS: &str = "__rela_iplt_start";
const SIZE: &str = "__rela_iplt_size";

/// Bytes of an `Elf64_Rela`.
const RELA: usize = 24;

const START: &[u8] = include_bytes!("start.o");

/// The name under which it wants its entry.
const ENTRY: &str = "entry";

impl<'data> Start<'data> {
    /// `room` is as much as [`room`] says of the other objects.
    pub fn new(entry: &'data str, endian: Endian, room: &'data [u8]) -> Result<Self, ObjectError> {
        Ok(Self { object: Elf::parse(START)?, entry, endian, room })
    }
}

/// As many zeros as there are bytes in relocations for all indirect functions of `inputs`, and for all places that functions
/// initialise.
pub fn room<'data, O: Object<'data>>(inputs: &[Input<'data, O>]) -> Vec<u8> {
    let is_indirect = |symbol: &Symbol<'_>| matches!(symbol.definition, Definition::Indirect { .. });
    let symbols = inputs.iter().flat_map(|Input { object, .. }| {
        (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok()).filter(is_indirect)
    });
    vec![0; RELA * (symbols.count() + initialised(inputs))]
}

/// How many places of `inputs` functions initialise.
fn initialised<'data, O: Object<'data>>(inputs: &[Input<'data, O>]) -> usize {
    let mut places = 0;
    for Input { object, .. } in inputs {
        for index in 0..object.section_count() {
            let Ok(Section { kind: Kind::Relocations { count, .. }, .. }) = object.section(index) else { continue };
            object.for_each_relocation(index, count, &mut |relocation| {
                places += usize::from(relocation.is_ok_and(|relocation| relocation.reloc == Reloc::FUNCINIT64));
            });
        }
    }
    places
}

/// The symbol `name` of the start routine's object, which is the last of a plan.
pub fn find<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>, name: &str) -> Option<Addr> {
    let is_own = |found: &Located<'_>| found.symbol.name == name && found.symbol.binding == Binding::Local;
    plan.symbols().filter(is_own).last().map(|found| found.addr)
}

/// The relocations that the start routine performs, and where they lie; those that are not in use are zeros.
pub fn relocations<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Option<(Addr, Vec<u8>)> {
    let long = |number: u64| match plan.endian() {
        Endian::Little => number.to_le_bytes(),
        Endian::Big => number.to_be_bytes(),
    };
    let kind = u64::from(elf::R_AARCH64_IRELATIVE.0);
    let entry = |Indirect { slot, resolver, .. }: Indirect<'_>| [slot.get(), kind, resolver.get()].map(long).concat();
    let entries: Vec<Vec<u8>> = plan.indirect().map(entry).collect();
    find(plan, RELOCATIONS).filter(|_| !entries.is_empty()).map(|addr| (addr, entries.concat()))
}

impl<'data> Object<'data> for Start<'data> {
    fn endian(&self) -> Endian {
        self.endian
    }

    fn section_count(&self) -> usize {
        self.object.section_count()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let section = self.object.section(index)?;
        Ok(match section.kind {
            Kind::Loaded { prot, align, content } if content.size() == 0 && section.name == SECTION => {
                Section { kind: Kind::Loaded { prot, align, content: Content::Bytes(self.room) }, ..section }
            }
            _ => section,
        })
    }

    fn symbol_count(&self) -> usize {
        self.object.symbol_count()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let symbol = self.object.symbol(index)?;
        Ok(match (symbol.name, symbol.definition) {
            (ENTRY, Definition::Undefined) => Symbol { name: self.entry, ..symbol },
            (SIZE, Definition::Undefined) => {
                let size = Definition::Absolute(self.room.len() as u64);
                Symbol { definition: size, binding: Binding::Local, ..symbol }
            }
            _ => symbol,
        })
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.object.relocation(section, index)
    }

    fn relocation_name(&self, section: usize, index: usize) -> &'static str {
        self.object.relocation_name(section, index)
    }

    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        self.object.read_relocations(section, cursor, batch)
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        self.object.member(section, index)
    }
}
