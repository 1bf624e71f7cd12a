//! All that a batch refused, found again instead of stored.

use super::{Fixup, PatchError, Section};
use core::fmt;

/// The refused fixups of a batch, in order: an iterator that finds each by checking again, so that it needs no storage.
///
/// It is never empty. The bytes are looked at as they are now: where fixups of one batch overlap (one replaces the
/// instruction that another needs), those after the first are judged by what stands there in the end.
#[derive(Clone)]
pub struct Failures<'s> {
    section: &'s Section<'s>,
    fixups: &'s [Fixup],
    next: Option<(usize, PatchError)>,
}

impl<'s> Failures<'s> {
    /// The failures from `first` on; fine where there is none.
    pub(super) fn after(
        first: Option<(usize, PatchError)>,
        section: &'s Section<'_>,
        fixups: &'s [Fixup],
    ) -> Result<(), Self> {
        match first {
            None => Ok(()),
            next => Err(Self { section, fixups, next }),
        }
    }

    /// The first of them.
    pub fn first(&self) -> Option<PatchError> {
        self.next.map(|(_, error)| error)
    }
}

/// The first fixup from index `from` on that is refused.
pub(super) fn next(section: &Section<'_>, fixups: &[Fixup], from: usize) -> Option<(usize, PatchError)> {
    let refused = |(index, fixup): (usize, &Fixup)| {
        if section.passes_quickly(fixup) {
            return None;
        }
        let error = section.check(fixup.offset(), fixup.reloc(), fixup.value()).err()?;
        Some((index, error))
    };
    fixups.iter().enumerate().skip(from).find_map(refused)
}

impl Iterator for Failures<'_> {
    type Item = PatchError;

    fn next(&mut self) -> Option<PatchError> {
        let (index, error) = self.next?;
        self.next = next(self.section, self.fixups, index + 1);
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
