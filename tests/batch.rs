//! Batches do what each relocation does alone: byte for byte, refusal for refusal, whatever they are given.
//!
//! The oracle is [`Reloc::apply`], which knows nothing of batches.

#[path = "common/places.rs"]
mod places;

use aarch64_reloc::patch::{Batch, BatchError, Block};
use aarch64_reloc::{Addr, Endian, Fixup, PatchError, Reason, Reloc, Section, Value};
use places::{Case, Of, endian, pick};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use static_assertions::const_assert_eq;

const_assert_eq!(size_of::<Fixup>(), 16);
const_assert_eq!(size_of::<Block>(), 2048);
const_assert_eq!(size_of::<PatchError>(), 48);
const_assert_eq!(size_of::<Result<(), PatchError>>(), 48);

/// Bytes, where they will run, and what is asked of them.
#[derive(Clone, Debug)]
struct Scene {
    bytes: Vec<u8>,
    addr: Addr,
    endian: Endian,
    fixups: Vec<(usize, Reloc, Value)>,
}

impl Scene {
    /// Places of one to four kinds, each in sixteen bytes of its own, most of them as they should be.
    fn apart(g: &mut Gen) -> Self {
        let kinds: Vec<_> = (0..1 + u8::arbitrary(g) % 4).map(|_| pick(g, Reloc::ALL)).collect();
        // An eighth of the sections are not aligned.
        let misaligned = if u8::arbitrary(g) < 32 { u64::arbitrary(g) & 7 } else { 0 };
        let addr = Addr::new(u64::arbitrary(g) & !7 | misaligned);
        let count = pick(g, &[1, 2, 7, 40, 400]);
        let mut scene = Self { bytes: Vec::new(), addr, endian: endian(g), fixups: Vec::new() };
        for _ in 0..count {
            let reloc = pick(g, &kinds);
            let offset = scene.bytes.len() + if u8::arbitrary(g) < 16 { usize::arbitrary(g) & 7 } else { 0 };
            let mut case = Case::of(g, reloc, addr.at(offset));
            if u8::arbitrary(g) < 16 {
                case.value = pick(g, &[Value::Addr(addr), Value::Offset(4), case.other]);
            }
            if u8::arbitrary(g) < 16 {
                case.before = u64::arbitrary(g).to_le_bytes();
            }
            scene.bytes.resize(scene.bytes.len() + 16, 0);
            scene.bytes[offset..offset + 8].copy_from_slice(&case.before);
            scene.fixups.push((offset, reloc, case.value));
        }
        // The end may come right after the last place, or before it.
        let end = scene.fixups.last().map_or(0, |(offset, reloc, _)| offset + reloc.size());
        scene.bytes.truncate(end + usize::arbitrary(g) % 12);
        scene.bytes.truncate(scene.bytes.len() - usize::arbitrary(g) % 4 % (scene.bytes.len() + 1));
        scene
    }

    /// Places anywhere, over each other.
    fn heaped(g: &mut Gen) -> Self {
        let mut scene = Self::apart(g);
        scene.bytes.truncate(64);
        for (offset, ..) in &mut scene.fixups {
            *offset = usize::arbitrary(g) % 80;
        }
        scene
    }

    /// One kind, at places that follow each other.
    fn run(g: &mut Gen) -> Self {
        let mut scene = Self::apart(g);
        let (first, reloc, _) = scene.fixups[0];
        scene.bytes = Vec::new();
        for (index, (offset, kind, value)) in scene.fixups.iter_mut().enumerate() {
            (*offset, *kind) = (first + index * reloc.size(), reloc);
            let case = Case::of(g, reloc, scene.addr.at(*offset));
            *value = Value::Addr(Addr::new(case.value.bits()));
            scene.bytes.resize(*offset, 0);
            scene.bytes.extend(&case.before[..reloc.size()]);
        }
        scene.bytes.truncate(scene.bytes.len() - usize::arbitrary(g) % 3 % (scene.bytes.len() + 1));
        scene
    }

