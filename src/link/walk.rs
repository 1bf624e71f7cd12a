//! The walk over all relocations of all loaded sections, and what each refers to.

use super::error::{Cause, Failure};
use super::kinds::{facts, unsupported};
use super::layout::Layout;
use super::object::{BATCH, Content, Cursor, Kind, Object, ObjectError, Origin, Relocation};
use super::parts::{self, FULL};
use super::route::Reference;
use super::symbols::{Symbols, target_name};
use super::tables::{First, NONE, Placed, State, Target};
use super::tls::Access;
use super::{Input, Report};
use crate::addr::Addr;
use crate::patch::{self, Endian};
use crate::reloc::Reloc;

/// A section of relocations of a loaded section.
#[derive(Debug)]
pub(super) struct Table<'t, 'data, O> {
    pub(super) input: &'t Input<'data, O>,
    pub(super) first: &'t First,
    /// Its own index in the object, and how many relocations it has.
    pub(super) index: usize,
    pub(super) count: usize,
    /// The index of the section that they change, and its number among those of all objects.
    of: usize,
    pub(super) number: u32,
    /// That section's bytes in the file.
    pub(super) bytes: &'data [u8],
    /// The byte order of its data.
    pub(super) endian: Endian,
    /// Where it lies; `None` where it is left out.
    pub(super) start: Option<Addr>,
    /// The number and the address of its output section.
    pub(super) output: u32,
    pub(super) home: Addr,
    /// The number of the island right after it, or [`NONE`].
    isle: u32,
    /// Bytes by which it was moved since what the islands need was counted.
    moved: i64,
}

/// A relocation, where it stands.
#[derive(Debug)]
pub(super) struct Site<'a, 't, 'data, O> {
    pub(super) table: &'a Table<'t, 'data, O>,
    pub(super) relocation: &'a Relocation,
    /// Its index among those of the table.
    index: usize,
}

/// The sections of relocations of all loaded sections, in the order of the objects.
pub(super) fn tables<'t, 'data, O: Object<'data>>(
    inputs: &'t [Input<'data, O>],
    firsts: &'t [First],
    layout: &Layout<'_, 'data>,
) -> impl Iterator<Item = Table<'t, 'data, O>> {
    let section_count = |input: &Input<'data, O>| input.object.section_count();
    let of_one = move |(input, first)| {
        (0..section_count(input)).filter_map(move |index| Table::new(input, first, index, layout))
    };
    inputs.iter().zip(firsts).flat_map(of_one)
}

/// Calls `visit` for every relocation of a loaded section that can be read.
pub(super) fn for_each_relocation<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    layout: &Layout<'_, 'data>,
    mut visit: impl FnMut(&Site<'_, '_, 'data, O>),
) {
    for table in tables(inputs, firsts, layout) {
        let mut batch = [Relocation::NONE; BATCH];
        let mut cursor = Cursor::default();
        while let Some(read) = table.read(&mut cursor, &mut batch) {
            let Ok((first, relocations)) = read else { continue };
            (first..).zip(relocations).for_each(|(index, relocation)| visit(&table.site(index, relocation)));
        }
    }
}

impl<'t, 'data, O: Object<'data>> Table<'t, 'data, O> {
    /// Section `index` of an object, if it is of that kind.
    pub(super) fn new(
        input: &'t Input<'data, O>,
        first: &'t First,
        index: usize,
        layout: &Layout<'_, 'data>,
    ) -> Option<Self> {
        // Most sections are of another kind, and need not be read again.
        layout.placed.get(first.section + index).filter(|placed| placed.run.of != NONE)?;
        let object = &input.object;
        let Kind::Relocations { of, count } = object.kind(index).ok()? else { return None };
        let bytes = if let Content::Bytes(bytes) = object.kind(of).ok()?.content()? { bytes } else { &[] };
        let number = (first.section + of) as u32;
        let &Placed { output, isle, moved, .. } = layout.placed.get(number as usize)?;
        let (start, endian) = (layout.section_addr(number), object.endian());
        let home = layout.outputs().get(output as usize).map(|output| output.addr).unwrap_or_default();
        Some(Self { input, first, index, count, of, number, bytes, endian, start, output, home, isle, moved })
    }

    /// The name of the section that they change.
    pub(super) fn section(&self) -> &'data str {
        self.input.object.section(self.of).map_or("", |section| section.name)
    }

    /// The next relocations from where `cursor` stands, and the index of their first; `None` at the end.
    #[inline]
    pub(super) fn read<'b>(
        &self,
        cursor: &mut Cursor,
        batch: &'b mut [Relocation],
    ) -> Option<Result<(usize, &'b [Relocation]), ObjectError>> {
        cursor.read(&self.input.object, self.index, self.count, batch)
    }

    /// The relocation of that index, where it stands.
    #[inline]
    pub(super) fn site<'a>(&'a self, index: usize, relocation: &'a Relocation) -> Site<'a, 't, 'data, O> {
        Site { table: self, relocation, index }
    }
}

