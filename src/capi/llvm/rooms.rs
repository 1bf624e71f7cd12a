//! What is left of pages that are being filled, so that the sections of an object share them.

use crate::addr::Addr;
use crate::arena::Prot;

/// Bytes that are taken but in no section yet.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    start: Addr,
    end: Addr,
}

/// The room in the last pages of each protection.
#[derive(Debug, Default)]
pub(super) struct Rooms([Room; 3]);

impl Rooms {
    /// Where `len` bytes at a multiple of `align` find room, which is then theirs.
    pub(super) fn take(&mut self, prot: Prot, len: u64, align: u64) -> Option<Addr> {
        let room = self.of(prot);
        let start = room.start.align_up(align);
        let left = room.end.distance_from(start);
        if left < 0 || left.cast_unsigned() < len {
            return None;
        }
        room.start = Addr::new(start.get() + len);
        Some(start)
    }

    /// Leaves what is behind the `len` bytes from `start` in their last page of `page` bytes, unless there is more room already.
    pub(super) fn leave(&mut self, prot: Prot, start: Addr, len: u64, page: u64) {
        let start = Addr::new(start.get() + len);
        let end = start.align_up(page);
        let room = self.of(prot);
        if end.distance_from(start) > room.end.distance_from(room.start) {
            *room = Room { start, end };
        }
    }

    fn of(&mut self, prot: Prot) -> &mut Room {
        match prot {
            Prot::Read => &mut self.0[0],
            Prot::ReadWrite => &mut self.0[1],
            Prot::ReadExec => &mut self.0[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_share_the_page_that_the_first_began() {
        let mut rooms = Rooms::default();
        assert_eq!(rooms.take(Prot::Read, 1, 1), None);
        rooms.leave(Prot::Read, Addr::new(0x1_0000), 0x1801, 0x1000);
        assert_eq!(rooms.take(Prot::ReadWrite, 1, 1), None);
        assert_eq!(rooms.take(Prot::Read, 0x10, 16), Some(Addr::new(0x1_1810)));
        assert_eq!(rooms.take(Prot::Read, 0x7e1, 1), None);
        assert_eq!(rooms.take(Prot::Read, 1, 0x1000), None);
        assert_eq!(rooms.take(Prot::Read, 0x7e0, 1), Some(Addr::new(0x1_1820)));
        assert_eq!(rooms.take(Prot::Read, 1, 1), None);
    }

    #[test]
    fn the_greater_room_is_kept() {
        let mut rooms = Rooms::default();
        rooms.leave(Prot::Read, Addr::new(0x1_0000), 0x100, 0x1000);
        rooms.leave(Prot::Read, Addr::new(0x2_0000), 0x200, 0x1000);
        assert_eq!(rooms.take(Prot::Read, 1, 1), Some(Addr::new(0x1_0100)));
    }
}
