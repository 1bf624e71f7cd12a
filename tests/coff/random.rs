//! Objects of random references, with random addends in place, assembled and linked both ways at random addresses.
//!
//! `AARCH64_RELOC_OBJECTS` is how many links of two objects; without it, a few. What fails names its seed.
//!
//! Of what lld-link cuts off without a word, a plan must refuse each, and nothing else: a link is refused at first for
//! exactly that, and compared without.

use crate::file::{File, entry};
use crate::identity::{self, Refusal};
use crate::numbers::Random;
use aarch64_reloc::link::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Sections of code, then of data: their names, and what an assembler is told of them.
const SECTIONS: [(&str, &str); 14] = [
    (".text", "xr"),
    (".text$mn", "xr"),
    (".text$a", "xr"),
    ("code$b", "xr"),
    (".rdata", "dr"),
    (".rdata$zz", "dr"),
    (".data", "dw"),
    (".data$q", "dw"),
    ("mine$b", "dr"),
    ("mine$a", "dr"),
    (".CRT$XCU", "dr"),
    (".CRT$XIB", "dr"),
    (".CRT$XPA", "dr"),
    (".CRT$XTZ", "dr"),
];
const CODE: usize = 4;
/// Of `.text`.
const TEXT: usize = 3;
/// Only pointers.
const ARRAYS: usize = 10;
/// Symbols in each section; the first is seen by the other object.
const SYMBOLS: usize = 5;
/// The objects of a link.
const OBJECTS: [char; 2] = ['a', 'b'];

/// The number that `anumber` is.
const NUMBER: u64 = 0x1234_5670;

/// The first byte of the image, where a linker puts a header.
const IMAGE: &str = "__ImageBase";

/// The types of relocations, by their numbers.
mod kind {
    pub const ADDR32: usize = 1;
    pub const ADDR32NB: usize = 2;
    pub const BRANCH26: usize = 3;
    pub const PAGEBASE_REL21: usize = 4;
    pub const REL21: usize = 5;
    pub const PAGEOFFSET_12A: usize = 6;
    pub const PAGEOFFSET_12L: usize = 7;
    pub const SECREL: usize = 8;
    pub const SECREL_LOW12A: usize = 9;
    pub const SECREL_HIGH12A: usize = 10;
    pub const SECREL_LOW12L: usize = 11;
    pub const ADDR64: usize = 14;
    pub const BRANCH19: usize = 15;
    pub const BRANCH14: usize = 16;
    pub const REL32: usize = 17;
}

fn other(own: char) -> char {
    OBJECTS[usize::from(own == OBJECTS[0])]
}

/// A symbol in one of `sections`.
fn defined(own: char, sections: std::ops::Range<usize>, random: &mut Random) -> String {
    let section = sections.start + random.below(sections.len());
    match random.below(4) {
        0 => format!("{}{section}_0", other(own)),
        _ => format!("{own}{section}_{}", random.below(SYMBOLS)),
    }
}

fn any(own: char, random: &mut Random) -> String {
    match random.below(12) {
        0 => format!("{own}zeros"),
        // An assembler knows its own.
        1 => format!("{}number", other(own)),
        2 => IMAGE.to_owned(),
        _ => in_section(own, random),
    }
}

fn in_section(own: char, random: &mut Random) -> String {
    defined(own, 0..SECTIONS.len(), random)
}

/// A symbol whose distance from its output section is the same here: `.CRT` is one for lld-link, and several for a plan.
fn measured(own: char, random: &mut Random) -> String {
    defined(own, 0..ARRAYS, random)
}

/// A multiple of 16 that is added to a symbol.
fn addend(random: &mut Random) -> i64 {
    [0, 0, 16, -16, 0xff0, -0x1000, 16 * (random.below(0x1000) as i64 - 0x800)][random.below(7)]
}

