//! Which output section each input section goes to, and where those lie.
//!
//! ```text
//! segment    output sections, in the order of the inputs
//! read-exec  .text ... .plt            the veneers last: how many there are is known last
//! read       .rodata .eh_frame ...
//! read-write .got .data ... .init_array.1 ... .init_array .bss
//!                                      zeros last: a file need not hold them
//! ```

use super::error::{Cause, Failure, Fatal};
use super::groups::Groups;
use super::names::Names;
use super::object::{Content, Kind, Object, ObjectError};
use super::order::{self, Step, output_name};
use super::tables::{First, LEFT_OUT, NONE, Output, Placed, Segment};
use super::{Input, Pin, Report, Request};
use crate::addr::Addr;
use crate::arena::Prot;
use crate::reloc::Reloc;

/// The linker's own output sections, by their numbers.
const GOT: usize = 0;
const PLT: usize = 1;
const COMMON: usize = 2;

/// The output section that tells how to unwind.
const UNWIND: &str = ".eh_frame";

/// Sections, output sections and segments.
#[derive(Debug)]
pub(super) struct Layout<'t, 'data> {
    placed: &'t mut [Placed],
    table: &'t mut [Output<'data>],
    len: usize,
    names: Names<'t>,
    segments: &'t mut [Segment],
    segment_count: usize,
}

