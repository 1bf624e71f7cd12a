//! The defect ledger: what other patchers get wrong, one test each, done right.
//!
//! Expected words were assembled by llvm-mc 19.

#[path = "common/word.rs"]
mod word;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::{Reason, Reloc, Slot, Value};
use word::{patch, patch_distance};

const ADR: u32 = 0x1000_0000;
const ADRP: u32 = 0x9000_0000;
const ADD: u32 = 0x9100_1020;
const B: u32 = 0x1400_0000;
const BL: u32 = 0x9400_0000;
const LDR: u32 = 0xf940_0000;
const LDR_LITERAL: u32 = 0x5800_0000;
const MOVZ: u32 = 0xd280_0000;
const STR: u32 = 0xf900_0020;
const TBZ: u32 = 0x3600_0000;

const PLACE: u64 = 0x7000_0000_0000;

fn read(word: u32, reloc: Reloc) -> Result<i64, Reason> {
    let mut bytes = word.to_le_bytes();
    Section::new(&mut bytes, Addr::new(PLACE)).read(0, reloc).map_err(|error| error.reason)
}

fn out_of_range(x: i64) -> Result<u32, Reason> {
    Err(Reason::OutOfRange { x })
}

fn slot(addr: u64) -> Slot {
    let mut got = Got::new([Entry::default(); 1], Addr::new(addr)).expect("slots are aligned");
    got.slot_for(Symbol::new(1), Addr::new(0x1234)).expect("one slot is free")
}

/// RuntimeDyld kept twelve bits of the distance: from 4 KiB on, a literal load and an `ADR` went elsewhere.
#[test]
fn d1_a_literal_and_an_adr_keep_every_bit_of_the_distance() {
    assert_eq!(patch_distance(LDR_LITERAL, Reloc::LD_PREL_LO19, 0x3010), Ok(0x5801_8080));
    assert_eq!(patch_distance(LDR_LITERAL, Reloc::LD_PREL_LO19, -0x3010), Ok(0x58fe_7f80));
    assert_eq!(patch_distance(ADR, Reloc::ADR_PREL_LO21, 0x3014), Ok(0x1001_80a0));
}

/// RuntimeDyld asserted the range of `ADRP`, and in release truncated.
#[test]
fn d2_an_adrp_out_of_range_is_an_error_in_every_build() {
    let refused = patch(ADRP, 0x1000_0000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x7fff_0000_1000));
    assert_eq!(refused, out_of_range(0x7ffe_f000_1000));
}

/// RuntimeDyld read `immlo | immhi << 2 << 12`: the two low bits of the page count were not shifted.
#[test]
fn d5_the_low_bits_of_a_page_count_are_read_as_pages() {
    assert_eq!(read(0xf000_0000, Reloc::ADR_PREL_PG_HI21), Ok(0x3000));
    assert_eq!(read(0xf0ff_ffe0, Reloc::ADR_PREL_PG_HI21), Ok(-0x1000));
}

/// lld writes a `B` over whatever stands where JUMP26 points.
#[test]
fn d6_jump26_changes_nothing_but_a_branch() {
    for word in [ADD, STR, BL, 0, u32::MAX] {
        let found = Err(Reason::WrongOpcode { found: word });
        assert_eq!(patch_distance(word, Reloc::JUMP26, 8), found);
    }
}

/// lld made a `stxr` of an `add` under CALL26, and a `stlur` of a `str` under an `ADRP`'s relocation.
#[test]
fn d6_no_relocation_changes_another_instruction() {
    assert_eq!(patch_distance(ADD, Reloc::CALL26, 8), Err(Reason::WrongOpcode { found: ADD }));
    assert_eq!(patch_distance(STR, Reloc::ADR_PREL_PG_HI21, 0x1000), Err(Reason::WrongOpcode { found: STR }));
}

/// mold drops the low bits of a scaled offset: `ldr x0, [x0, #0x238]` for ...239.
#[test]
fn d7_a_scaled_offset_drops_no_bit() {
    let refused = patch(LDR, PLACE, Reloc::LDST64_ABS_LO12_NC, Addr::new(0x41_0239));
    assert_eq!(refused, Err(Reason::Misaligned { x: 0x41_0239 }));
    assert_eq!(patch(LDR, PLACE, Reloc::LDST64_ABS_LO12_NC, Addr::new(0x41_0238)), Ok(0xf941_1c00));
}

