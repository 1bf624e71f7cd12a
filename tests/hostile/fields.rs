//! Where the fields of a file lie: those of headers, relocations, symbols, groups and archives, each kind by itself, so that the
//! few of the one are changed as often as the many of another.

use aarch64_reloc::formats::archive::Archive;
use aarch64_reloc::formats::detect::Format;

/// A number in a file.
#[derive(Clone, Copy)]
pub struct Field {
    pub at: usize,
    pub width: usize,
    pub form: Form,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Little,
    Big,
    /// Digits, and spaces up to the field's end.
    Decimal,
}

/// A file as it is before it is changed.
pub struct File {
    pub bytes: Vec<u8>,
    /// Its fields, by kind; none is empty.
    pub kinds: Vec<Vec<Field>>,
}

impl File {
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut reader = Reader { bytes: &bytes, start: 0, form: Form::Little, kinds: Vec::new() };
        reader.file();
        let kinds = reader.kinds.into_iter().filter(|fields| !fields.is_empty()).collect();
        Self { bytes, kinds }
    }
}

impl Field {
    pub fn get(self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.get(self.at..self.at + self.width)?;
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(match self.form {
            Form::Little => bytes.iter().rev().fold(0, fold),
            Form::Big => bytes.iter().fold(0, fold),
            Form::Decimal => std::str::from_utf8(bytes).ok()?.trim_end().parse().ok()?,
        })
    }

    pub fn set(self, bytes: &mut [u8], value: u64) {
        let Some(bytes) = bytes.get_mut(self.at..self.at + self.width) else { return };
        let width = self.width;
        match self.form {
            Form::Little => bytes.copy_from_slice(&value.to_le_bytes()[..width]),
            Form::Big => bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]),
            Form::Decimal => bytes.copy_from_slice(&format!("{value:<width$}").as_bytes()[..width]),
        }
    }
}

/// Finds the fields of a file that is whole.
struct Reader<'a> {
    bytes: &'a [u8],
    /// Where in the file `bytes` begin.
    start: usize,
    form: Form,
    kinds: Vec<Vec<Field>>,
}

