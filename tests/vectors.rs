//! The conformance vectors and edge cases that every implementation must agree on: see AAELF64 2026Q2, "Relocation".
//!
//! Words are spelled as an assembler encodes the distance.

#[path = "common/word.rs"]
mod word;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::{Reason, Reloc, Value};
use word::{patch, patch_distance};

const ADRP: u32 = 0x9000_0000;
const ADR: u32 = 0x1000_0000;
const B: u32 = 0x1400_0000;
const BL: u32 = 0x9400_0000;
const B_EQ: u32 = 0x5400_0000;
const CBZ: u32 = 0xb400_0000;
const TBZ: u32 = 0x3600_0000;
const ADD: u32 = 0x9100_0000;
const LDR_LITERAL: u32 = 0x5800_0000;
const LDR_X: u32 = 0xf940_0020;
const LDR_W: u32 = 0xb940_0020;
const LDR_Q: u32 = 0x3dc0_0020;
const MOVZ: u32 = 0xd280_0000;
const MOVN: u32 = 0x9280_0000;
const MOVK: u32 = 0xf280_0000;

/// The same with the target at the address `x`, negative ones at the top of the address space.
fn patch_address(word: u32, reloc: Reloc, x: i64) -> Result<u32, Reason> {
    patch(word, 0x1000, reloc, Addr::new(x.cast_unsigned()))
}

fn out_of_range(x: i64) -> Result<u32, Reason> {
    Err(Reason::OutOfRange { x })
}

fn misaligned(x: i64) -> Result<u32, Reason> {
    Err(Reason::Misaligned { x })
}

// The conformance vectors.

#[test]
fn adrp_refuses_four_gib_ahead() {
    let refused = patch(ADRP, 0x1000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1_0000_1000));
    assert_eq!(refused, out_of_range(4_294_967_296));
    assert_eq!(Reloc::ADR_PREL_PG_HI21.bounds(), -4_294_967_296..=4_294_963_200);
}

#[test]
fn adrp_reaches_the_last_byte_below_four_gib_of_pages() {
    let place = 0x1fff_fffc;
    assert_eq!(patch(ADRP, place, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1_1fff_f000)), out_of_range(1 << 32));
    assert_eq!(patch(ADRP, place, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1_1fff_efff)), Ok(0xf07f_ffe0));
}

#[test]
fn adrp_reaches_back_over_more_than_four_gib_of_bytes() {
    assert_eq!(patch(ADRP | 3, 0x1_0000_0ffc, Reloc::ADR_PREL_PG_HI21, Addr::new(0)), Ok(0x9080_0003));
}

#[test]
fn adrp_one_page_back_sets_every_bit() {
    assert_eq!(patch(ADRP | 7, 0x5000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x4000)), Ok(0xf0ff_ffe7));
}

#[test]
fn call26_reaches_both_ends_and_no_further() {
    assert_eq!(patch_distance(BL, Reloc::CALL26, 134_217_724), Ok(0x95ff_ffff));
    assert_eq!(patch_distance(BL, Reloc::CALL26, 134_217_728), out_of_range(134_217_728));
    assert_eq!(patch_distance(BL, Reloc::CALL26, -134_217_728), Ok(0x9600_0000));
    assert_eq!(patch_distance(BL, Reloc::CALL26, -134_217_732), out_of_range(-134_217_732));
    assert_eq!(patch_distance(BL, Reloc::CALL26, 2), misaligned(2));
}

#[test]
fn condbr19_one_word_back() {
    assert_eq!(patch_distance(B_EQ, Reloc::CONDBR19, -4), Ok(0x54ff_ffe0));
}

#[test]
fn tstbr14_one_word_back() {
    assert_eq!(patch_distance(TBZ, Reloc::TSTBR14, -4), Ok(0x3607_ffe0));
}

#[test]
fn ldst128_wants_sixteen() {
    assert_eq!(patch_address(LDR_Q, Reloc::LDST128_ABS_LO12_NC, 0x41_0238), misaligned(0x41_0238));
    assert_eq!(patch_address(LDR_Q, Reloc::LDST128_ABS_LO12_NC, 0x41_0230), Ok(LDR_Q | 0x23 << 10));
}

