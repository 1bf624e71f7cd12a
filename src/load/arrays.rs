//! The functions that an image wants called when it starts and ends.

use super::Image;
use crate::addr::Addr;
use crate::link::{Object, Plan};
use crate::mem::Error;
use core::ops::Range;
use std::vec::Vec;

/// Where the arrays of function addresses lie.
#[derive(Debug)]
pub(super) struct Arrays {
    preinit: Option<Range<Addr>>,
    init: Option<Range<Addr>>,
    fini: Option<Range<Addr>>,
    ctors: Option<Range<Addr>>,
    dtors: Option<Range<Addr>>,
    /// What the image's `atexit` handlers are known by.
    pub(super) dso_handle: Option<Addr>,
}

impl Arrays {
    pub(super) fn of<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> Self {
        Self {
            preinit: plan.array(".preinit_array"),
            init: plan.array(".init_array"),
            fini: plan.array(".fini_array"),
            ctors: plan.array(".ctors"),
            dtors: plan.array(".dtors"),
            // With the underscore that names of C have in Mach-O.
            dso_handle: plan.find("__dso_handle").or_else(|| plan.find("___dso_handle")),
        }
    }
}

impl Image {
    /// The initialisers, in the order of their calls: `.ctors` from the end, the others from the start (gABI).
    ///
    /// # Safety
    ///
    /// As for [`load`](crate::mem::Sealed::load): nothing writes to the image meanwhile.
    pub(super) unsafe fn initialisers(&self) -> Result<Vec<Addr>, Error> {
        let arrays = &self.arrays;
        // SAFETY: the caller's.
        unsafe {
            let mut calls = self.functions(&arrays.preinit)?;
            calls.extend(self.functions(&arrays.ctors)?.into_iter().rev());
            calls.extend(self.functions(&arrays.init)?);
            Ok(calls)
        }
    }

    /// The finalisers, in the order of their calls: `.fini_array` from the end, `.dtors` from the start.
    ///
    /// # Safety
    ///
    /// As for [`initialisers`](Self::initialisers).
    pub(super) unsafe fn finalisers(&self) -> Result<Vec<Addr>, Error> {
        let arrays = &self.arrays;
        // SAFETY: the caller's.
        unsafe {
            let mut calls = self.functions(&arrays.fini)?;
            calls.reverse();
            calls.extend(self.functions(&arrays.dtors)?);
            Ok(calls)
        }
    }

    /// The addresses that an array holds. Old arrays have a length of -1 and an end of 0 among them.
    ///
    /// # Safety
    ///
    /// As for [`initialisers`](Self::initialisers).
    unsafe fn functions(&self, array: &Option<Range<Addr>>) -> Result<Vec<Addr>, Error> {
        let Some(array) = array else { return Ok(Vec::new()) };
        let count = array.end.distance_from(array.start).cast_unsigned() / 8;
        let mut functions = Vec::new();
        for index in 0..count as usize {
            // SAFETY: the caller's.
            let entry = unsafe { self.read(array.start.at(8 * index)) }?;
            if entry != 0 && entry != u64::MAX {
                functions.push(Addr::new(entry));
            }
        }
        Ok(functions)
    }
}
