//! Laws of the patchers, for every relocation, place, value and word.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::reloc::{Class, Reason, Reloc, Value};
use places::{Case, Of, TEMPLATES, accepts, endian, pick};
use quickcheck::{Arbitrary, Gen, QuickCheck};

#[path = "common/places.rs"]
mod places;

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
