//! The commit: what was planned is written down.
//!
//! Nothing is decided any more: bytes are copied, the ledgers written, and each run of fixups is applied to its section.

use super::error::CommitError;
use super::indirect;
use super::layout::GOT;
use super::object::{Content, Object};
use super::parts::FULL;
use super::plan::Plan;
use super::tables::{Output, Run};
use crate::addr::Addr;
use crate::patch::{self, Fixup, PatchError, QUICK};
use crate::reloc::Reloc;
use core::slice;

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
    pub fn commit(&self, memory: &mut [patch::Section<'_>]) -> Result<(), CommitError> {
        self.is_copied()?;
        self.commit_segments(memory)
    }

    /// Whether all sections are to be copied.
    fn is_copied(&self) -> Result<(), CommitError> {
        if self.outputs().iter().any(Output::is_in_place) { Err(CommitError::InPlace) } else { Ok(()) }
    }

    pub(super) fn commit_segments(&self, memory: &mut [patch::Section<'_>]) -> Result<(), CommitError> {
        if memory.len() != self.segments().len() {
            return Err(CommitError::Memory(memory.len().min(self.segments().len())));
        }
        for (index, (segment, section)) in self.segments().iter().zip(&mut *memory).enumerate() {
            let is_there = segment.addr == section.addr() && segment.in_file <= section.len() as u64;
            let size = usize::try_from(segment.size).unwrap_or(usize::MAX).min(section.len());
            let bytes = section.bytes_mut().get_mut(..size).filter(|_| is_there);
            let bytes = bytes.ok_or(CommitError::Memory(index))?;
            if QUICK { self.clear(index, bytes) } else { bytes.fill(0) }
        }
        self.write(&mut Memory { sections: memory, part: None })
    }

    /// Writes what begins in `memory`, a part of a segment, in place of all that [`commit`](Self::commit) does: so that
    /// several threads can, each a part. Parts meet where the segment may be [cut](Self::cut).
    ///
    /// # Errors
    ///
    /// As for `commit`; and where what begins in the part does not end in it.
    ///
    /// ```
    /// # use aarch64_reloc::{formats::elf::Elf, link::*, patch::Section};
    /// # fn example<'d>(plan: &Plan<'_, 'd, Elf<'d>>, index: usize, text: Section<'_>) -> Result<(), CommitError> {
    /// let segment = plan.segments()[index];
    /// let middle = plan.cut(index, segment.addr().plus(segment.size() as i64 / 2));
    /// let at = text.offset_of(middle);
    /// let (mut low, mut high) = text.split_at(at).expect("the cut is in the segment");
    /// std::thread::scope(|scope| {
    ///     let low = scope.spawn(move || plan.commit_part(&mut low));
    ///     plan.commit_part(&mut high).and(low.join().unwrap())
    /// })
    /// # }
    /// ```
    pub fn commit_part(&self, memory: &mut patch::Section<'_>) -> Result<(), CommitError> {
        self.is_copied()?;
        let part = Some((memory.addr(), memory.len() as u64));
        memory.bytes_mut().fill(0);
        self.write(&mut Memory { sections: slice::from_mut(memory), part })
    }

    /// The lowest address from `addr` on at which segment `index` may be cut in two [parts](Self::commit_part): where a section
    /// of an object, the GOT or an island begins; the end of the segment, where none does.
    pub fn cut(&self, index: usize, addr: Addr) -> Addr {
        let Some(segment) = self.segments().get(index) else { return addr };
        let end = segment.size;
        let offset = |start: Addr| start.distance_from(segment.addr).cast_unsigned();
        let from = offset(addr);
        let sections = (0..self.layout.placed.len() as u32).filter_map(|number| self.layout.section_addr(number));
        let outputs = self.outputs().iter().filter(|output| output.size > 0).map(|output| output.addr);
        let islands = self.router.isles.iter().map(|(_, island)| island.base());
        let starts = sections.chain(outputs).chain(islands).map(offset);
        segment.addr.plus(starts.filter(|&start| start >= from).min().unwrap_or(end).min(end).cast_signed())
    }

    /// Clears what of segment `index` nothing is copied to: what lies between sections [is cleared](Self::copy_sections) with
    /// them, where they fill their output section.
    fn clear(&self, index: usize, bytes: &mut [u8]) {
        let Some(segment) = self.segments().get(index) else { return };
        let mut clear = |start: u64, end: u64| {
            let at = |offset: u64| usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
            bytes.get_mut(at(start)..at(end)).unwrap_or_default().fill(0);
        };
        let mut used = 0;
        for output in self.outputs().iter().filter(|output| output.segment() == Some(index)) {
            let start = output.addr.distance_from(segment.addr).cast_unsigned();
            let end = start.saturating_add(output.size);
            // It may be less than the alignment that is between it and what is before it, to which nothing was copied yet.
            clear(start.saturating_sub(output.align - 1), if output.is_filled { start } else { end });
            used = end.max(used);
        }
        clear(used, segment.size);
    }

    fn write(&self, memory: &mut Memory<'_, '_>) -> Result<(), CommitError> {
        memory.sections.iter_mut().for_each(|section| section.set_endian(self.endian));
        self.copy_sections(memory)?;
        self.write_ledgers(memory).map_err(CommitError::Patch)?;
        self.relocate(memory).map_err(CommitError::Patch)
    }

    fn copy_sections(&self, memory: &mut Memory<'_, '_>) -> Result<(), CommitError> {
        for (input, first) in self.inputs.iter().zip(&*self.firsts) {
            for index in 0..input.object.section_count() {
                let number = (first.section + index) as u32;
                let Some((segment, addr)) = self.layout.segment_of(number) else { continue };
                let Some(section) = memory.at(segment, addr) else { continue };
                let Ok(kind) = input.object.kind(index) else { continue };
                // An empty section may lie behind all that the file has of its segment.
                let Some(Content::Bytes(bytes @ [_, ..])) = kind.content() else { continue };
                let at = section.offset_of(addr);
                if QUICK && let Some(placed) = self.layout.placed.get(number as usize) {
                    let gap = at.saturating_sub(placed.gap.into())..at;
                    section.bytes_mut().get_mut(gap).unwrap_or_default().fill(0);
                }
                let place = section.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
                let place = place.ok_or(CommitError::Memory(segment))?;
                // As long as each other; said so that nothing is left that could panic.
                place.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(())
    }

    fn write_ledgers(&self, memory: &mut Memory<'_, '_>) -> Result<(), PatchError> {
        if let Some(segment) = self.outputs().get(GOT).and_then(Output::segment)
            && let Some(section) = memory.at(segment, self.layout.got())
        {
            self.router.got.write(section)?;
        }
        for (output, island) in self.router.isles.iter() {
            let segment = self.outputs().get(output as usize).and_then(Output::segment);
            if let Some(section) = segment.and_then(|segment| memory.at(segment, island.base())) {
                if FULL { island.write(section) } else { island.write_veneers(section) }?;
            }
        }
        Ok(())
    }

    /// What there is to be done for each section of relocations, and the address of the section that it is done to.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Addr, Run)> {
        let runs = self.layout.placed.iter().map(|placed| placed.run).filter(|run| run.count > 0);
        runs.filter_map(|run| Some((self.layout.section_addr(run.of)?, run)))
    }

    /// The fixups of a run, whose offsets count from the start of its section.
    pub(super) fn fixups_of(&self, run: Run) -> &[Fixup] {
        let fixups = self.fixups.get(run.first as usize..).and_then(|rest| rest.get(..run.count as usize));
        fixups.unwrap_or_default()
    }

    fn relocate(&self, memory: &mut Memory<'_, '_>) -> Result<(), PatchError> {
        let mut result = Ok(());
        for (addr, run) in self.runs() {
            let Some((segment, _)) = self.layout.segment_of(run.of) else { continue };
            let Some(section) = memory.at(segment, addr) else { continue };
            let Some(mut section) = section.part(section.offset_of(addr)) else { continue };
            let written = section.patch_all(self.fixups_of(run)).map_err(|failures| failures.first());
            if let Err(Some(error)) = written {
                result = result.and(Err(error));
            }
            if !FULL {
                continue;
            }
            let is_initialised = |fixup: &&Fixup| self.has_initialised && fixup.reloc() == Reloc::FUNCINIT64;
            for fixup in self.fixups_of(run).iter().filter(is_initialised) {
                let cleared = section.patch(fixup.offset(), fixup.reloc(), indirect::written(fixup));
                result = result.and(cleared);
            }
        }
        result
    }
}

/// Where the image is written: a section for each segment, or one that is a part of a segment.
struct Memory<'m, 'a> {
    sections: &'m mut [patch::Section<'a>],
    /// The address and the bytes of the part.
    part: Option<(Addr, u64)>,
}

impl<'a> Memory<'_, 'a> {
    /// Where what begins at `addr`, in segment `index`, is written; `None` where it is not in the part.
    fn at(&mut self, index: usize, addr: Addr) -> Option<&mut patch::Section<'a>> {
        let index = match self.part {
            None => index,
            Some((start, len)) if addr.distance_from(start).cast_unsigned() < len => 0,
            Some(_) => return None,
        };
        self.sections.get_mut(index)
    }
}
