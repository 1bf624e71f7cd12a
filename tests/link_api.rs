//! The linker through its API, on objects made up in memory: every cause of failure, and the ways to a far target.

#![cfg(all(feature = "std", feature = "link"))]

#[path = "common/needs.rs"]
mod needs;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::insn::{self, Hw, Reg};
use aarch64_reloc::link::{
    Alike, Binding, Cause, CommitError, Content, Definition, Failure, Input, Kind, Needs, Object, ObjectError, Options,
    Origin, Part, Pin, Plan, Policy, Problem, Refused, Relocation, Request, Rungs, Section, Storage, Symbol, Tables,
    each, measure,
};
use aarch64_reloc::patch::{self, Endian};
use aarch64_reloc::reloc::Reloc;
use core::convert::Infallible;
use std::cell::Cell;

/// An object made up of what is added to it. The relocations of each section follow the sections.
#[derive(Debug, Default)]
struct Made {
    sections: Vec<Section<'static>>,
    symbols: Vec<Symbol<'static>>,
    relocations: Vec<(usize, Vec<Relocation>)>,
    members: Vec<usize>,
    /// Parts that cannot be read.
    broken: Vec<Part>,
}

impl Made {
    fn add(&mut self, name: &'static str, prot: Prot, content: Content<'static>) -> usize {
        self.loaded(name, prot, 8, content)
    }

    fn loaded(&mut self, name: &'static str, prot: Prot, align: u64, content: Content<'static>) -> usize {
        self.sections.push(Section::new(name, Kind::Loaded { prot, align, content }));
        self.sections.len() - 1
    }

    /// A section of these instructions.
    fn text(&mut self, words: &[u32]) -> usize {
        self.named_text(".text", words)
    }

    fn named_text(&mut self, name: &'static str, words: &[u32]) -> usize {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        self.add(name, Prot::ReadExec, Content::Bytes(bytes.leak()))
    }

    fn named(&mut self, name: &'static str, binding: Binding, definition: Definition) -> usize {
        self.symbols.push(Symbol { name, definition, binding, hidden: false, function: false, size: 0 });
        self.symbols.len() - 1
    }

    fn wants(&mut self, name: &'static str) -> usize {
        self.named(name, Binding::Global, Definition::Undefined)
    }

    /// A function at the start of a section.
    fn function(&mut self, name: &'static str, index: usize) -> usize {
        let symbol = self.named(name, Binding::Global, Definition::Section { index, offset: 0 });
        self.symbols[symbol].function = true;
        symbol
    }

    fn relocate(&mut self, of: usize, offset: u64, reloc: Reloc, symbol: usize, addend: i64) {
        if !self.relocations.iter().any(|(section, _)| *section == of) {
            self.relocations.push((of, Vec::new()));
        }
        let table = self.relocations.iter_mut().find(|(section, _)| *section == of);
        table.unwrap().1.push(Relocation { offset, reloc, symbol, addend, origin: Origin::Zero });
    }

    fn check(&self, part: Part) -> Result<(), ObjectError> {
        match self.broken.contains(&part) {
            true => Err(part.error(Problem::Malformed("on purpose"))),
            false => Ok(()),
        }
    }
}

impl Object<'static> for Made {
    fn endian(&self) -> Endian {
        Endian::Little
    }

    fn section_count(&self) -> usize {
        self.sections.len() + self.relocations.len()
    }

    fn section(&self, index: usize) -> Result<Section<'static>, ObjectError> {
        self.check(Part::Section(index))?;
        if let Some(section) = self.sections.get(index) {
            return Ok(*section);
        }
        let table = self.relocations.get(index - self.sections.len());
        let (of, relocations) = table.ok_or(Part::Section(index).error(Problem::Index))?;
        Ok(Section::new(".rela", Kind::Relocations { of: *of, count: relocations.len() }))
    }

    fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'static>, ObjectError> {
        self.check(Part::Symbol(index))?;
        self.symbols.get(index).copied().ok_or(Part::Symbol(index).error(Problem::Index))
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.check(Part::Relocation(section, index))?;
        let table = section.checked_sub(self.sections.len()).and_then(|table| self.relocations.get(table));
        let found = table.and_then(|(_, relocations)| relocations.get(index)).copied();
        found.ok_or(Part::Relocation(section, index).error(Problem::Index))
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        self.members.get(index).copied().ok_or(Part::Section(section).error(Problem::Index))
    }
}

const NAMES: [&str; 3] = ["one.o", "two.o", "three.o"];
const TEXT: u64 = 0x40_0000;
/// Where read-only and writable segments go; in reach of ADRP.
const READ: u64 = 0x50_0000;
const WRITE: u64 = 0x60_0000;

/// A change to the tables that a plan is lent.
type Change = fn(&mut Tables<'_, 'static>);

/// How a link is done.
struct Setup<'a> {
    pins: &'a [(&'static str, u64)],
    /// Where segments go, by protection: executable, read-only, writable.
    at: [u64; 3],
    /// What the resolver knows.
    known: &'a [(&'a str, u64)],
    policy: Policy,
    /// Changes the tables before they are lent.
    shorten: Change,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { pins: &[], at: [TEXT, READ, WRITE], known: &[], policy: Policy::ALL, shorten: |_| {} }
    }
}

/// An image: the bytes of each segment at its address.
#[derive(Debug)]
struct Image {
    segments: Vec<(u64, Vec<u8>)>,
    slots: usize,
    veneers: usize,
    rungs: Rungs,
    symbols: Vec<(String, u64)>,
}

impl Image {
    fn bytes(&self, addr: u64) -> &[u8] {
        let found = self.segments.iter().find(|(start, bytes)| addr.wrapping_sub(*start) < bytes.len() as u64);
        let (start, bytes) = found.unwrap_or_else(|| panic!("nothing at {addr:#x}"));
        &bytes[(addr - start) as usize..]
    }

    fn word(&self, addr: u64) -> u32 {
        u32::from_le_bytes(*self.bytes(addr).first_chunk().unwrap())
    }

    fn long(&self, addr: u64) -> u64 {
        u64::from_le_bytes(*self.bytes(addr).first_chunk().unwrap())
    }

    /// Where the B or BL at `addr` goes.
    fn target(&self, addr: u64) -> u64 {
        let word = self.word(addr);
        assert_eq!(word & 0x7c00_0000, 0x1400_0000, "{word:#x} at {addr:#x} is no branch");
        addr.wrapping_add_signed(i64::from((word << 6).cast_signed() >> 4))
    }

