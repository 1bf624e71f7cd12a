//! Every relocation for thread-local storage, linked in each way that there is.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::got::{Content as Held, Entry, Got};
use aarch64_reloc::link::{
    Binding, Cause, Content, Definition, Input, Kind, Object, ObjectError, Options, Origin, Part, Pin, Plan, Problem,
    Relocation, Section, Storage, Summary, Symbol, Template, Tls, each, measure,
};
use aarch64_reloc::patch;
use aarch64_reloc::reloc::{Class, Reloc, Value};
use std::convert::Infallible;

/// Text with one place for each of `relocs`, 16 bytes apart, and a template with `variable` at 0x40.
struct Rows {
    text: &'static [u8],
    relocs: Vec<Reloc>,
    /// What they refer to, and with which addend.
    symbol: usize,
    addend: i64,
}

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x48_0000;
const FAR: u64 = 0x7f00_0000_0000;
/// What the sections and symbols of [`Rows`] are called, and their indices.
const SYMBOLS: [&str; 6] = ["", "variable", "ordinary", "nowhere", "_TLS_MODULE_BASE_", "resolve"];
const VARIABLE: usize = 1;
const ORDINARY: usize = 2;
const NOWHERE: usize = 3;
const BASE: usize = 4;
/// Where `variable` is in the template.
const OFFSET: i64 = 0x40;
/// The template's alignment.
const ALIGN: u64 = 32;

fn is_thread_local(reloc: &&Reloc) -> bool {
    matches!(reloc.code(), 512..=573 | 1029)
}

/// The instruction that `reloc` expects, by the words that errors have for it.
fn word(reloc: Reloc) -> u32 {
    let expects = reloc.expects();
    let hw = [16, 32, 48].iter().position(|shift| expects.contains(&format!("LSL #{shift}"))).map_or(0, |at| at + 1);
    let base = match expects.split(" (").next().unwrap() {
        "anything" => 0,
        "ADR" => 0x1000_0000,
        "ADRP" => 0x9000_0000,
        "ADD" if expects.contains("LSL") => return 0x9140_0000,
        "ADD" | "64-bit ADD" => 0x9100_0000,
        "1-byte load or store" => 0x3940_0000,
        "2-byte load or store" => 0x7940_0000,
        "4-byte load or store" => 0xb940_0000,
        "8-byte load or store" => 0xf940_0000,
        "16-byte load or store" => 0x3dc0_0000,
        "64-bit LDR" => 0x5800_0000,
        "MOVN or MOVZ" => 0xd280_0000,
        "MOVK" => 0xf280_0000,
        "BLR" => 0xd63f_0000,
        other => panic!("{}: {other}", reloc.name()),
    };
    base | (hw as u32) << 21
}

impl Rows {
    fn new(relocs: impl IntoIterator<Item = Reloc>, symbol: usize, addend: i64) -> Self {
        let relocs: Vec<Reloc> = relocs.into_iter().collect();
        let mut text = vec![0; relocs.len() * 16];
        for (place, &reloc) in text.chunks_mut(16).zip(&relocs) {
            place[..4].copy_from_slice(&word(reloc).to_le_bytes());
        }
        Self { text: text.leak(), relocs, symbol, addend }
    }

    fn all() -> Self {
        Self::new(Reloc::ALL.iter().filter(is_thread_local).copied(), VARIABLE, 0)
    }
}