#[test]
fn abs32_is_signed_or_unsigned() {
    assert_eq!(patch_address(0, Reloc::ABS32, -1 << 31), Ok(0x8000_0000));
    assert_eq!(patch_address(0, Reloc::ABS32, (1 << 32) - 1), Ok(0xffff_ffff));
    assert_eq!(patch_address(0, Reloc::ABS32, 1 << 32), out_of_range(1 << 32));
    assert_eq!(patch_address(0, Reloc::ABS32, (-1 << 31) - 1), out_of_range((-1 << 31) - 1));
}

#[test]
fn movw_sabs_turns_movz_into_movn() {
    assert_eq!(patch_address(MOVZ, Reloc::MOVW_SABS_G0, -65536), Ok(0x929f_ffe0));
}

#[test]
fn the_second_patch_knows_nothing_of_the_first() {
    let first = patch_distance(BL, Reloc::CALL26, 0x0555_5554).expect("within reach");
    let second = patch_distance(first, Reloc::CALL26, 0x0aa_aaa8);
    assert_eq!(second, patch_distance(BL, Reloc::CALL26, 0x0aa_aaa8));
    assert_eq!(second, Ok(BL | 0x0aa_aaa8 >> 2));
}

#[test]
fn adrp_refuses_a_store() {
    let refused = patch(0xf900_0020, 0x1000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1000));
    assert_eq!(refused, Err(Reason::WrongOpcode { found: 0xf900_0020 }));
    assert_eq!(Reloc::ADR_PREL_PG_HI21.expects(), "ADRP");
}

// The edge cases, by their numbers.

#[test]
fn e01_adrp_reaches_four_gib_back_and_a_page_less_ahead() {
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, -1 << 32), Ok(0x9080_0000));
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, (-1 << 32) - 1), out_of_range((-1 << 32) - 4096));
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, (1 << 32) - 1), Ok(0xf07f_ffe0));
    assert_eq!(patch_distance(ADRP, Reloc::ADR_PREL_PG_HI21, 1 << 32), out_of_range(1 << 32));
}

#[test]
fn e02_the_raw_distance_does_not_decide() {
    let place = 0x1_0000_0ffc;
    // Further than 2^32 in bytes, and yet reached; nearer, and yet not.
    assert_eq!(patch(ADRP, place, Reloc::ADR_PREL_PG_HI21, Addr::new(0)), Ok(0x9080_0000));
    assert_eq!(patch(ADRP, place, Reloc::ADR_PREL_PG_HI21, Addr::new(0x2_0000_0000)), out_of_range(1 << 32));
}

#[test]
fn e02_the_two_tests_differ_by_the_page_offset_of_the_place() {
    for offset in [0, 4, 0x7f8, 0xffc] {
        let place = Addr::new(0x7000_0000_0000 + offset);
        let differ = |edge: i64| {
            let raw = |x: i64| (-1 << 32..1 << 32).contains(&x);
            let reaches = |x: i64| Reloc::ADR_PREL_PG_HI21.reaches(place, Value::Addr(place.plus(x)));
            (edge - 0x2000..edge + 0x2000).filter(|&x| raw(x) != reaches(x)).count() as u64
        };
        assert_eq!((differ(-1 << 32), differ(1 << 32)), (offset, offset));
    }
}

#[test]
fn e03_this_far_is_reached_whatever_the_place() {
    let reaches = |offset: u64, x: i64| {
        let place = Addr::new(0x7000_0000_0000 + offset);
        Reloc::ADR_PREL_PG_HI21.reaches(place, Value::Addr(place.plus(x)))
    };
    let (low, high) = (-1_i64 << 32, (1 << 32) - 4093);
    let places = || (0..4096).step_by(4);
    assert!(places().all(|offset| reaches(offset, low) && reaches(offset, high)));
    assert!(!places().all(|offset| reaches(offset, low - 1)));
    assert!(!places().all(|offset| reaches(offset, high + 1)));
}

