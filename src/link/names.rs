//! An index from names to numbers, over buckets that the caller lends.

use super::tables::NONE;
use crate::prefetch::prefetch;

/// Open addressing with linear probing. A bucket holds 32 bits of a name's hash above the number, or [`EMPTY`]; what the
/// number's name is, the caller knows, and is asked only where the bits are the same.
#[derive(Debug)]
pub(super) struct Names<'t> {
    buckets: &'t mut [u64],
    /// Where programs lie at random, no file can be written whose names have one hash.
    secrets: Secrets,
}

/// What a name is looked up by.
#[derive(Clone, Copy, Default)]
pub(super) struct Hash(u64);

/// No number: a bucket that is not in use.
const EMPTY: u64 = u64::MAX;

impl<'t> Names<'t> {
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn new(buckets: &'t mut [u64]) -> Self {
        buckets.fill(EMPTY);
        let secrets = Secrets::seed(buckets.as_ptr().addr() as u64);
        Self { buckets, secrets }
    }

    /// The number that is entered under `name`: `number`, which is not [`NONE`], unless there was one before, of which `is`
    /// tells whether it has the name. `None` where all buckets are in use.
    pub(super) fn enter(&mut self, name: &str, number: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.enter_hashed(self.hash(name), number, is)
    }

    /// The same under a name that has this hash.
    pub(super) fn enter_hashed(&mut self, hash: Hash, number: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.position(hash, is)?;
        let bucket = self.buckets.get_mut(at)?;
        if *bucket == EMPTY {
            *bucket = tag(hash) | u64::from(number);
        }
        Some(*bucket as u32)
    }

    /// The number of `name`.
    pub(super) fn get(&self, name: &str, is: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.position(self.hash(name), is)?;
        self.buckets.get(at).map(|&bucket| bucket as u32).filter(|&number| number != NONE)
    }

    /// The buckets, for who needs the index no more.
    pub(super) fn buckets(&mut self) -> &mut [u64] {
        self.buckets
    }

    /// What `name` is looked up by.
    #[cfg_attr(feature = "fast", inline)]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn hash(&self, name: &str) -> Hash {
        Hash(hash_of(name.as_bytes(), &self.secrets))
    }

    /// Has the processor fetch the buckets of names that are looked up next: together, for they lie in no order.
    #[inline]
    pub(super) fn fetch(&self, hashes: impl Iterator<Item = Hash>) {
        hashes.filter_map(|hash| self.buckets.get(self.first(hash))).for_each(prefetch);
    }

    /// The bucket where a name is looked for first: the upper bits of hash * length spread evenly over any length.
    fn first(&self, Hash(hash): Hash) -> usize {
        ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize
    }

    #[inline(always)]
    fn position(&self, hash: Hash, is: impl Fn(u32) -> bool) -> Option<usize> {
        if QUICK { self.search(hash, is) } else { self.search::<&dyn Fn(u32) -> bool>(hash, &is) }
    }

    fn search<F: Fn(u32) -> bool>(&self, hash: Hash, is: F) -> Option<usize> {
        let len = self.buckets.len();
        let mut at = self.first(hash);
        for _ in 0..len {
            let bucket = *self.buckets.get(at)?;
            if bucket == EMPTY || (bucket & !u64::from(NONE) == tag(hash) && is(bucket as u32)) {
                return Some(at);
            }
            at = if at + 1 == len { 0 } else { at + 1 };
        }
        None
    }
}

/// Whether names are hashed quickly, whatever room that takes.
const QUICK: bool = cfg!(feature = "fast");

#[cfg(feature = "fast")]
use rapidhash::v3::{RapidSecrets as Secrets, rapidhash_v3_nano_inline};

#[cfg(feature = "fast")]
#[inline]
fn hash_of(name: &[u8], secrets: &Secrets) -> u64 {
    rapidhash_v3_nano_inline::<true, false>(name, secrets)
}

/// A seed, and an odd number of which most bits depend on it.
#[cfg(not(feature = "fast"))]
#[derive(Debug)]
struct Secrets(u64, u64);

#[cfg(not(feature = "fast"))]
impl Secrets {
    const fn seed(seed: u64) -> Self {
        Self(seed, seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
}

/// A hash in little room: of each byte, the halves of a product.
#[cfg(not(feature = "fast"))]
fn hash_of(name: &[u8], &Secrets(seed, multiplier): &Secrets) -> u64 {
    name.iter().fold(seed, |hash, &byte| {
        let product = u128::from(hash ^ u64::from(byte)) * u128::from(multiplier);
        product as u64 ^ (product >> 64) as u64
    })
}

/// The bits of a hash that a bucket has, where it has them: those that do not say where it lies.
const fn tag(Hash(hash): Hash) -> u64 {
    hash << 32
}
