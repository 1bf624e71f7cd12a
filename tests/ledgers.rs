//! The laws of the ledgers: a GOT against a map, and an island against a small machine that runs its veneers.

use aarch64_reloc::addr::{Addr, Misaligned};
use aarch64_reloc::got::{Content, Entry, Full, Got, Kind, Symbol};
use aarch64_reloc::insn;
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::reloc::{Reason, Reloc, Remedy, Slot, Value};
use aarch64_reloc::veneer::{Callee, Cell, Detour, Form, Island, NoDetour, Occupant, Purpose, Veneer, VeneerError};
use quickcheck::quickcheck;
use std::collections::HashMap;

const GOT: Addr = Addr::new(0x42_0000);

fn got<const N: usize>() -> Got<[Entry; N]> {
    Got::new([Entry::default(); N], GOT).unwrap()
}

fn symbol(number: u64) -> Symbol {
    Symbol::new(number)
}

/// The words of a content and how many, by AAELF64 "Relocation operations".
fn words(content: Content) -> Vec<u64> {
    match content {
        Content::Gdat(addr) => vec![addr.get()],
        Content::Gtprel(offset) => vec![offset as u64],
        Content::Gtlsidx { module, offset } => vec![module, offset as u64],
        Content::Gldm { module } => vec![module, 0],
        Content::Gtlsdesc { resolver, argument } => vec![resolver.get(), argument],
    }
}

fn content(kind: u8, number: u64) -> Content {
    match kind % 6 {
        0 | 1 => Content::Gdat(Addr::new(number)),
        2 => Content::Gtprel(!number as i64),
        3 => Content::Gtlsidx { module: number, offset: -1 },
        4 => Content::Gldm { module: number | 1 },
        _ => Content::Gtlsdesc { resolver: Addr::new(number), argument: 7 },
    }
}

/// Whether a table over `storage` answers `ops` as a map does, and writes what the map holds.
fn agrees_with_a_map<T: AsRef<[Entry]> + AsMut<[Entry]>>(storage: T, ops: &[(u8, u8, u64)]) -> bool {
    let mut got = Got::new(storage, GOT).unwrap();
    let mut model = HashMap::<(Symbol, Kind), (Slot, Content)>::new();
    for &(op, name, number) in ops {
        let (symbol, content) = (symbol(u64::from(name % 8)), content(name / 8, number));
        let key = (symbol, content.kind());
        let known = model.get(&key).map(|&(slot, _)| slot);
        if got.get(symbol, content.kind()) != known {
            return false;
        }
        match op % 4 {
            0 => {
                if got.remove(symbol, content.kind()) != model.remove(&key).map(|(slot, _)| slot) {
                    return false;
                }
            }
            1 => {
                if got.repoint(symbol, content) != known {
                    return false;
                }
                model.entry(key).and_modify(|(_, old)| *old = content);
            }
            _ => match (got.slot_for(symbol, content), known) {
                (Ok(slot), known) => {
                    if known.is_some_and(|known| known != slot) {
                        return false;
                    }
                    model.entry(key).or_insert((slot, content));
                }
                (Err(full), known) => {
                    let wanted = words(content).len();
                    if known.is_some() || full.used != got.len() || (wanted == 1 && full.used < full.capacity) {
                        return false;
                    }
                }
            },
        }
    }

    let mut image = HashMap::<u64, u64>::new();
    for &(slot, content) in model.values() {
        for (address, word) in (slot.addr().get()..).step_by(8).zip(words(content)) {
            if image.insert(address, word).is_some() {
                return false;
            }
        }
    }
    let mut listed = model.iter().map(|(&(symbol, _), &(slot, content))| (symbol, slot, content)).collect::<Vec<_>>();
    listed.sort_by_key(|&(_, slot, _)| slot);

    let mut bytes = vec![0xa5; got.size()];
    got.write(&mut Section::new(&mut bytes, GOT)).unwrap();
    let written = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    listed == got.iter().collect::<Vec<_>>()
        && got.len() == image.len()
        && got.size() <= got.capacity() * 8
        && image.keys().all(|address| address - GOT.get() < got.size() as u64)
        && (GOT.get()..)
            .step_by(8)
            .zip(written)
            .all(|(address, word)| word == image.get(&address).copied().unwrap_or(0))
}

quickcheck! {
    fn a_got_is_a_map(ops: Vec<(u8, u8, u64)>) -> bool {
        let mut slice = [Entry::default(); 13];
        agrees_with_a_map([Entry::default(); 13], &ops)
            && agrees_with_a_map(&mut slice[..], &ops)
            && agrees_with_a_map(heapless::Vec::<Entry, 16>::from_slice(&slice).unwrap(), &ops)
            && agrees_with_a_map(vec![Entry::default(); 40], &ops)
    }
}

#[test]
fn a_slot_tells_whose_entry_begins_there() {
    let mut got = Got::new([Entry::default(); 8], Addr::new(0x1000)).unwrap();
    let (one, two) = (Symbol::new(1), Symbol::new(2));
    let pair = got.slot_for(one, Content::Gtlsidx { module: 1, offset: 2 }).unwrap();
    let single = got.slot_for(two, Addr::new(0x5000)).unwrap();
    assert_eq!((got.symbol_of(pair), got.symbol_of(single)), (Some(one), Some(two)));
    // Neither the second slot of an entry, nor one that is free, nor one beside the table.
    assert_eq!(got.symbol_of(pair.plus(8)), None);
    assert_eq!(got.symbol_of(single.plus(1)), None);
    assert_eq!(got.symbol_of(single.plus(0x1000)), None);
    got.remove(two, Kind::Gdat).unwrap();
    assert_eq!(got.symbol_of(single), None);
}

#[test]
fn full_is_an_answer_at_exactly_the_capacity() {
    let mut got = got::<64>();
    for number in 0..64 {
        let slot = got.slot_for(symbol(number * 0x1000), Addr::new(1)).unwrap();
        assert_eq!(slot.addr(), GOT.at(number as usize * 8));
    }
    let full = Full { capacity: 64, used: 64 };
    assert_eq!(got.slot_for(symbol(1), Addr::new(1)), Err(full));
    assert_eq!(full.to_string(), "GOT is full: all 64 slots are in use");
    assert!(got.slot_for(symbol(0), Addr::new(2)).is_ok());
    got.remove(symbol(0x7000), Kind::Gdat);
    assert_eq!(got.slot_for(symbol(1), Addr::new(1)).unwrap().addr(), GOT.at(56));
}

