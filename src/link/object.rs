//! The one view of a relocatable object that the linker has, whatever the file's format.

use super::parts::{FULL, Omitted};
use crate::arena::Prot;
use crate::formats::dynamic;
use crate::patch::{Endian, QUICK};
use crate::reloc::Reloc;
use core::fmt;
use core::ops::Range;

/// A relocatable object: sections, symbols, relocations, each by its index in the file.
///
/// Nothing is stored: each call reads the file's bytes, which are checked on the way. An index past the end is a
/// [`Problem::Index`].
pub trait Object<'data> {
    /// The byte order of its data; instructions are little-endian (Arm ARM B2.6.2). All objects of a link have one.
    fn endian(&self) -> Endian;
    /// How many sections there are.
    fn section_count(&self) -> usize;
    /// The section at `index`.
    ///
    /// # Errors
    ///
    /// The file's bytes are malformed there, or ask for what is not handled.
    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError>;
    /// What the section at `index` is to the linker: what there is to know of it without its names.
    ///
    /// # Errors
    ///
    /// As for [`section`](Self::section), if not for the names.
    fn kind(&self, index: usize) -> Result<Kind<'data>, ObjectError> {
        self.section(index).map(|section| section.kind)
    }
    /// Whether the section at `index` has an [order](Section::order) of its own.
    fn is_ordered(&self, index: usize) -> bool {
        self.section(index).is_ok_and(|section| !section.order.is_empty())
    }
    /// How many symbols there are.
    fn symbol_count(&self) -> usize;
    /// The symbol at `index`.
    ///
    /// # Errors
    ///
    /// As for [`section`](Self::section).
    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError>;
    /// The same without the name of a local symbol, which is empty where that is quicker: the linker knows only others by name.
    ///
    /// # Errors
    ///
    /// As for [`symbol`](Self::symbol), if not for the name of a local one.
    fn linked_symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.symbol(index)
    }
    /// Has the processor fetch the names of the symbols at `indices`, which are read next, where they lie in no order; nothing by
    /// default. It is quicker to wait for all of them at once.
    fn fetch_symbols(&self, _indices: Range<usize>) {}
    /// Who sees the symbol at `index`, and where it is defined: what there is to know of it without its name.
    ///
    /// # Errors
    ///
    /// As for [`symbol`](Self::symbol), if not for the name.
    fn definition(&self, index: usize) -> Result<(Binding, Definition), ObjectError> {
        self.symbol(index).map(|symbol| (symbol.binding, symbol.definition))
    }
    /// Whether the symbol at `index` can be read, and has this name.
    fn is_named(&self, index: usize, name: &str) -> bool {
        self.symbol(index).is_ok_and(|symbol| symbol.name == name)
    }
    /// The relocation at `index` of the section of relocations `section`.
    ///
    /// # Errors
    ///
    /// As for [`section`](Self::section).
    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError>;
    /// What the file's format calls the relocation at `index` of the section of relocations `section`, for failures:
    /// `IMAGE_REL_ARM64_BRANCH26`, say. Nothing where it is called as its row is, which is the default.
    fn relocation_name(&self, _section: usize, _index: usize) -> &'static str {
        ""
    }
    /// Reads relocations of the section of relocations `section` into `batch`, in order from where `cursor` stands, which moves
    /// behind them: as many as `batch` takes, which is no more than are left. Fewer come before one that cannot be read.
    ///
    /// Where they are no table but a stream (ELF, `SHT_CREL`), [`relocation`](Self::relocation) reads all that come before the
    /// one, and here each is read once: an object of such, or around one that may be, has this of its own.
    ///
    /// # Errors
    ///
    /// Why the first of them cannot be read. The cursor moves behind that one; where nothing can be read after it, to the end.
    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        cursor.fill(batch, |index| self.relocation(section, index))
    }
    /// Calls `visit` with the `count` relocations of the section of relocations `section`, in order, or with why one cannot
    /// be read.
    fn for_each_relocation(
        &self,
        section: usize,
        count: usize,
        visit: &mut dyn FnMut(Result<Relocation, ObjectError>),
    ) {
        let mut batch = [Relocation::NONE; BATCH];
        let mut cursor = Cursor::default();
        while let Some(read) = cursor.read(self, section, count, &mut batch) {
            match read {
                Ok((_, relocations)) => relocations.iter().for_each(|&relocation| visit(Ok(relocation))),
                Err(error) => visit(Err(error)),
            }
        }
    }
    /// Calls `visit` with what the `count` relocations of the section of relocations `section` are, and their addends, where they
    /// can be read.
    fn for_each_kind(&self, section: usize, count: usize, mut visit: impl FnMut(Reloc, i64))
    where
        Self: Sized,
    {
        let mut visit = |relocation: Relocation| visit(relocation.reloc, relocation.addend);
        self.for_each_relocation(section, count, &mut |read| read.into_iter().for_each(&mut visit));
    }
    /// The index of the section that is member `index` of the group `section`.
    ///
    /// # Errors
    ///
    /// As for [`section`](Self::section).
    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError>;
}

