//! A build with feature `link` and without `full` links what needs no more as one with all features does, byte for byte, and
//! refuses what it leaves out by its name.
#![cfg(feature = "link")]

#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Failure, Input, Needs, Object, Options, Plan, Request, Tables, each, measure};
use aarch64_reloc::patch::Section;
use std::fmt::Write;

/// Tables without feature `std`, which live as long as the test.
fn tables<'t, 'data>(needs: Needs) -> Tables<'t, 'data> {
    fn lend<'t, T: Clone + Default>(len: usize) -> &'t mut [T] {
        vec![T::default(); len].leak()
    }
    Tables {
        objects: lend(needs.objects),
        sections: lend(needs.sections),
        symbols: lend(needs.symbols),
        names: lend(needs.names),
        output_names: lend(needs.output_names),
        groups: lend(needs.groups),
        ordered: lend(needs.ordered),
        outputs: lend(needs.outputs),
        segments: lend(needs.segments),
        slots: lend(needs.slots),
        islands: lend(needs.islands),
        veneers: lend(needs.veneers),
        fixups: lend(needs.fixups),
    }
}

/// How far the segments lie from each other, and from what no object defines.
const GAPS: [u64; 3] = [0, 1 << 30, 1 << 40];

/// The segments of `files`, linked with `gap` bytes between any two, each with its address; or what is wrong with them.
fn link(files: &[&[u8]], options: &Options<'_, '_>, gap: u64) -> Result<Vec<(Addr, Vec<u8>)>, String> {
    let mut inputs = Vec::new();
    for (bytes, name) in files.iter().zip(["one.o", "two.o"]) {
        inputs.push(Input { name, object: Elf::parse(bytes).map_err(|error| format!("{name}: {error}\n"))? });
    }
    link_inputs(&inputs, options, gap)
}

fn link_inputs<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    options: &Options<'_, 'data>,
    gap: u64,
) -> Result<Vec<(Addr, Vec<u8>)>, String> {
    let mut next = Addr::new(0x40_0000);
    let place = |request: &Request| {
        let addr = next.align_up(request.align.max(1 << 16));
        next = addr.plus((request.size + gap) as i64);
        Ok::<_, ()>(addr)
    };
    let mut outside = 0x7fff_0000_0000_u64.min(0x1000_0000 + 4 * gap);
    let resolve = &mut |_: &str| {
        outside += 64;
        Some(Addr::new(outside))
    };
    let mut lines = String::new();
    let report = &mut |failure: &Failure<'_>| writeln!(lines, "{failure}").unwrap();
    let plan = Plan::new(inputs, options, tables(measure(inputs, options.pins.len())), resolve, each(place), report);
    let Ok(plan) = plan else { return Err(lines) };
    let mut image: Vec<_> = plan.segments().iter().map(|part| (part.addr(), vec![0; part.size() as usize])).collect();
    plan.commit(&mut image.iter_mut().map(|(addr, bytes)| Section::new(bytes, *addr)).collect::<Vec<_>>()).unwrap();
    Ok(image)
}

/// FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn ordinary_objects_are_linked_to_the_same_bytes_by_every_build() {
    let (mut lines, mut detours) = (String::new(), 0);
    for variant in objects::VARIANTS {
        for names in [&["hello"][..], &["main", "shapes"]] {
            let files: Vec<_> = names.iter().map(|name| objects::read(&format!("{name}-{variant}.o"))).collect();
            let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            for gap in GAPS {
                write!(lines, "{}-{variant} {gap:#x}:", names.join("+")).unwrap();
                match link(&files, &Options::default(), gap) {
                    Ok(image) => image.into_iter().for_each(|(addr, bytes)| {
                        write!(lines, " {addr} {:#x} {:016x}", bytes.len(), hash(bytes)).unwrap();
                    }),
                    Err(text) if gap > 0 && text.contains("detours: not in this build") => {
                        detours += 1;
                        lines.push_str(" detours");
                    }
                    // Frames do not reach.
                    Err(text) => {
                        write!(lines, " {} failures {:016x}", text.lines().count(), hash(text.bytes())).unwrap()
                    }
                }
                lines.push('\n');
            }
        }
    }
    let expected = include_str!("lean/images.txt");
    let is_same = |(line, expected): (&str, &str)| line == expected || line.ends_with(": detours");
    let are_same =
        lines.lines().count() == expected.lines().count() && lines.lines().zip(expected.lines()).all(is_same);
    assert!(are_same, "so it should be:\n{lines}");
    // What lies more than 4 GiB apart wants them.
    assert_eq!(detours, if cfg!(feature = "full") { 0 } else { 18 });
}