#[test]
fn e04_both_halves_of_a_pair_take_the_addend() {
    // The addend crosses a page.
    let target = Addr::new(0x1ff8).plus(0x10);
    let mut bytes = [ADRP.to_le_bytes(), ADD.to_le_bytes()].concat();
    let mut text = Section::new(&mut bytes, Addr::new(0x1000));
    assert_eq!(text.patch(0, Reloc::ADR_PREL_PG_HI21, target), Ok(()));
    assert_eq!(text.patch(4, Reloc::ADD_ABS_LO12_NC, target), Ok(()));
    // adrp x0, #0x1000; add x0, x0, #8
    assert_eq!(bytes, [0xb000_0000_u32.to_le_bytes(), 0x9100_2000_u32.to_le_bytes()].concat());
}

#[test]
fn e05_pages_are_taken_of_both_ends() {
    assert_eq!(patch(ADRP, 0x1004, Reloc::ADR_PREL_PG_HI21, Addr::new(0x1ffc)), Ok(ADRP));
    assert_eq!(patch(ADRP, 0x3000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x2ffc)), Ok(0xf0ff_ffe0));
    assert_eq!(patch(ADRP, 0x1ffc, Reloc::ADR_PREL_PG_HI21, Addr::new(0x2000)), Ok(0xb000_0000));
}

#[test]
fn e06_a_distance_is_read_with_its_sign() {
    for (word, reloc, x) in [
        (B, Reloc::JUMP26, 0x200_0000),
        (B, Reloc::JUMP26, -0x600_0000),
        (BL, Reloc::CALL26, -4),
        (B_EQ, Reloc::CONDBR19, -0x10_0000),
        (LDR_LITERAL, Reloc::LD_PREL_LO19, 0x8_0000),
        (TBZ, Reloc::TSTBR14, -0x8000),
        (TBZ, Reloc::TSTBR14, 0x4000),
        (ADR, Reloc::ADR_PREL_LO21, -3),
        (ADR, Reloc::ADR_PREL_LO21, 0x8_0001),
        (ADRP, Reloc::ADR_PREL_PG_HI21, -0x1000),
        (ADRP, Reloc::ADR_PREL_PG_HI21, 0x8000_0000),
    ] {
        let mut bytes = patch_distance(word, reloc, x).expect("within reach").to_le_bytes();
        let section = Section::new(&mut bytes, Addr::new(0x7000_0000_0000));
        assert_eq!(section.read(0, reloc), Ok(x), "{reloc:?}");
    }
}

#[test]
fn e07_narrow_addresses_are_either_and_narrow_distances_signed() {
    assert_eq!(patch_address(0, Reloc::ABS32, -1), Ok(0xffff_ffff));
    assert_eq!(patch_address(0, Reloc::ABS16, -1), Ok(0xffff));
    assert_eq!(patch_address(0, Reloc::ABS16, 0xffff), Ok(0xffff));
    assert_eq!(patch_address(0, Reloc::ABS16, 0x1_0000), out_of_range(0x1_0000));
    assert_eq!(patch_address(0, Reloc::ABS16, -0x8001), out_of_range(-0x8001));
    for (reloc, limit) in [(Reloc::PREL32, 1 << 31), (Reloc::PLT32, 1 << 31), (Reloc::PREL16, 1 << 15)] {
        assert_eq!(patch_distance(0, reloc, limit), out_of_range(limit));
        assert_eq!(patch_distance(0, reloc, limit - 1), Ok((limit - 1) as u32));
        assert_eq!(patch_distance(0, reloc, -limit - 1), out_of_range(-limit - 1));
    }
    assert_eq!(patch_distance(0, Reloc::PREL32, -1 << 31), Ok(0x8000_0000));
    assert_eq!(patch_distance(0, Reloc::PREL16, -1 << 15), Ok(0x8000));
}

#[test]
fn e07_sixteen_bits_leave_their_neighbours() {
    assert_eq!(patch_address(0xabcd_0000, Reloc::ABS16, -2), Ok(0xabcd_fffe));
}

