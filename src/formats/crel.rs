//! Relocations in compressed form (`SHT_CREL`; LLVM 19's `llvm/Object/ELF.h` and `ELFTypes.h`): numbers in LEB128, of each
//! relocation what differs from the one before.
//!
//! ```text
//! section     ULEB128: count << 3 | has_addends << 2 | shift, then the relocations
//! relocation  ULEB128 of up to 67 bits: (offset's difference >> shift) << flags | which of these three follow:
//!             SLEB128 symbol's difference, SLEB128 type's difference, SLEB128 addend's difference
//! ```
//!
//! A section without addends has two flags, and its addends in place.

use crate::link::Problem;
use elf::relocation::Rela;

/// The relocations of a section that are still to be read.
#[derive(Clone, Debug)]
pub(super) struct Crel<'data> {
    bytes: &'data [u8],
    left: usize,
    pub(super) has_addends: bool,
    shift: u32,
    /// The one before, its offset not yet shifted.
    last: Rela,
}

const ENDS: Problem = Problem::malformed("the compressed relocations end too early");
const GOES_ON: Problem = Problem::malformed("the compressed relocations end before their section");
const TOO_LARGE: Problem = Problem::malformed("a number of compressed relocations has more than 64 bits");

impl<'data> Crel<'data> {
    /// Those of a section that holds `bytes`.
    pub(super) fn new(mut bytes: &'data [u8]) -> Result<Self, Problem> {
        let header = unsigned(&mut bytes)?;
        // Each takes a byte at least.
        let left = usize::try_from(header >> 3).ok().filter(|&count| count <= bytes.len()).ok_or(ENDS)?;
        if left == 0 && !bytes.is_empty() {
            return Err(GOES_ON);
        }
        let last = Rela { r_offset: 0, r_sym: 0, r_type: 0, r_addend: 0 };
        Ok(Self { bytes, left, has_addends: header & 4 != 0, shift: (header & 3) as u32, last })
    }

    /// Those that were left when the [`state`](Self::state) was this, from number `index` of all on.
    pub(super) fn resume(bytes: &'data [u8], state: [u64; 5], index: usize) -> Result<Self, Problem> {
        let start = Self::new(bytes)?;
        let [rest, left, r_offset, numbers, addend] = state;
        let last =
            Rela { r_offset, r_sym: (numbers >> 32) as u32, r_type: numbers as u32, r_addend: addend.cast_signed() };
        let count = start.left;
        let bytes = bytes.len().checked_sub(rest as usize).and_then(|at| bytes.get(at..));
        let mut stream = match bytes {
            Some(bytes) if left > 0 => Self { bytes, left: count.min(left as usize), last, ..start },
            _ => start,
        };
        while count - stream.left < index && stream.left > 0 {
            stream.next().transpose()?;
        }
        Ok(stream)
    }

    /// What there is to know of it besides the bytes; zeros where nothing was read.
    pub(super) fn state(&self) -> [u64; 5] {
        let Rela { r_offset, r_sym, r_type, r_addend } = self.last;
        let numbers = u64::from(r_sym) << 32 | u64::from(r_type);
        [self.bytes.len() as u64, self.left as u64, r_offset, numbers, r_addend.cast_unsigned()]
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.left
    }

    /// Reads the next one. All sums are modulo what their field holds, as LLVM's are.
    fn read(&mut self) -> Result<Rela, Problem> {
        let flag_bits = if self.has_addends { 3 } else { 2 };
        let first = byte(&mut self.bytes)?;
        let mut difference = u64::from(first & 0x7f) >> flag_bits;
        if first & 0x80 != 0 {
            difference = difference.wrapping_add(unsigned(&mut self.bytes)? << (7 - flag_bits));
        }
        let mut number = |flag: u8| if first & flag != 0 { signed(&mut self.bytes) } else { Ok(0) };
        let (symbol, kind) = (number(1)?, number(2)?);
        let addend = if self.has_addends { number(4)? } else { 0 };
        let last = &mut self.last;
        last.r_offset = last.r_offset.wrapping_add(difference);
        last.r_sym = last.r_sym.wrapping_add(symbol as u32);
        last.r_type = last.r_type.wrapping_add(kind as u32);
        last.r_addend = last.r_addend.wrapping_add(addend);
        if self.left == 0 && !self.bytes.is_empty() {
            return Err(GOES_ON);
        }
        Ok(Rela { r_offset: last.r_offset << self.shift, ..*last })
    }
}

/// Nothing follows one that cannot be read.
impl Iterator for Crel<'_> {
    type Item = Result<Rela, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.read().inspect_err(|_| self.left = 0))
    }
}

fn byte(bytes: &mut &[u8]) -> Result<u8, Problem> {
    let (&first, rest) = bytes.split_first().ok_or(ENDS)?;
    *bytes = rest;
    Ok(first)
}

fn unsigned(bytes: &mut &[u8]) -> Result<u64, Problem> {
    leb128(bytes, false)
}

fn signed(bytes: &mut &[u8]) -> Result<i64, Problem> {
    leb128(bytes, true).map(u64::cast_signed)
}

/// Takes a number of 64 bits from the front of `bytes`: seven bits a byte, the lowest first.
fn leb128(bytes: &mut &[u8], is_signed: bool) -> Result<u64, Problem> {
    let (mut value, mut shift) = (0_u64, 0_u32);
    loop {
        let next = byte(bytes)?;
        let bits = u64::from(next & 0x7f);
        let fits = match (shift, is_signed) {
            (0..=56, _) => true,
            (63, false) => bits <= 1,
            // Of those beyond, all are copies of the sign.
            (63, true) => bits == 0 || bits == 0x7f,
            (_, true) if value >> 63 != 0 => bits == 0x7f,
            _ => bits == 0,
        };
        if !fits {
            return Err(TOO_LARGE);
        }
        value |= bits.checked_shl(shift).unwrap_or(0);
        shift = shift.saturating_add(7);
        if next & 0x80 == 0 {
            let is_negative = is_signed && bits & 0x40 != 0;
            return Ok(value | if is_negative { u64::MAX.checked_shl(shift).unwrap_or(0) } else { 0 });
        }
    }
}
