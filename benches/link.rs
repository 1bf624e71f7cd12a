//! What a link of whole objects costs, from the files' bytes in memory to the image in memory, beside the linkers in the
//! same run: LLVM's JITLink and RuntimeDyld in a process of their own (`llvm/link_object.cc`), ld.lld and mold as processes.
//!
//! Time is the processor's; beside what is timed as a process, that in user space. All have their turns in each of several
//! rounds, and the median of the rounds' ratios counts. Here as there, one link after the other runs in a process: the tables of
//! one are kept for the next. In test mode nothing is timed; objects are linked and compared.

#[path = "link/peers.rs"]
mod peers;
#[path = "link/synthetic.rs"]
mod synthetic;
#[path = "common/time.rs"]
mod time;
#[path = "link/whole.rs"]
mod whole;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Input, Storage, Summary};
use peers::{Peers, processor_time, user_time};
use std::collections::BTreeMap;
use whole::{libcrypto, link, with_members};

fn link_object(bytes: &[u8], kept: &mut Storage<'static>) -> Summary {
    link(&[Input { name: "synthetic.o", object: Elf::parse(bytes).unwrap() }], kept, &mut Vec::new())
}

/// Nanoseconds of processor time that `work` takes, the median of `times`.
fn median(times: usize, mut work: impl FnMut()) -> f64 {
    let turn = |_| {
        let start = processor_time();
        work();
        (processor_time() - start) as f64
    };
    time::median((0..times).map(turn).collect())
}

/// Nanoseconds in user space that `work` takes. The clock is a coarse one.
fn user_time_of(mut work: impl FnMut()) -> f64 {
    const TIMES: u64 = 10;
    let start = user_time();
    (0..TIMES).for_each(|_| work());
    ((user_time() - start) / TIMES) as f64
}

/// Nanoseconds a relocation, round by round, of who did what.
#[derive(Default)]
struct Board(BTreeMap<Work, Vec<f64>>);

