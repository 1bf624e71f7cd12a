//! Memory to run what was linked.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::arena::{a64r_range_facts, protection};
use super::pointer::{given, hand_out, put};
use super::section::a64r_section;
use crate::addr::Addr;
use crate::mem::{Draft, Error, Part, Reservation, Sealed};
use core::mem::MaybeUninit;
use std::boxed::Box;

/// Address space of this process that nobody else maps. It lives until it and all drafts and sealed memory of it are freed.
/// Any threads may use it at once.
#[derive(Debug)]
pub struct a64r_reservation(Reservation);

/// Pages that are being linked: writable, not executable. Any threads may use it at once, but for sealing and freeing it.
#[derive(Debug)]
pub struct a64r_draft(Draft);

/// Pages of final protection, caches clean. Any threads may use it at once, but for freeing it.
#[derive(Debug)]
pub struct a64r_sealed(Sealed);

/// A function of any type; cast it to its own.
pub type a64r_function = Option<unsafe extern "C" fn()>;

/// Reserves `len` bytes, rounded up to whole pages, wherever the system likes. What comes from one reservation that is no
/// longer than an instruction reaches (2^27 bytes for `BL`, 2^31 for `PREL32`, 2^32 for `ADRP`) is in its reach.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reservation_new(
    len: usize,
    out: Option<&mut MaybeUninit<*mut a64r_reservation>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_reservation(Reservation::new(len)?))))
}

/// Reserves the `len` bytes from `addr`, a multiple of the page.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reservation_at(
    addr: u64,
    len: usize,
    out: Option<&mut MaybeUninit<*mut a64r_reservation>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_reservation(Reservation::at(Addr::new(addr), len)?))))
}

/// Frees this handle; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reservation_free(reservation: Option<Box<a64r_reservation>>) {
    drop(reservation);
}

/// What is known of a reservation.
pub(super) fn facts(reservation: &Reservation) -> a64r_range_facts {
    a64r_range_facts {
        addr: reservation.addr().get(),
        len: reservation.len() as u64,
        page: reservation.page().bytes(),
        free: reservation.free_bytes(),
        largest: reservation.largest_free(),
    }
}

/// Writes to `out` where the reservation is and how full.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reservation_describe(
    reservation: Option<&a64r_reservation>,
    out: Option<&mut MaybeUninit<a64r_range_facts>>,
) -> a64r_status {
    answer(None, || put(out, facts(&given(reservation, "reservation")?.0)))
}

/// Writes to `map` what lies where, for people.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reservation_map(
    reservation: Option<&a64r_reservation>,
    map: Option<&mut a64r_text>,
) -> a64r_status {
    answer(None, || {
        given(map, "map")?.set(given(reservation, "reservation")?.0.map(|_| None));
        Ok(())
    })
}

/// Begins an empty draft.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_draft_new(
    reservation: Option<&a64r_reservation>,
    out: Option<&mut MaybeUninit<*mut a64r_draft>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_draft(given(reservation, "reservation")?.0.draft()))))
}

/// Frees the draft and its pages; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_draft_free(draft: Option<Box<a64r_draft>>) {
    drop(draft);
}

/// Writes to `out` a section of `len` zero bytes, at a multiple of `align`, a power of two, on pages of its own that will have
/// protection `prot`, an `a64r_prot`. Its bytes are valid until the draft is sealed or freed, its address after that too.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_draft_alloc(
    draft: Option<&a64r_draft>,
    prot: u32,
    len: usize,
    align: u64,
    out: Option<&mut MaybeUninit<a64r_section>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let (out, draft) = (given(out, "out")?, &given(draft, "draft")?.0);
        let part = Part { prot: protection(prot)?, len, align };
        // One section a part.
        let section = draft.alloc_run(&[part])?.swap_remove(0);
        put(Some(out), a64r_section::of(section))
    })
}

/// Makes the pages of `draft` what they were asked for as, and their code what every core fetches. The draft is gone, whatever
/// the answer; if that is not `A64R_STATUS_OK`, so are its pages.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_draft_seal(
    draft: Option<Box<a64r_draft>>,
    out: Option<&mut MaybeUninit<*mut a64r_sealed>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_sealed(given(draft, "draft")?.0.seal()?))))
}

/// Frees the memory, of which nothing may run or be used any more; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_sealed_free(sealed: Option<Box<a64r_sealed>>) {
    drop(sealed);
}

/// Writes to `out` the function at `entry`, which is in code of `sealed`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_sealed_function(
    sealed: Option<&a64r_sealed>,
    entry: u64,
    out: Option<&mut MaybeUninit<a64r_function>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let out = given(out, "out")?;
        // SAFETY: it is for the caller to call it as what it is, while the memory lives.
        let function = unsafe { given(sealed, "sealed")?.0.function::<unsafe extern "C" fn()>(Addr::new(entry)) }?;
        put(Some(out), Some(function))
    })
}

/// Writes to `out` the eight bytes at `at`, in writable memory of `sealed`, read at once.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_sealed_load(
    sealed: Option<&a64r_sealed>,
    at: u64,
    out: Option<&mut MaybeUninit<u64>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let out = given(out, "out")?;
        // SAFETY: the caller says that these bytes are written by single stores alone.
        let word = unsafe { given(sealed, "sealed")?.0.load(Addr::new(at)) }?;
        put(Some(out), word)
    })
}

/// Replaces the eight bytes at `at`, in writable memory of `sealed`, at once: re-points a slot of the GOT under the code that
/// uses it, which expects what `value` is.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_sealed_store(
    sealed: Option<&a64r_sealed>,
    at: u64,
    value: u64,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        // SAFETY: the caller says that the code expects the value.
        let stored: Result<(), Error> = unsafe { given(sealed, "sealed")?.0.store(Addr::new(at), value) };
        Ok::<(), Refused>(stored?)
    })
}
