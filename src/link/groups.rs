//! Section groups: of all with one key, the first is kept.

use super::Input;
use super::error::{Fatal, Lent};
use super::names::Names;
use super::object::{Alike, Kind, Object};
use super::tables::First;

/// The groups that are kept, by their keys.
#[derive(Debug)]
pub(super) struct Groups<'t, 'data, O> {
    inputs: &'t [Input<'data, O>],
    firsts: &'t [First],
    kept: Names<'t>,
}

impl<'t, 'data, O: Object<'data>> Groups<'t, 'data, O> {
    pub(super) fn new(inputs: &'t [Input<'data, O>], firsts: &'t [First], buckets: &'t mut [u64]) -> Self {
        Self { inputs, firsts, kept: Names::new(buckets) }
    }

    /// What the group with `key` has that came before the one that is section number `group`; if there is none, this is the
    /// one kept.
    pub(super) fn kept_elsewhere(&mut self, group: usize, key: &str) -> Result<Option<Alike<'data>>, Fatal> {
        let (inputs, firsts) = (self.inputs, self.firsts);
        let is = |other| group_of(inputs, firsts, other).is_some_and(|(other, _)| other == key);
        let kept = self.kept.enter(key, group as u32, is).ok_or(Fatal::Table(Lent::Groups))?;
        if kept == group as u32 {
            return Ok(None);
        }
        Ok(group_of(inputs, firsts, kept).map(|(_, alike)| alike))
    }
}

/// The key of the group that is section number `group` of all objects, and what others of the key must have.
fn group_of<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    group: u32,
) -> Option<(&'data str, Alike<'data>)> {
    let object = firsts.partition_point(|first| first.section <= group as usize).checked_sub(1)?;
    let index = group as usize - firsts.get(object)?.section;
    match inputs.get(object)?.object.kind(index).ok()? {
        Kind::Group { key, alike, .. } => Some((key, alike)),
        _ => None,
    }
}