    fn symbol(&self, name: &str) -> u64 {
        self.symbols.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

thread_local! {
    /// The tables of the link before.
    static KEPT: Cell<Storage<'static>> = Cell::default();
}

/// Plans a link: the image, or every line that was reported, with its cause.
fn link(objects: Vec<Made>, setup: &Setup<'_>) -> Result<Image, Vec<(String, String)>> {
    let inputs: Vec<_> = NAMES.into_iter().zip(objects).map(|(name, object)| Input { name, object }).collect();
    let pins: Vec<_> = setup.pins.iter().map(|&(section, addr)| Pin { section, addr: Addr::new(addr) }).collect();
    let mut storage = KEPT.take().fit(needs::most(&inputs, pins.len()));
    let mut tables = storage.lend();
    (setup.shorten)(&mut tables);
    let mut resolve = |name: &str| setup.known.iter().find(|(known, _)| *known == name).map(|(_, at)| Addr::new(*at));
    let place = |request: &Request| {
        let at = match request.prot {
            Prot::ReadExec => setup.at[0],
            Prot::Read => setup.at[1],
            Prot::ReadWrite => setup.at[2],
        };
        Ok::<_, &str>(Addr::new(at))
    };
    let mut failures = Vec::new();
    let report = &mut |failure: &Failure<'_>| {
        let cause = format!("{:?}", failure.cause);
        let kind = cause.split(|c: char| !c.is_alphabetic()).next().unwrap().to_owned();
        failures.push((failure.to_string(), kind));
    };
    let plan = Plan::new(
        &inputs,
        &Options { pins: &pins, policy: setup.policy, ..Options::default() },
        tables,
        &mut resolve,
        each(place),
        report,
    );
    let plan = match plan {
        Ok(plan) => plan,
        Err(Refused::Failures(count)) => {
            assert_eq!(count, failures.len());
            return Err(failures);
        }
        Err(error) => panic!("{error}"),
    };
    assert!(failures.is_empty(), "{failures:?}");
    let (slots, veneers, rungs) = (plan.summary().slots, plan.summary().veneers, plan.summary().rungs);
    let symbols = plan.symbols().map(|found| (found.symbol.name.to_owned(), found.addr.get())).collect();
    let places: Vec<_> = plan.segments().iter().map(|segment| (segment.addr(), segment.size() as usize)).collect();
    let mut bytes: Vec<_> = places.iter().map(|(_, size)| vec![0xee; *size]).collect();
    let mut memory: Vec<_> =
        bytes.iter_mut().zip(&places).map(|(bytes, (addr, _))| patch::Section::new(bytes, *addr)).collect();
    plan.commit(&mut memory).unwrap();
    KEPT.set(storage.fit(Needs::default()));
    let segments = places.iter().map(|(addr, _)| addr.get()).zip(bytes).collect();
    Ok(Image { segments, slots, veneers, rungs, symbols })
}

/// Plans a link whose image is too large to be made: by which rungs references go, or the lines in which it is refused.
fn rungs(objects: Vec<Made>, setup: &Setup<'_>) -> Result<Rungs, Vec<String>> {
    let inputs: Vec<_> = NAMES.into_iter().zip(objects).map(|(name, object)| Input { name, object }).collect();
    let mut storage = Storage::new(measure(&inputs, 0));
    let place = each(|_| Ok::<_, Infallible>(Addr::new(setup.at[0])));
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, report);
    plan.map(|plan| plan.summary().rungs).map_err(|_| lines)
}

/// The causes for which a link is refused.
fn causes(objects: Vec<Made>, setup: &Setup<'_>) -> Vec<String> {
    link(objects, setup).unwrap_err().into_iter().map(|(_, cause)| cause).collect()
}

/// The lines in which a link is refused.
fn lines(objects: Vec<Made>, setup: &Setup<'_>) -> Vec<String> {
    link(objects, setup).unwrap_err().into_iter().map(|(line, _)| line).collect()
}

/// An object whose only instruction has this relocation, to the symbol made by `symbol`.
fn one(word: u32, reloc: Reloc, addend: i64, symbol: impl FnOnce(&mut Made) -> usize) -> Made {
    let mut object = Made::default();
    let text = object.text(&[word]);
    let symbol = symbol(&mut object);
    object.relocate(text, 0, reloc, symbol, addend);
    object
}

fn absolute(name: &'static str, at: u64) -> impl FnOnce(&mut Made) -> usize {
    move |object| object.named(name, Binding::Global, Definition::Absolute(at))
}

fn undefined(name: &'static str) -> impl FnOnce(&mut Made) -> usize {
    move |object| object.wants(name)
}

fn nowhere(name: &'static str) -> impl FnOnce(&mut Made) -> usize {
    move |object| object.named(name, Binding::Weak, Definition::Undefined)
}

const FAR: u64 = 0x7fff_0000_1000;

mod refusals {
    use super::*;

    #[test]
    fn every_cause_of_a_relocation_is_reached() {
        let setup = Setup { known: &[("far", FAR)], policy: Policy::NO_RESCUE, ..Setup::default() };
        let page = insn::adrp(Reg::X0);
        let cases: [(&str, Made, &str); 10] = [
            ("Stranded", one(page, Reloc::ADR_PREL_PG_HI21, 0, undefined("far")), "outside -0x100000000..=+0xfffff000"),
            (
                "Stranded",
                one(page, Reloc::ADR_PREL_PG_HI21_NC, 0, undefined("far")),
                "outside -0x100000000..=+0xfffff000",
            ),
            ("Patch", one(insn::NOP, Reloc::CALL26, 0, undefined("far")), "expected BL, found 0xd503201f"),
            ("Undefined", one(insn::bl(), Reloc::CALL26, 0, undefined("absent")), "undefined (symbol 'absent')"),
            ("SlotAddend", one(page, Reloc::ADR_GOT_PAGE, 8, undefined("far")), "with addend 0x8"),
            ("Unsupported", one(page, Reloc::AUTH_ADR_GOT_PAGE, 0, undefined("far")), "is not supported"),
            ("SymbolIndex", one(page, Reloc::ADR_PREL_PG_HI21, 0, |_| 7), "symbol 7 is not in the symbol table"),
            ("Patch", one(insn::bl(), Reloc::CALL26, 0, absolute("odd", FAR + 2)), "outside -0x8000000..=+0x7fffffc"),
            ("Patch", one(insn::bl(), Reloc::CALL26, 0, absolute("odd", TEXT + 2)), "not a multiple of 4"),
            ("Stranded", one(insn::b_cond(0), Reloc::CONDBR19, 0, undefined("far")), "outside -0x100000..=+0xffffc"),
        ];
        for (cause, object, text) in cases {
            let failures = link(vec![object], &setup).unwrap_err();
            assert_eq!(failures.len(), 1, "{failures:?}");
            assert!(failures[0].1 == cause && failures[0].0.contains(text), "{cause}: {failures:?}");
            assert!(failures[0].0.starts_with("one.o: .text+0x0: "), "{failures:?}");
        }
    }

