//! The map by which `perf` names the functions of code that no file has (Linux, `tools/perf/Documentation/jit-interface.txt`).

use super::Image;
use std::format;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process;
use std::vec::Vec;

impl Image {
    /// Writes a line for each function of the image that has a size, local ones too, in the order of their addresses: start
    /// and size, in hexadecimal digits alone, and the name.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_perf_map(&self, mut out: impl Write) -> io::Result<()> {
        for symbol in self.symbols.named().iter().filter(|symbol| symbol.function && symbol.size > 0) {
            writeln!(out, "{:x} {:x} {}", symbol.addr.get(), symbol.size, symbol.name)?;
        }
        Ok(())
    }

    /// Appends these lines to `/tmp/perf-PID.map` of this process, where `perf report` looks for them.
    ///
    /// The file is read after the process has ended, and says nothing of time: lines of an image that is gone stay, and are
    /// wrong where another has taken its place.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or not be written to.
    pub fn append_perf_map(&self) -> io::Result<()> {
        let mut lines = Vec::new();
        self.write_perf_map(&mut lines)?;
        let path = format!("/tmp/perf-{}.map", process::id());
        // All at once: lines of other threads, and of other JITs, do not come between.
        OpenOptions::new().append(true).create(true).open(path)?.write_all(&lines)
    }
}
