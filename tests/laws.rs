//! Laws of the patchers, for every relocation, place, value and word.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::reloc::{Class, Reason, Reloc, Slot, Value};
use quickcheck::{Arbitrary, Gen, QuickCheck};

/// Instructions with zeros in place of registers and immediate: the word, the bits that may take any value (registers,
/// conditions, test bits), and the bits of the immediate (Arm ARM C4.1).
const TEMPLATES: &[(u32, u32, u32)] = &[
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
fn accepts(reloc: Reloc, word: u32) -> bool {
    reloc.read(word.into(), Addr::new(0)).is_ok()
}

/// A relocation at a place that holds what it may change.
#[derive(Clone, Debug)]
struct Case {
    reloc: Reloc,
    place: Addr,
    value: Value,
    other: Value,
    before: [u8; 8],
    /// The bits that `reloc` may set, of the eight bytes read little-endian.
    field: u64,
    endian: Endian,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let reloc = pick(g, Reloc::ALL);
        let place = Addr::new(u64::arbitrary(g) & !(reloc.place_alignment() - 1));
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

impl Case {
    /// Patches with each of `values` in turn: the bytes, and the last answer.
    fn patched(&self, values: &[Value]) -> ([u8; 8], Result<(), Reason>) {
        let mut bytes = self.before;
        let mut section = Section::new(&mut bytes, self.place).with_endian(self.endian);
        let mut last = Ok(());
        for &value in values {
            last = section.patch(0, self.reloc, value).map_err(|error| error.reason);
        }
        (bytes, last)
    }

    /// What stands in the bytes, as a value of the relocation.
    fn read(&self, mut bytes: [u8; 8]) -> Value {
        let section = Section::new(&mut bytes, self.place).with_endian(self.endian);
        let x = section.read(0, self.reloc).expect("it was patched");
        let origin = match (self.reloc.is_pc_relative(), self.reloc.is_paged()) {
            (true, true) => self.place.page(),
            (true, false) => self.place,
            _ => Addr::new(0),
        };
        self.reloc.takes().of(origin.plus(x))
    }
}

trait Of {
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
fn slot(addr: Addr) -> Slot {
    let mut got = Got::new([Entry::default(); 1], Addr::new(0)).expect("slots are aligned");
    let first = got.slot_for(Symbol::new(1), Addr::new(0x1234)).expect("one slot is free");
    first.plus(addr.get().cast_signed())
}

fn pick<T: Copy>(g: &mut Gen, from: &[T]) -> T {
    *g.choose(from).expect("something to choose from")
}

fn endian(g: &mut Gen) -> Endian {
    pick(g, &[Endian::Little, Endian::Big])
}

/// A value of the relocation's class, as often near the ends of its range as inside as anywhere.
fn value(g: &mut Gen, reloc: Reloc, place: Addr) -> Value {
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

/// Enough for every relocation to meet every kind of value fifty times.
const CASES: u64 = 40_000;

/// Tries a law.
fn check<A: Arbitrary + std::fmt::Debug>(law: fn(A) -> bool) {
    QuickCheck::new().tests(CASES).max_tests(CASES).quickcheck(law as fn(A) -> bool);
}

#[test]
fn every_instruction_relocation_has_a_template() {
    for reloc in Reloc::ALL.iter().filter(|reloc| !reloc.is_data()) {
        assert!(TEMPLATES.iter().any(|template| accepts(*reloc, template.0)), "{reloc:?}");
    }
}

#[test]
fn what_was_patched_is_read_back() {
    fn law(case: Case) -> bool {
        let (bytes, answer) = case.patched(&[case.value]);
        // What is read has the bits of the field alone, and makes the same word.
        answer.is_err() || case.patched(&[case.value, case.read(bytes)]) == (bytes, Ok(()))
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn a_value_the_field_holds_whole_is_read_back_whole() {
    fn law(case: Case) -> bool {
        let whole = case.reloc.is_pc_relative() && !case.reloc.name().contains("MOVW") && !case.reloc.is_paged();
        let (bytes, answer) = case.patched(&[case.value]);
        !whole || answer.is_err() || case.read(bytes) == case.value
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn the_last_patch_wins() {
    fn law(case: Case) -> bool {
        let (after_both, last) = case.patched(&[case.value, case.other]);
        let (after_one, only) = case.patched(&[case.other]);
        last == only && (last.is_err() || after_both == after_one)
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn only_the_field_changes() {
    fn law(case: Case) -> bool {
        let (bytes, _) = case.patched(&[case.value]);
        let changed = u64::from_le_bytes(bytes) ^ u64::from_le_bytes(case.before);
        changed & !case.field == 0
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn a_refusal_writes_nothing() {
    fn law(case: Case) -> bool {
        let (bytes, answer) = case.patched(&[case.value]);
        answer.is_ok() || bytes == case.before
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn reaches_is_in_range() {
    fn law(mut case: Case) -> bool {
        let (_, answer) = case.patched(&[case.value]);
        let section = Section::new(&mut case.before, case.place);
        // A pointer that is signed when the program runs is refused before its range is looked at.
        let signed = answer == Err(Reason::NeedsSigning);
        signed || section.reaches(0, case.reloc, case.value) != matches!(answer, Err(Reason::OutOfRange { .. }))
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn a_fitting_place_refuses_a_value_only_for_its_size_alignment_or_signing() {
    fn law(case: Case) -> bool {
        match case.patched(&[case.value]).1 {
            Ok(()) => case.reloc != Reloc::AUTH_ABS64,
            Err(Reason::OutOfRange { x }) => !case.reloc.bounds().contains(&x),
            Err(Reason::Misaligned { x }) => x & (case.reloc.alignment().cast_signed() - 1) != 0,
            Err(reason) => case.reloc == Reloc::AUTH_ABS64 && reason == Reason::NeedsSigning,
        }
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn another_class_of_value_is_refused() {
    fn law(case: Case) -> bool {
        let Value::Addr(bits) = Class::Addr.of(Addr::new(case.value.bits())) else { return false };
        [Class::Addr, Class::Slot, Class::Offset].into_iter().all(|class| {
            let (bytes, answer) = case.patched(&[class.of(bits)]);
            let right = matches!(case.reloc.takes(), Class::Any) || case.reloc.takes() == class;
            let signed = answer == Err(Reason::NeedsSigning);
            right || bytes == case.before && (signed || answer == Err(Reason::WrongValue))
        })
    }
    check(law as fn(Case) -> bool);
}

#[test]
fn check_and_verify_say_what_patch_does() {
    fn law(mut case: Case) -> bool {
        let (patched, answer) = case.patched(&[case.value]);
        let section = Section::new(&mut case.before, case.place).with_endian(case.endian);
        let checked = section.check(0, case.reloc, case.value).map_err(|error| error.reason);
        let verified = section.verify(0, case.reloc, case.value).map_err(|error| error.reason);
        checked == answer && verified == answer.map(|()| patched == case.before)
    }
    check(law as fn(Case) -> bool);
}

/// Anything at all: no relationship between the bytes, the offset and the relocation.
#[derive(Clone, Debug)]
struct Chaos {
    reloc: Reloc,
    bytes: Vec<u8>,
    addr: Addr,
    offset: usize,
    value: Value,
    endian: Endian,
}

impl Arbitrary for Chaos {
    fn arbitrary(g: &mut Gen) -> Self {
        let bits = Addr::new(u64::arbitrary(g));
        Self {
            reloc: pick(g, Reloc::ALL),
            bytes: (0..u8::arbitrary(g) % 24).map(|_| u8::arbitrary(g)).collect(),
            addr: Addr::new(u64::arbitrary(g)),
            offset: pick(g, &[0, 1, 4, 8, 12, 16, 20, usize::MAX - 3, usize::MAX]),
            value: pick(g, &[Class::Addr, Class::Slot, Class::Offset]).of(bits),
            endian: endian(g),
        }
    }
}

#[test]
fn nothing_panics_and_a_refusal_leaves_the_bytes() {
    fn law(chaos: Chaos) -> bool {
        let Chaos { reloc, mut bytes, addr, offset, value, endian } = chaos;
        let before = bytes.clone();
        let mut section = Section::new(&mut bytes, addr).with_endian(endian);
        let read = section.read(offset, reloc).map_err(|error| error.reason);
        let reaches = section.reaches(offset, reloc, value);
        let answer = section.patch(offset, reloc, value);
        let inside = offset.checked_add(reloc.size()).is_some_and(|end| end <= before.len());
        match answer {
            // What the place refuses, it refuses to be read too.
            Ok(()) => inside && reaches && read.is_ok() && outside_is(&before, &bytes, offset, reloc.size()),
            Err(error) => {
                let place =
                    matches!(error.reason, Reason::OutOfRange { .. } | Reason::Misaligned { .. } | Reason::WrongValue);
                bytes == before && read.is_ok() == place && inside == (error.reason != Reason::OutOfBounds)
            }
        }
    }
    check(law as fn(Chaos) -> bool);
}

/// Whether the bytes that are not of the place are the same.
fn outside_is(before: &[u8], after: &[u8], offset: usize, size: usize) -> bool {
    let place = offset..offset + size;
    before.len() == after.len() && (0..before.len()).all(|at| place.contains(&at) || before[at] == after[at])
}
