//! A Mach-O file as the headers of Apple lay it out, to be read and changed by the tests: written without crate `object`.

/// Bytes of a section's header, of a symbol, and of a relocation.
const SECTION: usize = 80;
const SYMBOL: usize = 16;
const RELOCATION: usize = 8;

#[derive(Clone)]
pub struct File {
    pub bytes: Vec<u8>,
}

/// A relocation: `relocation_info` of `<mach-o/reloc.h>`.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub address: u32,
    pub symbol: u32,
    pub pcrel: bool,
    pub length: u8,
    pub is_extern: bool,
    pub kind: u8,
}

/// `section_64`, by where it stands in the file.
#[derive(Clone, Copy, Debug)]
pub struct Header(pub usize);

impl Header {
    pub const ADDR: usize = 32;
    pub const SIZE: usize = 40;
    pub const OFFSET: usize = 48;
    pub const ALIGN: usize = 52;
    pub const RELOFF: usize = 56;
    pub const NRELOC: usize = 60;
    pub const FLAGS: usize = 64;
}

impl File {
    pub fn open(name: &str) -> Self {
        let path = format!("{}/tests/macho/{name}", env!("CARGO_MANIFEST_DIR"));
        Self { bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")) }
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..][..4].try_into().unwrap())
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..][..8].try_into().unwrap())
    }

    pub fn put(&mut self, at: usize, value: impl Into<u64>, len: usize) {
        self.bytes[at..][..len].copy_from_slice(&value.into().to_le_bytes()[..len]);
    }

    /// Where the load commands of a number stand.
    pub fn commands(&self, wanted: u32) -> Vec<usize> {
        let mut at = 32;
        let mut found = Vec::new();
        for _ in 0..self.u32(16) {
            if self.u32(at) == wanted {
                found.push(at);
            }
            at += self.u32(at + 4) as usize;
        }
        found
    }

    pub fn sections(&self) -> Vec<Header> {
        let of = |at: usize| (0..self.u32(at + 64) as usize).map(move |index| Header(at + 72 + index * SECTION));
        self.commands(0x19).into_iter().flat_map(of).collect()
    }

    /// The header of the section named `__TEXT,__text`, say.
    pub fn section(&self, name: &str) -> Header {
        self.sections().into_iter().find(|&header| self.name(header) == name).unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn name(&self, Header(at): Header) -> String {
        let text = |at: usize| String::from_utf8(self.bytes[at..][..16].to_vec()).unwrap();
        let [own, segment] = [text(at), text(at + 16)].map(|name| name.trim_end_matches('\0').to_owned());
        format!("{segment},{own}")
    }

    pub fn rename(&mut self, Header(at): Header, name: &str) {
        let (segment, own) = name.split_once(',').unwrap();
        for (at, part) in [(at, own), (at + 16, segment)] {
            self.bytes[at..][..16].fill(0);
            self.bytes[at..][..part.len()].copy_from_slice(part.as_bytes());
        }
    }

    pub fn flags(&self, Header(at): Header) -> u32 {
        self.u32(at + Header::FLAGS)
    }

    pub fn content(&self, Header(at): Header) -> &[u8] {
        // S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL
        if matches!(self.u32(at + Header::FLAGS) & 0xff, 0x1 | 0xc | 0x12) {
            return &[];
        }
        &self.bytes[self.u32(at + Header::OFFSET) as usize..][..self.u64(at + Header::SIZE) as usize]
    }

    /// Where relocation `index` of a section stands.
    pub fn entry_at(&self, Header(at): Header, index: usize) -> usize {
        self.u32(at + Header::RELOFF) as usize + index * RELOCATION
    }

    pub fn entries(&self, header: Header) -> Vec<Entry> {
        (0..self.u32(header.0 + Header::NRELOC) as usize).map(|index| self.entry(header, index)).collect()
    }

    pub fn entry(&self, header: Header, index: usize) -> Entry {
        let at = self.entry_at(header, index);
        let word = self.u32(at + 4);
        Entry {
            address: self.u32(at),
            symbol: word & 0xff_ffff,
            pcrel: word >> 24 & 1 != 0,
            length: (word >> 25 & 3) as u8,
            is_extern: word >> 27 & 1 != 0,
            kind: (word >> 28) as u8,
        }
    }

    pub fn set_entry(&mut self, header: Header, index: usize, entry: Entry) {
        let at = self.entry_at(header, index);
        let bits = u32::from(entry.pcrel) << 24 | u32::from(entry.length) << 25 | u32::from(entry.is_extern) << 27;
        self.put(at, entry.address, 4);
        self.put(at + 4, entry.symbol | bits | u32::from(entry.kind) << 28, 4);
    }

    /// Where the command LC_SYMTAB stands: `symtab_command` of `<mach-o/loader.h>`.
    pub fn symtab(&self) -> usize {
        self.commands(2)[0]
    }

    pub fn symbol_count(&self) -> usize {
        self.u32(self.symtab() + 12) as usize
    }

    /// Where symbol `index` stands: `nlist_64` of `<mach-o/nlist.h>`.
    pub fn symbol_at(&self, index: usize) -> usize {
        self.u32(self.symtab() + 8) as usize + index * SYMBOL
    }

    pub fn symbol_name(&self, index: usize) -> String {
        let at = self.u32(self.symtab() + 16) as usize + self.u32(self.symbol_at(index)) as usize;
        self.bytes[at..].iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
    }

    /// The index of a symbol.
    pub fn symbol(&self, name: &str) -> usize {
        (0..self.symbol_count()).find(|&index| self.symbol_name(index) == name).unwrap_or_else(|| panic!("no {name}"))
    }
}
