//! The relocation table: one line per relocation of AAELF64 2026Q2, in the ABI's order.
//!
//! | column | meaning |
//! |---|---|
//! | name, code | as in the ABI, without `R_AARCH64_`; the ELF64 code |
//! | takes | the class of [`Value`](super::Value) it is given |
//! | X | `Abs`: the value. `Rel`: value - P. `Page`: Page(value) - Page(P). `None`: nothing |
//! | site | the instruction, or data, that holds the field |
//! | bits | the bits `[hi:lo]` of X that the field takes |
//! | X fits | `Int n`: -2^(n-1) <= X < 2^(n-1). `Uint n`: 0 <= X < 2^n. `Both n`: either. `Any 64`: not checked |
//! | mod | X must be a multiple of this |

use super::distinct::distinct;
use super::row::{Fits, Row, X};
use super::site::Site;
use super::value::Class;

/// One line of the table makes one variant of [`Reloc`], its row, and its answer to `from_elf`.
macro_rules! table {
    ($($name:ident $code:literal $takes:ident $x:ident $site:ident [$hi:literal : $lo:literal] $fits:ident $width:literal $align:literal;)*) => {
        /// A static relocation of AArch64 ELF64, spelled as the ABI spells it without `R_AARCH64_`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(non_camel_case_types)]
        #[non_exhaustive]
        #[cfg_attr(feature = "std", derive(zerocopy::FromZeros))]
        #[repr(u8)]
        pub enum Reloc {
            $(#[doc = concat!("`R_AARCH64_", stringify!($name), "`, ELF64 code ", $code, ".")] $name,)*
        }

        impl Reloc {
            /// Every relocation, in the ABI's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The relocation of an ELF64 `r_info` type; `None` where AAELF64 has no static relocation of that code.
            ///
            /// 256 is a withdrawn alias of `NONE` (AAELF64 5.7.3); 0x8110 to 0x811d are what LLVM up to 19 emitted for
            /// the signed-GOT relocations.
            #[inline]
            pub const fn from_elf(code: u32) -> Option<Self> {
                // Most are told apart without a branch for each.
                match code {
                    0..=LAST_OF_TLS if QUICK => KNOWN[code as usize],
                    FIRST..=LAST => KNOWN_PLAIN[(code - FIRST) as usize],
                    FIRST_OF_TLS..=LAST_OF_TLS => KNOWN_OF_TLS[(code - FIRST_OF_TLS) as usize],
                    0x8110..=0x811d => Self::from_elf(code - 0x8110 + const { Self::AUTH_MOVW_GOTOFF_G0.code() }),
                    0 => Some(Self::NONE),
                    1029 => Some(Self::TLS_DTPREL),
                    _ => None,
                }
            }

            /// The same without tables, of those that are in one.
            const fn of_table(code: u32) -> Option<Self> {
                Some(match code {
                    256 => Self::NONE,
                    $($code => Self::$name,)*
                    _ => return None,
                })
            }

            /// The full name, as `readelf` prints it: `R_AARCH64_...`.
            // Apart from the row, so that who prints no name has none in the program.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("R_AARCH64_", stringify!($name)),)*
                }
            }

            /// The ELF64 code, as in `r_info` (AAELF64 5.7).
            pub const fn code(self) -> u32 {
                let index = self as usize;
                if index < CODES.len() { CODES[index] as u32 } else { 0 }
            }

            #[cfg_attr(not(feature = "fast"), inline(never))]
            pub(super) const fn row(self) -> &'static Row {
                let index = self as usize;
                // Discriminants count from 0 in the same order; the first serves for what there is not.
                if QUICK {
                    return if index < ROWS.len() { &ROWS[index] } else { &ROWS[0] };
                }
                let index = if index < INDICES.len() { INDICES[index] as usize } else { 0 };
                if index < SHORT.len() { &SHORT[index] } else { &SHORT[0] }
            }
        }

        /// The codes of all, in the order of [`Reloc::ALL`]: apart from the rows, so that who asks for none has none.
        static CODES: [u16; Reloc::ALL.len()] = [$($code,)*];

        /// The rows of all, in the order of [`Reloc::ALL`].
        static ROWS: [Row; Reloc::ALL.len()] = ROWS_OF_ALL;

        const ROWS_OF_ALL: [Row; Reloc::ALL.len()] = [$(Row {
            takes: Class::$takes,
            x: X::$x,
            site: Site::$site,
            hi: $hi,
            lo: $lo,
            fits: Fits::$fits,
            width: $width,
            align: $align,
        },)*];
    };
}

