//! The cases of `far/*.s`, run.
//!
//! Each is a few instructions that begin with registers and flags of the test's choice, and tell what they have become: the
//! instruction's own register has changed as it says, and nothing else, but for x16 across a veneer.

use crate::linked::{Linked, load};
use crate::rungs::{ALL, CALLS, Layout, NONE, Set, TAGGED};
use crate::{DISTANCES, TEXT};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::link::{Policy, Tags};
use aarch64_reloc::load::Image;

const HOPS: Set = Set { objects: &["hops.o"], sections: &[".text", "mid"] };
const DETOURS: Set = Set { objects: &["detours.o"], sections: &[".text", ".rodata", ".got"] };

/// What the cases see: x0 to x30; N, Z, C, V in bits 31 to 28, as `MRS` has them; v0 to v31.
#[repr(C)]
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    x: [u64; 31],
    nzcv: u64,
    v: [u128; 32],
}

const _: () = assert!(std::mem::offset_of!(State, nzcv) == 248 && std::mem::offset_of!(State, v) == 256);
const _: () = assert!(size_of::<State>() == 768);

impl State {
    fn random(seed: u64, nzcv: u64) -> Self {
        let mut state = seed;
        // splitmix64
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        };
        let x = std::array::from_fn(|_| next());
        let v = std::array::from_fn(|_| u128::from(next()) << 64 | u128::from(next()));
        Self { x, nzcv: nzcv << 28, v }
    }

    fn flag(&self, bit: u32) -> bool {
        self.nzcv >> bit & 1 == 1
    }

    /// `ADDS` or `ADCS`: the sum, and the flags.
    fn add(&mut self, a: u64, b: u64, carry: bool) -> u64 {
        let (unsigned, one) = a.overflowing_add(b);
        let (sum, other) = unsigned.overflowing_add(carry.into());
        let exact = i128::from(a.cast_signed()) + i128::from(b.cast_signed()) + i128::from(carry);
        let flags = [sum >> 63 == 1, sum == 0, one || other, exact != i128::from(sum.cast_signed())];
        self.nzcv = flags.into_iter().fold(0, |flags, flag| flags << 1 | u64::from(flag)) << 28;
        sum
    }
}

/// What a case makes of a state.
type Effect<'a> = &'a dyn Fn(&mut State);

/// A link that is loaded, and its twin, whose bytes can be read.
struct Loaded {
    image: Image,
    linked: Linked,
    layout: Layout,
}

impl Loaded {
    fn new(set: &Set, policy: Policy, layout: Layout) -> Self {
        let files = set.files();
        let layouts = (0..64).map(|nth| Layout { text: layout.text + (nth << 28), ..layout });
        let pins = |layout: &Layout| layout.pins(set.sections);
        let (image, layout) = load(&files, policy, layouts, pins, |layout, name| layout.resolve(name));
        let linked = layout.link(set, policy).unwrap_or_else(|refusals| panic!("{refusals:#?}"));
        assert_eq!(image.summary(), linked.summary);
        Self { image, linked, layout }
    }

