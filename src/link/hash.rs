//! The hash of a name, for an index that is built anew for each link: quick and small.

/// Sixty-four bits that depend on `seed` and on every byte of `name`: all of them are mixed, sixteen bytes a multiplication.
///
/// Who knows the seed can write a file of names that have one hash. That no block makes the product zero whatever the seed is,
/// the encoding sees to: the bytes of [`ODD`] are not UTF-8.
pub(super) fn hash(name: &str, seed: u64) -> u64 {
    let (blocks, rest) = name.as_bytes().as_chunks::<16>();
    let mut last = [0; 16];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    // What is padded with zeros is told apart by its length.
    let length = (name.len() as u64).wrapping_mul(ODD) ^ seed;
    fold(blocks.iter().chain([&last]).fold(length, |hash, block| mix(hash, *block)), ODD)
}

fn mix(hash: u64, block: [u8; 16]) -> u64 {
    let block = u128::from_le_bytes(block);
    fold(block as u64 ^ hash, (block >> 64) as u64 ^ ODD)
}

/// 2^64 divided by the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::hash;
    use std::collections::BTreeSet;
    use std::string::String;
    use std::{format, vec, vec::Vec};

    /// Names like those of compilers, that differ in few bytes, in their length, or at their end only.
    fn names() -> Vec<String> {
        let mut names: Vec<_> = (0..20_000).map(|n| format!("_ZN4core3ptr13drop_in_place17h{n:016x}E")).collect();
        names.extend((0..20_000).map(|n| format!("fn{n}")));
        names.extend((0..200).map(|len| "\0".repeat(len)));
        names.extend((1..200).map(|len| "a".repeat(len)));
        names
    }

    #[test]
    fn names_spread_evenly() {
        let names = names();
        for seed in [0, 0x2000_0000, 0x7fff_f7d8_e010] {
            assert_eq!(names.iter().map(|name| hash(name, seed)).collect::<BTreeSet<_>>().len(), names.len());
            for shift in [0, 16, 32, 48] {
                let mut buckets = vec![0; 1 << 12];
                names.iter().for_each(|name| buckets[(hash(name, seed) >> shift & 0xfff) as usize] += 1);
                // About ten in each.
                assert!(buckets.iter().all(|&count| count < 40), "{shift}: {:?}", buckets.iter().max());
            }
        }
        assert!(core::str::from_utf8(&super::ODD.to_le_bytes()).is_err());
    }
}
