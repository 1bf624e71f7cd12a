//! The laws of the ledgers: a GOT against a map, and an island against a small machine that runs its veneers.

use aarch64_reloc::addr::{Addr, Misaligned};
use aarch64_reloc::got::{Content, Entry, Full, Got, Kind, Symbol};
use aarch64_reloc::patch::{Endian, Section};
use aarch64_reloc::reloc::{Reason, Reloc, Slot};
use aarch64_reloc::veneer::{Callee, Cell, Form, Island, Occupant, Veneer, VeneerError};
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
        let offset = aarch64_reloc::reloc::Value::Offset(got.page_offset_of(slot));
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

/// What the instructions of a veneer do, decoded apart from the crate (Arm ARM C6.2). Runs from `entry` until control
/// leaves `text`; answers where to, and the mask of registers written.
fn run(text: &[u8], base: Addr, entry: Addr, memory: &HashMap<u64, u64>) -> Option<(u64, u32)> {
    let (mut pc, mut x, mut written) = (entry.get(), [0xdead_dead_dead_dead_u64; 32], 0);
    loop {
        let offset = pc.wrapping_sub(base.get());
        let Some(word) = text.get(offset as usize..).and_then(|rest| rest.first_chunk()) else {
            return Some((pc, written));
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