// In place of `ROWS`, where that is too long for the flash.
distinct!(SHORT, INDICES, Row, ROWS_OF_ALL);

/// Whether there is a table of all codes up to the last but a few, for which not every flash has the room.
const QUICK: bool = cfg!(feature = "fast");

/// The relocations of so many codes from `first` on.
const fn known<const COUNT: usize>(first: u32) -> [Option<Reloc>; COUNT] {
    let mut known = [None; COUNT];
    let mut index = 0;
    while index < COUNT {
        known[index] = Reloc::of_table(first + index as u32);
        index += 1;
    }
    known
}

static KNOWN: [Option<Reloc>; LAST_OF_TLS as usize + 1] = known(0);

// The codes that most relocations have, and those of thread-local storage and what follows them.
const FIRST: u32 = 256;
const LAST: u32 = 317;
static KNOWN_PLAIN: [Option<Reloc>; (LAST - FIRST) as usize + 1] = known(FIRST);
const FIRST_OF_TLS: u32 = 512;
const LAST_OF_TLS: u32 = 597;
static KNOWN_OF_TLS: [Option<Reloc>; (LAST_OF_TLS - FIRST_OF_TLS) as usize + 1] = known(FIRST_OF_TLS);

#[rustfmt::skip]
table! {
    // name                          code  takes  X     site     bits      X fits   mod
    // Data and miscellaneous relocations (AAELF64 5.7.4, 5.7.5).
    NONE                                0  Any    None  None     [ 0: 0]  Any  64   1;
    ABS64                             257  Addr   Abs   Data     [63: 0]  Any  64   1;
    ABS32                             258  Addr   Abs   Data     [31: 0]  Both 32   1;
    ABS16                             259  Addr   Abs   Data     [15: 0]  Both 16   1;
    PREL64                            260  Addr   Rel   Data     [63: 0]  Any  64   1;
    PREL32                            261  Addr   Rel   Data     [31: 0]  Int  32   1;
    PREL16                            262  Addr   Rel   Data     [15: 0]  Int  16   1;
    PLT32                             314  Addr   Rel   Data     [31: 0]  Int  32   1;
    GOTPCREL32                        315  Slot   Rel   Data     [31: 0]  Int  32   1;
    GOTREL64                          307  Offset Abs   Data     [63: 0]  Any  64   1;
    GOTREL32                          308  Offset Abs   Data     [31: 0]  Int  32   1;
    PATCHINST                         316  Addr   Abs   Word     [31: 0]  Uint 32   1;
    FUNCINIT64                        317  Addr   Abs   Pointer  [63: 0]  Any  64   1;
    AUTH_ABS64                        580  Addr   Abs   Signed   [63: 0]  Any  64   1;
    // Group relocations for move-wide instructions (5.7.6).
    MOVW_UABS_G0                      263  Addr   Abs   MovZK    [15: 0]  Uint 16   1;
    MOVW_UABS_G0_NC                   264  Addr   Abs   MovZK    [15: 0]  Any  64   1;
    MOVW_UABS_G1                      265  Addr   Abs   MovZK    [31:16]  Uint 32   1;
    MOVW_UABS_G1_NC                   266  Addr   Abs   MovZK    [31:16]  Any  64   1;
    MOVW_UABS_G2                      267  Addr   Abs   MovZK    [47:32]  Uint 48   1;
    MOVW_UABS_G2_NC                   268  Addr   Abs   MovZK    [47:32]  Any  64   1;
    MOVW_UABS_G3                      269  Addr   Abs   MovZK    [63:48]  Any  64   1;
    MOVW_SABS_G0                      270  Addr   Abs   MovNZ    [15: 0]  Int  17   1;
    MOVW_SABS_G1                      271  Addr   Abs   MovNZ    [31:16]  Int  33   1;
    MOVW_SABS_G2                      272  Addr   Abs   MovNZ    [47:32]  Int  49   1;
    MOVW_PREL_G0                      287  Addr   Rel   MovNZ    [15: 0]  Int  17   1;
    MOVW_PREL_G0_NC                   288  Addr   Rel   MovK     [15: 0]  Any  64   1;
    MOVW_PREL_G1                      289  Addr   Rel   MovNZ    [31:16]  Int  33   1;
    MOVW_PREL_G1_NC                   290  Addr   Rel   MovK     [31:16]  Any  64   1;
    MOVW_PREL_G2                      291  Addr   Rel   MovNZ    [47:32]  Int  49   1;
    MOVW_PREL_G2_NC                   292  Addr   Rel   MovK     [47:32]  Any  64   1;
    MOVW_PREL_G3                      293  Addr   Rel   MovNZ    [63:48]  Any  64   1;
    MOVW_GOTOFF_G0                    300  Offset Abs   MovNZ    [15: 0]  Int  17   1;
    MOVW_GOTOFF_G0_NC                 301  Offset Abs   MovK     [15: 0]  Any  64   1;
    MOVW_GOTOFF_G1                    302  Offset Abs   MovNZ    [31:16]  Int  33   1;
    MOVW_GOTOFF_G1_NC                 303  Offset Abs   MovK     [31:16]  Any  64   1;
    MOVW_GOTOFF_G2                    304  Offset Abs   MovNZ    [47:32]  Int  49   1;
    MOVW_GOTOFF_G2_NC                 305  Offset Abs   MovK     [47:32]  Any  64   1;
    MOVW_GOTOFF_G3                    306  Offset Abs   MovNZ    [63:48]  Any  64   1;
    // PC-relative addresses, and the lo12 that go with them (5.7.7).
    LD_PREL_LO19                      273  Addr   Rel   Literal  [20: 2]  Int  21   4;
    ADR_PREL_LO21                     274  Addr   Rel   Adr      [20: 0]  Int  21   1;
    ADR_PREL_PG_HI21                  275  Addr   Page  Adrp     [32:12]  Int  33   1;
    ADR_PREL_PG_HI21_NC               276  Addr   Page  Adrp     [32:12]  Any  64   1;
    ADD_ABS_LO12_NC                   277  Addr   Abs   Add      [11: 0]  Any  64   1;
    LDST8_ABS_LO12_NC                 278  Addr   Abs   LdSt     [11: 0]  Any  64   1;
    LDST16_ABS_LO12_NC                284  Addr   Abs   LdSt     [11: 1]  Any  64   2;
    LDST32_ABS_LO12_NC                285  Addr   Abs   LdSt     [11: 2]  Any  64   4;
    LDST64_ABS_LO12_NC                286  Addr   Abs   LdSt     [11: 3]  Any  64   8;
    LDST128_ABS_LO12_NC               299  Addr   Abs   LdSt     [11: 4]  Any  64  16;
    // Control flow (5.7.8).
    TSTBR14                           279  Addr   Rel   TestBr   [15: 2]  Int  16   4;
    CONDBR19                          280  Addr   Rel   CondBr   [20: 2]  Int  21   4;
    JUMP26                            282  Addr   Rel   B        [27: 2]  Int  28   4;
    CALL26                            283  Addr   Rel   Bl       [27: 2]  Int  28   4;
    // GOT loads (5.7.10).
    GOT_LD_PREL19                     309  Slot   Rel   LiteralX [20: 2]  Int  21   4;
    LD64_GOTOFF_LO15                  310  Offset Abs   LdSt     [14: 3]  Uint 15   8;
    ADR_GOT_PAGE                      311  Slot   Page  Adrp     [32:12]  Int  33   1;
    LD64_GOT_LO12_NC                  312  Slot   Abs   LdSt     [11: 3]  Any  64   8;
    LD64_GOTPAGE_LO15                 313  Offset Abs   LdSt     [14: 3]  Uint 15   8;
    // Thread-local storage, general dynamic (5.7.11.1).
    TLSGD_ADR_PREL21                  512  Slot   Rel   Adr      [20: 0]  Int  21   1;
    TLSGD_ADR_PAGE21                  513  Slot   Page  Adrp     [32:12]  Int  33   1;
    TLSGD_ADD_LO12_NC                 514  Slot   Abs   AddX     [11: 0]  Any  64   1;
    TLSGD_MOVW_G1                     515  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSGD_MOVW_G0_NC                  516  Offset Abs   MovK     [15: 0]  Any  64   1;
    // Thread-local storage, local dynamic (5.7.11.2).
    TLSLD_ADR_PREL21                  517  Slot   Rel   Adr      [20: 0]  Int  21   1;
    TLSLD_ADR_PAGE21                  518  Slot   Page  Adrp     [32:12]  Int  33   1;
    TLSLD_ADD_LO12_NC                 519  Slot   Abs   AddX     [11: 0]  Any  64   1;
    TLSLD_MOVW_G1                     520  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSLD_MOVW_G0_NC                  521  Offset Abs   MovK     [15: 0]  Any  64   1;
    TLSLD_LD_PREL19                   522  Slot   Rel   LiteralX [20: 2]  Int  21   4;
    TLSLD_MOVW_DTPREL_G2              523  Offset Abs   MovNZ    [47:32]  Int  49   1;
    TLSLD_MOVW_DTPREL_G1              524  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSLD_MOVW_DTPREL_G1_NC           525  Offset Abs   MovK     [31:16]  Any  64   1;
    TLSLD_MOVW_DTPREL_G0              526  Offset Abs   MovNZ    [15: 0]  Int  17   1;
    TLSLD_MOVW_DTPREL_G0_NC           527  Offset Abs   MovK     [15: 0]  Any  64   1;
    TLSLD_ADD_DTPREL_HI12             528  Offset Abs   AddHi    [23:12]  Uint 24   1;
    TLSLD_ADD_DTPREL_LO12             529  Offset Abs   Add      [11: 0]  Uint 12   1;
    TLSLD_ADD_DTPREL_LO12_NC          530  Offset Abs   Add      [11: 0]  Any  64   1;
    TLSLD_LDST8_DTPREL_LO12           531  Offset Abs   LdSt     [11: 0]  Uint 12   1;
    TLSLD_LDST8_DTPREL_LO12_NC        532  Offset Abs   LdSt     [11: 0]  Any  64   1;
    TLSLD_LDST16_DTPREL_LO12          533  Offset Abs   LdSt     [11: 1]  Uint 12   2;
    TLSLD_LDST16_DTPREL_LO12_NC       534  Offset Abs   LdSt     [11: 1]  Any  64   2;
    TLSLD_LDST32_DTPREL_LO12          535  Offset Abs   LdSt     [11: 2]  Uint 12   4;
    TLSLD_LDST32_DTPREL_LO12_NC       536  Offset Abs   LdSt     [11: 2]  Any  64   4;
    TLSLD_LDST64_DTPREL_LO12          537  Offset Abs   LdSt     [11: 3]  Uint 12   8;
    TLSLD_LDST64_DTPREL_LO12_NC       538  Offset Abs   LdSt     [11: 3]  Any  64   8;
    TLSLD_LDST128_DTPREL_LO12         572  Offset Abs   LdSt     [11: 4]  Uint 12  16;
    TLSLD_LDST128_DTPREL_LO12_NC      573  Offset Abs   LdSt     [11: 4]  Any  64  16;
    // Thread-local storage, initial exec (5.7.11.3).
    TLSIE_MOVW_GOTTPREL_G1            539  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSIE_MOVW_GOTTPREL_G0_NC         540  Offset Abs   MovK     [15: 0]  Any  64   1;
    TLSIE_ADR_GOTTPREL_PAGE21         541  Slot   Page  Adrp     [32:12]  Int  33   1;
    TLSIE_LD64_GOTTPREL_LO12_NC       542  Slot   Abs   LdSt     [11: 3]  Any  64   8;
    TLSIE_LD_GOTTPREL_PREL19          543  Slot   Rel   LiteralX [20: 2]  Int  21   4;
    // Thread-local storage, local exec (5.7.11.4).
    TLSLE_MOVW_TPREL_G2               544  Offset Abs   MovNZ    [47:32]  Int  49   1;
    TLSLE_MOVW_TPREL_G1               545  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSLE_MOVW_TPREL_G1_NC            546  Offset Abs   MovK     [31:16]  Any  64   1;
    TLSLE_MOVW_TPREL_G0               547  Offset Abs   MovNZ    [15: 0]  Int  17   1;
    TLSLE_MOVW_TPREL_G0_NC            548  Offset Abs   MovK     [15: 0]  Any  64   1;
    TLSLE_ADD_TPREL_HI12              549  Offset Abs   AddHi    [23:12]  Uint 24   1;
    TLSLE_ADD_TPREL_LO12              550  Offset Abs   Add      [11: 0]  Uint 12   1;
    TLSLE_ADD_TPREL_LO12_NC           551  Offset Abs   Add      [11: 0]  Any  64   1;
    TLSLE_LDST8_TPREL_LO12            552  Offset Abs   LdSt     [11: 0]  Uint 12   1;
    TLSLE_LDST8_TPREL_LO12_NC         553  Offset Abs   LdSt     [11: 0]  Any  64   1;
    TLSLE_LDST16_TPREL_LO12           554  Offset Abs   LdSt     [11: 1]  Uint 12   2;
    TLSLE_LDST16_TPREL_LO12_NC        555  Offset Abs   LdSt     [11: 1]  Any  64   2;
    TLSLE_LDST32_TPREL_LO12           556  Offset Abs   LdSt     [11: 2]  Uint 12   4;
    TLSLE_LDST32_TPREL_LO12_NC        557  Offset Abs   LdSt     [11: 2]  Any  64   4;
    TLSLE_LDST64_TPREL_LO12           558  Offset Abs   LdSt     [11: 3]  Uint 12   8;
    TLSLE_LDST64_TPREL_LO12_NC        559  Offset Abs   LdSt     [11: 3]  Any  64   8;
    TLSLE_LDST128_TPREL_LO12          570  Offset Abs   LdSt     [11: 4]  Uint 12  16;
    TLSLE_LDST128_TPREL_LO12_NC       571  Offset Abs   LdSt     [11: 4]  Any  64  16;
    TLS_DTPREL                       1029  Offset Abs   Data     [63: 0]  Any  64   1;
    // Thread-local storage, descriptors (5.7.11.5).
    TLSDESC_LD_PREL19                 560  Slot   Rel   LiteralX [20: 2]  Int  21   4;
    TLSDESC_ADR_PREL21                561  Slot   Rel   Adr      [20: 0]  Int  21   1;
    TLSDESC_ADR_PAGE21                562  Slot   Page  Adrp     [32:12]  Int  33   1;
    TLSDESC_LD64_LO12                 563  Slot   Abs   LdSt     [11: 3]  Any  64   8;
    TLSDESC_ADD_LO12                  564  Slot   Abs   AddX     [11: 0]  Any  64   1;
    TLSDESC_OFF_G1                    565  Offset Abs   MovNZ    [31:16]  Int  33   1;
    TLSDESC_OFF_G0_NC                 566  Offset Abs   MovK     [15: 0]  Any  64   1;
    TLSDESC_LDR                       567  Any    None  MarkLdr  [ 0: 0]  Any  64   1;
    TLSDESC_ADD                       568  Any    None  MarkAdd  [ 0: 0]  Any  64   1;
    TLSDESC_CALL                      569  Any    None  Blr      [ 0: 0]  Any  64   1;
    // Signed GOT slots (PAUTHABIELF64): the slot is signed at run time, its address is plain.
    AUTH_MOVW_GOTOFF_G0               581  Offset Abs   MovNZ    [15: 0]  Int  17   1;
    AUTH_MOVW_GOTOFF_G0_NC            582  Offset Abs   MovK     [15: 0]  Any  64   1;
    AUTH_MOVW_GOTOFF_G1               583  Offset Abs   MovNZ    [31:16]  Int  33   1;
    AUTH_MOVW_GOTOFF_G1_NC            584  Offset Abs   MovK     [31:16]  Any  64   1;
    AUTH_MOVW_GOTOFF_G2               585  Offset Abs   MovNZ    [47:32]  Int  49   1;
    AUTH_MOVW_GOTOFF_G2_NC            586  Offset Abs   MovK     [47:32]  Any  64   1;
    AUTH_MOVW_GOTOFF_G3               587  Offset Abs   MovNZ    [63:48]  Any  64   1;
    AUTH_GOT_LD_PREL19                588  Slot   Rel   LiteralX [20: 2]  Int  21   4;
    AUTH_LD64_GOTOFF_LO15             589  Offset Abs   LdSt     [14: 3]  Uint 15   8;
    AUTH_ADR_GOT_PAGE                 590  Slot   Page  Adrp     [32:12]  Int  33   1;
    AUTH_LD64_GOT_LO12_NC             591  Slot   Abs   LdSt     [11: 3]  Any  64   8;
    AUTH_LD64_GOTPAGE_LO15            592  Offset Abs   LdSt     [14: 3]  Uint 15   8;
    AUTH_GOT_ADD_LO12_NC              593  Slot   Abs   AddX     [11: 0]  Any  64   1;
    AUTH_GOT_ADR_PREL_LO21            594  Slot   Rel   Adr      [20: 0]  Int  21   1;
    AUTH_TLSDESC_ADR_PAGE21           595  Slot   Page  Adrp     [32:12]  Int  33   1;
    AUTH_TLSDESC_LD64_LO12            596  Slot   Abs   LdSt     [11: 3]  Any  64   8;
    AUTH_TLSDESC_ADD_LO12             597  Slot   Abs   AddX     [11: 0]  Any  64   1;
}

// What a row says twice must agree: a slipped row does not compile.
const _: () = {
    let mut i = 0;
    while i < Reloc::ALL.len() {
        Reloc::ALL[i].row().assert_consistent();
        assert!(matches!(Reloc::from_elf(Reloc::ALL[i].code()), Some(reloc) if reloc as usize == i));
        i += 1;
    }
};
