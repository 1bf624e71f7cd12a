//! Bases of the GOT, for code that has 15 bits for the offset of a slot (`-fpic`; AAELF64 5.7.10).
//!
//! ```text
//! .got   slots of base 0 | slots of base 1 | ... | all other slots
//!        ^ _GLOBAL_OFFSET_TABLE_ of the first objects
//!                          ^ of the next ones
//! ```
//!
//! Each object sees one `_GLOBAL_OFFSET_TABLE_`. Objects share a base until its slots are used up; the next object opens
//! another, and has its own slot there for what it refers to.

use super::Input;
use super::kinds::is_near_slot;
use super::layout::Layout;
use super::object::Object;
use super::route::Router;
use super::symbols::Symbols;
use super::tables::First;
use super::walk::{Site, for_each_relocation};
use crate::got::Symbol;

/// Slots in reach of a base wherever in its page it lies: `LD64_GOTPAGE_LO15` counts from the page.
const IN_REACH: usize = (0x8000 - 0x1000) / 8;

/// The key of the slot that symbol `number` has near a base. Near the first one it is the slot of all.
pub(super) fn key(base: u32, number: u32) -> Symbol {
    Symbol::new(u64::from(base) << 32 | u64::from(number))
}

/// The symbol of a slot's key.
pub(super) fn number(key: Symbol) -> u32 {
    key.get() as u32
}

/// Gives each object its base, and counts the slots of all bases but the first.
pub(super) fn assign<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &mut [First],
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
) -> usize {
    let (mut base, mut used, mut slots) = (0, 0, 0);
    for (input, first) in inputs.iter().zip(firsts) {
        let mut new = count(input, first, base, symbols, layout);
        if used > 0 && new > 0 && used + new > IN_REACH {
            (base, used) = (base + 1, 0);
            new = count(input, first, base, symbols, layout);
        }
        first.base = base;
        used += new;
        slots += if base == 0 { 0 } else { new };
    }
    slots
}

/// How many symbols an object wants near `base` that none has asked for there.
fn count<'data, O: Object<'data>>(
    input: &Input<'data, O>,
    first: &First,
    base: u32,
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
) -> usize {
    let mut new = 0;
    for_each_near(input, first, |site| {
        let Ok(number) = site.reference(symbols, layout).map(|reference| reference.number) else { return };
        let Some(target) = symbols.get_mut(number as usize) else { return };
        // Bases are numbered from 0, and 0 is said of those near none.
        new += usize::from(target.near != base + 1);
        target.near = base + 1;
    });
    new
}

/// Makes the slots near the bases, before any other, and tells each object the address of its base.
pub(super) fn make<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &mut [First],
    symbols: &Symbols<'_>,
    layout: &Layout<'_, 'data>,
    router: &mut Router<'_>,
) {
    let (mut base, mut addr) = (0, router.got.base());
    for (input, first) in inputs.iter().zip(firsts) {
        if first.base != base {
            (base, addr) = (first.base, router.got.base().at(router.got.size()));
        }
        first.got = addr;
        for_each_near(input, first, |site| {
            if let Ok(reference) = site.reference(symbols, layout) {
                // Where there is no room, the check that follows says so.
                let _ = router.slot(&reference);
            }
        });
    }
}

fn for_each_near<'data, O: Object<'data>>(input: &Input<'data, O>, first: &First, mut visit: impl FnMut(&Site<'data>)) {
    for_each_relocation(core::slice::from_ref(input), core::slice::from_ref(first), |site| {
        if let Ok(site) = site
            && is_near_slot(site.relocation.reloc)
        {
            visit(site);
        }
    });
}
