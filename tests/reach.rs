//! Room to move: exactly where every fixup can be applied, and nowhere else.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::patch::{Fixup, Room};
use aarch64_reloc::reloc::{Class, Reloc, Slot, Value};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const GIB: i64 = 1 << 30;

/// One instruction of every sort that has a relocation, and as many bytes of data (Arm ARM C4.1).
const WORDS: [u32; 31] = [
    0x1000_0000, // adr
    0x9000_0000, // adrp
    0x9100_0000, // add
    0x9140_0000, // add, lsl #12
    0x3940_0000, // ldrb
    0x7940_0000, // ldrh
    0xb940_0000, // ldr w
    0xf940_0000, // ldr x
    0x3dc0_0000, // ldr q
    0x5800_0000, // ldr x, literal
    0x5400_0000, // b.eq
    0x3600_0000, // tbz
    0x1400_0000, // b
    0x9400_0000, // bl
    0xd63f_0000, // blr
    0xd280_0000, // movz
    0xd2a0_0000, // movz, lsl #16
    0xd2c0_0000, // movz, lsl #32
    0xd2e0_0000, // movz, lsl #48
    0x9280_0000, // movn
    0x92a0_0000, // movn, lsl #16
    0x92c0_0000, // movn, lsl #32
    0x92e0_0000, // movn, lsl #48
    0xf280_0000, // movk
    0xf2a0_0000, // movk, lsl #16
    0xf2c0_0000, // movk, lsl #32
    0xf2e0_0000, // movk, lsl #48
    0x5280_0000, // movz w
    0x52a0_0000, // movz w, lsl #16
    0x1100_0000, // add w
    0xd503_201f, // nop
];

/// Whether `fixup` can be applied in a section at `addr`, when its value has moved by `distance`.
fn applies(fixup: &Fixup, addr: Addr, distance: i64) -> bool {
    let (reloc, value) = (fixup.reloc(), moved(fixup.value(), distance));
    let word = WORDS.into_iter().find(|&word| reloc.read(word.into(), Addr::new(0)).is_ok());
    word.is_some_and(|word| reloc.apply(word.into(), addr.at(fixup.offset()), value).is_ok())
}

fn moved(value: Value, distance: i64) -> Value {
    match value {
        Value::Addr(addr) => Value::Addr(addr.plus(distance)),
        Value::Slot(slot) => Value::Slot(slot.plus(distance)),
        Value::Offset(offset) => Value::Offset(offset),
    }
}

/// A slot at `addr`.
fn slot(addr: Addr) -> Slot {
    let slot = Got::new([Entry::default(); 1], Addr::new(0)).unwrap().slot_for(Symbol::new(0), addr).unwrap();
    slot.plus(addr.distance_from(slot.addr()))
}

/// A section and what is recorded of it.
#[derive(Clone, Debug)]
struct Case {
    addr: Addr,
    fixups: Vec<Fixup>,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        // Everything about one place and one target, as between two segments: else there is seldom any room.
        let addr = Addr::new(near(g, &[0, 1 << 32, 1 << 47, 1 << 63, u64::MAX]) & if chance(g, 8) { !0 } else { !7 });
        let span = near(g, &[0, 1 << 15, 1 << 20, 1 << 27, 1 << 31, 1 << 32, 1 << 33, 1 << 48, 1 << 63]);
        let target =
            if bool::arbitrary(g) { addr.at(span as usize) } else { addr.plus(span.cast_signed().wrapping_neg()) };
        let target = Addr::new(target.get() & if chance(g, 8) { !0 } else { !15 });
        let fixups = (0..u8::arbitrary(g) % 4).map(|_| {
            let reloc = *g.choose(Reloc::ALL).unwrap();
            let small = u64::from(u8::arbitrary(g)) & if chance(g, 8) { !0 } else { !15 };
            let value =
                if reloc.is_pc_relative() || bool::arbitrary(g) { target.at(small as usize) } else { Addr::new(small) };
            let value = match (reloc.takes(), chance(g, 32)) {
                (Class::Addr | Class::Any, false) | (Class::Offset, true) => Value::Addr(value),
                (Class::Slot, false) => Value::Slot(slot(value)),
                _ => Value::Offset(value.get().cast_signed()),
            };
            Fixup::new(u32::from(u8::arbitrary(g)) & if chance(g, 8) { !0 } else { !7 }, reloc, value)
        });
        let fixups = fixups.collect();
        Self { addr, fixups }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let case = self.clone();
        Box::new((0..self.fixups.len()).map(move |index| {
            let mut case = case.clone();
            case.fixups.remove(index);
            case
        }))
    }
}

/// Once in `of` times.
fn chance(g: &mut Gen, of: u8) -> bool {
    u8::arbitrary(g) % of == 0
}