impl<'t, 'data> Layout<'t, 'data> {
    /// A layout of the linker's own output sections alone, over the tables.
    pub(super) fn new(
        placed: &'t mut [Placed],
        outputs: &'t mut [Output<'data>],
        names: &'t mut [u32],
        segments: &'t mut [Segment],
    ) -> Result<Self, Fatal> {
        let names = Names::new(names);
        let mut layout = Self { placed, table: outputs, len: 0, names, segments, segment_count: 0 };
        layout.push(Output { name: ".got", prot: Prot::ReadWrite, align: 8, zeros: false, ..Output::default() })?;
        layout.push(Output { name: ".plt", prot: Prot::ReadExec, align: 16, zeros: false, ..Output::default() })?;
        layout.push(Output { name: "COMMON", prot: Prot::ReadWrite, ..Output::default() })?;
        Ok(layout)
    }

    /// Gives every loaded section of `inputs` its output section and its offset there, unless another object has its group.
    pub(super) fn read<O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        firsts: &mut [First],
        groups: &mut [u32],
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        let mut next = 0;
        for (input, first) in inputs.iter().zip(&mut *firsts) {
            first.section = next;
            next += input.object.section_count();
        }
        self.placed.get_mut(..next).ok_or(Cause::Table("sections"))?.fill(Placed { output: NONE, offset: 0 });
        let firsts = &*firsts;
        let mut groups = Groups::new(inputs, firsts, groups);
        for (input, first) in inputs.iter().zip(firsts) {
            for index in 0..input.object.section_count() {
                let read = input.object.section(index).map(|section| (section.name, section.kind));
                let done = match read {
                    Ok((name, Kind::Loaded { prot, align, content })) => {
                        self.append(first.section + index, output_name(name), prot, align, content)?;
                        Ok(())
                    }
                    Ok((_, Kind::Group { key, count })) if groups.is_kept_elsewhere(first.section + index, key)? => {
                        self.leave_out(&input.object, first, index, count)
                    }
                    Ok(_) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = done {
                    report.failure(Failure::of(input.name, Cause::Object(error)));
                }
            }
        }
        self.end_unwind()
    }

    /// Marks the members of a group that another object has.
    fn leave_out<O: Object<'data>>(
        &mut self,
        object: &O,
        first: &First,
        group: usize,
        count: usize,
    ) -> Result<(), ObjectError> {
        for index in 0..count {
            let member = object.member(group, index)?;
            if let Some(placed) = self.placed.get_mut(first.section + member) {
                placed.output = LEFT_OUT;
            }
        }
        Ok(())
    }

    /// Unwinders want the frames to end with a length of zero (LSB, ".eh_frame").
    fn end_unwind(&mut self) -> Result<(), Fatal> {
        for output in self.table.iter_mut().take(self.len) {
            if output.name == UNWIND && output.size > 0 {
                output.size = output.size.checked_add(4).ok_or(Cause::TooBig)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, output: Output<'data>) -> Result<(), Fatal> {
        *self.table.get_mut(self.len).ok_or(Cause::Table("outputs"))? = output;
        self.len += 1;
        Ok(())
    }

    /// Appends the input section numbered `section` to the output section `name`.
    fn append(
        &mut self,
        section: usize,
        name: &'data str,
        prot: Prot,
        align: u64,
        content: Content<'_>,
    ) -> Result<(), Fatal> {
        if self.placed.get(section).is_some_and(|placed| placed.output == LEFT_OUT) {
            return Ok(());
        }
        let (table, new) = (&*self.table, self.len as u32);
        let is = |number| table.get(number as usize).is_some_and(|output| output.name == name && output.prot == prot);
        let bucket = self.names.bucket(name, is).ok_or(Cause::Table("output_names"))?;
        let number = if *bucket == NONE { new } else { *bucket };
        *bucket = number;
        if number == new {
            self.push(Output { name, prot, ..Output::default() })?;
        }
        let output = self.table.get_mut(number as usize).ok_or(Cause::Table("outputs"))?;
        let offset = output.append(align, content.size()).ok_or(Cause::TooBig)?;
        output.zeros &= matches!(content, Content::Zeros(_)) || content.size() == 0;
        *self.placed.get_mut(section).ok_or(Cause::Table("sections"))? = Placed { output: number, offset };
        Ok(())
    }

    /// Room for a common symbol: its offset among them.
    pub(super) fn append_common(&mut self, align: u64, size: u64) -> Result<u64, Fatal> {
        let common = self.table.get_mut(COMMON).ok_or(Cause::Table("outputs"))?;
        Ok(common.append(align, size).ok_or(Cause::TooBig)?)
    }

    /// Gives the linker's own sections their sizes: `slots` slots, and room for `cells` veneer cells.
    pub(super) fn reserve(&mut self, slots: usize, cells: usize) {
        for (number, size) in [(GOT, slots * 8), (PLT, cells * 16)] {
            if let Some(output) = self.table.get_mut(number) {
                output.size = size as u64;
            }
        }
    }

    /// Whether every call from text to text is direct: nothing is pinned, and all text spans less than a call does.
    pub(super) fn is_near(&self, pins: &[Pin<'_>]) -> bool {
        let text = self.outputs().iter().filter(|output| output.prot == Prot::ReadExec);
        let size =
            text.into_iter().try_fold(0_u64, |sum, output| sum.checked_add(output.size)?.checked_add(output.align));
        pins.is_empty() && size.is_some_and(|size| Reloc::CALL26.reach().spans(size))
    }

    /// Gives every output section its address: a pinned one its own, the others one run for each protection, where
    /// `place` says.
    pub(super) fn place(
        &mut self,
        pins: &[Pin<'data>],
        place: &mut dyn FnMut(&mut [Request]) -> Option<()>,
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        for pin in pins {
            self.pin(pin, report)?;
        }
        let mut requests = [Prot::ReadExec, Prot::Read, Prot::ReadWrite].map(Request::new);
        let mut count = 0;
        for prot in [Prot::ReadExec, Prot::Read, Prot::ReadWrite] {
            let lined_up = self.line_up(prot)?;
            if let Some(request) = requests.get_mut(count).filter(|_| lined_up.size > 0) {
                *request = lined_up;
                count += 1;
            }
        }
        let requests = requests.get_mut(..count).unwrap_or_default();
        place(requests).ok_or(Fatal::NotPlaced)?;
        for &mut Request { addr, prot, size, .. } in requests {
            let segment = self.open(Segment { prot, addr, size })?;
            for output in self.table.iter_mut().take(self.len) {
                if output.prot == prot && output.segment == NONE {
                    output.addr = Addr::new(addr.get().wrapping_add(output.addr.get()));
                    output.segment = segment;
                }
            }
        }
        self.check_overlap(report)
    }

    fn pin(&mut self, pin: &Pin<'data>, report: &mut Report<'_>) -> Result<(), Fatal> {
        let number = self.outputs().iter().position(|output| output.name == pin.section);
        let Some(&output) = number.and_then(|number| self.table.get(number)) else {
            report.failure(Failure::of("", Cause::NoOutput(pin.section)));
            return Ok(());
        };
        if output.segment != NONE {
            report.failure(Failure::of("", Cause::PlacedTwice(pin.section)));
            return Ok(());
        }
        if !pin.addr.is_aligned_to(output.align) {
            report.failure(Failure::of("", Cause::MisplacedOutput(pin.section, pin.addr, output.align)));
        }
        let segment = self.open(Segment { prot: output.prot, addr: pin.addr, size: output.size })?;
        if let Some(output) = number.and_then(|number| self.table.get_mut(number)) {
            (output.addr, output.segment) = (pin.addr, segment);
        }
        Ok(())
    }

    /// Puts the output sections of one protection that have no segment yet in a row. Their addresses are offsets for now.
    fn line_up(&mut self, prot: Prot) -> Result<Request, Fatal> {
        let mut request = Request::new(prot);
        let table = self.table.get_mut(..self.len).ok_or(Cause::Table("outputs"))?;
        // Every name has its number by now: the room of the buckets is free.
        let (numbers, rest) =
            self.names.buckets().split_at_mut_checked(self.len).ok_or(Cause::Table("output_names"))?;
        let room = rest.get_mut(..self.len).ok_or(Cause::Table("output_names"))?;
        numbers.iter_mut().zip(0..).for_each(|(entry, number)| *entry = number);
        let step = |number: u32| table.get(number as usize).map_or(order::FIRST, |output| order_of(number, output));
        order::sort(numbers, room, step);
        for &mut number in numbers {
            let waits = |output: &&mut Output<'_>| output.prot == prot && output.segment == NONE;
            let Some(output) = table.get_mut(number as usize).filter(waits) else { continue };
            let offset = request.size.checked_next_multiple_of(output.align).ok_or(Cause::TooBig)?;
            output.addr = Addr::new(offset);
            request.size = offset.checked_add(output.size).ok_or(Cause::TooBig)?;
            request.align = request.align.max(output.align);
        }
        Ok(request)
    }

    fn open(&mut self, segment: Segment) -> Result<u32, Fatal> {
        *self.segments.get_mut(self.segment_count).ok_or(Cause::Table("segments"))? = segment;
        self.segment_count += 1;
        Ok(self.segment_count as u32 - 1)
    }

    /// The last byte of every segment must be in the address space, and no two may share one.
    fn check_overlap(&self, report: &mut Report<'_>) -> Result<(), Fatal> {
        for (b, two) in (0..).zip(self.segments()) {
            two.addr.get().checked_add(two.size.saturating_sub(1)).ok_or(Cause::TooBig)?;
            for (a, one) in (0..b).zip(self.segments()) {
                if overlap((one.addr, one.size), (two.addr, two.size)) {
                    report.failure(Failure::of("", Cause::Overlap(self.first_in(a, two), self.first_in(b, one))));
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

    /// Cuts the veneers' section, the last of its segment, down to what is used.
    pub(super) fn trim_plt(&mut self, size: usize) {
        let Some(plt) = self.table.get_mut(PLT) else { return };
        let unused = plt.size.saturating_sub(size as u64);
        plt.size -= unused;
        if let Some(segment) = self.segments.get_mut(plt.segment as usize) {
            segment.size -= unused;
        }
    }

    pub(super) fn outputs(&self) -> &[Output<'data>] {
        self.table.get(..self.len).unwrap_or_default()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        self.segments.get(..self.segment_count).unwrap_or_default()
    }

    /// The output section of the GOT.
    pub(super) fn got(&self) -> Output<'data> {
        self.table.get(GOT).copied().unwrap_or_default()
    }

    /// The output section of the veneers.
    pub(super) fn plt(&self) -> Output<'data> {
        self.table.get(PLT).copied().unwrap_or_default()
    }

    /// The output section of common symbols.
    pub(super) fn common(&self) -> Output<'data> {
        self.table.get(COMMON).copied().unwrap_or_default()
    }

    /// Its number.
    pub(super) fn common_number(&self) -> usize {
        COMMON
    }

    /// Whether objects bring an output section of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.outputs().iter().skip(COMMON + 1).any(|output| output.name == name)
    }

    /// Where the input section numbered `section` lies; `None` where it is not loaded.
    pub(super) fn section_addr(&self, section: u32) -> Option<Addr> {
        let (output, offset) = self.section(section)?;
        Some(Addr::new(output.addr.get().wrapping_add(offset)))
    }

    /// Whether the input section numbered `section` is executable.
    pub(super) fn is_text(&self, section: u32) -> bool {
        self.section(section).is_some_and(|(output, _)| output.prot == Prot::ReadExec)
    }

    /// The number of section `index` of the object whose sections start at `first`; `None` where it is left out.
    pub(super) fn number_of(&self, first: &First, index: usize) -> Option<u32> {
        let number = first.section + index;
        let placed = self.placed.get(number)?;
        (placed.output != LEFT_OUT).then_some(number as u32)
    }

    /// The number of the output section of an input section.
    pub(super) fn output_of(&self, section: u32) -> Option<usize> {
        let output = self.placed.get(section as usize)?.output;
        (output < LEFT_OUT).then_some(output as usize)
    }

    /// The output section of an input section, and the offset there.
    pub(super) fn section(&self, section: u32) -> Option<(&Output<'data>, u64)> {
        let placed = self.placed.get(section as usize)?;
        Some((self.outputs().get(placed.output as usize)?, placed.offset))
    }
}

/// When an output section is lined up.
fn order_of(number: u32, output: &Output<'_>) -> Step {
    match number as usize {
        PLT => order::VENEERS,
        _ if output.zeros => order::ZEROS,
        _ => order::of(output.name),
    }
}

/// Whether two runs of bytes, each an address and a length, share one. An empty run shares none, wherever it lies.
fn overlap(one: (Addr, u64), two: (Addr, u64)) -> bool {
    let holds = |(addr, len): (Addr, u64), start: Addr| start.distance_from(addr).cast_unsigned() < len;
    one.1 > 0 && two.1 > 0 && (holds(one, two.0) || holds(two, one.0))
}