/// An instruction in `section`.
fn code(own: char, section: usize, random: &mut Random) -> String {
    let label = match random.below(40) {
        // Within an instruction.
        0 => format!("{}odd", other(own)),
        _ => defined(own, 0..CODE, random),
    };
    // What a conditional branch reaches is in one output section.
    let beside = match random.below(40) {
        0 => format!("{}odd", other(own)),
        1 => format!("{own}far"),
        _ => defined(own, if section < TEXT { 0..TEXT } else { TEXT..CODE }, random),
    };
    let (to, of, by) = (any(own, random), measured(own, random), addend(random));
    let near = if random.below(30) == 0 { format!("{own}far") } else { in_section(own, random) };
    let load = ["ldrb w1", "strh w2", "ldr w3", "ldrsw x4", "str x5", "ldr q6", "ldr d7", "str s8", "prfm pldl1keep"];
    let load = load[random.below(load.len())];
    match random.below(11) {
        0 => format!("bl {label}"),
        1 => format!("b {label}"),
        2 => format!("{} {beside}", ["b.eq", "cbz x3,", "cbnz w7,"][random.below(3)]),
        3 => format!("{} {beside}", ["tbz w0, #3,", "tbnz x9, #40,"][random.below(2)]),
        4 => format!("adrp x{}, {to}+{by}", random.below(31)),
        5 => format!("adr x{}, {near}+{by}", random.below(31)),
        6 => format!("add x0, x1, :lo12:{to}+{by}"),
        7 => format!("{load}, [x2, :lo12:{to}+{}]", by & 0xff0),
        8 => format!("add x8, x8, :secrel_hi12:{of}"),
        9 => format!("add x8, x8, :secrel_lo12:{of}+{}", by & 0xff0),
        _ => format!("{load}, [x8, :secrel_lo12:{of}+{}]", by & 0xff0),
    }
}

fn data(own: char, label: &str, random: &mut Random) -> String {
    let (to, of, by) = (any(own, random), measured(own, random), random.next() as i32 >> (12 + random.below(20)));
    match random.below(7) {
        0 => format!(".quad {to}+{by}"),
        1 => format!(".rva {to}+{by}"),
        2 => format!(".word {of}@IMGREL"),
        3 => format!(".word {of}-.+{by}"),
        4 => format!(".secrel32 {of}+{}", by.unsigned_abs()),
        5 => format!(".word {to}"),
        _ => format!("{label}secidx_of_{of}: .secidx {of}"),
    }
}

fn source(own: char, random: &mut Random) -> String {
    let mut text = format!(".globl {own}number\n{own}number = {NUMBER}\n");
    if own == OBJECTS[0] {
        text += ".globl start\n.text\nstart: ret\n";
    }
    let mut order: Vec<usize> = (0..SECTIONS.len()).collect();
    (1..order.len()).for_each(|index| order.swap(index, random.below(index + 1)));
    for section in order {
        let (name, flags) = SECTIONS[section];
        writeln!(text, ".section {name},\"{flags}\"").unwrap();
        for index in 0..SYMBOLS {
            let symbol = format!("{own}{section}_{index}");
            if index == 0 || random.below(2) == 0 {
                writeln!(text, ".globl {symbol}").unwrap();
            }
            let align = if section < ARRAYS { 4 + random.below(4) } else { 4 };
            writeln!(text, ".p2align {align}\n{symbol}:").unwrap();
            for at in 0..random.below(12) {
                text += &match section {
                    _ if section < CODE => code(own, section, random),
                    _ if section < ARRAYS => data(own, &format!("{symbol}_{at}"), random),
                    _ => format!(".quad {}", in_section(own, random)),
                };
                text += "\n";
            }
        }
        // So that the parts of `.CRT` follow each other without a gap.
        text += ".p2align 4\n";
    }
    writeln!(text, ".section .text,\"xr\"\n.p2align 2\nnop\n.globl {own}odd\n{own}odd = .-2\n").unwrap();
    writeln!(text, ".section .bss$z,\"bw\"\n.p2align 4\n{own}zeros: .zero {}", random.below(0x3000)).unwrap();
    writeln!(text, ".section zz,\"bw\"\n.zero {}\n.p2align 4\n{own}far: .zero 16", 2 << 20).unwrap();
    text
}

