//! What lies where in an image, after the objects are gone.

use crate::addr::Addr;
use crate::arena::Prot;
use crate::link::{Binding, Located, Object, Plan};
use std::collections::HashMap;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Debug)]
pub(super) struct Symbols {
    globals: HashMap<String, Addr>,
    /// By address: all functions and data, and labels that are not local.
    named: Vec<Named>,
    outputs: Vec<Output>,
}

/// A symbol of the image.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) addr: Addr,
    /// In bytes; zero of a label.
    pub(super) size: u64,
    pub(super) function: bool,
    pub(super) binding: Binding,
    /// Its output section, as an index of [`Symbols::outputs`]; `None` where that is empty.
    pub(super) output: Option<usize>,
    /// The end of what reaches farthest of this symbol and those before it: symbols may lie in each other.
    farthest: Addr,
}

/// An output section that is not empty.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) addr: Addr,
    pub(super) size: u64,
    pub(super) prot: Prot,
}

impl Symbols {
    pub(super) fn of<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Self {
        let mut outputs = Vec::new();
        let mut kept = Vec::new();
        for output in plan.outputs() {
            let (name, addr, size, prot) = (output.name().to_string(), output.addr(), output.size(), output.prot());
            kept.push((size > 0).then_some(outputs.len()));
            outputs.extend((size > 0).then_some(Output { name, addr, size, prot }));
        }
        // What stands in the template is no thread's variable.
        let is_thread_local = |output: usize| plan.outputs().get(output).is_some_and(|output| output.is_thread_local());
        let symbols = || plan.symbols().filter(|found| !found.output.is_some_and(is_thread_local));
        let is_global = |found: &Located<'_>| found.symbol.binding != Binding::Local;
        let globals = symbols().filter(is_global);
        let globals = globals.map(|found| (found.symbol.name.to_string(), found.addr)).collect();
        let named = symbols().filter_map(|found| {
            let (Located { symbol, addr, .. }, output) = (found, kept.get(found.output?)?);
            let matters = symbol.size > 0 || symbol.function || is_global(&found);
            matters.then(|| Named {
                name: symbol.name.to_string(),
                addr,
                size: symbol.size,
                function: symbol.function,
                binding: symbol.binding,
                output: *output,
                farthest: addr,
            })
        });
        let mut named: Vec<Named> = named.collect();
        named.sort_by_key(|symbol| symbol.addr);
        let mut farthest = Addr::default();
        for symbol in &mut named {
            farthest = farthest.max(symbol.addr.plus(symbol.size.cast_signed()));
            symbol.farthest = farthest;
        }
        Self { globals, named, outputs }
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Addr> {
        self.globals.get(name).copied()
    }

    /// Of the symbols that hold `addr`, the one that begins last, and how many bytes into it.
    pub(super) fn at(&self, addr: Addr) -> Option<(&str, u64)> {
        let after = self.named.partition_point(|symbol| symbol.addr <= addr);
        let before = self.named.get(..after)?.iter().rev();
        let mut reaching = before.take_while(|symbol| symbol.farthest > addr);
        reaching.find_map(|symbol| {
            let into = addr.distance_from(symbol.addr).cast_unsigned();
            (into < symbol.size).then_some((&*symbol.name, into))
        })
    }

    pub(super) fn named(&self) -> &[Named] {
        &self.named
    }

    pub(super) fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}
