//! Which definition each symbol means.
//!
//! A name that several objects know means its strong definition, else its first weak one; else what the linker makes
//! under that name; else what the resolver says; else, where every mention is weak, nothing.

use super::error::{Cause, Fatal, Lent};
use super::layout::Layout;
use super::made::{Made, made};
use super::names::{Hash, Names};
use super::object::{Binding, Definition, Object, Part, Symbol};
use super::parts;
use super::tables::{First, Flags, NONE, State, Target};
use super::{Input, Report, bases, indirect};
use crate::addr::Addr;
use crate::got::{self, Got};
use crate::patch::QUICK;
use core::ops::Range;

/// Symbols that are read together.
const TOGETHER: usize = if QUICK { 32 } else { 1 };

/// All symbols of all objects, as [`Target`]s in the objects' order.
#[derive(Debug)]
pub(super) struct Symbols<'t> {
    targets: &'t mut [Target],
    names: Names<'t>,
    /// Any is an indirect function.
    has_indirect: bool,
}

impl<'t> Symbols<'t> {
    /// Reads the symbols of `inputs`, and finds the definition of each.
    pub(super) fn read<'data, O: Object<'data>>(
        inputs: &[Input<'data, O>],
        firsts: &mut [First],
        layout: &Layout<'_, 'data>,
        targets: &'t mut [Target],
        names: &'t mut [u64],
        report: &mut Report<'_>,
    ) -> Result<Self, Fatal> {
        let mut symbols = Self { targets, names: Names::new(names), has_indirect: false };
        let mut next = 0_usize;
        for (object, (input, first)) in inputs.iter().zip(firsts).enumerate() {
            first.symbol = next;
            let (mut index, count) = (0, input.object.symbol_count());
            next = next.checked_add(count).ok_or(Fatal::TooBig)?;
            while index < count {
                let some = index..count.min(index + TOGETHER);
                index = some.end;
                symbols.read_some(inputs, object, first, some, layout, report)?;
            }
        }
        symbols.targets = symbols.targets.get_mut(..next).ok_or(Fatal::Table(Lent::Symbols))?;
        Ok(symbols)
    }

    /// Reads some symbols of object number `object`. Their names lie in no order, and so do the buckets of those: each are
    /// fetched together.
    fn read_some<'data, O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        object: usize,
        first: &First,
        indices: Range<usize>,
        layout: &Layout<'_, 'data>,
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        let Some(input) = inputs.get(object) else { return Ok(()) };
        input.object.fetch_symbols(indices.clone());
        let mut globals = [(NONE, "", Hash::default()); TOGETHER];
        for (global, index) in globals.iter_mut().zip(indices) {
            let number = u32::try_from(first.symbol + index).map_err(|_| Fatal::TooBig)?;
            let target = self.targets.get_mut(number as usize).ok_or(Fatal::Table(Lent::Symbols))?;
            *target = Target { definer: number, object: object as u32, index: index as u32, ..Target::EMPTY };
            match input.object.linked_symbol(index) {
                Ok(symbol) if let Some(part) = parts::omitted_symbol(&symbol) => {
                    report.object(input.name, Part::Symbol(index).error(part.into()));
                }
                Ok(symbol) => {
                    describe(target, &symbol, |section| layout.number_of(first, section));
                    self.has_indirect |= target.flags.indirect();
                    if symbol.binding != Binding::Local {
                        *global = (number, symbol.name, self.names.hash(symbol.name));
                    }
                }
                Err(error) => report.object(input.name, error),
            }
        }
        let globals = || globals.iter().filter(|(number, ..)| *number != NONE);
        self.names.fetch(globals().map(|&(.., hash)| hash));
        for &(number, name, hash) in globals() {
            self.unite(inputs, name, hash, number, report)?;
        }
        Ok(())
    }