#[test]
fn e08_the_sign_of_x_chooses_movn_or_movz() {
    for word in [MOVZ, MOVN] {
        assert_eq!(patch_address(word, Reloc::MOVW_SABS_G0, -1), Ok(0x9280_0000));
        assert_eq!(patch_address(word, Reloc::MOVW_SABS_G0, -65536), Ok(0x929f_ffe0));
        assert_eq!(patch_address(word, Reloc::MOVW_SABS_G0, -65537), out_of_range(-65537));
        assert_eq!(patch_address(word, Reloc::MOVW_SABS_G0, 65535), Ok(0xd29f_ffe0));
        assert_eq!(patch_address(word, Reloc::MOVW_SABS_G0, 65536), out_of_range(65536));
    }
}

#[test]
fn e08_a_narrow_move_has_two_groups() {
    let (g1, g2) = (MOVZ | 1 << 21, MOVZ | 2 << 21);
    let narrow = |word: u32| word & !(1 << 31);
    assert_eq!(patch_address(narrow(g1), Reloc::MOVW_SABS_G1, 0x1_0000), Ok(narrow(g1) | 1 << 5));
    let refused = patch_address(narrow(g2), Reloc::MOVW_SABS_G2, 0);
    assert_eq!(refused, Err(Reason::WrongOpcode { found: narrow(g2) }));
}

#[test]
fn e09_each_move_of_a_group_has_its_own_place() {
    let (place, target) = (Addr::new(0x40_0000), Addr::new(0x1234_5678_9abc));
    let words = [MOVZ | 2 << 21, MOVK | 1 << 21, MOVK];
    let relocs = [Reloc::MOVW_PREL_G2, Reloc::MOVW_PREL_G1_NC, Reloc::MOVW_PREL_G0_NC];
    let mut bytes = words.map(u32::to_le_bytes).concat();
    let mut text = Section::new(&mut bytes, place);
    for (n, reloc) in relocs.into_iter().enumerate() {
        // The source says `sym`, `sym + 4`, `sym + 8`.
        assert_eq!(text.patch(4 * n, reloc, target.at(4 * n)), Ok(()));
    }
    let field = |n: usize| (bytes[4 * n..4 * n + 4].iter().rev().fold(0, |w, &b| w << 8 | u64::from(b)) >> 5) & 0xffff;
    let x = field(0) << 32 | field(1) << 16 | field(2);
    assert_eq!(x, target.get() - place.get());
}

#[test]
fn e10_the_alignment_is_of_the_target() {
    assert_eq!(patch_address(LDR_Q, Reloc::LDST128_ABS_LO12_NC, 0x8), misaligned(0x8));
    assert_eq!(patch_address(LDR_X, Reloc::LDST64_ABS_LO12_NC, 0x1_0004), misaligned(0x1_0004));
    assert_eq!(patch_address(LDR_X, Reloc::LDST64_ABS_LO12_NC, 0x1_0008), Ok(LDR_X | 1 << 10));
}

#[test]
fn e10_the_scale_of_the_instruction_is_that_of_the_relocation() {
    let refused = |found| Err(Reason::WrongOpcode { found });
    assert_eq!(patch_address(LDR_W, Reloc::LDST64_ABS_LO12_NC, 0x8), refused(LDR_W));
    assert_eq!(patch_address(LDR_X, Reloc::LDST32_ABS_LO12_NC, 0x8), refused(LDR_X));
    // LDR Bt and LDR Qt differ in opc alone.
    assert_eq!(patch_address(LDR_Q, Reloc::LDST8_ABS_LO12_NC, 0x8), refused(LDR_Q));
}

#[test]
fn e11_every_branch_and_literal_ends_where_its_field_does() {
    for (word, reloc, first, last) in [
        (TBZ, Reloc::TSTBR14, -32768, 32764),
        (B_EQ, Reloc::CONDBR19, -1_048_576, 1_048_572),
        (CBZ, Reloc::CONDBR19, -1_048_576, 1_048_572),
        (LDR_LITERAL, Reloc::LD_PREL_LO19, -1_048_576, 1_048_572),
        (ADR, Reloc::ADR_PREL_LO21, -1_048_576, 1_048_575),
        (B, Reloc::JUMP26, -134_217_728, 134_217_724),
        (BL, Reloc::CALL26, -134_217_728, 134_217_724),
    ] {
        assert_eq!(reloc.bounds(), first..=last);
        assert!(patch_distance(word, reloc, first).is_ok(), "{reloc:?}");
        assert!(patch_distance(word, reloc, last).is_ok(), "{reloc:?}");
        let step = if reloc == Reloc::ADR_PREL_LO21 { 1 } else { 4 };
        assert_eq!(patch_distance(word, reloc, first - step), out_of_range(first - step));
        assert_eq!(patch_distance(word, reloc, last + step), out_of_range(last + step));
        for x in if step == 4 { 1..4 } else { 0..0 } {
            assert_eq!(patch_distance(word, reloc, x), misaligned(x));
            assert_eq!(patch_distance(word, reloc, x - 8), misaligned(x - 8));
        }
    }
}

