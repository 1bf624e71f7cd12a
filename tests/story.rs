//! The failure that this crate is for, and what its users do, on made-up addresses: no memory is mapped.
//!
//! A JIT maps text, GOT and data apart. LLVM's RuntimeDyld truncates the immediate of an `ADRP` that no longer reaches and
//! the program jumps into nowhere (LLVM issue 173269).

use aarch64_reloc::arena::{Arena, Block, PageSize, Prot};
use aarch64_reloc::got::{Entry, Kind};
use aarch64_reloc::insn::{Reg, add, adrp, bl, ldr};
use aarch64_reloc::veneer::{Cell, Form, Occupant, Veneer};
use aarch64_reloc::{Addr, Fixup, Got, Island, PatchError, Reason, Reloc, Section, Symbol, Value};

const GIB: u64 = 1 << 30;

/// Where what the object refers to lies, and the object itself.
struct Places {
    text: Addr,
    got: Addr,
    data: Addr,
}

/// The object: it loads the address of `CALLBACK` from the GOT, and computes that of its data.
fn object() -> [u8; 16] {
    let (x0, x1) = (Reg::X0, Reg::new(1));
    bytes([adrp(x0), ldr(x0, x0), adrp(x1), add(x1, x1)])
}

const CALLBACK: (Symbol, Addr) = (Symbol::new(1), Addr::new(0xffff_8000_1234_5678));

