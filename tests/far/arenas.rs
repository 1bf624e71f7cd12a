//! Objects in several arenas, far from each other, that use each other.

use crate::linked::{files, link};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{Arena, Block, PageSize, Prot};
use aarch64_reloc::link::{Options, Request};

/// Where the arenas begin.
const ARENAS: [u64; 2] = [0x10_0000_0000, 0x50_0000_0000];

/// Executable segments come from one arena, all others from another.
#[test]
fn text_of_one_arena_uses_data_of_another() {
    let arena = |base| Arena::new([Block::EMPTY; 16], Addr::new(base), 1 << 30, PageSize::K4).unwrap();
    let mut arenas = ARENAS.map(arena);
    let place = |request: &Request| {
        let arena = &mut arenas[usize::from(request.prot != Prot::ReadExec)];
        arena.alloc(request.prot, request.size).map(|segment| segment.addr())
    };
    let files = files("far", &["one.o", "other.o"]);
    let linked = link(&files, &Options::default(), &|_| None, place).unwrap_or_else(|refusals| panic!("{refusals:#?}"));
    assert_eq!(linked.summary.rungs.detour, 3, "{}", linked.summary);

    let [use_of, shared] = ["page_of_shared", "shared"].map(|name| linked.symbol(name));
    let reaches = |base: u64, addr: Addr| addr.get().wrapping_sub(base) < 1 << 30;
    assert!(reaches(ARENAS[0], use_of) && reaches(ARENAS[1], shared));
    let (page, end) = linked.built(linked.branch(use_of));
    assert_eq!((page, linked.branch(end)), (shared.get() & !0xfff, use_of.at(4)));
    assert_eq!(linked.long(shared), 40);

    let slot_of = linked.symbol("slot_of_shared");
    let (page, end) = linked.built(linked.branch(slot_of));
    assert_eq!(linked.branch(end), slot_of.at(4));
    // LDR Xt, [Xn, #imm12 * 8]
    let slot = page + u64::from(linked.word(slot_of.at(4)) >> 10 & 0xfff) * 8;
    assert!(reaches(ARENAS[1], Addr::new(slot)));
    assert_eq!(linked.long(Addr::new(slot)), shared.get());
}

#[cfg(target_arch = "aarch64")]
mod in_process {
    use super::*;
    use crate::linked::{Refusal, inputs};
    use aarch64_reloc::load::Image;
    use aarch64_reloc::mem::Reservation;

    /// A reservation near `base`, where there is room.
    fn reserve(base: u64) -> Reservation {
        let bases = (0..64).map(|nth| Addr::new(base + (nth << 26)));
        bases.into_iter().find_map(|base| Reservation::at(base, 1 << 24).ok()).unwrap()
    }

    fn load(reservation: &Reservation, name: &str, resolve: &dyn Fn(&str) -> Option<Addr>) -> Image {
        let files = files("far", &[name]);
        let mut refusals = Vec::new();
        let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| refusals.push(Refusal::of(failure));
        let image = Image::load(reservation, &inputs(&files), &Options::default(), &mut |name| resolve(name), report);
        image.unwrap_or_else(|error| panic!("{error}: {refusals:#?}"))
    }

    #[test]
    fn an_object_uses_another_in_another_arena() {
        for [here, there] in [ARENAS, [ARENAS[1], ARENAS[0]]] {
            let [here, there] = [reserve(here), reserve(there)];
            assert!(here.addr().distance_from(there.addr()).unsigned_abs() >= 64 << 30);
            let one = load(&there, "one.o", &|_| None);
            let other = load(&here, "other.o", &|name| one.symbol(name));
            let rungs = other.summary().rungs;
            assert_eq!((rungs.veneer, rungs.detour), (1, 1), "{}", other.summary());
            // SAFETY: such a function is there; both images outlive the calls.
            let call: extern "C" fn(u64) -> u64 = unsafe { other.function(other.symbol("use").unwrap()) }.unwrap();
            // Each call leaves 100 more in `shared`, which it adds twice.
            assert_eq!([call(5), call(5)], [5 + 1 + 2 * 140, 5 + 1 + 2 * 240]);
        }
    }
}
