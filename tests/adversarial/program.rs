//! Objects as crate `object` reads them, put together as the ABI says, in the test's own words: what is where, and what
//! refers to what.

use aarch64_reloc::link::Policy;
use object::elf::*;
use object::read::elf::ElfFile64;
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget, SectionFlags,
    SectionKind, SymbolKind, SymbolSection,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The name that no library knows.
pub const NOWHERE: &str = "nowhere";

#[derive(Debug, Default)]
pub struct Program {
    /// Name and file of each object.
    pub files: Vec<(String, Vec<u8>)>,
    pub outputs: Vec<Output>,
    pub references: Vec<Reference>,
    /// The symbols from outside.
    pub externals: Vec<String>,
    /// Where the named global symbols are.
    pub globals: BTreeMap<String, Target>,
}

/// An output section: the input sections of one name, in a row.
#[derive(Debug, Default)]
pub struct Output {
    pub name: String,
    pub executable: bool,
    pub writable: bool,
    pub align: u64,
    /// What the objects have there; of zeros nothing.
    pub bytes: Vec<u8>,
    pub size: u64,
    /// Whether no relocation changes the byte.
    pub fixed: Vec<bool>,
}

/// A relocation.
#[derive(Clone, Debug)]
pub struct Reference {
    /// As a failure names it: object, section, offset.
    pub name: (String, String, u64),
    pub output: usize,
    /// Bytes from the output section's start.
    pub offset: u64,
    pub code: RelocationType,
    pub target: Target,
    pub addend: i64,
    /// The bytes at the place, in the object.
    pub before: u32,
    /// It may go through a veneer: a function, or in another section, or undefined (AAELF64 5.7.8).
    pub far_call: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Target {
    In {
        output: usize,
        offset: u64,
    },
    External(usize),
    Absolute(u64),
    /// A weak symbol that nothing defines, one of those.
    Nothing(usize),
}

/// Bytes of the place of a relocation.
pub fn size(code: RelocationType) -> usize {
    match code {
        R_AARCH64_ABS64 | R_AARCH64_PREL64 => 8,
        R_AARCH64_ABS16 | R_AARCH64_PREL16 => 2,
        _ => 4,
    }
}

fn output_name(input: &str) -> &str {
    let collected = [".text", ".rodata", ".data.rel.ro", ".data", ".bss"];
    let is = |output: &&str| input.strip_prefix(output).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    collected.into_iter().find(|output| is(output)).unwrap_or(input)
}

impl Program {
    /// The program of these objects, each a name and a file.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Self {
        let mut program = Self::default();
        let parsed: Vec<_> = files.iter().map(|(_, file)| ElfFile64::<Endianness>::parse(&**file).unwrap()).collect();
        let placed: Vec<_> = parsed.iter().map(|file| program.place(file)).collect();
        // Unwinders want the frames to end with a zero.
        for output in program.outputs.iter_mut().filter(|output| output.name == ".eh_frame") {
            output.append(&[0; 4], 4, 1);
        }
        program.define(&parsed, &placed);
        for ((file, placed), (name, _)) in parsed.iter().zip(&placed).zip(&files) {
            program.refer(file, placed, name);
        }
        program.files = files;
        program
    }

    /// How many symbols have a slot: those that are wanted in one, and where veneers may use them, those from outside
    /// that are called.
    pub fn slots(&self, policy: Policy) -> usize {
        let wants = |reference: &&Reference| match reference.code {
            R_AARCH64_ADR_GOT_PAGE | R_AARCH64_LD64_GOT_LO12_NC | R_AARCH64_GOT_LD_PREL19 => true,
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 => {
                policy.veneers && policy.scratch && matches!(reference.target, Target::External(_))
            }
            _ => false,
        };
        self.references.iter().filter(wants).map(|reference| reference.target).collect::<HashSet<_>>().len()
    }