    /// Of the section's bytes, which are zeros, the system gives only those that are read.
    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn a_place_more_than_4_gib_into_its_section_is_refused() {
        const END: u64 = 1 << 32;
        let mut object = Made::default();
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(vec![0; END as usize + 8].leak()));
        let here = object.named("here", Binding::Local, Definition::Section { index: data, offset: END - 1 });
        let number = absolute("number", 1)(&mut object);
        for symbol in [here, number] {
            object.relocate(data, END - 8, Reloc::ABS64, symbol, 0);
            object.relocate(data, END, Reloc::ABS64, symbol, 0);
        }
        let line = |symbol: &str| {
            let why = "the place is more than 4 GiB into its section";
            format!("one.o: .data+0x100000000: {why} (symbol '{symbol}')")
        };
        assert_eq!(lines(vec![object], &Setup::default()), [line("here"), line("number")]);
    }

    #[test]
    fn every_kind_is_made_or_refused_with_its_reason() {
        for &reloc in Reloc::ALL {
            let why = match reloc.code() {
                580..=597 => "it is of a pointer that is signed when the program runs",
                _ => continue,
            };
            let refused = lines(vec![one(insn::NOP, reloc, 0, undefined("far"))], &Setup::default());
            let line = format!("one.o: .text+0x0: {} is not supported: {why} (symbol 'far')", reloc.name());
            assert_eq!(refused, [line]);
        }
    }

    #[test]
    fn a_place_that_a_function_initialises_is_writable_and_aligned() {
        let setup = Setup { policy: Policy { resolvers: true, ..Policy::ALL }, ..Setup::default() };
        let refuse = |prot, content, offset, at| {
            let mut object = Made::default();
            let data = object.add(".place", prot, content);
            let symbol = absolute("resolve", at)(&mut object);
            object.relocate(data, offset, Reloc::FUNCINIT64, symbol, 0);
            lines(vec![object], &setup)
        };
        let bytes = Content::Bytes(&[0; 24]);
        let says = |offset: u64, why: &str| [format!("one.o: .place+{offset:#x}: {why} (symbol 'resolve')")];
        let writable = "the place is initialised when the image starts, and not in writable memory";
        for prot in [Prot::Read, Prot::ReadExec] {
            assert_eq!(refuse(prot, bytes, 8, TEXT), says(8, writable));
        }
        let null = "the resolver is at address 0, which means that there is none";
        assert_eq!(refuse(Prot::ReadWrite, bytes, 8, 0), says(8, null));
        for (content, offset, why) in
            [(bytes, 4, "is not a multiple of 8"), (bytes, 24, "outside"), (Content::Zeros(24), 8, "outside")]
        {
            let refused = refuse(Prot::ReadWrite, content, offset, TEXT);
            assert!(refused.len() == 1 && refused[0].contains("R_AARCH64_FUNCINIT64"), "{refused:?}");
            assert!(refused[0].contains(why), "{refused:?}");
        }
    }

    #[test]
    fn only_a_number_replaces_an_instruction() {
        let mut object = Made::default();
        let text = object.text(&[insn::NOP]);
        let symbol = object.function("own", text);
        object.relocate(text, 0, Reloc::PATCHINST, symbol, 0);
        let says = "one.o: .text+0x0: what replaces an instruction must be a number, an absolute symbol (symbol 'own')";
        assert_eq!(lines(vec![object], &Setup::default()), [says]);
        let object = one(insn::NOP, Reloc::PATCHINST, 0, absolute("wide", 1 << 32));
        assert_eq!(causes(vec![object], &Setup::default()), ["Patch"]);
    }

    #[test]
    fn a_place_outside_its_section_is_refused() {
        let mut object = Made::default();
        let text = object.text(&[insn::bl()]);
        let bss = object.add(".bss", Prot::ReadWrite, Content::Zeros(64));
        let symbol = object.function("own", text);
        object.relocate(text, 4, Reloc::CALL26, symbol, 0);
        object.relocate(text, u64::MAX, Reloc::CALL26, symbol, 0);
        object.relocate(text, 2, Reloc::CALL26, symbol, 0);
        // Zeros have no bytes to change.
        object.relocate(bss, 0, Reloc::ABS64, symbol, 0);
        assert_eq!(causes(vec![object], &Setup::default()), ["Patch"; 4]);
    }

    #[test]
    fn what_an_object_cannot_say_is_reported_with_the_rest() {
        let mut object = one(insn::bl(), Reloc::CALL26, 0, undefined("absent"));
        object.named_text("mine", &[0]);
        let symbol = object.named("bad", Binding::Global, Definition::Absolute(1));
        object.relocate(0, 0, Reloc::CALL26, symbol, 0);
        object.relocate(0, 0, Reloc::CALL26, symbol, 0);
        object.broken = vec![Part::Section(1), Part::Symbol(symbol), Part::Relocation(2, 2)];
        assert_eq!(
            lines(vec![object], &Setup::default()),
            [
                "one.o: section 1: malformed: on purpose",
                "one.o: symbol 1: malformed: on purpose",
                "one.o: .text+0x0: undefined (symbol 'absent')",
                "one.o: section 2, relocation 2: malformed: on purpose",
            ]
        );
    }

    #[test]
    fn a_target_that_is_not_loaded_is_refused() {
        let mut object = Made::default();
        let text = object.text(&[insn::bl()]);
        object.sections.push(Section::new(".debug", Kind::Ignored));
        let symbol = object.named("note", Binding::Local, Definition::Section { index: 1, offset: 0 });
        object.relocate(text, 0, Reloc::CALL26, symbol, 0);
        assert_eq!(causes(vec![object], &Setup::default()), ["NotLoaded"]);
    }

    #[test]
    fn a_local_target_in_a_group_kept_elsewhere_is_refused() {
        let object = || {
            let mut object = Made::default();
            object.sections.push(Section::new(".group", Kind::Group { key: "inline", count: 1, alike: Alike::Key }));
            object.members = vec![1];
            object.named_text(".text.inline", &[0]);
            let text = object.text(&[insn::bl()]);
            let symbol = object.named("local", Binding::Local, Definition::Section { index: 1, offset: 0 });
            object.relocate(text, 0, Reloc::CALL26, symbol, 0);
            object
        };
        assert!(link(vec![object()], &Setup::default()).is_ok());
        assert_eq!(causes(vec![object(), object()], &Setup::default()), ["LeftOut"]);
    }

    #[test]
    fn all_duplicates_and_all_undefined_symbols_are_named() {
        let object = |also: &'static str| {
            let mut object = one(insn::bl(), Reloc::CALL26, 0, undefined("absent"));
            for name in ["one", "other"] {
                object.function(name, 0);
            }
            let symbol = object.wants(also);
            object.relocate(0, 0, Reloc::JUMP26, symbol, 0);
            object
        };
        assert_eq!(
            lines(vec![object("a"), object("b")], &Setup::default()),
            [
                "two.o: defined already in one.o (symbol 'one')",
                "two.o: defined already in one.o (symbol 'other')",
                "one.o: .text+0x0: undefined (symbol 'absent')",
                "one.o: .text+0x0: undefined (symbol 'a')",
                "two.o: .text+0x0: undefined (symbol 'absent')",
                "two.o: .text+0x0: undefined (symbol 'b')",
            ]
        );
    }

    #[test]
    fn a_place_for_an_output_section_must_be_one() {
        let object = || {
            let mut object = one(insn::adrp(Reg::X0), Reloc::ADR_GOT_PAGE, 0, absolute("number", 1));
            object.add(".data", Prot::ReadWrite, Content::Bytes(&[1; 8]));
            object
        };
        let cases: [(&str, &[(&'static str, u64)]); 6] = [
            ("NoOutput", &[(".none", 0x1000)]),
            ("PlacedTwice", &[(".data", 0x1000), (".data", 0x1000)]),
            ("MisplacedOutput", &[(".data", 0x1004)]),
            ("MisplacedOutput", &[(".got", 0x70_0004)]),
            ("Overlap", &[(".data", TEXT)]),
            ("Overlap", &[(".data", 0x1000), (".got", 0x1000)]),
        ];
        for (cause, pins) in cases {
            let found = causes(vec![object()], &Setup { pins, ..Setup::default() });
            assert_eq!(found[0], cause, "{pins:?}: {found:?}");
        }
        // Segments that the caller places may overlap as well, or be placed where no GOT can be.
        assert_eq!(causes(vec![object()], &Setup { at: [TEXT, READ, TEXT], ..Setup::default() })[0], "Overlap");
        assert_eq!(
            causes(vec![object()], &Setup { at: [TEXT, READ, WRITE + 4], ..Setup::default() }),
            ["MisplacedSegment", "Misaligned"]
        );
        assert_eq!(
            causes(vec![object()], &Setup { at: [TEXT, READ, 0_u64.wrapping_sub(8)], ..Setup::default() }),
            ["TooBig"]
        );
    }

    #[test]
    fn sizes_past_the_address_space_are_refused() {
        for zeros in [vec![u64::MAX], vec![1 << 63, 1 << 63], vec![u64::MAX - 8, 9]] {
            let mut object = Made::default();
            for size in zeros {
                object.add(".bss", Prot::ReadWrite, Content::Zeros(size));
            }
            assert_eq!(causes(vec![object], &Setup::default()), ["TooBig"]);
        }
    }

    #[test]
    fn a_table_that_is_too_short_is_named() {
        let object = || {
            let mut object = Made::default();
            object.sections.push(Section::new(".group", Kind::Group { key: "inline", count: 0, alike: Alike::Key }));
            let text = object.text(&[insn::bl(), insn::adrp(Reg::X0)]);
            let symbol = object.wants("far");
            object.relocate(text, 0, Reloc::CALL26, symbol, 0);
            object.relocate(text, 4, Reloc::ADR_GOT_PAGE, symbol, 0);
            object
        };
        let cases: [(&str, Change); 10] = [
            ("objects", |tables| tables.objects = &mut []),
            ("sections", |tables| tables.sections = &mut []),
            ("symbols", |tables| tables.symbols = &mut []),
            ("names", |tables| tables.names = &mut []),
            ("output_names", |tables| tables.output_names = &mut []),
            ("outputs", |tables| tables.outputs = &mut []),
            ("segments", |tables| tables.segments = &mut []),
            ("groups", |tables| tables.groups = &mut []),
            ("slots", |tables| tables.slots = &mut []),
            ("veneers", |tables| tables.veneers = &mut []),
        ];
        let known = &[("far", FAR)];
        for (name, shorten) in cases {
            let failures = link(vec![object()], &Setup { known, shorten, ..Setup::default() }).unwrap_err();
            let wanted = format!("the table of {name} that was lent is too short");
            assert!(failures.iter().all(|(line, _)| line.contains(&wanted)), "{name}: {failures:?}");
        }
        assert!(link(vec![object()], &Setup { known, ..Setup::default() }).is_ok());
    }

    #[test]
    fn what_the_caller_does_not_place_is_the_callers_error() {
        let inputs = [Input { name: "one.o", object: one(insn::NOP, Reloc::NONE, 0, absolute("number", 1)) }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let options = Options::default();
        let place = |_: &Request| Err("no memory");
        let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, each(place), &mut |_| {});
        assert_eq!(plan.map(|_| ()).unwrap_err(), Refused::Place("no memory"));
    }
}

mod commits {
    use super::*;

    fn try_commit(memory: &mut [patch::Section<'_>], object: Made) -> Result<(), CommitError> {
        let inputs = [Input { name: "one.o", object }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let options = Options::default();
        let place = |_: &Request| Ok::<_, &str>(Addr::new(TEXT));
        let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, each(place), &mut |failure| {
            panic!("{failure}")
        });
        plan.unwrap().commit(memory)
    }

    fn object() -> Made {
        one(insn::movz(Reg::X0, Hw::G0), Reloc::MOVW_UABS_G0, 0, absolute("number", 0x1234))
    }

    /// It is aligned, and then lies behind the bytes that the file has.
    #[test]
    fn an_empty_section_needs_no_memory() {
        let mut object = Made::default();
        object.add(".rodata", Prot::Read, Content::Bytes(&[1]));
        object.loaded(".empty", Prot::Read, 64, Content::Bytes(&[]));
        let inputs = [Input { name: "empty.o", object }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let place = each(|_| Ok::<_, Infallible>(Addr::new(READ)));
        let report = &mut |failure: &Failure<'_>| panic!("{failure}");
        let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, report).unwrap();
        let [segment] = plan.segments() else { panic!() };
        let mut bytes = vec![0; segment.in_file() as usize];
        plan.commit(&mut [patch::Section::new(&mut bytes, Addr::new(READ))]).unwrap();
        assert_eq!(bytes, [1]);
    }

    #[test]
    fn memory_that_is_not_the_segments_is_refused() {
        let text = Addr::new(TEXT);
        let (mut short, mut long, mut other) = ([0xee; 3], [0xee; 18], [0xee; 4]);
        assert_eq!(try_commit(&mut [], object()), Err(CommitError::Memory(0)));
        assert_eq!(try_commit(&mut [patch::Section::new(&mut short, text)], object()), Err(CommitError::Memory(0)));
        let elsewhere = patch::Section::new(&mut long, text.plus(0x1000));
        assert_eq!(try_commit(&mut [elsewhere], object()), Err(CommitError::Memory(0)));
        let both = &mut [patch::Section::new(&mut long, text), patch::Section::new(&mut other, text)];
        assert_eq!(try_commit(both, object()), Err(CommitError::Memory(1)));
        assert_eq!((short, long, other), ([0xee; 3], [0xee; 18], [0xee; 4]));
        // Just enough is enough.
        let mut enough = [0xee; 4];
        assert_eq!(try_commit(&mut [patch::Section::new(&mut enough, text)], object()), Ok(()));
        assert_eq!(enough, [0x80, 0x46, 0x82, 0xd2]);
        // More than is wanted is left alone.
        assert_eq!(try_commit(&mut [patch::Section::new(&mut long, text)], object()), Ok(()));
        let mut wanted = [0; 18];
        wanted[..4].copy_from_slice(&[0x80, 0x46, 0x82, 0xd2]);
        wanted[4..].fill(0xee);
        assert_eq!(long, wanted);
    }

    /// What is left in the tables of a link does not matter to the next, longer or shorter.
    #[test]
    fn a_link_in_the_tables_of_another_is_the_same() {
        let calls = |count: usize| {
            let mut object = Made::default();
            let text = object.text(&vec![insn::bl(); count]);
            for at in 0..count {
                let symbol = object.wants(if at % 3 == 0 { "one" } else { "other" });
                object.relocate(text, at as u64 * 4, Reloc::CALL26, symbol, 0);
            }
            vec![object]
        };
        let setup = Setup { known: &[("one", 1 << 40), ("other", TEXT + 0x1000)], ..Setup::default() };
        let image_of = |count| {
            let Image { segments, slots, veneers, rungs, .. } = link(calls(count), &setup).unwrap();
            (segments, slots, veneers, rungs)
        };
        let alone = [90, 3, 200].map(|count| {
            KEPT.take();
            image_of(count)
        });
        assert_eq!([90, 3, 200].map(image_of), alone);
        // All calls of one symbol lead to one veneer.
        let image = link(calls(90), &setup).unwrap();
        assert_eq!((image.slots, image.veneers, image.rungs.veneer), (2, 2, 90));
        let targets: Vec<_> = (0..90).map(|at| image.target(TEXT + at * 4)).collect();
        assert!(targets.iter().zip(0..).all(|(target, at)| *target == targets[if at % 3 == 0 { 0 } else { 1 }]));
        assert_ne!(targets[0], targets[1]);
    }

    #[test]
    fn relocations_that_overwrite_each_other_are_found_at_last() {
        let mut object = one(insn::bl(), Reloc::CALL26, 0, absolute("near", TEXT));
        let symbol = object.named("word", Binding::Global, Definition::Absolute(0));
        let mut bytes = [0; 16];
        object.relocate(0, 0, Reloc::ABS32, symbol, 0);
        object.relocate(0, 0, Reloc::CALL26, 0, 0);
        let error = try_commit(&mut [patch::Section::new(&mut bytes, Addr::new(TEXT))], object).unwrap_err();
        assert!(matches!(error, CommitError::Patch(_)));
        assert_eq!(
            error.to_string(),
            "relocations overlap: R_AARCH64_CALL26 at 0x400000: expected BL, found 0x00000000"
        );
    }
}

mod targets {
    use super::*;

    #[test]
    fn a_weak_reference_to_nothing_is_null_or_falls_through() {
        let x1 = Reg::new(1);
        let page = insn::adrp(x1);
        let cases: [(u32, Reloc, i64, u32); 14] = [
            (insn::bl(), Reloc::CALL26, 0, insn::bl() | 1),
            (insn::b(), Reloc::JUMP26, 0, insn::b() | 1),
            (insn::b_cond(0), Reloc::CONDBR19, 0, insn::b_cond(0) | 1 << 5),
            (insn::tbz(x1, 3), Reloc::TSTBR14, 0, insn::tbz(x1, 3) | 1 << 5),
            (page, Reloc::ADR_PREL_PG_HI21, 0, insn::movz(x1, Hw::G0)),
            (page, Reloc::ADR_PREL_PG_HI21_NC, 0, insn::movz(x1, Hw::G0)),
            (insn::adr(x1), Reloc::ADR_PREL_LO21, 0, insn::movz(x1, Hw::G0)),
            (insn::add(x1, x1), Reloc::ADD_ABS_LO12_NC, 0, insn::add(x1, x1)),
            // The start of the page of A, and A itself, by llvm-mc: mov x1, #0; #0x1000; #-0x1000; #8; #-8.
            (page, Reloc::ADR_PREL_PG_HI21, 8, 0xd280_0001),
            (page, Reloc::ADR_PREL_PG_HI21, 0x1008, 0xd282_0001),
            (page, Reloc::ADR_PREL_PG_HI21, -8, 0x9281_ffe1),
            (insn::adr(x1), Reloc::ADR_PREL_LO21, 8, 0xd280_0101),
            (insn::adr(x1), Reloc::ADR_PREL_LO21, -8, 0x9280_00e1),
            // X = A: four bytes on.
            (insn::ldr_literal(x1), Reloc::LD_PREL_LO19, 4, insn::ldr_literal(x1) | 1 << 5),
        ];
        for (word, reloc, addend, wanted) in cases {
            let image = link(vec![one(word, reloc, addend, nowhere("absent"))], &Setup::default()).unwrap();
            assert_eq!(image.word(TEXT), wanted, "{reloc:?}");
        }
    }

    #[test]
    fn a_number_replaces_an_instruction_and_nothing_leaves_it() {
        // After the call has its target, as assemblers order them; and the number is NOP's.
        for (definition, nop) in [(Definition::Absolute(0xd503_201f), true), (Definition::Undefined, false)] {
            for binding in [Binding::Global, Binding::Weak] {
                let mut object = Made::default();
                let text = object.text(&[insn::bl(), insn::NOP]);
                let own = object.function("own", text);
                let switch = object.named("switch", binding, definition);
                object.relocate(text, 0, Reloc::CALL26, own, 4);
                object.relocate(text, 0, Reloc::PATCHINST, switch, 0);
                let image = link(vec![object], &Setup::default()).unwrap();
                assert_eq!(image.word(TEXT), if nop { 0xd503_201f } else { 0x9400_0001 });
            }
        }
    }

    #[test]
    fn data_and_slots_of_nothing_are_zero() {
        let mut object = one(insn::adrp(Reg::X0), Reloc::ADR_GOT_PAGE, 0, nowhere("absent"));
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[0xff; 16]));
        object.relocate(data, 0, Reloc::ABS64, 0, 0);
        object.relocate(data, 8, Reloc::PREL32, 0, 5);
        let image = link(vec![object], &Setup::default()).unwrap();
        assert_eq!(image.slots, 1);
        // The GOT comes first.
        assert_eq!((image.long(WRITE), image.long(WRITE + 8)), (0, 0));
        assert_eq!(image.long(WRITE + 16), 0xffff_ffff_0000_0005);
    }

    #[test]
    fn what_changes_nothing_wants_nothing() {
        let image = link(vec![one(insn::NOP, Reloc::NONE, 0, undefined("nowhere"))], &Setup::default()).unwrap();
        assert_eq!(image.word(TEXT), insn::NOP);
    }

    #[test]
    fn a_strong_mention_anywhere_makes_a_symbol_wanted() {
        let weak = || one(insn::bl(), Reloc::CALL26, 0, nowhere("absent"));
        let strong = || one(insn::bl(), Reloc::CALL26, 0, undefined("absent"));
        assert_eq!(causes(vec![weak(), strong()], &Setup::default()), ["Undefined"; 2]);
        assert!(link(vec![weak(), weak()], &Setup::default()).is_ok());
    }

    #[test]
    fn a_strong_definition_is_preferred_and_else_the_first_weak_one() {
        let define = |binding, at| {
            one(insn::NOP, Reloc::NONE, 0, move |object| object.named("it", binding, Definition::Absolute(at)))
        };
        for (objects, wanted) in [
            (vec![define(Binding::Weak, 1), define(Binding::Global, 2), define(Binding::Weak, 3)], 2),
            (vec![define(Binding::Weak, 1), define(Binding::Weak, 2)], 1),
        ] {
            assert_eq!(link(objects, &Setup::default()).unwrap().symbol("it"), wanted);
        }
    }

    #[test]
    fn a_hidden_symbol_is_not_asked_for() {
        let mut object = one(insn::bl(), Reloc::CALL26, 0, undefined("far"));
        object.symbols[0].hidden = true;
        assert_eq!(causes(vec![object], &Setup { known: &[("far", FAR)], ..Setup::default() }), ["Undefined"]);
    }

    #[test]
    fn the_addend_of_a_slot_relative_to_the_place_is_added() {
        let mut object = Made::default();
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[0xff; 8]));
        let symbol = object.named("number", Binding::Global, Definition::Absolute(0x1234));
        object.relocate(data, 0, Reloc::GOTPCREL32, symbol, 0);
        object.relocate(data, 4, Reloc::GOTPCREL32, symbol, 16);
        let image = link(vec![object], &Setup::default()).unwrap();
        // The slot, at the start of the segment, is 8 bytes before `.data`.
        assert_eq!(image.long(WRITE), 0x1234);
        let words = [image.word(WRITE + 8), image.word(WRITE + 12)];
        assert_eq!(words.map(u32::cast_signed), [-8, -12 + 16]);
    }

    #[test]
    fn what_the_linker_makes_is_where_it_says() {
        let names = [
            "_GLOBAL_OFFSET_TABLE_",
            "__dso_handle",
            "__bss_start",
            "_end",
            "__start_mine",
            "__stop_mine",
            "_etext",
            "__init_array_start",
            "__init_array_end",
        ];
        let mut object = Made::default();
        object.text(&[insn::NOP]);
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[0; 72]));
        object.add("mine", Prot::Read, Content::Bytes(&[7; 5]));
        object.add(".bss", Prot::ReadWrite, Content::Zeros(3));
        for (at, name) in names.into_iter().enumerate() {
            let symbol = object.wants(name);
            object.relocate(data, 8 * at as u64, Reloc::ABS64, symbol, 0);
        }
        let image = link(vec![object], &Setup::default()).unwrap();
        let found: Vec<_> = (0..names.len() as u64).map(|at| image.long(WRITE + 8 * at)).collect();
        let bss = WRITE + 72;
        assert_eq!(found, [WRITE, TEXT, bss, bss + 3, READ, READ + 5, TEXT + 4, TEXT, TEXT]);
        // There is no section of the name to bound.
        let setup = Setup::default();
        assert_eq!(causes(vec![one(0, Reloc::ABS32, 0, undefined("__start_other"))], &setup), ["Undefined"]);
    }

    #[test]
    fn an_array_is_one_run_whatever_its_parts_are_protected_by() {
        let mut object = Made::default();
        object.add(".init_array", Prot::Read, Content::Bytes(&[1; 8]));
        object.add(".init_array", Prot::ReadWrite, Content::Bytes(&[2; 8]));
        object.add(".init_array.5", Prot::Read, Content::Bytes(&[3; 8]));
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[0; 16]));
        for (at, name) in [(0, "__init_array_start"), (8, "__init_array_end")] {
            let symbol = object.wants(name);
            object.relocate(data, at, Reloc::ABS64, symbol, 0);
        }
        let image = link(vec![object], &Setup::default()).unwrap();
        let [start, end] = [0, 8].map(|at| image.long(WRITE + at));
        assert_eq!(end - start, 24);
        let held = [0, 8, 16].map(|at| image.long(start + at).to_le_bytes()[0]);
        assert_eq!(held, [3, 1, 2]);
    }

    /// Of a difference, the symbol that is nothing has the address 0, and the other one counts.
    #[test]
    fn a_difference_to_nothing_is_measured() {
        let mut object = Made::default();
        let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[0; 16]));
        let from = object.named("from", Binding::Global, Definition::Section { index: data, offset: 8 });
        let nothing = object.named("nothing", Binding::Weak, Definition::Undefined);
        let origin = Origin::Symbol(from);
        let difference = Relocation { offset: 0, reloc: Reloc::PREL64, symbol: nothing, addend: 3, origin };
        object.relocations.push((data, vec![difference]));
        let image = link(vec![object], &Setup::default()).unwrap();
        assert_eq!(image.long(WRITE), 3_u64.wrapping_sub(WRITE + 8));
    }
}

