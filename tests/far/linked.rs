//! Objects linked into bytes that lie at made-up addresses, and, where they can run, at real ones.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Cause, Failure, Input, Options, Plan, Request, Storage, Stranded, Summary, each, measure};
use aarch64_reloc::patch::Section;
use std::fmt::Debug;
use std::fs;

/// An object's file.
pub struct File {
    name: String,
    bytes: Vec<u8>,
}

/// The files `names` of the folder `tests/FOLDER`.
pub fn files(folder: &str, names: &[impl AsRef<str>]) -> Vec<File> {
    let folder = crate::objects::path("..").join(folder);
    let read = |name: &str| File { name: name.to_owned(), bytes: fs::read(folder.join(name)).unwrap() };
    names.iter().map(|name| read(name.as_ref())).collect()
}

pub fn inputs(files: &[File]) -> Vec<Input<'_, Elf<'_>>> {
    files.iter().map(|file| Input { name: &file.name, object: Elf::parse(&file.bytes).unwrap() }).collect()
}

/// A failure of a plan, kept.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub object: String,
    pub stranded: Option<Stranded>,
    pub line: String,
}

impl Refusal {
    pub fn of(failure: &Failure<'_>) -> Self {
        let stranded = match failure.cause {
            Cause::Stranded(_, why) => Some(why),
            _ => None,
        };
        Self { object: failure.object.to_owned(), stranded, line: failure.to_string() }
    }
}

/// What was linked, in memory that is not where it says.
pub struct Linked {
    pub summary: Summary,
    /// The names of the output sections that have something in them.
    pub outputs: Vec<String>,
    segments: Vec<(Addr, Vec<u8>)>,
    symbols: Vec<(String, Addr)>,
}

/// Links `files`, with what is not pinned where `place` says.
pub fn link<'data, E: Debug>(
    files: &'data [File],
    options: &Options<'_, 'data>,
    resolve: &dyn Fn(&str) -> Option<Addr>,
    place: impl FnMut(&Request) -> Result<Addr, E>,
) -> Result<Linked, Vec<Refusal>> {
    let inputs = inputs(files);
    let mut storage = Storage::new(measure(&inputs, options.pins.len()));
    let mut refusals = Vec::new();
    let report = &mut |failure: &Failure<'_>| refusals.push(Refusal::of(failure));
    let plan = Plan::new(&inputs, options, storage.lend(), &mut |name| resolve(name), each(place), report);
    let Ok(plan) = plan else { return Err(refusals) };
    let summary = plan.summary();
    let symbols = plan.symbols().map(|found| (found.symbol.name.to_owned(), found.addr)).collect();
    let used = plan.outputs().iter().filter(|output| output.size() > 0);
    let outputs = used.map(|output| output.name().to_owned()).collect();
    let mut segments: Vec<_> =
        plan.segments().iter().map(|segment| (segment.addr(), vec![0; segment.size() as usize])).collect();
    let mut memory: Vec<_> = segments.iter_mut().map(|(addr, bytes)| Section::new(bytes, *addr)).collect();
    plan.commit(&mut memory).unwrap();
    drop(memory);
    Ok(Linked { summary, outputs, segments, symbols })
}

impl Linked {
    pub fn symbol(&self, name: &str) -> Addr {
        self.symbols.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    fn bytes<const N: usize>(&self, addr: Addr) -> [u8; N] {
        let bytes = self.segments.iter().find_map(|(start, bytes)| {
            let at = usize::try_from(addr.distance_from(*start)).ok()?;
            bytes.get(at..)?.first_chunk()
        });
        *bytes.unwrap_or_else(|| panic!("nothing at {addr}"))
    }

    pub fn word(&self, addr: Addr) -> u32 {
        u32::from_le_bytes(self.bytes(addr))
    }

    pub fn long(&self, addr: Addr) -> u64 {
        u64::from_le_bytes(self.bytes(addr))
    }

    /// Where the `B` or `BL` at `addr` leads.
    pub fn branch(&self, addr: Addr) -> Addr {
        let word = self.word(addr);
        assert_eq!(word & 0x7c00_0000, 0x1400_0000, "{word:#010x} at {addr} is no branch");
        addr.plus(i64::from((word << 6).cast_signed() >> 4))
    }

    /// What the `MOVZ` and `MOVK`s from `addr` on build, or the `ADRP` and `ADD`, and the address after them.
    pub fn built(&self, addr: Addr) -> (u64, Addr) {
        let (mut value, mut at) = (0_u64, addr);
        loop {
            let word = self.word(at);
            let shift = 16 * (word >> 21 & 3);
            let moved = u64::from(word >> 5 & 0xffff) << shift;
            // ADRP has the upper 19 bits of the number of pages in one field, the lower two in another.
            let pages = i64::from((word << 8).cast_signed() >> 13 << 2) | i64::from(word >> 29 & 3);
            match word >> 23 {
                0b1_1010_0101 => value = moved,
                0b1_1110_0101 => value = value & !(0xffff << shift) | moved,
                0b1_0010_0010 => value += u64::from(word >> 10 & 0xfff),
                _ if word & 0x9f00_0000 == 0x9000_0000 => value = at.page().plus(pages << 12).get(),
                _ => return (value, at),
            }
            at = at.at(4);
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub use here::load;

#[cfg(target_arch = "aarch64")]
mod here {
    use super::*;
    use aarch64_reloc::link::{Pin, Policy};
    use aarch64_reloc::load::{Image, LoadError};
    use aarch64_reloc::mem::Reservation;

    /// Links `files` into this process, the first way of `ways` that it has room for, and says which.
    pub fn load<'data, W>(
        files: &'data [File],
        policy: Policy,
        ways: impl IntoIterator<Item = W>,
        pins: impl Fn(&W) -> Vec<Pin<'data>>,
        resolve: impl Fn(&W, &str) -> Option<Addr>,
    ) -> (Image, W) {
        let inputs = inputs(files);
        let reservation = Reservation::new(1 << 24).unwrap();
        for way in ways {
            let mut refusals = Vec::new();
            let report = &mut |failure: &Failure<'_>| refusals.push(Refusal::of(failure));
            let options = Options { pins: &pins(&way), policy, ..Options::default() };
            match Image::load(&reservation, &inputs, &options, &mut |name| resolve(&way, name), report) {
                Ok(image) => return (image, way),
                // Somebody has an address already.
                Err(LoadError::Memory(_)) => {}
                Err(error) => panic!("{error}: {refusals:#?}"),
            }
        }
        panic!("no room anywhere");
    }
}