#[test]
fn a_pair_wants_two_side_by_side() {
    let mut got = got::<4>();
    for number in 0..4 {
        got.slot_for(symbol(number), Addr::new(1)).unwrap();
    }
    got.remove(symbol(1), Kind::Gdat);
    got.remove(symbol(2), Kind::Gdat);
    let full = got.slot_for(symbol(9), Content::Gldm { module: 1 }).unwrap_err();
    assert_eq!(full.to_string(), "GOT is full: no two slots side by side are free, 2 of 4 are in use");
    got.remove(symbol(3), Kind::Gdat);
    assert_eq!(got.slot_for(symbol(9), Content::Gldm { module: 1 }).unwrap().addr(), GOT.at(16));
}

#[test]
fn a_symbol_is_not_its_address() {
    let mut got = got::<4>();
    let (puts, here) = (Addr::new(0x7fff_0000_1000), Addr::new(0x40_0000));
    let first = got.slot_for(symbol(1), puts).unwrap();
    let second = got.slot_for(symbol(2), puts).unwrap();
    assert_ne!(first, second);
    assert_eq!(got.repoint(symbol(2), here), Some(second));
    assert_eq!(got.slot_for(symbol(2), puts), Ok(second), "a later relocation does not undo it");
    assert_eq!(got.repoint(symbol(3), here), None);
    let entries = [(symbol(1), first, Content::Gdat(puts)), (symbol(2), second, Content::Gdat(here))];
    assert_eq!(got.iter().collect::<Vec<_>>(), entries);
}

#[test]
fn offsets_are_from_the_table_or_its_page() {
    assert_eq!(Got::new([], Addr::new(0x42_0ffc)).err(), Some(Misaligned { addr: Addr::new(0x42_0ffc), align: 8 }));
    let base = Addr::new(0x42_0ff0);
    let mut got = Got::new(vec![Entry::default(); 4096], base).unwrap();
    for number in 0..4096 {
        let slot = got.slot_for(symbol(number), Addr::new(0)).unwrap();
        assert_eq!(got.offset_of(slot), number as i64 * 8);
        assert_eq!(got.page_offset_of(slot), 0xff0 + number as i64 * 8);
        // SEMANTICS: `LD64_GOTPAGE_LO15` reaches 4096 - (GOT & 0xfff) / 8 slots.
        let place = Addr::new(0x40_0000);
        let offset = Value::Offset(got.page_offset_of(slot));
        assert_eq!(Reloc::LD64_GOTPAGE_LO15.reaches(place, offset), number < 4096 - 0xff0 / 8);
    }
}

#[test]
fn a_got_is_written_where_it_lies() {
    let mut got = got::<4>();
    got.slot_for(symbol(1), Addr::new(0x0102_0304_0506_0708)).unwrap();
    got.slot_for(symbol(2), Content::Gtprel(16)).unwrap();
    got.slot_for(symbol(3), Content::Gtprel(-1)).unwrap();
    got.remove(symbol(2), Kind::Gtprel);

    let mut bytes = [0xa5; 48];
    got.write(&mut Section::new(&mut bytes, GOT.plus(-16)).with_endian(Endian::Big)).unwrap();
    assert_eq!(bytes[..16], [0xa5; 16]);
    assert_eq!(bytes[16..24], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[24..32], [0; 8]);
    assert_eq!(bytes[32..40], [0xff; 8]);
    assert_eq!(bytes[40..], [0xa5; 8], "nothing is written past the size");

    for (addr, length, place) in [(GOT, 23, GOT.at(16)), (GOT.at(8), 64, GOT), (GOT.at(1 << 40), 64, GOT)] {
        let error = got.write(&mut Section::new(&mut vec![0; length], addr)).unwrap_err();
        assert_eq!((error.place, error.reason), (place, Reason::OutOfBounds));
    }
}

/// What the instructions of an island do, decoded apart from the crate (Arm ARM C6.2). Runs from `entry` until control
/// leaves `text`; answers where to, and the mask of registers written.
fn run(text: &[u8], base: Addr, entry: Addr, memory: &HashMap<u64, u64>) -> Option<(u64, u32)> {
    run_all(text, base, entry, memory).map(|(pc, _, written)| (pc, written))
}

/// The same, and the registers.
fn run_all(text: &[u8], base: Addr, entry: Addr, memory: &HashMap<u64, u64>) -> Option<(u64, [u64; 32], u32)> {
    let (mut pc, mut x, mut written) = (entry.get(), [0xdead_dead_dead_dead_u64; 32], 0);
    loop {
        let offset = pc.wrapping_sub(base.get());
        let Some(word) = text.get(offset as usize..).and_then(|rest| rest.first_chunk()) else {
            return Some((pc, x, written));
        };
        let word = u32::from_le_bytes(*word);
        let (d, n) = ((word & 31) as usize, (word >> 5 & 31) as usize);
        let bits = |lo: u32, count: u32| u64::from(word >> lo) & ((1 << count) - 1);
        let signed = |value: u64, count: u32| (value << (64 - count)) as i64 >> (64 - count);
        let (shift, imm16) = (16 * bits(21, 2), bits(5, 16));
        let mut next = pc.wrapping_add(4);
        let result = match word {
            _ if word >> 26 == 0b000101 => {
                next = pc.wrapping_add_signed(signed(bits(0, 26), 26) * 4);
                None
            }
            _ if word & 0xffff_fc1f == 0xd61f_0000 => {
                next = x[n];
                None
            }
            _ if word & 0x9f00_0000 == 0x9000_0000 => {
                let pages = signed(bits(5, 19) << 2 | bits(29, 2), 21);
                Some((pc & !0xfff).wrapping_add_signed(pages << 12))
            }
            _ if word & 0xffc0_0000 == 0x9100_0000 => Some(x[n].wrapping_add(bits(10, 12))),
            _ if word & 0xffc0_0000 == 0xf940_0000 => Some(*memory.get(&x[n].wrapping_add(bits(10, 12) * 8))?),
            _ if word & 0xffff_fc00 == 0xb940_0000 => Some(*memory.get(&x[n])? & 0xffff_ffff),
            _ if word & 0xffff_fc00 == 0xb980_0000 => Some(*memory.get(&x[n])? as i32 as u64),
            0xd503_245f => None,
            _ if word & 0xff80_0000 == 0x9280_0000 => Some(!(imm16 << shift)),
            _ if word & 0xff80_0000 == 0xd280_0000 => Some(imm16 << shift),
            _ if word & 0xff80_0000 == 0xf280_0000 => Some(x[d] & !(0xffff << shift) | imm16 << shift),
            _ => return None,
        };
        if let Some(value) = result {
            x[d] = value;
            written |= 1 << d;
        }
        pc = next;
    }
}

fn island<const N: usize>(base: u64) -> Island<[Cell; N]> {
    Island::new([Cell::default(); N], Addr::new(base)).unwrap()
}

