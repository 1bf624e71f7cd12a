//! What a plan tells of itself.

use super::layout::PLT;
use super::made::Made;
use super::object::{Definition, Object, Symbol};
use super::plan::Plan;
use super::symbols::target_name;
use super::tables::{Output, Segment, State, Target};
use super::{Located, Needs, Summary, Template, bases, measure};
use crate::addr::Addr;
use crate::got::Symbol as Key;
use crate::patch::Endian;
use crate::veneer::{Callee, Occupant, Purpose, Veneer};
use core::ops::Range;

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// What was planned, in numbers.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { slots: self.router.got.len(), ..self.summary };
        for (_, occupant) in self.router.isles.occupants() {
            match occupant.purpose() {
                Purpose::Veneer(_) => summary.veneers += 1,
                Purpose::Hop(_) => summary.hops += 1,
                Purpose::Detour(_) => summary.detours += 1,
                Purpose::Pad(_) => summary.pads += 1,
            }
        }
        summary
    }

    /// How long the tables must be for this very link, with the same addresses: no longer than [`measure`](super::measure) says. With
    /// tables of these lengths the executable segment asks for no more bytes than it uses.
    pub fn needs(&self) -> Needs {
        let outputs = self.outputs().len();
        Needs {
            outputs,
            output_names: 2 * outputs,
            segments: self.segments().len(),
            slots: self.slots,
            islands: self.router.isles.len(),
            veneers: self.router.isles.needed(),
            ..measure(self.inputs, self.pins)
        }
    }

    /// The byte order of the image's data, which is that of its objects.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The segments, each of which wants memory of its own.
    pub fn segments(&self) -> &[Segment] {
        self.layout.segments()
    }

    /// The output sections; `.got` and `.plt`, the linker's own, come first.
    pub fn outputs(&self) -> &[Output<'data>] {
        self.layout.outputs()
    }

    /// How the block of thread-local storage of every thread begins; `None` where there are no thread-local variables.
    pub fn template(&self) -> Option<Template> {
        Some(self.layout.template()).filter(|template| template.size > 0)
    }

    /// Where the functions of `.init_array` lie, say, one address each, in the order of their priorities; `None` where there
    /// are none. So for `.preinit_array`, `.fini_array`, `.ctors` and `.dtors`.
    pub fn array(&self, name: &str) -> Option<Range<Addr>> {
        let (start, stop) = (Made::Start(name), Made::Stop(name));
        let at = |made: Made<'_>| made.addr(self.outputs(), self.layout.got());
        Some(at(start)..at(stop)).filter(|range| !range.is_empty())
    }

    /// The address of the global symbol `name`; of a thread-local variable, where its first value lies in the
    /// [template](Self::template).
    pub fn find(&self, name: &str) -> Option<Addr> {
        let number = self.symbols.find(self.inputs, name)?;
        let target = self.symbols.targets().get(number as usize)?;
        target.has_addr().then_some(target.addr)
    }

    /// Every named symbol that has an address, local ones too, in the order of the objects.
    pub fn symbols(&self) -> impl Iterator<Item = Located<'data>> {
        (0..).zip(self.symbols.targets()).filter_map(|(number, target)| self.located(number, target))
    }

    fn located(&self, number: u32, target: &Target) -> Option<Located<'data>> {
        let input = self.inputs.get(target.object as usize)?;
        let symbol = input.object.symbol(target.index as usize).ok()?;
        if symbol.name.is_empty() || target.definer != number {
            return None;
        }
        let output = match (target.state, symbol.definition) {
            (State::Defined, _) if target.flags.indirect() => Some(PLT),
            (State::Defined, _) => self.layout.output_of(target.section),
            (State::Common, _) => Some(self.layout.common_number()),
            (State::External | State::Made | State::GotBase, _) | (State::Absolute, Definition::Absolute(_)) => None,
            _ => return None,
        };
        // The size is that of the resolver.
        let size = if target.flags.indirect() { 0 } else { symbol.size };
        let symbol = Symbol { size, ..symbol };
        Some(Located { symbol, addr: target.addr, output, object: input.name })
    }

    /// The slots of the GOT: the name of the symbol that each is for, and its address.
    pub fn slots(&self) -> impl Iterator<Item = (&'data str, Addr)> {
        self.router.got.iter().map(|(symbol, slot, _)| (self.name(symbol), slot.addr()))
    }

    /// What stands in the islands, island by island: the index of the output section, what it is, and the name of the symbol
    /// that a veneer leads to through a slot of the GOT; empty for anything else.
    pub fn occupants(&self) -> impl Iterator<Item = (usize, Occupant, &'data str)> {
        self.router.isles.occupants().map(|(output, occupant)| {
            let symbol = match occupant.purpose() {
                Purpose::Veneer(Callee::Slot(slot)) => self.router.got.symbol_of(slot),
                _ => None,
            };
            (output as usize, occupant, symbol.map_or("", |symbol| self.name(symbol)))
        })
    }

    /// The veneers among the [occupants](Self::occupants), and the names of the symbols that they lead to.
    pub fn veneers(&self) -> impl Iterator<Item = (Veneer, &'data str)> {
        self.occupants().filter_map(|(_, occupant, name)| Some((occupant.veneer()?, name)))
    }

    fn name(&self, symbol: Key) -> &'data str {
        target_name(self.inputs, self.symbols.targets(), bases::number(symbol))
    }
}
