//! The commit: what was planned is written down.

use super::error::CommitError;
use super::object::{Content, Object, Section};
use super::plan::{Plan, begins};
use super::route::Action;
use super::tables::Output;
use super::walk::for_each_relocation;
use crate::patch::{self, PatchError};

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Writes the image: one section of `memory` for each of [`segments`](Self::segments), at its address.
    ///
    /// A section may end where its segment needs no file any more ([`Segment::in_file`](super::Segment::in_file)); the zeros
    /// that follow are the caller's then. Bytes beyond the segment's size are left alone. Data is written in the byte order
    /// of the objects, whatever that of the sections.
    ///
    /// # Errors
    ///
    /// Only what the plan could not see: memory that is not the segments', and relocations of one object that overwrite
    /// each other.
    pub fn commit(&mut self, memory: &mut [patch::Section<'_>]) -> Result<(), CommitError> {
        if self.outputs().iter().any(Output::is_in_place) {
            return Err(CommitError::InPlace);
        }
        self.commit_segments(memory)
    }

    pub(super) fn commit_segments(&mut self, memory: &mut [patch::Section<'_>]) -> Result<(), CommitError> {
        if memory.len() != self.segments().len() {
            return Err(CommitError::Memory(memory.len().min(self.segments().len())));
        }
        for (index, (segment, section)) in self.segments().iter().zip(&mut *memory).enumerate() {
            let is_there = segment.addr == section.addr() && segment.in_file <= section.len() as u64;
            let size = usize::try_from(segment.size).unwrap_or(usize::MAX).min(section.len());
            let bytes = section.bytes_mut().get_mut(..size).filter(|_| is_there);
            bytes.ok_or(CommitError::Memory(index))?.fill(0);
        }
        for section in &mut *memory {
            section.set_endian(self.endian);
        }
        self.copy_sections(memory)?;
        self.write_ledgers(memory).map_err(CommitError::Patch)?;
        self.relocate(memory).map_err(CommitError::Patch)
    }

    fn copy_sections(&self, memory: &mut [patch::Section<'_>]) -> Result<(), CommitError> {
        for (input, first) in self.inputs.iter().zip(&*self.firsts) {
            for index in 0..input.object.section_count() {
                let Ok(Section { kind, .. }) = input.object.section(index) else { continue };
                // An empty section may lie behind all that the file has of its segment.
                let Some(Content::Bytes(bytes @ [_, ..])) = kind.content() else { continue };
                let number = (first.section + index) as u32;
                let Some((segment, addr)) = self.layout.segment_of(number) else { continue };
                let Some(section) = memory.get_mut(segment) else { continue };
                let at = section.offset_of(addr);
                let place = section.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
                let place = place.ok_or(CommitError::Memory(segment))?;
                // As long as each other; said so that nothing is left that could panic.
                place.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(())
    }

    fn write_ledgers(&self, memory: &mut [patch::Section<'_>]) -> Result<(), PatchError> {
        if let Some(section) = self.layout.got().segment().and_then(|segment| memory.get_mut(segment)) {
            self.router.got.write(section)?;
        }
        for (output, island) in self.router.isles.iter() {
            let segment = self.outputs().get(output as usize).and_then(Output::segment);
            if let Some(section) = segment.and_then(|segment| memory.get_mut(segment)) {
                island.write(section)?;
            }
        }
        Ok(())
    }

    fn relocate(&mut self, memory: &mut [patch::Section<'_>]) -> Result<(), PatchError> {
        let Self { inputs, firsts, symbols, layout, router, .. } = self;
        let mut result = Ok(());
        for_each_relocation(inputs, firsts, |site| {
            let Ok(site) = site else { return };
            let Ok(reference) = site.reference(symbols, layout) else { return };
            let Some((segment, _)) = layout.segment_of(site.number) else { return };
            let Some(section) = memory.get_mut(segment) else { return };
            let offset = section.offset_of(reference.place);
            let Some(raw) = site.raw() else { return };
            let written = match router.route(&reference, raw, &|reference| begins(inputs, firsts, reference)) {
                Ok(Action::Patch(value)) => section.patch(offset, reference.reloc, value),
                Ok(Action::Lead(to, _)) => section.patch(offset, reference.reloc, to),
                Ok(Action::Replace(word) | Action::Adr(word) | Action::Detour(word)) => {
                    section.write_word(offset, word)
                }
                // The plan would have reported it.
                Err(_) => Ok(()),
            };
            result = result.and(written);
        });
        result
    }
}
