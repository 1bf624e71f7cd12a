//! Memory for an object that was refused, until LLVM hears of it.

use std::vec::Vec;

/// Memory that never becomes executable.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<Vec<u8>>);

impl Scratch {
    /// The first of `len` zero bytes at a multiple of `align`; `None` where there is no memory, or `align` is not a power of two.
    pub(super) fn take(&mut self, len: usize, align: u64) -> Option<*mut u8> {
        let align = usize::try_from(align).ok().filter(|align| align.is_power_of_two())?;
        let all = len.checked_add(align)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(all).ok()?;
        bytes.resize(all, 0);
        let skipped = bytes.as_ptr().align_offset(align);
        let start = bytes.get_mut(skipped..)?.as_mut_ptr();
        self.0.push(bytes);
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_aligned_and_never_more_than_there_is() {
        let mut scratch = Scratch::default();
        let start = scratch.take(100, 4096).unwrap();
        assert_eq!(start.addr() % 4096, 0);
        for (len, align) in [(usize::MAX, 1), (usize::MAX >> 1, 1), (1, 1 << 63), (8, 0), (8, 3)] {
            assert_eq!(scratch.take(len, align), None);
        }
    }
}