fn text<T: AsRef<[Cell]> + AsMut<[Cell]>>(island: &Island<T>) -> Vec<u8> {
    let mut text = vec![0xa5; island.size()];
    island.write(&mut Section::new(&mut text, island.base())).unwrap();
    text
}

fn veneers<T: AsRef<[Cell]>>(island: &Island<T>) -> impl Iterator<Item = Veneer> {
    island.iter().filter_map(Occupant::veneer)
}

/// A slot at `addr`.
fn slot_at(addr: u64) -> Slot {
    Got::new([Entry::default()], Addr::new(addr)).unwrap().slot_for(symbol(0), Addr::new(0)).unwrap()
}

/// Whether the veneer from an island at `base` to `callee` leads there, by x16 alone.
fn leads(base: u64, callee: impl Into<Callee>) -> bool {
    let (mut island, callee, content) = (island::<4>(base), callee.into(), 0x1234_5678_9abc_def0);
    let (memory, to) = match callee {
        Callee::Addr(to) => (HashMap::new(), to.get()),
        Callee::Slot(slot) => (HashMap::from([(slot.addr().get(), content)]), content),
    };
    // Away from the first cells, where the odd and even places differ.
    island.veneer_for(Addr::new(base)).unwrap();
    let entry = island.veneer_for(callee).unwrap();
    let form = callee.veneer_at(entry).unwrap().form();
    let used = if form == Form::Direct { 0 } else { 1 << 16 };
    run(&text(&island), island.base(), entry, &memory) == Some((to, used))
}

/// Distances around the bounds of the forms, and far ones.
const EDGES: [u64; 7] = [0x40, 1 << 27, 1 << 32, (1 << 32) + 0x1000, 1 << 47, 1 << 48, 1 << 63];

quickcheck! {
    fn a_veneer_leads_to_its_callee(base: u64, edge: usize, back: bool, near: i16) -> bool {
        let edge = EDGES[edge % EDGES.len()];
        let base = base & !15;
        // Outside the island itself, where the machine would not stop.
        let far = if back { base.wrapping_sub(edge) } else { base.wrapping_add(edge) };
        let to = far.wrapping_add_signed(i64::from(near) * 8);
        to.wrapping_sub(base) < 64 || (leads(base, Addr::new(to)) && leads(base, slot_at(to)))
    }

    fn a_veneer_leads_anywhere(base: u64, to: u64, groups: u8) -> bool {
        // Whole groups of zeros and of ones, which moves may leave out.
        let to = (0..4).fold(to, |to, n| match groups >> (2 * n) & 3 {
            0 => to & !(0xffff << (16 * n)),
            1 => to | 0xffff << (16 * n),
            _ => to,
        });
        let base = base & !15;
        to.wrapping_sub(base) < 64 || (leads(base, Addr::new(to & !3)) && leads(base, slot_at(to & !7)))
    }

    fn moves_are_few(to: u64) -> bool {
        let far = Callee::Addr(Addr::new(to & !3)).veneer_at(Addr::new(!to & !3)).unwrap();
        let groups = |fill| (0..4).filter(|n| (to & !3) >> (16 * n) & 0xffff != fill).count().max(1);
        let moves = if to >> 48 == 0xffff { groups(0xffff) } else { groups(0) };
        far.form() != Form::Absolute || far.size() == moves * 4 + 4
    }
}

#[test]
fn the_nearest_form_is_taken() {
    let at = Addr::new(0x2_0000_0000);
    let form = |to: i64| Callee::Addr(at.plus(to)).veneer_at(at).unwrap().form();
    let through = |to: i64| Callee::Slot(slot_at(at.plus(to).get())).veneer_at(at).unwrap().form();
    let (direct, page) = (1 << 27, 1 << 32);
    assert_eq!([form(direct - 4), form(-direct)], [Form::Direct; 2]);
    assert_eq!([form(direct), form(-direct - 4), form(page - 4), form(-page)], [Form::Page; 4]);
    assert_eq!([form(page), form(-page - 4)], [Form::Absolute; 2]);
    assert_eq!([through(0), through(page - 8), through(-page)], [Form::Slot; 3]);
    assert_eq!([through(page), through(-page - 8)], [Form::FarSlot; 2]);
}

#[test]
fn a_form_is_judged_at_its_own_cell() {
    // Out of reach of the last cell of a page, so two cells are asked for; they lie on the next page, which reaches.
    let (base, to) = (0x0123_4567_89ab_ffe0, Addr::new(0x0123_4568_89ab_f010));
    let mut island = island::<4>(base);
    island.veneer_for(Addr::new(base)).unwrap();
    let form = |addr| Callee::from(to).veneer_at(addr).unwrap().form();
    assert_eq!(form(Addr::new(base).at(16)), Form::Absolute);
    let entry = island.veneer_for(to).unwrap();
    assert_eq!((entry, form(entry)), (Addr::new(base).at(32), Form::Page));
    assert_eq!(text(&island)[44..], [0; 20]);
    assert!(leads(base, to));
}

#[test]
fn words_of_every_form() {
    let mut island = island::<16>(0x41_0000);
    let callees = [
        Callee::Addr(Addr::new(0x840_fffc)),
        Callee::Addr(Addr::new(0x1041_0124)),
        Callee::Slot(slot_at(0x40_fff8)),
        Callee::Addr(Addr::new(0x7fff_0000_1000)),
        Callee::Addr(Addr::new(0xffff_8000_0008_1234)),
        Callee::Addr(Addr::new(0x0123_4567_89ab_cdec)),
        Callee::Slot(slot_at(0x7fff_0002_0008)),
    ];
    let offsets = callees.map(|callee| island.veneer_for(callee).unwrap().distance_from(island.base()));
    assert_eq!(offsets, [0, 16, 32, 48, 64, 96, 128]);
    // Made by `llvm-mc-19 -arch=aarch64 -show-encoding` of the instructions in the comments.
    #[rustfmt::skip]
    let expected: [u32; 40] = [
        // b #0x7fffffc
        0x15ff_ffff, 0, 0, 0,
        // adrp x16, #0x10000000; add x16, x16, #0x124; br x16
        0x9008_0010, 0x9104_9210, 0xd61f_0200, 0,
        // adrp x16, #-0x1000; ldr x16, [x16, #0xff8]; br x16
        0xf0ff_fff0, 0xf947_fe10, 0xd61f_0200, 0,
        // movz x16, #0x7fff, lsl #32; movk x16, #0x1000; br x16
        0xd2cf_fff0, 0xf282_0010, 0xd61f_0200, 0,
        // movn x16, #0x7fff, lsl #32; movk x16, #8, lsl #16; movk x16, #0x1234; br x16
        0x92cf_fff0, 0xf2a0_0110, 0xf282_4690, 0xd61f_0200,
        0, 0, 0, 0,
        // movz x16, #0x123, lsl #48; movk #0x4567, lsl #32; movk #0x89ab, lsl #16; movk #0xcdec; br x16
        0xd2e0_2470, 0xf2c8_acf0, 0xf2b1_3570, 0xf299_bd90,
        0xd61f_0200, 0, 0, 0,
        // movz x16, #0x7fff, lsl #32; movk x16, #2, lsl #16; movk x16, #8; ldr x16, [x16]; br x16
        0xd2cf_fff0, 0xf2a0_0050, 0xf280_0110, 0xf940_0210,
        0xd61f_0200, 0, 0, 0,
    ];
    let written = text(&island).chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect::<Vec<_>>();
    assert_eq!(written, expected);
    assert_eq!(veneers(&island).map(Veneer::callee).collect::<Vec<_>>(), callees);
    assert_eq!((island.len(), island.size()), (9, 160));
}

