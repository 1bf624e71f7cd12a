//! The symbols that the linker makes where an object wants them and none defines them.

use super::order::{ARRAYS, array_of};
use super::parts::FULL;
use super::tables::Output;
use super::tls::Template;
use crate::addr::Addr;

/// What a linker-made symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Made<'a> {
    /// The base of the GOT (AAELF64 5.7.9).
    Got,
    /// The start of the template of thread-local storage, as a thread-local variable.
    Tls,
    /// The start of the template as it lies in the image; and in bytes, what of it is no zeros, all of it, and the distance of
    /// a thread's block from the thread pointer.
    TemplateStart,
    TemplateInFile,
    TemplateSize,
    TcbOffset,
    /// The lowest address of the image.
    Image,
    /// The start of an output section, or of the image where there is none of that name.
    Start(&'a str),
    /// The end of an output section.
    Stop(&'a str),
    /// The end of the last output section.
    End,
}

/// What `name` stands for. `exists` tells whether there is an output section of a name: `__start_NAME` and `__stop_NAME`
/// are made only for those.
#[inline(never)]
pub(super) fn made<'n>(name: &'n str, exists: &dyn Fn(&str) -> bool) -> Option<Made<'n>> {
    // Arrays are called as their sections are.
    for array in &ARRAYS[..3] {
        match name.strip_prefix("__").and_then(|rest| rest.strip_prefix(array.get(1..)?)) {
            Some("_start") => return Some(Made::Start(array)),
            Some("_end") => return Some(Made::Stop(array)),
            _ => {}
        }
    }
    let of_full: &[_] = if FULL { &NAMED_OF_FULL } else { &[] };
    if let Some((_, made)) = NAMED.iter().chain(of_full).find(|(other, _)| *other == name) {
        return Some(*made);
    }
    let start = name.strip_prefix("__start_");
    let section = start.or_else(|| name.strip_prefix("__stop_")).filter(|section| exists(section))?;
    Some(if start.is_some() { Made::Start(section) } else { Made::Stop(section) })
}

/// Those of one name.
static NAMED: [(&str, Made<'_>); 14] = [
    ("_GLOBAL_OFFSET_TABLE_", Made::Got),
    // Of no meaning but that it is the image's own; code refers to it, so it is near code.
    ("__dso_handle", Made::Start(".text")),
    ("__ehdr_start", Made::Image),
    ("__executable_start", Made::Image),
    ("__bss_start", Made::Start(".bss")),
    ("__bss_start__", Made::Start(".bss")),
    ("__bss_end__", Made::Stop(".bss")),
    ("_etext", Made::Stop(".text")),
    ("etext", Made::Stop(".text")),
    ("_edata", Made::Stop(".data")),
    ("edata", Made::Stop(".data")),
    ("_end", Made::End),
    ("end", Made::End),
    ("__end__", Made::End),
];

/// Those that want thread-local storage, or another format than ELF.
static NAMED_OF_FULL: [(&str, Made<'_>); 7] = [
    ("_TLS_MODULE_BASE_", Made::Tls),
    // What a start routine needs, named as picolibc names it.
    ("__tdata_start", Made::TemplateStart),
    ("__tdata_size", Made::TemplateInFile),
    ("__tls_size", Made::TemplateSize),
    ("__arm64_tls_tcb_offset", Made::TcbOffset),
    // The same as `__dso_handle` in Mach-O, where names of C have one underscore more.
    ("___dso_handle", Made::Image),
    // The same as `__ehdr_start` in COFF.
    ("__ImageBase", Made::Image),
];

impl Made<'_> {
    /// Its address, once the output sections have theirs. A section that is not there is empty, at the image's start.
    pub(super) fn addr(self, outputs: &[Output<'_>], got: Addr) -> Addr {
        let image = ends(outputs, None).map_or(got, |(start, _)| start);
        let template = if FULL { Template::of(outputs) } else { Template::default() };
        let find = |name| ends(outputs, name).unwrap_or((image, image));
        match self {
            Self::Got => got,
            Self::Tls | Self::TemplateStart => template.addr,
            Self::TemplateInFile => Addr::new(template.in_file),
            Self::TemplateSize => Addr::new(template.size),
            Self::TcbOffset => Addr::new(template.tcb_offset()),
            Self::Image => image,
            Self::Start(name) => find(Some(name)).0,
            Self::Stop(name) => find(Some(name)).1,
            Self::End => find(None).1,
        }
    }
}

/// From where to where the output sections of a name lie, or all.
fn ends(outputs: &[Output<'_>], name: Option<&str>) -> Option<(Addr, Addr)> {
    let mut ends: Option<(Addr, Addr)> = None;
    for output in outputs.iter().filter(|output| output.size > 0) {
        if name.is_none_or(|name| output.name == name || array_of(output.name) == Some(name)) {
            let (start, end) = ends.unwrap_or((output.addr, output.end()));
            ends = Some((start.min(output.addr), end.max(output.end())));
        }
    }
    ends
}
