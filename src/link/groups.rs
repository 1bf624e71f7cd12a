//! Section groups: of all with one key, the first is kept.

use super::Input;
use super::error::{Cause, Fatal};
use super::names::Names;
use super::object::{Kind, Object};
use super::tables::{First, NONE};

/// The groups that are kept, by their keys.
#[derive(Debug)]
pub(super) struct Groups<'t, 'data, O> {
    inputs: &'t [Input<'data, O>],
    firsts: &'t [First],
    kept: Names<'t>,
}

impl<'t, 'data, O: Object<'data>> Groups<'t, 'data, O> {
    pub(super) fn new(inputs: &'t [Input<'data, O>], firsts: &'t [First], buckets: &'t mut [u32]) -> Self {
        Self { inputs, firsts, kept: Names::new(buckets) }
    }

    /// Whether another group with `key` came before the one that is section number `group`; if not, it is the one kept.
    pub(super) fn is_kept_elsewhere(&mut self, group: usize, key: &str) -> Result<bool, Fatal> {
        let (inputs, firsts) = (self.inputs, self.firsts);
        let is = |other| key_of(inputs, firsts, other) == Some(key);
        let bucket = self.kept.bucket(key, is).ok_or(Cause::Table("groups"))?;
        let is_first = *bucket == NONE;
        if is_first {
            *bucket = group as u32;
        }
        Ok(!is_first)
    }
}

/// The key of the group that is section number `group` of all objects.
fn key_of<'data, O: Object<'data>>(inputs: &[Input<'data, O>], firsts: &[First], group: u32) -> Option<&'data str> {
    let object = firsts.partition_point(|first| first.section <= group as usize).checked_sub(1)?;
    let index = group as usize - firsts.get(object)?.section;
    match inputs.get(object)?.object.section(index).ok()?.kind {
        Kind::Group { key, .. } => Some(key),
        _ => None,
    }
}
