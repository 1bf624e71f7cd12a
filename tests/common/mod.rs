//! Tools that some tests need: a test without its tool says so and passes, unless `AARCH64_RELOC_MANDATORY` is set.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Tools of which not every version will do: qemu before 10 runs stale code from memory that is mapped twice.
const LEAST: [(&str, u32); 1] = [("qemu-aarch64", 10)];

/// The command `tool`, to be given arguments; `None` where it is missing or too old, which standard error then says.
///
/// ```ignore
/// let Some(mut clang) = require("clang-19") else { return };
/// ```
///
/// # Panics
///
/// Instead of `None`, where the environment has `AARCH64_RELOC_MANDATORY`.
pub fn require(tool: &str) -> Option<Command> {
    let least = LEAST.iter().find(|(name, _)| *name == tool).map_or(0, |&(_, least)| least);
    check(tool, least).map_err(skip).ok()?;
    Some(Command::new(tool))
}

/// Says why a test is not run.
///
/// # Panics
///
/// Instead, where the environment has `AARCH64_RELOC_MANDATORY`.
pub fn skip(reason: String) {
    assert!(std::env::var_os("AARCH64_RELOC_MANDATORY").is_none(), "{reason}");
    // Not `eprintln!`, which the test harness captures and drops when a test passes.
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skipped {}: {reason}", thread.name().unwrap_or("a test"));
}

/// Whether `tool` runs here and has the major version `least` or a later one.
pub fn check(tool: &str, least: u32) -> Result<(), String> {
    let output = Command::new(tool).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{tool} does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match major(&text) {
        Some(major) if major >= least => Ok(()),
        _ => Err(format!("{tool} is not of version {least} or later: {}", text.lines().next().unwrap_or_default())),
    }
}

/// The number before the first dot of `text` that has digits on both sides.
fn major(text: &str) -> Option<u32> {
    let (before, _) =
        text.match_indices('.').map(|(dot, _)| (&text[..dot], &text[dot + 1..])).find(|(before, after)| {
            before.ends_with(|c: char| c.is_ascii_digit()) && after.starts_with(|c: char| c.is_ascii_digit())
        })?;
    before[before.trim_end_matches(|c: char| c.is_ascii_digit()).len()..].parse().ok()
}
