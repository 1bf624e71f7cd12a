//! What the errors and the map say, written into a buffer that may end at any byte.

use aarch64_reloc::addr::Misaligned;
use aarch64_reloc::arena::{Arena, ArenaError, Block, Segment, Zones};
use aarch64_reloc::got::Full;
use aarch64_reloc::install::InstallError;
use aarch64_reloc::link::{CommitError, Failure, ObjectError, Refused, Summary};
use aarch64_reloc::patch::BatchError;
use aarch64_reloc::veneer::{NoDetour, VeneerError};
use aarch64_reloc::verify::{Unverified, Wrong};
use aarch64_reloc::{Addr, Failures, PatchError};
use core::fmt::{self, Display, Write};

/// The lent bytes that are not written yet.
pub struct Buffer<'a>(&'a mut [u8]);

impl Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (head, tail) = core::mem::take(&mut self.0).split_at_mut_checked(text.len()).ok_or(fmt::Error)?;
        head.copy_from_slice(text.as_bytes());
        self.0 = tail;
        Ok(())
    }
}

/// Exports a function that writes a value of each type.
macro_rules! show {
    ($($name:ident $type:ty;)*) => {
        $(#[unsafe(no_mangle)]
        pub fn $name(buffer: &mut Buffer<'_>, value: &$type) -> fmt::Result {
            write!(buffer, "{value}")
        })*
    };
}

show! {
    prove_show_addr Addr;
    prove_show_patch_error PatchError;
    prove_show_failures Failures<'_>;
    prove_show_batch_error BatchError;
    prove_show_arena_error ArenaError;
    prove_show_full Full;
    prove_show_misaligned Misaligned;
    prove_show_veneer_error VeneerError;
    prove_show_no_detour NoDetour;
    prove_show_object_error ObjectError;
    prove_show_failure Failure<'_>;
    prove_show_refused Refused<u32>;
    prove_show_commit_error CommitError;
    prove_show_install_error InstallError<u32>;
    prove_show_wrong Wrong;
    prove_show_unverified Unverified;
    prove_show_summary Summary;
}

#[unsafe(no_mangle)]
pub fn prove_show_map(
    buffer: &mut Buffer<'_>,
    arena: &Arena<&mut [Block]>,
    name: &dyn Fn(&Segment) -> Option<&'static str>,
) -> fmt::Result {
    let map = arena.map(name);
    let map: &dyn Display = &map;
    write!(buffer, "{map}")
}

#[unsafe(no_mangle)]
pub fn prove_show_zones(
    buffer: &mut Buffer<'_>,
    zones: &Zones<&mut [Block]>,
    name: &dyn Fn(&Segment) -> Option<&'static str>,
) -> fmt::Result {
    let map = zones.map(name);
    let map: &dyn Display = &map;
    write!(buffer, "{map}")
}
