//! What a link of whole objects costs, from the files' bytes in memory to the image in memory, beside the linkers in the
//! same run: LLVM's JITLink and RuntimeDyld in a process of their own (`llvm/link_object.cc`), ld.lld and mold as processes.
//!
//! Time is the processor's, and the median of several runs; beside what is timed as a process, it is that in user space. Here as
//! there, one link after the other runs in a process: the tables of one are kept for the next. In test mode nothing is timed;
//! objects are linked and compared.

#[path = "link/peers.rs"]
mod peers;
#[path = "link/synthetic.rs"]
mod synthetic;
#[path = "link/whole.rs"]
mod whole;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Input, Storage, Summary};
use peers::{Peers, processor_time, user_time};
use whole::{libcrypto, link, with_members};

fn link_object(bytes: &[u8], kept: &mut Storage<'static>) -> Summary {
    link(&[Input { name: "synthetic.o", object: Elf::parse(bytes).unwrap() }], kept, &mut Vec::new())
}

/// Nanoseconds of processor time that `work` takes, the median of `times`.
fn median(times: usize, mut work: impl FnMut()) -> f64 {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let start = processor_time();
            work();
            processor_time() - start
        })
        .collect();
    taken.sort_unstable();
    taken[times / 2] as f64
}

/// Nanoseconds in user space that `work` takes. The clock is a coarse one.
fn user_time_of(mut work: impl FnMut()) -> f64 {
    const TIMES: u64 = 30;
    let start = user_time();
    (0..TIMES).for_each(|_| work());
    ((user_time() - start) / TIMES) as f64
}

/// The table, and what of the wanted ratios was missed.
#[derive(Default)]
struct Board {
    missed: Vec<String>,
}

impl Board {
    fn line(&self, what: &str, who: &str, each: f64, relocations: usize) {
        println!("{what:<42} {who:<12} {:9.1} ns a relocation", each / relocations as f64);
    }

    /// `one` is to be at most `most` times `other`.
    fn at_most(&mut self, what: String, one: f64, most: f64, other: f64) {
        let ratio = one / other;
        println!("{what}: {ratio:.2}, wanted: {most:.2} at the most");
        if ratio > most {
            self.missed.push(what);
        }
    }

    fn faster(&mut self, what: &str, peer: &str, ours: f64, times: f64, theirs: Option<f64>) {
        let Some(theirs) = theirs else { return };
        let ratio = theirs / ours;
        println!("{what}: {ratio:.2} times faster than {peer}, wanted: {times:.1}");
        if ratio < times {
            self.missed.push(format!("{what}: {ratio:.2} times {peer}"));
        }
    }
}

/// Relocations and sections of the synthetic objects.
const SIZES: [(usize, usize); 4] = [(10_000, 1), (100_000, 1), (1_000_000, 1), (1_000_000, 10_000)];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return check();
    }
    let (peers, mut board, mut ours) = (Peers::find(), Board::default(), Vec::new());
    for (relocations, sections) in SIZES {
        let what = format!("{relocations} relocations in {sections} sections");
        let object = synthetic::object(relocations, sections);
        let path = peers.write("synthetic.o", &object);
        let mut kept = Storage::default();
        let own = median(7, || _ = link_object(&object, &mut kept));
        board.line(&what, "here", own, relocations);
        board.line(&what, "new tables", median(5, || _ = link_object(&object, &mut Storage::default())), relocations);
        ours.push(own / relocations as f64);
        let jitlink = peers.in_process("jitlink", 5, &path);
        // Its time grows with the square of the sections.
        let rtdyld = if sections == 1 { peers.in_process("rtdyld", 3, &path) } else { None };
        let lld = peers.process("ld.lld-19", 3, &["--no-relax", "-e", "0"], &path);
        let mold = peers.process("mold", 3, &["--no-fork", "-m", "aarch64linux", "-e", "0"], &path);
        for (who, taken) in [("JITLink", jitlink), ("RuntimeDyld", rtdyld), ("ld.lld", lld), ("mold", mold)] {
            taken.inspect(|&taken| board.line(&what, who, taken, relocations));
        }
        if relocations == 1_000_000 {
            board.faster(&what, "JITLink", own, 4.0, jitlink);
            board.faster(&what, "RuntimeDyld", own, 20.0, rtdyld);
        }
    }
    if let [small, _, large, torn] = ours[..] {
        board.at_most("10 000 sections, of one".into(), torn, 1.5, large);
        board.at_most("1 000 000 relocations, of 10 000, each".into(), large, 1.3, small);
    }
    if let Some(path) = libcrypto() {
        let bytes = std::fs::read(&path).unwrap();
        let mut kept = Storage::default();
        let mut link = |inputs: &[Input<'_, Elf<'_>>]| link(inputs, &mut kept, &mut Vec::new());
        let relocations = with_members(&bytes, &mut link).relocations;
        let whole = user_time_of(|| _ = with_members(&bytes, &mut link));
        let own = with_members(&bytes, |inputs| user_time_of(|| _ = link(inputs)));
        board.line("libcrypto.a whole", "here", own, relocations);
        board.line("libcrypto.a whole, and its selection", "here", whole, relocations);
        let options = ["--whole-archive", "--unresolved-symbols=ignore-all", "--no-relax", "-e", "0"];
        let lld = peers.process("ld.lld-19", 5, &options, &path);
        lld.inspect(|&taken| board.line("libcrypto.a whole", "ld.lld", taken, relocations));
        board.faster("libcrypto.a whole", "ld.lld", own, 5.0, lld);
    }
    assert!(board.missed.is_empty(), "missed: {:#?}", board.missed);
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
