//! That no file takes long: each has so much of the processor's time, and what does not come back at all ends the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a file may take of the processor's time. The slowest take some milliseconds.
const MOST: Duration = Duration::from_secs(2);
/// When the run is ended. Others share the machine.
const STUCK: Duration = Duration::from_secs(120);

/// Who watches.
pub struct Watch {
    /// The file's number, from 1 on; 0 at the end.
    number: Arc<AtomicU64>,
    pub slowest: (Duration, u64),
}

impl Watch {
    pub fn new(what: &'static str) -> Self {
        let number = Arc::new(AtomicU64::new(1));
        let watched = Arc::clone(&number);
        thread::spawn(move || {
            let (mut last, mut since) = (1, Instant::now());
            while last != 0 {
                thread::sleep(Duration::from_millis(200));
                let now = watched.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                }
                if since.elapsed() > STUCK {
                    eprintln!("{what}: seed {} does not come back", last - 1);
                    std::process::abort();
                }
            }
        });
        Self { number, slowest: (Duration::ZERO, 0) }
    }

    /// Runs what is done with the file of `seed`.
    pub fn time<T>(&mut self, seed: u64, run: impl FnOnce() -> T) -> T {
        self.number.store(seed + 1, Ordering::Relaxed);
        let start = processor_time();
        let result = run();
        let took = processor_time() - start;
        self.slowest = self.slowest.max((took, seed));
        // Of an emulated machine time says nothing.
        assert!(took < MOST || cfg!(target_arch = "aarch64"), "seed {seed} takes {took:?}");
        result
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.number.store(0, Ordering::Relaxed);
    }
}

/// What the processor has spent on this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the answer.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
