//! What the sections of a Mach-O object are called, hold, and are protected by.

use super::{MachO, is_text};
use crate::arena::Prot;
use crate::link::{Content, Kind, Problem, Section};
use object::LittleEndian as LE;
use object::macho::{self, Relocation, Section64, SectionType};
use object::read::ReadRef;

/// The sections that compilers make.
const NAMES: [&str; 72] = [
    "__TEXT,__text",
    "__TEXT,__const",
    "__TEXT,__cstring",
    "__TEXT,__ustring",
    "__TEXT,__literal4",
    "__TEXT,__literal8",
    "__TEXT,__literal16",
    "__TEXT,__eh_frame",
    "__TEXT,__gcc_except_tab",
    "__TEXT,__StaticInit",
    "__TEXT,__textcoal_nt",
    "__TEXT,__const_coal",
    "__TEXT,__init_offsets",
    "__TEXT,__info_plist",
    "__TEXT,__objc_methname",
    "__TEXT,__objc_methtype",
    "__TEXT,__objc_classname",
    "__TEXT,__constg_swiftt",
    "__TEXT,__swift5_typeref",
    "__TEXT,__swift5_reflstr",
    "__TEXT,__swift5_fieldmd",
    "__TEXT,__swift5_types",
    "__TEXT,__swift5_proto",
    "__TEXT,__swift5_protos",
    "__TEXT,__swift5_capture",
    "__TEXT,__swift5_builtin",
    "__TEXT,__swift5_assocty",
    "__TEXT,__swift5_mpenum",
    "__TEXT,__swift5_entry",
    "__DATA,__data",
    "__DATA,__const",
    "__DATA,__bss",
    "__DATA,__common",
    "__DATA,__mod_init_func",
    "__DATA,__mod_term_func",
    "__DATA,__interpose",
    "__DATA,__cfstring",
    "__DATA,__literal_ptrs",
    "__DATA,__thread_data",
    "__DATA,__thread_vars",
    "__DATA,__thread_bss",
    "__DATA,__thread_init",
    "__DATA,__datacoal_nt",
    "__DATA,__static_data",
    "__DATA,__la_resolver",
    "__DATA,__llvm_prf_cnts",
    "__DATA,__llvm_prf_data",
    "__DATA,__llvm_prf_names",
    "__DATA,__llvm_prf_bits",
    "__DATA,__llvm_prf_vnds",
    "__DATA,__objc_data",
    "__DATA,__objc_const",
    "__DATA,__objc_ivar",
    "__DATA,__objc_imageinfo",
    "__DATA,__objc_classlist",
    "__DATA,__objc_nlclslist",
    "__DATA,__objc_catlist",
    "__DATA,__objc_nlcatlist",
    "__DATA,__objc_protolist",
    "__DATA,__objc_protorefs",
    "__DATA,__objc_classrefs",
    "__DATA,__objc_superrefs",
    "__DATA,__objc_selrefs",
    "__DATA,__objc_msgrefs",
    "__DATA,__objc_stublist",
    "__DATA_CONST,__const",
    "__DATA_CONST,__cfstring",
    "__DATA_CONST,__objc_imageinfo",
    "__DATA_CONST,__objc_classlist",
    "__DATA_CONST,__objc_catlist",
    "__DATA_CONST,__objc_protolist",
    "__DATA_CONST,__mod_init_func",
];

/// The output section that is the template of thread-local storage.
const TEMPLATE: &str = "__DATA,__thread_data";

