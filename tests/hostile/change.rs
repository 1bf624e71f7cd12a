//! Changes of a file, at random: of a field that means something, or of whatever bytes.

use crate::fields::{Field, File, Form};
use crate::random::Random;

/// A copy of `file` with one to four changes.
pub fn change(file: &File, random: &mut Random) -> Vec<u8> {
    let mut bytes = file.bytes.clone();
    for _ in 0..1 + random.below(4) {
        match random.below(4) {
            0 => change_bytes(&mut bytes, random),
            _ => change_field(file, &mut bytes, random),
        }
    }
    bytes
}

fn change_field(file: &File, bytes: &mut [u8], random: &mut Random) {
    let fields = &file.kinds[random.below(file.kinds.len())];
    let field = random.one_of(fields);
    let old = field.get(bytes).unwrap_or(0);
    let near = random.below(9) as u64;
    let value = match random.below(8) {
        0 => edge(bytes.len(), random),
        1 => old.wrapping_add(near).wrapping_sub(4),
        2 => old ^ 1 << random.below(8 * field.width.min(8)),
        3 => random.below(64) as u64,
        // What another record says: indices that are there, places in another order.
        4 | 5 => {
            let others: [Field; 4] = std::array::from_fn(|_| random.one_of(fields));
            let alike = others.into_iter().find(|other| other.width == field.width).unwrap_or(field);
            alike.get(bytes).unwrap_or(0)
        }
        // A number from the other end of its range.
        6 => (1_u64 << (8 * field.width.min(8) - 1)).wrapping_sub(near),
        _ => random.next(),
    };
    if field.form == Form::Decimal && random.below(8) == 0 {
        // No number.
        let at = field.at + random.below(field.width);
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = b'x');
        return;
    }
    field.set(bytes, value);
}

/// A bit, or one to eight bytes, somewhere; or the file ends there, or goes on.
fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let value = edge(bytes.len(), random).to_le_bytes();
    let width = random.one_of(&[1, 2, 4, 8]);
    // Headers are few, and most of what is checked is in them: at the start or at the end.
    let start = match random.below(4) {
        0 => random.below(bytes.len().min(64)),
        1 => bytes.len() - 1 - random.below(bytes.len().min(64 * 40)),
        _ => random.below(bytes.len()),
    };
    match random.below(16) {
        0 => bytes[start] ^= 1 << random.below(8),
        1 if start > 0 => bytes.truncate(start),
        2 => bytes.extend_from_within(start..),
        _ => bytes[start..].iter_mut().zip(&value[..width]).for_each(|(byte, new)| *byte = *new),
    }
}

/// A number at the edge of something.
fn edge(len: usize, random: &mut Random) -> u64 {
    let any = random.next();
    let edges = [0, 1, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX, len as u64, any];
    random.one_of(&edges)
}