/// What was linked, and by whom.
type Work = (usize, &'static str);

impl Board {
    fn note(&mut self, what: usize, who: &'static str, taken: Option<f64>, relocations: usize) {
        if let Some(taken) = taken {
            self.0.entry((what, who)).or_default().push(taken / relocations as f64);
        }
    }

    /// One by the other, the median of the rounds: what a round has in common, such as a slow machine, is in both. `None` where
    /// one was not timed.
    fn ratio(&self, one: Work, other: Work) -> Option<f64> {
        let (one, other) = (self.0.get(&one)?, self.0.get(&other)?);
        Some(time::median(one.iter().zip(other).map(|(one, other)| one / other).collect()))
    }
}

/// Relocations and sections of the synthetic objects.
const SIZES: [(usize, usize); 4] = [(10_000, 1), (100_000, 1), (1_000_000, 1), (1_000_000, 10_000)];
/// Some of them by their indices, and what comes after them.
const SMALL: usize = 0;
const LARGE: usize = 2;
const TORN: usize = 3;
const CRYPTO: usize = SIZES.len();
const ROUNDS: usize = 7;

/// What is wanted: of what, who, and how many times the time of whom.
const WANTED: [(Work, f64, Work); 6] = [
    ((LARGE, "JITLink"), 4.0, (LARGE, "here")),
    ((LARGE, "RuntimeDyld"), 20.0, (LARGE, "here")),
    ((TORN, "JITLink"), 4.0, (TORN, "here")),
    ((CRYPTO, "ld.lld"), 5.0, (CRYPTO, "here")),
    ((LARGE, "here"), 1.0 / 1.5, (TORN, "here")),
    ((SMALL, "here"), 1.0 / 1.3, (LARGE, "here")),
];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return check();
    }
    let (peers, mut board) = (Peers::find(), Board::default());
    let objects = SIZES.map(|(relocations, sections)| synthetic::object(relocations, sections));
    let files: Vec<_> = (0..).zip(&objects).map(|(at, object)| peers.write(&format!("{at}.o"), object)).collect();
    let libcrypto = libcrypto().map(|path| (std::fs::read(&path).unwrap(), path));
    let mut kept = SIZES.map(|_| Storage::default());
    let mut of_libcrypto = Storage::default();
    for _ in 0..ROUNDS {
        for (what, (relocations, sections)) in SIZES.into_iter().enumerate() {
            let (object, kept, file) = (&objects[what], &mut kept[what], &files[what]);
            // Many turns of what is short.
            let turns = 3.max(100_000 / relocations);
            let mut note = |who, taken| board.note(what, who, taken, relocations);
            note("here", Some(median(turns, || _ = link_object(object, kept))));
            note("JITLink", peers.in_process("jitlink", turns, file));
            note("new tables", Some(median(turns, || _ = link_object(object, &mut Storage::default()))));
            // Its time grows with the square of the sections.
            note("RuntimeDyld", if sections == 1 { peers.in_process("rtdyld", 1, file) } else { None });
            note("ld.lld", peers.process("ld.lld-19", &["--no-relax", "-e", "0"], file));
            note("mold", peers.process("mold", &["--no-fork", "-m", "aarch64linux", "-e", "0"], file));
        }
        if let Some((bytes, path)) = &libcrypto {
            let mut link = |inputs: &[Input<'_, Elf<'_>>]| link(inputs, &mut of_libcrypto, &mut Vec::new());
            let relocations = with_members(bytes, &mut link).relocations;
            let mut note = |who, taken| board.note(CRYPTO, who, taken, relocations);
            note("here", Some(with_members(bytes, |inputs| user_time_of(|| _ = link(inputs)))));
            let options = ["--whole-archive", "--unresolved-symbols=ignore-all", "--no-relax", "-e", "0"];
            note("ld.lld", peers.process("ld.lld-19", &options, path));
            note("with its selection", Some(user_time_of(|| _ = with_members(bytes, &mut link))));
        }
    }
    let name = |what| match SIZES.get(what) {
        Some((relocations, sections)) => format!("{relocations} relocations in {sections} sections"),
        None => "libcrypto.a whole".into(),
    };
    for (&(what, who), times) in &board.0 {
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{:<40} {who:<18} {:7.1} ns a relocation, {least:7.1} at the least",
            name(what),
            time::median(times.clone())
        );
    }
    let mut missed = Vec::new();
    for (one, wanted, other) in WANTED {
        let Some(ratio) = board.ratio(one, other) else { continue };
        let what = match one.0 == other.0 {
            true => format!("{}, {} to {}: {ratio:.2}", name(one.0), one.1, other.1),
            false => format!("{}, {} to {}: {ratio:.2}", one.1, name(one.0), name(other.0)),
        };
        println!("{what}, wanted: {wanted:.2}");
        if ratio < wanted {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "missed: {missed:#?}");
}

/// What is timed gives the same however often it is done, and all of it is direct or by the GOT.
fn check() {
    let object = synthetic::object(10_000, 100);
    let inputs = [Input { name: "synthetic.o", object: Elf::parse(&object).unwrap() }];
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut kept = Storage::default();
    let summary = link(&inputs, &mut kept, &mut one);
    assert_eq!((summary.relocations, summary.rungs.direct + summary.rungs.slot), (10_000, 10_000));
    assert_eq!((link(&inputs, &mut kept, &mut other), &one), (summary, &other));
    if let Some(path) = libcrypto() {
        let bytes = std::fs::read(path).unwrap();
        let linked = with_members(&bytes, |inputs| {
            let linked = link(inputs, &mut kept, &mut one);
            // What was in memory is overwritten, gaps between sections too.
            other = one.iter().map(|bytes| vec![0xa5; bytes.len()]).collect();
            assert_eq!(link(inputs, &mut kept, &mut other), linked);
            linked
        });
        assert!(linked.relocations > 100_000);
        assert!(one == other);
    }
}