#[test]
fn e14_distances_wrap_as_the_processor_does() {
    assert_eq!(patch(BL, 0xffff_ffff_ffff_fffc, Reloc::CALL26, Addr::new(0)), Ok(0x9400_0001));
    assert_eq!(patch(ADR, 0, Reloc::ADR_PREL_LO21, Addr::new(u64::MAX)), Ok(0x70ff_ffe0));
    assert_eq!(patch(ADRP, 0xffff_ffff_ffff_f000, Reloc::ADR_PREL_PG_HI21, Addr::new(0x10)), Ok(0xb000_0000));
}

#[test]
fn e14_a_kernel_is_far_from_a_user() {
    let (kernel, user) = (0xffff_8000_0000_0000, 0x40_0000_u64);
    let x = 0x8000_0040_0000;
    assert_eq!(patch(BL, kernel, Reloc::CALL26, Addr::new(user)), out_of_range(x));
    assert_eq!(patch(ADRP, kernel, Reloc::ADR_PREL_PG_HI21, Addr::new(user)), out_of_range(x));
    assert_eq!(patch(BL, user, Reloc::CALL26, Addr::new(kernel)), out_of_range(-x));
}

// The relocations that no linker here applies: see golden.rs.

#[test]
fn ldst128_of_a_thread_local_is_checked() {
    for reloc in [Reloc::TLSLE_LDST128_TPREL_LO12, Reloc::TLSLD_LDST128_DTPREL_LO12] {
        assert_eq!(patch(LDR_Q, 0x1000, reloc, Value::Offset(4080)), Ok(0x3dc3_fc20));
        assert_eq!(patch(LDR_Q, 0x1000, reloc, Value::Offset(4096)), out_of_range(4096));
        assert_eq!(patch(LDR_Q, 0x1000, reloc, Value::Offset(-16)), out_of_range(-16));
        assert_eq!(patch(LDR_Q, 0x1000, reloc, Value::Offset(8)), misaligned(8));
    }
}

#[test]
fn patchinst_replaces_the_word() {
    assert_eq!(patch(BL, 0x1000, Reloc::PATCHINST, Addr::new(0xd503_201f)), Ok(0xd503_201f));
    assert_eq!(patch(BL, 0x1000, Reloc::PATCHINST, Addr::new(1 << 32)), out_of_range(1 << 32));
    assert_eq!(patch(BL, 0x1002, Reloc::PATCHINST, Addr::new(0)), Err(Reason::MisalignedPlace));
}

#[test]
fn funcinit64_is_eight_aligned_bytes() {
    let mut bytes = [0; 8];
    let result = Section::new(&mut bytes, Addr::new(0x1004)).patch(0, Reloc::FUNCINIT64, Addr::new(0x1234));
    assert_eq!(result.map_err(|error| error.reason), Err(Reason::MisalignedPlace));
    let result = Section::new(&mut bytes, Addr::new(0x1008)).patch(0, Reloc::FUNCINIT64, Addr::new(0x1234));
    assert_eq!(result, Ok(()));
    assert_eq!(bytes, [0x34, 0x12, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn auth_abs64_is_left_to_who_can_sign() {
    let mut bytes = [0x5a; 8];
    let result = Section::new(&mut bytes, Addr::new(0x1008)).patch(0, Reloc::AUTH_ABS64, Addr::new(0x1234));
    assert_eq!(result.map_err(|error| error.reason), Err(Reason::NeedsSigning));
    assert_eq!(bytes, [0x5a; 8]);
}