    /// Appends the loaded sections of `file`: for each its output section, and the offset there.
    fn place(&mut self, file: &ElfFile64<'_>) -> HashMap<usize, (usize, u64)> {
        let mut placed = HashMap::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { unreachable!() };
            if !sh_flags.contains(SHF_ALLOC) {
                continue;
            }
            let name = output_name(section.name().unwrap());
            let number = self.outputs.iter().position(|output| output.name == name).unwrap_or_else(|| {
                let (executable, writable) = (sh_flags.contains(SHF_EXECINSTR), sh_flags.contains(SHF_WRITE));
                let name = name.to_owned();
                self.outputs.push(Output { name, executable, writable, align: 1, ..Output::default() });
                self.outputs.len() - 1
            });
            let bytes = if section.kind() == SectionKind::UninitializedData { &[] } else { section.data().unwrap() };
            let offset = self.outputs[number].append(bytes, section.size(), section.align());
            placed.insert(section.index().0, (number, offset));
        }
        placed
    }

    /// Finds what every global name means: a strong definition, else the first weak one.
    fn define(&mut self, files: &[ElfFile64<'_>], placed: &[HashMap<usize, (usize, u64)>]) {
        for weak in [false, true] {
            for (file, placed) in files.iter().zip(placed) {
                for symbol in file.symbols().filter(|symbol| symbol.is_global() && symbol.is_weak() == weak) {
                    let name = symbol.name().unwrap().to_owned();
                    if let Some(target) = target(&symbol, placed) {
                        let twice = self.globals.contains_key(&name) && !weak;
                        assert!(!twice, "{name} is defined twice");
                        self.globals.entry(name).or_insert(target);
                    }
                }
            }
        }
        for symbol in files.iter().flat_map(|file| file.symbols()).filter(|symbol| symbol.is_global()) {
            let name = symbol.name().unwrap();
            if !self.globals.contains_key(name) {
                let target = if name.ends_with(NOWHERE) {
                    Target::Nothing(self.globals.len())
                } else {
                    self.externals.push(name.to_owned());
                    Target::External(self.externals.len() - 1)
                };
                self.globals.insert(name.to_owned(), target);
            }
        }
    }

    fn refer(&mut self, file: &ElfFile64<'_>, placed: &HashMap<usize, (usize, u64)>, object: &str) {
        for section in file.sections() {
            let Some(&(output, start)) = placed.get(&section.index().0) else { continue };
            for (offset, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type: code } = relocation.flags() else { unreachable!() };
                let RelocationTarget::Symbol(index) = relocation.target() else { unreachable!() };
                let symbol = file.symbol_by_index(index).unwrap();
                let target = match symbol.is_global() {
                    true => self.globals[symbol.name().unwrap()],
                    false => target(&symbol, placed).unwrap(),
                };
                let far_call = symbol.kind() == SymbolKind::Text || symbol.section_index() != Some(section.index());
                let place = (start + offset) as usize..(start + offset) as usize + size(code);
                let before = u32::from_le_bytes(std::array::from_fn(|at| {
                    self.outputs[output].bytes.get(place.start + at).copied().unwrap_or(0)
                }));
                self.outputs[output].fixed[place].fill(false);
                let name = (object.to_owned(), section.name().unwrap().to_owned(), offset);
                let addend = relocation.addend();
                self.references.push(Reference {
                    name,
                    output,
                    offset: start + offset,
                    code,
                    target,
                    addend,
                    before,
                    far_call,
                });
            }
        }
    }
}

/// The kinds of output sections, each of which makes one segment.
pub const EXECUTABLE: usize = 0;
pub const READ_ONLY: usize = 1;
pub const WRITABLE: usize = 2;

impl Output {
    pub fn kind(&self) -> usize {
        match (self.executable, self.writable) {
            (true, _) => EXECUTABLE,
            (false, false) => READ_ONLY,
            (false, true) => WRITABLE,
        }
    }

    fn append(&mut self, bytes: &[u8], size: u64, align: u64) -> u64 {
        let offset = self.size.next_multiple_of(align);
        if !bytes.is_empty() {
            self.bytes.resize(offset as usize, 0);
            self.bytes.extend_from_slice(bytes);
            self.fixed.resize(self.bytes.len(), true);
        }
        self.size = offset + size;
        self.align = self.align.max(align);
        offset
    }
}

/// Where `symbol` is defined; `None` where it is not.
fn target<'d>(symbol: &impl object::ObjectSymbol<'d>, placed: &HashMap<usize, (usize, u64)>) -> Option<Target> {
    match symbol.section() {
        SymbolSection::Section(index) => {
            let &(output, start) = placed.get(&index.0)?;
            Some(Target::In { output, offset: start + symbol.address() })
        }
        SymbolSection::Absolute => Some(Target::Absolute(symbol.address())),
        _ => None,
    }
}
