//! A plan as an ELF64 executable.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{PageSize, Prot};
use aarch64_reloc::link::{Binding, Located, Object, Plan, Symbol};
use aarch64_reloc::patch::Section;
use aarch64_reloc::veneer::Callee;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, SinglePhaseWriter, Sym, Writer};
use std::collections::HashMap;
use std::error::Error;

/// Every AArch64 page size divides it, so that the image can be mapped whatever the system's.
pub const ALIGN: u64 = 0x1_0000;

/// Writes down `plan`: program headers, output sections, and a symbol table with every symbol, local ones too, `NAME@got`
/// for each slot of the GOT and `NAME@plt` for each veneer.
pub fn executable<'data, O: Object<'data>>(
    plan: &mut Plan<'_, 'data, O>,
    entry: Option<Addr>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    check_pages(plan)?;
    let contents = contents(plan)?;
    let plan = &*plan;
    let made = made_symbols(plan);
    let mut file = Vec::new();
    let mut headers = Vec::new();
    let mut writer = Writer::new_single_phase(object::Endianness::Little, true, &mut file);
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::EM_AARCH64,
        e_entry: entry.map_or(0, Addr::get),
        e_flags: elf::FileFlags(0),
    })?;
    // One header more says that the stack is not executable.
    writer.write_program_headers_placeholder(contents.len() as u32 + 1);
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
    let local_count = write_symbols(&mut writer, plan, &made, &number, &kept);
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
                },
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
    writer.write_shstrtab_section_header();
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
fn contents<'data, O: Object<'data>>(plan: &mut Plan<'_, 'data, O>) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
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

/// Writes local symbols, then the linker's, then global ones, and says how many are local.
fn write_symbols<'data: 'w, 'w, O: Object<'data>>(
    writer: &mut SinglePhaseWriter<'w>,
    plan: &Plan<'_, 'data, O>,
    made: &'w [(String, u64, u64, usize)],
    number: &dyn Fn(usize) -> u32,
    kept: &dyn Fn(usize) -> bool,
) -> u32 {
    writer.write_null_symbol();
    let mut count = 1;
    let is_local = |found: &Located<'_>| found.symbol.binding == Binding::Local;
    let write = |writer: &mut SinglePhaseWriter<'w>, name: &'w str, info, addr, size, output: Option<usize>| {
        let id = writer.add_string(name.as_bytes());
        // A symbol of an empty section keeps its address, and nothing else.
        let section = output.filter(|&output| kept(output)).map(number);
        writer.write_symbol(&Sym {
            section,
            st_name: writer.string_offset(Some(id)),
            st_info: info,
            st_other: elf::SymbolOther(0),
            st_shndx: if section.is_some() { elf::SymbolSection(0) } else { elf::SHN_ABS },
            st_value: addr,
            st_size: size,
        });
    };
    for found in plan.symbols().filter(is_local) {
        write(writer, found.symbol.name, info(&found), found.addr.get(), found.symbol.size, found.output);
        count += 1;
    }
    for (name, addr, size, output) in made {
        let kind = if *output == 0 { elf::STT_OBJECT } else { elf::STT_FUNC };
        write(writer, name, elf::SymbolInfo::new(elf::STB_LOCAL, kind), *addr, *size, Some(*output));
        count += 1;
    }
    for found in plan.symbols().filter(|found| !is_local(found)) {
        write(writer, found.symbol.name, info(&found), found.addr.get(), found.symbol.size, found.output);
    }
    count
}

fn info(found: &Located<'_>) -> elf::SymbolInfo {
    let binding = match found.symbol.binding {
        Binding::Local => elf::STB_LOCAL,
        Binding::Global => elf::STB_GLOBAL,
        Binding::Weak => elf::STB_WEAK,
    };
    let kind = match found.symbol {
        Symbol { function: true, .. } => elf::STT_FUNC,
        Symbol { size: 0, .. } => elf::STT_NOTYPE,
        _ => elf::STT_OBJECT,
    };
    elf::SymbolInfo::new(binding, kind)
}
