//! The prebuilt objects of `make.sh` and `bad.sh`, and the example that links them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// How the objects were compiled: each is there in all of these ways.
pub const VARIANTS: [&str; 8] = [
    "clang-O0-pic",
    "clang-O0-no-pic",
    "clang-O2-pic",
    "clang-O2-no-pic",
    "gcc-O0-pic",
    "gcc-O0-no-pic",
    "gcc-O2-pic",
    "gcc-O2-no-pic",
];

/// The file `name` of this folder.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/objects").join(name)
}

/// What is in it.
pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The command that is the example `link`; `None` where this process cannot start it, which standard error then says.
pub fn example() -> Option<Command> {
    let own = std::env::current_exe().unwrap();
    let link = own.ancestors().nth(2).unwrap().join("examples/link");
    if !link.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--example", "link", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        // Beside this test: its folder is that of a target, of a profile, or of both.
        let profile = own.ancestors().nth(2).unwrap();
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        assert!(cargo.status().unwrap().success());
    }
    // A program under qemu-user cannot start another of its own kind.
    let output = Command::new(&link).arg("--help").output();
    match output.map(|output| output.status) {
        Ok(status) if status.success() => Some(Command::new(link)),
        answer if cfg!(target_arch = "aarch64") => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            let _ = writeln!(std::io::stderr(), "skipped {test}: {} does not start here: {answer:?}", link.display());
            None
        }
        answer => panic!("{}: {answer:?}", link.display()),
    }
}
