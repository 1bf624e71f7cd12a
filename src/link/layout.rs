//! Which output section each input section goes to, and what is known of those.

use super::error::{Cause, Fatal, Lent};
use super::groups::Groups;
use super::isles::WANTED;
use super::names::Names;
use super::object::{Content, Kind, Object, ObjectError, Part};
use super::order::{self, output_name};
use super::parts::{self, FULL};
use super::sequence::{Ordered, Sequence};
use super::tables::{First, LEFT_OUT, NONE, Output, Placed, Run, Segment};
use super::tls::Template;
use super::{Input, Report};
use crate::addr::Addr;
use crate::arena::Prot;
use crate::patch::QUICK;

/// The linker's own output sections, by their numbers.
pub(super) const GOT: usize = 0;
pub(super) const PLT: usize = 1;
const COMMON: usize = 2;
pub(super) const TDATA: usize = 3;
pub(super) const TBSS: usize = 4;

/// The output section that tells how to unwind.
const UNWIND: &str = ".eh_frame";

/// Sections, output sections and segments.
#[derive(Debug)]
pub(super) struct Layout<'t, 'data> {
    pub(super) placed: &'t mut [Placed],
    pub(super) table: &'t mut [Output<'data>],
    pub(super) len: usize,
    pub(super) names: Names<'t>,
    pub(super) sequence: Sequence<'t, 'data>,
    pub(super) segments: &'t mut [Segment],
    pub(super) segment_count: usize,
    /// The segment of the executable output sections that are not pinned, or [`NONE`].
    pub(super) run: u32,
    /// The bytes that it may need.
    pub(super) most: u64,
    /// The lowest address of the image, once there are addresses.
    pub(super) image: Addr,
    /// Whether any section [was moved](Self::moved).
    pub(super) has_moved: bool,
    /// Bytes from where objects lie to where they run, if that is where they run.
    pub(super) in_place: Option<i64>,
}

