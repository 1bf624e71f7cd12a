//! What applies fixups: the least that anything can do, this crate, and its peers.

use super::{TEXT, llvm, recorded};
use aarch64_reloc::{Addr, Fixup, Reloc, Section};
use dynasmrt::relocations::Relocation;
use libloading::{Library, Symbol};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::hint::black_box;

type Apply = Box<dyn FnMut(&mut [u8])>;

/// Applies the fixups that it was made for to the text.
pub struct Applier {
    pub name: &'static str,
    /// Whether it leaves the text as every other does.
    pub relocates: bool,
    pub apply: Apply,
}

impl Applier {
    fn new(name: &'static str, apply: impl FnMut(&mut [u8]) + 'static) -> Self {
        Self { name, relocates: true, apply: Box::new(apply) }
    }

    /// Every one that can apply `fixups` to `text`, this very memory.
    pub fn all(text: &mut [u8], fixups: &[Fixup]) -> Vec<Self> {
        let mut all = vec![Self::reads(fixups), Self::touches(fixups), Self::patch_batch(fixups)];
        all.extend([Self::patch_all(fixups), Self::patch(fixups), Self::linker_utils(fixups)]);
        all.extend(Self::dynasmrt(fixups));
        all.extend(Self::jitlink(text, fixups));
        all
    }

    /// The floor of what reads records.
    pub fn reads(fixups: &[Fixup]) -> Self {
        let fixups = fixups.to_vec();
        let apply = move |_: &mut [u8]| {
            let sum = |sum: u64, fixup: &Fixup| sum ^ fixup.value().bits() ^ fixup.offset() as u64;
            black_box(black_box(&fixups).iter().fold(0, sum));
        };
        Self { relocates: false, ..Self::new("records read", apply) }
    }

    /// The floor of what changes places.
    pub fn touches(fixups: &[Fixup]) -> Self {
        let fixups = fixups.to_vec();
        let apply = move |text: &mut [u8]| {
            // Nothing, so that the text stays as it is; but the compiler does not know.
            let change = black_box(0);
            for fixup in black_box(&fixups) {
                let Some(place) = text.get_mut(fixup.offset()..).and_then(<[u8]>::first_chunk_mut) else { continue };
                *place = (u32::from_le_bytes(*place) ^ fixup.value().bits() as u32 & change).to_le_bytes();
            }
        };
        Self { relocates: false, ..Self::new("places touched", apply) }
    }

    pub fn patch_all(fixups: &[Fixup]) -> Self {
        let fixups = fixups.to_vec();
        Self::new("patch_all", move |text| assert!(Section::new(text, TEXT).patch_all(black_box(&fixups)).is_ok()))
    }

    pub fn patch_batch(fixups: &[Fixup]) -> Self {
        let batch = recorded(fixups);
        Self::new("patch_batch", move |text| assert!(Section::new(text, TEXT).patch_batch(black_box(&batch)).is_ok()))
    }

    /// One call each; where all are calls, as what patches only calls does.
    pub fn patch(fixups: &[Fixup]) -> Self {
        let fixups = fixups.to_vec();
        if fixups.iter().all(|fixup| fixup.reloc() == Reloc::CALL26) {
            return Self::new("patch", move |text| {
                let mut section = Section::new(text, TEXT);
                for fixup in black_box(&fixups) {
                    section.patch(fixup.offset(), Reloc::CALL26, Addr::new(fixup.value().bits())).unwrap();
                }
            });
        }
        Self::new("patch", move |text| {
            let mut section = Section::new(text, TEXT);
            for fixup in black_box(&fixups) {
                section.patch(fixup.offset(), fixup.reloc(), fixup.value()).unwrap();
            }
        })
    }

    pub fn linker_utils(fixups: &[Fixup]) -> Self {
        let fixups: Vec<_> = fixups
            .iter()
            .map(|fixup| {
                let code = object::elf::RelocationType(fixup.reloc().code());
                (linker_utils::aarch64::relocation_type_from_raw(code).unwrap(), *fixup)
            })
            .collect();
        Self::new("linker-utils", move |text| {
            for (kind, fixup) in black_box(&fixups) {
                let x = fixup.reloc().x(TEXT.at(fixup.offset()), fixup.value()).unwrap();
                kind.write_to_buffer(x.cast_unsigned(), &mut text[fixup.offset()..]).unwrap();
            }
        })
    }

