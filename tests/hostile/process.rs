//! Everything that can be done with a file: read, select, plan, commit, verify.

use crate::needs;
use crate::object::Any;
use crate::random::Random;
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::archive::Archive;
use aarch64_reloc::formats::image::Image;
use aarch64_reloc::formats::select::{Outside, Selection, Take};
use aarch64_reloc::link::{
    Failure, Input, Kind, Needs, Object, Options, Plan, Policy, Request, Storage, Tags, Tls, each, measure,
};
use aarch64_reloc::patch::Section;
use aarch64_reloc::verify::{Memory, Target, Verdict, View};
use std::convert::Infallible;

/// What came of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Whether it was linked; of an image, whether all of it was read.
    pub is_done: bool,
    /// Places that reach their targets, and places that do not.
    pub right: usize,
    pub wrong: usize,
}

/// The largest image that is written down, in bytes.
const LARGEST: u64 = 1 << 22;
/// Bytes before and behind each segment that nothing may write.
const GUARD: usize = 64;
const UNTOUCHED: u8 = 0xa5;

/// Does all of it as `random` chooses: what is allowed, where segments lie.
pub fn process(bytes: &[u8], outside: &[(&str, Vec<u8>)], random: &mut Random) -> Outcome {
    if Archive::is(bytes) {
        return archive(bytes, outside, random);
    }
    // ET_EXEC, ET_DYN
    if bytes.starts_with(b"\x7fELF") && matches!(bytes.get(16), Some(2 | 3)) {
        return image(bytes);
    }
    match Any::parse(bytes) {
        Ok(object) => {
            look(&object);
            link(&[Input { name: "changed", object }], bytes.len(), random)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Outcome::default()
        }
    }
}

fn archive(bytes: &[u8], outside: &[(&str, Vec<u8>)], random: &mut Random) -> Outcome {
    let take = random.one_of(&[Take::Needed, Take::Whole]);
    let load = |file: Outside<'_>| {
        let found = outside.iter().find(|(name, _)| *name == file.path);
        found.map(|(_, bytes)| bytes.as_slice()).ok_or("no such file")
    };
    let mut selection = Selection::new(Any::parse, load);
    selection.archive("changed", bytes, take);
    for name in ["main", "a", "b", "d", "e", "twice"] {
        selection.want(name);
    }
    let selected = match selection.finish() {
        Ok(selected) => selected,
        Err(failures) => {
            assert!(failures.iter().all(|failure| !failure.to_string().is_empty()));
            return Outcome::default();
        }
    };
    // A member outside is there as often as the archive says.
    let longest = outside.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    let len = bytes.len() + selected.objects.len() * longest;
    let inputs = selected.objects.into_iter().map(|chosen| Input { name: "member", object: chosen.object });
    link(&inputs.collect::<Vec<_>>(), len, random)
}

/// Reads each part, and parts that are not there.
fn look(object: &Any<'_>) {
    let sections = object.section_count();
    for index in (0..sections).chain([sections, usize::MAX]) {
        let (relocations, members) = match object.section(index).map(|section| section.kind) {
            Ok(Kind::Relocations { count, .. }) => (count, 0),
            Ok(Kind::Group { count, .. }) => (0, count),
            _ => (0, 0),
        };
        // Of a stream, an entry costs as much as all before it.
        for entry in (0..relocations.min(16)).chain([relocations, usize::MAX]) {
            let _ = object.relocation(index, entry);
        }
        for entry in (0..members).chain([members, usize::MAX]) {
            let _ = object.member(index, entry);
        }
    }
    for index in (0..object.symbol_count()).chain([object.symbol_count(), usize::MAX]) {
        let _ = object.symbol(index).map(|symbol| symbol.name.len());
    }
}

/// No table has more records than the file has bytes, but for the linker's own.
fn check_needs(needs: Needs, objects: usize, len: usize) {
    let bound = 8 + 2 * len;
    let Needs { sections, symbols, names, output_names, groups, outputs, segments, slots, veneers, .. } = needs;
    let all = [sections, symbols, names, output_names, groups, outputs, segments, slots, veneers];
    assert!(
        needs.objects == objects && all.into_iter().all(|records| records <= bound),
        "{len} bytes ask for {needs:?}"
    );
}

