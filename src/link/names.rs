//! An index from names to numbers, over buckets that the caller lends.

use super::hash::hash;
use super::tables::NONE;

/// Open addressing with linear probing. A bucket holds a number, or [`NONE`]; what the number's name is, the caller knows.
#[derive(Debug)]
pub(super) struct Names<'t>(&'t mut [u32]);

impl<'t> Names<'t> {
    pub(super) fn new(buckets: &'t mut [u32]) -> Self {
        buckets.fill(NONE);
        Self(buckets)
    }

    /// The bucket of `name`: the one whose number `is` that name, or else the first empty one on the way to it; `None`
    /// where all are in use.
    pub(super) fn bucket(&mut self, name: &str, is: impl Fn(u32) -> bool) -> Option<&mut u32> {
        let at = self.position(name, is)?;
        self.0.get_mut(at)
    }

    /// The number of `name`.
    pub(super) fn get(&self, name: &str, is: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.position(name, is)?;
        self.0.get(at).copied().filter(|&number| number != NONE)
    }

    /// The buckets, for who needs the index no more.
    pub(super) fn buckets(&mut self) -> &mut [u32] {
        self.0
    }

    fn position(&self, name: &str, is: impl Fn(u32) -> bool) -> Option<usize> {
        // Where programs lie at random, files cannot be written for the addresses of one.
        let hash = hash(name, self.0.as_ptr().addr() as u64);
        // The upper bits of hash * length spread evenly over any length.
        let start = ((u128::from(hash) * self.0.len() as u128) >> 64) as usize;
        let (before, from) = self.0.split_at_checked(start)?;
        let probes = (start..).zip(from).chain((0..).zip(before));
        probes.into_iter().find(|&(_, &number)| number == NONE || is(number)).map(|(at, _)| at)
    }
}