/// Where [`Object::read_relocations`] is in a section of relocations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The index of the relocation that is read next. It may be moved forward.
    pub index: usize,
    /// What else the object has to know to go on from where it was; zeros in the beginning.
    pub state: [u64; 5],
}

/// Relocations that are read together, so many at the most: the least room is taken by one.
pub(super) const BATCH: usize = match (QUICK, FULL) {
    (true, _) => 64,
    (false, true) => 16,
    (false, false) => 1,
};

impl Cursor {
    /// The next relocations of the `count` of section `section`, and the index of their first; `None` at the end.
    pub(super) fn read<'data, 'b, O: Object<'data> + ?Sized>(
        &mut self,
        object: &O,
        section: usize,
        count: usize,
        batch: &'b mut [Relocation],
    ) -> Option<Result<(usize, &'b [Relocation]), ObjectError>> {
        let first = self.index;
        let left = count.checked_sub(first).filter(|&left| left > 0)?;
        let len = batch.len().min(left);
        let read = match batch {
            [one] if BATCH == 1 => object.relocation(section, first).map(|relocation| {
                *one = relocation;
                1
            }),
            _ => object.read_relocations(section, self, batch.get_mut(..len)?),
        };
        // Whatever the object says, there is an end.
        self.index = self.index.max(first + 1);
        match read {
            Ok(read) => batch.get(..read).filter(|read| !read.is_empty()).map(|read| Ok((first, read))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads into `batch` what `read` answers for one index after the other, as [`Object::read_relocations`] does.
    ///
    /// # Errors
    ///
    /// Those of `read` for the first.
    pub fn fill(
        &mut self,
        batch: &mut [Relocation],
        mut read: impl FnMut(usize) -> Result<Relocation, ObjectError>,
    ) -> Result<usize, ObjectError> {
        let mut count = 0;
        for place in batch {
            match read(self.index) {
                Err(_) if count > 0 => break,
                relocation => {
                    self.index = self.index.saturating_add(1);
                    *place = relocation?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// A section of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section<'data> {
    /// Its name, as the file has it.
    pub name: &'data str,
    /// The name of the output section that it goes to, where it is loaded.
    pub output: &'data str,
    /// Where it goes among the sections there: by the bytes of this, and where these are the same, as they come.
    pub order: &'data str,
    /// What it is to the linker.
    pub kind: Kind<'data>,
}

impl<'data> Section<'data> {
    /// A section that goes to the output section of its own name, as it comes.
    pub const fn new(name: &'data str, kind: Kind<'data>) -> Self {
        Self { name, output: name, order: "", kind }
    }
}

/// What a section is to the linker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind<'data> {
    /// Part of the program.
    Loaded {
        /// How it is protected in the end.
        prot: Prot,
        /// What its address must be a multiple of, in bytes: a power of two.
        align: u64,
        /// What it holds.
        content: Content<'data>,
    },
    /// Part of what the block of every thread begins as, in an order of its own: bytes before zeros.
    ThreadLocal {
        /// What its address must be a multiple of, in bytes: a power of two.
        align: u64,
        /// What it holds.
        content: Content<'data>,
    },
    /// Relocations to be applied to the section `of`.
    Relocations {
        /// The section they change.
        of: usize,
        /// How many there are.
        count: usize,
    },
    /// Sections that are kept or left out together: of all groups with one key, the first is kept (COMDAT). It comes before
    /// its members.
    Group {
        /// The key: the name of the group's signature symbol.
        key: &'data str,
        /// How many members it has.
        count: usize,
        /// What all groups with the key must have in common.
        alike: Alike<'data>,
    },
    /// Not part of the program: symbol tables, names, debug information, notes to the linker.
    Ignored,
}

/// What groups with one key must have in common, so that it does not matter which is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alike<'data> {
    /// The key alone.
    Key,
    /// A size of so many bytes (COFF, `IMAGE_COMDAT_SELECT_SAME_SIZE`).
    Size(u64),
    /// These bytes (COFF, `IMAGE_COMDAT_SELECT_EXACT_MATCH`).
    Bytes(&'data [u8]),
}

impl<'data> Kind<'data> {
    /// What it holds; `None` where it is not part of the program.
    pub const fn content(&self) -> Option<Content<'data>> {
        match *self {
            Self::Loaded { content, .. } | Self::ThreadLocal { content, .. } => Some(content),
            Self::Relocations { .. } | Self::Group { .. } | Self::Ignored => None,
        }
    }
}

/// What a loaded section holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content<'data> {
    /// These bytes.
    Bytes(&'data [u8]),
    /// So many bytes of zeros, which the file does not hold.
    Zeros(u64),
}

impl Content<'_> {
    /// The size in bytes.
    pub const fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(size) => *size,
        }
    }
}

/// A symbol of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'data> {
    /// Its name; empty for a symbol that stands for a section.
    pub name: &'data str,
    /// Where it is defined.
    pub definition: Definition,
    /// Who sees it.
    pub binding: Binding,
    /// Defined and wanted only within the link: no resolver is asked for it.
    pub hidden: bool,
    /// The entry of a function: a call to it may go through a veneer (AAELF64 5.7.8).
    pub function: bool,
    /// The size in bytes of what it names; 0 where unknown.
    pub size: u64,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Definition {
    /// Elsewhere.
    Undefined,
    /// At `offset` bytes into a section of the same object.
    Section {
        /// The section's index.
        index: usize,
        /// Bytes from its start.
        offset: u64,
    },
    /// Wherever a function of the same object says when it is called: an indirect function (ELF, `STT_GNU_IFUNC`).
    Indirect {
        /// The index of the section that holds the function.
        index: usize,
        /// Bytes from its start.
        offset: u64,
    },
    /// Wherever the linker finds room: zeros, shared by all objects that have a common symbol of the name.
    Common {
        /// What its address must be a multiple of, in bytes: a power of two.
        align: u64,
    },
    /// Nowhere: it is a number.
    Absolute(u64),
    /// In no object: the name of the file that the object was compiled from.
    File,
}

/// Who sees a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// Its object.
    Local,
    /// All objects; two definitions are an error.
    Global,
    /// All objects; a global definition is preferred, and none at all is no error.
    Weak,
}

