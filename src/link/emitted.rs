//! The relocations of a plan, as an image can keep them for whoever verifies it (`--emit-relocs`).

use super::object::Object;
use super::plan::Plan;
use super::symbols::target_name;
use super::tables::State;
use super::walk::for_each_relocation;
use crate::addr::Addr;
use crate::reloc::Reloc;

/// A relocation of an image: what must hold there, however the plan makes it hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Emitted<'data> {
    /// The index of the output section that holds the place.
    pub output: usize,
    /// `P`: the address of the place.
    pub place: Addr,
    /// The relocation.
    pub reloc: Reloc,
    /// The name of the symbol; empty where it stands for a section, or its section was left out.
    pub symbol: &'data str,
    /// `S`; `None` where nothing defines the symbol.
    pub addr: Option<Addr>,
    /// `A`, in bytes.
    pub addend: i64,
}

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Calls `visit` for every relocation of every output section, in the order of the objects.
    pub fn for_each_emitted(&self, mut visit: impl FnMut(Emitted<'data>)) {
        for_each_relocation(self.inputs, self.firsts, &self.layout, |site| {
            let Ok(reference) = site.reference(&self.symbols, &self.layout) else { return };
            let Some(output) = self.layout.output_of(site.table.number) else { return };
            let (symbol, addr) = match reference.target.state {
                State::LeftOut => ("", None),
                state => {
                    let name = target_name(self.inputs, self.symbols.targets(), reference.number);
                    (name, Some(reference.addr).filter(|_| state != State::Null))
                }
            };
            // As the object has it: the plan asks more of some kinds.
            let reloc = site.relocation.reloc;
            let (place, addend) = (reference.place, reference.addend);
            visit(Emitted { output, place, reloc, symbol, addr, addend });
        });
    }
}
