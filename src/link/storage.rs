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
#[derive(Debug, Default)]
pub struct Storage<'data> {
    /// What is lent; the tables may be longer.
    needs: Needs,
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
        Storage::default().fit(needs)
    }

    /// The same memory for the tables of another link, where it is enough. Who links one object after the other is spared what
    /// new memory costs: the system finds it page by page, and clears it.
    ///
    /// ```
    /// use aarch64_reloc::{formats::elf::Elf, link::*};
    /// # fn example(files: &[Vec<u8>]) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut storage = Storage::default();
    /// for file in files {
    ///     let inputs = [Input { name: "module.o", object: Elf::parse(file)? }];
    ///     let mut own = storage.fit(measure(&inputs, 0));
    ///     // ... Plan::new(&inputs, &options, own.lend(), ...)
    ///     storage = own.fit(Needs::default()); // which knows nothing of the file any more
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn fit<'other>(self, needs: Needs) -> Storage<'other> {
        Storage {
            needs,
            objects: fit(self.objects, needs.objects),
            sections: fit(self.sections, needs.sections),
            symbols: fit(self.symbols, needs.symbols),
            names: fit(self.names, needs.names),
            output_names: fit(self.output_names, needs.output_names),
            groups: fit(self.groups, needs.groups),
            // They know names of the objects before.
            ordered: vec![Ordered::default(); needs.ordered],
            outputs: vec![Output::default(); needs.outputs],
            segments: fit(self.segments, needs.segments),
            slots: fit_zeroed(self.slots, needs.slots),
            islands: fit(self.islands, needs.islands),
            veneers: fit_zeroed(self.veneers, needs.veneers),
            fixups: fit_zeroed(self.fixups, needs.fixups),
        }
    }

    /// The tables, to be lent to a plan.
    pub fn lend(&mut self) -> Tables<'_, 'data> {
        let needs = self.needs;
        Tables {
            objects: lend(&mut self.objects, needs.objects),
            sections: lend(&mut self.sections, needs.sections),
            symbols: lend(&mut self.symbols, needs.symbols),
            names: lend(&mut self.names, needs.names),
            output_names: lend(&mut self.output_names, needs.output_names),
            groups: lend(&mut self.groups, needs.groups),
            ordered: lend(&mut self.ordered, needs.ordered),
            outputs: lend(&mut self.outputs, needs.outputs),
            segments: lend(&mut self.segments, needs.segments),
            slots: lend(&mut self.slots, needs.slots),
            islands: lend(&mut self.islands, needs.islands),
            veneers: lend(&mut self.veneers, needs.veneers),
            fixups: lend(&mut self.fixups, needs.fixups),
        }
    }
}

/// `len` records or more, of any content.
fn fit<T: Clone + Default>(table: Vec<T>, len: usize) -> Vec<T> {
    if table.len() < len { vec![T::default(); len] } else { table }
}

/// The same in memory that is not touched before something is written there: of the longest tables, most may never be.
fn fit_zeroed<T: FromZeros + Clone + Default>(table: Vec<T>, len: usize) -> Vec<T> {
    match table.len() < len {
        true if let Ok(table) = T::new_vec_zeroed(len) => table,
        _ => fit(table, len),
    }
}

fn lend<T>(table: &mut [T], len: usize) -> &mut [T] {
    table.get_mut(..len).unwrap_or_default()
}