impl Object<'static> for Rows {
    fn endian(&self) -> aarch64_reloc::Endian {
        aarch64_reloc::Endian::Little
    }

    fn section_count(&self) -> usize {
        5
    }

    fn section(&self, index: usize) -> Result<Section<'static>, ObjectError> {
        let (name, kind) = match index {
            0 => (".text", Kind::Loaded { prot: Prot::ReadExec, align: 16, content: Content::Bytes(self.text) }),
            1 => (".rela", Kind::Relocations { of: 0, count: self.relocs.len() }),
            2 => (".tdata.first", Kind::ThreadLocal { align: 8, content: Content::Bytes(b"thirteen byte") }),
            3 => (".tbss.second", Kind::ThreadLocal { align: ALIGN, content: Content::Zeros(0x60) }),
            4 => (".data", Kind::Loaded { prot: Prot::ReadWrite, align: 8, content: Content::Bytes(&[1; 24]) }),
            _ => return Err(Part::Section(index).error(Problem::Index)),
        };
        Ok(Section::new(name, kind))
    }

    fn symbol_count(&self) -> usize {
        SYMBOLS.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'static>, ObjectError> {
        let &name = SYMBOLS.get(index).ok_or(Part::Symbol(index).error(Problem::Index))?;
        let (definition, binding) = match index {
            // .tbss begins at 0x20.
            VARIABLE => (Definition::Section { index: 3, offset: 0x20 }, Binding::Global),
            ORDINARY => (Definition::Section { index: 4, offset: 8 }, Binding::Global),
            NOWHERE => (Definition::Undefined, Binding::Weak),
            BASE => (Definition::Undefined, Binding::Global),
            0 => (Definition::Undefined, Binding::Local),
            _ => (Definition::Section { index: 0, offset: 0 }, Binding::Global),
        };
        Ok(Symbol { name, definition, binding, hidden: false, function: false, size: 0 })
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let &reloc = self.relocs.get(index).ok_or(Part::Relocation(section, index).error(Problem::Index))?;
        let (offset, symbol, addend) = (index as u64 * 16, self.symbol, self.addend);
        Ok(Relocation { offset, reloc, symbol, addend, origin: Origin::Zero })
    }

    fn member(&self, section: usize, _: usize) -> Result<usize, ObjectError> {
        Err(Part::Section(section).error(Problem::Index))
    }
}

/// What a link makes: the bytes of `.text` and of `.got`, that at its address, and the template.
struct Linked {
    text: Vec<u8>,
    got: (Addr, Vec<u8>),
    template: Template,
    summary: Summary,
}

/// The causes of all failures, each with the relocation's number, instead.
fn link(rows: Rows, tls: Tls<'_>, pins: &[Pin<'static>]) -> Result<Linked, Vec<Cause<'static>>> {
    link_at(DATA, rows, tls, pins)
}

/// The same, with all that is not text at `data`.
fn link_at(data: u64, rows: Rows, tls: Tls<'_>, pins: &[Pin<'static>]) -> Result<Linked, Vec<Cause<'static>>> {
    let inputs = [Input { name: "rows.o", object: rows }];
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let place = |request: &aarch64_reloc::link::Request| {
        Ok::<_, Infallible>(Addr::new(if request.prot == Prot::ReadExec { TEXT } else { data }))
    };
    let mut causes = Vec::new();
    let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| {
        causes.push(match failure.cause {
            Cause::NoTls(reloc) => Cause::NoTls(reloc),
            Cause::NotThreadLocal(reloc) => Cause::NotThreadLocal(reloc),
            Cause::ThreadLocal(reloc) => Cause::ThreadLocal(reloc),
            Cause::FixedOffset(reloc) => Cause::FixedOffset(reloc),
            Cause::NoDescriptorResolver(reloc) => Cause::NoDescriptorResolver(reloc),
            Cause::SlotAddend(reloc, addend) => Cause::SlotAddend(reloc, addend),
            Cause::TornTemplate => Cause::TornTemplate,
            _ => panic!("{failure}"),
        })
    };
    let options = Options { tls, pins, ..Options::default() };
    let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, each(place), report);
    let Ok(plan) = plan else { return Err(causes) };
    let segments = plan.segments().to_vec();
    let mut bytes: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0xaa; segment.size() as usize]).collect();
    let memory = bytes.iter_mut().zip(&segments).map(|(bytes, segment)| patch::Section::new(bytes, segment.addr()));
    plan.commit(&mut memory.collect::<Vec<_>>()).unwrap();
    let bytes_of = |name: &str| {
        let output = plan.outputs().iter().find(|output| output.name() == name).unwrap();
        let (at, bytes) = match output.segment() {
            Some(segment) => ((output.addr().get() - segments[segment].addr().get()) as usize, &*bytes[segment]),
            None => (0, &[][..]),
        };
        (output.addr(), bytes[at..][..output.size() as usize].to_vec())
    };
    Ok(Linked {
        text: bytes_of(".text").1,
        got: bytes_of(".got"),
        template: plan.template().unwrap(),
        summary: plan.summary(),
    })
}