mod veneers {
    use super::*;

    /// Caller and callee in sections of these names, both functions.
    fn call(caller: &'static str, callee: &'static str, reloc: Reloc, word: u32) -> Made {
        let mut object = Made::default();
        let from = object.named_text(caller, &[word]);
        let to = object.named_text(callee, &[insn::NOP]);
        let symbol = object.function("callee", to);
        object.relocate(from, 0, reloc, symbol, 0);
        object
    }

    #[test]
    fn a_call_to_what_is_outside_goes_through_a_slot() {
        let mut object = one(insn::bl(), Reloc::CALL26, 0, undefined("far"));
        let more = object.text(&[insn::b(), insn::bl()]);
        object.relocate(more, 0, Reloc::JUMP26, 0, 0);
        object.relocate(more, 4, Reloc::CALL26, 0, 0);
        let image = link(vec![object], &Setup { known: &[("far", FAR)], ..Setup::default() }).unwrap();
        assert_eq!((image.slots, image.veneers), (1, 1));
        assert_eq!(image.long(WRITE), FAR);
        let veneer = image.target(TEXT);
        assert_eq!((image.target(TEXT + 8), image.target(TEXT + 12)), (veneer, veneer));
        // ADRP x16, page; LDR x16, [x16, lo12]; BR x16.
        let pages = ((WRITE - (veneer & !0xfff)) >> 12) as u32;
        let adrp = insn::adrp(Reg::X16) | (pages & 3) << 29 | pages >> 2 << 5;
        let wanted = [adrp, insn::ldr(Reg::X16, Reg::X16), insn::br(Reg::X16)];
        assert_eq!([0, 4, 8].map(|at| image.word(veneer + at)), wanted);
    }