#[cfg(not(feature = "full"))]
mod refused {
    use super::*;
    use aarch64_reloc::link::{self, ObjectError, Origin, Pin, Policy, Section, Tags};
    use aarch64_reloc::patch::Endian;
    use aarch64_reloc::reloc::Reloc;
    use object::elf;
    use object::write::{self, Comdat, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
    use object::{
        Architecture, BinaryFormat, ComdatKind, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
        SymbolScope,
    };

    /// An object to be, with a function in `.text`.
    struct Made {
        object: write::Object<'static>,
        text: SectionId,
    }

    impl Made {
        fn new(endianness: Endianness) -> Self {
            let mut object = write::Object::new(BinaryFormat::Elf, Architecture::Aarch64, endianness);
            let text = object.add_section(vec![], b".text".to_vec(), SectionKind::Text);
            object.append_section_data(text, &[0; 16], 16);
            let mut made = Self { object, text };
            made.symbol("main", SymbolSection::Section(text), SymbolFlags::None);
            made
        }

        fn symbol(&mut self, name: &str, section: SymbolSection, flags: SymbolFlags<SectionId, SymbolId>) -> SymbolId {
            self.object.add_symbol(Symbol {
                name: name.into(),
                value: 0,
                size: 16,
                kind: SymbolKind::Text,
                scope: SymbolScope::Dynamic,
                weak: false,
                section,
                flags,
            })
        }

        /// A relocation to something outside.
        fn relocation(mut self, reloc: Reloc) -> Self {
            let symbol = self.symbol("outside", SymbolSection::Undefined, SymbolFlags::None);
            let flags = RelocationFlags::Elf { r_type: elf::RelocationType(reloc.code()) };
            self.object.add_relocation(self.text, Relocation { offset: 0, symbol, addend: 0, flags }).unwrap();
            self
        }

        fn section(mut self, name: &str, kind: SectionKind) -> Self {
            let section = self.object.add_section(vec![], name.into(), kind);
            self.object.append_section_data(section, &[0; 8], 8);
            self
        }

        fn bytes(&self) -> Vec<u8> {
            self.object.write().unwrap()
        }
    }

    fn made() -> Made {
        Made::new(Endianness::Little)
    }

    /// What is said of an object, but not of which part of it.
    #[track_caller]
    fn refuses(part: &str, bytes: &[u8], options: &Options<'_, '_>) {
        let lines = link(&[bytes], options, 0).expect_err(part);
        assert!(lines.lines().all(|line| line.contains(part)), "{part}:\n{lines}");
        assert!(lines.contains(&format!("{part}: not in this build (feature `full`)")), "{part}:\n{lines}");
    }

    #[track_caller]
    fn refuses_object(part: &str, made: &Made) {
        refuses(part, &made.bytes(), &Options::default());
    }

    #[test]
    fn what_is_made_here_is_linked_without_them() {
        link(&[&made().relocation(Reloc::ABS64).bytes()], &Options::default(), 0).unwrap();
        link(&[&made().section(".init_array", SectionKind::Data).bytes()], &Options::default(), 0).unwrap();
        link(&[&made().section(".init_array.early", SectionKind::Data).bytes()], &Options::default(), 0).unwrap();
    }

    #[test]
    fn kinds_of_files_and_sections() {
        refuses_object("big-endian data", &Made::new(Endianness::Big));
        refuses_object("thread-local storage", &made().section(".tdata", SectionKind::Tls));
        refuses_object("sections in an order of their own", &made().section(".init_array.00101", SectionKind::Data));
        let mut grouped = made();
        let symbol = grouped.symbol("key", SymbolSection::Section(grouped.text), SymbolFlags::None);
        let sections = vec![grouped.text];
        grouped.object.add_comdat(Comdat { kind: ComdatKind::Any, symbol, sections });
        refuses_object("section groups (COMDAT)", &grouped);
    }

    #[test]
    fn tables_of_relocations() {
        let bytes = made().relocation(Reloc::ABS64).bytes();
        let headers = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
        let count = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
        let of = (0..count).map(|index| headers + 64 * index + 4);
        let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let at = of.into_iter().find(|&at| kind(at) == elf::SHT_RELA.0).unwrap();
        for (kind, part) in
            [(elf::SHT_REL.0, "relocations without addends (REL)"), (0x4000_0014, "compressed relocations (CREL)")]
        {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            refuses(part, &bytes, &Options::default());
        }
    }

    #[test]
    fn symbols_and_relocations() {
        let mut indirect = made();
        let flags = SymbolFlags::Elf {
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_GNU_IFUNC),
            st_other: elf::SymbolOther(0),
        };
        indirect.symbol("any", SymbolSection::Section(indirect.text), flags);
        refuses_object("indirect functions", &indirect);
        refuses_object("indirect functions", &made().relocation(Reloc::FUNCINIT64));
        for reloc in Reloc::ALL.iter().filter(|reloc| reloc.name().contains("_TLS")) {
            // Those of signed pointers are refused by every build.
            let is_signed = reloc.name().contains("_AUTH_");
            let part = if is_signed { continue } else { "thread-local storage" };
            refuses_object(part, &made().relocation(*reloc));
        }
        for reloc in [Reloc::LD64_GOTPAGE_LO15, Reloc::LD64_GOTOFF_LO15] {
            refuses_object("slots near a base of the GOT (-fpic)", &made().relocation(reloc));
        }
    }