/// The templates of SEMANTICS section 4, with the immediates cleared again.
#[test]
fn sequences_are_those_of_the_contract() {
    let opcodes = |to: Callee| {
        let mut island = island::<2>(0x41_0000);
        island.veneer_for(to).unwrap();
        let text = text(&island);
        let words = text.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        words
            .map(|word| match word >> 24 {
                0x14..0x18 => word & 0xfc00_0000,
                0x90 | 0xb0 | 0xd0 | 0xf0 => word & 0x9f00_001f,
                0x91 | 0xf9 => word & !(0xfff << 10),
                0xd2 | 0xf2 => word & !(0xffff << 5),
                _ => word,
            })
            .take_while(|&word| word != 0)
            .collect::<Vec<_>>()
    };
    assert_eq!(opcodes(Callee::Addr(Addr::new(0x41_1000))), [0x1400_0000]);
    assert_eq!(opcodes(Callee::Addr(Addr::new(0x5041_1234))), [0x9000_0010, 0x9100_0210, 0xd61f_0200]);
    assert_eq!(opcodes(Callee::Slot(slot_at(0x5041_1238))), [0x9000_0010, 0xf940_0210, 0xd61f_0200]);
    assert_eq!(
        opcodes(Callee::Addr(Addr::new(0x0123_4567_89ab_cdec))),
        [0xd2e0_0010, 0xf2c0_0010, 0xf2a0_0010, 0xf280_0010, 0xd61f_0200]
    );
}

