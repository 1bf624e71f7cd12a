//! Objects of random references, assembled and linked both ways.
//!
//! `AARCH64_RELOC_OBJECTS` is how many; without it, a few. What fails names its seed.

use crate::file::{Entry, File, Header};
use crate::identity;
use crate::numbers::Random;
use std::fmt::Write as _;
use std::process::Command;

/// Sections, and the symbols in them: `_atext0` of the first object, say.
const SECTIONS: [(&str, &str); 4] = [
    ("text", "__TEXT,__text,regular,pure_instructions"),
    ("const", "__TEXT,__const"),
    ("data", "__DATA,__data"),
    ("more", "__DATA,__more"),
];
const SYMBOLS: usize = 12;
/// Variables of each object that no other sees, those of its threads among them, and functions of another object.
const FEW: usize = 4;
/// The objects of a link.
const OBJECTS: [char; 2] = ['a', 'b'];

/// Relocations and kinds of a link, added up over links.
#[derive(Default)]
struct Total(usize, usize);

fn defined(own: char, random: &mut Random) -> String {
    format!("_{own}{}{}", SECTIONS[random.below(SECTIONS.len())].0, random.below(SYMBOLS))
}

fn target(own: char, random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("_elsewhere{}", random.below(FEW)),
        1 => format!("_{own}zeros{}", random.below(FEW)),
        _ => defined(own, random),
    }
}

/// A multiple of 16 that an ADDEND holds. Not below zero: of such llvm-mc 19 makes entries of another kind. Some get their
/// sign later.
fn addend(random: &mut Random) -> usize {
    [0, 0, 16, 4096, 0x7f_fff0, 16 * random.below(0x7_ffff)][random.below(6)]
}

fn code(own: char, random: &mut Random) -> String {
    let (to, by, variable) = (target(own, random), addend(random), random.below(2 * FEW));
    let load = [
        "ldrb w1",
        "strh w2",
        "ldr w3",
        "ldrsw x4",
        "str x5",
        "ldr q6",
        "ldr d7",
        "str s8",
        "ldrsb x9",
        "prfm pldl1keep",
    ];
    match random.below(8) {
        0 => format!("bl _{own}text{}+{}", random.below(SYMBOLS), by),
        1 => format!("b _elsewhere{}", random.below(FEW)),
        7 => format!("adrp x0, _{own}variable{variable}@TLVPPAGE\nldr x0, [x0, _{own}variable{variable}@TLVPPAGEOFF]"),
        2 => format!("adrp x0, {to}@PAGE+{by}\nadd x0, x0, {to}@PAGEOFF+{by}"),
        3 => format!("adrp x0, {to}@GOTPAGE\nldr x0, [x0, {to}@GOTPAGEOFF]"),
        4 => format!("adrp x30, {to}@PAGE\n{}, [x30, {to}@PAGEOFF+{by}]", load[random.below(load.len())]),
        5 => format!("{}, [x2, {to}@PAGEOFF]", load[random.below(load.len())]),
        _ => format!("add x0, x1, {to}@PAGEOFF+{by}"),
    }
}

fn data(own: char, random: &mut Random) -> String {
    let (to, from, by) = (target(own, random), defined(own, random), random.next() as i32 >> random.below(32));
    match random.below(6) {
        0 => format!(".quad {to}+{by}"),
        1 => format!(".quad {to}"),
        2 => format!(".quad {to}-{from}+{by}"),
        3 => format!(".long {to}-{from}+{}", by / 4),
        4 => format!(".quad {to}-."),
        _ => format!(".long {to}@GOT-."),
    }
}