    /// `None` where it does not know one of the kinds.
    pub fn dynasmrt(fixups: &[Fixup]) -> Option<Self> {
        let encoding = |fixup: &Fixup| match fixup.reloc() {
            Reloc::CALL26 => Some((4, *fixup)),
            Reloc::ADR_PREL_PG_HI21 => Some((7, *fixup)),
            Reloc::ABS64 => Some((3, *fixup)),
            _ => None,
        };
        let fixups: Vec<_> = fixups.iter().map(encoding).collect::<Option<_>>()?;
        Some(Self::new("dynasmrt", move |text| {
            for &(encoding, fixup) in black_box(&fixups) {
                let place = TEXT.at(fixup.offset());
                let target = Addr::new(fixup.value().bits());
                let value = match encoding {
                    3 => target.get().cast_signed(),
                    // It is right for whole pages only.
                    7 => target.page().distance_from(place.page()),
                    _ => target.distance_from(place),
                };
                let relocation = dynasmrt::aarch64::Aarch64Relocation::from_encoding(encoding);
                let bytes = &mut text[fixup.offset()..][..relocation.size()];
                relocation.write_value(bytes, value as isize).unwrap();
            }
        }))
    }

    /// `None` where LLVM is not installed, or one of the kinds is not in the mix.
    pub fn jitlink(text: &mut [u8], fixups: &[Fixup]) -> Option<Self> {
        let kind = |fixup: &Fixup| match fixup.reloc() {
            Reloc::CALL26 => Some(0),
            Reloc::ADR_PREL_PG_HI21 => Some(1),
            Reloc::ADD_ABS_LO12_NC | Reloc::LDST64_ABS_LO12_NC => Some(2),
            Reloc::ABS64 => Some(3),
            _ => None,
        };
        let kinds: Vec<u8> = fixups.iter().map(kind).collect::<Option<_>>()?;
        let graph = Graph::new(llvm::library("apply_fixup")?, text, fixups, &kinds);
        Some(Self::new("JITLink", move |_| graph.apply()))
    }
}

/// A `LinkGraph` over the text.
struct Graph {
    library: Library,
    work: *mut c_void,
}

impl Graph {
    fn new(library: Library, text: &mut [u8], fixups: &[Fixup], kinds: &[u8]) -> Self {
        type New = unsafe extern "C" fn(
            *mut u8,
            usize,
            u64,
            *const u64,
            usize,
            *const u32,
            *const u32,
            *const u8,
            usize,
        ) -> *mut c_void;
        // A symbol for each target, as an assembler or compiler has.
        let mut symbols = BTreeMap::new();
        for fixup in fixups {
            let next = symbols.len() as u32;
            symbols.entry(fixup.value().bits()).or_insert(next);
        }
        let mut targets = vec![0; symbols.len()];
        symbols.iter().for_each(|(&target, &index)| targets[index as usize] = target);
        let offsets: Vec<_> = fixups.iter().map(|fixup| fixup.offset() as u32).collect();
        let indices: Vec<_> = fixups.iter().map(|fixup| symbols[&fixup.value().bits()]).collect();
        // SAFETY: declared so in `apply_fixup.cc`; the arrays are as long as it is told, and the caller keeps the text.
        let work = unsafe {
            let new: Symbol<'_, New> = library.get(b"graph_new").unwrap();
            new(
                text.as_mut_ptr(),
                text.len(),
                TEXT.get(),
                targets.as_ptr(),
                targets.len(),
                offsets.as_ptr(),
                indices.as_ptr(),
                kinds.as_ptr(),
                kinds.len(),
            )
        };
        Self { library, work }
    }

    fn apply(&self) {
        // SAFETY: declared so in `apply_fixup.cc`; `work` is what `graph_new` answered.
        let refused = unsafe {
            let apply: Symbol<'_, unsafe extern "C" fn(*mut c_void) -> usize> =
                self.library.get(b"graph_apply").unwrap();
            apply(self.work)
        };
        assert_eq!(refused, 0);
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: declared so in `apply_fixup.cc`; `work` is what `graph_new` answered, and not used again.
        unsafe {
            let free: Symbol<'_, unsafe extern "C" fn(*mut c_void)> = self.library.get(b"graph_free").unwrap();
            free(self.work);
        }
    }
}
