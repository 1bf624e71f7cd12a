//! Tables in little flash: of what many relocations have in common, each is there once.

/// Two tables in place of one with a line of `$line` for each [`Reloc`](super::Reloc), `$all`: its lines that differ, as its
/// `is` tells, and which of them each relocation has.
macro_rules! distinct {
    ($lines:ident, $indices:ident, $line:ty, $all:expr) => {
        /// The lines, how many of them differ, and which of these each is.
        const DISTINCT: ([$line; Reloc::ALL.len()], usize, [u8; Reloc::ALL.len()]) = {
            let (mut distinct, mut len, mut indices) = ($all, 0, [0; Reloc::ALL.len()]);
            let mut at = 0;
            while at < indices.len() {
                let mut index = 0;
                while index < len && !distinct[index].is(&$all[at]) {
                    index += 1;
                }
                if index == len {
                    distinct[len] = $all[at];
                    len += 1;
                }
                indices[at] = index as u8;
                at += 1;
            }
            assert!(len <= 1 << 8);
            (distinct, len, indices)
        };
        static $lines: [$line; DISTINCT.1] = *DISTINCT.0.first_chunk().unwrap();
        static $indices: [u8; Reloc::ALL.len()] = DISTINCT.2;
    };
}

pub(crate) use distinct;