/// Why a plan refuses a relocation: what lld-link does without a word.
type Odd = BTreeMap<(String, usize, usize), &'static str>;

/// Changes what an assembler never emits: some types of relocations, and addends in place. Answers which of the relocations
/// are refused then, in an image at `base`.
fn change(object: &str, file: &mut File, base: u64, random: &mut Random) -> Odd {
    let mut odd = Odd::new();
    for (section, index) in file.entries() {
        let symbol = file.name(file.entry_field(section, index, entry::SYMBOL));
        let (is_number, is_far) = (symbol.ends_with("number"), base > u64::from(u32::MAX));
        let mut kind = file.entry_field(section, index, entry::KIND);
        // All that put an address or a distance into four bytes.
        let long = [kind::ADDR32, kind::ADDR32NB, kind::REL32, kind::SECREL];
        if long.contains(&kind) && random.below(3) == 0 && !is_number {
            let is_array = (ARRAYS..SECTIONS.len()).any(|array| symbol[1..].starts_with(&format!("{array}_")));
            kind = long[random.below(if is_array || symbol == IMAGE { 3 } else { 4 })];
            file.entry(section, index, entry::KIND, kind as u64);
        }
        let (word, chosen) = (file.word(section, index), random.below(4) == 0);
        let imm12 = |bits: usize| word & !(0xfff << 10) | (bits as u32 & 0xfff) << 10;
        let imm21 = |bits: i64| word & 0x9f00_001f | (bits as u32 & 3) << 29 | (bits as u32 >> 2 & 0x7_ffff) << 5;
        let new = match kind {
            kind::PAGEOFFSET_12A | kind::PAGEOFFSET_12L | kind::SECREL_LOW12A | kind::SECREL_LOW12L if chosen => {
                imm12(random.below(0x1000))
            }
            kind::PAGEBASE_REL21 if chosen => imm21(random.next() as i64 >> 43),
            kind::REL21 if chosen => imm21(random.next() as i64 >> 50),
            kind::ADDR64 | kind::ADDR32 | kind::ADDR32NB | kind::REL32 if chosen => random.next() as u32 >> 12,
            kind::SECREL if chosen => random.next() as u32 >> 8,
            kind::SECREL_HIGH12A if random.below(8) == 0 => imm12(1 + random.below(0xfff)),
            kind::BRANCH26 if random.below(20) == 0 => word | (1 + random.below(0x3ff_ffff) as u32),
            kind::BRANCH19 if random.below(20) == 0 => word | (1 + random.below(0x7_ffff) as u32) << 5,
            kind::BRANCH14 if random.below(20) == 0 => word | (1 + random.below(0x3fff) as u32) << 5,
            _ => word,
        };
        file.place(section, index, new.into());
        let why = match kind {
            kind::BRANCH26 | kind::BRANCH19 | kind::BRANCH14 if new != word => "an addend is ORed into a branch",
            kind::BRANCH26 | kind::BRANCH19 | kind::BRANCH14 if symbol.ends_with("odd") => {
                "two bits of a branch are cut off"
            }
            kind::SECREL_HIGH12A if new != word => "an addend of pages that an assembler meant as one of bytes",
            kind::BRANCH19 | kind::BRANCH14 if symbol.ends_with("far") => "the distance of a branch is cut off",
            kind::REL21 if symbol.ends_with("far") => "the distance of an ADR is cut off",
            kind::PAGEBASE_REL21 if is_number && is_far => "the distance of an ADRP is cut off",
            kind::ADDR32 if !is_number && is_far => "an address is cut off",
            kind::ADDR32NB if is_number && is_far => "the distance from the image is cut off",
            _ => continue,
        };
        odd.insert((object.to_owned(), section, index), why);
    }
    odd
}

