//! Mach-O objects: what is read of them, every way to refuse them, and the same links as ld64.lld's.
//!
//! `macho/make.sh` makes the objects.
#![cfg(all(feature = "std", feature = "object"))]

#[allow(dead_code)]
mod common;
#[path = "macho/file.rs"]
mod file;
#[path = "macho/identity.rs"]
mod identity;
#[path = "common/random.rs"]
mod numbers;
#[path = "macho/random.rs"]
mod random;
#[path = "macho/refused.rs"]
mod refused;
#[path = "common/texts.rs"]
mod texts;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{
    Binding, Definition, Failure, Input, Kind, Object, Options, Origin, Plan, Request, Storage, Symbol, each, measure,
};
use aarch64_reloc::reloc::Reloc;
use file::{Entry, File};
use std::convert::Infallible;
use std::process::Command;

const OBJECTS: [&str; 7] = ["kinds.o", "local.o", "c-O0.o", "c-O2.o", "cc-O0.o", "cc-O2.o", "debug.o"];

#[test]
fn objects_are_linked_as_by_lld() {
    // Relocations, kinds, and slots.
    let expected = [(62, 11, 7), (13, 2, 0), (68, 8, 5), (60, 9, 4), (264, 10, 17), (270, 11, 16), (60, 9, 4)];
    for (name, expected) in OBJECTS.into_iter().zip(expected) {
        let Some(compared) = identity::compare(vec![File::open(name)]) else { return };
        assert_eq!(compared, expected, "{name}");
    }
}

#[test]
fn several_objects_are_linked_as_by_lld() {
    // Of thread variables, the first values of one come before the zeros of the other.
    let pairs = [
        (["c-O0.o", "cc-O2.o"], (338, 11, 21)),
        (["c-O2.o", "cc-O0.o"], (324, 11, 21)),
        (["cc-O0.o", "c-O2.o"], (324, 11, 21)),
    ];
    for (names, expected) in pairs {
        let Some(compared) = identity::compare(names.map(File::open).into()) else { return };
        assert_eq!(compared, expected, "{names:?}");
    }
}

#[test]
fn targets_without_symbols_are_linked_as_by_lld() {
    let mut file = File::open("local.o");
    let changed = random::take_symbols_away(&mut file, || true);
    let object = MachO::parse(&file.bytes).unwrap();
    let stand_ins = object.symbol(file.symbol_count()).unwrap();
    assert_eq!(stand_ins.definition, Definition::Section { index: 1, offset: 0 });
    assert_eq!(changed, 10);
    let Some(compared) = identity::compare(vec![file]) else { return };
    assert_eq!(compared, (13, 2, 0));
}

#[test]
fn addends_have_a_sign() {
    let mut file = File::open("kinds.o");
    let header = file.section("__TEXT,__text");
    let entries = file.entries(header);
    // The one before BRANCH26.
    let index =
        (1..entries.len()).find(|&index| entries[index].kind == 2 && entries[index - 1].kind == 10).unwrap() - 1;
    for (bits, addend) in [(0x80_0000, -0x80_0000), (0x7f_ffff, 0x7f_ffff), (0xff_fffc, -4)] {
        file.set_entry(header, index, Entry { symbol: bits, ..entries[index] });
        let object = MachO::parse(&file.bytes).unwrap();
        let table = 1 + file.sections().len();
        let first = object.relocation(table, index).unwrap();
        assert_eq!((first.reloc, first.addend, first.symbol), (Reloc::NONE, 0, 0));
        let second = object.relocation(table, index + 1).unwrap();
        assert_eq!((second.reloc, second.addend, second.origin), (Reloc::CALL26, addend, Origin::Zero));
    }
    let Some(compared) = identity::compare(vec![file]) else { return };
    assert_eq!(compared, (62, 11, 7));
}

/// A difference of 4 bytes has a sign, at both ends of its range.
#[test]
fn differences_are_refused_where_lld_refuses_them() {
    const NEAREST: i64 = -1 << 31;
    if identity::require_tools().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [source, object] = ["far.s", "far.o"].map(|name| folder.path().join(name));
    for (from, to, addend, fits) in
        [("near", "far", -1, true), ("near", "far", 0, false), ("far", "near", 0, true), ("far", "near", -1, false)]
    {
        let text = format!(
            ".globl _main\n_main: ret\n.data\n.globl _near, _far\n.long _{to}-_{from}+{addend}\n\
             .zerofill __DATA,__bss,_near,{:#x},0\n.zerofill __DATA,__bss,_far,1,0\n",
            -NEAREST
        );
        std::fs::write(&source, text).unwrap();
        let mut assembler = Command::new("llvm-mc-19");
        identity::run(
            assembler.args(["-triple", "arm64-apple-macos13", "-filetype=obj", "-o"]).args([&object, &source]),
        );
        let mut linker = Command::new("ld64.lld-19");
        linker.args(["-arch", "arm64", "-platform_version", "macos", "13.0", "13.0", "-e", "_main", "-o"]);
        let theirs = linker.arg(folder.path().join("image")).arg(&object).output().unwrap();
        let message = String::from_utf8_lossy(&theirs.stderr);
        assert_eq!((theirs.status.success(), message.contains("relocation SUBTRACTOR is out of range")), (fits, !fits));

        let bytes = std::fs::read(&object).unwrap();
        let inputs = [Input { name: "far.o", object: MachO::parse(&bytes).unwrap() }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let mut lines = Vec::new();
        let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
        let mut next = 0;
        let place = |_: &Request| {
            next += 0x1_0000_0000;
            Ok::<_, Infallible>(Addr::new(next))
        };
        let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, each(place), report);
        assert_eq!(plan.is_ok(), fits, "{to}-{from}+{addend}");
        drop(plan);
        let is_named = |line: &String| line.starts_with("far.o: __DATA,__data+0x0: ARM64_RELOC_UNSIGNED: ");
        assert_eq!(lines.iter().filter(|line| is_named(line)).count(), usize::from(!fits), "{lines:?}");
    }
}

