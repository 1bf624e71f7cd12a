//! Linking whole objects: a plan, which may fail and writes nothing, then its commit, which cannot.
//!
//! 1. [`measure`] says how long the [`Tables`] must be, or [`bound`] says it sooner and for more; the caller lends them.
//! 2. [`Plan::new`] reads the objects ([`Object`], whatever their format), resolves symbols, lays out output sections, makes
//!    the GOT and the veneers, and checks every relocation against the bytes of the objects. Every failure is reported.
//! 3. [`Plan::commit`] writes the image into memory that the caller brings.
//!
//! No step allocates. With `std`, `load` does all three into executable memory.

mod bases;
mod check;
mod commit;
mod emitted;
mod erratum;
mod error;
mod groups;
mod in_place;
mod indirect;
mod isles;
mod kinds;
mod layout;
mod made;
mod names;
mod needs;
mod object;
mod order;
mod parts;
mod pending;
mod place;
mod plan;
mod policy;
mod rescue;
mod route;
mod scan;
mod sequence;
mod spans;
#[cfg(feature = "std")]
mod storage;
mod summary;
mod symbols;
mod tables;
mod tally;
mod tls;
mod view;
mod walk;
mod wants;

pub use emitted::Emitted;
pub use error::{Cause, CommitError, Failure, Refused};
pub use indirect::Indirect;
pub use isles::Isle;
pub use needs::{Needs, bound, measure};
pub use object::{
    Alike, Binding, Content, Cursor, Definition, Kind, Object, ObjectError, Origin, Part, Problem, Relocation, Section,
    Symbol,
};
pub(crate) use parts::FULL;
pub use parts::Omitted;
pub use plan::Plan;
pub use policy::{Policy, Tags};
pub use rescue::Stranded;
pub use sequence::Ordered;
#[cfg(feature = "std")]
pub use storage::Storage;
pub use summary::{Rungs, Summary};
pub use tables::{First, Output, Placed, Segment, Tables, Target};
pub use tls::{Template, Tls};

use crate::addr::Addr;
use crate::arena::Prot;
use error::Fatal;

/// An object to be linked, under the name that failures call it by.
#[derive(Clone, Copy, Debug)]
pub struct Input<'data, O> {
    /// The name, such as the file's.
    pub name: &'data str,
    /// The object.
    pub object: O,
}

/// How to link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a, 'data> {
    /// Output sections that lie where the caller says, each a segment of its own.
    pub pins: &'a [Pin<'data>],
    /// What may be done for a reference that does not reach.
    pub policy: Policy,
    /// What is known of the threads that will run the image.
    pub tls: Tls<'a>,
    /// Sections that have bytes run where those lie in this machine's memory, at addresses so many bytes above: the objects are
    /// in RAM already, and are patched there ([`Plan::commit_in_place`]). Not so what must lie in one run with others: arrays of
    /// functions, `.init`, `.fini`, `.eh_frame`, sections that [`__start_NAME`](Plan::find) may be asked of, and the template of
    /// thread-local storage. `None` where all are copied.
    pub in_place: Option<i64>,
}

/// An output section, and the address it must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin<'data> {
    /// The name of the output section, such as `.text` or `.got`.
    pub section: &'data str,
    /// The address of its first byte.
    pub addr: Addr,
}

/// A segment that wants an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The address of its first byte: what is asked for.
    pub addr: Addr,
    /// Its final protection.
    pub prot: Prot,
    /// Its size in bytes: as many as it may need where all segments lie side by side. Who lets them lie apart raises it, up
    /// to `most`.
    pub size: u64,
    /// As many bytes as it may need wherever the segments lie.
    pub most: u64,
    /// What its address must be a multiple of, in bytes.
    pub align: u64,
}

impl Request {
    /// For nothing yet.
    const fn new(prot: Prot) -> Self {
        Self { addr: Addr::new(0), prot, size: 0, most: 0, align: 1 }
    }
}

/// Answers requests one by one, each by the address that `place` gives it: for segments that need not lie side by side,
/// each of the size that this may take.
pub fn each<E>(mut place: impl FnMut(&Request) -> Result<Addr, E>) -> impl FnMut(&mut [Request]) -> Result<(), E> {
    move |requests| {
        for request in requests {
            request.size = request.most;
            request.addr = place(request)?;
        }
        Ok(())
    }
}

/// A symbol with its address in the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Located<'data> {
    /// The symbol, as its object has it.
    pub symbol: Symbol<'data>,
    /// The object's name.
    pub object: &'data str,
    /// The index of the output section that holds it; `None` where it is absolute, or from outside the link.
    pub output: Option<usize>,
    /// Its address.
    pub addr: Addr,
}

/// Counts failures on their way to the caller.
struct Report<'a> {
    sink: &'a mut dyn FnMut(&Failure<'_>),
    count: usize,
}

impl Report<'_> {
    #[cold]
    #[inline(never)]
    fn failure(&mut self, failure: Failure<'_>) {
        self.count += 1;
        (self.sink)(&failure);
    }

    /// Reports `cause`, of the symbol of `object` that is called `symbol`.
    #[cold]
    #[inline(never)]
    fn of_symbol(&mut self, object: &str, symbol: &str, cause: Cause<'_>) {
        self.failure(Failure { symbol, ..Failure::of(object, cause) });
    }

    /// Reports what is wrong with the file of `object`.
    #[cold]
    #[inline(never)]
    fn object(&mut self, object: &str, error: ObjectError) {
        self.of_symbol(object, "", Cause::Object(error));
    }

    /// Reports what no one object is at fault for.
    #[cold]
    #[inline(never)]
    fn whole(&mut self, cause: Cause<'_>) {
        self.of_symbol("", "", cause);
    }

    /// The same, and stops.
    #[cold]
    #[inline(never)]
    fn fatal(&mut self, cause: Cause<'_>) -> Fatal {
        self.whole(cause);
        Fatal::Reported
    }
}
