//! Indirect functions: what refers to one leads through its veneer and slot, and its resolver is called once.
#![cfg(all(feature = "std", feature = "object"))]

#[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
mod common;
#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{
    Definition, Failure, Indirect, Input, Object, Options, Pin, Plan, Policy, Refused, Request, Storage, measure,
};
use aarch64_reloc::patch::Section;
use std::convert::Infallible;

/// A link of `indirect.o`: text, then what is writable, each with its address; the indirect functions; all symbols; or why
/// there is none.
struct Linked {
    segments: Vec<(u64, Vec<u8>)>,
    indirect: Vec<(String, u64, u64)>,
    symbols: Vec<(String, u64)>,
}

fn link(policy: Policy, pins: &[Pin<'static>], slots: Option<usize>) -> Result<Linked, Vec<String>> {
    let bytes = objects::read("bad/indirect.o");
    let inputs = [Input { name: "indirect.o", object: Elf::parse(&bytes).unwrap() }];
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let mut tables = storage.lend();
    if let Some(slots) = slots {
        tables.veneers = &mut core::mem::take(&mut tables.veneers)[..slots];
    }
    let mut next = 0x40_0000;
    let place = |requests: &mut [Request]| {
        for request in requests {
            request.size = request.most;
            request.addr = Addr::new(next);
            next += 0x1_0000;
        }
        Ok::<_, Infallible>(())
    };
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let options = Options { pins, policy, ..Options::default() };
    let plan = match Plan::new(&inputs, &options, tables, &mut |_| None, place, report) {
        Ok(plan) => plan,
        Err(Refused::Failures(count)) => {
            assert_eq!(count, lines.len());
            return Err(lines);
        }
    };
    let mut segments: Vec<_> =
        plan.segments().iter().map(|segment| (segment.addr().get(), vec![0; segment.size() as usize])).collect();
    let memory = segments.iter_mut().map(|(addr, bytes)| Section::new(bytes, Addr::new(*addr)));
    plan.commit(&mut memory.collect::<Vec<_>>()).unwrap();
    let indirect =
        plan.indirect().map(|Indirect { name, resolver, slot }| (name.to_owned(), resolver.get(), slot.get()));
    let indirect = indirect.collect();
    let symbols = plan.symbols().map(|found| (found.symbol.name.to_owned(), found.addr.get())).collect();
    let found = plan.find("chosen").unwrap();
    let linked = Linked { segments, indirect, symbols };
    assert_eq!(found.get(), linked.symbol("chosen"));
    Ok(linked)
}

impl Linked {
    fn symbol(&self, name: &str) -> u64 {
        self.symbols.iter().find(|(found, _)| found == name).unwrap().1
    }

    fn bytes(&self, at: u64) -> &[u8] {
        let holds = |(addr, bytes): &&(u64, Vec<u8>)| (*addr..addr + bytes.len() as u64).contains(&at);
        let (addr, bytes) = self.segments.iter().find(holds).unwrap();
        &bytes[(at - addr) as usize..]
    }

    fn word(&self, at: u64) -> u32 {
        u32::from_le_bytes(*self.bytes(at).first_chunk().unwrap())
    }

    fn long(&self, at: u64) -> u64 {
        u64::from_le_bytes(*self.bytes(at).first_chunk().unwrap())
    }

    /// The slot that the veneer at `at` jumps through: `ADRP x16; LDR x16, [x16, #...]; BR x16`.
    fn slot_of(&self, at: u64) -> u64 {
        let [adrp, ldr, br] = [0, 4, 8].map(|into| self.word(at + into));
        assert_eq!((adrp & 0x9f00_001f, ldr & 0xffc0_03ff, br), (0x9000_0010, 0xf940_0210, 0xd61f_0200));
        let pages = i64::from((adrp << 8).cast_signed() >> 13 << 2) | i64::from(adrp >> 29 & 3);
        (at & !0xfff).wrapping_add_signed(pages << 12) + u64::from(ldr >> 10 & 0xfff) * 8
    }

    /// Where the branch at `at` goes.
    fn branch(&self, at: u64) -> u64 {
        let word = self.word(at);
        assert_eq!(word & 0x7c00_0000, 0x1400_0000, "{word:#x}");
        at.wrapping_add_signed(i64::from((word << 6).cast_signed() >> 4))
    }
}

const ALLOWED: Policy = Policy { resolvers: true, ..Policy::ALL };
/// Instructions from `main` to its call, and to its other references.
const CALL: u64 = 13;

#[test]
fn everything_leads_to_one_veneer() {
    let linked = link(ALLOWED, &[], None).unwrap();
    let (main, veneer) = (linked.symbol("main"), linked.symbol("chosen"));
    let [(name, resolver, slot)] = &linked.indirect[..] else { panic!("{:?}", linked.indirect) };
    assert_eq!(name, "chosen");
    // The resolver is behind the two instructions of `answer`.
    assert_eq!((*resolver, linked.symbol("answer")), (0x40_0008, 0x40_0000));
    assert_ne!(veneer, *resolver);
    assert_eq!(linked.slot_of(veneer), *slot);
    assert_eq!(linked.long(*slot), 0);
    assert_eq!(linked.branch(main + 4 * CALL), veneer);
    assert_eq!(linked.long(linked.symbol("spoken")), veneer);
    // ADRP x1 and ADD x1; ADRP x2 and LDR x2, whose slot is another.
    let [adrp, add, got, ldr] = [4, 8, 12, 16].map(|into| linked.word(main + into));
    let page = |adrp: u32| (main & !0xfff) + (u64::from((adrp >> 5 & 0x7_ffff) << 2 | adrp >> 29 & 3) << 12);
    assert_eq!(page(adrp) + u64::from(add >> 10 & 0xfff), veneer);
    let other = page(got) + u64::from(ldr >> 10 & 0xfff) * 8;
    assert!(other != *slot && linked.long(other) == veneer);
}

#[test]
fn its_address_can_be_called_on_guarded_pages() {
    let linked = link(Policy { landing_pads: true, ..ALLOWED }, &[], None).unwrap();
    let pad = linked.symbol("chosen");
    // BTI c, and on to the veneer.
    assert_eq!(linked.word(pad), 0xd503_245f);
    assert_eq!(linked.slot_of(linked.branch(pad + 4)), linked.indirect[0].2);
    assert_eq!(linked.long(linked.symbol("spoken")), pad);
}

#[test]
fn it_is_reached_from_far() {
    // The text is pinned 4 GiB from all else, and then the table of slots.
    for (section, at) in [(".text", 0x1_8000_0000_u64), (".got", 0x1_8000_0000)] {
        let linked = link(ALLOWED, &[Pin { section, addr: Addr::new(at) }], None).unwrap();
        assert_eq!(linked.long(linked.symbol("spoken")), linked.symbol("chosen"));
        assert_eq!(linked.long(linked.indirect[0].2), 0);
    }
}

#[test]
fn it_is_refused_where_it_cannot_be() {
    let says = |why: &str| vec![format!("indirect.o: {why} (symbol 'chosen')")];
    let nobody = says("an indirect function, whose resolver nothing calls before the image runs");
    assert_eq!(link(Policy::ALL, &[], None).err().unwrap(), nobody);
    for policy in [Policy { veneers: false, ..ALLOWED }, Policy { scratch: false, ..ALLOWED }] {
        let veneer = says("an indirect function needs a veneer, which the policy does not allow");
        assert_eq!(link(policy, &[], None).err().unwrap(), veneer);
    }
}

#[test]
fn a_table_too_short_is_reported() {
    let lines = link(ALLOWED, &[], Some(0)).err().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("the table of veneers that was lent is too short"), "{lines:?}");
}