impl Linked {
    /// Wherever the words `held` stand in the GOT, as values that `reloc` takes.
    fn slots(&self, reloc: Reloc, held: Held) -> Vec<Value> {
        let words = match held {
            Held::Gdat(addr) => vec![addr.get()],
            Held::Gtprel(offset) => vec![offset as u64],
            Held::Gtlsidx { module, offset } => vec![module, offset as u64],
            Held::Gldm { module } => vec![module, 0],
            Held::Gtlsdesc { resolver, argument } => vec![resolver.get(), argument],
        };
        let (base, bytes) = &self.got;
        let found: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let places = (0..found.len()).filter(|&at| found[at..].starts_with(&words));
        let value = |at| {
            let mut got = Got::new([Entry::default()], base.at(at * 8)).unwrap();
            let slot = got.slot_for(aarch64_reloc::Symbol::new(0), Addr::new(0)).unwrap();
            match reloc.takes() {
                Class::Offset => Value::Offset(at as i64 * 8),
                _ => Value::Slot(slot),
            }
        };
        places.map(value).collect()
    }
}

/// What AAELF64 5.7.11 says that each relocation is given, by the blocks of codes there.
fn check(linked: &Linked, relocs: &[Reloc], module: u64, desc: (Addr, u64), in_block: i64, from_tp: i64) {
    for (at, &reloc) in relocs.iter().enumerate() {
        let values = match reloc.code() {
            512..=516 => linked.slots(reloc, Held::Gtlsidx { module, offset: in_block }),
            // All variables of the module share it.
            517..=522 => linked.slots(reloc, Held::Gldm { module: module.max(1) }),
            539..=543 => linked.slots(reloc, Held::Gtprel(from_tp)),
            560..=566 => linked.slots(reloc, Held::Gtlsdesc { resolver: desc.0, argument: desc.1 }),
            544..=559 | 570 | 571 => vec![Value::Offset(from_tp)],
            523..=538 | 572 | 573 | 1029 => vec![Value::Offset(in_block)],
            _ => vec![Value::Offset(0)],
        };
        let (place, size) = (Addr::new(TEXT).at(at * 16), reloc.size());
        let (before, after) = (u64::from(word(reloc)), &linked.text[at * 16..][..8]);
        let after = u64::from_le_bytes(after.try_into().unwrap());
        let after = if size == 8 { after } else { after & 0xffff_ffff };
        let words: Vec<_> = values.into_iter().map(|value| reloc.apply(before, place, value)).collect();
        assert!(words.contains(&Ok(after)), "{}: {after:x} is none of {words:x?}", reloc.name());
    }
}

const STATIC: Tls<'static> = Tls::Static { resolver: "resolve" };
const DYNAMIC: Tls<'static> = Tls::Dynamic { module: 7, resolver: Addr::new(0x1234_5678), argument: 7 << 32 };

/// Whether code of this kind runs in any process.
fn is_dynamic(reloc: &&Reloc) -> bool {
    !matches!(reloc.code(), 539..=559 | 570 | 571)
}

#[test]
fn an_image_of_its_own_has_every_kind() {
    let rows = Rows::all();
    let relocs = rows.relocs.clone();
    let linked = link(rows, STATIC, &[]).unwrap();
    assert_eq!(relocs.len(), 63);
    // .data of 24 bytes and 13 bytes of .tdata do not move what .tbss is aligned to.
    let Template { addr, in_file, size, align } = linked.template;
    assert_eq!((addr.get() % ALIGN, in_file, size, align), (0, 13, 0x80, ALIGN));
    let from_tp = OFFSET + 32;
    check(&linked, &relocs, 1, (Addr::new(TEXT), from_tp as u64), OFFSET, from_tp);
}

#[test]
fn what_is_added_to_a_process_has_no_fixed_offset() {
    let relocs: Vec<Reloc> = Reloc::ALL.iter().filter(is_thread_local).filter(is_dynamic).copied().collect();
    let linked = link(Rows::new(relocs.clone(), VARIABLE, 0), DYNAMIC, &[]).unwrap();
    check(&linked, &relocs, 7, (Addr::new(0x1234_5678), 7 << 32 | 0x40), OFFSET, 0);

    let fixed: Vec<Reloc> = Reloc::ALL.iter().filter(|reloc| !is_dynamic(reloc)).copied().collect();
    let causes = link(Rows::all(), DYNAMIC, &[]).err().unwrap();
    assert_eq!(causes, fixed.into_iter().map(Cause::FixedOffset).collect::<Vec<_>>());
}

