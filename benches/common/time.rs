//! Time of the processor that this thread used, which others on the machine lengthen less than time on the wall.

#![allow(dead_code, reason = "each bench uses some of it")]

use std::time::Duration;

fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is what the call writes to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What `work` takes.
pub fn of(work: impl FnOnce()) -> Duration {
    let began = now();
    work();
    now() - began
}

/// The median of `values`.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Something to be timed: its name, how many things it does in a turn, and a turn, which answers how long it took.
pub struct Contestant<'a> {
    name: &'static str,
    count: usize,
    turn: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contestant<'a> {
    /// All of a turn counts.
    pub fn new(name: &'static str, count: usize, mut turn: impl FnMut() + 'a) -> Self {
        Self::timed(name, count, move || of(&mut turn))
    }

    /// What counts of a turn it says itself.
    pub fn timed(name: &'static str, count: usize, turn: impl FnMut() -> Duration + 'a) -> Self {
        Self { name, count, turn: Box::new(turn) }
    }
}

/// Nanoseconds of the processor for each thing done, by the names of the contestants.
pub struct Times(Vec<(&'static str, f64)>);

impl Times {
    /// Each has its turn in each of so many rounds, of which the median counts.
    pub fn of(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Self {
        let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
        for _ in 0..rounds {
            for (contestant, times) in contestants.iter_mut().zip(&mut times) {
                times.push((contestant.turn)().as_nanos() as f64 / contestant.count as f64);
            }
        }
        Self(contestants.iter().zip(times).map(|(contestant, times)| (contestant.name, median(times))).collect())
    }

    /// In one line.
    pub fn print(&self, title: &str) {
        let cells: Vec<_> = self.0.iter().map(|(name, time)| format!("{name} {time:.2}")).collect();
        println!("{title:<28} {}", cells.join(" | "));
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, time)| *time)
    }

    /// How many times as fast `one` is as `other`, where both were timed.
    pub fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.get(other)? / self.get(one)?)
    }
}