    #[test]
    fn a_call_to_what_is_outside_says_how_far_that_is() {
        // Data, whose veneer is with the text, as far away as that.
        let mut object = Made::default();
        object.text(&[insn::NOP]);
        let data = object.add(".rodata", Prot::Read, Content::Bytes(&[0; 4]));
        let symbol = object.wants("far");
        object.relocate(data, 0, Reloc::PLT32, symbol, 0);
        let setup = Setup { known: &[("far", FAR)], at: [1 << 40, READ, WRITE], ..Setup::default() };
        let refused = lines(vec![object], &setup);
        assert!(refused[0].contains(&format!("+{:#x} bytes away", FAR - READ)), "{refused:?}");
    }

    #[test]
    fn text_away_from_the_plt_has_an_island_of_its_own() {
        let setup = Setup { known: &[("far", FAR)], pins: &[(".plt", 1 << 40)], ..Setup::default() };
        let image = link(vec![one(insn::bl(), Reloc::CALL26, 0, undefined("far"))], &setup).unwrap();
        assert_eq!((image.target(TEXT), image.rungs.veneer), (TEXT + 16, 1));
    }

    #[test]
    fn slots_out_of_the_veneers_reach_are_still_loaded() {
        let object = one(insn::bl(), Reloc::CALL26, 0, undefined("far"));
        let at = [TEXT, READ, 0x1234_5678_9000];
        let image = link(vec![object], &Setup { known: &[("far", FAR)], at, ..Setup::default() }).unwrap();
        let veneer = image.target(TEXT);
        let last = [12, 16].map(|at| image.word(veneer + at));
        assert_eq!(last, [insn::ldr(Reg::X16, Reg::X16), insn::br(Reg::X16)]);
        assert_eq!(image.long(at[2]), FAR);
    }