impl<'data> MachO<'data> {
    pub(super) fn read_section(&self, header: &'data Section64<LE>) -> Result<Section<'data>, Problem> {
        let (segment, own) = (text(&header.segname)?, text(&header.sectname)?);
        let is = |name: &&str| name.split_once(',') == Some((segment, own));
        let name = NAMES.into_iter().find(is).unwrap_or(own);
        // Read by the linker (compact unwind information), by debuggers, and by a compiler once more.
        let is_ignored = matches!(segment, "__LD" | "__DWARF" | "__LLVM");
        if is_ignored || header.flags.get(LE).contains(macho::S_ATTR_DEBUG) {
            return Ok(Section::new(name, Kind::Ignored));
        }
        let prot = match (segment, is_text(header)) {
            ("__TEXT", false) => Prot::Read,
            ("__DATA" | "__DATA_CONST" | "__DATA_DIRTY", true) => {
                return Err(Problem::Unsupported("a section both writable and executable"));
            }
            // The file would not bound what islands they need.
            (_, true) if is_zeros(header) => return Err(Problem::Malformed("instructions that are zeros")),
            (_, true) => Prot::ReadExec,
            (_, false) => Prot::ReadWrite,
        };
        // <mach-o/loader.h> has no bound; ld64 takes 2^15.
        let align = 1_u64.checked_shl(header.align.get(LE));
        let align = align.ok_or(Problem::Malformed("the alignment is more than 2^63"))?;
        let content = match header.flags.get(LE).typ() {
            _ if is_zeros(header) => Content::Zeros(header.size.get(LE)),
            macho::S_NON_LAZY_SYMBOL_POINTERS
            | macho::S_LAZY_SYMBOL_POINTERS
            | macho::S_SYMBOL_STUBS
            | macho::S_LAZY_DYLIB_SYMBOL_POINTERS
            | macho::S_THREAD_LOCAL_VARIABLE_POINTERS => {
                return Err(Problem::Unsupported("pointers or stubs of the indirect symbol table"));
            }
            macho::S_INIT_FUNC_OFFSETS => {
                return Err(Problem::Unsupported("offsets of initialisers (S_INIT_FUNC_OFFSETS)"));
            }
            SectionType(other) if other > macho::S_INIT_FUNC_OFFSETS.0 => {
                return Err(Problem::Unknown("section type", other.into()));
            }
            _ => Content::Bytes(self.content(header)?),
        };
        let (output, order) = match header.flags.get(LE).typ() {
            macho::S_THREAD_LOCAL_REGULAR => (TEMPLATE, ""),
            macho::S_THREAD_LOCAL_ZEROFILL => (TEMPLATE, "zeros"),
            macho::S_MOD_INIT_FUNC_POINTERS => (".init_array", ""),
            macho::S_MOD_TERM_FUNC_POINTERS => (".fini_array", ""),
            _ => (name, ""),
        };
        Ok(Section { name, output, order, kind: Kind::Loaded { prot, align, content } })
    }

    /// The bytes that the file holds of a section.
    pub(super) fn content(&self, header: &Section64<LE>) -> Result<&'data [u8], Problem> {
        if is_zeros(header) {
            return Ok(&[]);
        }
        let bytes = self.bytes.read_bytes_at(header.offset.get(LE).into(), header.size.get(LE));
        bytes.map_err(|()| Problem::Malformed("the section lies outside the file"))
    }

    /// The relocations of a section.
    pub(super) fn relocations(&self, header: &Section64<LE>) -> Result<&'data [Relocation<LE>], Problem> {
        let table = self.bytes.read_slice_at(header.reloff.get(LE).into(), header.nreloc.get(LE) as usize);
        table.map_err(|()| Problem::Malformed("the relocations lie outside the file"))
    }

    /// What the file holds of the sections is as long as the file at the most: else a small file could hold any number of
    /// relocations.
    pub(super) fn check_overlap(&self) -> Result<(), Problem> {
        let len = |header| {
            let content = self.content(header).map_or(0, <[_]>::len);
            content + self.relocations(header).map_or(0, size_of_val)
        };
        match self.sections.iter().map(len).fold(0, usize::saturating_add) <= self.bytes.len() {
            true => Ok(()),
            false => Err(Problem::Malformed("the sections overlap")),
        }
    }
}

/// Whether a section is of the template of thread-local storage.
pub(super) fn is_template(header: &Section64<LE>) -> bool {
    matches!(header.flags.get(LE).typ(), macho::S_THREAD_LOCAL_REGULAR | macho::S_THREAD_LOCAL_ZEROFILL)
}

/// Whether a section is zeros, which the file does not hold.
fn is_zeros(header: &Section64<LE>) -> bool {
    let kind = header.flags.get(LE).typ();
    matches!(kind, macho::S_ZEROFILL | macho::S_GB_ZEROFILL | macho::S_THREAD_LOCAL_ZEROFILL)
}

/// A name in a field of 16 bytes, zeros behind it.
fn text(field: &[u8; 16]) -> Result<&str, Problem> {
    let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
    core::str::from_utf8(name).map_err(|_| Problem::Malformed("its name is not UTF-8"))
}
