//! A plan as an ELF64 executable.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{PageSize, Prot};
use aarch64_reloc::link::{Binding, Emitted, Located, Object, Output, Plan, Symbol};
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::veneer::Callee;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, Rel, SectionHeader, SectionIndex, SinglePhaseWriter, Sym, Writer};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;

/// Every AArch64 page size divides it, so that the image can be mapped whatever the system's.
pub const ALIGN: u64 = 0x1_0000;

/// Writes down `plan`: program headers, output sections, and a symbol table with every symbol, local ones too, `NAME@got`
/// for each slot of the GOT and `NAME@plt` for each veneer; with `keep`, the relocations too, their places as addresses.
pub fn executable<'data, O: Object<'data>>(
    plan: &Plan<'_, 'data, O>,
    entry: Option<Addr>,
    keep: bool,
) -> Result<Vec<u8>, Box<dyn Error>> {
    check_pages(plan)?;
    let contents = contents(plan)?;
    let plan = &*plan;
    let made = made_symbols(plan);
    let mut file = Vec::new();
    let mut headers = Vec::new();
    let endian = match plan.endian() {
        Endian::Little => object::Endianness::Little,
        Endian::Big => object::Endianness::Big,
    };
    let mut writer = Writer::new_single_phase(endian, true, &mut file);
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::EM_AARCH64,
        e_entry: entry.map_or(0, Addr::get),
        e_flags: elf::FileFlags(0),
    })?;
    // One header more says that the stack is not executable, and one what thread-local storage begins as.
    let template = plan.template();
    writer.write_program_headers_placeholder(contents.len() as u32 + 1 + u32::from(template.is_some()));
    let mut programs = Vec::new();
    for (segment, bytes) in plan.segments().iter().zip(&contents) {
        let addr = segment.addr().get();
        // The file's pages are mapped as they are: offset and address agree below a page.
        let offset = writer.offset().next_multiple_of(ALIGN) + addr % ALIGN;
        writer.pad_until(offset);
        writer.write(bytes);
        programs.push(ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: match segment.prot() {
                Prot::Read => elf::PF_R,
                Prot::ReadWrite => elf::PF_R | elf::PF_W,
                Prot::ReadExec => elf::PF_R | elf::PF_X,
            },
            p_offset: offset,
            p_vaddr: addr,
            p_paddr: addr,
            p_filesz: bytes.len() as u64,
            p_memsz: segment.size(),
            p_align: ALIGN,
        });
    }
    if let Some(template) = template {
        let addr = template.addr.get();
        let holds = |program: &&ProgramHeader| addr.wrapping_sub(program.p_vaddr) <= program.p_memsz;
        let program = programs.iter().find(holds).ok_or("thread-local storage is in no segment")?;
        programs.push(ProgramHeader {
            p_type: elf::PT_TLS,
            p_flags: elf::PF_R,
            p_offset: program.p_offset + (addr - program.p_vaddr),
            p_vaddr: addr,
            p_paddr: addr,
            p_filesz: template.in_file,
            p_memsz: template.size,
            p_align: template.align,
        });
    }
    programs.push(ProgramHeader {
        p_type: elf::PT_GNU_STACK,
        p_flags: elf::PF_R | elf::PF_W,
        p_offset: 0,
        p_vaddr: 0,
        p_paddr: 0,
        p_filesz: 0,
        p_memsz: 0,
        p_align: 16,
    });

    // Sections of no size have no header: an index in the plan is not one in the file.
    let kept = |index: usize| plan.outputs().get(index).is_some_and(|output| output.size() > 0);
    let mut count = 0;
    let numbers = (0..plan.outputs().len()).map(|index| {
        count += u32::from(kept(index));
        count
    });
    let numbers: Vec<u32> = numbers.collect();
    let number = |index: usize| numbers[index];
    let names: Vec<StringId> =
        plan.outputs().iter().map(|output| writer.add_section_name(output.name().as_bytes())).collect();
    let relocations = if keep { Relocations::of(plan) } else { Relocations::default() };
    let (local_count, indices) = write_symbols(&mut writer, plan, &made, &relocations.symbols, &number, &kept);
    let relocation_names: Vec<String> =
        relocations.tables.keys().map(|&output| format!(".rela{}", plan.outputs()[output].name())).collect();
    let tables: Vec<_> = relocations.tables.iter().zip(&relocation_names).collect();
    let tables: Vec<_> = tables
        .into_iter()
        .map(|((output, table), name)| {
            let name = writer.add_section_name(name.as_bytes());
            (name, *output, write_relocations(&mut writer, table, &indices), table.len())
        })
        .collect();
    writer.write_strtab()?;
    writer.write_shstrtab()?;
    writer.write_null_section_header();
    for (index, output) in plan.outputs().iter().enumerate().filter(|&(index, _)| kept(index)) {
        let Some(program) = output.segment().and_then(|segment| programs.get(segment)) else { continue };
        writer.write_section_header(&SectionHeader {
            sh_name: writer.section_name_offset(Some(names[index])),
            sh_type: if output.is_zeros() { elf::SHT_NOBITS } else { elf::SHT_PROGBITS },
            sh_flags: elf::SHF_ALLOC
                | match output.prot() {
                    Prot::Read => elf::SectionFlags(0),
                    Prot::ReadWrite => elf::SHF_WRITE,
                    Prot::ReadExec => elf::SHF_EXECINSTR,
                }
                | if output.is_thread_local() { elf::SHF_TLS } else { elf::SectionFlags(0) },
            sh_addr: output.addr().get(),
            sh_offset: program.p_offset + (output.addr().get() - program.p_vaddr),
            sh_size: output.size(),
            sh_link: 0,
            sh_info: 0,
            sh_addralign: output.align(),
            sh_entsize: 0,
        });
    }
    // The header of the symbols refers to that of their names.
    writer.write_strtab_section_header();
    writer.write_symtab_section_header(local_count);
    // After the null section and the output sections, and behind the names of symbols.
    let symtab = SectionIndex(count + 2);
    writer.write_shstrtab_section_header();
    for (name, output, offset, len) in tables {
        writer.write_relocation_section_header(name, SectionIndex(number(output)), symtab, offset, len, true);
    }
    // The gABI wants segments in the order of their addresses.
    programs.sort_by_key(|program| (program.p_type != elf::PT_LOAD, program.p_vaddr));
    writer.write_headers_to(&mut headers, &programs)?;
    file[..headers.len()].copy_from_slice(&headers);
    Ok(file)
}