#[test]
fn sections_are_protected_by_segment_and_instructions() {
    let file = File::open("cc-O0.o");
    let object = MachO::parse(&file.bytes).unwrap();
    let loaded = |index| match object.section(index).unwrap() {
        section if matches!(section.kind, Kind::Ignored) => Some((section.name, None)),
        section => match section.kind {
            Kind::Loaded { prot, .. } => Some((section.name, Some(prot))),
            _ => None,
        },
    };
    let sections: Vec<_> = (1..object.section_count()).map_while(loaded).collect();
    let expected = [
        ("__TEXT,__text", Some(Prot::ReadExec)),
        ("__TEXT,__gcc_except_tab", Some(Prot::Read)),
        ("__TEXT,__StaticInit", Some(Prot::ReadExec)),
        ("__DATA,__const", Some(Prot::ReadWrite)),
        ("__TEXT,__cstring", Some(Prot::Read)),
        ("__DATA,__bss", Some(Prot::ReadWrite)),
        ("__DATA,__thread_bss", Some(Prot::ReadWrite)),
        ("__DATA,__thread_vars", Some(Prot::ReadWrite)),
        ("__TEXT,__const", Some(Prot::Read)),
        ("__DATA,__data", Some(Prot::ReadWrite)),
        ("__DATA,__mod_init_func", Some(Prot::ReadWrite)),
        ("__compact_unwind", None),
        ("__TEXT,__eh_frame", Some(Prot::Read)),
    ];
    assert_eq!(sections, expected);
}

#[test]
fn an_object_may_lie_at_any_address() {
    let file = File::open("c-O2.o");
    let expected = MachO::parse(&file.bytes).unwrap();
    for shift in 1..8 {
        let shifted = [vec![0; shift], file.bytes.clone()].concat();
        let object = MachO::parse(&shifted[shift..]).unwrap();
        assert_eq!(object.symbol_count(), expected.symbol_count());
        for index in 0..object.section_count() {
            assert_eq!(object.section(index), expected.section(index));
            assert_eq!(object.relocation(index, 0), expected.relocation(index, 0));
        }
        for index in 0..object.symbol_count() {
            assert_eq!(object.symbol(index), expected.symbol(index));
        }
    }
}

#[test]
fn a_section_of_another_name_has_half_of_it() {
    let file = File::open("local.o");
    let object = MachO::parse(&file.bytes).unwrap();
    let names = (1..=file.sections().len()).map(|index| object.section(index).unwrap().name);
    assert_eq!(names.collect::<Vec<_>>(), ["__TEXT,__text", "__DATA,__data", "__other", "__DATA,__bss"]);
}

#[test]
fn the_image_is_its_own_handle() {
    let file = File::open("cc-O2.o");
    let inputs = [Input { name: "cc", object: MachO::parse(&file.bytes).unwrap() }];
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut next = 0x10_0000;
    let place = |request: &Request| {
        next += request.size.next_multiple_of(0x1000);
        Ok::<_, Infallible>(Addr::new(next))
    };
    let resolve = &mut |name: &str| (name != "___dso_handle").then_some(Addr::new(0x8000));
    let report = &mut |failure: &Failure<'_>| panic!("{failure}");
    let plan = Plan::new(&inputs, &Options::default(), storage.lend(), resolve, each(place), report).unwrap();
    let first = plan.outputs().iter().filter(|output| output.size() > 0).map(|output| output.addr()).min();
    assert_eq!(plan.find("___dso_handle"), first);
}

#[test]
fn symbols_are_what_their_entries_say() {
    let file = File::open("kinds.o");
    let object = MachO::parse(&file.bytes).unwrap();
    let symbol = |name| object.symbol(file.symbol(name)).unwrap();
    let Symbol { definition, binding, function, hidden, size, .. } = symbol("_main");
    assert_eq!(definition, Definition::Section { index: 1, offset: 0 });
    assert_eq!((binding, function, hidden, size), (Binding::Global, true, false, 0));
    assert_eq!(symbol("_function").binding, Binding::Local);
    assert_eq!(symbol("_function").name, "_function");
    assert_eq!(symbol("_data").definition, Definition::Section { index: 2, offset: 0 });
    assert!(!symbol("_data").function);
    assert_eq!(symbol("_elsewhere").definition, Definition::Undefined);
    assert_eq!(symbol("_elsewhere").binding, Binding::Global);
    assert_eq!(symbol("_nowhere").definition, Definition::Undefined);
    assert_eq!(symbol("_nowhere").binding, Binding::Weak);
    assert_eq!(symbol("_common").definition, Definition::Common { align: 8 });
    assert_eq!(symbol("_common").size, 12);
    assert_eq!(symbol("_number").definition, Definition::Absolute(0x12_3456_7890));
    assert_eq!((symbol("_private").binding, symbol("_private").hidden), (Binding::Global, true));
    assert_eq!((symbol("_weak").binding, symbol("_weak").hidden), (Binding::Weak, false));
    // A symbol for debuggers (N_STAB) is nowhere.
    let mut file = file.clone();
    let at = file.symbol_at(file.symbol("_number"));
    file.bytes[at + 4] = 0x24;
    let object = MachO::parse(&file.bytes).unwrap();
    let Symbol { name, definition, binding, .. } = object.symbol(file.symbol("_number")).unwrap();
    assert_eq!((name, definition, binding), ("_number", Definition::File, Binding::Local));
}
