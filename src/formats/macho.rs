//! Mach-O relocatable objects (`MH_OBJECT`) for arm64, read in place by crate `object`. Mach-O has no standard: the names are
//! those of Apple's headers `<mach-o/loader.h>`, `<mach-o/nlist.h>` and `<mach-o/reloc.h>`.

mod relocations;
mod sections;

use super::strings::Strings;
use crate::link::{Binding, Definition, Kind, Object, ObjectError, Part, Problem, Relocation, Section, Symbol};
use crate::patch::Endian;
use object::macho::{self, MachHeader64, Nlist64, Section64, SectionFlags};
use object::read::ReadRef;
use object::read::macho::{LoadCommandData, MachHeader as _};
use object::{BigEndian, LittleEndian as LE, U32};

/// A relocatable object in the bytes of its file. Nothing is copied; every access is checked.
///
/// Of `n` sections, section `i` has the number that it has in Mach-O, from 1 on: section 0 is none (`NO_SECT`). Section
/// `n + i` is the relocations of section `i`; errors in them give `i`, and the number of the entry in the file. After the
/// symbols of the file comes one for each section, for relocations that refer to no symbol.
///
/// - Sections are named `__TEXT,__text`, their segments' names first. A name is borrowed, and no file holds the two joined:
///   a section that compilers do not make is called by its own name alone.
/// - A section is one piece: atoms are not told apart (`MH_SUBSECTIONS_VIA_SYMBOLS`), literals and strings not merged. Of
///   weak definitions of one name all are kept, and the first is meant.
/// - Initialisers (`__mod_init_func`) go to `.init_array`, terminators (`__mod_term_func`) to `.fini_array`: what is loaded
///   calls them. `__eh_frame` is data, which nobody reads. Compact unwind information (`__LD`), debug information (`__DWARF`)
///   and bitcode (`__LLVM`) are ignored, as are all commands but `LC_SEGMENT_64` and `LC_SYMTAB`.
/// - The template of thread-local storage is one output section, `__DATA,__thread_data`, the zeros of `__thread_bss` behind
///   all else: from its first byte are measured the offsets in `__thread_vars`.
/// - Names of symbols keep the underscore that C's have there.
#[derive(Debug)]
pub struct MachO<'data> {
    bytes: &'data [u8],
    sections: &'data [Section64<LE>],
    symbols: &'data [Nlist64<LE>],
    names: Strings<'data>,
}

