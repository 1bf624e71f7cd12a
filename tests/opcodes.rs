//! Which instruction each relocation may change: exactly these, of a list of neighbours.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::reloc::{Reason, Reloc};

/// Words of llvm-mc 19, each with its kind, and words that the Arm ARM leaves unallocated.
#[rustfmt::skip]
const WORDS: &[(u32, &str)] = &[
    (0x9000_0001, "adrp"), // adrp x1, .
    (0x1000_0001, "adr"), // adr x1, .
    (0x1100_0041, "add-w"), // add w1, w2, #0
    (0x9100_0041, "add-x"), // add x1, x2, #0
    (0x1140_0041, "add-hi"), // add w1, w2, #0, lsl #12
    (0x9140_0041, "add-hi"), // add x1, x2, #0, lsl #12
    (0xb100_0041, "other"), // adds x1, x2, #0
    (0x3100_0041, "other"), // adds w1, w2, #0
    (0xd100_0041, "other"), // sub x1, x2, #0
    (0x3940_0041, "mem-8"), // ldrb w1, [x2]
    (0x3980_0041, "mem-8"), // ldrsb x1, [x2]
    (0x3d40_0041, "mem-8"), // ldr b1, [x2]
    (0x7900_0041, "mem-16"), // strh w1, [x2]
    (0x7d40_0041, "mem-16"), // ldr h1, [x2]
    (0xb940_0041, "mem-32"), // ldr w1, [x2]
    (0xb980_0041, "mem-32"), // ldrsw x1, [x2]
    (0xbd40_0041, "mem-32"), // ldr s1, [x2]
    (0xf940_0041, "mem-64"), // ldr x1, [x2]
    (0xf900_0041, "mem-64"), // str x1, [x2]
    (0xfd40_0041, "mem-64"), // ldr d1, [x2]
    (0xf980_0040, "mem-64"), // prfm pldl1keep, [x2]
    (0x3dc0_0041, "mem-128"), // ldr q1, [x2]
    (0x3d80_0041, "mem-128"), // str q1, [x2]
    (0xf840_0041, "other"), // ldur x1, [x2]
    (0xf840_8441, "other"), // ldr x1, [x2], #8
    (0xf863_6841, "mem-register"), // ldr x1, [x2, x3]
    (0xa940_0c41, "other"), // ldp x1, x3, [x2]
    (0x1800_0001, "literal"), // ldr w1, .
    (0x5800_0001, "literal-x"), // ldr x1, .
    (0x9800_0001, "literal"), // ldrsw x1, .
    (0xd800_0000, "literal"), // prfm pldl1keep, .
    (0x1c00_0001, "literal"), // ldr s1, .
    (0x5c00_0001, "literal"), // ldr d1, .
    (0x9c00_0001, "literal"), // ldr q1, .
    (0x1400_0000, "b"), // b .
    (0x9400_0000, "bl"), // bl .
    (0x5400_0000, "cond"), // b.eq .
    (0x5400_0010, "cond"), // bc.eq .
    (0x3400_0001, "cond"), // cbz w1, .
    (0xb500_0001, "cond"), // cbnz x1, .
    (0x3600_0001, "test"), // tbz w1, #0, .
    (0xb7f8_0001, "test"), // tbnz x1, #63, .
    (0x5280_0001, "movz-0"), // movz w1, #0
    (0xd280_0001, "movz-0"), // movz x1, #0
    (0xd2a0_0001, "movz-1"), // movz x1, #0, lsl #16
    (0x52a0_0001, "movz-1"), // movz w1, #0, lsl #16
    (0xd2c0_0001, "movz-2"), // movz x1, #0, lsl #32
    (0xd2e0_0001, "movz-3"), // movz x1, #0, lsl #48
    (0x1280_0001, "movn-0"), // movn w1, #0
    (0x9280_0001, "movn-0"), // movn x1, #0
    (0x12a0_0001, "movn-1"), // movn w1, #0, lsl #16
    (0x92a0_0001, "movn-1"), // movn x1, #0, lsl #16
    (0x92c0_0001, "movn-2"), // movn x1, #0, lsl #32
    (0x92e0_0001, "movn-3"), // movn x1, #0, lsl #48
    (0x7280_0001, "movk-0"), // movk w1, #0
    (0xf280_0001, "movk-0"), // movk x1, #0
    (0x72a0_0001, "movk-1"), // movk w1, #0, lsl #16
    (0xf2a0_0001, "movk-1"), // movk x1, #0, lsl #16
    (0xf2c0_0001, "movk-2"), // movk x1, #0, lsl #32
    (0xf2e0_0001, "movk-3"), // movk x1, #0, lsl #48
    (0xf862_6821, "mem-register"), // ldr x1, [x1, x2]
    (0xb862_6821, "other"), // ldr w1, [x1, x2]
    (0x8b02_0021, "add-register"), // add x1, x1, x2
    (0x8b22_4021, "add-register"), // add x1, x1, w2, uxtw
    (0x0b02_0021, "other"), // add w1, w1, w2
    (0xd61f_0020, "other"), // br x1
    (0xd63f_0020, "blr"), // blr x1
    (0xd65f_03c0, "other"), // ret
    (0xd503_201f, "other"), // nop
    (0x52c0_0001, "other"), // unallocated: movz w1, #0, lsl #32
    (0x72e0_0001, "other"), // unallocated: movk w1, #0, lsl #48
    (0xb280_0001, "other"), // unallocated: move-wide, opc 1
    (0xdc00_0000, "other"), // unallocated: prfm of a vector literal
    (0xb9c0_0041, "other"), // unallocated: load, size 2, opc 3
    (0xf9c0_0041, "other"), // unallocated: load, size 3, opc 3
    (0x7dc0_0041, "other"), // unallocated: vector load, size 1, opc 3
    (0x0000_0000, "other"), // udf #0
];

