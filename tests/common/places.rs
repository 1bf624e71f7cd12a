//! Places that hold what a relocation may change, and values near and far, at random.

#![allow(dead_code, reason = "each test uses some of it")]

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::patch::Endian;
use aarch64_reloc::reloc::{Class, Reloc, Slot, Value};
use quickcheck::{Arbitrary, Gen};

/// Instructions with zeros in place of registers and immediate: the word, the bits that may take any value (registers,
/// conditions, test bits), and the bits of the immediate (Arm ARM C4.1).
pub const TEMPLATES: &[(u32, u32, u32)] = &[
    (0x1000_0000, 0x0000_001f, 0x60ff_ffe0), // adr
    (0x9000_0000, 0x0000_001f, 0x60ff_ffe0), // adrp
    (0x1100_0000, 0x0000_03ff, 0x003f_fc00), // add w
    (0x9100_0000, 0x0000_03ff, 0x003f_fc00), // add x
    (0x9140_0000, 0x0000_03ff, 0x003f_fc00), // add x, lsl #12
    (0x3900_0000, 0x00c0_03ff, 0x003f_fc00), // strb, ldrb, ldrsb
    (0x7900_0000, 0x00c0_03ff, 0x003f_fc00), // strh, ldrh, ldrsh
    (0xb900_0000, 0x0040_03ff, 0x003f_fc00), // str w, ldr w
    (0xf900_0000, 0x0040_03ff, 0x003f_fc00), // str x, ldr x
    (0xfd00_0000, 0x0040_03ff, 0x003f_fc00), // str d, ldr d
    (0x3d80_0000, 0x0040_03ff, 0x003f_fc00), // str q, ldr q
    (0x1800_0000, 0x0000_001f, 0x00ff_ffe0), // ldr w, literal
    (0x5800_0000, 0x0000_001f, 0x00ff_ffe0), // ldr x, literal
    (0x9c00_0000, 0x0000_001f, 0x00ff_ffe0), // ldr q, literal
    (0x5400_0000, 0x0000_001f, 0x00ff_ffe0), // b.cond, bc.cond
    (0x3400_0000, 0x8100_001f, 0x00ff_ffe0), // cbz, cbnz
    (0x3600_0000, 0x81f8_001f, 0x0007_ffe0), // tbz, tbnz
    (0x1400_0000, 0x0000_0000, 0x03ff_ffff), // b
    (0x9400_0000, 0x0000_0000, 0x03ff_ffff), // bl
    (0xd280_0000, 0x0000_001f, 0x001f_ffe0), // movz x
    (0xd2a0_0000, 0x0000_001f, 0x001f_ffe0), // movz x, lsl #16
    (0xd2c0_0000, 0x0000_001f, 0x001f_ffe0), // movz x, lsl #32
    (0xd2e0_0000, 0x0000_001f, 0x001f_ffe0), // movz x, lsl #48
    (0x5280_0000, 0x0000_001f, 0x001f_ffe0), // movz w
    (0x9280_0000, 0x0000_001f, 0x001f_ffe0), // movn x
    (0x92a0_0000, 0x0000_001f, 0x001f_ffe0), // movn x, lsl #16
    (0x92c0_0000, 0x0000_001f, 0x001f_ffe0), // movn x, lsl #32
    (0x92e0_0000, 0x0000_001f, 0x001f_ffe0), // movn x, lsl #48
    (0xf280_0000, 0x0000_001f, 0x001f_ffe0), // movk x
    (0xf2a0_0000, 0x0000_001f, 0x001f_ffe0), // movk x, lsl #16
    (0xf2c0_0000, 0x0000_001f, 0x001f_ffe0), // movk x, lsl #32
    (0xf2e0_0000, 0x0000_001f, 0x001f_ffe0), // movk x, lsl #48
    (0xd63f_0000, 0x0000_03e0, 0x0000_0000), // blr
];

/// The bit that tells MOVZ from MOVN.
const MOVZ_NOT_MOVN: u32 = 1 << 30;

