//! What lies where in an image, after the objects are gone.

use crate::addr::Addr;
use crate::link::{Binding, Object, Plan};
use std::collections::HashMap;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Debug)]
pub(super) struct Symbols {
    globals: HashMap<String, Addr>,
    /// All that have a size, by address.
    sized: Vec<Sized>,
}

#[derive(Debug)]
struct Sized {
    addr: Addr,
    size: u64,
    name: String,
}

impl Symbols {
    pub(super) fn of<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Self {
        let globals = plan.symbols().filter(|found| found.symbol.binding != Binding::Local);
        let globals = globals.map(|found| (found.symbol.name.to_string(), found.addr)).collect();
        let sized = plan.symbols().filter(|found| found.symbol.size > 0 && found.output.is_some());
        let sized =
            sized.map(|found| Sized { addr: found.addr, size: found.symbol.size, name: found.symbol.name.to_string() });
        let mut sized: Vec<Sized> = sized.collect();
        sized.sort_by_key(|symbol| symbol.addr);
        Self { globals, sized }
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Addr> {
        self.globals.get(name).copied()
    }

    pub(super) fn at(&self, addr: Addr) -> Option<(&str, u64)> {
        let after = self.sized.partition_point(|symbol| symbol.addr <= addr);
        let symbol = self.sized.get(after.checked_sub(1)?)?;
        let into = addr.distance_from(symbol.addr).cast_unsigned();
        (into < symbol.size).then_some((&*symbol.name, into))
    }
}
