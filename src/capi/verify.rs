//! The verdict on what was linked.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::pointer::{elements, given, hand_out};
use super::reloc::relocation;
use super::section::byte_order;
use crate::addr::Addr;
use crate::patch::Endian;
use crate::verify::{Memory, Target, Verdict, View};
use core::mem::MaybeUninit;
use std::boxed::Box;
use std::vec::Vec;

/// The memory of an image as it is when its code runs: bytes of the caller's, which must stay where they are until it is
/// freed. Any threads may check at once.
#[derive(Debug, Default)]
pub struct a64r_image {
    views: Vec<View<'static>>,
    got: Vec<View<'static>>,
    bases: Vec<Addr>,
    endian: Endian,
}

/// Makes an image without memory, whose data is in byte order `endian`, an `a64r_endian`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_image_new(
    endian: u32,
    out: Option<&mut MaybeUninit<*mut a64r_image>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || hand_out(out, || Ok(a64r_image { endian: byte_order(endian)?, ..a64r_image::default() })))
}

/// Frees the image; null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_image_free(image: Option<Box<a64r_image>>) {
    drop(image);
}

/// Adds the `len` bytes from `bytes`, which run at `addr`. If `is_got`, they are a global offset table, whose words are slots
/// and from whose base offsets may be measured. Where it begins within another that was added, it hides that from there on.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_image_add(
    image: Option<&mut a64r_image>,
    addr: u64,
    bytes: *const u8,
    len: usize,
    is_got: bool,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let image = given(image, "image")?;
        // SAFETY: the caller says that the bytes stay until the image is freed, and are not written while it is checked.
        let view = View { addr: Addr::new(addr), bytes: unsafe { elements(bytes, len, "bytes") }? };
        insert(&mut image.views, view);
        if is_got {
            insert(&mut image.got, view);
            image.bases.push(view.addr);
        }
        Ok(())
    })
}

/// Keeps `views` as [`Memory`] wants them: sorted by address, none empty.
fn insert(views: &mut Vec<View<'static>>, view: View<'static>) {
    if !view.bytes.is_empty() {
        views.insert(views.partition_point(|other| other.addr <= view.addr), view);
    }
}

/// Judges the place of the relocation of ELF64 code `reloc` at address `place`, which must reach `symbol + addend`; `symbol`
/// is null where nothing defines it. Of a relocation to a slot of the GOT, the slot must hold the symbol.
///
/// The answer is `A64R_STATUS_OK`, `A64R_STATUS_WRONG_TARGET` with what is reached instead in `text`, or
/// `A64R_STATUS_UNVERIFIED` where the place cannot be judged: thread-local storage, and what is decided at run time.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_image_check(
    image: Option<&a64r_image>,
    place: u64,
    reloc: u32,
    symbol: Option<&u64>,
    addend: i64,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        let a64r_image { views, got, bases, endian } = given(image, "image")?;
        let memory = Memory { views, got, bases, endian: *endian };
        let reloc = relocation(reloc)?;
        let target = Target::new(reloc, symbol.copied().map(Addr::new), addend);
        match memory.check(Addr::new(place), reloc, target)? {
            Verdict::Right => Ok(()),
            Verdict::Unverified(why) => Err(Refused::Unverified(why)),
        }
    })
}
