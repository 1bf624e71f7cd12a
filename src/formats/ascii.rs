//! Text without the rules of UTF-8, which take two thirds of a kilobyte of flash.

#![allow(unsafe_code)]

/// `bytes` as text, if all of them are ASCII.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    if !bytes.iter().all(|&byte| byte < 0x80) {
        return None;
    }
    // SAFETY: ASCII is UTF-8, and it was looked at byte by byte.
    Some(unsafe { str::from_utf8_unchecked(bytes) })
}
