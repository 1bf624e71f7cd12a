//! Where the output sections lie.
//!
//! ```text
//! segment    output sections, in the order of the inputs
//! read-exec  .text ... .plt            the veneers last: how many there are is known last
//! read       .rodata .eh_frame ...
//! read-write .got .data ... .init_array.1 ... .init_array .tdata .tbss .bss
//!                                      zeros last: a file need not hold them
//! ```

use super::error::{Cause, Fatal, Lent};
use super::isles::CELL;
use super::layout::{GOT, Layout, PLT, TBSS, TDATA};
use super::order::{self, Step};
use super::parts::FULL;
use super::tables::{NONE, Output, Segment};
use super::{Pin, Report, Request};
use crate::addr::Addr;
use crate::arena::Prot;

impl<'data> Layout<'_, 'data> {
    /// Says which output sections are pinned, before they are placed.
    pub(super) fn mark(&mut self, pins: &[Pin<'data>]) {
        for pin in pins {
            if let Some(output) = self.table.iter_mut().take(self.len).find(|output| output.name == pin.section) {
                output.is_pinned = true;
            }
        }
    }

    /// Gives the linker's own sections their sizes: `slots` slots, and room for `cells` cells.
    pub(super) fn reserve(&mut self, slots: usize, cells: usize) -> Result<(), Fatal> {
        let slots = slots.checked_mul(8).ok_or(Fatal::TooBig)?;
        if let Some(got) = self.table.get_mut(GOT) {
            got.size = slots as u64;
        }
        self.set_plt_size(cells.checked_mul(CELL).ok_or(Fatal::TooBig)? as u64);
        Ok(())
    }

    /// Gives every output section its address: a pinned one its own, the others one run for each protection, where
    /// `place` says. The executable run may be given `spare` bytes more than it needs.
    pub(super) fn place(
        &mut self,
        pins: &[Pin<'data>],
        spare: u64,
        place: &mut dyn FnMut(&mut [Request]) -> Option<()>,
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        for pin in pins {
            self.pin(pin, report)?;
        }
        let mut requests = [Request::new(Prot::Read); 3];
        let mut count = 0;
        for prot in [Prot::ReadExec, Prot::Read, Prot::ReadWrite] {
            let mut lined_up = self.line_up(prot, NONE)?;
            // Where `.plt` lies elsewhere, the run has an island of its own.
            let has_own = prot == Prot::ReadExec && lined_up.size > 0;
            let own = self.plt().filter(|plt| has_own && plt.is_pinned()).map_or(0, |plt| plt.size);
            lined_up.size = lined_up.size.checked_add(own).ok_or(Fatal::TooBig)?;
            let spare = if prot == Prot::ReadExec { spare } else { 0 };
            if spare > 0 {
                // From where there may be veneers on.
                lined_up.size = lined_up.size.checked_next_multiple_of(CELL as u64).ok_or(Fatal::TooBig)?;
            }
            lined_up.most = lined_up.size.checked_add(spare).ok_or(Fatal::TooBig)?;
            if let Some(request) = requests.get_mut(count).filter(|_| lined_up.most > 0) {
                *request = lined_up;
                count += 1;
            }
        }
        let requests = requests.get_mut(..count).unwrap_or_default();
        place(requests).ok_or(Fatal::NotPlaced)?;
        for &mut Request { addr, prot, size, most, align } in requests {
            if !addr.is_aligned_to(align) {
                report.whole(Cause::MisplacedSegment(prot, addr, align));
            }
            let segment = self.open(Segment { prot, addr, size, in_file: 0 })?;
            self.settle_run(prot, NONE, segment);
            if prot == Prot::ReadExec {
                (self.run, self.most) = (segment, most);
            }
        }
        self.find_image();
        Ok(())
    }

    /// The bytes from the start of the first output section to the end of the last.
    pub(super) fn extent(&self) -> u64 {
        let offset = |addr: Addr| addr.distance_from(self.image).cast_unsigned();
        let used = self.outputs().iter().filter(|output| output.size > 0);
        used.map(|output| offset(output.end())).max().unwrap_or(0)
    }

    /// The bytes that the executable run was given and those that it may need, where that is more.
    pub(super) fn shortage(&self) -> Option<(u64, u64)> {
        let given = self.segments.get(self.run as usize)?.size;
        (given < self.most).then_some((given, self.most))
    }

    /// Lines the executable output sections that are not pinned up again, their sizes having changed.
    pub(super) fn line_up_again(&mut self, report: &mut Report<'_>) -> Result<(), Fatal> {
        let Some(&Segment { size: given, .. }) = self.segments.get(self.run as usize) else { return Ok(()) };
        let needed = self.line_up(Prot::ReadExec, self.run)?.size;
        if needed > given {
            return Err(report.fatal(Cause::NoRoom { given, needed }));
        }
        self.settle_run(Prot::ReadExec, self.run, self.run);
        self.find_image();
        Ok(())
    }

    fn find_image(&mut self) {
        // Only formats that a small linker does not read ask for it.
        if !FULL {
            return;
        }
        let used = self.outputs().iter().filter(|output| output.size > 0);
        self.image = used.map(|output| output.addr).min().unwrap_or_default();
    }

    /// Gives the output sections that are lined up, and are of segment `from`, their addresses in segment `to`.
    fn settle_run(&mut self, prot: Prot, from: u32, to: u32) {
        let Some(&Segment { addr, .. }) = self.segments.get(to as usize) else { return };
        for output in self.table.iter_mut().take(self.len) {
            if output.prot == prot && output.segment == from {
                output.addr = addr.plus(output.addr.get().cast_signed());
                output.segment = to;
            }
        }
    }

    /// The cells that there is room for in `.plt`; any number, where it is pinned.
    pub(super) fn plt_room(&self) -> u64 {
        let Some(plt) = self.plt() else { return 0 };
        match self.segments.get(plt.segment as usize) {
            Some(segment) if plt.segment == self.run => {
                let before = plt.addr.distance_from(segment.addr).cast_unsigned();
                segment.size.saturating_sub(before) / CELL as u64
            }
            Some(_) => u64::MAX,
            None => 0,
        }
    }

    fn pin(&mut self, pin: &Pin<'data>, report: &mut Report<'_>) -> Result<(), Fatal> {
        let number = self.outputs().iter().position(|output| output.name == pin.section);
        let Some(&output) = number.and_then(|number| self.table.get(number)) else {
            report.whole(Cause::NoOutput(pin.section));
            return Ok(());
        };
        if output.segment != NONE {
            report.whole(Cause::PlacedTwice(pin.section));
            return Ok(());
        }
        if !pin.addr.is_aligned_to(output.align) {
            report.whole(Cause::MisplacedOutput(pin.section, pin.addr, output.align));
        }
        // The template is one piece, known by its first part.
        let [data, zeros] = [TDATA, TBSS].map(|number| self.table.get(number).copied().unwrap_or_default());
        let mut size = output.size;
        if number == Some(TBSS) && data.size > 0 {
            return Err(report.fatal(Cause::TornTemplate));
        }
        if number == Some(TDATA) && zeros.segment == NONE {
            let offset = data.size.checked_next_multiple_of(zeros.align).ok_or(Fatal::TooBig)?;
            size = offset.checked_add(zeros.size).ok_or(Fatal::TooBig)?;
            if let Some(zeros) = self.table.get_mut(TBSS) {
                (zeros.addr, zeros.segment) = (pin.addr.plus(offset.cast_signed()), self.segment_count as u32);
            }
        }
        let segment = self.open(Segment { prot: output.prot, addr: pin.addr, size, in_file: 0 })?;
        if let Some(output) = number.and_then(|number| self.table.get_mut(number)) {
            (output.addr, output.segment) = (pin.addr, segment);
        }
        Ok(())
    }

    /// Puts the output sections of one protection that are of `segment` in a row. Their addresses are offsets for now.
    fn line_up(&mut self, prot: Prot, segment: u32) -> Result<Request, Fatal> {
        let mut request = Request::new(prot);
        let table = self.table.get_mut(..self.len).ok_or(Fatal::Table(Lent::Outputs))?;
        if !FULL {
            // Without priorities there are few steps.
            let mut step = Some(order::FIRST);
            while let Some(this) = step.take() {
                for (number, output) in (0..).zip(&mut *table) {
                    let own = order_of(number, output);
                    if own == this && output.prot == prot && output.segment == segment {
                        append(&mut request, output)?;
                    }
                    if own > this && step.is_none_or(|step| own < step) {
                        step = Some(own);
                    }
                }
            }
            return Ok(request);
        }
        // Every name has its number by now: the room of the buckets is free.
        let (numbers, rest) =
            self.names.buckets().split_at_mut_checked(self.len).ok_or(Fatal::Table(Lent::OutputNames))?;
        let room = rest.get_mut(..self.len).ok_or(Fatal::Table(Lent::OutputNames))?;
        numbers.iter_mut().zip(0..).for_each(|(entry, number)| *entry = number);
        let step = |number: u32| table.get(number as usize).map_or(order::FIRST, |output| order_of(number, output));
        order::sort(numbers, room, step);
        for &mut number in numbers {
            let waits = |output: &&mut Output<'_>| output.prot == prot && output.segment == segment;
            let Some(output) = table.get_mut(number as usize).filter(waits) else { continue };
            append(&mut request, output)?;
        }
        Ok(request)
    }

    fn open(&mut self, segment: Segment) -> Result<u32, Fatal> {
        *self.segments.get_mut(self.segment_count).ok_or(Fatal::Table(Lent::Segments))? = segment;
        self.segment_count += 1;
        Ok(self.segment_count as u32 - 1)
    }

    /// The last byte of every segment must be in the address space, and no two may share one.
    pub(super) fn check_overlap(&self, report: &mut Report<'_>) -> Result<(), Fatal> {
        for (b, two) in (0..).zip(self.segments()) {
            two.addr.get().checked_add(two.size.saturating_sub(1)).ok_or(Fatal::TooBig)?;
            for (a, one) in (0..b).zip(self.segments()) {
                if overlap((one.addr, one.size), (two.addr, two.size)) {
                    report.whole(Cause::Overlap(self.first_in(a, two), self.first_in(b, one)));
                }
            }
            for kept in self.outputs().iter().filter(|output| output.is_in_place()) {
                if overlap((kept.addr, kept.size), (two.addr, two.size)) {
                    report.whole(Cause::Overlap(kept.name, self.first_in(b, two)));
                }
            }
        }
        Ok(())
    }

    /// The name of the first output section of a segment that shares a byte with `other`.
    fn first_in(&self, segment: u32, other: &Segment) -> &'data str {
        let mut own = self.outputs().iter().filter(|output| output.segment == segment);
        let shares = |output: &&Output<'_>| overlap((output.addr, output.size), (other.addr, other.size));
        // Where no section does, the bytes between two do.
        own.clone().find(shares).or_else(|| own.next()).map_or("", |found| found.name)
    }

    /// Cuts the veneers' section, the last of its segment, down to the `size` bytes that are used, and the segments down to
    /// what is in them. Then it is known how much of each a file must hold.
    pub(super) fn settle(&mut self, size: usize) {
        self.set_plt_size(size as u64);
        self.segments.iter_mut().take(self.segment_count).for_each(|segment| segment.size = 0);
        for output in self.table.iter().take(self.len).filter(|output| output.size > 0) {
            let Some(segment) = self.segments.get_mut(output.segment as usize) else { continue };
            let end = output.addr.distance_from(segment.addr).cast_unsigned().wrapping_add(output.size);
            segment.size = segment.size.max(end);
            // Loaders make zeros in what can be written, and nowhere else.
            if !output.zeros || output.prot != Prot::ReadWrite {
                segment.in_file = segment.in_file.max(end);
            }
        }
    }
}

/// Puts `output` at the end of what is asked for.
fn append(request: &mut Request, output: &mut Output<'_>) -> Result<(), Fatal> {
    let offset = request.size.checked_next_multiple_of(output.align).ok_or(Fatal::TooBig)?;
    output.addr = Addr::new(offset);
    if output.size > 0 {
        request.size = offset.checked_add(output.size).ok_or(Fatal::TooBig)?;
    }
    request.align = request.align.max(output.align);
    Ok(())
}

/// When an output section is lined up.
fn order_of(number: u32, output: &Output<'_>) -> Step {
    match number as usize {
        PLT => order::VENEERS,
        _ if output.zeros && !output.is_thread_local() => order::ZEROS,
        _ => output.step,
    }
}
/// Whether two runs of bytes, each an address and a length, share one. An empty run shares none, wherever it lies.
fn overlap(one: (Addr, u64), two: (Addr, u64)) -> bool {
    let holds = |(addr, len): (Addr, u64), start: Addr| start.distance_from(addr).cast_unsigned() < len;
    one.1 > 0 && two.1 > 0 && (holds(one, two.0) || holds(two, one.0))
}