/// The kinds that a relocation may change, by what the ABI says of it; `None` for data and whole words, where all may stand.
fn kinds(reloc: Reloc) -> Option<Vec<String>> {
    let full = reloc.name();
    let plain = full.replace("R_AARCH64_", "").replace("AUTH_", "");
    let (has, ends) = (|part: &str| plain.contains(part), |part: &str| plain.ends_with(part));
    let list = |kinds: &[&str]| Some(kinds.iter().map(|kind| kind.to_string()).collect());
    match plain.as_str() {
        "TLSDESC_CALL" => list(&["blr"]),
        "TSTBR14" => list(&["test"]),
        "CONDBR19" => list(&["cond"]),
        "JUMP26" => list(&["b"]),
        "CALL26" => list(&["bl"]),
        "LD_PREL_LO19" => list(&["literal", "literal-x"]),
        "TLSDESC_LDR" => list(&["mem-64", "mem-register", "literal-x"]),
        "TLSDESC_ADD" => list(&["add-x", "add-register"]),
        _ if ends("PREL19") => list(&["literal-x"]),
        _ if has("PG_HI21") || ends("PAGE21") || ends("GOT_PAGE") => list(&["adrp"]),
        _ if ends("PREL21") || ends("PREL_LO21") => list(&["adr"]),
        _ if ends("HI12") => list(&["add-hi"]),
        _ if has("ADD_ABS") || has("ADD_TPREL") || has("ADD_DTPREL") => list(&["add-w", "add-x"]),
        // The address of a GOT entry is a pointer.
        _ if has("_ADD_") => list(&["add-x"]),
        _ if has("LD64_") => list(&["mem-64"]),
        _ if has("LDST") => {
            let bits = plain.split("LDST").nth(1)?.split('_').next()?;
            Some(vec![format!("mem-{bits}")])
        }
        _ if has("MOVW_") || has("TLSDESC_OFF_") => {
            let group = plain.split("_G").last()?.chars().next()?;
            let moves: &[&str] = match () {
                () if has("UABS") => &["movz", "movk"],
                () if ends("_NC") => &["movk"],
                () => &["movn", "movz"],
            };
            Some(moves.iter().map(|opcode| format!("{opcode}-{group}")).collect())
        }
        _ => None,
    }
}

#[test]
fn each_relocation_takes_its_instructions_and_no_other() {
    let mut taken = 0;
    for &reloc in Reloc::ALL.iter().filter(|&&reloc| reloc != Reloc::AUTH_ABS64) {
        let kinds = kinds(reloc);
        for &(word, kind) in WORDS {
            let right = kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|takes| takes == kind));
            let answer = reloc.read(word.into(), Addr::new(0x1000));
            let refused = answer == Err(Reason::WrongOpcode { found: word });
            assert_eq!((answer.is_ok(), refused), (right, !right), "{reloc:?} on {word:#010x}, {kind}");
            taken += usize::from(right && kinds.is_some());
        }
    }
    assert!(taken > Reloc::ALL.len(), "only {taken} pairs fit");
}

#[test]
fn data_takes_any_bytes_and_instructions_do_not() {
    for &reloc in Reloc::ALL {
        let free = reloc.is_data() || reloc == Reloc::PATCHINST;
        assert_eq!(kinds(reloc).is_none(), free, "{reloc:?}");
    }
}
