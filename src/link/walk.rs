//! The walk over all relocations of all loaded sections, and what each refers to.

use super::error::{Cause, Failure};
use super::kinds::unsupported;
use super::layout::Layout;
use super::object::{Content, Kind, Object, ObjectError, Origin, Relocation, Section};
use super::route::Reference;
use super::symbols::{Symbols, target_name};
use super::tables::{First, State, Target};
use super::tls::Access;
use super::{Input, Report};
use crate::addr::Addr;
use crate::patch::{self, Endian};
use crate::reloc::Reloc;

/// A relocation, where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'data> {
    /// The object's place among the inputs, and its name.
    object: usize,
    input: &'data str,
    /// The section of relocations that it is in, and its index there.
    table: usize,
    index: usize,
    pub(super) first: First,
    pub(super) section: Section<'data>,
    /// The number of the section among those of all objects.
    pub(super) number: u32,
    /// The section's bytes in the file.
    pub(super) bytes: &'data [u8],
    /// The byte order of its data.
    pub(super) endian: Endian,
    pub(super) relocation: Relocation,
}

/// Calls `visit` for every relocation of a loaded section; for one that cannot be read, with the object's name and why.
pub(super) fn for_each_relocation<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    mut visit: impl FnMut(Result<&Site<'data>, (&'data str, ObjectError)>),
) {
    for (object, (&Input { name: input, object: ref file }, &first)) in inputs.iter().zip(firsts).enumerate() {
        for table in 0..file.section_count() {
            let Ok(Section { kind: Kind::Relocations { of, count }, .. }) = file.section(table) else { continue };
            let Ok(section) = file.section(of) else { continue };
            let Some(content) = section.kind.content() else { continue };
            let bytes = if let Content::Bytes(bytes) = content { bytes } else { &[] };
            let number = (first.section + of) as u32;
            let endian = file.endian();
            let mut index = 0;
            file.for_each_relocation(table, count, &mut |relocation| {
                let site = relocation.map(|relocation| Site {
                    object,
                    input,
                    table,
                    index,
                    first,
                    section,
                    number,
                    bytes,
                    endian,
                    relocation,
                });
                visit(site.as_ref().map_err(|error| (input, *error)));
                index += 1;
            });
        }
    }
}

impl<'data> Site<'data> {
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
        let Relocation { offset, reloc, symbol, addend, origin } = self.relocation;
        if reloc == Reloc::NONE {
            return Err(None);
        }
        // Where it is the distance from a section, it is no thread's.
        if unsupported(reloc).is_some() && origin != Origin::Section {
            return Err(Some(Cause::Unsupported(reloc)));
        }
        // Of a section that is left out itself, nothing is asked.
        let start = layout.section_addr(self.number).ok_or(None)?;
        let (number, target) = symbols.definer(&self.first, symbol).ok_or(Cause::SymbolIndex(symbol))?;
        match target.state {
            State::Unreadable => return Err(None),
            // A deactivation symbol that nothing defines (AAELF64 5.7.5): the instruction stays.
            State::Undefined | State::Null if reloc == Reloc::PATCHINST => return Err(None),
            state if reloc == Reloc::PATCHINST && state != State::Absolute => return Err(Some(Cause::NotAbsolute)),
            State::Undefined => return Err(Some(Cause::Undefined)),
            State::Defined if layout.section(target.section).is_none() => return Err(Some(Cause::NotLoaded)),
            State::NotLoaded => return Err(Some(Cause::NotLoaded)),
            State::LeftOut if !is_unwind(self.section.name) => return Err(Some(Cause::LeftOut)),
            _ => {}
        }
        let is_measured = matches!(origin, Origin::Section | Origin::Symbol(_));
        let is_thread_local = match target.state {
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
        // ADRP without a check is checked here all the same: a plan has no use for a page that is not the target's.
        let reloc = if reloc == Reloc::ADR_PREL_PG_HI21_NC { Reloc::ADR_PREL_PG_HI21 } else { reloc };
        let place = start.plus(offset.cast_signed());
        // The frame of a function that was left out has a start of zero, which unwinders pass over.
        let addend = if target.state == State::LeftOut { 0 } else { addend };
        let addr = if target.state == State::GotBase { self.first.got } else { target.addr };
        let addr = self.measured(addr, place, target, symbols, layout)?;
        let Self { first: First { base, got, .. }, number: section, .. } = *self;
        let isle = layout.isle_after(section);
        let (moved, target_moved) = (layout.moved(section), layout.moved(target.section));
        Ok(Reference {
            reloc,
            place,
            section,
            isle,
            moved,
            target_moved,
            base,
            got,
            target,
            number,
            addr,
            addend,
            code: usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default(),
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
                let (_, other) = symbols.definer(&self.first, index).ok_or(Cause::SymbolIndex(index))?;
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
        patch::raw_at(self.bytes, offset, self.relocation.reloc, self.endian)
    }

    /// Reports `cause` of this relocation.
    pub(super) fn report<O: Object<'data>>(
        &self,
        cause: Cause<'_>,
        inputs: &[Input<'data, O>],
        symbols: &Symbols<'_>,
        report: &mut Report<'_>,
    ) {
        let place = Some((self.section.name, self.relocation.offset));
        let symbol = match symbols.definer(&self.first, self.relocation.symbol) {
            Some((number, _)) => target_name(inputs, symbols.targets(), number),
            None => "",
        };
        let object = inputs.get(self.object).map(|input| &input.object);
        let relocation = object.map_or("", |object| object.relocation_name(self.table, self.index));
        report.failure(Failure { object: self.input, place, relocation, symbol, cause });
    }
}

/// Whether a section tells how to unwind functions, those that were left out among them.
fn is_unwind(section: &str) -> bool {
    section == ".eh_frame"
}
