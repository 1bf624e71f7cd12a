//! The C face, used from C and C++ as they use it: `tests/capi/run.sh` builds, installs, compiles and runs.

// Of an AArch64 process under qemu, which starts no others, the tests are run by the script alone.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64")))]

mod common;

use std::path::Path;

#[test]
fn c_and_cpp_programs_pass() {
    for tool in ["gcc", "g++", "clang-19", "clang++-19", "pkg-config", "valgrind"] {
        if common::require(tool).is_none() {
            return;
        }
    }
    let Some(mut bash) = common::require("bash") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/capi/run.sh");
    let output = bash.arg(script).arg("native").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // Two compilers for each.
    for passed in ["api: passed", "memory: passed", "manager: passed", "api in C++: passed"] {
        assert!(said.matches(passed).count() >= 2, "{passed}: {said}");
    }
}