impl<'t, 'data> Layout<'t, 'data> {
    /// A layout of the linker's own output sections alone, over the tables.
    pub(super) fn new(
        placed: &'t mut [Placed],
        outputs: &'t mut [Output<'data>],
        names: &'t mut [u64],
        ordered: &'t mut [Ordered<'data>],
        segments: &'t mut [Segment],
    ) -> Result<Self, Fatal> {
        let names = Names::new(names);
        let mut layout = Self {
            placed,
            table: outputs,
            len: 0,
            names,
            sequence: Sequence::new(ordered),
            segments,
            segment_count: 0,
            run: NONE,
            most: 0,
            image: Addr::default(),
            has_moved: false,
            in_place: None,
        };
        for (number, name) in [".got", ".plt", "COMMON", ".tdata", ".tbss"].into_iter().enumerate() {
            let is_thread_local = FULL && matches!(number, TDATA | TBSS);
            layout.push(Output {
                name,
                prot: if number == PLT { Prot::ReadExec } else { Prot::ReadWrite },
                align: match number {
                    GOT => 8,
                    PLT => 16,
                    _ => 1,
                },
                step: if is_thread_local { order::TEMPLATE } else { order::FIRST },
                zeros: !matches!(number, GOT | PLT),
                is_thread_local,
                ..Output::default()
            })?;
        }
        Ok(layout)
    }

    /// Gives every loaded section of `inputs` its output section and its offset there, unless another object has its group.
    pub(super) fn read<O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        firsts: &mut [First],
        groups: &mut [u64],
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        let mut next = 0;
        for (input, first) in inputs.iter().zip(&mut *firsts) {
            first.section = next;
            next = next.checked_add(input.object.section_count()).ok_or(Fatal::TooBig)?;
        }
        self.placed = core::mem::take(&mut self.placed).get_mut(..next).ok_or(Fatal::Table(Lent::Sections))?;
        self.placed.fill(Placed::NOWHERE);
        let firsts = &*firsts;
        let mut groups = Groups::new(inputs, firsts, groups);
        for (input, first) in inputs.iter().zip(firsts) {
            for index in 0..input.object.section_count() {
                let read = input.object.section(index);
                let number = first.section + index;
                let done = match read.map(|section| (section, section.kind)) {
                    Ok((section, kind)) if let Some(part) = parts::omitted(&section, kind) => {
                        Err(Part::Section(index).error(part.into()))
                    }
                    Ok((_, Kind::Relocations { of, .. })) => {
                        let run = Run { of: first.section.saturating_add(of) as u32, first: 0, count: 0 };
                        self.note_run(number, run);
                        Ok(())
                    }
                    Ok(_) if FULL && self.placed.get(number).is_some_and(|placed| placed.output == LEFT_OUT) => Ok(()),
                    Ok((_, Kind::Loaded { align, .. } | Kind::ThreadLocal { align, .. }))
                        if !align.is_power_of_two() =>
                    {
                        return Err(report.fatal(Cause::Alignment(align)));
                    }
                    Ok((section, Kind::Loaded { prot, align, content })) => {
                        let name = output_name(section.output);
                        let prot = order::prot_of(name, prot);
                        let output = match self.address_in_place(&section, content) {
                            Some(addr) => self.keep(name, prot, align, addr, report)?,
                            None => self.output_for(name, prot)?,
                        };
                        match section.order {
                            order if FULL && !order.is_empty() => self.put_off(number, output, order)?,
                            _ => self.append(number, output, align, content)?,
                        }
                        Ok(())
                    }
                    Ok((_, Kind::ThreadLocal { align, content })) if FULL => {
                        let output = if matches!(content, Content::Bytes(_)) { TDATA } else { TBSS };
                        self.append(number, output as u32, align, content)?;
                        Ok(())
                    }
                    Ok((_, Kind::Group { key, count, alike })) if FULL => {
                        match groups.kept_elsewhere(first.section + index, key)? {
                            None => Ok(()),
                            Some(kept) => {
                                if kept != alike {
                                    report.of_symbol(input.name, key, Cause::Unlike);
                                }
                                self.leave_out(&input.object, first, index, count)
                            }
                        }
                    }
                    Ok(_) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = done {
                    report.object(input.name, error);
                }
            }
        }
        if FULL {
            self.append_ordered(inputs, firsts)?;
            self.align_template();
        }
        self.end_unwind()
    }

    /// A thread's block is aligned as both parts of it are: so is the template.
    fn align_template(&mut self) {
        let align = self.template().align;
        if let Some(data) = self.table.get_mut(TDATA) {
            data.align = align;
        }
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
                output.size = output.size.checked_add(4).ok_or(Fatal::TooBig)?;
                output.is_filled = false;
            }
        }
        Ok(())
    }

    pub(super) fn push(&mut self, output: Output<'data>) -> Result<(), Fatal> {
        *self.table.get_mut(self.len).ok_or(Fatal::Table(Lent::Outputs))? = output;
        self.len += 1;
        Ok(())
    }

    /// The number of the output section `name` of that protection; a new one where there is none.
    fn output_for(&mut self, name: &'data str, prot: Prot) -> Result<u32, Fatal> {
        let (table, new) = (&*self.table, self.len as u32);
        let is = |number| table.get(number as usize).is_some_and(|output| output.name == name && output.prot == prot);
        let number = self.names.enter(name, new, is).ok_or(Fatal::Table(Lent::OutputNames))?;
        if number == new {
            self.push(Output { name, prot, step: order::of(name), is_filled: QUICK, ..Output::default() })?;
        }
        Ok(number)
    }

    /// Appends the input section numbered `section` to the output section numbered `number`.
    pub(super) fn append(
        &mut self,
        section: usize,
        number: u32,
        align: u64,
        content: Content<'_>,
    ) -> Result<(), Fatal> {
        let output = self.table.get_mut(number as usize).ok_or(Fatal::Table(Lent::Outputs))?;
        let before = output.size;
        let offset = output.append(align, content.size()).ok_or(Fatal::TooBig)?;
        let is_zeros = matches!(content, Content::Zeros(_));
        output.zeros &= is_zeros || content.size() == 0;
        let placed = self.placed.get_mut(section).ok_or(Fatal::Table(Lent::Sections))?;
        (placed.output, placed.offset) = (number, offset);
        if QUICK {
            let gap = u8::try_from(offset - before);
            output.is_filled &= !is_zeros && gap.is_ok();
            placed.gap = gap.unwrap_or(0);
        }
        Ok(())
    }

    /// What the executable output sections' addresses are multiples of, at the most, in bytes.
    pub(super) fn text_align(&self) -> u64 {
        let text = self.outputs().iter().filter(|output| output.prot == Prot::ReadExec);
        text.map(|output| output.align).max().unwrap_or(1)
    }

    pub(super) fn set_plt_size(&mut self, size: u64) {
        if let Some(plt) = self.table.get_mut(PLT) {
            plt.size = size;
        }
    }

    /// Room for a common symbol: its offset among them.
    pub(super) fn append_common(&mut self, align: u64, size: u64) -> Result<u64, Fatal> {
        let common = self.table.get_mut(COMMON).ok_or(Fatal::Table(Lent::Outputs))?;
        common.append(align, size).ok_or(Fatal::TooBig)
    }

    #[cfg_attr(feature = "fast", inline)]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn outputs(&self) -> &[Output<'data>] {
        self.table.get(..self.len).unwrap_or_default()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        self.segments.get(..self.segment_count).unwrap_or_default()
    }

    /// The address of the GOT.
    pub(super) fn got(&self) -> Addr {
        self.addr_of(GOT)
    }

    /// The output section of the veneers, which is the linker's own.
    pub(super) fn plt(&self) -> Option<&Output<'data>> {
        self.table.get(PLT)
    }

    /// The address of output section `number`.
    fn addr_of(&self, number: usize) -> Addr {
        self.table.get(number).map_or(Addr::new(0), |output| output.addr)
    }

    /// How a thread's block begins.
    pub(super) fn template(&self) -> Template {
        if FULL { Template::of(self.outputs()) } else { Template::default() }
    }

    /// Whether the input section numbered `section` is loaded, and no part of the template.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn is_loaded(&self, section: u32) -> bool {
        self.section(section).is_some_and(|(output, _)| !output.is_thread_local())
    }

    /// Whether the input section numbered `section` is part of the template.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn is_thread_local(&self, section: u32) -> bool {
        self.section(section).is_some_and(|(output, _)| output.is_thread_local())
    }

    /// The address of the output section of common symbols.
    pub(super) fn common(&self) -> Addr {
        self.addr_of(COMMON)
    }

    /// Its number.
    pub(super) fn common_number(&self) -> usize {
        COMMON
    }

    /// Whether objects bring an output section of that name. To be asked before the sections are placed.
    pub(super) fn has(&self, name: &str) -> bool {
        let is = |number: u32| self.table.get(number as usize).is_some_and(|output| output.name == name);
        self.names.get(name, is).is_some()
    }

    /// Where the input section numbered `section` lies; `None` where it is not loaded.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn section_addr(&self, section: u32) -> Option<Addr> {
        let (output, offset) = self.section(section)?;
        Some(output.addr.plus(offset.cast_signed()))
    }

    /// What is to be done for the section of relocations numbered `section`; `None` where it is no such, or changes nothing.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn run(&self, section: usize) -> Option<Run> {
        self.placed.get(section).map(|placed| placed.run).filter(|run| run.count > 0)
    }

    /// Tells the section of relocations numbered `section` what is to be done for them.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn note_run(&mut self, section: usize, run: Run) {
        if let Some(placed) = self.placed.get_mut(section) {
            placed.run = run;
        }
    }

    /// Has the input section numbered `section` followed by an island, if it is executable.
    pub(super) fn want_island(&mut self, section: u32) {
        let is_text = self.is_text(section);
        if let Some(placed) = self.placed.get_mut(section as usize).filter(|_| is_text) {
            placed.isle = WANTED;
        }
    }

    /// Takes down where each input section lies ([`moved`](Self::moved)).
    pub(super) fn note_addrs(&mut self) {
        self.each_moved(|addr, _| addr.get().cast_signed());
    }

    /// Tells each input section by how much it was moved since its address was taken down.
    pub(super) fn note_moves(&mut self) {
        self.has_moved = true;
        self.each_moved(|addr, noted| addr.get().cast_signed().wrapping_sub(noted));
    }

    fn each_moved(&mut self, moved: impl Fn(Addr, i64) -> i64) {
        for section in 0..self.placed.len() as u32 {
            let Some(addr) = self.section_addr(section) else { continue };
            if let Some(placed) = self.placed.get_mut(section as usize) {
                placed.moved = moved(addr, placed.moved);
            }
        }
    }

    /// Bytes by which the input section numbered `section` was moved since what the islands need was counted.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn moved(&self, section: u32) -> i64 {
        self.placed.get(section as usize).map_or(0, |placed| placed.moved)
    }

    /// The number of the island right after the input section numbered `section`, or [`NONE`].
    pub(super) fn isle_after(&self, section: u32) -> u32 {
        self.placed.get(section as usize).map_or(NONE, |placed| placed.isle)
    }

    /// Whether the input section numbered `section` is executable.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn is_text(&self, section: u32) -> bool {
        self.section(section).is_some_and(|(output, _)| output.prot == Prot::ReadExec)
    }

    /// The number of section `index` of the object whose sections start at `first`; `None` where it is left out.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn number_of(&self, first: &First, index: usize) -> Option<u32> {
        let number = first.section + index;
        let placed = self.placed.get(number)?;
        (placed.output != LEFT_OUT).then_some(number as u32)
    }

    /// The number of the output section of an input section.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn output_of(&self, section: u32) -> Option<usize> {
        let output = self.placed.get(section as usize)?.output;
        (output < LEFT_OUT).then_some(output as usize)
    }

    /// The segment that an input section is in, and its address.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn segment_of(&self, section: u32) -> Option<(usize, Addr)> {
        let (output, _) = self.section(section)?;
        Some((output.segment()?, self.section_addr(section)?))
    }

    /// The output section of an input section, and the offset there.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn section(&self, section: u32) -> Option<(&Output<'data>, u64)> {
        let placed = self.placed.get(section as usize)?;
        Some((self.outputs().get(placed.output as usize)?, placed.offset))
    }
}
