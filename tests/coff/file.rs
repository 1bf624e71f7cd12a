//! A COFF object as Microsoft's PE Format lays it out, to be read and changed by the tests: written without crate `object`.

use super::objects;
use std::ops::Range;

/// Where a field lies in its record, in bytes.
pub type Field = Range<usize>;

/// Fields of the file header.
pub mod head {
    use super::Field;
    pub const MACHINE: Field = 0..2;
    pub const SECTIONS: Field = 2..4;
    pub const SYMBOLS_AT: Field = 8..12;
    pub const SYMBOLS: Field = 12..16;
}

/// Fields of a section's header.
pub mod header {
    use super::Field;
    pub const NAME: Field = 0..8;
    pub const ADDR: Field = 12..16;
    pub const SIZE: Field = 16..20;
    pub const AT: Field = 20..24;
    pub const RELOCATIONS_AT: Field = 24..28;
    pub const RELOCATIONS: Field = 32..34;
    pub const FLAGS: Field = 36..40;
}

/// Fields of a symbol.
pub mod symbol {
    use super::Field;
    pub const NAME: Field = 0..8;
    pub const VALUE: Field = 8..12;
    pub const SECTION: Field = 12..14;
    pub const CLASS: Field = 16..17;
    pub const AUXILIARY: Field = 17..18;
}

/// Fields of a section's auxiliary record, and of a weak external's.
pub mod auxiliary {
    use super::Field;
    pub const WITH: Field = 12..14;
    pub const SELECTION: Field = 14..15;
    pub const DEFAULT: Field = 0..4;
    pub const SEARCH: Field = 4..8;
}

/// Fields of a relocation.
pub mod entry {
    use super::Field;
    pub const OFFSET: Field = 0..4;
    pub const SYMBOL: Field = 4..8;
    pub const KIND: Field = 8..10;
}

/// The bytes of an object, to be changed.
#[derive(Clone)]
pub struct File(pub Vec<u8>);

impl File {
    pub fn new(name: &str) -> Self {
        Self(objects::read(name))
    }

    pub fn get(&self, at: usize, field: Field) -> usize {
        self.0[at..][field].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    pub fn set(&mut self, at: usize, field: Field, value: u64) {
        let len = field.len();
        self.0[at..][field].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    /// Where the header of section `number` is.
    pub fn header(number: usize) -> usize {
        20 + 40 * (number - 1)
    }

    pub fn section(&mut self, number: usize, field: Field, value: u64) {
        self.set(Self::header(number), field, value);
    }

    pub fn symbol(&mut self, index: usize, field: Field, value: u64) {
        self.set(self.get(0, head::SYMBOLS_AT) + 18 * index, field, value);
    }

    pub fn entry(&mut self, section: usize, index: usize, field: Field, value: u64) {
        let at = self.get(Self::header(section), header::RELOCATIONS_AT) + 10 * index;
        self.set(at, field, value);
    }

    /// The relocations: the numbers of their sections, and theirs in there.
    pub fn entries(&self) -> Vec<(usize, usize)> {
        let count = |section: usize| self.get(Self::header(section), header::RELOCATIONS);
        let sections = 1..=self.get(0, head::SECTIONS);
        sections.flat_map(|section| (0..count(section)).map(move |index| (section, index))).collect()
    }

    pub fn entry_field(&self, section: usize, index: usize, field: Field) -> usize {
        self.get(self.get(Self::header(section), header::RELOCATIONS_AT) + 10 * index, field)
    }

    /// Where the place of relocation `index` is.
    fn place_at(&self, section: usize, index: usize) -> usize {
        self.get(Self::header(section), header::AT) + self.entry_field(section, index, entry::OFFSET)
    }

    /// The word at the place of relocation `index`.
    pub fn word(&self, section: usize, index: usize) -> u32 {
        self.get(self.place_at(section, index), 0..4) as u32
    }

    /// Replaces the word at the place of relocation `index`.
    pub fn place(&mut self, section: usize, index: usize, word: u64) {
        self.set(self.place_at(section, index), 0..4, word);
    }

    /// The name that begins at `at`, if it is no longer than eight bytes; else it is where `long` says.
    fn text(&self, at: usize, long: Option<usize>) -> String {
        let strings = self.get(0, head::SYMBOLS_AT) + 18 * self.get(0, head::SYMBOLS);
        let bytes = match long {
            Some(offset) => &self.0[strings + offset..],
            None => &self.0[at..][..8],
        };
        bytes.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
    }

    /// The name of symbol `index`.
    pub fn name(&self, index: usize) -> String {
        let at = self.get(0, head::SYMBOLS_AT) + 18 * index;
        let long = self.get(at, 0..4) == 0;
        self.text(at, long.then(|| self.get(at, 4..8)))
    }

    /// The name of section `number`.
    pub fn section_name(&self, number: usize) -> String {
        let name = self.text(Self::header(number), None);
        match name.strip_prefix('/') {
            Some(offset) => self.text(0, Some(offset.parse().unwrap())),
            None => name,
        }
    }

    /// The same object with 32 bits for the number of a section.
    pub fn big(&self) -> Self {
        let (table, symbols) = (self.get(0, head::SYMBOLS_AT), self.get(0, head::SYMBOLS));
        let count = self.get(0, head::SECTIONS);
        let shift = 56 - 20;
        let mut big = vec![0, 0, 0xff, 0xff, 2, 0, 0x64, 0xaa, 0, 0, 0, 0];
        big.extend(*b"\xc7\xa1\xba\xd1\xee\xba\xa9\x4b\xaf\x20\xfa\xf6\x6a\xa4\xdc\xb8");
        big.extend([0; 16]);
        big.extend([count, table + shift, symbols].map(|number| (number as u32).to_le_bytes()).concat());
        big.extend(&self.0[20..table]);
        let mut big = Self(big);
        for number in 1..=count {
            let at = Self::header(number) + shift;
            for field in [header::AT, header::RELOCATIONS_AT] {
                let offset = big.get(at, field.clone());
                big.set(at, field, if offset == 0 { 0 } else { (offset + shift) as u64 });
            }
        }
        let mut auxiliary = 0;
        for record in self.0[table..][..18 * symbols].chunks(18) {
            if auxiliary > 0 {
                big.0.extend(record);
                big.0.extend([0, 0]);
                auxiliary -= 1;
                continue;
            }
            let section = i16::from_le_bytes([record[12], record[13]]);
            big.0.extend(&record[..12]);
            big.0.extend(i32::from(section).to_le_bytes());
            big.0.extend(&record[14..]);
            auxiliary = record[17];
        }
        big.0.extend(&self.0[table + 18 * symbols..]);
        big
    }
}
