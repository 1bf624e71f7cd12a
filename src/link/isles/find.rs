//! Where islands are needed, before anything has an address.

use super::{Isle, Isles, Pass};
use crate::arena::Prot;
use crate::link::error::{Fatal, Lent};
use crate::link::layout::{Layout, PLT};
use crate::link::parts::FULL;
use crate::link::tables::{NONE, Output, Placed};
use crate::veneer::Cell;

/// Bytes of text from one wide island to the next: so few that from every place a call reaches the nearest (±128 MiB), also
/// from the middle of an input section of this size, and so many that few things are made in two of them.
pub(in crate::link) const STRIDE: u64 = 100 << 20;

/// In the place of an island's number: there shall be one.
pub(in crate::link) const WANTED: u32 = NONE - 1;

impl<'t> Isles<'t> {
    /// The islands that `layout` needs: one at the end of all text, one at the end of each executable output section that
    /// is pinned, one between any two input sections that would else make more than a [`STRIDE`] without, and one after each
    /// section that says that it is [`WANTED`].
    pub(in crate::link) fn find(
        table: &'t mut [Isle],
        cells: &'t mut [Cell],
        layout: &mut Layout<'_, '_>,
    ) -> Result<Self, Fatal> {
        let mut isles = Self { table, len: 0, cells, pass: Pass::Settle, most: 0, is_limited: false, is_short: false };
        isles.push(PLT as u32)?;
        if let Some(plt) = isles.table.first_mut() {
            plt.is_wide = true;
        }
        if !FULL {
            return Ok(isles);
        }
        for step in 0..layout.steps() {
            let Some(section) = layout.at_step(step) else { continue };
            let Some(placed) = layout.placed.get_mut(section as usize) else { continue };
            let output = layout.table.get_mut(placed.output as usize);
            let Some(output) = output.filter(|output| output.prot == Prot::ReadExec) else { continue };
            let wants = core::mem::replace(&mut placed.isle, NONE) == WANTED && may_part(output);
            let Placed { output: number, offset, .. } = *placed;
            // What was the last so far ends where this one begins.
            isles.stride(layout, number, offset)?;
            if let Some(output) = layout.table.get_mut(number as usize) {
                output.last_but_one = core::mem::replace(&mut output.last, section);
            }
            if wants {
                isles.put(layout, section, number, false)?;
            }
        }
        // All executable output sections but the pinned ones are one run, which `.plt` ends: the bytes of it since there was
        // an island, and where it has come to.
        let (mut run, mut end) = (0_u64, None);
        for number in 0..layout.len as u32 {
            let size = layout.table.get(number as usize).map_or(0, |output| output.size);
            isles.stride(layout, number, size)?;
            let Some(&output) = layout.table.get(number as usize).filter(|output| output.last != NONE) else {
                continue;
            };
            if output.is_in_place() {
                continue;
            }
            if output.is_pinned() {
                isles.put(layout, output.last, number, true)?;
                continue;
            }
            let (head, tail) =
                if output.since > 0 { (output.until, size.saturating_sub(output.since)) } else { (size, size) };
            let before = end.replace((output.last, number)).filter(|_| run > 0 && run.saturating_add(head) > STRIDE);
            if let Some((section, of)) = before {
                run = 0;
                isles.put(layout, section, of, true)?;
            }
            run = if output.since > 0 { tail } else { run.saturating_add(tail) };
        }
        if let Some((section, of)) = end.filter(|_| layout.plt().is_some_and(Output::is_pinned)) {
            isles.put(layout, section, of, true)?;
        }
        Ok(isles)
    }

    /// Puts an island before the last input section of output section `number`, if that ends, `end` bytes from its start, more
    /// than a [`STRIDE`] after the island before.
    fn stride(&mut self, layout: &mut Layout<'_, '_>, number: u32, end: u64) -> Result<(), Fatal> {
        let Some(output) = layout.table.get_mut(number as usize) else { return Ok(()) };
        let Some(start) = layout.placed.get(output.last as usize).map(|last| last.offset) else { return Ok(()) };
        if !may_part(output) || end.saturating_sub(output.since) <= STRIDE || start <= output.since {
            return Ok(());
        }
        output.until = if output.since > 0 { output.until } else { start };
        output.since = start;
        let before = output.last_but_one;
        self.put(layout, before, number, true)
    }

    /// Sees to it that there is an island after the input section numbered `section`, which is of output section `output`.
    fn put(&mut self, layout: &mut Layout<'_, '_>, section: u32, output: u32, is_wide: bool) -> Result<(), Fatal> {
        let Some(placed) = layout.placed.get_mut(section as usize) else { return Ok(()) };
        if placed.isle == NONE {
            placed.isle = self.len as u32;
            self.push(output)?;
        }
        let next = self.table.first().map_or(NONE, |first| first.next);
        if let Some(isle) = self.table.get_mut(placed.isle as usize).filter(|isle| is_wide && !isle.is_wide) {
            (isle.is_wide, isle.next) = (true, next);
            if let Some(first) = self.table.first_mut() {
                first.next = placed.isle;
            }
        }
        Ok(())
    }

    fn push(&mut self, output: u32) -> Result<(), Fatal> {
        let isle = self.table.get_mut(self.len).ok_or(Fatal::Table(Lent::Islands))?;
        *isle = Isle { output, cells: 1, next: NONE, ..Isle::default() };
        self.len += 1;
        Ok(())
    }
}

/// Whether input sections of an executable output section may move apart: code runs on from one piece of `.init` and `.fini` into the
/// next, and what lies in its object does not move.
fn may_part(output: &Output<'_>) -> bool {
    !matches!(output.name, ".init" | ".fini") && !output.is_in_place()
}