/// Whether `reloc` may change `word`.
pub fn accepts(reloc: Reloc, word: u32) -> bool {
    reloc.read(word.into(), Addr::new(0)).is_ok()
}

/// A relocation at a place that holds what it may change.
#[derive(Clone, Debug)]
pub struct Case {
    pub reloc: Reloc,
    pub place: Addr,
    pub value: Value,
    pub other: Value,
    pub before: [u8; 8],
    /// The bits that `reloc` may set, of the eight bytes read little-endian.
    pub field: u64,
    pub endian: Endian,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let reloc = pick(g, Reloc::ALL);
        let place = Addr::new(u64::arbitrary(g) & !(reloc.place_alignment() - 1));
        Self::of(g, reloc, place)
    }
}

impl Case {
    /// `reloc` at `place`.
    pub fn of(g: &mut Gen, reloc: Reloc, place: Addr) -> Self {
        let noise = u64::arbitrary(g);
        let fitting: Vec<_> = TEMPLATES.iter().filter(|template| accepts(reloc, template.0)).collect();
        let (before, field) = match (reloc.size(), reloc.is_data() || reloc == Reloc::PATCHINST) {
            (0, _) => (noise, 0),
            (size, true) => (noise, u64::MAX >> (64 - 8 * size)),
            (_, false) => {
                let &(word, free, field) = pick(g, &fitting);
                let before = word | noise as u32 & (free | field);
                let signed = accepts(reloc, word & !MOVZ_NOT_MOVN) && word & 0x1f80_0000 == 0x1280_0000;
                let field = field | if signed { MOVZ_NOT_MOVN } else { 0 };
                (noise & !0xffff_ffff | u64::from(before), field.into())
            }
        };
        Self {
            reloc,
            place,
            value: value(g, reloc, place),
            other: value(g, reloc, place),
            before: before.to_le_bytes(),
            field,
            endian: endian(g),
        }
    }
}

pub trait Of {
    /// The value of this class with these bits.
    fn of(self, bits: Addr) -> Value;
}

impl Of for Class {
    fn of(self, bits: Addr) -> Value {
        match self {
            Class::Addr | Class::Any => Value::Addr(bits),
            Class::Slot => Value::Slot(slot(bits)),
            Class::Offset => Value::Offset(bits.get().cast_signed()),
        }
    }
}

/// A slot at any address: only the first of a table is aligned.
pub fn slot(addr: Addr) -> Slot {
    let mut got = Got::new([Entry::default(); 1], Addr::new(0)).expect("slots are aligned");
    let first = got.slot_for(Symbol::new(1), Addr::new(0x1234)).expect("one slot is free");
    first.plus(addr.get().cast_signed())
}

pub fn pick<T: Copy>(g: &mut Gen, from: &[T]) -> T {
    *g.choose(from).expect("something to choose from")
}

pub fn endian(g: &mut Gen) -> Endian {
    pick(g, &[Endian::Little, Endian::Big])
}

/// A value of the relocation's class, as often near the ends of its range as inside as anywhere.
pub fn value(g: &mut Gen, reloc: Reloc, place: Addr) -> Value {
    let (low, high) = (*reloc.bounds().start(), *reloc.bounds().end());
    let near = i64::from(i8::arbitrary(g)) * pick(g, &[1, 4, 16, 4096]);
    let any = i64::arbitrary(g);
    let x = match u8::arbitrary(g) % 5 {
        0 => low.wrapping_add(near),
        1 => high.wrapping_add(near),
        2 => near,
        3 => (i128::from(low) + i128::from(any).rem_euclid(i128::from(high) - i128::from(low) + 1)) as i64,
        _ => any,
    };
    let x = if bool::arbitrary(g) { x & -reloc.alignment().cast_signed() } else { x };
    reloc.takes().of(if reloc.is_pc_relative() { place.plus(x) } else { Addr::new(x.cast_unsigned()) })
}
