//! One word patched on its own.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::{Reason, Reloc, Value};

/// The word at `place` patched, or the refusal, which must leave it as it was.
pub fn patch(word: u32, place: u64, reloc: Reloc, value: impl Into<Value>) -> Result<u32, Reason> {
    let mut bytes = word.to_le_bytes();
    let result = Section::new(&mut bytes, Addr::new(place)).patch(0, reloc, value);
    let after = u32::from_le_bytes(bytes);
    match result {
        Ok(()) => Ok(after),
        Err(error) => {
            assert_eq!(after, word, "a refusal wrote");
            Err(error.reason)
        }
    }
}

/// The same with the target `x` bytes from a place in the middle of nowhere.
pub fn patch_distance(word: u32, reloc: Reloc, x: i64) -> Result<u32, Reason> {
    let place = 0x7000_0000_0000;
    patch(word, place, reloc, Addr::new(place).plus(x))
}