    #[test]
    fn a_call_to_a_number_out_of_reach_goes_through_a_veneer() {
        for objects in [
            vec![one(insn::bl(), Reloc::CALL26, 0, absolute("number", FAR))],
            // With an addend, it is not the symbol's own entry that is called.
            vec![one(insn::bl(), Reloc::CALL26, 8, undefined("far"))],
        ] {
            let image = link(objects, &Setup { known: &[("far", FAR)], ..Setup::default() }).unwrap();
            let veneer = image.target(TEXT);
            assert_eq!(image.word(veneer) & 0xffe0_001f, insn::movz(Reg::X16, Hw::G2));
        }
    }

    #[test]
    fn data_far_from_the_text_it_refers_to_keeps_room_for_a_veneer() {
        let mut object = Made::default();
        let text = object.text(&[insn::NOP]);
        let data = object.add(".rodata", Prot::Read, Content::Bytes(&[0; 4]));
        let symbol = object.function("callee", text);
        object.relocate(data, 0, Reloc::PLT32, symbol, 0);
        // The one island is with the text, as far away as the text itself.
        let setup = Setup { at: [TEXT + (3 << 30), READ, WRITE + (3 << 30)], ..Setup::default() };
        assert_eq!(causes(vec![object], &setup), ["Stranded"]);
    }

    #[test]
    fn functions_apart_are_called_through_a_veneer() {
        for (reloc, word) in [(Reloc::CALL26, insn::bl()), (Reloc::JUMP26, insn::b())] {
            let setup = Setup { pins: &[("away", TEXT + (1 << 30))], ..Setup::default() };
            let image = link(vec![call(".text", "away", reloc, word)], &setup).unwrap();
            let veneer = image.target(TEXT);
            assert_eq!((image.slots, image.symbol("callee")), (0, TEXT + (1 << 30)));
            assert_eq!(image.word(veneer) & 0x9f00_001f, insn::adrp(Reg::X16), "{reloc:?}");
            assert_eq!(image.word(veneer + 8), insn::br(Reg::X16));
        }
        // In reach, they need none.
        let setup = Setup { pins: &[("away", TEXT + 0x7ff_fff8)], ..Setup::default() };
        let image = link(vec![call(".text", "away", Reloc::CALL26, insn::bl())], &setup).unwrap();
        assert_eq!((image.veneers, image.target(TEXT)), (0, TEXT + 0x7ff_fff8));
    }

