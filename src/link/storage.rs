//! The tables in memory of their own, for those who have an allocator.

use super::Needs;
use super::isles::Isle;
use super::sequence::Ordered;
use super::tables::{First, Output, Placed, Segment, Tables, Target};
use crate::patch::Fixup;
use crate::{got, veneer};
use std::{vec, vec::Vec};
use zerocopy::FromZeros;

/// The tables in memory of their own.
#[derive(Debug)]
pub struct Storage<'data> {
    objects: Vec<First>,
    sections: Vec<Placed>,
    symbols: Vec<Target>,
    names: Vec<u64>,
    output_names: Vec<u64>,
    groups: Vec<u64>,
    ordered: Vec<Ordered<'data>>,
    outputs: Vec<Output<'data>>,
    segments: Vec<Segment>,
    slots: Vec<got::Entry>,
    islands: Vec<Isle>,
    veneers: Vec<veneer::Cell>,
    fixups: Vec<Fixup>,
}

impl<'data> Storage<'data> {
    /// Tables as long as `needs` says.
    pub fn new(needs: Needs) -> Self {
        Self {
            objects: vec![First::default(); needs.objects],
            sections: vec![Placed::default(); needs.sections],
            symbols: vec![Target::default(); needs.symbols],
            names: vec![0; needs.names],
            output_names: vec![0; needs.output_names],
            groups: vec![0; needs.groups],
            ordered: vec![Ordered::default(); needs.ordered],
            outputs: vec![Output::default(); needs.outputs],
            segments: vec![Segment::default(); needs.segments],
            slots: zeroed(needs.slots),
            islands: vec![Isle::default(); needs.islands],
            veneers: zeroed(needs.veneers),
            fixups: zeroed(needs.fixups),
        }
    }

    /// The tables, to be lent to a plan.
    pub fn lend(&mut self) -> Tables<'_, 'data> {
        Tables {
            objects: &mut self.objects,
            sections: &mut self.sections,
            symbols: &mut self.symbols,
            names: &mut self.names,
            output_names: &mut self.output_names,
            groups: &mut self.groups,
            ordered: &mut self.ordered,
            outputs: &mut self.outputs,
            segments: &mut self.segments,
            slots: &mut self.slots,
            islands: &mut self.islands,
            veneers: &mut self.veneers,
            fixups: &mut self.fixups,
        }
    }
}

/// So many records of any content, of memory that is not touched before they are written: of the longest tables, most may never be.
fn zeroed<T: FromZeros + Clone + Default>(len: usize) -> Vec<T> {
    // Where there is no memory, let the allocator say so.
    T::new_vec_zeroed(len).unwrap_or_else(|_| vec![T::default(); len])
}
