//! Each rung of the rescue, taken by the cases of `far/*.s`, and by what each policy is refused.

use crate::linked::{File, Linked, Refusal, files, link};
use crate::{DISTANCES, TEXT};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::link::{Options, Pin, Policy, Rungs, Stranded, Tags};

/// Where everything is put.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub text: u64,
    pub distance: u64,
    pub is_got_far: bool,
}

impl Layout {
    /// Every layout, with the text at this address.
    pub fn all() -> impl Iterator<Item = Self> {
        let both = |distance| [false, true].map(|is_got_far| Self { text: TEXT, distance, is_got_far });
        DISTANCES.into_iter().flat_map(both)
    }

    pub fn far(self) -> u64 {
        self.text + self.distance
    }

    pub fn got(self) -> u64 {
        self.text + if self.is_got_far { 3 * self.distance } else { 2 << 30 }
    }

    /// The pins of those of `names` that there are.
    pub fn pins(self, names: &[&'static str]) -> Vec<Pin<'static>> {
        let places = [
            (".text", self.text),
            // In reach of an island after the text, and not of what comes first there.
            ("beside", self.text + (1 << 27) + 0x1000),
            ("mid", self.text + (64 << 20)),
            ("page", self.text + (1 << 30)),
            ("far", self.far()),
            (".rodata", self.text + 2 * self.distance),
            (".got", self.got()),
        ];
        let there = places.into_iter().filter(|(section, _)| names.contains(section));
        there.map(|(section, addr)| Pin { section, addr: Addr::new(addr) }).collect()
    }

    /// No object defines it; it is the first function in `far`.
    pub fn resolve(self, name: &str) -> Option<Addr> {
        (name == "outside").then_some(Addr::new(self.far()))
    }

    pub fn link(self, set: &Set, policy: Policy) -> Result<Linked, Vec<Refusal>> {
        let files = set.files();
        let pins = self.pins(set.sections);
        // What is not pinned is empty.
        link(&files, &Options { pins: &pins, policy, ..Options::default() }, &|name| self.resolve(name), |_| {
            Ok::<_, ()>(Addr::new(0x1_0000))
        })
    }
}

/// Objects that are linked together with the harness, and the output sections that they have.
pub struct Set {
    pub objects: &'static [&'static str],
    pub sections: &'static [&'static str],
}

pub const ALL: Set = Set {
    objects: &["calls.o", "hops.o", "detours.o", "nothing.o"],
    sections: &[".text", "beside", "mid", "page", "far", ".rodata", ".got"],
};
pub const CALLS: Set = Set { objects: &["calls.o"], sections: &[".text", "beside", "page", "far", ".got"] };

impl Set {
    pub fn files(&self) -> Vec<File> {
        // Last, for its text keeps the island a page away from the calls.
        files("far", &[self.objects, &["harness.o"]].concat())
    }
}

pub const NONE: Policy = Policy { veneers: false, hops: false, detours: false, ..Policy::ALL };

/// Instructions of `detours.o` that do not reach: all but the one that wants the page of a slot, if that is near.
const FAR: usize = 17;

#[test]
fn every_rung_is_taken() {
    for layout in Layout::all() {
        let linked = layout.link(&ALL, Policy::ALL).unwrap_or_else(|refusals| panic!("{layout:?}: {refusals:#?}"));
        let Rungs { veneer, hop, detour, nothing, .. } = linked.summary.rungs;
        // The slot of nothing, too, is far or near.
        let slots = if layout.is_got_far { 2 } else { 0 };
        assert_eq!((veneer, hop, detour, nothing), (10, 7, FAR + slots, 2), "{layout:?}");
    }
}

/// The objects of [`ALL`] with a failure, one for each, in every layout; each must be for this reason, and say so.
fn refused(policy: Policy, why: Stranded, line: &str) -> Vec<(Layout, Vec<String>)> {
    let objects = |layout: Layout| {
        let refusals = layout.link(&ALL, policy).err().unwrap_or_default();
        for refusal in &refusals {
            assert!(refusal.stranded == Some(why) && refusal.line.contains(line), "{layout:?}: {refusal:?}");
        }
        (layout, refusals.into_iter().map(|refusal| refusal.object).collect())
    };
    Layout::all().map(objects).collect()
}

#[test]
fn a_rung_that_is_not_allowed_is_named() {
    let check = |policy: Policy| {
        for (layout, objects) in refused(policy, Stranded::Policy, ", which the policy does not allow") {
            let count = |name: &str| objects.iter().filter(|object| *object == name).count();
            let slot = usize::from(layout.is_got_far);
            let unless = |is_allowed, count| if is_allowed { 0 } else { count };
            assert_eq!(count("calls.o"), unless(policy.veneers, 10), "{policy:?}");
            assert_eq!(count("hops.o"), unless(policy.hops, 7), "{policy:?}");
            assert_eq!(count("detours.o"), unless(policy.detours, FAR + slot), "{policy:?}");
            assert_eq!(count("nothing.o"), unless(policy.detours, slot), "{policy:?}");
        }
    };
    check(NONE);
    check(Policy { veneers: true, ..NONE });
    check(Policy { hops: true, ..NONE });
    check(Policy { detours: true, ..NONE });
}