    /// Runs the case `name` from many states, each of which must become what `effect` makes of it.
    fn run(&self, name: &str, effect: Effect<'_>) {
        let entry = self.image.symbol(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(entry, self.linked.symbol(name));
        // SAFETY: such a function is there, and the image outlives it.
        let case: extern "C" fn(*mut State) = unsafe { self.image.function(entry) }.unwrap();
        for seed in 0..64 {
            let mut before = State::random(seed, seed % 16);
            // A test for zero finds one, or in one half, or none.
            before.x[3] &= [0, 0xffff_ffff << 32, u64::MAX, u64::MAX][seed as usize / 16];
            let (mut expected, mut state) = (before.clone(), before.clone());
            case(&mut state);
            effect(&mut expected);
            assert_eq!(state, expected, "{name} from {before:?} in {:?}", self.layout);
        }
    }

    /// `through` is what x16 gets, if anything.
    fn call(&self, name: &str, adds: u64, through: Option<u64>) {
        for branch in ["bl", "b"] {
            let case = format!("{branch}_{name}");
            let back = self.linked.symbol(&format!("{case}.return")).get();
            self.run(&case, &|state| {
                state.x[0] = state.x[0].wrapping_add(adds);
                state.x[30] = back;
                state.x[16] = through.unwrap_or(state.x[16]);
            });
        }
    }

    fn calls(&self) {
        let at = |name: &str| self.linked.symbol(name).get();
        // The function, or its landing pad.
        let entry = |name: &str| {
            let veneer = self.linked.branch(self.linked.symbol(&format!("bl_{name}.return")).plus(-4));
            let (built, _) = self.linked.built(veneer);
            assert_eq!(built == at(name), self.linked.summary.pads == 0, "{name}");
            built
        };
        self.call("in_beside", 1, None);
        self.call("in_page", 2, Some(entry("in_page")));
        self.call("in_far", 3, Some(entry("in_far")));
        self.call("landing", 4, Some(at("landing")));
        self.call("outside", 3, Some(self.layout.far()));
    }

    fn hops(&self) {
        let hop = |name: &str, is_taken: fn(&State) -> bool| {
            self.run(name, &|state| {
                state.x[1] = state.x[1].wrapping_add(if is_taken(state) { 16 } else { 1 });
            });
        };
        hop("hop_eq", |state| state.flag(30));
        hop("hop_lt", |state| state.flag(31) != state.flag(28));
        hop("hop_cbz", |state| state.x[3] == 0);
        hop("hop_cbz_w", |state| state.x[3] as u32 == 0);
        hop("hop_cbnz", |state| state.x[3] != 0);
        hop("hop_tbz", |state| state.x[3] >> 5 & 1 == 0);
        hop("hop_tbnz", |state| state.x[3] >> 40 & 1 == 1);
    }

    fn detours(&self) {
        const NUMBER: u64 = 0x8123_4567_89ab_cdef;
        let number = self.linked.symbol("number").get();
        let page = number & !0xfff;
        assert_eq!(self.linked.long(Addr::new(number)), NUMBER);
        self.run("adrp_add", &|state| state.x[1] = number + 0x1000);
        self.run("adrp_ldr", &|state| (state.x[1], state.x[2]) = (page, NUMBER));
        self.run("adrp_alone", &|state| [0, 16, 17, 18, 29, 30].into_iter().for_each(|nth| state.x[nth] = page));
        self.run("adr", &|state| state.x[6] = number + 3);
        self.run("literals", &|state| {
            let [low, high] = [NUMBER as u32, (NUMBER >> 32) as u32];
            let signed = |word: u32| i64::from(word.cast_signed()).cast_unsigned();
            state.x[7..12].copy_from_slice(&[NUMBER, low.into(), signed(low), high.into(), signed(high)]);
        });
        self.run("got", &|state| (state.x[12], state.x[13]) = (self.layout.got() & !0xfff, number));
        self.run("got_literal", &|state| state.x[14] = number);
        self.run("between_flags", &|state| {
            let [_, a, b, ..] = state.x;
            state.x[4] = state.add(a, b, false);
            state.x[3] = page;
            let carry = state.flag(29);
            state.x[5] = state.add(a, b, carry);
        });
        self.run("branched_to", &|state| {
            state.x[1] = state.x[1].wrapping_add(state.x[0] & 1);
            state.x[2] = page;
        });
    }

    fn nothing(&self) {
        let back = self.linked.symbol("bl_nowhere.return").get();
        self.run("bl_nowhere", &|state| state.x[30] = back);
        self.run("branches_nowhere", &|_| {});
        self.run("address_nowhere", &|state| state.x[1..4].fill(0));
    }
}

#[test]
fn nothing_but_its_own_register_changes_on_any_rung() {
    for layout in Layout::all() {
        let loaded = Loaded::new(&ALL, Policy::ALL, layout);
        loaded.calls();
        loaded.hops();
        loaded.detours();
        loaded.nothing();
    }
}

#[test]
fn each_rung_runs_alone() {
    for layout in Layout::all() {
        Loaded::new(&CALLS, Policy { veneers: true, ..NONE }, layout).calls();
        Loaded::new(&HOPS, Policy { hops: true, ..NONE }, layout).hops();
        // No detour reads text.
        Loaded::new(&DETOURS, Policy { detours: true, execute_only: true, ..NONE }, layout).detours();
    }
}

#[test]
fn calls_go_through_landing_pads() {
    for layout in Layout::all() {
        let loaded = Loaded::new(&CALLS, Policy { landing_pads: true, ..Policy::ALL }, layout);
        assert_eq!(loaded.linked.summary.pads, 2);
        loaded.calls();
    }
}

#[test]
fn what_needs_no_x16_leaves_it() {
    let layout = Layout { text: TEXT, distance: DISTANCES[0], is_got_far: true };
    let policy = Policy { scratch: false, ..Policy::ALL };
    Loaded::new(&HOPS, policy, layout).hops();
    Loaded::new(&DETOURS, policy, layout).detours();
}

#[test]
fn a_tag_is_there_or_not() {
    let layout = Layout { text: TEXT, distance: DISTANCES[0], is_got_far: true };
    let run = |tags, addr| {
        let loaded = Loaded::new(&TAGGED, Policy { tags, ..Policy::ALL }, layout);
        loaded.run("to_tagged", &|state| state.x[0] = addr);
    };
    run(Tags::Keep, 0x5a00_0001_1234_5678);
    run(Tags::Strip, 0x0000_0001_1234_5678);
}