#[test]
fn the_reader_tells_it_from_a_function() {
    let bytes = objects::read("bad/ifunc.o");
    let object = Elf::parse(&bytes).unwrap();
    let symbol =
        (0..object.symbol_count()).map(|index| object.symbol(index).unwrap()).find(|symbol| symbol.name == "chosen");
    let symbol = symbol.unwrap();
    assert!(symbol.function && matches!(symbol.definition, Definition::Indirect { offset: 0, .. }));
}

#[test]
#[cfg(target_arch = "aarch64")]
fn it_is_called_as_its_resolver_says() {
    use aarch64_reloc::load::Image;
    use aarch64_reloc::mem::Reservation;
    let bytes = objects::read("bad/indirect.o");
    let reservation = Reservation::new(1 << 24).unwrap();
    let inputs = [Input { name: "indirect.o", object: Elf::parse(&bytes).unwrap() }];
    for landing_pads in [false, true] {
        let options = Options { policy: Policy { landing_pads, ..Policy::ALL }, ..Options::default() };
        let report = &mut |failure: &Failure<'_>| panic!("{failure}");
        let image = Image::load(&reservation, &inputs, &options, &mut |_| None, report).unwrap();
        let main = image.symbol("main").unwrap();
        // SAFETY: the object's resolver asks for nothing but its arguments.
        let image = unsafe { image.start(&[core::ptr::null()]) }.unwrap();
        // SAFETY: `main` has this type, and `image` lives longer than the call.
        let main: extern "C" fn() -> u32 = unsafe { image.function(main) }.unwrap();
        assert_eq!(main(), 42);
    }
}

/// Images that the example emits, whose start routine calls the resolvers.
#[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
mod emitted {
    use super::{common, objects};

    #[test]
    fn resolvers_are_called_before_the_entry() {
        if common::require("qemu-aarch64").is_none() {
            return;
        }
        let Some(mut link) = objects::example() else { return };
        let output = link.arg(objects::path("bad/indirect.o")).output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(42), &b""[..]));
    }

    #[test]
    fn resolvers_are_told_of_the_machine_and_asked_once() {
        if common::require("qemu-aarch64").is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("features.o");
        let compilers: [(&str, &[&str]); 2] =
            [("clang-19", &["--target=aarch64-linux-gnu"]), ("aarch64-linux-gnu-gcc", &["-fno-stack-protector"])];
        let options: [&[&str]; 3] = [&["-O0"], &["-O2"], &["-O2", "-fPIC"]];
        for (tool, own) in compilers {
            for options in options {
                let Some(mut compiler) = common::require(tool) else { return };
                compiler.args(own).args(options).args(["-ffreestanding", "-c", "-o"]).arg(&object);
                let source = objects::path("../indirect/features.c");
                assert!(compiler.arg(source).status().unwrap().success());
                let Some(mut link) = objects::example() else { return };
                let output = link.arg(&object).output().unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert_eq!((output.status.code(), &*stderr), (Some(42), ""), "{tool} {options:?}");
            }
        }
    }

    /// A start routine of the objects' own is not known to call resolvers.
    #[test]
    fn without_the_start_routine_they_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut link) = objects::example() else { return };
        link.args(["bad/start.o", "bad/ifunc.o"].map(objects::path)).args(["--entry", "_start", "--emit"]);
        let output = link.arg(folder.path().join("image")).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let why = "an indirect function, whose resolver nothing calls before the image runs (symbol 'chosen')";
        assert!(output.status.code() == Some(1) && stderr.trim_end().ends_with(why), "{stderr}");
    }
}
