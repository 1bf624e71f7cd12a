//! COFF objects of Windows on Arm (Microsoft's "PE Format"; the structures are crate `object`'s), with 16 or 32 bits for the
//! number of a section (`/bigobj`).
//!
//! A file's section has three indices here, one after the other: as a group, as itself, and as its relocations. Errors
//! call it by the number that it has in the file, from 1 on.

mod comdat;
mod file;
mod records;
mod relocation;

use crate::arena::Prot;
use crate::link::{
    Alike, Binding, Content, Definition, Kind, Object, ObjectError, Part, Problem, Relocation, Section, Symbol,
};
use crate::patch::Endian;
use comdat::Comdats;
use file::File;
use object::LittleEndian as LE;
use object::pe::{self, ImageSectionHeader};
use records::Record;

/// A relocatable object in the bytes of its file. Every access is checked; sections and names are not copied.
///
/// - Sections go together by their names up to a `$`, in the order of what follows it: `.text$mn` to `.text`, say. Of `.CRT`,
///   the initialisers of C (`.CRT$XI`) go to `.preinit_array`, the constructors of C++ (`.CRT$XC`) to `.init_array`, and the
///   terminators (`.CRT$XP`, then `.CRT$XT`) to `.dtors`: what is loaded calls them in this order, all but nulls. What
///   an initialiser of C returns is not asked.
/// - A weak external is a weak definition, if its object has a default for it, and undefined if that is the number 0.
/// - Of COMDAT sections of which the largest is to be selected, all must be of one size.
/// - What the linker itself is told (`.drectve`), debug information and the tables of Control Flow Guard are ignored.
#[derive(Debug)]
pub struct Coff<'data> {
    file: File<'data>,
    comdats: Comdats,
}

/// What a section's index says of it.
#[derive(Clone, Copy)]
enum Role {
    Group,
    Itself,
    Relocations,
}

