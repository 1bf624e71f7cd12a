//! What the linker has to know of relocations beyond their table: what each kind refers to.

use super::spans::without_islands;
use super::tls::Access;
use crate::arena::Reach;
use crate::got::Kind;
use crate::reloc::{Class, Reloc, Remedy, distinct};

/// All that the linker asks of every relocation, at a glance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// It is given the address of its target, and asks for nothing else to be made.
    pub(super) is_plain: bool,
    /// It is given the slot of its target, wherever that lies.
    pub(super) is_slot: bool,
    /// See [`is_call`].
    pub(super) is_call: bool,
    /// See [`is_near_slot`].
    pub(super) is_near_slot: bool,
    /// See [`entry`].
    pub(super) entry: Option<Kind>,
    /// See [`Reloc::remedy`].
    pub(super) remedy: Option<Remedy>,
}

impl Facts {
    const fn is(&self, other: &Self) -> bool {
        const fn numbers(facts: &Facts) -> [u8; 6] {
            let &Facts { is_plain, is_slot, is_call, is_near_slot, entry, remedy } = facts;
            let entry = if let Some(kind) = entry { 1 + kind as u8 } else { 0 };
            let remedy = if let Some(remedy) = remedy { 1 + remedy as u8 } else { 0 };
            [is_plain as u8, is_slot as u8, is_call as u8, is_near_slot as u8, entry, remedy]
        }
        let (own, other, mut at) = (numbers(self), numbers(other), 0);
        while at < own.len() && own[at] == other[at] {
            at += 1;
        }
        at == own.len()
    }

    const fn of(reloc: Reloc) -> Self {
        let is_thread_local = is_thread_local(reloc) || Access::of(reloc).is_some();
        let is_special = matches!(reloc, Reloc::PATCHINST | Reloc::FUNCINIT64);
        let is_ours = unsupported(reloc).is_none() && !is_thread_local && !is_special;
        let is_paged_without_check = matches!(reloc, Reloc::ADR_PREL_PG_HI21_NC);
        let is_slot = matches!(reloc.takes(), Class::Slot) && !matches!(reloc, Reloc::GOTPCREL32);
        Self {
            is_plain: is_ours && matches!(reloc.takes(), Class::Addr) && !is_paged_without_check,
            is_slot: is_ours && is_slot && !is_near_slot(reloc),
            is_call: is_call(reloc),
            is_near_slot: is_near_slot(reloc),
            entry: entry(reloc),
            remedy: reloc.remedy(),
        }
    }
}

/// The facts of all, in the order of [`Reloc::ALL`].
static FACTS: [Facts; Reloc::ALL.len()] = FACTS_OF_ALL;

const FACTS_OF_ALL: [Facts; Reloc::ALL.len()] = {
    let mut facts = [Facts::of(Reloc::NONE); Reloc::ALL.len()];
    let mut rest = Reloc::ALL;
    while let [before @ .., reloc] = rest {
        facts[before.len()] = Facts::of(*reloc);
        rest = before;
    }
    facts
};

// In place of `FACTS`, where that is too long for the flash.
distinct!(SHORT, INDICES, Facts, FACTS_OF_ALL);

/// What a relocation is given, if that may be known of it at a glance, and how far it reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    /// Its target's address or slot; any where more is to be known.
    pub(super) class: Class,
    /// It needs nothing in an island where its target in the same output section is less than so many bytes away;
    /// [`ANYWHERE`](Self::ANYWHERE) for one in any.
    pub(super) near: u64,
    /// It needs no detour where all that is linked is less than so many bytes, and its target is elsewhere; 0 for one that is
    /// given no detour.
    pub(super) across: u64,
}

impl Direct {
    pub(super) const ANYWHERE: u64 = u64::MAX;

    const fn of(reloc: Reloc) -> Self {
        let (facts, reach) = (Facts::of(reloc), reloc.reach());
        let class = match facts {
            Facts { is_plain: true, .. } => Class::Addr,
            Facts { is_slot: true, .. } => Class::Slot,
            _ => Class::Any,
        };
        // However many islands come between.
        let shorter = if reach.max < reach.min.saturating_neg() { reach.max } else { reach.min.saturating_neg() };
        let near = without_islands(shorter.cast_unsigned());
        let (near, across) = match facts.remedy {
            None => (Self::ANYWHERE, 0),
            Some(Remedy::Detour) => (near, reach.min.unsigned_abs() + 1),
            Some(Remedy::Hop) => (0, 0),
            Some(Remedy::Veneer) => (near, 0),
        };
        Self { class, near, across }
    }
}

/// Those of all, in the order of [`Reloc::ALL`].
static DIRECT: [Direct; Reloc::ALL.len()] = {
    let mut direct = [Direct::of(Reloc::NONE); Reloc::ALL.len()];
    let mut at = 0;
    while at < direct.len() {
        direct[at] = Direct::of(Reloc::ALL[at]);
        at += 1;
    }
    direct
};

/// See [`Direct`].
#[inline(always)]
pub(super) fn direct(reloc: Reloc) -> &'static Direct {
    let [first, ..] = &DIRECT;
    DIRECT.get(reloc as usize).unwrap_or(first)
}

