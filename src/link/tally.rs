//! Where there are several islands: how many cells each gets.
//!
//! Islands in the text move what follows them, and so decide what reaches and what they have to hold. They are counted with
//! a margin: whatever might not reach once everything has moved by so many bytes counts as far. If the islands turn out to
//! move it further than that, the margin is raised.

use super::error::Fatal;
use super::isles::{Isles, Pass};
use super::layout::Layout;
use super::object::{Kind, Object};
use super::plan::{Plan, begins};
use super::tables::NONE;
use super::walk::for_each_relocation;
use super::{Input, Report, sequence};
use crate::arena::Prot;

/// Bytes that are moved by no more than this at first: of 4096 cells.
const FIRST_MARGIN: u64 = 1 << 16;

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Gives the islands the room that they need, and everything its final address.
    pub(super) fn tally(&mut self, numbered: u32, report: &mut Report<'_>) -> Result<(), Fatal> {
        let mut margin = FIRST_MARGIN;
        loop {
            self.router.margin = margin.cast_signed();
            for pass in [Pass::Count, Pass::Reserve] {
                self.router.isles.begin(pass)?;
                self.visit(numbered)?;
            }
            self.router.isles.reserve();
            let moved = self.router.isles.moves(&self.layout);
            if moved <= margin {
                break;
            }
            margin = moved.checked_mul(2).filter(|&margin| margin <= 1 << 62).ok_or(Fatal::TooBig)?;
        }
        self.symbols.lift(self.inputs, &self.layout);
        self.layout.note_addrs();
        self.layout.part(self.inputs, self.firsts, &mut self.router.isles)?;
        self.layout.set_plt_size(self.router.isles.taken(0));
        self.layout.line_up_again(report)?;
        self.layout.note_moves();
        self.router.isles.locate(&self.layout);
        self.symbols.place(self.inputs, &self.layout);
        self.router.margin = 0;
        self.router.got.clear();
        self.router.isles.begin(Pass::Settle)
    }

    /// Routes every relocation. What cannot be is reported when it is checked.
    fn visit(&mut self, numbered: u32) -> Result<(), Fatal> {
        self.router.got.clear();
        self.begin(numbered, None)?;
        let Self { inputs, firsts, symbols, layout, router, .. } = self;
        for_each_relocation(inputs, firsts, layout, |site| {
            let Ok(reference) = site.reference(symbols, layout) else { return };
            let Some(raw) = site.raw() else { return };
            let _ = router.route(&reference, raw, &|reference| begins(inputs, firsts, reference));
        });
        Ok(())
    }
}

impl Layout<'_, '_> {
    /// Moves the input sections of executable output sections apart, so that each island has its room.
    pub(super) fn part<'data, O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        firsts: &[super::tables::First],
        isles: &mut Isles<'_>,
    ) -> Result<(), Fatal> {
        for output in self.table.iter_mut().take(self.len).filter(|output| output.last != NONE) {
            (output.size, output.is_filled) = (0, false);
        }
        for step in 0..self.steps() {
            let Some(number) = self.at_step(step) else { continue };
            let Some(Ok(section)) = sequence::section(inputs, firsts, number) else { continue };
            let Kind::Loaded { prot: Prot::ReadExec, align, content } = section.kind else { continue };
            let Some(placed) = self.placed.get_mut(number as usize) else { continue };
            let Some(output) = self.table.get_mut(placed.output as usize) else { continue };
            placed.offset = output.append(align, content.size()).ok_or(Fatal::TooBig)?;
            if placed.isle != NONE {
                let size = isles.taken(placed.isle);
                let offset = output.append_isle(size).ok_or(Fatal::TooBig)?;
                isles.move_to(placed.isle, offset);
            }
        }
        Ok(())
    }
}