/// Refuses what cannot be mapped: a loader maps whole pages, each for one segment, and none beyond the last address.
fn check_pages<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Result<(), String> {
    let page = PageSize::K4.bytes();
    let mut outputs: Vec<_> = plan.outputs().iter().filter(|output| output.size() > 0).collect();
    outputs.sort_by_key(|output| output.addr());
    for output in &outputs {
        let end = output.addr().get().checked_add(output.size()).and_then(|end| end.checked_next_multiple_of(page));
        end.ok_or_else(|| format!("{} at {}: the address space ends within its pages", output.name(), output.addr()))?;
    }
    for pair in outputs.windows(2) {
        let [one, other] = pair else { continue };
        let shared = other.addr().page();
        if one.segment() != other.segment() && one.addr().get() + one.size() > shared.get() {
            return Err(format!(
                "{} and {} are segments of their own, and share the page at {shared}",
                one.name(),
                other.name()
            ));
        }
    }
    Ok(())
}

/// The bytes of each segment, without the zeros at its end.
fn contents<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let segments = plan.segments().to_vec();
    let mut contents: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0; segment.in_file() as usize]).collect();
    let sections = contents.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    plan.commit(&mut sections.collect::<Vec<_>>())?;
    Ok(contents)
}

/// Symbols of the linker: name, address, size, output section.
fn made_symbols<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Vec<(String, u64, u64, usize)> {
    let names: HashMap<Addr, &str> = plan.symbols().map(|found| (found.addr, found.symbol.name)).collect();
    let slots = plan.slots().map(|(name, addr)| (format!("{name}@got"), addr.get(), 8, 0));
    let veneers = plan.occupants().filter_map(|(output, occupant, name)| {
        let veneer = occupant.veneer()?;
        let name = match veneer.callee() {
            Callee::Addr(addr) => names.get(&addr).unwrap_or(&name),
            Callee::Slot(_) => name,
        };
        Some((format!("{name}@plt"), veneer.addr().get(), veneer.size() as u64, output))
    });
    slots.chain(veneers).collect()
}

/// A symbol as relocations know it: its name, and its address if something defines it.
type Key<'data> = (&'data str, Option<Addr>);

/// The relocations to be kept.
#[derive(Default)]
struct Relocations<'data> {
    /// By the output section that they are for.
    tables: BTreeMap<usize, Vec<Emitted<'data>>>,
    /// The symbols that they want besides those of the plan: the starts of input sections, the bases of the GOT, and what
    /// nothing defines.
    symbols: BTreeSet<Key<'data>>,
}

impl<'data> Relocations<'data> {
    fn of<O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Self {
        let named: HashSet<Key<'_>> = plan.symbols().map(|found| (found.symbol.name, Some(found.addr))).collect();
        let mut relocations = Self::default();
        plan.for_each_emitted(|emitted| {
            relocations.tables.entry(emitted.output).or_default().push(emitted);
            let key = (emitted.symbol, emitted.addr);
            if key != ("", None) && !named.contains(&key) {
                relocations.symbols.insert(key);
            }
        });
        relocations
    }
}