impl<'data> MachO<'data> {
    /// Reads the header and the load commands of `bytes`.
    ///
    /// # Errors
    ///
    /// What is not a 64-bit relocatable Mach-O object for arm64 is refused by its name.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        Self::read(bytes).map_err(|problem| Part::File.error(problem))
    }

    fn read(bytes: &'data [u8]) -> Result<Self, Problem> {
        let header = check_header(bytes)?;
        let mut object = Self { bytes, sections: &[], symbols: &[], names: Strings::default() };
        let malformed = |_| Problem::Malformed("the load commands");
        let (mut has_segment, mut has_symbols) = (false, false);
        for command in header.load_commands(LE, bytes, 0).map_err(malformed)? {
            let command = command.map_err(malformed)?;
            let again = match command.cmd() {
                macho::LC_SEGMENT_64 => core::mem::replace(&mut has_segment, true),
                macho::LC_SYMTAB => core::mem::replace(&mut has_symbols, true),
                _ => false,
            };
            if again {
                return Err(Problem::Malformed("two commands LC_SEGMENT_64, or two LC_SYMTAB"));
            }
            object.read_command(command)?;
        }
        object.check_overlap()?;
        Ok(object)
    }

    fn read_command(&mut self, command: LoadCommandData<'data, LE>) -> Result<(), Problem> {
        let short = |_| Problem::Malformed("a load command is too short");
        if let Some((segment, sections)) = command.segment_64().map_err(short)? {
            let sections = sections.read_slice_at(0, segment.nsects.get(LE) as usize);
            self.sections = sections.map_err(|()| Problem::Malformed("the sections end within LC_SEGMENT_64"))?;
            // `n_sect` is a byte.
            if self.sections.len() > 255 {
                return Err(Problem::Malformed("more than 255 sections"));
            }
        } else if let Some(table) = command.symtab().map_err(short)? {
            let outside = |()| Problem::Malformed("the symbols, or their names, lie outside the file");
            let symbols = self.bytes.read_slice_at(table.symoff.get(LE).into(), table.nsyms.get(LE) as usize);
            self.symbols = symbols.map_err(outside)?;
            let names = self.bytes.read_bytes_at(table.stroff.get(LE).into(), table.strsize.get(LE).into());
            self.names = Strings::new(names.map_err(outside)?);
        } else if let Some(table) = command.dysymtab().map_err(short)?
            && (table.nextrel.get(LE), table.nlocrel.get(LE)) != (0, 0)
        {
            return Err(Problem::Unsupported("relocations that are of no section (LC_DYSYMTAB)"));
        }
        Ok(())
    }

    /// The header of section `number`, which counts from 1.
    fn header(&self, number: usize) -> Option<&'data Section64<LE>> {
        self.sections.get(number.checked_sub(1)?)
    }

    /// The symbol that stands for section `number`.
    fn section_symbol(&self, number: usize) -> Option<usize> {
        self.header(number).map(|_| self.symbols.len() + number - 1)
    }

    fn read_symbol(&self, index: usize) -> Result<Symbol<'data>, Problem> {
        let own = match self.symbols.get(index) {
            Some(own) => own,
            None => return self.stand_in(index).ok_or(Problem::Index),
        };
        let name = match own.n_strx.get(LE) {
            0 => "",
            offset => self.names.get(offset)?,
        };
        let mut symbol = Symbol { name, ..NAMELESS };
        if own.n_type.is_stab() {
            return Ok(symbol);
        }
        let is_external = own.n_type.is_ext();
        let (value, flags) = (own.n_value.get(LE), own.n_desc.get(LE));
        let has = |flag| flags.contains(flag);
        let mut is_weak = has(macho::N_WEAK_DEF);
        symbol.definition = match own.n_type.typ() {
            macho::N_UNDF if !is_external => {
                return Err(Problem::Malformed("it is neither defined (N_UNDF) nor external (N_EXT)"));
            }
            macho::N_UNDF if value == 0 => {
                is_weak = has(macho::N_WEAK_REF);
                Definition::Undefined
            }
            macho::N_UNDF => {
                symbol.size = value;
                Definition::Common { align: 1 << flags.common_alignment() }
            }
            macho::N_ABS => Definition::Absolute(value),
            macho::N_SECT if has(macho::N_SYMBOL_RESOLVER) => {
                return Err(Problem::Unsupported(
                    "a function that is chosen when the program runs (N_SYMBOL_RESOLVER)",
                ));
            }
            macho::N_SECT => {
                let header = self.header(own.n_sect.into());
                let header = header.ok_or(Problem::Malformed("it is in a section that is not there"))?;
                symbol.function = is_text(header);
                let offset = value.checked_sub(header.addr.get(LE)).filter(|&offset| offset <= header.size.get(LE));
                let offset = offset.ok_or(Problem::Malformed("its address is not in its section"))?;
                Definition::Section { index: own.n_sect.into(), offset }
            }
            macho::N_INDR => return Err(Problem::Unsupported("an alias (N_INDR)")),
            macho::N_PBUD => return Err(Problem::Unsupported("a prebound symbol (N_PBUD)")),
            other => return Err(Problem::Unknown("symbol type", other.0.into())),
        };
        symbol.binding = match (is_external, is_weak) {
            (false, _) => Binding::Local,
            (true, false) => Binding::Global,
            (true, true) => Binding::Weak,
        };
        symbol.hidden = own.n_type.is_pext();
        Ok(symbol)
    }

    /// The symbol that stands for a section.
    fn stand_in(&self, index: usize) -> Option<Symbol<'data>> {
        let number = index.checked_sub(self.symbols.len())?.checked_add(1)?;
        self.header(number)?;
        Some(Symbol { definition: Definition::Section { index: number, offset: 0 }, ..NAMELESS })
    }
}

/// What a symbol is that only debuggers read (`N_STAB`).
const NAMELESS: Symbol<'static> =
    Symbol { name: "", definition: Definition::File, binding: Binding::Local, hidden: false, function: false, size: 0 };

/// Whether a section holds instructions.
fn is_text(header: &Section64<LE>) -> bool {
    let SectionFlags(flags) = header.flags.get(LE);
    let SectionFlags(text) = macho::S_ATTR_PURE_INSTRUCTIONS | macho::S_ATTR_SOME_INSTRUCTIONS;
    flags & text != 0
}

