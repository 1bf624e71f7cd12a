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
use super::kinds::facts;
use super::layout::Layout;
use super::object::Object;
use super::parts::FULL;
use super::policy::Policy;
use super::route::{Reference, Router, through_slot};
use super::scan::Counts;
use super::symbols::Symbols;
use super::tables::First;
use super::walk::{Site, for_each_relocation};
use crate::got::{Kind, Symbol};
use core::slice;

/// Slots in reach of a base wherever in its page it lies: `LD64_GOTPAGE_LO15` counts from the page.
pub(super) const IN_REACH: usize = (0x8000 - 0x1000) / 8;

/// The key of the slot that symbol `number` has near a base. Near the first one it is the slot of all.
pub(super) fn key(base: u32, number: u32) -> Symbol {
    Symbol::new(u64::from(base) << 32 | u64::from(number))
}

/// The symbol of a slot's key.
pub(super) fn number(key: Symbol) -> u32 {
    key.get() as u32
}

/// Gives each object its base, and counts what was not counted before: the slots near the bases, and veneers through them.
pub(super) fn assign<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &mut [First],
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
    policy: Policy,
) -> Counts {
    let (mut base, mut used) = (0, 0);
    let mut counts = Counts::default();
    if !FULL || !firsts.iter().any(|first| first.has_near) {
        return counts;
    }
    // Slots near a base come first: which are whose is known when they are made.
    symbols.forget_slots();
    for (input, first) in inputs.iter().zip(&mut *firsts) {
        let mut new = count(input, first, base, symbols, layout);
        if used > 0 && new.distinct > 0 && used + new.distinct > IN_REACH {
            (base, used) = (base + 1, 0);
            new = count(input, first, base, symbols, layout);
        }
        first.base = base;
        used += new.distinct;
        counts.slots += if base == 0 { new.slots } else { new.distinct };
        if base > 0 {
            // What is called through a slot may have a veneer to the one near this base.
            for_each_relocation(slice::from_ref(input), slice::from_ref(first), layout, |site| {
                if let Ok(Reference { facts, target, addend, .. }) = site.reference(symbols, layout)
                    && through_slot(facts.is_call, target, addend, policy)
                {
                    counts.cells += 2;
                }
            });
        }
    }
    symbols.forget_slots();
    counts
}

/// What an object wants near a base.
#[derive(Clone, Copy, Default)]
struct New {
    /// Symbols that none has asked for there.
    distinct: usize,
    /// Slots for them, of which those of the first base serve all.
    slots: usize,
}

fn count<'data, O: Object<'data>>(
    input: &Input<'data, O>,
    first: &First,
    base: u32,
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
) -> New {
    let mut new = New::default();
    for_each_near(input, first, layout, |site| {
        let Ok(number) = site.reference(symbols, layout).map(|reference| reference.number) else { return };
        let Some(target) = symbols.get_mut(number as usize) else { return };
        new.distinct += usize::from(target.slot != base);
        target.slot = base;
        if base == 0 {
            new.slots += target.count(Kind::Gdat);
        }
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
        if !FULL {
            first.got = addr;
            continue;
        }
        if first.base != base {
            (base, addr) = (first.base, router.got.base().at(router.got.size()));
        }
        first.got = addr;
        for_each_near(input, first, layout, |site| {
            if let Ok(reference) = site.reference(symbols, layout) {
                // Where there is no room, the check that follows says so.
                let _ = router.slot(&reference);
            }
        });
    }
}

fn for_each_near<'data, O: Object<'data>>(
    input: &Input<'data, O>,
    first: &First,
    layout: &Layout<'_, 'data>,
    mut visit: impl FnMut(&Site<'_, '_, 'data, O>),
) {
    if !first.has_near {
        return;
    }
    for_each_relocation(slice::from_ref(input), slice::from_ref(first), layout, |site| {
        if facts(site.relocation.reloc).is_near_slot {
            visit(site);
        }
    });
}