/// Whether an island over `storage` answers `ops` as a map does, and every veneer leads to its callee in the end.
fn island_agrees_with_a_map<T: AsRef<[Cell]> + AsMut<[Cell]>>(storage: T, ops: &[(u8, u8)]) -> bool {
    let mut island = Island::new(storage, Addr::new(0x40_0000)).unwrap();
    let mut model = HashMap::<Callee, Addr>::new();
    for &(op, name) in ops {
        let near = u64::from(name / 8) * 0x1000;
        let callee = match name % 8 {
            0 => Callee::Addr(Addr::new(0x100_0000 + near)),
            1 => Callee::Addr(Addr::new(0x1000_0000 + near)),
            2 => Callee::Slot(slot_at(0x1000_0000 + near)),
            3..=5 => Callee::Addr(Addr::new(0x1234_5678_9abc_0000 + near + 4)),
            _ => Callee::Slot(slot_at(0x7654_1234_5678_0000 + near + 8)),
        };
        let known = model.get(&callee).copied();
        if island.get(callee) != known {
            return false;
        }
        if op % 3 == 0 {
            if island.remove(callee) != model.remove(&callee) {
                return false;
            }
        } else {
            match (island.veneer_for(callee), known) {
                (Ok(addr), known) if known.is_none_or(|known| known == addr) => {
                    model.insert(callee, addr);
                }
                (Err(VeneerError::Full { capacity, used }), None) => {
                    if used != island.len() || (used < capacity && name % 8 < 3) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
    let cells = |(&callee, &addr): (&Callee, &Addr)| callee.veneer_at(addr).unwrap().size().div_ceil(16);
    let memory = (model.keys())
        .filter_map(|callee| match callee {
            Callee::Slot(slot) => Some((slot.addr().get(), slot.addr().get() ^ 4)),
            Callee::Addr(_) => None,
        })
        .collect::<HashMap<_, _>>();
    let text = text(&island);
    let live = text.chunks(16).filter(|cell| cell.iter().any(|&byte| byte != 0)).count();
    island.len() == model.iter().map(cells).sum::<usize>()
        && live == island.len()
        && veneers(&island).map(|veneer| (veneer.callee(), veneer.addr())).collect::<HashMap<_, _>>() == model
        && veneers(&island).map(Veneer::addr).is_sorted()
        && model.iter().all(|(callee, &entry)| {
            let to = match callee {
                Callee::Addr(to) => to.get(),
                Callee::Slot(slot) => slot.addr().get() ^ 4,
            };
            run(&text, island.base(), entry, &memory).is_some_and(|(reached, _)| reached == to)
        })
}

quickcheck! {
    fn an_island_is_a_map(ops: Vec<(u8, u8)>) -> bool {
        let mut slice = [Cell::default(); 13];
        island_agrees_with_a_map([Cell::default(); 13], &ops)
            && island_agrees_with_a_map(&mut slice[..], &ops)
            && island_agrees_with_a_map(heapless::Vec::<Cell, 16>::from_slice(&slice).unwrap(), &ops)
            && island_agrees_with_a_map(vec![Cell::default(); 40], &ops)
    }
}

#[test]
fn an_island_refuses() {
    let wrong = Island::new([Cell::default(); 2], Addr::new(0x41_0008)).err();
    assert_eq!(wrong, Some(Misaligned { addr: Addr::new(0x41_0008), align: 16 }));

    let mut island = island::<2>(0x41_0000);
    let odd = island.veneer_for(Addr::new(0x41_1002)).unwrap_err();
    assert_eq!(odd.to_string(), "no branch leads there: 0x411002 is not a multiple of 4");
    let odd = island.veneer_for(slot_at(0x42_0000).plus(4)).unwrap_err();
    assert_eq!(odd, VeneerError::Misaligned(Misaligned { addr: Addr::new(0x42_0004), align: 8 }));
    assert!(island.is_empty());

    let (near, far) = (Addr::new(0x41_1000), Addr::new(0x0123_4567_89ab_cdec));
    let first = island.veneer_for(near).unwrap();
    let full = island.veneer_for(far).unwrap_err();
    assert_eq!(full.to_string(), "island is full: no two cells side by side are free, 1 of 2 are in use");
    island.veneer_for(near.at(4)).unwrap();
    let full = island.veneer_for(near.at(8)).unwrap_err();
    assert_eq!(full.to_string(), "island is full: all 2 cells are in use");
    assert_eq!(island.veneer_for(near), Ok(first));

    assert_eq!([island.remove(near), island.remove(near)], [Some(first), None]);
    island.remove(near.at(4));
    assert_eq!(text(&island), [0; 32], "what was a veneer is undefined now");
    assert_eq!(island.veneer_for(far), Ok(first));
}

#[test]
fn an_island_is_written_where_it_lies() {
    let mut island = island::<4>(0x41_0000);
    island.veneer_for(Addr::new(0x0123_4567_89ab_cdec)).unwrap();
    let mut bytes = [0xa5; 64];
    let mut section = Section::new(&mut bytes, Addr::new(0x40_fff0));
    island.write(&mut section).unwrap();
    let once = section.bytes().to_vec();
    island.write(&mut section).unwrap();
    assert_eq!(section.bytes(), once);
    assert_eq!((&once[..16], &once[48..]), (&[0xa5; 16][..], &[0xa5; 16][..]));

    for (addr, length, place) in [(0x41_0000, 31, 0x41_001c), (0x41_0010, 64, 0x41_0000), (0x40_0000, 64, 0x41_0000)] {
        let error = island.write(&mut Section::new(&mut vec![0; length], Addr::new(addr))).unwrap_err();
        assert_eq!((error.place, error.reason), (Addr::new(place), Reason::OutOfBounds));
    }
}

/// An instruction that may have a detour: its word, its relocation and what it is given, from an address.
type Insn = (fn(u32) -> u32, Reloc, fn(u64) -> Value);

fn address(of: u64) -> Value {
    Value::Addr(Addr::new(of))
}

fn slot(of: u64) -> Value {
    Value::Slot(slot_at(of & !7))
}

/// Opcodes by the Arm ARM, with whatever in their immediates.
const ADRP: Insn = (|rd| 0xd000_1240 | rd, Reloc::ADR_PREL_PG_HI21, address);
const ADR: Insn = (|rd| 0x7000_1240 | rd, Reloc::ADR_PREL_LO21, address);
const LDR_X: Insn = (|rt| 0x5800_1240 | rt, Reloc::LD_PREL_LO19, |of| address(of & !3));
const LDR_W: Insn = (|rt| 0x1800_1240 | rt, Reloc::LD_PREL_LO19, |of| address(of & !3));
const LDRSW: Insn = (|rt| 0x9800_1240 | rt, Reloc::LD_PREL_LO19, |of| address(of & !3));
const GOT_ADRP: Insn = (|rd| 0x9000_0000 | rd, Reloc::ADR_GOT_PAGE, slot);
const GOT_LDR: Insn = (|rt| 0x5800_0000 | rt, Reloc::GOT_LD_PREL19, slot);
const TLS_ADR: Insn = (|rd| 0x1000_0000 | rd, Reloc::TLSGD_ADR_PREL21, slot);
const INSNS: [Insn; 8] = [ADRP, ADR, LDR_X, LDR_W, LDRSW, GOT_ADRP, GOT_LDR, TLS_ADR];

fn detour((word, reloc, value): Insn, register: u32, place: u64, of: u64) -> Detour {
    Detour::new(Addr::new(place), word(register), reloc, value(of)).unwrap()
}

/// What the instruction leaves in its register, `content` standing where it loads from.
fn result((word, _, value): Insn, of: u64, content: u64) -> u64 {
    let of = value(of).bits();
    match word(0) >> 24 {
        0x90 | 0xd0 => of & !0xfff,
        0x10 | 0x70 => of,
        0x58 => content,
        0x18 => content & 0xffff_ffff,
        _ => content as i32 as u64,
    }
}

#[test]
fn words_of_hops_detours_and_pads() {
    let mut island = island::<10>(0x41_0000);
    let at = |place: u64| Addr::new(0x40_0000 + place);
    let detours = [
        detour(ADRP, 1, 0x40_0000, 0x7fff_0000_1234),
        detour(ADR, 2, 0x40_0008, 0x1234_0000),
        detour(GOT_LDR, 3, 0x40_0010, 0xffff_8000_0008_1238),
        detour(LDR_W, 4, 0x40_0018, 0x0123_4567_89ab_cdec),
        detour(LDRSW, 4, 0x40_0020, 4),
        detour(ADRP, 5, 0x40_0028, 0xfff),
    ];
    let offsets = detours.map(|detour| island.detour_for(detour).unwrap().distance_from(island.base()));
    assert_eq!(offsets, [0, 16, 32, 64, 96, 112]);
    assert_eq!(island.hop_to(at(0xf080)).unwrap(), at(0x1_0080));
    assert_eq!(island.pad_for(at(0xf094)).unwrap(), at(0x1_0090));
    // Made by `llvm-mc-19 -arch=aarch64 -mattr=+bti -show-encoding` of the instructions in the comments.
    #[rustfmt::skip]
    let expected: [u32; 40] = [
        // movz x1, #0x7fff, lsl #32; movk x1, #0x1000; b #-0x10004
        0xd2cf_ffe1, 0xf282_0001, 0x17ff_bfff, 0,
        // movz x2, #0x1234, lsl #16; b #-0x10008
        0xd2a2_4682, 0x17ff_bffe, 0, 0,
        // movn x3, #0x7fff, lsl #32; movk x3, #8, lsl #16; movk x3, #0x1238; ldr x3, [x3]; b #-0x1001c
        0x92cf_ffe3, 0xf2a0_0103, 0xf282_4703, 0xf940_0063,
        0x17ff_bff9, 0, 0, 0,
        // movz x4, #0x123, lsl #48; movk x4, #0x4567, lsl #32; movk x4, #0x89ab, lsl #16; movk x4, #0xcdec;
        // ldr w4, [x4]; b #-0x10038
        0xd2e0_2464, 0xf2c8_ace4, 0xf2b1_3564, 0xf299_bd84,
        0xb940_0084, 0x17ff_bff2, 0, 0,
        // movz x4, #4; ldrsw x4, [x4]; b #-0x10044
        0xd280_0084, 0xb980_0084, 0x17ff_bfef, 0,
        // movz x5, #0; b #-0x10048
        0xd280_0005, 0x17ff_bfee, 0, 0,
        // b #-0x1000
        0x17ff_fc00, 0, 0, 0,
        // bti c; b #-0x1000
        0xd503_245f, 0x17ff_fc00, 0, 0,
    ];
    let written = text(&island).chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect::<Vec<_>>();
    assert_eq!(written, expected);

    let purposes = island.iter().map(Occupant::purpose).collect::<Vec<_>>();
    let expected = detours.map(Purpose::from);
    assert_eq!(purposes, [&expected[..], &[Purpose::Hop(at(0xf080)), Purpose::Pad(at(0xf094))]].concat());
    assert_eq!(island.iter().map(Occupant::size).collect::<Vec<_>>(), [12, 8, 20, 24, 12, 8, 4, 8]);
    let named = detours.map(|detour| (detour.register().number(), detour.address().get(), detour.is_load()));
    let expected = [
        (1, 0x7fff_0000_1000, false),
        (2, 0x1234_0000, false),
        (3, 0xffff_8000_0008_1238, true),
        (4, 0x0123_4567_89ab_cdec, true),
        (4, 4, true),
        (5, 0, false),
    ];
    assert_eq!(named, expected);
}

#[test]
fn landing_pads_are_those_of_an_indirect_call() {
    // Made by `llvm-mc-19 -arch=aarch64 -mattr=+bti,+pauth -show-encoding`: bti c, bti j, bti jc, paciasp, pacibsp; then bti, nop,
    // pacia1716, autiasp, ret.
    let pads = [0xd503_245f, 0xd503_249f, 0xd503_24df, 0xd503_233f, 0xd503_237f];
    assert!(pads.into_iter().all(insn::is_landing_pad));
    let others = [0xd503_241f, 0xd503_201f, 0xd503_211f, 0xd503_23bf, 0xd65f_03c0];
    assert!(!others.into_iter().any(insn::is_landing_pad));
    assert_eq!(insn::BTI_C, pads[0]);
}

/// Values that take one move to four.
const MOVES: [u64; 4] = [0x7000_0000_0000_0000, 0x7000_1000_0000_0000, 0x7000_1000_1000_0000, 0x7000_1000_1000_1000];

#[test]
fn both_branches_of_a_detour_reach() {
    const CELL: u64 = 0x7000_0000_0000;
    for (insn, load) in [(ADR, 0), (LDR_X, 1)] {
        for (value, moves) in MOVES.into_iter().zip(1..) {
            // SEMANTICS section 4, the load being one more instruction before the branch back.
            let before = moves + load;
            let (least, most) = (-(1 << 27) + 0.max(8 - 4 * before), (1 << 27) - 4.max(4 * before - 4));
            for (distance, reaches) in [(least, true), (most, true), (least - 4, false), (most + 4, false)] {
                let place = CELL.wrapping_add_signed(-distance);
                let mut island = island::<2>(CELL);
                let made = island.detour_for(detour(insn, 9, place, value));
                if reaches {
                    assert_eq!(made, Ok(Addr::new(CELL)), "{distance}");
                    let memory = HashMap::from([(value, 7)]);
                    let (to, written) = run(&text(&island), island.base(), Addr::new(CELL), &memory).unwrap();
                    assert_eq!((to, written), (place + 4, 1 << 9));
                    continue;
                }
                let there = (Addr::new(place), Addr::new(CELL));
                let back = (Addr::new(CELL).plus(4 * before), Addr::new(place + 4));
                let error = made.unwrap_err();
                let VeneerError::OutOfReach { from, to } = error else { panic!("{error}") };
                assert!((from, to) == there || (from, to) == back, "{error}");
                assert!(!(-(1 << 27)..1 << 27).contains(&to.distance_from(from)), "{error}");
                assert!(island.is_empty() && island.size() == 0 && island.iter().next().is_none());
            }
        }
    }
}

#[test]
fn hops_and_pads_reach() {
    let base = Addr::new(0x7000_0000_0000);
    for (distance, reaches) in [((1 << 27) - 4, true), (-(1 << 27), true), (1 << 27, false), (-(1 << 27) - 4, false)] {
        let (mut hops, mut pads) = (island::<2>(base.get()), island::<2>(base.get()));
        let (target, callee) = (base.plus(distance), base.plus(4 + distance));
        let (hop, pad) = (hops.hop_to(target), pads.pad_for(callee));
        if reaches {
            assert_eq!((hop, pad), (Ok(base), Ok(base)));
            for (island, to) in [(&hops, target), (&pads, callee)] {
                assert_eq!(run(&text(island), base, base, &HashMap::new()), Some((to.get(), 0)));
            }
        } else {
            assert_eq!(hop, Err(VeneerError::OutOfReach { from: base, to: target }));
            assert_eq!(pad, Err(VeneerError::OutOfReach { from: base.at(4), to: callee }));
            assert!(hops.is_empty() && pads.is_empty());
        }
    }
    let far = island::<2>(0x41_0000).hop_to(Addr::new(0x841_0000)).unwrap_err();
    assert_eq!(far.to_string(), "0x8410000 is out of reach of a B at 0x410000");
}

#[test]
fn a_hop_is_a_direct_veneer_where_there_is_one() {
    let mut island = island::<4>(0x41_0000);
    let (near, far) = (Addr::new(0x40_0000), Addr::new(0x1041_0000));
    let veneer = island.veneer_for(near).unwrap();
    assert_eq!(island.hop_to(near), Ok(veneer));
    assert_eq!((island.get(Purpose::Hop(near)), island.len()), (None, 1));
    island.remove(near).unwrap();

    let hop = island.hop_to(near).unwrap();
    let veneer = island.veneer_for(near).unwrap();
    assert_ne!(hop, veneer, "a veneer that could be removed alone");
    assert_eq!((island.hop_to(near), island.veneer_for(near)), (Ok(hop), Ok(veneer)));
    assert_eq!((island.remove(near), island.hop_to(near)), (Some(veneer), Ok(hop)));

    // One that uses x16 is none.
    island.veneer_for(far).unwrap();
    assert!(matches!(island.hop_to(far), Err(VeneerError::OutOfReach { to, .. }) if to == far));
}

#[test]
fn a_place_has_one_detour() {
    let mut island = island::<2>(0x41_0000);
    let (one, other) = (detour(ADRP, 1, 0x40_0000, 0x7fff_0000_1234), detour(ADRP, 1, 0x40_0000, 0x7fff_0000_2234));
    let cell = island.detour_for(one).unwrap();
    // Another address of the same page is the same to an `ADRP`.
    assert_eq!(island.detour_for(detour(ADRP, 1, 0x40_0000, 0x7fff_0000_1678)), Ok(cell));
    for other in [other, detour(ADRP, 2, 0x40_0000, 0x7fff_0000_1234), detour(LDR_X, 1, 0x40_0000, 0x7fff_0000_1000)] {
        assert_eq!(island.detour_for(other), Err(VeneerError::Taken(Addr::new(0x40_0000))));
        assert_eq!(island.get(other), Some(cell), "found by its place");
    }
    assert_eq!(VeneerError::Taken(one.place()).to_string(), "the instruction at 0x400000 has another detour");
    let full = island.detour_for(detour(LDR_X, 1, 0x40_0004, 0x7fff_0001_1000)).unwrap_err();
    assert_eq!(full, VeneerError::Full { capacity: 2, used: 1 });
    assert_eq!(island.remove(Purpose::Detour(one.place())), Some(cell));
    assert_eq!(island.detour_for(other), Ok(cell));
    assert_eq!((island.remove(other), island.remove(other), island.len()), (Some(cell), None, 0));
}

#[test]
fn hops_and_pads_refuse_what_no_branch_leads_to() {
    let mut island = island::<2>(0x41_0000);
    let odd = VeneerError::Misaligned(Misaligned { addr: Addr::new(0x41_0002), align: 4 });
    assert_eq!(island.hop_to(Addr::new(0x41_0002)), Err(odd));
    assert_eq!(island.pad_for(Addr::new(0x41_0002)), Err(odd));
    assert!(island.is_empty());
    island.hop_to(Addr::new(0x41_1000)).unwrap();
    island.pad_for(Addr::new(0x41_1000)).unwrap();
    let full = Err(VeneerError::Full { capacity: 2, used: 2 });
    assert_eq!(island.hop_to(Addr::new(0x41_2000)), full);
    assert_eq!(island.pad_for(Addr::new(0x41_2000)), full);
    assert!(island.hop_to(Addr::new(0x41_1000)).is_ok());
}

#[test]
fn what_has_no_detour_says_why() {
    let new = |place, word, reloc, value: Value| Detour::new(Addr::new(place), word, reloc, value).unwrap_err();
    let far = address(0x7fff_0000_1000);
    // Made by `llvm-mc-19 -arch=aarch64 -show-encoding` of `ldr s0, .` and so on.
    let words = [
        0x1c00_0000, // ldr s0, .
        0x5c00_0000, // ldr d0, .
        0x9c00_0000, // ldr q0, .
        0xd800_0000, // prfm pldl1keep, .
        0x5800_001f, // ldr xzr, .
        0x1800_001f, // ldr wzr, .
        0x9800_001f, // ldrsw xzr, .
    ];
    for word in words {
        let found = NoDetour::NoRegister { place: Addr::new(0x40_0000), found: word };
        assert_eq!(new(0x40_0000, word, Reloc::LD_PREL_LO19, far), found);
    }
    // `ADRP` and `ADR` of register 31 set nothing, which needs no register.
    assert!(Detour::new(Addr::new(0), 0x9000_001f, Reloc::ADR_PREL_PG_HI21, far).is_ok());

    let refused = |place, word, reloc, value: Value, expected: Reason| match new(place, word, reloc, value) {
        NoDetour::Refused(error) => {
            assert_eq!((error.reloc, error.place, error.value), (reloc, Addr::new(place), Some(value)));
            assert_eq!(error.reason, expected);
        }
        other => panic!("{other}"),
    };
    let (page, literal) = (Reloc::ADR_PREL_PG_HI21, Reloc::LD_PREL_LO19);
    refused(0x40_0000, 0x1000_0000, page, far, Reason::WrongOpcode { found: 0x1000_0000 });
    refused(0x40_0002, 0x9000_0000, page, far, Reason::MisalignedPlace);
    refused(0x40_0000, 0x9000_0000, page, slot(0x7fff_0000_1000), Reason::WrongValue);
    refused(0x40_0000, 0x9000_0000, Reloc::ADR_GOT_PAGE, far, Reason::WrongValue);
    refused(0x40_0000, 0x5800_0000, literal, address(0x8_0040_0002), Reason::Misaligned { x: 0x8_0000_0002 });
    for reloc in Reloc::ALL.iter().copied().filter(|reloc| reloc.remedy() != Some(Remedy::Detour)) {
        for (word, ..) in INSNS {
            let none = NoDetour::Reloc { reloc, place: Addr::new(0x40_0000) };
            assert_eq!(new(0x40_0000, word(1), reloc, far), none);
        }
    }

    let lines = [
        new(0x40_0000, 0xd800_0000, literal, far).to_string(),
        new(0x40_0000, 0x9400_0000, Reloc::CALL26, far).to_string(),
        new(0x40_0000, 0x1000_0000, page, far).to_string(),
    ];
    let expected = [
        "no detour at 0x400000: 0xd8000000 has no general register to build the address in",
        "R_AARCH64_CALL26 at 0x400000: no detour serves it",
        "R_AARCH64_ADR_PREL_PG_HI21 at 0x400000: expected ADRP, found 0x10000000",
    ];
    assert_eq!(lines, expected);
}

quickcheck! {
    fn a_detour_does_what_its_instruction_does(base: u64, near: i32, of: u64, groups: u8, pick: (u8, u8), content: u64) -> bool {
        // Whole groups of zeros and of ones, which moves may leave out.
        let of = (0..4).fold(of, |of, n| match groups >> (2 * n) & 3 {
            0 => of & !(0xffff << (16 * n)),
            1 => of | 0xffff << (16 * n),
            _ => of,
        });
        let (insn, register) = (INSNS[usize::from(pick.0) % INSNS.len()], u32::from(pick.1 % 31));
        let (base, near) = (base & !15, (i64::from(near) % ((1 << 27) - 64)) & !3);
        let place = base.wrapping_add_signed(near);
        if place.wrapping_add(4).wrapping_sub(base) < 64 {
            return true;
        }
        let mut island = island::<4>(base);
        // Away from the first cells, where the odd and even places differ.
        island.veneer_for(Addr::new(base)).unwrap();
        let detour = detour(insn, register, place, of);
        let cell = island.detour_for(detour).unwrap();
        let memory = HashMap::from([(insn.2(of).bits(), content)]);
        let (to, x, written) = run_all(&text(&island), island.base(), cell, &memory).unwrap();
        island.detour_for(detour) == Ok(cell)
            && (to, written) == (place.wrapping_add(4), 1 << register)
            && x[register as usize] == result(insn, of, content)
            && island.iter().any(|occupant| occupant == Occupant::Detour { addr: cell, detour })
    }

    fn cells_are_kept_for_what_they_were_made_for(ops: Vec<(u8, u8)>) -> bool {
        let mut island = island::<24>(0x40_0000);
        let mut model = HashMap::<Purpose, Addr>::new();
        let step = |(op, name): (u8, u8)| {
            let number = u64::from(name / 8);
            let near = 0x41_0000 + number * 4;
            let purpose = match name % 8 {
                0 => Purpose::from(Addr::new(near + 0x1000)),
                1 => Purpose::from(slot_at(near * 8)),
                // The same numbers on purpose: they differ in kind.
                2 | 3 => Purpose::Hop(Addr::new(near)),
                4 => Purpose::Pad(Addr::new(near)),
                _ => Purpose::Detour(Addr::new(near)),
            };
            let known = model.get(&purpose).copied();
            if island.get(purpose) != known {
                return false;
            }
            if op % 3 == 0 {
                return island.remove(purpose) == model.remove(&purpose);
            }
            let insn = INSNS[number as usize % INSNS.len()];
            let made = match purpose {
                Purpose::Veneer(callee) => island.veneer_for(callee),
                Purpose::Hop(target) => island.hop_to(target),
                Purpose::Pad(callee) => island.pad_for(callee),
                Purpose::Detour(place) => island.detour_for(detour(insn, number as u32, place.get(), number << 32 | 0x1008)),
                other => panic!("{other:?}"),
            };
            match (made, known) {
                (Ok(addr), known) => {
                    model.insert(purpose, addr);
                    known.is_none_or(|known| known == addr)
                }
                (Err(VeneerError::Full { .. }), None) => true,
                _ => false,
            }
        };
        ops.into_iter().all(step)
            && island.iter().map(|occupant| (occupant.purpose(), occupant.addr())).collect::<HashMap<_, _>>() == model
            && island.iter().map(Occupant::addr).is_sorted()
            && island.len() == island.iter().map(|occupant| occupant.size().div_ceil(16)).sum::<usize>()
    }
}

/// Detours executed: each of the instructions in each register, at a place amid code that fills every register before it and
/// writes all of them down after it.
#[cfg(all(feature = "std", target_os = "linux", target_arch = "aarch64"))]
mod executed {
    use super::*;
    use aarch64_reloc::arena::Prot;
    use aarch64_reloc::mem::Reservation;

    // Made by `llvm-mc-19 -arch=aarch64 -show-encoding` of the instructions in the comments.
    #[rustfmt::skip]
    const ENTER: [u32; 8] = [
        0xa9a9_7bfd, // stp x29, x30, [sp, #-368]!
        0xa901_53f3, // stp x19, x20, [sp, #16]
        0xa902_5bf5, // stp x21, x22, [sp, #32]
        0xa903_63f7, // stp x23, x24, [sp, #48]
        0xa904_6bf9, // stp x25, x26, [sp, #64]
        0xa905_73fb, // stp x27, x28, [sp, #80]
        0xa906_4be0, // stp x0, x18, [sp, #96]
        0xd51b_4201, // msr nzcv, x1
    ];
    /// `movz x0, #0x1100`: register n gets 0x1100 + n.
    const FILL: u32 = 0xd282_2000;
    /// `stp x0, x1, [sp, #112]`: registers 2n and 2n + 1 go 16 * n bytes further.
    const KEEP: u32 = 0xa907_07e0;
    #[rustfmt::skip]
    const LEAVE: [u32; 17] = [
        0xd53b_4200, // mrs x0, nzcv
        0xa916_03fe, // stp x30, x0, [sp, #352]
        0xf940_33e0, // ldr x0, [sp, #96]
        0x9101_c3e1, // add x1, sp, #112
        0x9105_c3e2, // add x2, sp, #368
        0xf840_8423, // ldr x3, [x1], #8
        0xf800_8403, // str x3, [x0], #8
        0xeb02_003f, // cmp x1, x2
        0x54ff_ffa1, // b.ne #-12
        0xf940_37f2, // ldr x18, [sp, #104]
        0xa945_73fb, // ldp x27, x28, [sp, #80]
        0xa944_6bf9, // ldp x25, x26, [sp, #64]
        0xa943_63f7, // ldp x23, x24, [sp, #48]
        0xa942_5bf5, // ldp x21, x22, [sp, #32]
        0xa941_53f3, // ldp x19, x20, [sp, #16]
        0xa8d7_7bfd, // ldp x29, x30, [sp], #368
        0xd65f_03c0, // ret
    ];

    /// The function, `branch` at [`PLACE`].
    fn function(branch: u32) -> Vec<u32> {
        let fill = (0..31).map(|n| FILL + n * 0x21);
        let keep = (0..15).map(|n| KEEP + n * (2 << 15 | 2 << 10 | 2));
        ENTER.into_iter().chain(fill).chain([branch]).chain(keep).chain(LEAVE).collect()
    }

    /// Bytes before `branch`.
    const PLACE: u64 = 4 * (8 + 31);

    #[test]
    fn a_detour_changes_one_register_and_no_flag() {
        // Two more of the words above, far from the first.
        assert_eq!((FILL + 30 * 0x21, KEEP + 14 * (2 << 15 | 2 << 10 | 2)), (0xd282_23de, 0xa915_77fc));
        static CONTENT: u64 = 0x8765_4321_fedc_ba98;
        let loaded = std::ptr::from_ref(&CONTENT).expose_provenance() as u64;
        let cases = INSNS.into_iter().flat_map(|insn| (0..31).map(move |register| (insn, register)));
        let cases: Vec<_> = cases.collect();
        let (size, cells) = (function(0).len() * 4, 2 * cases.len());

        let memory = Reservation::new(1 << 20).unwrap();
        let draft = memory.draft();
        let mut section = draft.alloc(Prot::ReadExec, (size * cases.len()).next_multiple_of(16) + cells * 16).unwrap();
        let text = section.addr();
        let base = text.at(size * cases.len()).align_up(16);
        let mut island = Island::new(vec![Cell::default(); cells], base).unwrap();
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut targets = Vec::new();
        for (index, &(insn, register)) in cases.iter().enumerate() {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let detour = |of| detour(insn, register, text.at(size * index).get() + PLACE, of);
            let of = if detour(0).is_load() { loaded } else { bits };
            targets.push(of);
            for (number, word) in function(insn::b()).into_iter().enumerate() {
                section.write_word(size * index + number * 4, word).unwrap();
            }
            let cell = island.detour_for(detour(of)).unwrap();
            section.patch(size * index + PLACE as usize, Reloc::JUMP26, cell).unwrap();
        }
        island.write(&mut section).unwrap();
        let code = draft.seal().unwrap();

        for (index, (&(insn, register), of)) in cases.iter().zip(targets).enumerate() {
            let entry = text.at(size * index);
            // SAFETY: the words above are a function of these arguments, which keeps what AAPCS64 6.1.1 says; `code` outlives it.
            #[allow(unsafe_code)]
            let call: extern "C" fn(*mut u64, u64) = unsafe { code.function(entry) }.unwrap();
            for flags in [0, 0xf000_0000, 0x6000_0000, 0x9000_0000] {
                let mut kept = [0; 32];
                call(kept.as_mut_ptr(), flags);
                let mut expected: [u64; 32] = std::array::from_fn(|n| 0x1100 + n as u64);
                expected[31] = flags;
                expected[register as usize] = result(insn, of, CONTENT);
                assert_eq!(kept, expected, "x{register} at {entry}");
            }
        }
    }
}
