//! The golden words: what lld and GNU ld made of a relocation, the crate must make of it too.
//!
//! `golden/words.txt` says which tools wrote them, and names each difference between the linkers; `golden/make.py` made it.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::reloc::{Class, Reason, Reloc, Slot, Value};
use std::collections::BTreeMap;

const WORDS: &str = include_str!("golden/words.txt");

/// Why a linker, or the ABI, refuses.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Refusal {
    Range,
    Align,
}

/// One line.
#[derive(Debug)]
struct Case {
    reloc: Reloc,
    place: Addr,
    value: Value,
    before: Vec<u8>,
    expected: Result<Vec<u8>, Refusal>,
}

impl Case {
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split(' ');
        let reloc = named(columns.next()?)?;
        let place = Addr::new(hex(columns.next()?)?);
        let value = match columns.next()?.split_once(':')? {
            ("addr", number) => Value::Addr(Addr::new(hex(number)?)),
            ("slot", number) => Value::Slot(slot(Addr::new(hex(number)?))),
            ("offset", number) => Value::Offset(match number.strip_prefix('-') {
                Some(number) => hex(number)?.wrapping_neg().cast_signed(),
                None => hex(number)?.cast_signed(),
            }),
            _ => return None,
        };
        let before = bytes(columns.next()?)?;
        let expected = match columns.next()? {
            "range" => Err(Refusal::Range),
            "align" => Err(Refusal::Align),
            word => Ok(bytes(word)?),
        };
        Some(Self { reloc, place, value, before, expected })
    }

    /// What `patch` makes of the bytes, and its refusal in the file's words.
    fn patched(&self, endian: Endian) -> (Vec<u8>, Option<Reason>) {
        let mut bytes = self.before.clone();
        let mut section = Section::new(&mut bytes, self.place).with_endian(endian);
        let refused = section.patch(0, self.reloc, self.value).err().map(|error| error.reason);
        (bytes, refused)
    }

    /// What `patch` makes of the bytes, if that is not what is expected.
    fn wrong(&self) -> Option<(Vec<u8>, Option<Reason>)> {
        let (bytes, refused) = self.patched(Endian::Little);
        let right = match (&self.expected, refused) {
            (Ok(expected), None) => bytes == *expected,
            (Err(Refusal::Range), Some(Reason::OutOfRange { .. })) => bytes == self.before,
            (Err(Refusal::Align), Some(Reason::Misaligned { .. })) => bytes == self.before,
            _ => false,
        };
        (!right).then_some((bytes, refused))
    }
}

fn named(name: &str) -> Option<Reloc> {
    Reloc::ALL.iter().copied().find(|reloc| reloc.name().strip_prefix("R_AARCH64_") == Some(name))
}

fn hex(number: &str) -> Option<u64> {
    u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()
}

/// Little-endian bytes of a number of two digits a byte.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let number = u64::from_str_radix(digits, 16).ok()?;
    number.to_le_bytes().get(..digits.len() / 2).map(<[u8]>::to_vec)
}

fn slot(addr: Addr) -> Slot {
    let mut got = Got::new([Entry::default(); 1], addr).expect("slots are aligned");
    got.slot_for(Symbol::new(1), Addr::new(0x1234)).expect("one slot is free")
}

/// The cases with their line numbers.
fn cases() -> impl Iterator<Item = (usize, Case)> {
    WORDS.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.starts_with("unmade ")).map(
        |(at, line)| {
            let case = Case::parse(line).unwrap_or_else(|| panic!("words.txt:{}: cannot read {line:?}", at + 1));
            (at + 1, case)
        },
    )
}

