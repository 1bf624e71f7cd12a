//! A plan as an ELF64 executable.

use crate::start;
use crate::symbols::{Relocations, made_symbols, write_relocations, write_symbols};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{PageSize, Prot};
use aarch64_reloc::link::{Object, Plan, Segment};
use aarch64_reloc::patch::{Endian, Section};
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, SectionIndex, Writer};
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
    if let Some((addr, bytes)) = start::relocations(plan) {
        let holds = |(segment, _): &(&Segment, &mut Vec<u8>)| {
            addr.distance_from(segment.addr()).cast_unsigned() < segment.in_file()
        };
        let found = segments.iter().zip(&mut contents).find(holds);
        let (segment, content) = found.ok_or("the relocations of indirect functions are in no segment")?;
        let offset = addr.distance_from(segment.addr()) as usize;
        content[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    Ok(contents)
}
