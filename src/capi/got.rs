//! The ledger of a global offset table.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::pointer::{given, hand_out, put, records};
use super::reloc::a64r_value;
use super::section::{a64r_section, open};
use crate::addr::Addr;
use crate::got::{Content, Entry, Got, Kind, Symbol};
use crate::reloc::Value;
use core::mem::MaybeUninit;
use std::boxed::Box;
use std::vec::Vec;

/// The ledger of a global offset table: which entry has which slots, and what stands in them. Nothing is written before
/// `a64r_got_write`. One thread at a time may use it.
#[derive(Debug)]
pub struct a64r_got(Got<Vec<Entry>>);

/// The kinds of entry (AAELF64, "Relocation operations"). A symbol may have one of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_got_kind {
    /// `GDAT(S)`: `first` is the address of S.
    Gdat = 0,
    /// `GTPREL(S)`: `first` is the offset of S from the thread pointer.
    Gtprel,
    /// `GTLSIDX(S)`, two slots: the module's number, and the offset of S in its block.
    Gtlsidx,
    /// `GLDM(S)`, two slots: the module's number, and nothing.
    Gldm,
    /// `GTLSDESC(S)`, two slots: the resolver's address, and its argument.
    Gtlsdesc,
}

/// What stands in an entry.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_got_content {
    /// An `a64r_got_kind`.
    kind: u32,
    /// What stands in the first slot.
    first: u64,
    /// What stands in the second, of an entry that has two.
    second: u64,
}

impl a64r_got_content {
    fn get(self) -> Result<Content, Refused> {
        Ok(Content::from_words(kind(self.kind)?, [self.first, self.second]))
    }
}

/// The kind of entry numbered `number`.
fn kind(number: u32) -> Result<Kind, Refused> {
    const GDAT: u32 = a64r_got_kind::Gdat as u32;
    const GTPREL: u32 = a64r_got_kind::Gtprel as u32;
    const GTLSIDX: u32 = a64r_got_kind::Gtlsidx as u32;
    const GLDM: u32 = a64r_got_kind::Gldm as u32;
    const GTLSDESC: u32 = a64r_got_kind::Gtlsdesc as u32;
    match number {
        GDAT => Ok(Kind::Gdat),
        GTPREL => Ok(Kind::Gtprel),
        GTLSIDX => Ok(Kind::Gtlsidx),
        GLDM => Ok(Kind::Gldm),
        GTLSDESC => Ok(Kind::Gtlsdesc),
        _ => Err(Refused::Invalid("kind", number.into())),
    }
}

/// Makes an empty table of `capacity` slots of eight bytes at `base`, a multiple of 8.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_new(
    base: u64,
    capacity: usize,
    out: Option<&mut MaybeUninit<*mut a64r_got>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_got(Got::new(records(capacity)?, Addr::new(base))?))))
}

/// Frees the ledger; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_free(got: Option<Box<a64r_got>>) {
    drop(got);
}

/// Writes to `out` the slot of `symbol`, any number of the caller's own, for an entry of the kind of `content`: the first of
/// two if it has two. It is made if there is none; if there is one, its content stays.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_slot_for(
    got: Option<&mut a64r_got>,
    symbol: u64,
    content: a64r_got_content,
    out: Option<&mut MaybeUninit<a64r_value>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let out = given(out, "out")?;
        let slot = given(got, "got")?.0.slot_for(Symbol::new(symbol), content.get()?)?;
        put(Some(out), a64r_value::slot(slot))
    })
}

/// Replaces what stands in the entry of `symbol` of the kind of `content`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_repoint(
    got: Option<&mut a64r_got>,
    symbol: u64,
    content: a64r_got_content,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let found = given(got, "got")?.0.repoint(Symbol::new(symbol), content.get()?);
        found.map(drop).ok_or(Refused::NotFound)
    })
}

/// Frees the entry of `symbol` of kind `kind`, an `a64r_got_kind`. No code may refer to it any more.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_remove(
    got: Option<&mut a64r_got>,
    symbol: u64,
    kind: u32,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let found = given(got, "got")?.0.remove(Symbol::new(symbol), self::kind(kind)?);
        found.map(drop).ok_or(Refused::NotFound)
    })
}

/// Writes to `out` what the `GOTOFF` relocations take of `slot`: its bytes from the base of the table; or, if `from_page`,
/// from the base's page, as `R_AARCH64_LD64_GOTPAGE_LO15` takes it.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_offset_of(
    got: Option<&a64r_got>,
    slot: a64r_value,
    from_page: bool,
    out: Option<&mut MaybeUninit<a64r_value>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let got = &given(got, "got")?.0;
        let value = slot.get()?;
        let Value::Slot(slot) = value else { return Err(Refused::Invalid("slot", value.bits())) };
        put(out, a64r_value::offset(if from_page { got.page_offset_of(slot) } else { got.offset_of(slot) }))
    })
}

/// How full a table or an island is, in its slots or cells.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_ledger_facts {
    /// Its address.
    pub(super) base: u64,
    /// Bytes to allocate for it: up to the highest that was ever in use.
    pub(super) size: usize,
    /// How many are in use.
    pub(super) used: usize,
    /// How many there are.
    pub(super) capacity: usize,
}

/// Writes to `out` how full the table is.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_describe(
    got: Option<&a64r_got>,
    out: Option<&mut MaybeUninit<a64r_ledger_facts>>,
) -> a64r_status {
    answer(None, || {
        let got = &given(got, "got")?.0;
        let (base, size) = (got.base().get(), got.size());
        put(out, a64r_ledger_facts { base, size, used: got.len(), capacity: got.capacity() })
    })
}

/// Writes the table where it lies in `section`. Where the section does not hold all of it, what comes before is written.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_got_write(
    got: Option<&a64r_got>,
    section: Option<&a64r_section>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || Ok(given(got, "got")?.0.write(&mut open(section)?)?))
}