    /// `.text` with a caller at its end, more than a BL reaches behind its start.
    fn long_text() -> Made {
        let mut object = Made::default();
        let first = object.text(&[insn::NOP]);
        object.add(".text.between", Prot::ReadExec, Content::Zeros(130 << 20));
        let last = object.named_text(".text.last", &[insn::bl()]);
        object.function("last", last);
        let symbol = object.function("first", first);
        object.relocate(last, 0, Reloc::CALL26, symbol, 0);
        object
    }

    #[test]
    fn text_longer_than_a_call_reaches_is_called_across() {
        let image = link(vec![long_text()], &Setup::default()).unwrap();
        let veneer = image.target(image.symbol("last"));
        assert!(image.symbol("last") > TEXT + (130 << 20) && image.veneers == 1);
        assert_eq!(image.word(veneer) & 0x9f00_001f, insn::adrp(Reg::X16));
    }

    #[test]
    fn within_a_section_only_functions_have_veneers() {
        // One section, longer than a call reaches, whose end calls its start.
        let object = |function| {
            let mut bytes = vec![0; (130 << 20) + 4];
            bytes[130 << 20..].copy_from_slice(&insn::bl().to_le_bytes());
            let mut object = Made::default();
            let text = object.add(".text", Prot::ReadExec, Content::Bytes(bytes.leak()));
            let symbol = object.function("start", text);
            object.symbols[symbol].function = function;
            object.relocate(text, 130 << 20, Reloc::CALL26, symbol, 0);
            object
        };
        assert!(link(vec![object(true)], &Setup::default()).is_ok());
        let refused = lines(vec![object(false)], &Setup::default());
        assert!(refused[0].contains("target 0x400000 is -0x8200000 bytes away, outside -0x8000000..=+0x7fffffc"));
    }

    #[test]
    fn each_base_of_the_got_has_veneers_of_its_own() {
        // Objects of so many slots that each has its own base, and its own slot for what all of them call.
        let names: Vec<&'static str> = (0..9000).map(|number| &*format!("s{number}").leak()).collect();
        let object = |part: usize| {
            let mut object = one(insn::bl(), Reloc::CALL26, 0, undefined("far"));
            let own = names[3000 * part..][..3000].iter().copied();
            let loads = object.text(&vec![insn::ldr(Reg::X0, Reg::X0); 3001]);
            for (at, name) in own.chain(["far"]).enumerate() {
                let symbol =
                    if name == "far" { 0 } else { object.named(name, Binding::Global, Definition::Absolute(1)) };
                object.relocate(loads, 4 * at as u64, Reloc::LD64_GOTPAGE_LO15, symbol, 0);
            }
            object
        };
        let setup = Setup { known: &[("far", FAR)], ..Setup::default() };
        let image = link((0..3).map(object).collect(), &setup).unwrap();
        assert_eq!((image.slots, image.veneers), (9003, 3));
        let callers = [0, 1, 2].map(|part| TEXT + part * (8 + 3001 * 4 + 4));
        let veneers = callers.map(|caller| image.target(caller));
        assert!(veneers[0] < veneers[1] && veneers[1] < veneers[2], "{veneers:x?}");
    }

    #[test]
    fn other_branches_have_no_veneers() {
        let setup = Setup { pins: &[("away", TEXT + (1 << 30))], ..Setup::default() };
        let object = call(".text", "away", Reloc::CONDBR19, insn::b_cond(1));
        assert_eq!(causes(vec![object], &setup), ["Stranded"]);
    }
}

mod islands {
    use super::*;

    /// Where the conditional branch at `addr` goes, its offset being the `bits` bits from bit 5 on.
    fn conditional(image: &Image, addr: u64, bits: u32) -> u64 {
        let field = image.word(addr) << (32 - 5 - bits);
        addr.wrapping_add_signed(i64::from(field.cast_signed() >> (32 - bits)) * 4)
    }

    /// In `first`, 3 MiB of text before the target of the conditional branch `word` at its end.
    fn branch_over(first: &'static str, reloc: Reloc, word: u32) -> Made {
        let mut object = Made::default();
        let from = object.named_text(first, &[insn::NOP, word]);
        object.function("from", from);
        let after = object.named_text(first, &[insn::NOP]);
        object.function("after", after);
        object.add(".text.between", Prot::ReadExec, Content::Zeros(3 << 20));
        let to = object.named_text(".text.to", &[insn::NOP]);
        let target = object.function("to", to);
        object.relocate(from, 4, reloc, target, 0);
        object
    }

    #[test]
    fn a_conditional_branch_has_its_hop_right_behind_it() {
        for (reloc, word, bits) in
            [(Reloc::CONDBR19, insn::cbz(Reg::X0), 19), (Reloc::TSTBR14, insn::tbz(Reg::X0, 40), 14)]
        {
            let image = link(vec![branch_over(".text.from", reloc, word)], &Setup::default()).unwrap();
            let from = image.symbol("from");
            let hop = conditional(&image, from + 4, bits);
            assert!(hop > from && hop < image.symbol("after"), "{hop:#x}");
            assert_eq!(image.target(hop), image.symbol("to"));
            assert_eq!(image.rungs.hop, 1);
        }
    }

    #[test]
    fn what_reaches_needs_no_island() {
        let object = branch_over(".text.from", Reloc::JUMP26, insn::b());
        let image = link(vec![object], &Setup::default()).unwrap();
        let from = image.symbol("from");
        assert_eq!((image.target(from + 4), image.symbol("after")), (image.symbol("to"), from + 8));
    }