/// [`Reloc::reach`] of all, in the order of [`Reloc::ALL`].
static REACHES: [Reach; Reloc::ALL.len()] = {
    let mut reaches = [Reloc::NONE.reach(); Reloc::ALL.len()];
    let mut at = 0;
    while at < reaches.len() {
        reaches[at] = Reloc::ALL[at].reach();
        at += 1;
    }
    reaches
};

/// [`Reloc::reach`], in one step where there is room for that.
#[inline(always)]
pub(super) fn reach(reloc: Reloc) -> Reach {
    let known = if cfg!(feature = "fast") { REACHES.get(reloc as usize) } else { None };
    known.copied().unwrap_or_else(|| reloc.reach())
}

/// The facts of `reloc`.
#[inline]
pub(super) fn facts(reloc: Reloc) -> &'static Facts {
    // Discriminants count from 0 in the same order; the first serves for what there is not.
    let ([first, ..], number) = (&SHORT, reloc as usize);
    let index = || INDICES.get(number).copied().unwrap_or_default();
    if cfg!(feature = "fast") { FACTS.get(number) } else { SHORT.get(usize::from(index())) }.unwrap_or(first)
}

/// Why the linker does not make what the relocation refers to; `None` where it does.
pub(super) const fn unsupported(reloc: Reloc) -> Option<&'static str> {
    match is_signed(reloc) {
        true => Some("it is of a pointer that is signed when the program runs"),
        false => None,
    }
}

// By the order of the table, so that a small build needs no codes.

/// Whether `reloc` is of a signed pointer.
const fn is_signed(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::AUTH_ABS64) || reloc as u8 >= Reloc::AUTH_MOVW_GOTOFF_G0 as u8
}

/// Whether `reloc` is for thread-local storage.
pub(super) const fn is_thread_local(reloc: Reloc) -> bool {
    Reloc::TLSGD_ADR_PREL21 as u8 <= reloc as u8 && reloc as u8 <= Reloc::TLSDESC_CALL as u8
}

const _: () = {
    let mut rest = Reloc::ALL;
    while let [before @ .., reloc] = rest {
        assert!(is_signed(*reloc) == matches!(reloc.code(), 580..=597));
        assert!(is_thread_local(*reloc) == matches!(reloc.code(), 512..=573 | 1029));
        rest = before;
    }
};

/// Which entry of the GOT `reloc` is to; `None` where it is to none.
pub(super) const fn entry(reloc: Reloc) -> Option<Kind> {
    match Access::of(reloc) {
        Some(Access::Entry(kind)) => Some(kind),
        Some(_) => None,
        None if matches!(reloc.takes(), Class::Slot) || got_offset(reloc).is_some() => Some(Kind::Gdat),
        None => None,
    }
}

/// How many slots an entry takes.
pub(super) const fn slots(kind: Kind) -> usize {
    match kind {
        Kind::Gdat | Kind::Gtprel => 1,
        Kind::Gtlsidx | Kind::Gldm | Kind::Gtlsdesc => 2,
    }
}

/// Whether `reloc` is a call or jump that a veneer may come between (AAELF64 5.7.8).
pub(super) const fn is_call(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::CALL26 | Reloc::JUMP26 | Reloc::PLT32)
}

/// Those of which [`is_call`] is true, and those whose remedy is a hop.
pub(super) const CALLS: [Reloc; 3] = [Reloc::PLT32, Reloc::JUMP26, Reloc::CALL26];
pub(super) const HOPS: [Reloc; 2] = [Reloc::TSTBR14, Reloc::CONDBR19];

const _: () = {
    const fn is_hop(reloc: Reloc) -> bool {
        matches!(reloc.remedy(), Some(Remedy::Hop))
    }
    let (mut calls, mut hops, mut rest) = (0, 0, Reloc::ALL);
    while let [before @ .., reloc] = rest {
        calls += is_call(*reloc) as usize;
        hops += is_hop(*reloc) as usize;
        rest = before;
    }
    let ([plt, jump, call], [test, condition]) = (CALLS, HOPS);
    assert!(is_call(plt) && is_call(jump) && is_call(call) && calls == CALLS.len());
    assert!(is_hop(test) && is_hop(condition) && hops == HOPS.len());
};

/// What a relocation to a GOT offset is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    Got,
    GotPage,
}

/// Where `reloc` measures the offset of a slot from; `None` where it is not of that kind.
pub(super) const fn got_offset(reloc: Reloc) -> Option<Base> {
    match reloc {
        Reloc::LD64_GOTPAGE_LO15 => Some(Base::GotPage),
        Reloc::LD64_GOTOFF_LO15
        | Reloc::MOVW_GOTOFF_G0
        | Reloc::MOVW_GOTOFF_G0_NC
        | Reloc::MOVW_GOTOFF_G1
        | Reloc::MOVW_GOTOFF_G1_NC
        | Reloc::MOVW_GOTOFF_G2
        | Reloc::MOVW_GOTOFF_G2_NC
        | Reloc::MOVW_GOTOFF_G3 => Some(Base::Got),
        _ => None,
    }
}

/// Whether `reloc` reaches only the slots near the base of the GOT.
pub(super) const fn is_near_slot(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::LD64_GOTPAGE_LO15 | Reloc::LD64_GOTOFF_LO15)
}
