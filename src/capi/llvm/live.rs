//! The sections that live in an arena, whosever they are.

use crate::addr::Addr;
use crate::arena::Prot;
use std::collections::BTreeMap;

/// What a section is to the code that refers to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Code,
    Got,
    Data,
}

impl Kind {
    /// The kind of the section that RuntimeDyld calls `name`.
    pub(super) fn of(prot: Prot, name: &str) -> Self {
        match prot {
            Prot::ReadExec => Self::Code,
            _ if name == ".got" => Self::Got,
            _ => Self::Data,
        }
    }
}

/// A section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Live {
    pub(super) addr: Addr,
    pub(super) len: u64,
    pub(super) kind: Kind,
}

impl Live {
    fn contains(&self, addr: Addr) -> bool {
        addr.distance_from(self.addr).cast_unsigned() < self.len
    }
}

/// All sections of an arena, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Sections(BTreeMap<Addr, Live>);

impl Sections {
    pub(super) fn add(&mut self, section: Live) {
        self.0.insert(section.addr, section);
    }

    pub(super) fn remove(&mut self, addr: Addr) {
        self.0.remove(&addr);
    }

    /// The section that `addr` is in.
    pub(super) fn at(&self, addr: Addr) -> Option<Live> {
        let (_, section) = self.0.range(..=addr).next_back()?;
        section.contains(addr).then_some(*section)
    }

    /// Whether `addr` is in a section, or right behind one, as the end of an array is.
    pub(super) fn touch(&self, addr: Addr) -> bool {
        self.at(addr).is_some() || self.at(addr.plus(-1)).is_some()
    }

    /// Whether any address of the 4 KiB from `page` [touches](Self::touch) a section.
    pub(super) fn is_in_page(&self, page: Addr) -> bool {
        self.touch(page) || self.0.range(page..page.at(Addr::PAGE as usize)).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_any_byte_of_it() {
        let mut sections = Sections::default();
        for addr in [0x1_0f00, 0x3_0000] {
            sections.add(Live { addr: Addr::new(addr), len: 0x200, kind: Kind::Data });
        }
        let found = |addr| sections.at(Addr::new(addr)).map(|section| section.addr.get());
        for (addr, section) in [
            (0x1_0eff, None),
            (0x1_0f00, Some(0x1_0f00)),
            (0x1_10ff, Some(0x1_0f00)),
            (0x1_1100, None),
            (0x3_01ff, Some(0x3_0000)),
            (0x3_0200, None),
            (0, None),
        ] {
            assert_eq!(found(addr), section, "{addr:#x}");
        }
        let touch = [0x1_0eff, 0x1_0f00, 0x1_1100, 0x1_1101].map(|addr| sections.touch(Addr::new(addr)));
        assert_eq!(touch, [false, true, true, false]);
        let pages = [0xf000, 0x1_0000, 0x1_1000, 0x1_2000, 0x3_0000].map(|page| sections.is_in_page(Addr::new(page)));
        assert_eq!(pages, [false, true, true, false, true]);
    }
}