#[test]
fn without_x16_a_veneer_is_a_branch() {
    let policy = Policy { scratch: false, ..Policy::ALL };
    for (_, objects) in refused(policy, Stranded::Scratch, "the policy does not allow it to use x16") {
        // All but the two calls of what is beside.
        assert_eq!(objects, ["calls.o"; 8]);
    }
}

#[test]
fn each_veneer_has_the_form_of_its_distance() {
    for layout in Layout::all() {
        let linked = layout.link(&CALLS, Policy::ALL).unwrap_or_else(|refusals| panic!("{refusals:#?}"));
        let begins = |name: &str| {
            let [from, jump] = ["bl", "b"].map(|branch| linked.symbol(&format!("{branch}_{name}.return")).plus(-4));
            let veneer = linked.branch(from);
            assert_eq!(veneer, linked.branch(jump), "{name} has one veneer");
            [0, 4, 8].map(|at| linked.word(veneer.at(at)))
        };
        let adrp_x16 = |word: u32| word & 0x9f00_001f == 0x9000_0010;
        let moves_x16 = |word: u32| word & 0xff80_001f == 0xd280_0010;
        let [first, ..] = begins("in_beside");
        assert_eq!(first >> 26, 0b00_0101, "B: {first:#010x}");
        let [first, second, third] = begins("in_page");
        assert!(adrp_x16(first) && second & 0xffc0_03ff == 0x9100_0210 && third == 0xd61f_0200, "{first:#010x}");
        let [first, ..] = begins("in_far");
        assert!(moves_x16(first), "{first:#010x}");
        let [first, second, _] = begins("outside");
        if layout.is_got_far {
            assert!(moves_x16(first), "{first:#010x}");
        } else {
            assert!(adrp_x16(first) && second & 0xffc0_03ff == 0xf940_0210, "{first:#010x} {second:#010x}");
        }
    }
}

#[test]
fn a_function_without_a_landing_pad_is_given_one() {
    const BTI_C: u32 = 0xd503_245f;
    let layout = Layout { text: TEXT, distance: DISTANCES[1], is_got_far: false };
    let linked = layout.link(&CALLS, Policy { landing_pads: true, ..Policy::ALL });
    let linked = linked.unwrap_or_else(|refusals| panic!("{refusals:#?}"));
    assert_eq!(linked.summary.pads, 2);
    let built = |name: &str| linked.built(linked.branch(linked.symbol(&format!("bl_{name}.return")).plus(-4)));
    for name in ["in_page", "in_far"] {
        let (pad, end) = built(name);
        assert_eq!(linked.word(end), 0xd61f_0200, "{name}: BR x16");
        assert_eq!(linked.word(Addr::new(pad)), BTI_C, "{name}");
        assert_eq!(linked.branch(Addr::new(pad + 4)), linked.symbol(name));
    }
    let (landing, _) = built("landing");
    assert_eq!(Addr::new(landing), linked.symbol("landing"));
    assert_eq!(linked.word(Addr::new(landing)), BTI_C);
}

#[test]
fn text_that_cannot_be_read_is_not() {
    let policy = Policy { execute_only: true, ..Policy::ALL };
    let layout = Layout { text: TEXT, distance: DISTANCES[0], is_got_far: true };
    // What the islands do reads none.
    assert!(layout.link(&ALL, policy).is_ok());
    let reads = Set { objects: &["reads.o"], sections: &[".text", "page"] };
    let refusals = layout.link(&reads, policy).err().unwrap();
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].line.contains("has text read, which is execute-only"), "{refusals:?}");
    assert!(layout.link(&reads, Policy::ALL).is_ok());
}

pub const TAGGED: Set = Set { objects: &["tag.o", "tagged.o"], sections: &[".text"] };

#[test]
fn a_tag_is_kept_stripped_or_refused() {
    let layout = Layout { text: TEXT, distance: DISTANCES[0], is_got_far: true };
    let link = |tags| layout.link(&TAGGED, Policy { tags, ..Policy::ALL });
    let detours = |tags| link(tags).unwrap_or_else(|refusals| panic!("{refusals:#?}")).summary.rungs.detour;
    assert_eq!((detours(Tags::Keep), detours(Tags::Strip)), (1, 0));
    let refusals = link(Tags::Refuse).err().unwrap();
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].line.contains("the address 0x5a00000112345678 has a tag (symbol 'tagged')"), "{refusals:?}");
}