    /// A far call from the start of text of these output sections and sizes, in MiB, each at a multiple of `align`.
    fn call_from_the_start(pieces: &[(&'static str, u64)], align: u64) -> Made {
        let mut object = Made::default();
        let first = object.named_text(pieces[0].0, &[insn::bl()]);
        let far = absolute("far", 1 << 40)(&mut object);
        object.relocate(first, 0, Reloc::CALL26, far, 0);
        for &(name, size) in pieces {
            object.loaded(name, Prot::ReadExec, align, Content::Zeros(size << 20));
        }
        object
    }

    #[test]
    fn pieces_of_any_size_leave_an_island_in_reach() {
        let mixed: Vec<_> = [("a", 90)].into_iter().chain([("b", 1); 300]).collect();
        for (pieces, align) in [
            (&[("a", 90), ("b", 99)][..], 8),
            (&[("a", 99); 3], 8),
            (&[("a", 130), ("b", 1)], 8),
            (&[("a", 1), ("b", 1), ("c", 99), ("d", 99)], 8),
            (&mixed, 8),
            (&[("a", 0); 5], 1 << 28),
        ] {
            let rungs =
                rungs(vec![call_from_the_start(pieces, align)], &Setup { at: [1 << 28; 3], ..Setup::default() });
            assert_eq!(rungs.map(|rungs| rungs.veneer), Ok(1), "{:?} {align}", &pieces[..2]);
        }
    }

    #[test]
    fn branches_that_reach_take_no_room_beside_one_that_does_not() {
        for count in [1, 1000] {
            // All but the last branch are to the next instruction, which another section branches to as well.
            let mut object = Made::default();
            let from = object.text(&vec![insn::tbz(Reg::X0, 1); count + 1]);
            let other = object.text(&vec![insn::tbz(Reg::X0, 1); count + 1]);
            for number in 0..count as u64 {
                let next = Definition::Section { index: from, offset: 4 * number + 4 };
                let next = object.named("", Binding::Local, next);
                object.relocate(from, 4 * number, Reloc::TSTBR14, next, 0);
                object.relocate(other, 4 * number, Reloc::TSTBR14, next, 0);
            }
            object.add(".text.between", Prot::ReadExec, Content::Zeros(40 << 10));
            let to = object.named_text(".text.to", &[insn::NOP]);
            let target = object.function("to", to);
            for section in [from, other] {
                object.relocate(section, 4 * count as u64, Reloc::TSTBR14, target, 0);
            }
            let image = link(vec![object], &Setup::default()).unwrap();
            assert_eq!((image.rungs.direct, image.rungs.hop), (2 * count, 2), "{:?}", image.rungs);
        }
    }

    #[test]
    fn islands_that_move_each_other_have_room_for_what_is_nearest() {
        // In 350 MiB of text, one detour each KiB: more than a MiB of cells moves what lies behind an island.
        let adrp = insn::adrp(Reg::X0).to_le_bytes().into_iter();
        let piece: Vec<u8> = adrp.chain([0; 1020]).cycle().take(1 << 20).collect();
        let piece: &[u8] = piece.leak();
        let mut object = Made::default();
        let symbol = absolute("far", 1 << 40)(&mut object);
        for _ in 0..350 {
            let text = object.add(".text", Prot::ReadExec, Content::Bytes(piece));
            let places = (0..1 << 20).step_by(1024);
            let of =
                |offset| Relocation { offset, reloc: Reloc::ADR_PREL_PG_HI21, symbol, addend: 0, origin: Origin::Zero };
            object.relocations.push((text, places.map(of).collect()));
        }
        let rungs = rungs(vec![object], &Setup::default());
        assert_eq!(rungs.map(|rungs| rungs.detour).map_err(|lines| lines.len()), Ok(350 << 10));
    }

    #[test]
    fn text_that_claims_to_be_huge_asks_for_few_islands() {
        let mut object = Made::default();
        object.add(".text", Prot::ReadExec, Content::Zeros(1 << 62));
        let needs = measure(&[Input { name: "huge.o", object }], 1);
        assert_eq!((needs.islands, needs.veneers), (2, 4));
    }

    #[test]
    fn islands_that_would_be_aligned_beyond_all_memory_are_too_big() {
        let mut object = Made::default();
        let nop = Content::Bytes(&[0x1f, 0x20, 0x03, 0xd5]);
        object.loaded(".text", Prot::ReadExec, 1 << 63, nop);
        object.add("one", Prot::ReadExec, nop);
        object.add("two", Prot::ReadExec, nop);
        let setup = Setup { pins: &[("one", 0x1000), ("two", 0x2000)], ..Setup::default() };
        assert_eq!(causes(vec![object], &setup), ["TooBig"]);
    }

    #[test]
    fn pieces_of_init_stay_together() {
        // `.init` is one function in pieces: no island may part it, so the nearest must do.
        let object = branch_over(".init", Reloc::CONDBR19, insn::b_cond(1));
        assert_eq!(causes(vec![object], &Setup::default()), ["Stranded"]);
        let object = branch_over(".init", Reloc::JUMP26, insn::b());
        let image = link(vec![object], &Setup::default()).unwrap();
        assert_eq!(image.symbol("after"), image.symbol("from") + 8);
    }

    #[test]
    fn a_segment_that_gets_no_more_than_it_needs_side_by_side_says_what_is_missing() {
        // The data lie elsewhere, and only `each` gives the text what that takes.
        let object = one(insn::adrp(Reg::X0), Reloc::ADR_PREL_PG_HI21, 0, |object| {
            let data = object.add(".data", Prot::ReadWrite, Content::Bytes(&[1; 8]));
            object.named("datum", Binding::Global, Definition::Section { index: data, offset: 0 })
        });
        let inputs = [Input { name: "apart.o", object }];
        let plan = |most: bool| {
            let mut storage = Storage::new(measure(&inputs, 0));
            let place = |requests: &mut [Request]| {
                for request in requests {
                    request.size = if most { request.most } else { request.size };
                    request.addr = Addr::new(if request.prot == Prot::ReadExec { TEXT } else { FAR & !0xfff });
                }
                Ok::<_, &str>(())
            };
            let mut lines = Vec::new();
            let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
            let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, place, report);
            plan.map(|plan| plan.summary().rungs.detour).map_err(|_| lines)
        };
        assert_eq!(plan(true), Ok(1));
        let lines = plan(false).unwrap_err();
        assert!(
            lines[0].ends_with("was given 0x10 bytes of the 0x30 that it may need where it lies (symbol 'datum')"),
            "{lines:?}"
        );
    }
}

mod hostile {
    use super::*;
    use aarch64_reloc::formats::elf::Elf;

    /// Parses, measures and plans whatever `bytes` are; what matters is that it ends.
    fn swallow(bytes: &[u8]) -> bool {
        let Ok(object) = Elf::parse(bytes) else { return false };
        let inputs = [Input { name: "hostile.o", object }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let mut next = TEXT;
        let place = |request: &Request| {
            let at = next;
            next = next.wrapping_add(request.size).wrapping_add(0xfff) & !0xfff;
            Ok::<_, &str>(Addr::new(at))
        };
        let options = Options::default();
        // Out of reach of calls only.
        let mut resolve = |_: &str| Some(Addr::new(TEXT + (3 << 30)));
        let report = &mut |failure: &Failure<'_>| assert!(!failure.to_string().is_empty());
        Plan::new(&inputs, &options, storage.lend(), &mut resolve, each(place), report).is_ok()
    }

    fn object(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/objects/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn an_object_cut_short_anywhere_is_refused() {
        let bytes = object("shapes-gcc-O2-pic.o");
        assert!(swallow(&bytes));
        for len in 0..bytes.len() {
            assert!(!swallow(&bytes[..len]), "cut to {len} bytes");
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_linked() {
        // A small generator is enough: multiply and add, by Knuth's constants.
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for name in ["shapes-clang-O2-no-pic.o", "bad/comdat.o", "bad/common.o", "bad/calls.o"] {
            let original = object(name);
            let (mut refused, mut linked) = (0, 0);
            for _ in 0..3000 {
                let mut bytes = original.clone();
                for _ in 0..=random(4) {
                    let at = random(bytes.len());
                    bytes[at] = [0, 0xff, 0x80, random(256) as u8][random(4)];
                }
                *(if swallow(&bytes) { &mut linked } else { &mut refused }) += 1;
            }
            assert!(refused > 100 && linked > 100, "{name}: {refused} refused, {linked} linked");
        }
    }

    #[test]
    fn every_byte_of_the_headers_may_be_anything() {
        let original = object("bad/comdat.o");
        for at in 0..original.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = original.clone();
                bytes[at] = byte;
                swallow(&bytes);
            }
        }
    }
}

#[test]
fn a_failure_is_one_line_with_its_cause() {
    let place = Some((".text", 4));
    let failure = Failure { object: "a.o", place, relocation: "", symbol: "f", cause: Cause::Undefined };
    assert_eq!(failure.to_string(), "a.o: .text+0x4: undefined (symbol 'f')");
    assert_eq!(Failure { object: "", place: None, ..failure }.to_string(), "undefined (symbol 'f')");
}
