//! Links from the files' bytes in memory to the image in memory.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::select::{Outside, Selection, Take};
use aarch64_reloc::link::{Failure, Input, Needs, Options, Plan, Policy, Request, Storage, Summary, Tls, bound, each};
use aarch64_reloc::patch::Section;
use std::mem::take;
use std::path::PathBuf;

/// The image of `inputs`, all of whose segments lie side by side, and its plan in numbers. The tables are kept in `kept` for the
/// next link, and so is the memory of the image, where it is of the right size.
pub fn link(inputs: &[Input<'_, Elf<'_>>], kept: &mut Storage<'static>, image: &mut Vec<Vec<u8>>) -> Summary {
    let mut storage = take(kept).fit(bound(inputs, 0));
    let mut next = Addr::new(0x40_0000);
    let place = |request: &Request| {
        let addr = next.align_up(request.align.max(1 << 16));
        next = addr.plus(request.size as i64);
        Ok::<_, ()>(addr)
    };
    let policy = Policy { resolvers: true, ..Policy::ALL };
    let options = Options { policy, tls: Tls::Static { resolver: "none" }, ..Options::default() };
    let resolve = &mut |_: &str| Some(Addr::new(0x40_0000));
    let report = &mut |failure: &Failure<'_>| panic!("{failure}");
    let plan = Plan::new(inputs, &options, storage.lend(), resolve, each(place), report).unwrap();
    image.resize(plan.segments().len(), Vec::new());
    let sections = plan.segments().iter().zip(image).map(|(segment, bytes)| {
        if bytes.len() as u64 != segment.size() {
            *bytes = vec![0; segment.size() as usize];
        }
        Section::new(bytes, segment.addr())
    });
    plan.commit(&mut sections.collect::<Vec<_>>()).unwrap();
    let summary = plan.summary();
    *kept = storage.fit(Needs::default());
    summary
}

/// Selects all members of the archive libcrypto.a, and works with them.
pub fn with_members<T>(bytes: &[u8], work: impl FnOnce(&[Input<'_, Elf<'_>>]) -> T) -> T {
    let no_file = |file: Outside<'_>| Err(format!("{} is not read", file.path));
    let mut selection = Selection::new(Elf::parse, no_file);
    selection.archive("libcrypto.a", bytes, Take::Whole);
    let objects = selection.finish().map_err(|failures| failures[0].to_string()).unwrap().objects;
    let (names, objects): (Vec<_>, Vec<_>) = objects.into_iter().map(|chosen| (chosen.name, chosen.object)).unzip();
    let inputs = names.iter().zip(objects).map(|(name, object)| Input { name, object });
    work(&inputs.collect::<Vec<_>>())
}

/// Debian's, for AArch64: `.ci/env` says where.
pub fn libcrypto() -> Option<PathBuf> {
    let arm64 = std::env::var_os("AARCH64_RELOC_ARM64");
    let path = arm64.map(|arm64| PathBuf::from(arm64).join("usr/lib/aarch64-linux-gnu/libcrypto.a"));
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        println!("libcrypto.a: skipped, AARCH64_RELOC_ARM64 does not say where it is");
    }
    path
}