    /// Makes the global symbol `number` one of those that have its name. The first of them, which is found by the name, knows
    /// which defines it; until all are read, the others know only the first.
    fn unite<'data, O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        name: &str,
        hash: Hash,
        number: u32,
        report: &mut Report<'_>,
    ) -> Result<(), Fatal> {
        let targets = &mut *self.targets;
        let is = |other| is_named(inputs, targets, other, name);
        let leader = self.names.enter_hashed(hash, number, is).ok_or(Fatal::Table(Lent::Names))?;
        if leader == number {
            return Ok(());
        }
        let before = targets.get(leader as usize).map_or(leader, |leader| leader.definer);
        let (Some(&old), Some(&new)) = (targets.get(before as usize), targets.get(number as usize)) else {
            return Ok(());
        };
        let (old_rank, new_rank) = (rank(&old), rank(&new));
        if old_rank == STRONG && new_rank == STRONG {
            let (object, first) = (input_name(inputs, &new), input_name(inputs, &old));
            report.of_symbol(object, name, Cause::Duplicate(first));
        }
        // Until it has its place, the address of a common symbol is its size: the largest is meant.
        let is_larger = new_rank == COMMON && old_rank == COMMON && new.addr > old.addr;
        let winner = if new_rank > old_rank || is_larger { number } else { before };
        if let Some(winner) = targets.get_mut(winner as usize) {
            winner.flags.set_hidden(old.flags.hidden() || new.flags.hidden());
            winner.align = old.align.max(new.align);
        }
        for (follower, definer) in [(number, leader), (leader, winner)] {
            if let Some(follower) = targets.get_mut(follower as usize) {
                follower.definer = definer;
            }
        }
        Ok(())
    }

    /// The definer of the global symbol `name`.
    pub(super) fn find<'data, O: Object<'data>>(&self, inputs: &[Input<'data, O>], name: &str) -> Option<u32> {
        let leader = self.names.get(name, |other| is_named(inputs, self.targets, other, name))?;
        self.targets.get(leader as usize).map(|leader| leader.definer)
    }

    /// Says what each symbol means, once all are read, and gives it what it needs: common ones that nothing else defines have
    /// room made for them; for those that no object defines, first the linker itself is asked, then `resolve`.
    pub(super) fn settle<'data, O: Object<'data>>(
        &mut self,
        inputs: &[Input<'data, O>],
        layout: &mut Layout<'_, 'data>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
    ) -> Result<(), Fatal> {
        for number in 0..self.targets.len() {
            let Some((before, [target, ..])) = self.targets.split_at_mut_checked(number) else { continue };
            // Who followed the first of its name is sent to the definer, which that one knows. That is itself, or came later.
            if let Some(leader) = before.get(target.definer as usize) {
                target.definer = leader.definer;
            }
            let is_definer = target.definer as usize == number;
            match target.state {
                State::Common if is_definer => {
                    let offset = layout.append_common(1 << target.align, target.addr.get())?;
                    target.addr = Addr::new(offset);
                }
                State::Undefined if is_definer && target.flags.global() => ask(inputs, target, layout, resolve),
                _ => {}
            }
            let is_plain = match target.state {
                _ if !QUICK => false,
                State::Defined => !target.flags.indirect() && layout.is_loaded(target.section),
                State::Common | State::Absolute | State::Made | State::External => true,
                _ => false,
            };
            target.flags.set_is_plain(is_plain);
        }
        Ok(())
    }

    /// Takes the addresses of what is in sections back, which are about to move; [`place`](Self::place) gives them anew.
    pub(super) fn lift<'data, O: Object<'data>>(&mut self, inputs: &[Input<'data, O>], layout: &Layout<'_, 'data>) {
        for target in &mut *self.targets {
            if target.flags.indirect() && target.state == State::Defined {
                target.addr = Addr::new(indirect::resolver(inputs, target).unwrap_or_default());
                continue;
            }
            let base = match target.state {
                State::Defined => layout.section_addr(target.section),
                State::Common => Some(layout.common()),
                _ => None,
            };
            if let Some(base) = base {
                target.addr = Addr::new(target.addr.distance_from(base).cast_unsigned());
            }
        }
    }

    /// Gives every definition its address.
    pub(super) fn place<'data, O: Object<'data>>(&mut self, inputs: &[Input<'data, O>], layout: &Layout<'_, 'data>) {
        for target in &mut *self.targets {
            // Until now the address was the offset in what holds it.
            let offset = target.addr.get().cast_signed();
            match target.state {
                State::Defined => match layout.section_addr(target.section) {
                    Some(base) => target.addr = base.plus(offset),
                    None => target.state = State::NotLoaded,
                },
                State::Common => target.addr = layout.common().plus(offset),
                State::GotBase => target.addr = layout.got(),
                State::TlsBase => target.addr = layout.template().addr,
                State::Made => {
                    // Which sections there are was asked when it was resolved.
                    let made = made(name_of(inputs, target), &|_| true);
                    target.addr = made.map_or(target.addr, |made| made.addr(layout.outputs(), layout.got()));
                }
                _ => {}
            }
        }
    }

    /// Makes the first `count` slots, those that have numbers. Answers whether there is room.
    pub(super) fn make_slots(&self, count: u32, got: &mut Got<&mut [got::Entry]>) -> bool {
        let own = (0..).zip(&*self.targets).filter(|(_, target)| target.slot != NONE);
        got.fill(count, own.map(|(number, target)| (target.slot, bases::key(0, number), target.addr)))
    }

    /// Forgets what was taken down in the place of slots.
    pub(super) fn forget_slots(&mut self) {
        self.targets.iter_mut().for_each(|target| target.slot = NONE);
    }

    pub(super) fn targets(&self) -> &[Target] {
        self.targets
    }

    /// All, if any is an indirect function; else none.
    pub(super) fn if_indirect(&self) -> &[Target] {
        if self.has_indirect { self.targets } else { &[] }
    }

    /// The definition that symbol `index` of an object means, by its number, and the symbol's own record.
    pub(super) fn definer(&self, first: &First, index: usize) -> Option<(u32, &Target)> {
        let own = self.targets.get(first.symbol.checked_add(index)?)?;
        Some((own.definer, self.targets.get(own.definer as usize)?))
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Target> {
        self.targets.get_mut(number)
    }
}

/// Who defines `target`, which no object does.
fn ask<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    target: &mut Target,
    layout: &Layout<'_, 'data>,
    resolve: &mut dyn FnMut(&str) -> Option<Addr>,
) {
    let name = name_of(inputs, target);
    if let Some(made) = made(name, &|section| layout.has(section)) {
        target.state = match made {
            Made::Got => State::GotBase,
            Made::Tls => State::TlsBase,
            _ => State::Made,
        };
    } else if let Some(addr) = if target.flags.hidden() { None } else { resolve(name) } {
        (target.state, target.addr) = (State::External, addr);
    } else if target.flags.weak() {
        target.state = State::Null;
    }
}

// Whoever links has this whole, in place of a call for each flag.
fn flags_of(symbol: &Symbol<'_>) -> Flags {
    Flags::new()
        .with_weak(symbol.binding == Binding::Weak)
        .with_global(symbol.binding != Binding::Local)
        .with_hidden(symbol.hidden)
        .with_function(symbol.function)
        .with_indirect(matches!(symbol.definition, Definition::Indirect { .. }))
}

fn describe(target: &mut Target, symbol: &Symbol<'_>, number_of: impl Fn(usize) -> Option<u32>) {
    let is_global = symbol.binding != Binding::Local;
    target.flags = flags_of(symbol);
    match symbol.definition {
        Definition::Section { index, offset } | Definition::Indirect { index, offset } => {
            (target.state, target.addr) = match number_of(index) {
                Some(number) => {
                    target.section = number;
                    (State::Defined, Addr::new(offset))
                }
                // Of the group that is kept there is a definition under the same name.
                None if is_global => (State::Undefined, Addr::new(0)),
                None => (State::LeftOut, Addr::new(0)),
            };
        }
        Definition::Common { align } => {
            (target.state, target.addr) = (State::Common, Addr::new(symbol.size));
            // Of what is no power of two, the least.
            target.align = align.trailing_zeros().min(63) as u8;
        }
        Definition::Absolute(number) => (target.state, target.addr) = (State::Absolute, Addr::new(number)),
        Definition::Undefined if is_global => target.state = State::Undefined,
        // The symbol of index 0, for relocations that need none, has the address 0.
        Definition::Undefined if target.index == 0 => target.state = State::Absolute,
        // No relocation has any business with it.
        Definition::Undefined | Definition::File => target.state = State::NotLoaded,
    }
}

/// The rank of a strong definition.
const STRONG: u8 = 4;
/// The rank of a common symbol.
const COMMON: u8 = 3;

/// Of two symbols of one name, the higher rank is meant.
fn rank(target: &Target) -> u8 {
    match (target.state, target.flags.weak()) {
        (State::Defined | State::Absolute, false) => STRONG,
        (State::Common, _) => COMMON,
        (State::Defined | State::Absolute, true) => 2,
        (_, false) => 1,
        (_, true) => 0,
    }
}

/// The name of symbol `number`.
pub(super) fn target_name<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    targets: &[Target],
    number: u32,
) -> &'data str {
    targets.get(number as usize).map_or("", |target| name_of(inputs, target))
}

/// The name of the symbol that is `target`.
fn name_of<'data, O: Object<'data>>(inputs: &[Input<'data, O>], target: &Target) -> &'data str {
    let input = inputs.get(target.object as usize);
    let symbol = input.and_then(|input| input.object.symbol(target.index as usize).ok());
    symbol.map_or("", |symbol| symbol.name)
}

/// Whether `name` is the name of symbol `number`.
fn is_named<'data, O: Object<'data>>(inputs: &[Input<'data, O>], targets: &[Target], number: u32, name: &str) -> bool {
    let target = targets.get(number as usize);
    let found = target.and_then(|target| Some((&inputs.get(target.object as usize)?.object, target.index as usize)));
    found.is_some_and(|(object, index)| object.is_named(index, name))
}

fn input_name<'data, O>(inputs: &[Input<'data, O>], target: &Target) -> &'data str {
    inputs.get(target.object as usize).map_or("", |input| input.name)
}
