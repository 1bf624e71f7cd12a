//! The arena, drawn.

use core::fmt::{self, Write};

use super::block::State;
use super::{Arena, Block, Reach, Segment};

impl<T: AsRef<[Block]> + AsMut<[Block]>> Arena<T> {
    /// A map for people: the runs in address order, then which instructions and data relocations span the whole range,
    /// and by how much it could still grow before they do not.
    ///
    /// `names` names the segments that have a name.
    ///
    /// ```
    /// # use aarch64_reloc::{addr::Addr, arena::*};
    /// let mut arena = Arena::new([Block::EMPTY; 8], Addr::new(0x4000_0000), 1 << 26, PageSize::K4)?;
    /// let text = arena.alloc(Prot::ReadExec, 0x1_2000)?;
    /// let got = arena.alloc(Prot::ReadWrite, 0x40)?;
    /// let map = arena.map(|s| if *s == text { Some("text") } else { (*s == got).then_some("got") });
    /// assert_eq!(map.to_string(), "\
    /// 0x40000000     72 KiB  r-x  text
    /// 0x40012000      4 KiB  rw-  got
    /// 0x40013000  65460 KiB  ---  free
    /// TBZ      ±32 KiB  does not span it
    /// B.cond    ±1 MiB  does not span it
    /// BL      ±128 MiB  spans it, 64 MiB left
    /// PREL32    ±2 GiB  spans it, 1984 MiB left
    /// ADRP      ±4 GiB  spans it, 4032 MiB left
    /// ");
    /// # Ok::<(), ArenaError>(())
    /// ```
    pub fn map<'a, N: Fn(&Segment) -> Option<&'a str>>(&self, names: N) -> impl fmt::Display {
        Map { arena: self, names }
    }
}

struct Map<'m, T, N> {
    arena: &'m Arena<T>,
    names: N,
}

impl<'a, T, N> fmt::Display for Map<'_, T, N>
where
    T: AsRef<[Block]> + AsMut<[Block]>,
    N: Fn(&Segment) -> Option<&'a str>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arena = self.arena;
        let last = arena.base.get() + (arena.len - 1);
        let digits = (u64::BITS - last.leading_zeros()).div_ceil(4) as usize;
        let size = |run: &Block| Size(run.len);
        let widest = arena.blocks.iter().map(|(_, run)| size(run).width()).max().unwrap_or(0);
        for (index, run) in arena.blocks.iter() {
            write!(f, "0x{:0digits$x}  ", arena.address(run.start).get())?;
            indent(f, widest - size(run).width())?;
            write!(f, "{}  ", size(run))?;
            match arena.segment(index, run) {
                None if run.state == State::Corridor => writeln!(f, "r-x  corridor")?,
                None => writeln!(f, "---  free")?,
                Some(segment) => match (self.names)(&segment) {
                    None => writeln!(f, "{}", segment.prot())?,
                    Some(name) => writeln!(f, "{}  {name}", segment.prot())?,
                },
            }
        }
        let far = |reach: Reach| Size(reach.min.unsigned_abs());
        let widest = Reach::CLASSES.iter().map(|&(_, reach)| far(reach).width()).max().unwrap_or(0);
        for (name, reach) in Reach::CLASSES {
            write!(f, "{name:6}  ")?;
            indent(f, widest - far(reach).width())?;
            write!(f, "±{}  ", far(reach))?;
            if reach.spans(arena.len) {
                writeln!(f, "spans it, {} left", Size(far(reach).0 - arena.len))?;
            } else {
                writeln!(f, "does not span it")?;
            }
        }
        Ok(())
    }
}

/// Spaces one by one: a width argument that is not constant may panic.
fn indent(f: &mut fmt::Formatter<'_>, columns: usize) -> fmt::Result {
    (0..columns).try_for_each(|_| f.write_char(' '))
}

/// A multiple of 1 KiB, in the largest unit that shows it exactly.
struct Size(u64);

impl Size {
    const UNITS: [&'static str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    fn parts(&self) -> (u64, &'static str) {
        let kib = self.0 >> 10;
        let step = if kib == 0 { 0 } else { kib.trailing_zeros() / 10 };
        (kib >> (10 * step), Self::UNITS.get(step as usize).copied().unwrap_or_default())
    }

    fn width(&self) -> usize {
        let (number, unit) = self.parts();
        number.checked_ilog10().unwrap_or(0) as usize + 1 + " ".len() + unit.len()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.parts();
        write!(f, "{number} {unit}")
    }
}