/// Writes a table of relocations, and says where it begins.
fn write_relocations(
    writer: &mut SinglePhaseWriter<'_>,
    table: &[Emitted<'_>],
    indices: &HashMap<Key<'_>, u32>,
) -> u64 {
    let offset = writer.write_align_relocation();
    for emitted in table {
        let relocation = Rel {
            r_offset: emitted.place.get(),
            // The null symbol is of no section, either.
            r_sym: indices.get(&(emitted.symbol, emitted.addr)).copied().unwrap_or(0),
            r_type: elf::RelocationType(emitted.reloc.code()),
            r_addend: emitted.addend,
        };
        writer.write_relocation(true, &relocation);
    }
    offset
}

/// Writes local symbols, then the linker's and those that relocations `want`, then global ones. Says how many are local, and
/// which has which index.
fn write_symbols<'data: 'w, 'w, O: Object<'data>>(
    writer: &mut SinglePhaseWriter<'w>,
    plan: &Plan<'_, 'data, O>,
    made: &'w [(String, u64, u64, usize)],
    want: &BTreeSet<Key<'data>>,
    number: &dyn Fn(usize) -> u32,
    kept: &dyn Fn(usize) -> bool,
) -> (u32, HashMap<Key<'data>, u32>) {
    writer.write_null_symbol();
    let mut indices = HashMap::new();
    let mut count = 1;
    let is_local = |found: &Located<'_>| found.symbol.binding == Binding::Local;
    let write = |writer: &mut SinglePhaseWriter<'w>, name: &'w str, info, addr, size, output: Option<usize>| {
        let id = Some(name).filter(|name| !name.is_empty()).map(|name| writer.add_string(name.as_bytes()));
        // A symbol of an empty section keeps its address, and nothing else.
        let section = output.filter(|&output| kept(output)).map(number);
        writer.write_symbol(&Sym {
            section,
            st_name: writer.string_offset(id),
            st_info: info,
            st_other: elf::SymbolOther(0),
            st_shndx: if section.is_some() { elf::SymbolSection(0) } else { elf::SHN_ABS },
            st_value: addr,
            st_size: size,
        })
    };
    let located = |writer: &mut SinglePhaseWriter<'w>, indices: &mut HashMap<_, _>, found: &Located<'data>| {
        let is_thread_local = found.output.is_some_and(|output| plan.outputs()[output].is_thread_local());
        let (info, value) = match plan.template().filter(|_| is_thread_local) {
            // Its value is an offset (gABI, "Symbol Values").
            Some(template) => {
                (info(found, Some(elf::STT_TLS)), found.addr.distance_from(template.addr).cast_unsigned())
            }
            None => (info(found, None), found.addr.get()),
        };
        let index = write(writer, found.symbol.name, info, value, found.symbol.size, found.output);
        indices.insert((found.symbol.name, Some(found.addr)), index.0);
    };
    for found in plan.symbols().filter(is_local) {
        located(writer, &mut indices, &found);
        count += 1;
    }
    for (name, addr, size, output) in made {
        let kind = if *output == 0 { elf::STT_OBJECT } else { elf::STT_FUNC };
        write(writer, name, elf::SymbolInfo::new(elf::STB_LOCAL, kind), *addr, *size, Some(*output));
        count += 1;
    }
    let nothing = elf::SymbolInfo::new(elf::STB_LOCAL, elf::STT_NOTYPE);
    for &(name, addr) in want {
        let Some(addr) = addr else { continue };
        let holds = |output: &Output<'_>| addr.distance_from(output.addr()).cast_unsigned() < output.size();
        let index = write(writer, name, nothing, addr.get(), 0, plan.outputs().iter().position(holds));
        indices.insert((name, Some(addr)), index.0);
        count += 1;
    }
    for found in plan.symbols().filter(|found| !is_local(found)) {
        located(writer, &mut indices, &found);
    }
    for &(name, addr) in want.iter().filter(|(_, addr)| addr.is_none()) {
        let id = writer.add_string(name.as_bytes());
        let index = writer.write_symbol(&Sym {
            section: None,
            st_name: writer.string_offset(Some(id)),
            st_info: elf::SymbolInfo::new(elf::STB_WEAK, elf::STT_NOTYPE),
            st_other: elf::SymbolOther(0),
            st_shndx: elf::SHN_UNDEF,
            st_value: 0,
            st_size: 0,
        });
        indices.insert((name, addr), index.0);
    }
    (count, indices)
}

fn info(found: &Located<'_>, kind: Option<elf::SymbolType>) -> elf::SymbolInfo {
    let binding = match found.symbol.binding {
        Binding::Local => elf::STB_LOCAL,
        Binding::Global => elf::STB_GLOBAL,
        Binding::Weak => elf::STB_WEAK,
    };
    let kind = kind.unwrap_or(match found.symbol {
        Symbol { function: true, .. } => elf::STT_FUNC,
        Symbol { size: 0, .. } => elf::STT_NOTYPE,
        _ => elf::STT_OBJECT,
    });
    elf::SymbolInfo::new(binding, kind)
}
