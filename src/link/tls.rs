//! Thread-local storage: what a reference to a thread-local variable is given (AAELF64 5.7.11, "Thread-local storage";
//! SYSVABI64, variant 1).
//!
//! ```text
//! image     .tdata | .tbss              the template: how a thread's block begins
//!
//! thread    TCB |     | .tdata | .tbss  its block, in an image of its own
//!           ^         ^        ^
//!           TP        |<------>|        DTPREL of the first variable of .tbss
//!           |<---------------->|        its TPREL
//! ```

use super::bases;
use super::error::Cause;
use super::layout::{TBSS, TDATA};
use super::parts::FULL;
use super::route::{Reference, Router};
use super::tables::{NONE, Output, State};
use crate::addr::Addr;
use crate::got::{Content, Kind};
use crate::reloc::{Class, Reloc, Value};

/// Bytes from the thread pointer that are the thread's own (AAELF64, variant 1).
const TCB: u64 = 16;

/// What is known at link time of the threads that will run the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tls<'a> {
    /// Nothing: a relocation for thread-local storage is an error.
    #[default]
    Refused,
    /// They run no other: the thread pointer points to a TCB of 16 bytes, the thread's block follows it at the next multiple
    /// of its alignment, and the image is module 1. All models work.
    Static {
        /// The symbol of the function that TLS descriptors call: it returns the descriptor's argument, an offset from the
        /// thread pointer in bytes, and changes no other register; for an argument of 0, the variable that is not there, what
        /// makes the address null. Needed only where an object uses descriptors.
        resolver: &'a str,
    },
    /// The image is added to a running process. Local-exec and initial-exec code, which wants its variables at a fixed
    /// offset from the thread pointer, is an error.
    Dynamic {
        /// The number of the image, not 0: what `__tls_get_addr` finds before an offset in the block. Both are 0 for a weak
        /// variable that is not there.
        module: u64,
        /// The function that TLS descriptors call (SYSVABI64, "TLS descriptors").
        resolver: Addr,
        /// What such a descriptor holds beside it for the block's first byte; for any other the distance in bytes is added.
        /// It is 0 for a weak variable that is not there.
        argument: u64,
    },
}

/// How a thread's block begins: bytes of the image, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Template {
    /// Where it lies in the image.
    pub addr: Addr,
    /// Bytes from its start that are copied; what follows is zeros.
    pub in_file: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What the address of a block is a multiple of, in bytes: a power of two.
    pub align: u64,
}

impl Template {
    /// That of an image with these output sections, once they have their addresses.
    pub(super) fn of(outputs: &[Output<'_>]) -> Self {
        let find = |number: usize| outputs.get(number).copied().unwrap_or_default();
        let (data, zeros) = (find(TDATA), find(TBSS));
        let addr = if data.size > 0 { data.addr } else { zeros.addr };
        let end = if zeros.size > 0 { zeros.end() } else { data.end() };
        let size = end.distance_from(addr).cast_unsigned();
        Self { addr, in_file: data.size, size, align: data.align.max(zeros.align) }
    }

    /// Bytes from the thread pointer to the block, in an image of its own.
    pub const fn tcb_offset(&self) -> u64 {
        // The thread pointer is a multiple of the alignment, too.
        if self.align > TCB { self.align } else { TCB }
    }
}

/// What a relocation for thread-local storage is to be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// An entry of the GOT.
    Entry(Kind),
    /// The offset in the block: DTPREL(S + A).
    Block,
    /// The offset from the thread pointer: TPREL(S + A).
    Thread,
    /// Nothing: it marks an instruction.
    Mark,
}

impl Access {
    /// What `reloc` is to be given; `None` where it is not for thread-local storage.
    pub(super) const fn of(reloc: Reloc) -> Option<Self> {
        if !FULL {
            return None;
        }
        Some(match reloc.code() {
            512..=516 => Self::Entry(Kind::Gtlsidx),
            517..=522 => Self::Entry(Kind::Gldm),
            523..=538 | 572 | 573 | 1029 => Self::Block,
            539..=543 => Self::Entry(Kind::Gtprel),
            544..=559 | 570 | 571 => Self::Thread,
            560..=566 => Self::Entry(Kind::Gtlsdesc),
            567..=569 => Self::Mark,
            _ => return None,
        })
    }

    /// Whether it needs the block at a fixed offset from the thread pointer.
    fn is_fixed(self) -> bool {
        matches!(self, Self::Thread | Self::Entry(Kind::Gtprel))
    }
}

/// What [`Tls`] says, with the addresses of this link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threads {
    template: Template,
    module: u64,
    resolver: Option<Addr>,
    /// The argument of a descriptor for the block's first byte.
    argument: u64,
    /// Whether the block lies at a fixed offset from the thread pointer.
    is_fixed: bool,
}

impl Threads {
    /// `find` tells the address of a symbol.
    pub(super) fn new(tls: Tls<'_>, template: Template, find: impl FnOnce(&str) -> Option<Addr>) -> Option<Self> {
        match tls {
            Tls::Refused => None,
            Tls::Static { resolver } => {
                let (resolver, argument) = (find(resolver), template.tcb_offset());
                Some(Self { template, module: 1, resolver, argument, is_fixed: true })
            }
            Tls::Dynamic { module, resolver, argument } => {
                Some(Self { template, module, resolver: Some(resolver), argument, is_fixed: false })
            }
        }
    }
}

impl Router<'_> {
    /// What the ABI says that a relocation for thread-local storage is given. A weak variable that is not there has the
    /// offset 0 from anything.
    pub(super) fn thread_local(&mut self, reference: &Reference<'_>, access: Access) -> Result<Value, Cause<'static>> {
        let Reference { reloc, addr, addend, got, number, target, .. } = *reference;
        let threads = self.threads.ok_or(Cause::NoTls(reloc))?;
        if access.is_fixed() && !threads.is_fixed {
            return Err(Cause::FixedOffset(reloc));
        }
        let in_block = addr.distance_from(threads.template.addr);
        let from_tp = in_block.wrapping_add_unsigned(threads.template.tcb_offset());
        let argument = threads.argument.wrapping_add_signed(in_block);
        let (module, in_block, from_tp, argument) = match target.state {
            State::Null => (0, 0, 0, 0),
            _ => (threads.module, in_block, from_tp, argument),
        };
        let (number, content) = match access {
            Access::Mark => return Ok(Value::Offset(0)),
            Access::Block => return Ok(Value::Offset(in_block.wrapping_add(addend))),
            Access::Thread => return Ok(Value::Offset(from_tp.wrapping_add(addend))),
            Access::Entry(_) if addend != 0 => return Err(Cause::SlotAddend(reloc, addend)),
            // One for all variables of the module.
            Access::Entry(Kind::Gldm) => (NONE, Content::Gldm { module: threads.module }),
            Access::Entry(Kind::Gtlsidx) => (number, Content::Gtlsidx { module, offset: in_block }),
            Access::Entry(Kind::Gtlsdesc) => {
                let resolver = threads.resolver.ok_or(Cause::NoDescriptorResolver(reloc))?;
                (number, Content::Gtlsdesc { resolver, argument })
            }
            Access::Entry(Kind::Gtprel | Kind::Gdat) => (number, Content::Gtprel(from_tp)),
        };
        let slot = self.got.slot_for(bases::key(0, number), content).map_err(Cause::Got)?;
        Ok(match reloc.takes() {
            Class::Offset => Value::Offset(slot.addr().distance_from(got)),
            _ => Value::Slot(slot),
        })
    }
}