impl File {
    /// Makes of a relocation one that always fits. lld-link takes no ABSOLUTE, which does nothing.
    fn tame(&mut self, section: usize, index: usize) {
        let is_start = |&symbol: &usize| self.name(symbol).ends_with("0_0");
        let start = (0..).find(is_start).unwrap();
        self.place(section, index, 0);
        self.entry(section, index, entry::KIND, kind::ADDR32NB as u64);
        self.entry(section, index, entry::SYMBOL, start as u64);
    }
}

/// Which relocation a failure is of.
fn refused(refusal: &Refusal, files: &[File]) -> (String, usize, usize) {
    let file = &files[refusal.object.parse::<usize>().unwrap()];
    let (section, index) = match (refusal.part, &refusal.place) {
        (Some(Part::Relocation(section, index)), _) => (section, index),
        (None, Some((name, offset))) => {
            let is = |&(section, index): &(usize, usize)| {
                file.section_name(section) == *name && file.entry_field(section, index, entry::OFFSET) as u64 == *offset
            };
            file.entries().into_iter().find(is).unwrap()
        }
        _ => panic!("{}", refusal.line),
    };
    assert!(refusal.line.contains("IMAGE_REL_ARM64_"), "{}", refusal.line);
    (refusal.object.clone(), section, index)
}

#[test]
fn random_objects_are_linked_as_by_lld() {
    let count = std::env::var("AARCH64_RELOC_OBJECTS").map_or(6, |text| text.parse().unwrap());
    if !identity::has_tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let paths = OBJECTS.map(|own| folder.path().join(format!("{own}.obj")));
    let image = folder.path().join("image.exe");
    let (mut total, mut kinds, mut odd) = (0, BTreeSet::new(), BTreeMap::<_, usize>::new());
    for seed in 0..count {
        println!("seed {seed}");
        let mut random = Random(seed);
        let bases = [0x1_0000, 0x1000_0000, 0x7fff_0000, 0x1_4000_0000, 0x7ff6_1234_0000];
        let (base, align) = (bases[random.below(bases.len())], [4096, 8192, 65536][random.below(3)]);
        let mut files = Vec::new();
        let mut expected = Odd::new();
        for (number, (own, path)) in OBJECTS.into_iter().zip(&paths).enumerate() {
            identity::assemble(&source(own, &mut random), path);
            let mut file = File(std::fs::read(path).unwrap());
            expected.extend(change(&number.to_string(), &mut file, base, &mut random));
            files.push(file);
        }
        let options = [format!("/base:{base:#x}"), format!("/align:{align}")];
        let link = |files: &[File]| {
            paths.iter().zip(files).for_each(|(path, file)| std::fs::write(path, &file.0).unwrap());
            let theirs = identity::link_theirs(&paths, &image, &options.each_ref().map(String::as_str));
            identity::compare(&files.iter().map(|file| file.0.clone()).collect::<Vec<_>>(), &theirs, 0)
        };
        if !expected.is_empty() {
            // lld-link takes them.
            let refusals = link(&files).unwrap_err();
            let found: BTreeSet<_> = refusals.iter().map(|refusal| refused(refusal, &files)).collect();
            let lines: Vec<_> = refusals.iter().map(|refusal| &refusal.line).collect();
            assert_eq!(found, expected.keys().cloned().collect(), "{expected:#?}\n{lines:#?}");
        }
        for ((object, section, index), why) in expected {
            *odd.entry(why).or_default() += 1;
            files[object.parse::<usize>().unwrap()].tame(section, index);
        }
        for file in &files {
            kinds.extend(
                file.entries().into_iter().map(|(section, index)| file.entry_field(section, index, entry::KIND)),
            );
        }
        total += link(&files).unwrap_or_else(|refusals| panic!("{refusals:#?}")).1;
    }
    println!("{total} relocations of {} kinds; refused: {odd:#?}", kinds.len());
    // All but TOKEN.
    assert!(kinds.iter().copied().eq((1..=17).filter(|&kind| kind != 12)), "{kinds:?}");
    assert!(total as u64 > 500 * count, "{total} relocations");
}