fn source(own: char, random: &mut Random) -> String {
    let mut text = String::from(if own == OBJECTS[0] { ".globl _main\n_main = _atext0\n" } else { "" });
    for (name, section) in SECTIONS {
        writeln!(text, ".section {section}").unwrap();
        for index in 0..SYMBOLS {
            let scope = ["", ".globl", ".private_extern"][random.below(3)];
            let symbol = format!("_{own}{name}{index}");
            if !scope.is_empty() {
                writeln!(text, "{scope} {symbol}").unwrap();
            }
            writeln!(text, ".p2align 4\n{symbol}:").unwrap();
            for _ in 0..random.below(12) {
                text += &if name == "text" { code(own, random) } else { data(own, random) };
                text += "\n";
            }
        }
    }
    for index in 0..FEW {
        writeln!(text, ".zerofill __DATA,__bss,_{own}zeros{index},{},4", 16 + random.below(0x4000)).unwrap();
        writeln!(text, ".tbss _{own}zero{index}$tlv$init,{},4", 16 * (1 + random.below(8))).unwrap();
        // Two of the four that the code of either wants.
        if index % 2 == usize::from(own != OBJECTS[0]) {
            writeln!(text, ".text\n.globl _elsewhere{index}\n.p2align 4\n_elsewhere{index}: ret").unwrap();
        }
    }
    text += ".section __DATA,__thread_data,thread_local_regular\n";
    for index in 0..FEW {
        writeln!(text, ".p2align 4\n_{own}first{index}$tlv$init: .quad {}", random.next()).unwrap();
    }
    text += ".section __DATA,__thread_vars,thread_local_variables\n.p2align 3\n";
    for index in 0..2 * FEW {
        let value = if index < FEW { "first" } else { "zero" };
        writeln!(text, "_{own}variable{index}: .quad __tlv_bootstrap, 0, _{own}{value}{}$tlv$init", index % FEW)
            .unwrap();
    }
    text + ".subsections_via_symbols\n"
}

/// Has addends (`ARM64_RELOC_ADDEND`) that `choose` picks be below zero.
fn negate(file: &mut File, mut choose: impl FnMut() -> bool) {
    for header in file.sections() {
        for (index, entry) in file.entries(header).into_iter().enumerate() {
            if entry.kind == 10 && choose() {
                file.set_entry(header, index, Entry { symbol: entry.symbol.wrapping_neg() & 0xff_ffff, ..entry });
            }
        }
    }
}

const S_THREAD_LOCAL_VARIABLES: u32 = 0x13;

/// Has the entries that `choose` picks, of those that can, refer to sections (`r_extern` = 0). Answers how many there were.
pub fn take_symbols_away(file: &mut File, mut choose: impl FnMut() -> bool) -> usize {
    let mut changed = 0;
    // There ld64.lld takes a section for an address, where it takes a symbol for an offset in the template.
    let sections = file.sections().into_iter().filter(|&header| file.flags(header) & 0xff != S_THREAD_LOCAL_VARIABLES);
    for header in sections.collect::<Vec<_>>() {
        for (index, entry) in file.entries(header).into_iter().enumerate() {
            // ARM64_RELOC_UNSIGNED
            if entry.kind != 0 || !entry.is_extern {
                continue;
            }
            let symbol = file.symbol_at(entry.symbol as usize);
            let section = u32::from(file.bytes[symbol + 5]);
            if section == 0 || !choose() {
                continue;
            }
            file.set_entry(header, index, Entry { is_extern: false, symbol: section, ..entry });
            let at = file.u32(header.0 + Header::OFFSET) as usize + entry.address as usize;
            let len = 1 << entry.length;
            let in_place = if len == 8 { file.u64(at) } else { file.u32(at).into() };
            file.put(at, in_place.wrapping_add(file.u64(symbol + 8)), len);
            changed += 1;
        }
    }
    changed
}

#[test]
fn random_objects_are_linked_as_by_lld() {
    let count = std::env::var("AARCH64_RELOC_OBJECTS").map_or(4, |text| text.parse().unwrap());
    if identity::require_tools().is_none() {
        return;
    }
    let mut total = Total::default();
    let folder = tempfile::tempdir().unwrap();
    let paths = [folder.path().join("random.s"), folder.path().join("random.o")];
    for seed in 0..count {
        println!("seed {seed}");
        let mut random = Random(seed);
        let files = OBJECTS.map(|own| {
            std::fs::write(&paths[0], source(own, &mut random)).unwrap();
            let mut assembler = Command::new("llvm-mc-19");
            identity::run(
                assembler.args(["-triple", "arm64-apple-macos13", "-filetype=obj", "-o"]).args([&paths[1], &paths[0]]),
            );
            let mut file = File { bytes: std::fs::read(&paths[1]).unwrap() };
            take_symbols_away(&mut file, || random.below(3) == 0);
            negate(&mut file, || random.below(3) == 0);
            file
        });
        let Some((relocations, kinds, _)) = identity::compare(files.into()) else { return };
        total = Total(total.0 + relocations, total.1.max(kinds));
    }
    println!("{} relocations of {} kinds", total.0, total.1);
    // All but AUTHENTICATED_POINTER.
    assert!(total.1 == 11 && total.0 as u64 > 300 * count, "{} relocations of {} kinds", total.0, total.1);
}