#[test]
fn a_weak_variable_that_is_not_there_is_at_nothing() {
    let mut rows = Rows::all();
    rows.symbol = NOWHERE;
    let relocs = rows.relocs.clone();
    check(&link(rows, STATIC, &[]).unwrap(), &relocs, 0, (Addr::new(TEXT), 0), 0, 0);
}

#[test]
fn the_start_of_the_block_has_a_name() {
    let mut rows = Rows::all();
    rows.symbol = BASE;
    let relocs = rows.relocs.clone();
    check(&link(rows, STATIC, &[]).unwrap(), &relocs, 1, (Addr::new(TEXT), 32), 0, 32);
}

#[test]
fn addends_are_of_offsets_and_not_of_slots() {
    let takes_addend = |reloc: &&Reloc| matches!(reloc.code(), 523..=538 | 544..=559 | 570..=573 | 1029);
    let relocs: Vec<Reloc> = Reloc::ALL.iter().filter(takes_addend).copied().collect();
    let linked = link(Rows::new(relocs.clone(), VARIABLE, 16), STATIC, &[]).unwrap();
    check(&linked, &relocs, 1, (Addr::new(TEXT), 0), OFFSET + 16, OFFSET + 48);

    let mut rows = Rows::all();
    rows.addend = 16;
    let slots = rows.relocs.iter().filter(|reloc| matches!(reloc.code(), 512..=522 | 539..=543 | 560..=566));
    let expected: Vec<_> = slots.map(|&reloc| Cause::SlotAddend(reloc, 16)).collect();
    assert_eq!(link(rows, STATIC, &[]).err().unwrap(), expected);
}

#[test]
fn variables_and_ways_must_match() {
    let all = Rows::all().relocs;
    let causes = |cause: fn(Reloc) -> Cause<'static>| all.iter().copied().map(cause).collect::<Vec<_>>();
    assert_eq!(link(Rows::all(), Tls::Refused, &[]).err().unwrap(), causes(Cause::NoTls));

    let mut rows = Rows::all();
    rows.symbol = ORDINARY;
    assert_eq!(link(rows, STATIC, &[]).err().unwrap(), causes(Cause::NotThreadLocal));

    let ordinary = [Reloc::ABS64, Reloc::PREL32, Reloc::ADR_PREL_PG_HI21, Reloc::ADR_GOT_PAGE];
    let expected = ordinary.map(Cause::ThreadLocal).to_vec();
    assert_eq!(link(Rows::new(ordinary, VARIABLE, 0), STATIC, &[]).err().unwrap(), expected);

    let causes = link(Rows::all(), Tls::Static { resolver: "nobody" }, &[]).err().unwrap();
    let calls: Vec<_> = all.iter().filter(|reloc| matches!(reloc.code(), 560..=566)).copied().collect();
    assert_eq!(causes, calls.into_iter().map(Cause::NoDescriptorResolver).collect::<Vec<_>>());
}

#[test]
fn the_template_is_one_piece_wherever_it_is_pinned() {
    let pin = |section, addr| Pin { section, addr: Addr::new(addr) };
    let relocs = Rows::all().relocs;
    let linked = link(Rows::all(), STATIC, &[pin(".tdata", 0x70_0020)]).unwrap();
    check(&linked, &relocs, 1, (Addr::new(TEXT), OFFSET as u64 + 32), OFFSET, OFFSET + 32);
    assert_eq!(linked.template.addr, Addr::new(0x70_0020));
    assert_eq!(link(Rows::all(), STATIC, &[pin(".tbss", DATA)]).err().unwrap(), [Cause::TornTemplate]);
}

#[test]
fn far_slots_are_reached_by_detours() {
    let rows = Rows::all();
    let relocs = rows.relocs.clone();
    let Linked { text, summary, .. } = link_at(FAR, rows, STATIC, &[]).unwrap();
    // Of GD, LD, IE and descriptors: ADR and ADRP, and literal loads of all but GD.
    assert_eq!((summary.rungs.detour, summary.detours), (10, 10));
    let places = relocs.iter().zip(text.chunks(16));
    let is_branch = |place: &[u8]| place[3] & 0xfc == 0x14;
    let branches: Vec<u32> = places.filter(|(_, place)| is_branch(place)).map(|(reloc, _)| reloc.code()).collect();
    assert_eq!(branches, [512, 513, 517, 518, 522, 541, 543, 560, 561, 562]);
}