/// mold bounds the signed groups by 2^15, 2^31 and 2^47: the sign is in the opcode, so the field has a bit more.
#[test]
fn d7_a_signed_group_has_the_sign_in_its_opcode() {
    assert_eq!(patch_distance(MOVZ, Reloc::MOVW_PREL_G0, 0x9000), Ok(0xd292_0000));
    assert_eq!(patch_distance(MOVZ, Reloc::MOVW_PREL_G0, -0x9000), Ok(0x9291_ffe0));
    assert_eq!(*Reloc::TLSLE_MOVW_TPREL_G1.bounds().start(), -1 << 32);
    assert_eq!(*Reloc::TLSLE_MOVW_TPREL_G2.bounds().start(), -1 << 48);
}

/// mold has no TSTBR14.
#[test]
fn d7_a_test_branch_is_relocated() {
    assert_eq!(patch_distance(TBZ, Reloc::TSTBR14, 4), Ok(0x3600_0020));
    assert_eq!(patch_distance(TBZ, Reloc::TSTBR14, -32768), Ok(0x3604_0000));
}

/// linker-utils writes four bytes for GOTREL64 and eight for GOTREL32.
#[test]
fn d8_data_is_as_wide_as_its_name() {
    let mut bytes = [0xaa; 12];
    let mut data = Section::new(&mut bytes, Addr::new(PLACE));
    assert_eq!(data.patch(0, Reloc::GOTREL64, Value::Offset(0x1_0000_0002)), Ok(()));
    assert_eq!(bytes, [2, 0, 0, 0, 1, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa]);
    let mut bytes = [0xaa; 8];
    let mut data = Section::new(&mut bytes, Addr::new(PLACE));
    assert_eq!(data.patch(0, Reloc::GOTREL32, Value::Offset(-2)), Ok(()));
    assert_eq!(bytes, [0xfe, 0xff, 0xff, 0xff, 0xaa, 0xaa, 0xaa, 0xaa]);
}

/// linker-utils puts the distance of GOT_LD_PREL19 at bit 10, and does not divide that of TLSLD_LD_PREL19 by four.
#[test]
fn d8_a_literal_counts_words_from_bit_5() {
    assert_eq!(patch(LDR_LITERAL, PLACE, Reloc::GOT_LD_PREL19, slot(PLACE + 8)), Ok(0x5800_0040));
    assert_eq!(patch(LDR_LITERAL, PLACE, Reloc::TLSLD_LD_PREL19, slot(PLACE + 0x1000)), Ok(0x5800_8000));
}

/// linker-utils takes MOVW_PREL_G0 of 0x12345.
#[test]
fn d8_a_checked_group_is_checked() {
    assert_eq!(patch_distance(MOVZ, Reloc::MOVW_PREL_G0, 0x1_2345), out_of_range(0x1_2345));
    assert_eq!(patch_distance(MOVZ, Reloc::MOVW_PREL_G0, 0x2345), Ok(0xd284_68a0));
}

/// linker-utils, mold, JITLink and asmjit OR the new field over the old.
#[test]
fn d8_a_field_is_replaced() {
    let once = patch_distance(BL, Reloc::CALL26, 134_217_724).expect("within reach");
    assert_eq!(once, 0x95ff_ffff);
    assert_eq!(patch_distance(once, Reloc::CALL26, 8), Ok(0x9400_0002));
    assert_eq!(patch_distance(0xf0ff_ffe0, Reloc::ADR_PREL_PG_HI21, 0x1000), Ok(0xb000_0000));
    assert_eq!(patch_distance(0x58fe_7f80, Reloc::LD_PREL_LO19, 8), Ok(0x5800_0040));
    assert_eq!(patch_distance(0x9291_ffe0, Reloc::MOVW_PREL_G0, 0x2345), Ok(0xd284_68a0));
}

/// cranelift-jit panics where an `ADRP` spans more than 2 GiB, half of its reach.
#[test]
fn d9_an_adrp_spans_four_gib_both_ways() {
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, 0xc000_0000), Ok(0x9060_0000));
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, -0xc000_0000), Ok(0x90a0_0000));
}

/// cranelift-jit shifts the low bits of a branch's distance out.
#[test]
fn d9_a_branch_to_the_middle_of_an_instruction_is_an_error() {
    for x in [1, 2, 3, -1, -2, -3] {
        assert_eq!(patch_distance(BL, Reloc::CALL26, x), Err(Reason::Misaligned { x }));
    }
}

/// dynasm-rs rounds the byte distance of an `ADRP` up to pages: right for page-aligned targets only.
#[test]
fn d10_an_adrp_counts_the_pages_between() {
    assert_eq!(patch(ADRP, 0x1004, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1ffc)), Ok(0x9000_0000));
    assert_eq!(patch(ADRP, 0x3000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x2ffc)), Ok(0xf0ff_ffe0));
}

