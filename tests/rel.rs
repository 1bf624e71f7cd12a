//! Relocations whose addends are in place (SHT_REL).
#![cfg(all(feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Kind, Object};
use aarch64_reloc::reloc::Reloc;
use std::path::Path;

/// Words and the addends in them, computed by hand from AAELF64 5.7.2 for a row of each kind of place.
const ADDENDS: &[(Reloc, u64, i64)] = &[
    (Reloc::NONE, 0xffff, 0),
    (Reloc::ABS64, u64::MAX - 4, -5),
    (Reloc::ABS32, 0xffff_fffe, -2),
    (Reloc::PREL32, 0x7fff_ffff, 0x7fff_ffff),
    (Reloc::ABS16, 0x8000, -0x8000),
    (Reloc::GOTREL64, 7, 7),
    (Reloc::GOTREL32, 0x8000_0000, -0x8000_0000),
    (Reloc::PATCHINST, 0xd503_201f, 0),
    (Reloc::FUNCINIT64, u64::MAX, -1),
    // The schema: address diversity, key DA, discriminator 0x1234.
    (Reloc::AUTH_ABS64, 0xa000_1234_ffff_fff8, -8),
    // MOVZ, MOVK and MOVN, whose opcode says nothing of the addend's sign; groups are not counted.
    (Reloc::MOVW_UABS_G3, 0xd2f0_0000, -0x8000),
    (Reloc::MOVW_PREL_G1_NC, 0xf2af_ffe0, 0x7fff),
    (Reloc::MOVW_SABS_G0, 0x9280_0020, 1),
    (Reloc::LD_PREL_LO19, 0x58ff_ffe0, -4),
    (Reloc::ADR_PREL_LO21, 0x70ff_ffe0, -1),
    (Reloc::ADR_PREL_PG_HI21, 0xb000_0020, 5),
    (Reloc::ADR_GOT_PAGE, 0x9080_0000, -0x10_0000),
    (Reloc::ADD_ABS_LO12_NC, 0x9120_0000, -0x800),
    (Reloc::ADD_ABS_LO12_NC, 0x911f_fc00, 0x7ff),
    (Reloc::LDST8_ABS_LO12_NC, 0x3960_0000, -0x800),
    (Reloc::LDST64_ABS_LO12_NC, 0xf95f_fc00, 0x3ff8),
    (Reloc::LDST128_ABS_LO12_NC, 0x3de0_0000, -0x8000),
    (Reloc::LD64_GOT_LO12_NC, 0xf940_0400, 8),
    (Reloc::TSTBR14, 0x3607_ffe0, -4),
    (Reloc::CONDBR19, 0x5480_0000, -0x10_0000),
    (Reloc::JUMP26, 0x15ff_ffff, 0x7ff_fffc),
    (Reloc::CALL26, 0x9600_0000, -0x800_0000),
    (Reloc::TLSLE_ADD_TPREL_HI12, 0x9160_0000, -0x80_0000),
    (Reloc::TLSLE_ADD_TPREL_LO12, 0x9100_0400, 1),
    (Reloc::TLSDESC_LDR, 0xf940_0400, 0),
    (Reloc::TLSDESC_ADD, 0x9100_0400, 0),
    (Reloc::TLSDESC_CALL, 0xd63f_0020, 0),
];

#[test]
fn addends_are_read_as_the_abi_says() {
    for &(reloc, raw, addend) in ADDENDS {
        assert_eq!(reloc.implicit_addend(raw), addend, "{} {raw:#x}", reloc.name());
    }
}

#[test]
fn an_addend_in_place_is_that_of_the_object() {
    let bytes = objects::read("bad/rel.o");
    let object = Elf::parse(&bytes).unwrap();
    let tables = (0..object.section_count()).filter_map(|index| match object.section(index).unwrap().kind {
        Kind::Relocations { count, .. } => Some((index, count)),
        _ => None,
    });
    let relocations = tables.flat_map(|(table, count)| (0..count).map(move |index| (table, index)));
    let relocations: Vec<_> = relocations.map(|(table, index)| object.relocation(table, index).unwrap()).collect();
    assert_eq!(relocations.len(), 1);
    assert_eq!((relocations[0].reloc, relocations[0].offset, relocations[0].addend), (Reloc::CALL26, 0, 0));
}

/// What the example makes of objects whose addends `identity/rel.py` put in place is what ld.lld makes of the originals.
#[test]
fn addends_in_place_are_linked_as_others() {
    for tool in ["ld.lld-19", "clang-19"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let Some(example) = objects::example() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let library = std::env::var_os("AARCH64_RELOC_ARM64").map(|path| Path::new(&path).join(LIBRARY));
    if library.is_none() {
        common::skip("AARCH64_RELOC_ARM64 is not set: source .ci/env, after .ci/setup".to_owned());
    }
    let kinds = vec![folder.join("identity/kinds.s"), folder.join("identity/numbers.s")];
    let cases = [(vec![folder.join("rel/addends.s"), folder.join("identity/numbers.s")], 51, 51), (kinds, 58, 15)];
    let cases = cases.into_iter().chain(library.map(|path| (vec![path], 600, 100)));
    for (paths, relocations, addends) in cases {
        let Some(mut python) = common::require("python3") else { return };
        python.arg("-B").arg(folder.join("identity/identity.py")).arg("--rel");
        let output = python.arg("--link").arg(example.get_program()).args(&paths).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{paths:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
        let count = |what: &str| -> usize {
            let line = text.lines().find(|line| line.contains(what)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert!(count("  relocations of ") >= relocations && count("implicit addends") >= addends, "{text}");
    }
}

const LIBRARY: &str = "usr/lib/aarch64-linux-gnu/libz.a";
