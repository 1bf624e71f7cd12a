//! Segments further apart than instructions reach: what is linked there runs, only slower.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

#[path = "far/arenas.rs"]
mod arenas;
#[cfg(not(target_arch = "aarch64"))]
mod common;
#[cfg(target_arch = "aarch64")]
#[path = "far/guarded.rs"]
mod guarded;
#[path = "far/linked.rs"]
mod linked;
#[allow(dead_code)]
mod objects;
#[cfg(target_arch = "aarch64")]
#[path = "common/output.rs"]
mod output;
#[path = "far/program.rs"]
mod program;
#[cfg(target_arch = "aarch64")]
#[path = "far/registers.rs"]
mod registers;
#[path = "far/rungs.rs"]
mod rungs;

/// Bytes from the text to everything else.
const DISTANCES: [u64; 3] = [5 << 30, 64 << 30, 1 << 45];

/// The lowest address of the text.
const TEXT: u64 = 4 << 30;

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn the_objects_are_what_their_script_makes() {
    if common::require("llvm-mc-19").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = objects::path("../far");
    let status = std::process::Command::new(kept.join("make.sh")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    let mut made = 0;
    for object in std::fs::read_dir(folder.path()).unwrap() {
        let object = object.unwrap();
        let same = std::fs::read(object.path()).unwrap() == std::fs::read(kept.join(object.file_name())).unwrap();
        assert!(same, "{}", object.path().display());
        made += 1;
    }
    assert_eq!(made, 11);
}