/// dynasm-rs extends the sign of the word count where that of the byte count is: +32 MiB was read as -32 MiB.
#[test]
fn d10_a_distance_is_read_in_bytes() {
    assert_eq!(read(0x1480_0000, Reloc::JUMP26), Ok(0x200_0000));
    assert_eq!(read(0x1680_0000, Reloc::JUMP26), Ok(-0x600_0000));
    assert_eq!(read(0x97ff_ffff, Reloc::CALL26), Ok(-4));
    assert_eq!(read(0x3604_0000, Reloc::TSTBR14), Ok(-32768));
    assert_eq!(read(0x587f_ffe0, Reloc::LD_PREL_LO19), Ok(1_048_572));
}

/// wasmer lets a call span 256 MiB: 0x0900_0000 ran as -117 440 512.
#[test]
fn d11_a_call_spans_128_mib() {
    assert_eq!(patch_distance(BL, Reloc::CALL26, 0x0900_0000), out_of_range(0x0900_0000));
    assert_eq!(patch_distance(BL, Reloc::CALL26, -0x0900_0000), out_of_range(-0x0900_0000));
}

/// wasmer subtracts the pages as unsigned, which fails where the target lies behind.
#[test]
fn d11_a_page_behind_is_a_negative_distance() {
    assert_eq!(patch(ADRP, 0x5000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x4000)), Ok(0xf0ff_ffe0));
}

/// lld for Mach-O lets an `ADRP` span 16 GiB and encodes what remains modulo 4 GiB.
#[test]
fn d12_an_adrp_does_not_span_sixteen_gib() {
    for x in [1 << 32, 5 << 30, (1 << 34) - 0x1000, -(5 << 30), -1 << 34] {
        assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, x), out_of_range(x));
    }
}

/// asmjit takes the difference of the addresses, not of their pages.
#[test]
fn d14_an_adrp_may_stand_and_point_anywhere_in_a_page() {
    assert_eq!(patch(ADRP, 0x1ffc, Reloc::ADR_PREL_PG_HI21, Addr::new(0x2004)), Ok(0xb000_0000));
    assert_eq!(patch(ADRP, 0x2004, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1ffc)), Ok(0xf0ff_ffe0));
}

/// JITLink's Pointer32 takes no negative address, and its Delta32 less than the ABI.
#[test]
fn d15_narrow_data_takes_all_the_abi_allows() {
    assert_eq!(patch(0, PLACE, Reloc::ABS32, Addr::new(0).plus(-1)), Ok(0xffff_ffff));
    assert_eq!(patch(0, PLACE, Reloc::ABS32, Addr::new(0xffff_ffff)), Ok(0xffff_ffff));
    assert_eq!(patch_distance(0, Reloc::PREL32, -0x8000_0000), Ok(0x8000_0000));
    assert_eq!(patch_distance(0, Reloc::PREL32, 0x7fff_ffff), Ok(0x7fff_ffff));
}

/// Zephyr's overflow test let all negative overflows pass, and positive ones up to twice the bound.
#[test]
fn d16_overflow_is_found_on_both_sides() {
    for (word, reloc) in [
        (B, Reloc::JUMP26),
        (BL, Reloc::CALL26),
        (TBZ, Reloc::TSTBR14),
        (ADR, Reloc::ADR_PREL_LO21),
        (LDR_LITERAL, Reloc::LD_PREL_LO19),
        (ADRP, Reloc::ADR_PREL_PG_HI21),
        (MOVZ, Reloc::MOVW_PREL_G0),
        (0, Reloc::PREL32),
        (0, Reloc::PREL16),
    ] {
        let bound = match reloc {
            Reloc::JUMP26 | Reloc::CALL26 => 1 << 27,
            Reloc::TSTBR14 | Reloc::PREL16 => 1 << 15,
            Reloc::MOVW_PREL_G0 => 1 << 16,
            Reloc::PREL32 => 1 << 31,
            Reloc::ADR_PREL_PG_HI21 => 1 << 32,
            _ => 1 << 20,
        };
        for x in [bound, bound * 3 / 2, 2 * bound, 2 * bound + 0x1000, -bound - 0x1000, -2 * bound, -4 * bound] {
            // A page distance rounds down.
            let x = if reloc == Reloc::ADR_PREL_PG_HI21 { x >> 12 << 12 } else { x };
            assert_eq!(patch_distance(word, reloc, x), out_of_range(x), "{reloc:?}");
        }
    }
}