fn link<'data>(inputs: &[Input<'data, Any<'data>>], len: usize, random: &mut Random) -> Outcome {
    let needs = measure(inputs, 0);
    check_needs(needs, inputs.len(), len);
    // Half of them without having been measured.
    let mut storage = Storage::new(if len.is_multiple_of(2) { needs::most(inputs, 0) } else { needs });
    // Together, or so far apart that nothing reaches.
    let gap = random.one_of(&[0, 0, 0, 1 << 21, 1 << 28, 1 << 33]);
    let mut next = 0x40_0000_u64;
    let place = |request: &Request| {
        let addr = next.next_multiple_of(request.align.clamp(0x1000, 1 << 32));
        next = addr.saturating_add(request.size).saturating_add(gap) % (1 << 40);
        Ok::<_, Infallible>(Addr::new(addr))
    };
    let mut lines = 0;
    let report = &mut |failure: &Failure<'_>| lines += failure.to_string().lines().count();
    let addr = |name: &str| Addr::new(if name.len().is_multiple_of(2) { 0x7f_0000 } else { 0x7f_1000 });
    // A thread-local variable of state.c, which nothing defines.
    let resolve = &mut |name: &str| (name != "nowhere").then(|| addr(name));
    // Of state.c; what is called is another matter.
    let threads = Tls::Static { resolver: "bump" };
    let dynamic = Tls::Dynamic { module: 7, resolver: Addr::new(0x7f_2000), argument: 7 << 32 };
    let tls = random.one_of(&[threads, threads, threads, dynamic, Tls::Refused]);
    // Nothing runs, so nobody calls a resolver.
    let all = Policy { resolvers: true, ..Policy::ALL };
    let policy = random.one_of(&[
        all,
        all,
        all,
        Policy::NO_RESCUE,
        Policy { landing_pads: true, ..all },
        Policy { erratum_843419: true, ..all },
        Policy { scratch: false, ..all },
        Policy { execute_only: true, tags: Tags::Strip, ..all },
    ]);
    let options = Options { policy, tls, ..Options::default() };
    let Ok(plan) = Plan::new(inputs, &options, storage.lend(), resolve, each(place), report) else {
        assert!(lines > 0, "refused without a word");
        return Outcome::default();
    };
    let segments = plan.segments().to_vec();
    if segments.iter().any(|segment| segment.size() > LARGEST) {
        return Outcome::default();
    }
    let room = |size: u64| vec![UNTOUCHED; size as usize + 2 * GUARD];
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| room(segment.size())).collect();
    let inside = |bytes: &Vec<u8>| GUARD..bytes.len() - GUARD;
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| {
        let inside = inside(bytes);
        Section::new(&mut bytes[inside], segment.addr())
    });
    // Relocations of a changed file may overlap.
    let is_done = plan.commit(&mut sections.collect::<Vec<_>>()).is_ok();
    for bytes in &memory {
        let (before, behind) = (&bytes[..GUARD], &bytes[bytes.len() - GUARD..]);
        assert!(before.iter().chain(behind).all(|&byte| byte == UNTOUCHED), "written out of bounds");
    }
    assert!(plan.symbols().count() <= needs.symbols && plan.slots().count() <= needs.slots);
    assert!(plan.veneers().count() <= needs.veneers && plan.indirect().count() <= needs.symbols);
    if !is_done {
        return Outcome::default();
    }

    let view = |(bytes, addr)| View { addr, bytes };
    let mut views: Vec<View<'_>> = memory
        .iter()
        .map(|bytes| &bytes[inside(bytes)])
        .zip(segments.iter().map(|segment| segment.addr()))
        .map(view)
        .collect();
    views.retain(|view| !view.bytes.is_empty());
    views.sort_by_key(|view| view.addr);
    let got = plan.outputs().iter().filter(|output| output.name() == ".got" && output.size() > 0);
    let got = got.filter_map(|got| views.iter().find_map(|view| view.part(got.addr(), got.size() as usize)));
    let got: Vec<View<'_>> = got.collect();
    let bases: Vec<Addr> = got.iter().map(|view| view.addr).collect();
    let memory = Memory { views: &views, got: &got, bases: &bases, endian: plan.endian() };
    let mut outcome = Outcome { is_done, ..Outcome::default() };
    plan.for_each_emitted(|emitted| {
        let target = Target::new(emitted.reloc, emitted.addr, emitted.addend);
        match memory.check(emitted.place, emitted.reloc, target) {
            Ok(Verdict::Right) => outcome.right += 1,
            Ok(Verdict::Unverified(_)) => {}
            Err(wrong) => {
                assert!(!wrong.to_string().is_empty());
                outcome.wrong += 1;
            }
        }
    });
    outcome
}

/// Judges an image of another linker.
fn image(bytes: &[u8]) -> Outcome {
    let Ok(image) = Image::parse(bytes) else { return Outcome::default() };
    let mut sections: Vec<_> = image.sections().filter_map(Result::ok).collect();
    sections.retain(|(_, view)| !view.bytes.is_empty());
    sections.sort_by_key(|(_, view)| view.addr);
    let views: Vec<View<'_>> = sections.iter().map(|&(_, view)| view).collect();
    let got: Vec<View<'_>> = sections.iter().filter(|(name, _)| *name == ".got").map(|&(_, view)| view).collect();
    let bases: Vec<Addr> = image.bases().chain(got.first().map(|view| view.addr)).take(8).collect();
    let memory = Memory { views: &views, got: &got, bases: &bases, endian: image.endian() };
    let is_read = image.dynamic().all(|dynamic| dynamic.is_ok()) && image.relocations().all(|applied| applied.is_ok());
    let mut wrong = 0;
    let report = &mut |_: &_, found: &aarch64_reloc::verify::Wrong| wrong += found.to_string().lines().count();
    match image.verify(&memory, &mut |_| None, report) {
        Ok(counts) => Outcome { is_done: is_read, right: counts.verified - counts.wrong, wrong },
        Err(_) => Outcome::default(),
    }
}