/// One of `landmarks`, or a little beside it.
fn near(g: &mut Gen, landmarks: &[u64]) -> u64 {
    g.choose(landmarks).unwrap().wrapping_add_signed(i16::arbitrary(g).into())
}

impl Case {
    /// Distances beside those where a fixup begins or ceases to reach, by the byte and by the page.
    fn distances(&self) -> Vec<i64> {
        let mut found = vec![0, i64::MIN, i64::MAX];
        for fixup in &self.fixups {
            let (reloc, place) = (fixup.reloc(), self.addr.at(fixup.offset()));
            let Some(x) = reloc.x(place, fixup.value()) else { continue };
            let in_page = place.distance_from(place.page());
            for end in [*reloc.bounds().start(), *reloc.bounds().end()] {
                // The target moves up, or the place down; a page begins and ends elsewhere than at the place.
                for edge in [end.wrapping_sub(x), x.wrapping_sub(end), x.wrapping_sub(end).wrapping_sub(in_page)] {
                    let beside = [-4096, 0, 4096].into_iter().flat_map(|page| (-8..=8).map(move |byte| page + byte));
                    found.extend(beside.map(|step: i64| edge.wrapping_add(step)));
                }
            }
        }
        found
    }

    fn fits(&self, distance: i64) -> bool {
        self.fixups.iter().all(|fixup| applies(fixup, self.addr.plus(distance), 0))
    }

    fn targets_fit(&self, distance: i64) -> bool {
        distance & 0xfff == 0 && self.fixups.iter().all(|fixup| applies(fixup, self.addr, distance))
    }
}

/// Whether `room` has what `fits` at `distances` and at its own ends, and nothing else.
fn is_exact(room: Option<Room>, distances: Vec<i64>, fits: impl Fn(i64) -> bool) -> bool {
    let ends = room.into_iter().flat_map(|room| {
        let step = room.step().cast_signed();
        let (first, last) = (room.first(), room.last());
        [
            first,
            first.wrapping_sub(step),
            first.wrapping_add(step),
            last,
            last.wrapping_sub(step),
            last.wrapping_add(step),
        ]
    });
    let ends: Vec<_> = ends.collect();
    let contains = |distance| room.is_some_and(|room| room.contains(distance));
    let named = room.is_none_or(|room| contains(room.first()) && contains(room.last()));
    named && ends.into_iter().chain(distances).all(|distance| contains(distance) == fits(distance))
}

#[test]
fn a_section_has_the_room_in_which_everything_applies() {
    fn law(case: Case) -> bool {
        is_exact(Room::of_section(case.addr, &case.fixups), case.distances(), |distance| case.fits(distance))
    }
    QuickCheck::new().tests(2000).quickcheck(law as fn(Case) -> bool);
}

#[test]
fn targets_have_the_room_in_which_everything_applies() {
    fn law(case: Case) -> bool {
        is_exact(Room::of_targets(case.addr, &case.fixups), case.distances(), |distance| case.targets_fit(distance))
    }
    QuickCheck::new().tests(2000).quickcheck(law as fn(Case) -> bool);
}

#[test]
fn the_cases_have_room_and_have_none() {
    let mut g = Gen::new(100);
    let rooms: Vec<_> =
        (0..1000).map(|_| Case::arbitrary(&mut g)).map(|case| Room::of_section(case.addr, &case.fixups)).collect();
    let span = |room: &Room| room.last().wrapping_sub(room.first()).cast_unsigned();
    let bounded = rooms.iter().flatten().filter(|room| span(room) <= 1 << 33).count();
    let none = rooms.iter().filter(|room| room.is_none()).count();
    assert!(bounded > 100 && none > 100, "{bounded} bounded, {none} none");
}

#[test]
fn sections_that_move_together_have_the_room_of_both() {
    fn law(one: Case, other: Case) -> bool {
        let both = Room::of_section(one.addr, &one.fixups)
            .and_then(|room| room.and(Room::of_section(other.addr, &other.fixups)?));
        let distances = one.distances().into_iter().chain(other.distances()).collect();
        is_exact(both, distances, |distance| one.fits(distance) && other.fits(distance))
    }
    QuickCheck::new().tests(500).quickcheck(law as fn(Case, Case) -> bool);
}

/// The ends of the room of a section with `fixups` at `addr`.
fn section(addr: u64, fixups: &[Fixup]) -> Option<(i64, i64, u64)> {
    Room::of_section(Addr::new(addr), fixups).map(|room| (room.first(), room.last(), room.step()))
}

fn targets(addr: u64, fixups: &[Fixup]) -> Option<(i64, i64, u64)> {
    Room::of_targets(Addr::new(addr), fixups).map(|room| (room.first(), room.last(), room.step()))
}

