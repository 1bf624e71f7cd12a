//! The symbol file of an image: an ELF64 executable in memory whose sections lie where the image's do.
//!
//! ```text
//! ELF header
//! .symtab, .strtab, .shstrtab, .eh_frame     the rest of the image the debugger reads from the process
//! section headers                            a null one, those three tables, the image's output sections
//! ```

use super::super::Image;
use super::super::symbols::{Named, Output};
use crate::arena::Prot;
use crate::link::Binding;
use elf::abi;
use std::vec;
use std::vec::Vec;

/// The numbers of section headers.
const STRTAB: u32 = 2;
const SHSTRTAB: u16 = 3;
const OUTPUTS: usize = 4;

/// Sizes of ELF64 records, in bytes.
const FILE_HEADER: u16 = 64;
const SECTION_HEADER: u16 = 64;
const SYMBOL: u16 = 24;

impl Image {
    /// Writes the symbol file. A symbol is absolute where the file has no section for it: an empty one, or one too many.
    pub(super) fn symbol_file(&self) -> Vec<u8> {
        let mut file = vec![0; FILE_HEADER.into()];
        let mut headers = vec![0; SECTION_HEADER.into()];
        let mut names = Strings::new();
        let mut titles = Strings::new();

        let is_local = |symbol: &&Named| symbol.binding == Binding::Local;
        let symbols = || self.symbols.named().iter();
        let mut table = vec![0; SYMBOL.into()];
        // The gABI wants local symbols first.
        for symbol in symbols().filter(is_local).chain(symbols().filter(|symbol| !is_local(symbol))) {
            let number = symbol.output.and_then(number).unwrap_or(abi::SHN_ABS);
            table.extend(record(symbol, names.add(&symbol.name), number));
        }
        let symtab = Header {
            name: titles.add(".symtab"),
            kind: abi::SHT_SYMTAB,
            link: STRTAB,
            info: narrow(1 + symbols().filter(is_local).count()),
            entry: SYMBOL.into(),
            ..append(&mut file, &table)
        };
        let strtab = Header { name: titles.add(".strtab"), kind: abi::SHT_STRTAB, ..append(&mut file, &names.0) };
        let shstrtab = titles.add(".shstrtab");
        let outputs = (0..).map_while(number).zip(self.symbols.outputs());
        let outputs: Vec<_> = outputs.map(|(_, output)| (titles.add(&output.name), output)).collect();
        let shstrtab = Header { name: shstrtab, kind: abi::SHT_STRTAB, ..append(&mut file, &titles.0) };
        headers.extend([symtab, strtab, shstrtab].iter().flat_map(Header::record));

        for (name, output) in outputs {
            let contents = match self.unwind_table(output) {
                Some(bytes) => Header { kind: abi::SHT_PROGBITS, ..append(&mut file, bytes) },
                None => Header { kind: abi::SHT_NOBITS, size: output.size, ..append(&mut file, &[]) },
            };
            let header = Header { name, flags: flags(output.prot), addr: output.addr.get(), ..contents };
            headers.extend(header.record());
        }
        let count = headers.len() / usize::from(SECTION_HEADER);
        let start = append(&mut file, &headers).offset;
        // Less than `SHN_LORESERVE`, as `number` has it.
        let header = file_header(start, count as u16);
        file.splice(..header.len(), header);
        file
    }

    /// The bytes of `output` if it tells how to unwind, which debuggers want in the file.
    fn unwind_table(&self, output: &Output) -> Option<&[u8]> {
        let len = usize::try_from(output.size).ok().filter(|_| output.name == ".eh_frame")?;
        self.sealed.iter().find_map(|sealed| sealed.bytes(output.addr, len))
    }
}

/// The number of an output section: one less than what the gABI keeps for itself, so that their count is, too.
fn number(output: usize) -> Option<u16> {
    let number = u16::try_from(OUTPUTS.saturating_add(output)).ok();
    number.filter(|&number| number < abi::SHN_LORESERVE - 1)
}

/// A string table.
struct Strings(Vec<u8>);

impl Strings {
    /// The empty string, which is the one at 0.
    fn new() -> Self {
        Self(vec![0])
    }

    /// Adds `text`, and says where it is.
    fn add(&mut self, text: &str) -> u32 {
        let at = narrow(self.0.len());
        self.0.extend(text.bytes().chain([0]));
        at
    }
}

/// `Elf64_Shdr` without `sh_addralign`, for which zero will do.
#[derive(Default)]
struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    addr: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    entry: u64,
}

impl Header {
    fn record(&self) -> Vec<u8> {
        let Self { name, kind, flags, addr, offset, size, link, info, entry } = *self;
        let before = [name, kind].map(u32::to_le_bytes).concat();
        let place = [flags, addr, offset, size].map(u64::to_le_bytes).concat();
        let after = [link, info].map(u32::to_le_bytes).concat();
        [before, place, after, [0, entry].map(u64::to_le_bytes).concat()].concat()
    }
}

/// Adds `contents` to `file`, at a multiple of 8, and says where they are.
fn append(file: &mut Vec<u8>, contents: &[u8]) -> Header {
    file.resize(file.len().next_multiple_of(8), 0);
    let header = Header { offset: file.len() as u64, size: contents.len() as u64, ..Header::default() };
    file.extend(contents);
    header
}

/// `Elf64_Sym`, in the section `number`.
fn record(symbol: &Named, name: u32, number: u16) -> Vec<u8> {
    let binding = match symbol.binding {
        Binding::Local => abi::STB_LOCAL,
        Binding::Global => abi::STB_GLOBAL,
        Binding::Weak => abi::STB_WEAK,
    };
    let kind = match symbol {
        Named { function: true, .. } => abi::STT_FUNC,
        Named { size: 0, .. } => abi::STT_NOTYPE,
        _ => abi::STT_OBJECT,
    };
    let [low, high] = number.to_le_bytes();
    let ends = [symbol.addr.get(), symbol.size].map(u64::to_le_bytes).concat();
    [&name.to_le_bytes()[..], &[binding << 4 | kind, abi::STV_DEFAULT, low, high], &ends].concat()
}

/// `Elf64_Ehdr` of a file whose `count` section headers are at `start`.
fn file_header(start: u64, count: u16) -> Vec<u8> {
    let ident = [abi::ELFCLASS64, abi::ELFDATA2LSB, abi::EV_CURRENT, abi::ELFOSABI_NONE];
    let ident = [&abi::ELFMAGIC[..], &ident, &[0; 8]].concat();
    let kind = [abi::ET_EXEC, abi::EM_AARCH64].map(u16::to_le_bytes).concat();
    let version = u32::from(abi::EV_CURRENT).to_le_bytes();
    // No entry and no program headers.
    let place = [0, 0, start].map(u64::to_le_bytes).concat();
    let flags = 0_u32.to_le_bytes();
    let sizes = [FILE_HEADER, 0, 0, SECTION_HEADER, count, SHSTRTAB].map(u16::to_le_bytes).concat();
    [&ident[..], &kind, &version, &place, &flags, &sizes].concat()
}

fn flags(prot: Prot) -> u64 {
    let flags = match prot {
        Prot::Read => abi::SHF_ALLOC,
        Prot::ReadWrite => abi::SHF_ALLOC | abi::SHF_WRITE,
        Prot::ReadExec => abi::SHF_ALLOC | abi::SHF_EXECINSTR,
    };
    flags.into()
}

/// What ELF64 has 32 bits for; a file of 4 GiB and more says its largest number.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
