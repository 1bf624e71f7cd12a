//! Records of `.eh_frame` (LSB Core, "Exception Frames"), as far as telling where they hold addresses.

use crate::patch::Endian;

/// Whether the record around byte `offset` of the section has an address there: of a frame anything behind its head may be
/// one, of what frames have in common only the personality.
pub(super) fn has_address(section: &[u8], offset: usize, endian: Endian) -> Option<bool> {
    let mut rest = section;
    let mut start = 0_usize;
    loop {
        let (length, body) = rest.split_first_chunk()?;
        let length = match endian {
            Endian::Little => u32::from_le_bytes(*length),
            Endian::Big => u32::from_be_bytes(*length),
        } as usize;
        let (record, next) = body.split_at_checked(length)?;
        let end = start.checked_add(4)?.checked_add(length)?;
        if length == 0 {
            return None;
        }
        if offset < end {
            let inside = offset.checked_sub(start.checked_add(4)?)?;
            let (id, common) = record.split_first_chunk()?;
            let is_common = *id == [0; 4];
            return Some(if is_common { personality(common)?.checked_add(4) == Some(inside) } else { inside >= 4 });
        }
        (rest, start) = (next, end);
    }
}

/// Where in the head that frames have in common, behind its id, the address of the personality lies; past the end where there
/// is none.
fn personality(common: &[u8]) -> Option<usize> {
    let (_version, after) = common.split_first()?;
    let length = after.iter().position(|&byte| byte == 0)?;
    let (augmentation, after) = after.split_at_checked(length)?;
    let mut bytes = after.iter().skip(1);
    // Both alignments, the return address's register, and the length of the augmentation.
    for _ in 0..4 {
        bytes.find(|&&byte| byte & 0x80 == 0)?;
    }
    // One byte of encoding for each letter before, and for its own.
    let before = match augmentation.iter().skip(1).position(|&letter| letter == b'P') {
        Some(before) => before.checked_add(1)?,
        None => return Some(usize::MAX),
    };
    common.len().checked_sub(bytes.len())?.checked_add(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads as clang 19 writes them, `zR` and `zPLR`, and a frame; `readelf --debug-dump=frames` reads them so.
    const SECTION: &[u8] = &[
        0x10, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x7c, 30, 1, 0x1b, 0x0c, 31, 0, // zR
        0x1c, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'P', b'L', b'R', 0, 1, 0x7c, 30, 11, 0x9c, 1, 2, 3, 4, 5, 6, 7, 8, 0x1c,
        0x1b, 0x0c, 31, 0, // zPLR
        0x10, 0, 0, 0, 0x38, 0, 0, 0, 1, 2, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0, // a frame
        0, 0, 0, 0,
    ];

    #[test]
    fn addresses_are_where_records_have_them() {
        let with = (0..SECTION.len()).filter(|&at| has_address(SECTION, at, Endian::Little) == Some(true));
        let frame = 0x34 + 8..0x34 + 20;
        assert!(with.eq([0x14 + 19].into_iter().chain(frame)));
        assert_eq!(has_address(SECTION, SECTION.len(), Endian::Little), None);
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        for end in 0..20 {
            assert_eq!(has_address(&SECTION[..end], 8, Endian::Little), None, "{end}");
        }
    }
}
