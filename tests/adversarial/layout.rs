//! Where everything goes: at random, and where a field is just long enough, or just not.

use super::program::{EXECUTABLE, Program, Target, WRITABLE};
use aarch64_reloc::link::{Policy, Tags};

/// Room that is left above every section for what the linker may put there.
pub const MARGIN: u64 = 0x1_0000;

/// What the addresses of segments are multiples of: no output section of the objects wants more.
const SEGMENT_ALIGN: u64 = 16;

/// The addresses of a link, all chosen by the test.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Of the output sections of the program.
    pub outputs: Vec<u64>,
    pub externals: Vec<u64>,
    pub got: u64,
    /// Of the veneers.
    pub plt: u64,
    /// Of the segments, by protection: executable, read-only, writable; where nothing is pinned.
    pub segments: Option<[u64; 3]>,
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    /// Once in `of` times.
    pub fn chance(&mut self, of: u64) -> bool {
        self.next().is_multiple_of(of)
    }
}

/// Rungs, mostly all of them.
pub fn policy(random: &mut Random) -> Policy {
    let mut some = || !random.chance(8);
    let (veneers, hops, detours, scratch, execute_only) = (some(), some(), some(), some(), !some());
    let (landing_pads, tags) = (random.chance(4), random.pick(&[Tags::Keep, Tags::Keep, Tags::Strip, Tags::Refuse]));
    Policy { veneers, hops, detours, scratch, landing_pads, execute_only, tags, ..Policy::ALL }
}

const LANDMARKS: [u64; 10] = [
    0x1_0000,
    0x40_0000,
    1 << 27,
    1 << 31,
    1 << 32,
    0x5555_5555_0000,
    0x7fff_f7f0_0000,
    1 << 47,
    0xffff_8000_0000_0000,
    0xffff_ffff_ffe0_0000,
];

/// How far apart fields let two things be.
const DISTANCES: [i64; 11] =
    [0, 1 << 15, 1 << 16, 1 << 20, 1 << 27, 1 << 28, 1 << 31, 1 << 32, 5 << 30, 1 << 45, 1 << 47];

const STEPS: [i64; 15] = [0, 1, 2, 3, 4, 8, 16, 0xff0, 0xffc, 0x1000, 0x1004, 0x2000, 0x1_0000, 0x10_0000, 0x12_3450];

impl Layout {
    /// A layout of `program`.
    pub fn random(program: &Program, policy: Policy, random: &mut Random) -> Self {
        loop {
            let mut layout = Self::scattered(program, policy, random);
            if random.chance(4) {
                layout.line_up(program, policy);
            }
            for _ in 0..random.next() % 4 {
                layout.aim(program, policy, random);
            }
            if layout.is_possible(program) && (policy.tags == Tags::Keep || layout.is_plain()) {
                return layout;
            }
        }
    }

    /// Everything somewhere near something else, or anywhere.
    fn scattered(program: &Program, policy: Policy, random: &mut Random) -> Self {
        // No code lies at an address with a tag.
        let plain = |at| if policy.tags == Tags::Keep { at } else { untagged(at) };
        let base = plain(if random.chance(4) { random.next() } else { random.pick(&LANDMARKS) });
        // Mostly what must be near is near: a link that fails shows nothing of the bytes.
        let apart = random.pick(&[0, 0, 1, 2, 3, 8]);
        let mut far = |near: u64, size: u64, align: u64| {
            let at = match random.next() % 8 {
                0 if apart > 2 => random.next(),
                1 if apart > 1 => random.pick(&LANDMARKS),
                2 if apart > 0 => beside(near, random),
                _ => near.wrapping_add(random.next() % (1 << 24)),
            };
            plain(at).min(u64::MAX - size - 2 * MARGIN) & !(align - 1)
        };
        let mut outputs: Vec<_> = program.outputs.iter().map(|output| far(base, output.size, output.align)).collect();
        let got = far(base, MARGIN, 8);
        let plt = far(base, MARGIN, 0x1000);
        let externals = program.externals.iter().map(|_| far(base, 8, 8)).collect::<Vec<_>>();
        let externals =
            externals.into_iter().map(|at| if random.chance(16) { at ^ random.next() << 56 } else { at }).collect();
        // Nothing rescues what tells how to unwind.
        let text = program.outputs.iter().position(|output| output.name == ".text").map(|text| outputs[text]);
        for (output, at) in program.outputs.iter().zip(&mut outputs) {
            if output.name == ".eh_frame" && !random.chance(8) {
                let near = text.unwrap_or(base).wrapping_add(random.next() % (1 << 30));
                *at = near.min(u64::MAX - output.size - 2 * MARGIN) & !(output.align - 1);
            }
        }
        Self { outputs, externals, got, plt, segments: None }
    }