impl<'data> Coff<'data> {
    /// Reads the headers of `bytes`, and which sections are COMDAT.
    ///
    /// # Errors
    ///
    /// What is not a COFF object for ARM64 is refused by its name.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        let file = File::parse(bytes)?;
        let comdats = Comdats::read(&file)?;
        Ok(Self { file, comdats })
    }

    /// The number of the section that `index` means, as what, and its header.
    fn header(&self, index: usize) -> Result<(u32, Role, &'data ImageSectionHeader), ObjectError> {
        let count = self.file.sections.len();
        let role = match index.checked_div(count) {
            Some(0) => Role::Group,
            Some(1) => Role::Itself,
            Some(2) => Role::Relocations,
            _ => return Err(Part::Section(index).error(Problem::Index)),
        };
        let number = (index % count) as u32 + 1;
        Ok((number, role, self.file.header(number).ok_or(Part::Section(index).error(Problem::Index))?))
    }

    /// The index of section `number` of the file as itself; `None` where there is none of that number.
    fn index_of(&self, number: u32) -> Option<usize> {
        self.file.header(number)?;
        Some(self.file.sections.len() + number as usize - 1)
    }

    fn group(&self, number: u32) -> Result<Kind<'data>, Problem> {
        let Some(leader) = self.comdats.leader(number) else { return Ok(Kind::Ignored) };
        let leader = self.file.records.get(leader).ok_or(Problem::Index)?;
        let header = self.file.header(number).ok_or(Problem::Index)?;
        let alike = match self.comdats.selection(number) {
            Some(pe::IMAGE_COMDAT_SELECT_ANY) => Alike::Key,
            Some(pe::IMAGE_COMDAT_SELECT_EXACT_MATCH) => Alike::Bytes(self.file.content(header)?),
            // Of the largest too: that the first is left out for a later one is not to be had.
            _ => Alike::Size(header.size_of_raw_data.get(LE).into()),
        };
        Ok(Kind::Group { key: self.file.name(&leader)?, count: self.comdats.members(number).len(), alike })
    }

    fn relocations(&self, number: u32, name: &str, header: &'data ImageSectionHeader) -> Result<Kind<'data>, Problem> {
        if is_ignored(name, header) {
            return Ok(Kind::Ignored);
        }
        let of = self.index_of(number).ok_or(Problem::Index)?;
        Ok(Kind::Relocations { of, count: self.file.relocations(header)?.len() })
    }

    fn kind(&self, name: &str, header: &'data ImageSectionHeader) -> Result<Kind<'data>, Problem> {
        if is_ignored(name, header) {
            return Ok(Kind::Ignored);
        }
        check_name(name)?;
        let flags = header.characteristics.get(LE);
        if flags.contains(pe::IMAGE_SCN_MEM_SHARED) {
            return Err(Problem::Unsupported("a section shared by processes (IMAGE_SCN_MEM_SHARED)"));
        }
        let prot = match (flags.contains(pe::IMAGE_SCN_MEM_WRITE), flags.contains(pe::IMAGE_SCN_MEM_EXECUTE)) {
            (false, false) => Prot::Read,
            (true, false) => Prot::ReadWrite,
            (false, true) => Prot::ReadExec,
            (true, true) => return Err(Problem::Unsupported("a section both writable and executable")),
        };
        let align = match (flags.0 & pe::IMAGE_SCN_ALIGN_MASK) >> ALIGN_SHIFT {
            // "Default alignment if no others are specified" (winnt.h).
            0 => 16,
            field @ 1..=14 => 1 << (field - 1),
            _ => return Err(Problem::Malformed("no alignment has the number 15")),
        };
        let content = match flags.contains(pe::IMAGE_SCN_CNT_UNINITIALIZED_DATA) {
            true => Content::Zeros(header.size_of_raw_data.get(LE).into()),
            false => Content::Bytes(self.file.content(header)?),
        };
        Ok(Kind::Loaded { prot, align, content })
    }

    /// Where a symbol is defined that is no weak external.
    fn definition(&self, record: &Record) -> Result<Definition, Problem> {
        Ok(match record.section {
            pe::IMAGE_SYM_DEBUG => Definition::File,
            pe::IMAGE_SYM_ABSOLUTE => Definition::Absolute(record.value.into()),
            pe::IMAGE_SYM_UNDEFINED if record.class != pe::IMAGE_SYM_CLASS_EXTERNAL => {
                return Err(Problem::Malformed("a local symbol is not defined"));
            }
            pe::IMAGE_SYM_UNDEFINED if record.value == 0 => Definition::Undefined,
            // The format has no field for it; linkers take the size's, up to 32.
            pe::IMAGE_SYM_UNDEFINED => {
                Definition::Common { align: u64::from(record.value.min(32)).next_power_of_two() }
            }
            section => {
                let missing = Problem::Malformed("it is in a section that is not there");
                let index = section.index().and_then(|number| self.index_of(number)).ok_or(missing)?;
                Definition::Section { index, offset: record.value.into() }
            }
        })
    }

    /// What a weak external means where nothing else defines its name, and whether that is a function.
    fn default(&self, index: usize, record: &Record) -> Result<(Definition, bool), Problem> {
        if record.section != pe::IMAGE_SYM_UNDEFINED {
            return Err(Problem::Malformed("a weak external is defined"));
        }
        let (default, search) =
            self.file.records.weak(index).ok_or(Problem::Malformed("a weak external without a default"))?;
        match search {
            pe::IMAGE_WEAK_EXTERN_SEARCH_NOLIBRARY
            | pe::IMAGE_WEAK_EXTERN_SEARCH_LIBRARY
            | pe::IMAGE_WEAK_EXTERN_SEARCH_ALIAS => {}
            pe::IMAGE_WEAK_EXTERN_ANTI_DEPENDENCY => {
                return Err(Problem::Unsupported("a weak external of ARM64EC (IMAGE_WEAK_EXTERN_ANTI_DEPENDENCY)"));
            }
            other => return Err(Problem::Unknown("search for a weak external", other.0)),
        }
        let missing = Problem::Malformed("the default of a weak external is not in the symbol table");
        let default = self.file.records.get(default as usize).ok_or(missing)?;
        let elsewhere = Problem::Unsupported("a weak external whose default its object does not define");
        if default.class == pe::IMAGE_SYM_CLASS_WEAK_EXTERNAL {
            return Err(elsewhere);
        }
        match self.definition(&default)? {
            // What compilers say of a weak reference.
            Definition::Absolute(0) => Ok((Definition::Undefined, record.is_function())),
            found @ (Definition::Absolute(_) | Definition::Section { .. }) => Ok((found, default.is_function())),
            _ => Err(elsewhere),
        }
    }
}

/// Bits below [`pe::IMAGE_SCN_ALIGN_MASK`].
const ALIGN_SHIFT: u32 = pe::IMAGE_SCN_ALIGN_MASK.trailing_zeros();

/// Whether a section is not part of the program.
fn is_ignored(name: &str, header: &ImageSectionHeader) -> bool {
    let flags = header.characteristics.get(LE);
    let is_marked = [pe::IMAGE_SCN_LNK_INFO, pe::IMAGE_SCN_LNK_REMOVE, pe::IMAGE_SCN_MEM_DISCARDABLE];
    is_marked.into_iter().any(|flag| flags.contains(flag))
        // Tables of symbols that linkers make Control Flow Guard's from.
        || matches!(name, ".gfids$y" | ".giats$y" | ".gljmp$y" | ".gehcont$y")
}

/// The longest order of a section, in bytes. Orders are compared many times more often than names are looked up, and can
/// lie on top of each other in the file. Of MinGW, which puts the names of functions there, few have some hundred.
const LONGEST_ORDER: usize = 4096;

/// The output section that a section called `name` goes to, and its order there.
///
/// What follows a `$` is the order (PE Format, "Grouped Sections"). What follows a dot, as in `.text.main`, is one too, for
/// lld-link, which sorts the sections by their names.
fn grouped(name: &str) -> (&str, &str) {
    // The first byte may be a dot itself.
    let cut = name.bytes().skip(1).position(|byte| matches!(byte, b'$' | b'.')).map_or(name.len(), |before| before + 1);
    let (group, order) = name.split_at_checked(cut).unwrap_or((name, ""));
    let is = |family: &str| group == ".CRT" && order.starts_with(family);
    let output = match group {
        _ if is("$XI") => ".preinit_array",
        _ if is("$XC") => ".init_array",
        // Called from the first to the last.
        _ if is("$XP") || is("$XT") => ".dtors",
        _ => group,
    };
    (output, order)
}

/// Checks that a section of that name is nothing that only the system's loader makes anything of.
fn check_name(name: &str) -> Result<(), Problem> {
    let is = |group: &str| name.strip_prefix(group).is_some_and(|order| order.is_empty() || order.starts_with('$'));
    if is(".tls") {
        return Err(Problem::Unsupported("thread-local storage (.tls$)"));
    }
    if name.starts_with(".CRT$XL") || name.starts_with(".CRT$XD") {
        return Err(Problem::Unsupported("functions that each thread calls (.CRT$XL, .CRT$XD)"));
    }
    if is(".idata") {
        return Err(Problem::Unsupported("a table of imports (.idata$)"));
    }
    if is(".rsrc") {
        return Err(Problem::Unsupported("resources (.rsrc$)"));
    }
    Ok(())
}

impl<'data> Object<'data> for Coff<'data> {
    fn endian(&self) -> Endian {
        Endian::Little
    }

    fn section_count(&self) -> usize {
        3 * self.file.sections.len()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let (number, role, header) = self.header(index)?;
        let read = || {
            let name = self.file.section_name(header)?;
            let kind = match role {
                Role::Group => self.group(number)?,
                Role::Itself => self.kind(name, header)?,
                Role::Relocations => self.relocations(number, name, header)?,
            };
            let (output, order) = grouped(name);
            if order.len() > LONGEST_ORDER {
                return Err(Problem::Unsupported("an order of more than 4096 bytes behind the name of a section"));
            }
            Ok(Section { name, output, order, kind })
        };
        read().map_err(|problem| Part::Section(number as usize).error(problem))
    }

    fn symbol_count(&self) -> usize {
        self.file.records.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let refuse = |problem| Part::Symbol(index).error(problem);
        if index >= self.file.records.len() {
            return Err(refuse(Problem::Index));
        }
        let Some(record) = self.file.records.get(index) else {
            // An auxiliary record, which nothing refers to.
            let (definition, binding) = (Definition::File, Binding::Local);
            return Ok(Symbol { name: "", definition, binding, hidden: false, function: false, size: 0 });
        };
        let read = || {
            let (mut definition, mut function) = (Definition::File, record.is_function());
            let binding = match record.class {
                pe::IMAGE_SYM_CLASS_EXTERNAL => Binding::Global,
                pe::IMAGE_SYM_CLASS_WEAK_EXTERNAL => Binding::Weak,
                _ => Binding::Local,
            };
            match record.class {
                pe::IMAGE_SYM_CLASS_EXTERNAL | pe::IMAGE_SYM_CLASS_STATIC | pe::IMAGE_SYM_CLASS_LABEL => {
                    definition = self.definition(&record)?;
                }
                pe::IMAGE_SYM_CLASS_WEAK_EXTERNAL => (definition, function) = self.default(index, &record)?,
                // For debuggers alone.
                pe::IMAGE_SYM_CLASS_FILE
                | pe::IMAGE_SYM_CLASS_FUNCTION
                | pe::IMAGE_SYM_CLASS_BLOCK
                | pe::IMAGE_SYM_CLASS_END_OF_FUNCTION => {}
                other => return Err(Problem::Unknown("storage class", other.0.into())),
            }
            let is_section = self.file.records.defines_section(index);
            let name = if is_section { "" } else { self.file.name(&record)? };
            let size = if matches!(definition, Definition::Common { .. }) { record.value.into() } else { 0 };
            Ok(Symbol { name, definition, binding, hidden: false, function, size })
        };
        read().map_err(refuse)
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let (number, _, header) = self.header(section)?;
        let refuse = |problem| Part::Relocation(number as usize, index).error(problem);
        let table = self.file.relocations(header).map_err(refuse)?;
        let entry = table.get(index).ok_or(refuse(Problem::Index))?;
        self.file.relocation(header, entry).map_err(refuse)
    }

    fn relocation_name(&self, section: usize, index: usize) -> &'static str {
        let table = self.header(section).ok().and_then(|(_, _, header)| self.file.relocations(header).ok());
        table.and_then(|table| table.get(index)).map_or("", relocation::name)
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        let (number, _, _) = self.header(section)?;
        let member = self.comdats.members(number).get(index).and_then(|&(_, member)| self.index_of(member));
        member.ok_or(Part::Section(number as usize).error(Problem::Index))
    }
}