    fn section<'a>(&self, bytes: &'a mut [u8]) -> Section<'a> {
        Section::new(bytes, self.addr).with_endian(self.endian)
    }

    fn fixups(&self) -> Vec<Fixup> {
        self.fixups.iter().map(|&(offset, reloc, value)| Fixup::new(offset as u32, reloc, value)).collect()
    }

    /// What stands at a place as a number, and back.
    fn number(&self, bytes: &[u8], reloc: Reloc) -> u64 {
        let mut number = [0; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        if reloc.is_data() && self.endian == Endian::Big {
            number[..bytes.len()].reverse();
        }
        u64::from_le_bytes(number)
    }

    /// The oracle: one relocation alone.
    fn apply(&self, bytes: &mut [u8], (offset, reloc, value): (usize, Reloc, Value)) -> Result<(), PatchError> {
        let place = self.addr.at(offset);
        let refuse = |reason| PatchError { reloc, place, value: Some(value), reason };
        let place_bytes = bytes.get_mut(offset..offset + reloc.size()).ok_or(refuse(Reason::OutOfBounds))?;
        let new = reloc.apply(self.number(place_bytes, reloc), place, value).map_err(refuse)?;
        let mut new = new.to_le_bytes();
        let new = &mut new[..place_bytes.len()];
        if reloc.is_data() && self.endian == Endian::Big {
            new.reverse();
        }
        place_bytes.copy_from_slice(new);
        Ok(())
    }

    /// All in order: the bytes, and what was refused, the first as it was found and the rest as it is found in the end.
    fn applied(&self) -> (Vec<u8>, Vec<PatchError>) {
        let mut bytes = self.bytes.clone();
        let answers: Vec<_> = self.fixups.iter().map(|&fixup| self.apply(&mut bytes, fixup)).collect();
        let Some(first) = answers.iter().position(Result::is_err) else { return (bytes, Vec::new()) };
        let mut refused = vec![answers[first].unwrap_err()];
        refused
            .extend(self.fixups[first + 1..].iter().filter_map(|&fixup| self.apply(&mut bytes.clone(), fixup).err()));
        (bytes, refused)
    }

    /// What each is refused for as the bytes are.
    fn checked(&self) -> Vec<PatchError> {
        self.fixups.iter().filter_map(|&fixup| self.apply(&mut self.bytes.clone(), fixup).err()).collect()
    }
}

/// Enough for each relocation to be in some twenty scenes of either byte order.
const SCENES: u64 = 3_000;

macro_rules! law {
    ($(#[$doc:meta])* $name:ident: $make:path, $law:expr) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            #[derive(Clone, Debug)]
            struct Made(Scene);
            impl Arbitrary for Made {
                fn arbitrary(g: &mut Gen) -> Self {
                    Self($make(g))
                }
            }
            fn law(Made(scene): Made) {
                let law: fn(Scene) = $law;
                law(scene);
            }
            QuickCheck::new().tests(SCENES).max_tests(SCENES).quickcheck(law as fn(Made));
        }
    };
}

law!(fixups_in_order: Scene::heaped, in_order);
law!(fixups_apart: Scene::apart, in_order);

fn in_order(scene: Scene) {
    let (mut bytes, fixups) = (scene.bytes.clone(), scene.fixups());
    let mut section = scene.section(&mut bytes);
    let checked: Vec<_> = section.check_all(&fixups).err().into_iter().flatten().collect();
    assert_eq!(checked, scene.checked());
    let (expected, refused) = scene.applied();
    let failures: Vec<_> = section.patch_all(&fixups).err().into_iter().flatten().collect();
    assert_eq!(failures, refused);
    assert_eq!(bytes, expected);
}

law!(one_at_a_time: Scene::heaped, |scene| {
    let (mut bytes, mut expected) = (scene.bytes.clone(), scene.bytes.clone());
    for &(offset, reloc, value) in &scene.fixups {
        let mut section = scene.section(&mut bytes);
        let answer = scene.apply(&mut expected, (offset, reloc, value));
        assert_eq!(section.check(offset, reloc, value), answer.and(section.check(offset, reloc, value)));
        assert_eq!(section.patch(offset, reloc, value), answer);
        assert_eq!(bytes, expected);
    }
});