fn bytes<const N: usize, const B: usize>(words: [u32; N]) -> [u8; B] {
    let mut bytes = [0; B];
    for (place, word) in bytes.chunks_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The relocations of the object.
fn fixups(places: &Places) -> (Got<[Entry; 4]>, [Fixup; 4]) {
    let mut got = Got::new([Entry::default(); 4], places.got).unwrap();
    let (symbol, callback) = CALLBACK;
    let slot = got.slot_for(symbol, callback).unwrap();
    let fixups = [
        Fixup::new(0, Reloc::ADR_GOT_PAGE, slot),
        Fixup::new(4, Reloc::LD64_GOT_LO12_NC, slot),
        Fixup::new(8, Reloc::ADR_PREL_PG_HI21, places.data),
        Fixup::new(12, Reloc::ADD_ABS_LO12_NC, places.data),
    ];
    (got, fixups)
}

/// The address that an `ADRP` at `offset` and the instruction after it make, by their own bits.
fn made(text: &Section<'_>, offset: usize, page: Reloc, low: Reloc) -> Addr {
    let pages = text.read(offset, page).unwrap();
    text.addr().at(offset).page().plus(pages).plus(text.read(offset + 4, low).unwrap())
}

/// What the loaded object finds at `addr`.
fn loaded(section: &Section<'_>, addr: Addr) -> Addr {
    let offset = usize::try_from(addr.distance_from(section.addr())).unwrap();
    Addr::new(u64::from_le_bytes(section.bytes()[offset..offset + 8].try_into().unwrap()))
}

/// Links the object at `places`, and reads from its words what they reach.
fn link_and_follow(places: &Places) {
    let (got, fixups) = fixups(places);
    let mut code = object();
    let mut text = Section::new(&mut code, places.text);
    text.patch_all(&fixups).unwrap();
    assert_eq!(made(&text, 8, Reloc::ADR_PREL_PG_HI21, Reloc::ADD_ABS_LO12_NC), places.data);

    let mut table = [0; 32];
    let mut table = Section::new(&mut table, places.got);
    got.write(&mut table).unwrap();
    let slot = made(&text, 0, Reloc::ADR_GOT_PAGE, Reloc::LD64_GOT_LO12_NC);
    assert_eq!(loaded(&table, slot), CALLBACK.1);
}

#[test]
fn a_got_5_gib_from_its_text_is_an_error() {
    let text = Addr::new(0x7f00_0000_0000);
    for (got, display) in [
        (
            text.plus(5 << 30),
            "R_AARCH64_ADR_GOT_PAGE at 0x7f0000000000: GOT page 0x7f0140000000 is +0x140000000 bytes away, \
             outside -0x100000000..=+0xfffff000; needs a detour",
        ),
        (
            text.plus(-5 << 30),
            "R_AARCH64_ADR_GOT_PAGE at 0x7f0000000000: GOT page 0x7efec0000000 is -0x140000000 bytes away, \
             outside -0x100000000..=+0xfffff000; needs a detour",
        ),
    ] {
        let places = Places { text, got, data: text.plus(0x1_2348) };
        let (ledger, fixups) = fixups(&places);
        let expected = PatchError {
            reloc: Reloc::ADR_GOT_PAGE,
            place: text,
            value: Some(Value::Slot(ledger.get(CALLBACK.0, Kind::Gdat).unwrap())),
            reason: Reason::OutOfRange { x: got.distance_from(text) },
        };

        let mut code = object();
        let mut section = Section::new(&mut code, text);
        let failures: Vec<_> = section.check_all(&fixups).unwrap_err().collect();
        assert_eq!(failures, [expected]);
        assert_eq!(failures[0].to_string(), display);
        assert_eq!(section.bytes(), object());

        // Patched nevertheless, it keeps the word that was refused: no bit of it is truncated.
        let failures = section.patch_all(&fixups).unwrap_err();
        assert_eq!(failures.to_string(), display);
        assert_eq!(section.bytes()[..4], object()[..4]);
        assert_eq!(made(&section, 8, Reloc::ADR_PREL_PG_HI21, Reloc::ADD_ABS_LO12_NC), places.data);
    }
}

#[test]
fn in_one_arena_the_same_object_links() {
    assert!(Reloc::ADR_GOT_PAGE.reach().spans(4 * GIB));
    for base in [0, 0x7f00_0000_0000, 0xffff_8000_0000_0000, (4 * GIB).wrapping_neg()] {
        let mut arena = Arena::new([Block::EMPTY; 8], Addr::new(base), 4 * GIB, PageSize::K4).unwrap();
        let low = arena.alloc(Prot::ReadExec, 16).unwrap();
        let filler = arena.alloc(Prot::Read, 4 * GIB - 3 * Addr::PAGE).unwrap();
        let middle = arena.alloc(Prot::Read, 32).unwrap();
        let high = arena.alloc(Prot::ReadWrite, 32).unwrap();
        assert_eq!(high.addr().distance_from(filler.addr()).cast_unsigned(), filler.len() + Addr::PAGE);
        assert_eq!(arena.free_bytes(), 0);

        // Each as far from the others as the arena goes, in either direction.
        let (low, middle, high) = (low.addr(), middle.addr().plus(0xff0), high.addr().plus(0xfe0));
        link_and_follow(&Places { text: low, got: high, data: middle });
        link_and_follow(&Places { text: low, got: middle.plus(-0xff0), data: high.plus(0x1f) });
        link_and_follow(&Places { text: high, got: low, data: middle });
        link_and_follow(&Places { text: middle, got: low, data: high });
    }
}

/// Story 1: patch a pair, with an error on overflow.
#[test]
fn a_pair_is_patched() {
    let mut code: [u8; 8] = bytes([adrp(Reg::X0), add(Reg::X0, Reg::X0)]);
    let mut text = Section::new(&mut code, Addr::new(0x40_0000));
    let table = Addr::new(0x41_2345);
    text.patch(0, Reloc::ADR_PREL_PG_HI21, table).unwrap();
    text.patch(4, Reloc::ADD_ABS_LO12_NC, table).unwrap();
    assert_eq!(made(&text, 0, Reloc::ADR_PREL_PG_HI21, Reloc::ADD_ABS_LO12_NC), table);

    let far = Addr::new(0x1_0040_0000);
    let error = text.patch(0, Reloc::ADR_PREL_PG_HI21, far).unwrap_err();
    assert_eq!(error.reason, Reason::OutOfRange { x: 0x1_0000_0000 });
    assert_eq!(made(&text, 0, Reloc::ADR_PREL_PG_HI21, Reloc::ADD_ABS_LO12_NC), table);
    text.patch(0, Reloc::ADR_PREL_PG_HI21, far.plus(-1)).unwrap();
}

/// Story 2: a GOT slot and a veneer for a far call, and neither for a near one.
#[test]
fn a_far_call_goes_through_a_veneer() {
    let text = Addr::new(0x40_0000);
    for (puts, rescued) in [
        (text.plus(0x7ff_fffc), false),
        (text.plus(-0x800_0000), false),
        (text.plus(0x800_0000), true),
        (text.plus(-0x800_0004), true),
        (Addr::new(0x7fff_0000_1000), true),
    ] {
        let mut code: [u8; 4] = bytes([bl()]);
        let mut text = Section::new(&mut code, text);
        let mut got = Got::new([Entry::default(); 4], Addr::new(0x42_0000)).unwrap();
        let mut island = Island::new([Cell::default(); 4], Addr::new(0x41_0000)).unwrap();
        let symbol = Symbol::new(7);
        let target = if text.reaches(0, Reloc::CALL26, puts) {
            puts
        } else {
            island.veneer_for(got.slot_for(symbol, puts).unwrap()).unwrap()
        };
        text.patch(0, Reloc::CALL26, target).unwrap();
        assert_eq!((got.len(), island.len()), (rescued.into(), rescued.into()));

        let called = text.addr().plus(text.read(0, Reloc::CALL26).unwrap());
        if !rescued {
            assert_eq!(called, puts);
            continue;
        }
        let (mut veneers, mut table) = ([0; 64], [0; 32]);
        let mut veneers = Section::new(&mut veneers, island.base());
        let mut table = Section::new(&mut table, got.base());
        island.write(&mut veneers).unwrap();
        got.write(&mut table).unwrap();
        assert_eq!(island.iter().filter_map(Occupant::veneer).map(Veneer::form).collect::<Vec<_>>(), [Form::Slot]);
        let offset = usize::try_from(called.distance_from(island.base())).unwrap();
        let slot = made(&veneers, offset, Reloc::ADR_GOT_PAGE, Reloc::LD64_GOT_LO12_NC);
        assert_eq!(loaded(&table, slot), puts);

        // The symbol is re-pointed by its slot alone.
        let other = Addr::new(0x5555_0000_2000);
        assert_eq!(got.repoint(symbol, other).map(|slot| slot.addr()), Some(slot));
        got.write(&mut table).unwrap();
        assert_eq!(loaded(&table, slot), other);
    }
}
