//! How far a place sees.

/// The interval of `S - P`, in bytes, that a kind of relocation can span wherever its place lies.
///
/// Of `ADRP` this is narrower than the field at its upper end: the field counts pages, and a place late in its page has
/// already spent up to 0xffc bytes of the distance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reach {
    /// The farthest target below the place; not positive.
    pub min: i64,
    /// The farthest target above it; not negative.
    pub max: i64,
}

impl Reach {
    /// The reaches that decide a layout, shortest first, each by the instruction or the data relocation it is known for
    /// (AAELF64, static relocations).
    pub const CLASSES: [(&'static str, Self); 5] = [
        ("TBZ", Self { min: -(1 << 15), max: (1 << 15) - 4 }),
        ("B.cond", Self { min: -(1 << 20), max: (1 << 20) - 4 }),
        ("BL", Self { min: -(1 << 27), max: (1 << 27) - 4 }),
        ("PREL32", Self { min: -(1 << 31), max: (1 << 31) - 1 }),
        ("ADRP", Self { min: -(1 << 32), max: (1 << 32) - 4093 }),
    ];

    /// Whether a target `distance` bytes above its place (below, if negative) is within reach.
    pub const fn covers(self, distance: i64) -> bool {
        self.min <= distance && distance <= self.max
    }

    /// Whether every place of a range reaches every target in it (its end, where a symbol may stand but no byte, apart). The
    /// range begins on a page and has `len` bytes.
    ///
    /// *Expression*: `len <= -min`. `max` falls short of `-min` by the step of the targets (a byte of data, four of
    /// instructions, a page of `ADRP`), and so does the last target fall short of the end of the range.
    pub const fn spans(self, len: u64) -> bool {
        len <= self.min.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the place reaches the target, from the field itself: bits of it, bytes a step.
    fn encodes(class: &str, place: u64, target: u64) -> bool {
        let (bits, step) = match class {
            "TBZ" => (14, 4),
            "B.cond" => (19, 4),
            "BL" => (26, 4),
            "PREL32" => (32, 1),
            "ADRP" => (21, 4096),
            _ => return false,
        };
        let field = if class == "ADRP" {
            (target / step) as i128 - (place / step) as i128
        } else {
            (target as i128 - place as i128) / step as i128
        };
        (-(1 << (bits - 1))..1 << (bits - 1)).contains(&field)
    }

    #[test]
    fn covers_is_what_the_fields_hold_wherever_the_place_lies() {
        const P: u64 = 1 << 40;
        for (class, reach) in Reach::CLASSES {
            let every = |d: i64| (P..P + 4096).step_by(4).all(|p| encodes(class, p, p.wrapping_add_signed(d)));
            for edge in [reach.min, reach.max] {
                assert!(reach.covers(edge) && every(edge), "{class} {edge:#x}");
            }
            let step = if matches!(class, "PREL32" | "ADRP") { 1 } else { 4 };
            for past in [reach.min - step, reach.max + step] {
                assert!(!reach.covers(past) && !every(past), "{class} {past:#x}");
            }
        }
    }

    #[test]
    fn spans_is_what_the_fields_hold_between_the_ends() {
        const BASE: u64 = 1 << 40;
        for (class, reach) in Reach::CLASSES {
            let step = if matches!(class, "PREL32" | "ADRP") { 1 } else { 4 };
            for len in [4096, 1 << 15, 1 << 20, 1 << 27, 1 << 31, 1 << 32, 1 << 33] {
                for len in [len, len + 4096] {
                    let (first, last) = (BASE, BASE + len - 4);
                    let all = encodes(class, first, BASE + len - step) && encodes(class, last, first);
                    assert_eq!(reach.spans(len), all, "{class} {len:#x}");
                }
            }
        }
        assert!(Reach { min: i64::MIN, max: i64::MAX }.spans(1 << 63));
    }
}