    /// Moves the target of some reference to the end of some field's reach, or just past it.
    fn aim(&mut self, program: &Program, policy: Policy, random: &mut Random) {
        let reference = &program.references[random.next() as usize % program.references.len()];
        let place = self.outputs[reference.output].wrapping_add(reference.offset);
        let to = beside(place, random).wrapping_sub(reference.addend.cast_unsigned());
        let is_got = matches!(reference.code.0, 309..=313);
        match reference.target {
            _ if is_got && self.segments.is_none() => self.got = to & !7,
            Target::In { output, offset } if self.segments.is_some() => {
                self.move_segment(program, policy, output, to.wrapping_sub(self.outputs[output]).wrapping_sub(offset));
            }
            Target::In { output, offset } if output != reference.output => {
                self.outputs[output] = to.wrapping_sub(offset) & !(program.outputs[output].align - 1);
            }
            Target::External(external) => self.externals[external] = to & !3,
            _ if self.segments.is_some() => {}
            _ => self.plt = beside(place, random) & !0xfff,
        }
    }

    /// Puts the output sections of each protection in a row: the slots, what has bytes, zeros; the veneers after text.
    fn line_up(&mut self, program: &Program, policy: Policy) {
        let mut segments = [0; 3];
        for (kind, segment) in segments.iter_mut().enumerate() {
            let mut row: Vec<_> = (0..self.outputs.len()).filter(|&at| program.outputs[at].kind() == kind).collect();
            row.sort_by_key(|&at| program.outputs[at].bytes.is_empty());
            let first = row.first().map_or(self.got, |&at| self.outputs[at]);
            *segment = first.min(u64::MAX - 16 * MARGIN) & !(SEGMENT_ALIGN - 1);
            let mut next = *segment;
            if kind == WRITABLE {
                self.got = next;
                next += program.slots(policy) as u64 * 8;
            }
            for at in row {
                self.outputs[at] = next.next_multiple_of(program.outputs[at].align);
                next = self.outputs[at] + program.outputs[at].size;
            }
            if kind == EXECUTABLE {
                self.plt = next.next_multiple_of(16);
            }
        }
        self.segments = Some(segments);
    }

    /// Moves the segment of the output section `moved`.
    fn move_segment(&mut self, program: &Program, policy: Policy, moved: usize, distance: u64) {
        let (kind, distance) = (program.outputs[moved].kind(), distance & !(SEGMENT_ALIGN - 1));
        for (at, output) in self.outputs.iter_mut().zip(&program.outputs) {
            if output.kind() == kind {
                *at = at.wrapping_add(distance).min(u64::MAX - 16 * MARGIN);
            }
        }
        self.line_up(program, policy);
    }

    /// Whether nothing overlaps, nor goes round the end of the address space.
    fn is_possible(&self, program: &Program) -> bool {
        let mut all: Vec<_> = match self.segments {
            Some(segments) => segments.map(|at| (at, 8 * MARGIN)).to_vec(),
            None => {
                let outputs = self.outputs.iter().zip(&program.outputs).map(|(&at, output)| (at, output.size + MARGIN));
                outputs.chain([(self.got, MARGIN), (self.plt, MARGIN)]).collect()
            }
        };
        all.extend(self.externals.iter().map(|&at| (at, 8)));
        all.sort_unstable();
        all.iter().all(|&(at, size)| at.checked_add(size).is_some())
            && all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
    }

    /// Whether nothing of the link has a tag.
    fn is_plain(&self) -> bool {
        self.outputs.iter().chain([&self.got, &self.plt]).all(|&at| at == untagged(at))
    }

    /// `S` of `target`.
    pub fn symbol(&self, target: Target) -> u64 {
        match target {
            Target::In { output, offset } => self.outputs[output].wrapping_add(offset),
            Target::External(external) => self.externals[external],
            Target::Absolute(number) => number,
            Target::Nothing(_) => 0,
        }
    }
}

/// Bits 63:56 are copies of bit 55.
pub fn untagged(addr: u64) -> u64 {
    ((addr << 8).cast_signed() >> 8).cast_unsigned()
}

/// An address that some field just reaches from `near`, or just not.
fn beside(near: u64, random: &mut Random) -> u64 {
    let distance = random.pick(&DISTANCES).wrapping_add(random.pick(&STEPS) * random.pick(&[-1, 1]));
    near.wrapping_add_signed(distance * random.pick(&[-1, 1]))
}
