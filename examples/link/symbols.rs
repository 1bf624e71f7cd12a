//! The symbols of an executable, and the relocations that it keeps.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::link::{Binding, Emitted, Located, Object, Output, Plan, Symbol};
use aarch64_reloc::veneer::Callee;
use object::elf;
use object::write::elf::{Rel, SinglePhaseWriter, Sym};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Symbols of the linker: name, address, size, output section.
pub fn made_symbols<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Vec<(String, u64, u64, usize)> {
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
pub type Key<'data> = (&'data str, Option<Addr>);

/// The relocations to be kept.
#[derive(Default)]
pub struct Relocations<'data> {
    /// By the output section that they are for.
    pub tables: BTreeMap<usize, Vec<Emitted<'data>>>,
    /// The symbols that they want besides those of the plan: the starts of input sections, the bases of the GOT, and what
    /// nothing defines.
    pub symbols: BTreeSet<Key<'data>>,
}

impl<'data> Relocations<'data> {
    pub fn of<O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Self {
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
pub fn write_relocations(
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
pub fn write_symbols<'data: 'w, 'w, O: Object<'data>>(
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
