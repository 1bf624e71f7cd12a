//! Objects that are in RAM already, and run where they lie.
//!
//! ```text
//! object   header | .text | .rodata | .data | .rela.text | .symtab ...        patched in place by fixups
//! segments .plt    .got .init_array .bss                                      written as ever
//! ```
//!
//! As long as there is a plan it reads the object, so that nothing can be written there: what is to be changed is noted down, and
//! patched once the plan is gone.

use super::error::{Cause, CommitError, Fatal};
use super::layout::Layout;
use super::object::{Content, Object, Section};
use super::order::{self, array_of};
use super::parts::FULL;
use super::plan::Plan;
use super::tables::{IN_PLACE, Output};
use super::{Report, indirect};
use crate::addr::Addr;
use crate::arena::Prot;
use crate::patch::{self, Fixup};

impl<'data> Layout<'_, 'data> {
    /// Where a section of that content runs, if that is where it lies.
    pub(super) fn address_in_place(&self, section: &Section<'data>, content: Content<'data>) -> Option<Addr> {
        let Content::Bytes(bytes) = content else { return None };
        let shift = self.in_place.filter(|_| FULL && !bytes.is_empty())?;
        let name = section.output;
        let is_alone = name.starts_with('.') && section.order.is_empty() && array_of(name).is_none();
        let is_of_a_run = matches!(name, ".init" | ".fini" | ".eh_frame");
        (is_alone && !is_of_a_run).then(|| Addr::new(bytes.as_ptr().addr() as u64).plus(shift))
    }

    /// An output section of that one section.
    pub(super) fn keep(
        &mut self,
        name: &'data str,
        prot: Prot,
        align: u64,
        addr: Addr,
        report: &mut Report<'_>,
    ) -> Result<u32, Fatal> {
        if !addr.is_aligned_to(align) {
            report.whole(Cause::MisplacedOutput(name, addr, align));
        }
        let number = self.len as u32;
        let (step, segment) = (order::of(name), IN_PLACE);
        self.push(Output { name, prot, addr, step, segment, is_pinned: true, ..Output::default() })?;
        Ok(number)
    }
}

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Writes what does not lie in place, as [`commit`](Self::commit) does, and notes down in `fixups` what is to be changed in the
    /// `len` bytes that run at `base`: an object's, or several objects'. Returns the fixups, of which there are as many as
    /// [relocations](super::Summary::relocations) at the most.
    ///
    /// Once the plan and its inputs are dropped, [`Section::patch_all`](patch::Section::patch_all) changes those bytes. They are no
    /// object any more then.
    ///
    /// # Errors
    ///
    /// Those of `commit`; [`CommitError::Fixups`] and [`CommitError::Beyond`].
    pub fn commit_in_place<'f>(
        &self,
        memory: &mut [patch::Section<'_>],
        (base, len): (Addr, u64),
        fixups: &'f mut [Fixup],
    ) -> Result<&'f [Fixup], CommitError> {
        self.commit_segments(memory)?;
        let mut count = 0;
        for (addr, run) in self.runs() {
            if !self.layout.section(run.of).is_some_and(|(output, _)| output.is_in_place()) {
                continue;
            }
            for fixup in self.fixups_of(run) {
                let place = addr.at(fixup.offset());
                let distance = place.distance_from(base).cast_unsigned();
                if distance >= len {
                    continue;
                }
                let offset = u32::try_from(distance).map_err(|_| CommitError::Beyond(place))?;
                if let Some(free) = fixups.get_mut(count) {
                    *free = Fixup::new(offset, fixup.reloc(), indirect::written(fixup));
                }
                count += 1;
            }
        }
        fixups.get(..count).ok_or(CommitError::Fixups(count))
    }
}
