//! Objects of any size, of the mix of relocations that real code has.

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

/// The kinds: what each refers to, the word that stands at the place before, and how many of a hundred relocations are of it
/// (C and C++ libraries of Debian).
const MIX: [(u32, Refers, u32, u32); 9] = [
    (283, Refers::Function, 0x9400_0000, 45), // CALL26
    (275, Refers::Data, 0x9000_0000, 12),     // ADR_PREL_PG_HI21
    (277, Refers::Data, 0x9100_0000, 12),     // ADD_ABS_LO12_NC
    (261, Refers::Data, 0, 10),               // PREL32
    (257, Refers::Data, 0, 8),                // ABS64
    (311, Refers::Data, 0x9000_0000, 4),      // ADR_GOT_PAGE
    (312, Refers::Data, 0xf940_0000, 4),      // LD64_GOT_LO12_NC
    (282, Refers::Function, 0x1400_0000, 3),  // JUMP26
    (286, Refers::Data, 0xf940_0000, 2),      // LDST64_ABS_LO12_NC
];

#[derive(Clone, Copy, PartialEq)]
enum Refers {
    Function,
    Data,
}

/// Bytes from one place to the next.
const STEP: usize = 8;
/// Relocations in a function.
const FUNCTION: usize = 8;
/// Relocations for each variable that the code refers to.
const VARIABLE: usize = 32;

/// Symbols that are near a place.
const NEAR: usize = 256;

/// A small generator, so that every run links the same: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) % bound as u64) as usize
    }
}

/// An ELF object with so many relocations, evenly over so many sections of text. Each eighth relocation begins a global
/// function, calls go to any of them, and everything else refers to a variable, of which there is one for every 32 relocations.
pub fn object(relocations: usize, sections: usize) -> Vec<u8> {
    let mut random = Random(0);
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
    let variables = relocations / VARIABLE;
    let data = object.add_section(Vec::new(), b".data".to_vec(), SectionKind::Data);
    object.append_section_data(data, &vec![0; variables * 8], 8);
    let variables: Vec<_> =
        (0..variables).map(|i| define(&mut object, format!("variable_{i}"), data, i as u64 * 8, false)).collect();
    let hundred: Vec<_> = MIX.iter().flat_map(|&kind| vec![kind; kind.3 as usize]).collect();
    let kinds: Vec<_> = (0..relocations).map(|_| hundred[random.below(100)]).collect();
    // Whole functions.
    let share = (relocations / sections).next_multiple_of(FUNCTION);
    let texts: Vec<_> =
        kinds.chunks(share).enumerate().map(|(number, kinds)| text(&mut object, number, kinds, sections)).collect();
    let functions: Vec<_> = (0..relocations)
        .step_by(FUNCTION)
        .map(|i| define(&mut object, format!("function_{i}"), texts[i / share], (i % share * STEP) as u64, true))
        .collect();
    for (i, &(r_type, refers, ..)) in kinds.iter().enumerate() {
        let symbols = if refers == Refers::Function { &functions } else { &variables };
        // Most refer to what is near, as code does that was written together.
        let near = i * symbols.len() / relocations;
        let from = near.saturating_sub(NEAR / 2).min(symbols.len().saturating_sub(NEAR));
        let symbol = match random.below(10) {
            0 => symbols[random.below(symbols.len())],
            _ => symbols[from + random.below(NEAR.min(symbols.len()))],
        };
        let flags = RelocationFlags::Elf { r_type: object::elf::RelocationType(r_type) };
        let relocation = Relocation { offset: (i % share * STEP) as u64, symbol, addend: 0, flags };
        object.add_relocation(texts[i / share], relocation).unwrap();
    }
    object.write().unwrap()
}

fn text(object: &mut Object<'_>, number: usize, kinds: &[(u32, Refers, u32, u32)], sections: usize) -> SectionId {
    let name = if sections == 1 { ".text".into() } else { format!(".text.part_{}", number) };
    let id = object.add_section(Vec::new(), name.into_bytes(), SectionKind::Text);
    let bytes: Vec<u8> = kinds.iter().flat_map(|&(.., word, _)| u64::from(word).to_le_bytes()).collect();
    object.append_section_data(id, &bytes, 16);
    id
}

fn define(object: &mut Object<'_>, name: String, section: SectionId, value: u64, is_function: bool) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.into_bytes(),
        value,
        size: if is_function { (FUNCTION * STEP) as u64 } else { 8 },
        kind: if is_function { SymbolKind::Text } else { SymbolKind::Data },
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}