    /// The object of a format that measures from elsewhere.
    struct Measured<'data>(Elf<'data>, Origin);

    impl<'data> Object<'data> for Measured<'data> {
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
        fn symbol(&self, index: usize) -> Result<link::Symbol<'data>, ObjectError> {
            self.0.symbol(index)
        }
        fn relocation(&self, section: usize, index: usize) -> Result<link::Relocation, ObjectError> {
            Ok(link::Relocation { origin: self.1, ..self.0.relocation(section, index)? })
        }
        fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
            self.0.member(section, index)
        }
    }

    #[test]
    fn distances_from_elsewhere() {
        let bytes = made().relocation(Reloc::ABS64).bytes();
        let link = |origin| {
            let object = Measured(Elf::parse(&bytes).unwrap(), origin);
            link_inputs(&[Input { name: "one.o", object }], &Options::default(), 0)
        };
        link(Origin::Zero).unwrap();
        for origin in [Origin::Symbol(0), Origin::Section, Origin::Image, Origin::Number] {
            let lines = link(origin).unwrap_err();
            assert!(
                lines.contains("distances from sections and symbols: not in this build (feature `full`)"),
                "{lines}"
            );
        }
    }

    #[test]
    fn names() {
        // What is not ASCII is looked through in little room, or quickly: then it is read.
        let names = [("main@@V2", "names with versions"), ("größe", "names that are not ASCII")];
        for (name, part) in names.into_iter().take(if cfg!(feature = "fast") { 1 } else { 2 }) {
            let mut named = made();
            named.symbol(name, SymbolSection::Section(named.text), SymbolFlags::None);
            refuses_object(part, &named);
        }
    }

    #[test]
    fn sections_beyond_sixteen_bits() {
        let part = "sections that 16 bits cannot number";
        let mut bytes = made().bytes();
        bytes[60..62].fill(0);
        refuses(part, &bytes, &Options::default());
        // The last symbol's section.
        let mut bytes = made().bytes();
        let headers = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
        let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let kind = |bytes: &[u8], index: usize| bytes[headers + 64 * index + 4];
        let symtab = (0..).find(|&index| u32::from(kind(&bytes, index)) == elf::SHT_SYMTAB.0).unwrap();
        let header = headers + 64 * symtab;
        let end = word(&bytes, header + 24) + word(&bytes, header + 32);
        bytes[end - 18..end - 16].fill(0xff);
        refuses(part, &bytes, &Options::default());
    }

    #[test]
    fn islands_and_detours() {
        for reloc in [Reloc::CONDBR19, Reloc::TSTBR14] {
            refuses_object("several islands of veneers", &made().relocation(reloc));
        }
        for (reloc, word) in [
            (Reloc::ADR_PREL_LO21, 0x1000_0000_u32),
            (Reloc::ADR_PREL_PG_HI21, 0x9000_0000),
            (Reloc::LD_PREL_LO19, 0x5800_0000),
        ] {
            let mut far = made().relocation(reloc);
            let text = far.text;
            far.object.section_mut(text).data_mut()[..4].copy_from_slice(&word.to_le_bytes());
            let lines = link(&[&far.bytes()], &Options::default(), 1 << 40).unwrap_err();
            assert!(lines.contains("detours: not in this build (feature `full`)"), "{lines}");
        }
        let mut long = made();
        let section = long.object.add_section(vec![], b".text.zeros".to_vec(), SectionKind::UninitializedData);
        let sh_flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
        long.object.section_mut(section).flags = object::SectionFlags::Elf { sh_type: elf::SHT_NOBITS, sh_flags };
        long.object.append_section_bss(section, 101 << 20, 4);
        refuses_object("several islands of veneers", &long);
    }

    #[test]
    fn options() {
        let refuses = |part: &str, options: &Options<'_, '_>| refuses(part, &made().bytes(), options);
        let pins = [Pin { section: ".text", addr: Addr::new(0x5000_0000) }];
        refuses("sections at given addresses", &Options { pins: &pins, ..Options::default() });
        refuses("sections that run where they lie", &Options { in_place: Some(0), ..Options::default() });
        let policy = Policy { landing_pads: true, ..Policy::default() };
        refuses("landing pads for veneers", &Options { policy, ..Options::default() });
        for policy in [Policy { veneers: false, ..Policy::ALL }, Policy { scratch: false, ..Policy::ALL }] {
            refuses("calls without veneers, or without x16", &Options { policy, ..Options::default() });
        }
        let policy = Policy { execute_only: true, ..Policy::default() };
        refuses("text that is not to be read", &Options { policy, ..Options::default() });
        for tags in [Tags::Strip, Tags::Refuse] {
            let policy = Policy { tags, ..Policy::default() };
            refuses("tagged addresses that are not kept", &Options { policy, ..Options::default() });
        }
        let policy = Policy { erratum_843419: true, ..Policy::default() };
        refuses("erratum 843419", &Options { policy, ..Options::default() });
    }
}
