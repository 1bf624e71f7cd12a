//! All that a batch refused, found again instead of stored.

use super::batch::Block;
use super::places::{Places, Run};
use super::{Fixup, PatchError, Section};
use crate::reloc::{Reloc, Value};
use core::fmt;

/// The refused fixups of a batch, in order: an iterator that finds each by checking again, so that it needs no storage.
///
/// It is never empty. The bytes are looked at as they are now: where fixups of one batch overlap (one replaces the
/// instruction that another needs), those after the first are judged by what stands there in the end.
#[derive(Clone)]
pub struct Failures<'s> {
    section: &'s Section<'s>,
    source: Source<'s>,
    next: Option<(usize, PatchError)>,
}

/// Where the fixups come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'s> {
    Fixups(&'s [Fixup]),
    /// There is an index for each site, used or not.
    Blocks(&'s [Block]),
    Run(Run<'s>),
}

impl Source<'_> {
    /// How many indices there are.
    fn len(&self) -> usize {
        match self {
            Self::Fixups(fixups) => fixups.len(),
            Self::Blocks(blocks) => blocks.len() * Block::SITES,
            Self::Run(run) => run.len(),
        }
    }

    /// A fixup: its offset, kind and value.
    fn get(&self, index: usize) -> Option<(usize, Reloc, Value)> {
        let ((offset, value), reloc) = match *self {
            Self::Fixups(fixups) => {
                let fixup = fixups.get(index)?;
                ((fixup.offset(), fixup.value()), fixup.reloc())
            }
            Self::Blocks(blocks) => {
                let block = blocks.get(index / Block::SITES)?;
                (block.sites().skip(index % Block::SITES).first()?, block.sites().reloc)
            }
            Self::Run(run) => (run.skip(index).first()?, run.reloc),
        };
        Some((offset, reloc, value))
    }

    /// The first fixup from index `from` on that is refused.
    fn refused(&self, section: &Section<'_>, from: usize) -> Option<(usize, PatchError)> {
        (from..self.len()).find_map(|index| {
            let (offset, reloc, value) = self.get(index)?;
            Some((index, section.check(offset, reloc, value).err()?))
        })
    }
}

impl<'s> Failures<'s> {
    /// The failures from `first` on; fine where there is none.
    pub(super) fn after(
        first: Option<(usize, PatchError)>,
        section: &'s Section<'_>,
        source: Source<'s>,
    ) -> Result<(), Self> {
        match first {
            None => Ok(()),
            next => Err(Self { section, source, next }),
        }
    }

    /// All failures; fine where there is none.
    pub(super) fn of(section: &'s Section<'_>, source: Source<'s>) -> Result<(), Self> {
        Self::after(source.refused(section, 0), section, source)
    }

    /// The first of them.
    pub fn first(&self) -> Option<PatchError> {
        self.next.map(|(_, error)| error)
    }
}

impl Iterator for Failures<'_> {
    type Item = PatchError;

    fn next(&mut self) -> Option<PatchError> {
        let (index, error) = self.next?;
        self.next = self.source.refused(self.section, index + 1);
        Some(error)
    }
}

impl fmt::Debug for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Display for Failures<'_> {
    /// One line a failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.clone().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failures<'_> {}
