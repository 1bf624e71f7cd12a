//! The input sections that are not laid out as they come: what a file says of their order decides.
//!
//! ```text
//! .text   a.obj .text | b.obj .text | a.obj .text$mn | b.obj .text$mn | a.obj .text$x
//!         of no order, as they come   by their orders, those of one order as they come
//! ```

use super::Input;
use super::error::{Fatal, Lent};
use super::layout::Layout;
use super::object::{Kind, Object, ObjectError, Section};
use super::parts::FULL;
use super::tables::First;

/// An input section that has an order, opaque.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ordered<'data> {
    order: &'data str,
    section: u32,
}

/// The input sections that have an order: they follow all others of their output sections.
#[derive(Debug)]
pub(super) struct Sequence<'t, 'data> {
    table: &'t mut [Ordered<'data>],
    len: usize,
}

impl<'t, 'data> Sequence<'t, 'data> {
    pub(super) fn new(table: &'t mut [Ordered<'data>]) -> Self {
        Self { table, len: 0 }
    }

    /// Takes down that the input section numbered `section` has `order`.
    fn push(&mut self, order: &'data str, section: u32) -> Result<(), Fatal> {
        *self.table.get_mut(self.len).ok_or(Fatal::Table(Lent::Ordered))? = Ordered { order, section };
        self.len += 1;
        Ok(())
    }

    /// Sorts them, once all are known.
    fn sort(&mut self) {
        let is_less = |a: &Ordered<'_>, b: &Ordered<'_>| (a.order, a.section) < (b.order, b.section);
        let known = self.table.get_mut(..self.len).unwrap_or_default();
        if !known.is_sorted_by(is_less) {
            sort(known, is_less);
        }
    }

    /// The number of the input section at `place` among them.
    fn get(&self, place: usize) -> Option<u32> {
        self.table.get(..self.len)?.get(place).map(|ordered| ordered.section)
    }
}

impl<'data> Layout<'_, 'data> {
    /// Has the input section numbered `section` appended to the output section numbered `output` when it is its turn.
    pub(super) fn put_off(&mut self, section: usize, output: u32, order: &'data str) -> Result<(), Fatal> {
        let placed = self.placed.get_mut(section).ok_or(Fatal::Table(Lent::Sections))?;
        (placed.output, placed.is_ordered) = (output, true);
        self.sequence.push(order, section as u32)
    }

    /// Appends the input sections that were put off, once all are known.
    pub(super) fn append_ordered<O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        firsts: &[First],
    ) -> Result<(), Fatal> {
        self.sequence.sort();
        for step in self.placed.len()..self.steps() {
            let Some(number) = self.at_step(step) else { continue };
            let Some(output) = self.output_of(number) else { continue };
            if let Some(Ok(section)) = section(inputs, firsts, number)
                && let Kind::Loaded { align, content, .. } = section.kind
            {
                self.append(number as usize, output as u32, align, content)?;
            }
        }
        Ok(())
    }

    /// In how many steps all input sections are laid out.
    pub(super) fn steps(&self) -> usize {
        self.placed.len() + if FULL { self.sequence.len } else { 0 }
    }

    /// The number of the input section whose turn it is in a step, if it is one's: first as they come, then those of an
    /// order.
    pub(super) fn at_step(&self, step: usize) -> Option<u32> {
        match self.placed.get(step) {
            Some(placed) => (!placed.is_ordered).then_some(step as u32),
            None => self.sequence.get(step.checked_sub(self.placed.len())?),
        }
    }
}

/// The input section numbered `number`.
pub(super) fn section<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    number: u32,
) -> Option<Result<Section<'data>, ObjectError>> {
    // Of objects without sections, which have the number of the next, it is none.
    let object = firsts.partition_point(|first| first.section <= number as usize).checked_sub(1)?;
    let index = (number as usize).checked_sub(firsts.get(object)?.section)?;
    Some(inputs.get(object)?.object.section(index))
}

/// Sorts `records`, no two of which are as good as each other: a heap, which needs no room, and can never panic.
fn sort<T>(records: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    for root in (0..records.len() / 2).rev() {
        sink(records, root, &is_less);
    }
    let mut heap = records;
    while let [largest, .., last] = heap {
        core::mem::swap(largest, last);
        let Some((_, rest)) = heap.split_last_mut() else { return };
        heap = rest;
        sink(heap, 0, &is_less);
    }
}

/// Lets the record at `parent` sink to where none below it is larger.
fn sink<T>(heap: &mut [T], mut parent: usize, is_less: impl Fn(&T, &T) -> bool) {
    loop {
        let left = 2 * parent + 1;
        let child = match (heap.get(left), heap.get(left + 1)) {
            (Some(one), Some(other)) if is_less(one, other) => left + 1,
            _ => left,
        };
        match heap.get_disjoint_mut([parent, child]) {
            Ok([above, below]) if is_less(above, below) => core::mem::swap(above, below),
            _ => return,
        }
        parent = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn any_order_is_sorted() {
        for len in 0..70_u32 {
            let mut records: Vec<_> = (0..len).map(|number| (number * 7919 % 13, number)).rev().collect();
            let mut expected = records.clone();
            expected.sort_unstable();
            sort(&mut records, |a, b| a < b);
            assert_eq!(records, expected);
        }
    }

    #[test]
    fn those_of_one_order_stay_as_they_come() {
        let mut table = [Ordered::default(); 8];
        let mut sequence = Sequence::new(&mut table);
        for (section, order) in [(2, "$mn"), (3, "$x"), (5, "$a"), (7, "$mn"), (8, "$")] {
            sequence.push(order, section).unwrap();
        }
        sequence.sort();
        let sections: Vec<_> = (0..8).map_while(|place| sequence.get(place)).collect();
        assert_eq!(sections, [8, 5, 2, 7, 3]);
    }
}
