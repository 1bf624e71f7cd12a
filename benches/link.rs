//! scratch
#[path = "link/synthetic.rs"]
mod synthetic;
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Input, Options, Plan, Storage, each, measure};
use aarch64_reloc::patch;
fn cpu() -> u64 { let mut t = libc::timespec{tv_sec:0,tv_nsec:0}; unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) }; t.tv_sec as u64*1_000_000_000 + t.tv_nsec as u64 }

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[1].parse().unwrap();
    let sections: usize = args[2].parse().unwrap();
    let times: usize = args[3].parse().unwrap();
    let path = format!("/tmp/synth_{n}_{sections}.o");
    let bytes = std::fs::read(&path).unwrap_or_else(|_| { let b = synthetic::object(n, sections); std::fs::write(&path, &b).unwrap(); b });
    let mut memory: Vec<Vec<u8>> = Vec::new();
    for _ in 0..times {
        let t0 = cpu();
        let inputs = [Input { name: "a.o", object: Elf::parse(&bytes).unwrap() }];
        let needs = measure(&inputs, 0);
        let t1 = cpu();
        let mut storage = Storage::new(needs);
        let t2 = cpu();
        let mut next = Addr::new(0x40_0000);
        let place = |r: &aarch64_reloc::link::Request| { let a = next.align_up(65536); next = a.plus(r.size as i64); Ok::<_, ()>(a) };
        let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, each(place), &mut |f| panic!("{f}")).unwrap();
        let t3 = cpu();
        memory.resize(plan.segments().len(), Vec::new());
        let sections: Vec<_> = plan.segments().iter().zip(&mut memory).map(|(s, m)| { m.resize(s.size() as usize, 0); patch::Section::new(m, s.addr()) }).collect();
        let mut sections = sections;
        let t4 = cpu();
        plan.commit(&mut sections).unwrap();
        let t5 = cpu();
        let p = |a: u64, b: u64| (b - a) as f64 / n as f64;
        println!("measure {:.1} storage {:.1} plan {:.1} alloc {:.1} commit {:.1} total {:.1}", p(t0,t1), p(t1,t2), p(t2,t3), p(t3,t4), p(t4,t5), p(t0,t5));
    }
    let h = memory.iter().flatten().fold(0u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3));
    println!("{h:x}");
}