/// A relocation of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relocation {
    /// The place, in bytes from the start of its section.
    pub offset: u64,
    /// Which relocation.
    pub reloc: Reloc,
    /// The index of the symbol that it refers to.
    pub symbol: usize,
    /// `A`, in bytes.
    pub addend: i64,
    /// What `S + A` is measured from, before the relocation measures it from its place or its page.
    pub origin: Origin,
}

impl Relocation {
    /// One that changes nothing.
    pub(crate) const NONE: Self = Self { offset: 0, reloc: Reloc::NONE, symbol: 0, addend: 0, origin: Origin::Zero };
}

/// What an address is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// Nothing: it is an address.
    #[default]
    Zero,
    /// The symbol of this index in the same object, where a row measures from its place: that is it instead (Mach-O,
    /// `ARM64_RELOC_SUBTRACTOR`).
    Symbol(usize),
    /// The first byte of the output section that holds the target (COFF, `IMAGE_REL_ARM64_SECREL`).
    Section,
    /// The first byte of the image (COFF, `IMAGE_REL_ARM64_ADDR32NB`).
    Image,
    /// It is no address, but the number of the output section that holds the target, from 1 on (COFF,
    /// `IMAGE_REL_ARM64_SECTION`).
    Number,
}

/// What is wrong with an object, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectError {
    /// The part of the file.
    pub part: Part,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A part of an object file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The file as a whole.
    File,
    /// The section of this index.
    Section(usize),
    /// The symbol of this index.
    Symbol(usize),
    /// A relocation, by the index of the section of relocations and its own in there.
    Relocation(usize, usize),
}

/// What is wrong with a part of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The file contradicts its format, or ends too early. A build without feature `full` says no more than that.
    Malformed(&'static str),
    /// The file is as its format allows, but this is not handled; which, a build without feature `full` does not say.
    Unsupported(&'static str),
    /// A number that is neither: an unknown machine, type or relocation.
    Unknown(&'static str, u32),
    /// A dynamic relocation, by its code: it belongs into a linked image.
    Dynamic(u32),
    /// It needs a part of the linker that is not in this build.
    Omitted(Omitted),
    /// There is no part of that index.
    Index,
}

impl Problem {
    /// The file contradicts its format: `what` says how, in a build that has room for it.
    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::Malformed(if FULL { what } else { "" })
    }

    /// `what` is not handled.
    pub(crate) const fn unsupported(what: &'static str) -> Self {
        Self::Unsupported(if FULL { what } else { "" })
    }
}

impl From<Omitted> for Problem {
    fn from(part: Omitted) -> Self {
        Self::Omitted(part)
    }
}

impl Part {
    /// The error that says `problem` of this part.
    pub const fn error(self, problem: Problem) -> ObjectError {
        ObjectError { part: self, problem }
    }
}

impl core::error::Error for ObjectError {}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::File => {}
            Part::Section(index) => write!(f, "section {index}: ")?,
            Part::Symbol(index) => write!(f, "symbol {index}: ")?,
            Part::Relocation(section, index) => write!(f, "section {section}, relocation {index}: ")?,
        }
        match self.problem {
            Problem::Malformed("") => write!(f, "malformed"),
            Problem::Malformed(what) => write!(f, "malformed: {what}"),
            Problem::Unsupported("") => write!(f, "not supported"),
            Problem::Unsupported(what) => write!(f, "not supported: {what}"),
            Problem::Unknown(what, number) => write!(f, "unknown {what} {number}"),
            Problem::Dynamic(code) => {
                let name = dynamic::name(code).unwrap_or_default();
                write!(f, "not supported: {name} is a dynamic relocation: it belongs into a linked image")
            }
            Problem::Omitted(part) => write!(f, "{part}"),
            Problem::Index => write!(f, "no such index"),
        }
    }
}