impl<'data, O: Object<'data>> Site<'_, '_, 'data, O> {
    /// What the relocation refers to.
    ///
    /// # Errors
    ///
    /// Why that cannot be said; `None` where there is nothing to be done, or the symbol itself was refused.
    pub(super) fn reference<'s>(
        &self,
        symbols: &'s Symbols<'_>,
        layout: &Layout<'_, 'data>,
    ) -> Result<Reference<'s>, Option<Cause<'static>>>
    where
        'data: 's,
    {
        let Relocation { offset, reloc, symbol, addend, origin } = *self.relocation;
        let Table { first: &First { base, got, .. }, number: section, start, output, home, isle, moved, .. } =
            *self.table;
        parts::check_relocation(self.relocation).map_err(Cause::Omitted)?;
        let is_measured = FULL && matches!(origin, Origin::Section | Origin::Symbol(_));
        if reloc == Reloc::NONE {
            return Err(None);
        }
        // Where it is the distance from a section, it is no thread's.
        if unsupported(reloc).is_some() && origin != Origin::Section {
            return Err(Some(Cause::Unsupported(reloc)));
        }
        // Of a section that is left out itself, nothing is asked.
        let place = start.ok_or(None)?.plus(offset.cast_signed());
        let (number, target) = symbols.definer(self.table.first, symbol).ok_or(Cause::SymbolIndex(symbol))?;
        match target.state {
            State::Unreadable => return Err(None),
            // A deactivation symbol that nothing defines (AAELF64 5.7.5): the instruction stays.
            State::Undefined | State::Null if reloc == Reloc::PATCHINST => return Err(None),
            state if reloc == Reloc::PATCHINST && state != State::Absolute => return Err(Some(Cause::NotAbsolute)),
            State::Undefined => return Err(Some(Cause::Undefined)),
            State::Defined if layout.section(target.section).is_none() => return Err(Some(Cause::NotLoaded)),
            State::NotLoaded => return Err(Some(Cause::NotLoaded)),
            State::LeftOut if FULL && !is_unwind(self.table.section()) => return Err(Some(Cause::LeftOut)),
            _ => {}
        }
        let is_thread_local = FULL
            && match target.state {
                State::Defined => layout.is_thread_local(target.section),
                State::TlsBase => true,
                // Whatever is wanted is not there.
                State::Null | State::LeftOut => Access::of(reloc).is_some(),
                _ => false,
            };
        match (Access::of(reloc).filter(|_| !is_measured), is_thread_local) {
            (Some(_), false) => return Err(Some(Cause::NotThreadLocal(reloc))),
            (None, true) => return Err(Some(Cause::ThreadLocal(reloc))),
            _ => {}
        }
        // The frame of a function that was left out has a start of zero, which unwinders pass over.
        let addend = if FULL && target.state == State::LeftOut { 0 } else { addend };
        let addr = if target.state == State::GotBase { got } else { target.addr };
        let addr = if FULL { self.measured(addr, place, target, symbols, layout)? } else { addr };
        // ADRP without a check is checked here all the same: a plan has no use for a page that is not the target's.
        let reloc = if reloc == Reloc::ADR_PREL_PG_HI21_NC { Reloc::ADR_PREL_PG_HI21 } else { reloc };
        let target_moved = if FULL { layout.moved(target.section) } else { 0 };
        Ok(Reference {
            reloc,
            facts: facts(reloc),
            place,
            section,
            output,
            home,
            isle,
            moved,
            target_moved,
            base,
            got,
            target,
            number,
            addr,
            addend,
            code: self.rest().unwrap_or_default(),
            is_measured,
        })
    }

    /// `addr`, which is the target's, measured from the origin of the relocation at `place`.
    fn measured(
        &self,
        addr: Addr,
        place: Addr,
        target: &Target,
        symbols: &Symbols<'_>,
        layout: &Layout<'_, 'data>,
    ) -> Result<Addr, Option<Cause<'static>>> {
        let origin = self.relocation.origin;
        let from = match origin {
            Origin::Zero => return Ok(addr),
            Origin::Symbol(index) => {
                let (_, other) = symbols.definer(self.table.first, index).ok_or(Cause::SymbolIndex(index))?;
                if !other.has_addr() {
                    return Err(Some(Cause::Undefined));
                }
                // Its row will take the place off.
                Addr::new(other.addr.distance_from(place).cast_unsigned())
            }
            Origin::Image => layout.image,
            Origin::Section | Origin::Number => {
                let number = layout.output_of(target.section).ok_or(Cause::NoSection)?;
                if origin == Origin::Number {
                    return Ok(Addr::new(number as u64 + 1));
                }
                layout.outputs().get(number).ok_or(Cause::NoSection)?.addr
            }
        };
        Ok(Addr::new(addr.distance_from(from).cast_unsigned()))
    }

    /// The bytes of the place, as the object has them.
    pub(super) fn raw(&self) -> Option<u64> {
        let offset = usize::try_from(self.relocation.offset).ok()?;
        patch::raw_at(self.table.bytes, offset, self.relocation.reloc, self.table.endian)
    }

    /// The bytes from the place on, as the object has them.
    #[inline]
    pub(super) fn rest(&self) -> Option<&'data [u8]> {
        self.table.bytes.get(usize::try_from(self.relocation.offset).ok()?..)
    }

    /// Reports `cause` of this relocation.
    pub(super) fn report(
        &self,
        cause: Cause<'_>,
        inputs: &[Input<'data, O>],
        symbols: &Symbols<'_>,
        report: &mut Report<'_>,
    ) {
        let place = Some((self.table.section(), self.relocation.offset));
        let symbol = match symbols.definer(self.table.first, self.relocation.symbol) {
            Some((number, _)) => target_name(inputs, symbols.targets(), number),
            None => "",
        };
        let relocation = self.table.input.object.relocation_name(self.table.index, self.index);
        report.failure(Failure { object: self.table.input.name, place, relocation, symbol, cause });
    }
}

/// Whether a section tells how to unwind functions, those that were left out among them.
fn is_unwind(section: &str) -> bool {
    section == ".eh_frame"
}