/// The header of `bytes`, if it is that of an object for arm64.
fn check_header(bytes: &[u8]) -> Result<&MachHeader64<LE>, Problem> {
    let magic: &U32<BigEndian> = bytes.read_at(0).map_err(|()| Problem::Malformed("not a Mach-O file"))?;
    // As the bytes stand in the file.
    match magic.get(BigEndian) {
        macho::MH_CIGAM_64 => {}
        macho::MH_MAGIC_64 | macho::MH_MAGIC => return Err(Problem::Unsupported("a big-endian object")),
        macho::MH_CIGAM => return Err(Problem::Unsupported("a 32-bit object (arm64_32 among them)")),
        macho::FAT_MAGIC | macho::FAT_MAGIC_64 => {
            return Err(Problem::Unsupported("a universal file (fat), of which each part is an object"));
        }
        _ => return Err(Problem::Malformed("not a Mach-O file")),
    }
    let header: &MachHeader64<LE> = bytes.read_at(0).map_err(|()| Problem::Malformed("file header"))?;
    match header.cputype.get(LE) {
        macho::CPU_TYPE_ARM64 => {}
        macho::CPU_TYPE_ARM64_32 => return Err(Problem::Unsupported("arm64_32")),
        other => return Err(Problem::Unknown("CPU type", other.0)),
    }
    match header.cpusubtype.get(LE).id() {
        macho::CPU_SUBTYPE_ARM64_ALL | macho::CPU_SUBTYPE_ARM64_V8 => {}
        macho::CPU_SUBTYPE_ARM64E => return Err(Problem::Unsupported("arm64e, whose pointers are signed")),
        other => return Err(Problem::Unknown("CPU subtype", other.0)),
    }
    match header.filetype.get(LE) {
        macho::MH_OBJECT => Ok(header),
        macho::MH_EXECUTE => Err(Problem::Unsupported("an executable (MH_EXECUTE), not a relocatable object")),
        macho::MH_DYLIB => Err(Problem::Unsupported("a library (MH_DYLIB), not a relocatable object")),
        macho::MH_BUNDLE => Err(Problem::Unsupported("a bundle (MH_BUNDLE), not a relocatable object")),
        other => Err(Problem::Unknown("file type", other.0)),
    }
}

impl<'data> Object<'data> for MachO<'data> {
    fn endian(&self) -> Endian {
        Endian::Little
    }

    fn section_count(&self) -> usize {
        1 + 2 * self.sections.len()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let refuse = |problem| Part::Section(index).error(problem);
        if index == 0 {
            return Ok(Section::new("", Kind::Ignored));
        }
        if let Some(header) = self.header(index) {
            return self.read_section(header).map_err(refuse);
        }
        let of = index - self.sections.len();
        let header = self.header(of).ok_or(refuse(Problem::Index))?;
        // Where the section is refused, that is said of itself.
        let is_loaded = |section: &Section<'_>| matches!(section.kind, Kind::Loaded { .. });
        let Some(section) = self.read_section(header).ok().filter(is_loaded) else {
            return Ok(Section::new("", Kind::Ignored));
        };
        let table = self.relocations(header).map_err(|problem| Part::Section(of).error(problem))?;
        Ok(Section { kind: Kind::Relocations { of, count: table.len() }, ..section })
    }

    fn symbol_count(&self) -> usize {
        self.symbols.len() + self.sections.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.read_symbol(index).map_err(|problem| Part::Symbol(index).error(problem))
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let of = section.checked_sub(self.sections.len()).filter(|&of| self.header(of).is_some());
        let of = of.ok_or(Part::Section(section).error(Problem::Index))?;
        self.read_relocation(of, index).map_err(|problem| Part::Relocation(of, index).error(problem))
    }

    fn relocation_name(&self, section: usize, index: usize) -> &'static str {
        let header = section.checked_sub(self.sections.len()).and_then(|of| self.header(of));
        let entry = header.and_then(|header| self.relocations(header).ok()?.get(index));
        entry.map_or("", |entry| relocations::name(entry.info(LE).r_type))
    }

    fn member(&self, section: usize, _index: usize) -> Result<usize, ObjectError> {
        Err(Part::Section(section).error(Problem::Index))
    }
}