impl Reader<'_> {
    fn file(&mut self) {
        match Format::of(self.bytes) {
            _ if Archive::is(self.bytes) => self.archive(),
            _ if self.bytes.starts_with(b"\x7fELF") => self.elf(),
            Format::MachO => self.mach_o(),
            Format::Coff => self.coff(),
            Format::Elf => {}
        }
    }

    fn number(&self, at: usize, width: usize) -> usize {
        Field { at, width, form: self.form }.get(self.bytes).unwrap_or(0) as usize
    }

    /// Fields of these widths, one behind the other, of `count` records from `at` on, as far as the file goes.
    fn records(&mut self, at: usize, count: usize, widths: &[usize]) {
        let room = self.bytes.len().saturating_sub(at) / widths.iter().sum::<usize>().max(1);
        let count = count.min(room);
        let (mut at, mut fields) = (self.start + at, Vec::new());
        for &width in widths.iter().cycle().take(count * widths.len()) {
            // What is wider is a name.
            if width <= 8 {
                fields.push(Field { at, width, form: self.form });
            }
            at += width;
        }
        self.kinds.push(fields);
    }

    /// gABI: `Elf64_Ehdr`, `Elf64_Shdr`, and what sections hold.
    fn elf(&mut self) {
        self.form = if self.bytes[5] == 2 { Form::Big } else { Form::Little };
        self.records(0, 1, &[4, 1, 1, 1, 1, 8, 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2]);
        let (headers, count) = (self.number(40, 8), self.number(60, 2));
        self.records(headers, count, &[4, 4, 8, 8, 8, 8, 4, 4, 8, 8]);
        for header in (headers..).step_by(64).take(count) {
            let [kind, flags] = [(4, 4), (8, 8)].map(|(at, width)| self.number(header + at, width));
            let [offset, size] = [24, 32].map(|at| self.number(header + at, 8));
            let widths: &[usize] = match kind {
                2 => &[4, 1, 1, 2, 8, 8],
                4 if self.form == Form::Little => &[8, 4, 4, 8],
                4 => &[8, 4, 4, 8],
                9 => &[8, 4, 4],
                // SHT_GROUP, SHT_SYMTAB_SHNDX
                17 | 18 => &[4],
                // SHT_CREL and SHT_STRTAB.
                0x4000_0014 | 3 => &[1],
                // Instructions.
                1 if flags & 4 != 0 => &[4],
                _ => continue,
            };
            self.records(offset, size / widths.iter().sum::<usize>(), widths);
        }
    }

    /// `mach-o/loader.h`, `nlist.h` and `reloc.h`.
    fn mach_o(&mut self) {
        self.records(0, 1, &[4; 8]);
        let mut command = 32;
        for _ in 0..self.number(16, 4) {
            let [kind, size] = [0, 4].map(|at| self.number(command + at, 4));
            self.records(command, 1, &vec![4; size.min(72) / 4]);
            if kind == 0x19 {
                let sections = self.number(command + 64, 4);
                self.records(command + 72, sections, &[16, 16, 8, 8, 4, 4, 4, 4, 4, 4, 4, 4]);
                for section in (command + 72..).step_by(80).take(sections) {
                    let [offset, table, count] = [48, 56, 60].map(|at| self.number(section + at, 4));
                    self.records(table, count, &[4, 2, 1, 1]);
                    let size = self.number(section + 40, 8);
                    self.records(offset, size / 4, &[4]);
                }
            }
            if kind == 2 {
                let [table, count] = [8, 12].map(|at| self.number(command + at, 4));
                self.records(table, count, &[4, 1, 1, 2, 8]);
            }
            command += size;
        }
    }

    /// Microsoft's "PE Format": the file header, section headers, relocations, symbols.
    fn coff(&mut self) {
        self.records(0, 1, &[2, 2, 4, 4, 4, 2, 2]);
        let sections = self.number(2, 2);
        self.records(20, sections, &[8, 4, 4, 4, 4, 4, 4, 2, 2, 4]);
        for section in (20..).step_by(40).take(sections) {
            let [size, offset, table] = [16, 20, 24].map(|at| self.number(section + at, 4));
            let count = self.number(section + 32, 2);
            self.records(table, count, &[4, 4, 2]);
            if self.number(section + 36, 4) & 0x20 != 0 {
                self.records(offset, size / 4, &[4]);
            }
        }
        let [symbols, count] = [8, 12].map(|at| self.number(at, 4));
        self.records(symbols, count, &[4, 4, 4, 2, 2, 1, 1]);
    }

    /// `ar.h`: headers of members, with what members hold; of an index, its words.
    fn archive(&mut self) {
        let (bytes, start) = (self.bytes, self.start);
        let is_thin = bytes.starts_with(b"!<thin>");
        let (mut at, mut sizes, mut names) = (8, Vec::new(), Vec::new());
        while at + 60 <= bytes.len() {
            let size = Field { at: at + 48, width: 10, form: Form::Decimal };
            let len = size.get(bytes).unwrap_or(0) as usize;
            let is_own = bytes[at] == b'/' && !bytes[at + 1].is_ascii_digit();
            sizes.push(Field { at: start + size.at, ..size });
            names.extend((0..16).map(|offset| Field { at: start + at + offset, width: 1, form: Form::Little }));
            // `#1/N`: a name of so many bytes begins the member.
            let name = match bytes[at..].strip_prefix(b"#1/") {
                Some(_) => Field { at: at + 3, width: 13, form: Form::Decimal }.get(bytes).unwrap_or(0) as usize,
                None => 0,
            };
            at += 60;
            let content = bytes.get(at + name..at + len).unwrap_or(&[]);
            let form = if is_own { Form::Big } else { Form::Little };
            let mut inner = Reader { bytes: content, start: start + at + name, form, kinds: Vec::new() };
            if is_own || content.len() < 20 {
                inner.records(0, content.len() / 4, &[4]);
            } else {
                inner.file();
            }
            self.kinds.extend(inner.kinds);
            at += if is_thin && !is_own { 0 } else { len.next_multiple_of(2) };
        }
        self.kinds.extend([sizes, names]);
    }
}