#[test]
fn words_are_what_the_linkers_write() {
    let mut wrong = Vec::new();
    for (line, case) in cases() {
        if let Some((bytes, refused)) = case.wrong() {
            wrong.push(format!("words.txt:{line}: {bytes:02x?} {refused:?}, for {case:02x?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn reaches_is_the_linkers_range() {
    for (line, mut case) in cases() {
        let section = Section::new(&mut case.before, case.place);
        let reaches = section.reaches(0, case.reloc, case.value);
        assert_eq!(reaches, case.expected != Err(Refusal::Range), "words.txt:{line}");
    }
}

#[test]
fn words_of_the_linkers_verify() {
    for (line, case) in cases() {
        let Ok(mut linked) = case.expected else { continue };
        let section = Section::new(&mut linked, case.place);
        assert_eq!(section.verify(0, case.reloc, case.value), Ok(true), "words.txt:{line}");
    }
}

/// A field that holds the whole distance gives it back.
#[test]
fn distances_are_read_from_the_linkers_words() {
    let mut read = 0;
    for (line, case) in cases() {
        // Both measure P, but move-wide instructions hold a part of X and data of 64 bits has no range.
        let whole = case.reloc.is_pc_relative() && !case.reloc.name().contains("MOVW");
        let (Ok(mut linked), true) = (case.expected, whole) else { continue };
        let target = case.value.bits();
        let (to, from) = if case.reloc.is_paged() {
            (target >> 12 << 12, case.place.get() >> 12 << 12)
        } else {
            (target, case.place.get())
        };
        let distance = to.wrapping_sub(from).cast_signed();
        // ADR_PREL_PG_HI21_NC keeps the low 33 bits, as its ADRP does.
        let distance = if case.reloc.is_paged() { distance << 31 >> 31 } else { distance };
        assert_eq!(Section::new(&mut linked, case.place).read(0, case.reloc), Ok(distance), "words.txt:{line}");
        read += 1;
    }
    assert!(read > 250, "only {read} words were read");
}

/// Data is stored in its own byte order; instructions are little-endian in both.
#[test]
fn big_endian_data_is_the_same_backwards() {
    let mut data = 0;
    for (line, mut case) in cases() {
        let Ok(mut expected) = case.expected.clone() else { continue };
        if case.reloc.is_data() && case.reloc.size() > 0 {
            case.before.reverse();
            expected.reverse();
            data += 1;
        }
        assert_eq!(case.patched(Endian::Big), (expected, None), "words.txt:{line}");
    }
    assert!(data > 40, "only {data} cases are data");
}

/// A relocation that neither linker applies, or only in the middle of its range, and one with the same X, field and check:
/// its words are right for both.
const TWINS: &[(Reloc, Reloc)] = &[
    (Reloc::GOTREL64, Reloc::PREL64),
    (Reloc::GOTREL32, Reloc::PREL32),
    (Reloc::TLS_DTPREL, Reloc::PREL64),
    (Reloc::MOVW_GOTOFF_G0, Reloc::TLSLE_MOVW_TPREL_G0),
    (Reloc::MOVW_GOTOFF_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::MOVW_GOTOFF_G1_NC, Reloc::TLSLE_MOVW_TPREL_G1_NC),
    (Reloc::MOVW_GOTOFF_G2, Reloc::TLSLE_MOVW_TPREL_G2),
    (Reloc::MOVW_GOTOFF_G2_NC, Reloc::MOVW_PREL_G2_NC),
    (Reloc::MOVW_GOTOFF_G3, Reloc::MOVW_PREL_G3),
    (Reloc::TLSGD_MOVW_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::TLSIE_MOVW_GOTTPREL_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::TLSDESC_OFF_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::TLSLD_MOVW_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::TLSLD_MOVW_G0_NC, Reloc::TLSLE_MOVW_TPREL_G0_NC),
    (Reloc::TLSLD_LD_PREL19, Reloc::GOT_LD_PREL19),
    (Reloc::TLSLD_LDST128_DTPREL_LO12_NC, Reloc::TLSLE_LDST128_TPREL_LO12_NC),
    (Reloc::AUTH_MOVW_GOTOFF_G0, Reloc::TLSLE_MOVW_TPREL_G0),
    (Reloc::AUTH_MOVW_GOTOFF_G0_NC, Reloc::MOVW_GOTOFF_G0_NC),
    (Reloc::AUTH_MOVW_GOTOFF_G1, Reloc::TLSLE_MOVW_TPREL_G1),
    (Reloc::AUTH_MOVW_GOTOFF_G1_NC, Reloc::TLSLE_MOVW_TPREL_G1_NC),
    (Reloc::AUTH_MOVW_GOTOFF_G2, Reloc::TLSLE_MOVW_TPREL_G2),
    (Reloc::AUTH_MOVW_GOTOFF_G2_NC, Reloc::MOVW_PREL_G2_NC),
    (Reloc::AUTH_MOVW_GOTOFF_G3, Reloc::MOVW_PREL_G3),
    (Reloc::AUTH_GOT_LD_PREL19, Reloc::GOT_LD_PREL19),
    (Reloc::AUTH_LD64_GOTOFF_LO15, Reloc::LD64_GOTOFF_LO15),
    (Reloc::AUTH_ADR_GOT_PAGE, Reloc::ADR_GOT_PAGE),
    (Reloc::AUTH_LD64_GOT_LO12_NC, Reloc::LD64_GOT_LO12_NC),
    (Reloc::AUTH_LD64_GOTPAGE_LO15, Reloc::LD64_GOTPAGE_LO15),
    (Reloc::AUTH_GOT_ADD_LO12_NC, Reloc::TLSDESC_ADD_LO12),
    (Reloc::AUTH_GOT_ADR_PREL_LO21, Reloc::TLSGD_ADR_PREL21),
    (Reloc::AUTH_TLSDESC_ADR_PAGE21, Reloc::TLSDESC_ADR_PAGE21),
    (Reloc::AUTH_TLSDESC_LD64_LO12, Reloc::TLSDESC_LD64_LO12),
    (Reloc::AUTH_TLSDESC_ADD_LO12, Reloc::TLSDESC_ADD_LO12),
];

/// Neither made nor with a twin: `vectors.rs` has words for them.
const ALONE: &[Reloc] = &[
    Reloc::PATCHINST,
    Reloc::FUNCINIT64,
    Reloc::AUTH_ABS64,
    Reloc::TLSLD_LDST128_DTPREL_LO12,
    Reloc::TLSLE_LDST128_TPREL_LO12,
];

#[test]
fn relocations_no_linker_tries_write_what_their_twins_do() {
    for &(reloc, twin) in TWINS {
        let mut met = 0;
        for (line, mut case) in cases().filter(|(_, case)| case.reloc == twin) {
            // An offset is X itself.
            if reloc.takes() == Class::Offset && !matches!(case.value, Value::Offset(_)) {
                case.value = Value::Offset(case.value.bits().wrapping_sub(case.place.get()).cast_signed());
            }
            case.reloc = reloc;
            let wrong = case.wrong();
            assert!(wrong.is_none(), "words.txt:{line}, for {reloc:?}: {wrong:02x?}");
            met += 1;
        }
        assert!(met > 0, "{twin:?} has no case");
    }
}

/// Each row of the table has cases, or a line that says why not.
#[test]
fn every_relocation_is_covered_or_named() {
    let mut counts: BTreeMap<Reloc, usize> = BTreeMap::new();
    for (_, case) in cases() {
        *counts.entry(case.reloc).or_default() += 1;
    }
    let mut unmade = BTreeMap::new();
    for line in WORDS.lines().filter_map(|line| line.strip_prefix("unmade ")) {
        let (name, reason) = line.split_once(' ').unwrap_or_else(|| panic!("no reason in {line:?}"));
        let reloc = named(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        assert!(unmade.insert(reloc, reason).is_none(), "{name} is named twice");
    }
    for reloc in Reloc::ALL {
        match (counts.get(reloc), unmade.get(reloc)) {
            (Some(count), None) => println!("{:4} {:4} cases of {}", reloc.code(), count, reloc.name()),
            (None, Some(reason)) => {
                println!("{:4}    - {}: {reason}", reloc.code(), reloc.name());
                let twins = TWINS.iter().filter(|(unmade, _)| unmade == reloc).count();
                assert_eq!(twins, usize::from(!ALONE.contains(reloc)), "twins of {reloc:?}");
            }
            (Some(_), Some(_)) => panic!("{} is named unmade but has cases", reloc.name()),
            (None, None) => panic!("{} has no case and no reason", reloc.name()),
        }
    }
}
