//! The pass before there are addresses.

use super::error::{Cause, Failure};
use super::kinds::{is_call, is_near_slot, wants_slot};
use super::layout::Layout;
use super::object::Object;
use super::route::{Reference, through_slot};
use super::symbols::Symbols;
use super::tables::First;
use super::walk::for_each_relocation;
use super::{Input, Report};
use core::mem::replace;

/// Reports what cannot be linked wherever it lies, and counts the slots and veneers that the rest needs. Where all text is
/// `near` all other, calls within it need none.
pub(super) fn scan<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
    near: bool,
    report: &mut Report<'_>,
) -> Counts {
    let mut counts = Counts::default();
    for_each_relocation(inputs, firsts, |site| {
        let site = match site {
            Ok(site) => site,
            Err((input, error)) => return report.failure(Failure::of(input, Cause::Object(error))),
        };
        match site.reference(symbols, layout) {
            Ok(Reference { reloc, base, number, target, addend, .. }) => {
                let through_slot = through_slot(reloc, target, addend);
                let is_direct = near && layout.is_text(target.section) && layout.is_text(site.number);
                let Some(target) = symbols.get_mut(number as usize) else { return };
                // A slot near another base than the first is counted already.
                let wants_slot = wants_slot(reloc) && !(is_near_slot(reloc) && base > 0);
                if (through_slot || wants_slot) && !replace(&mut target.slot, true) {
                    counts.slots += 1;
                }
                counts.veneers += usize::from(if through_slot {
                    // Near another base than the first, the symbol may have another slot, hence another veneer.
                    !replace(&mut target.veneer, true) || base > 0
                } else {
                    is_call(reloc) && !is_direct
                });
            }
            Err(Some(cause)) => {
                let own = symbols.get_mut(site.first.symbol.wrapping_add(site.relocation.symbol));
                let again = own.is_some_and(|own| cause == Cause::Undefined && replace(&mut own.reported, true));
                if !again {
                    site.report(cause, inputs, symbols, report);
                }
            }
            Err(None) => {}
        }
    });
    counts
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Distinct symbols that want a slot.
    pub(super) slots: usize,
    /// Distinct symbols that are called through one, and all other calls that may be to somewhere out of reach.
    pub(super) veneers: usize,
}