/// SEMANTICS of `ADRP`: the legal `X` are -2^32 to 2^32 - 4096, and raw distance is not the criterion.
#[test]
fn adrp_is_exact_about_pages() {
    let page = |target| [Fixup::new(0, Reloc::ADR_PREL_PG_HI21, Addr::new(target))];
    assert_eq!(targets(0x1000, &page(0x1000)), Some((-4 * GIB, 4 * GIB - 4096, 4096)));
    // Encodable at a distance of -(2^32 + 0xffc), not at one of 2^32 - 0xffc.
    let at = |target| Room::of_section(Addr::new(0x1_0000_0ffc), &page(target)).unwrap();
    assert!(at(0).contains(0) && !at(0).contains(4));
    assert!(!at(0x2_0000_0000).contains(0) && at(0x2_0000_0000).contains(4));
    // Wherever the place lies: -2^32 to 2^32 - 4093, and no byte more.
    for (target, fits) in
        [(0x2_0000_0000, true), (0x2_0000_0000 - 1, false), (0x3_ffff_f003, true), (0x3_ffff_f004, false)]
    {
        let all = (0x3_0000_0000..0x3_0000_1000_u64).step_by(4).all(|place| {
            let target = target + (place - 0x3_0000_0000);
            Room::of_section(Addr::new(place), &page(target)).unwrap().contains(0)
        });
        assert_eq!(all, fits, "{target:#x}");
    }
}

#[test]
fn room_goes_round_the_end_of_the_address_space() {
    let page = [Fixup::new(0, Reloc::ADR_PREL_PG_HI21, Addr::new(0))];
    assert_eq!(section(0, &page), Some((-4 * GIB + 4096, 4 * GIB + 0xffc, 4)));
    let call = [Fixup::new(8, Reloc::CALL26, Addr::new(0))];
    assert_eq!(section(0, &call), Some((-(1 << 27) - 4, (1 << 27) - 8, 4)));
    // The far side, where the sign of the distance turns.
    let far = [Fixup::new(0, Reloc::CALL26, Addr::new(1 << 63))];
    let room = Room::of_section(Addr::new(0), &far).unwrap();
    assert!(room.last() < room.first());
    assert!(room.contains(i64::MIN) && room.contains(i64::MAX - 3) && !room.contains(0) && !room.contains(i64::MAX));
}

#[test]
fn the_narrowest_decides_and_all_must_meet() {
    let target = Addr::new(0x10_0000);
    let both = [Fixup::new(0, Reloc::TSTBR14, target), Fixup::new(0x4000, Reloc::ADR_PREL_PG_HI21, target)];
    assert_eq!(section(0x10_0000, &both), Some((-32764, 32768, 4)));
    // Two tests of a bit in one section, of targets 64 KiB apart: one place too many.
    let pair = |apart| [Fixup::new(0, Reloc::TSTBR14, target), Fixup::new(0, Reloc::TSTBR14, target.plus(apart))];
    assert_eq!(section(0x10_0000, &pair(65532)), Some((32768, 32768, 4)));
    assert_eq!(section(0x10_0000, &pair(65536)), None);
}

#[test]
fn steps_meet_or_leave_nothing() {
    let pointer = |offset| Fixup::new(offset, Reloc::FUNCINIT64, Addr::new(0x1000));
    let word = |offset| Fixup::new(offset, Reloc::PATCHINST, Addr::new(0));
    assert_eq!(
        Room::of_section(Addr::new(4), &[pointer(0)]).map(|room| (room.contains(4), room.contains(8))),
        Some((true, false))
    );
    assert!(Room::of_section(Addr::new(0), &[pointer(4), word(0)]).unwrap().contains(4));
    assert_eq!(section(0, &[pointer(4), pointer(0)]), None);
    assert_eq!(section(0, &[word(0), word(2)]), None);
}

#[test]
fn nothing_is_in_the_way_of_no_fixup() {
    assert_eq!(section(0x1234, &[]), Some((0, -1, 1)));
    assert_eq!(targets(0x1234, &[]), Some((0, -4096, 4096)));
}

#[test]
fn what_fits_no_place_has_no_room() {
    let never = [
        Fixup::new(0, Reloc::ABS32, Addr::new(1 << 32)),
        Fixup::new(0, Reloc::ADR_GOT_PAGE, Addr::new(0)),
        Fixup::new(0, Reloc::LDST64_ABS_LO12_NC, Addr::new(4)),
        Fixup::new(0, Reloc::CALL26, Addr::new(2)),
        Fixup::new(0, Reloc::AUTH_ABS64, Addr::new(0)),
        Fixup::new(0, Reloc::TLSLE_ADD_TPREL_LO12, Value::Offset(4096)),
    ];
    for fixup in never {
        assert_eq!(section(0, &[fixup]), None, "{fixup:?}");
    }
    // An absolute value comes into range as its target moves.
    assert_eq!(targets(0, &never[..1]), Some((-6 * GIB, -4096, 4096)));
    for fixup in &never[1..] {
        assert_eq!(targets(0, &[*fixup]), None, "{fixup:?}");
    }
}