law!(kind_by_kind: Scene::apart, |scene| {
    let mut batch = Batch::new(vec![Block::EMPTY; 7]);
    for &(offset, reloc, value) in &scene.fixups {
        let answer = batch.push(offset as u32, reloc, value);
        if !reloc.takes().takes(value) {
            assert_eq!(answer, Err(BatchError::WrongValue { reloc, given: value.class() }));
        }
    }
    let recorded = |&(_, reloc, value): &(usize, Reloc, Value)| reloc.takes().takes(value);
    let mut scene = scene;
    scene.fixups.retain(recorded);
    assert_eq!(batch.len(), scene.fixups.len());

    // In the batch's own order.
    let by_place = |mut errors: Vec<PatchError>| {
        errors.sort_by_key(|error| error.place);
        // A relocation that takes any value is said to have been given an address.
        errors.iter_mut().for_each(|error| error.value = error.value.map(|value| error.reloc.takes().of(Addr::new(value.bits()))));
        errors
    };
    let mut bytes = scene.bytes.clone();
    let mut section = scene.section(&mut bytes);
    let checked: Vec<_> = section.check_batch(&batch).err().into_iter().flatten().collect();
    assert_eq!(by_place(checked), by_place(scene.checked()));
    let (expected, refused) = scene.applied();
    let failures: Vec<_> = section.patch_batch(&batch).err().into_iter().flatten().collect();
    assert_eq!(by_place(failures), by_place(refused));
    assert_eq!(bytes, expected);
});

law!(in_a_run: Scene::run, |scene| {
    let (offset, reloc, _) = scene.fixups[0];
    let targets: Vec<_> = scene.fixups.iter().map(|(.., value)| Addr::new(value.bits())).collect();
    let mut bytes = scene.bytes.clone();
    let mut section = scene.section(&mut bytes);
    let checked: Vec<_> = section.check_run(offset, reloc, &targets).err().into_iter().flatten().collect();
    assert_eq!(checked, scene.checked());
    let (expected, refused) = scene.applied();
    let failures: Vec<_> = section.patch_run(offset, reloc, &targets).err().into_iter().flatten().collect();
    assert_eq!(failures, refused);
    assert_eq!(bytes, expected);
});

#[test]
fn a_full_batch_says_so_and_can_be_emptied() {
    let target = Addr::new(0x1000);
    let mut batch = Batch::new([Block::EMPTY; 2]);
    for index in 0..Block::SITES as u32 {
        batch.push(8 * index, Reloc::CALL26, target).unwrap();
    }
    batch.push(0, Reloc::ABS64, target).unwrap();
    for (reloc, value) in [(Reloc::CALL26, target), (Reloc::JUMP26, target)] {
        assert_eq!(batch.push(4, reloc, value), Err(BatchError::Full(2)));
    }
    batch.push(8, Reloc::ABS64, target).unwrap();
    assert_eq!(batch.len(), Block::SITES + 2);
    assert_eq!(BatchError::Full(2).to_string(), "the batch is full: all 2 blocks are in use");
    let wrong = batch.push(4, Reloc::CALL26, Value::Offset(8)).unwrap_err();
    assert_eq!(wrong.to_string(), "R_AARCH64_CALL26 takes an address, was given an offset");

    batch.clear();
    assert!(batch.is_empty());
    batch.push(4, Reloc::JUMP26, target).unwrap();
    let mut text = [0, 0, 0, 0x94, 0, 0, 0, 0x14];
    Section::new(&mut text, Addr::new(0)).patch_batch(&batch).unwrap();
    assert_eq!(text, [0, 0, 0, 0x94, 0xff, 0x03, 0, 0x14]);
}

#[test]
fn a_run_beyond_every_address_is_out_of_bounds() {
    let mut bytes = [0; 16];
    let targets = [Addr::new(1); 3];
    let mut section = Section::new(&mut bytes, Addr::new(0));
    for offset in [usize::MAX, usize::MAX - 15, isize::MAX.cast_unsigned(), 9] {
        let failures: Vec<_> = section.patch_run(offset, Reloc::ABS64, &targets).unwrap_err().collect();
        assert!(failures.len() == 3 && failures.iter().all(|error| error.reason == Reason::OutOfBounds));
    }
    assert_eq!(bytes, [0; 16]);
}
