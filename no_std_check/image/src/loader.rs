//! Loading modules: the order of calls that a loader without an operating system makes.

use crate::mmu::{self, MODULES_BASE, MODULES_LEN};
use aarch64_reloc::arena::{Arena, ArenaError, Block, PageSize, Segment};
use aarch64_reloc::cache::Native;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::install::{InstallError, Installed, install};
use aarch64_reloc::link::{Failure, Input, ObjectError, Options, Plan, Policy, Refused, Tables, each};
use aarch64_reloc::{Addr, Section};

/// Why modules were refused; the number is what a host would be told.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Not an object that can be read.
    Object = 1,
    /// The objects cannot be linked.
    Link = 2,
    /// There is no room for a segment.
    Room = 3,
    /// The plan cannot be written down, or its pages not be protected.
    Install = 4,
}

impl From<ObjectError> for Refusal {
    fn from(_: ObjectError) -> Self {
        Self::Object
    }
}

impl From<Refused<ArenaError>> for Refusal {
    fn from(refused: Refused<ArenaError>) -> Self {
        match refused {
            Refused::Failures(_) => Self::Link,
            Refused::Place(_) => Self::Room,
        }
    }
}

impl From<InstallError<Addr>> for Refusal {
    fn from(_: InstallError<Addr>) -> Self {
        Self::Install
    }
}

/// Pages for modules.
pub struct Memory {
    arena: Arena<[Block; 8]>,
}

impl Memory {
    /// All of the memory for modules; `None` where that is no whole pages.
    pub fn new() -> Option<Self> {
        Some(Self { arena: Arena::new([Block::EMPTY; 8], Addr::new(MODULES_BASE), MODULES_LEN, PageSize::K4).ok()? })
    }

    /// The bytes themselves.
    ///
    /// # Safety
    /// Nobody has them already.
    pub unsafe fn bytes(&mut self) -> Section<'_> {
        let start = core::ptr::with_exposed_provenance_mut(MODULES_BASE as usize);
        // SAFETY: the MMU maps so many bytes there, of which the compiler knows nothing.
        let bytes = unsafe { core::slice::from_raw_parts_mut(start, MODULES_LEN as usize) };
        Section::new(bytes, Addr::new(MODULES_BASE))
    }

    /// Plans to link `inputs` there.
    pub fn plan<'t, 'data>(
        &mut self,
        inputs: &'t [Input<'data, Elf<'data>>],
        tables: Tables<'t, 'data>,
        policy: Policy,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
        report: &mut dyn FnMut(&Failure<'_>),
    ) -> Result<Plan<'t, 'data, Elf<'data>>, Refusal> {
        let mut taken = [None; 3];
        let place = each(|request| {
            let segment = self.arena.alloc(request.prot, request.most)?;
            if let Some(free) = taken.iter_mut().find(|taken| taken.is_none()) {
                *free = Some(segment);
            }
            Ok(segment.addr())
        });
        let options = Options { policy, ..Options::default() };
        let plan = Plan::new(inputs, &options, tables, resolve, place, report);
        if plan.is_err() {
            self.free(taken);
        }
        Ok(plan?)
    }

    /// Gives pages back.
    fn free(&mut self, segments: [Option<Segment>; 3]) {
        for segment in segments.into_iter().flatten() {
            // They are the arena's: nothing can be wrong.
            let _ = self.arena.free(segment);
        }
    }

    /// All pages are free again.
    pub fn clear(&mut self) {
        let mut segments = [None; 3];
        segments.iter_mut().zip(self.arena.segments()).for_each(|(to, segment)| *to = Some(segment));
        self.free(segments);
    }
}

/// Makes `plan` code that can be called.
pub fn load<'m, 'data>(plan: &mut Plan<'_, 'data, Elf<'data>>, memory: Section<'m>) -> Result<Installed<'m>, Refusal> {
    let installed: Installed<'m> = install(plan, memory, &mut Native, &mut mmu::protect)?;
    let starts = plan.array(".init_array").map_or(0..0, |array| array.start.get()..array.end.get());
    for at in starts.step_by(8) {
        let start = installed.word(Addr::new(at)).map(Addr::new);
        // SAFETY: an entry of the array is a function of the modules, which this is the time to call.
        let start = start.and_then(|start| unsafe { installed.function::<extern "C" fn()>(start) });
        start.ok_or(Refusal::Install)?();
    }
    Ok(installed)
}
