//! The other linkers, each in a process of its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Nanoseconds that this process has run.
pub fn processor_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is written, and nothing else.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds that this process has run in user space.
pub fn user_time() -> u64 {
    user_time_of(libc::RUSAGE_SELF)
}

/// The same of this process or of those that it waited for.
fn user_time_of(whom: libc::c_int) -> u64 {
    // SAFETY: all zeros are a `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is written, and nothing else.
    assert_eq!(unsafe { libc::getrusage(whom, &mut usage) }, 0);
    usage.ru_utime.tv_sec as u64 * 1_000_000_000 + usage.ru_utime.tv_usec as u64 * 1_000
}

/// The peers that this machine has.
pub struct Peers {
    folder: TempDir,
    /// `llvm/link_object.cc`, built.
    llvm: Option<PathBuf>,
    /// Why some are skipped, which was printed.
    skipped: RefCell<BTreeSet<String>>,
}

impl Peers {
    pub fn find() -> Self {
        let folder = TempDir::new().unwrap();
        let llvm = build(folder.path()).map_err(|why| println!("JITLink and RuntimeDyld: skipped, {why}")).ok();
        Self { folder, llvm, skipped: RefCell::default() }
    }

    /// Writes a file for them.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Nanoseconds of processor time that an in-process linker takes, the median of `times`.
    pub fn in_process(&self, linker: &str, times: usize, object: &Path) -> Option<f64> {
        let output = Command::new(self.llvm.as_ref()?).args([linker, &times.to_string()]).arg(object).output().unwrap();
        if !output.status.success() {
            return self.skip(format!("{linker}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let mut taken: Vec<u64> =
            String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        taken.sort_unstable();
        taken.get(taken.len() / 2).map(|&taken| taken as f64)
    }

    /// Nanoseconds that a process takes in user space.
    pub fn process(&self, linker: &str, options: &[&str], file: &Path) -> Option<f64> {
        let start = user_time_of(libc::RUSAGE_CHILDREN);
        let mut command = Command::new(linker);
        command.args(options).arg(file).arg("-o").arg(self.folder.path().join("image")).stderr(Stdio::null());
        match command.status() {
            Err(why) => self.skip(format!("{linker}: skipped, {why}")),
            Ok(status) if !status.success() => self.skip(format!("{linker}: skipped, it refuses a file ({status})")),
            Ok(_) => Some((user_time_of(libc::RUSAGE_CHILDREN) - start) as f64),
        }
    }

    /// Says why one is skipped, once.
    fn skip(&self, why: String) -> Option<f64> {
        let mut skipped = self.skipped.borrow_mut();
        if !skipped.contains(&why) {
            println!("{why}");
            skipped.insert(why);
        }
        None
    }
}

/// Builds the peer that is a C++ program, if the headers of LLVM 19 are there.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let say = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(why) => Err(format!("{:?}: {why}", command.get_program())),
    };
    let flags = say(Command::new("llvm-config-19").args(["--cxxflags", "--ldflags", "--libs", "--link-shared"]))?;
    let built = folder.join("link_object");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("llvm/link_object.cc");
    say(Command::new("g++")
        .arg("-O2")
        .arg("-o")
        .arg(&built)
        .arg(source)
        .args(flags.split_whitespace())
        .arg("-fno-rtti"))?;
    Ok(built)
}
