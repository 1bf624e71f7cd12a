//! LLVM beside us: a small library of C++ that is built where LLVM's headers are installed.

use libloading::Library;
use std::path::Path;
use std::process::Command;

/// The library made of `benches/llvm/NAME.cc`; `None`, and the reason printed, where LLVM is not there to build it with.
///
/// # Panics
///
/// Instead of `None`, where the environment has `AARCH64_RELOC_MANDATORY`.
pub fn library(name: &str) -> Option<Library> {
    match build(name) {
        Ok(library) => Some(library),
        Err(reason) => {
            assert!(std::env::var_os("AARCH64_RELOC_MANDATORY").is_none(), "{reason}");
            eprintln!("without LLVM: {reason}");
            None
        }
    }
}

fn build(name: &str) -> Result<Library, String> {
    let config = |argument: &str| {
        let output = Command::new("llvm-config-19").arg(argument).output();
        let output = output.map_err(|error| format!("llvm-config-19 does not run: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let include = config("--includedir")?;
    if !Path::new(&include).join("llvm/ExecutionEngine/JITLink/aarch64.h").exists() {
        return Err("llvm-19-dev is not installed".to_owned());
    }
    let source = format!("{}/llvm/{name}.cc", env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lib{name}-{}.so", std::process::id()));
    let mut compiler = Command::new("g++");
    compiler.args(["-O3", "-DNDEBUG", "-fPIC", "-shared"]).args(config("--cxxflags")?.split_whitespace());
    compiler.arg(source).arg("-o").arg(&target);
    compiler.args(config("--ldflags")?.split_whitespace()).args(config("--libs")?.split_whitespace());
    let status = compiler.status().map_err(|error| format!("g++ does not run: {error}"))?;
    if !status.success() {
        return Err(format!("{name}.cc does not compile"));
    }
    // SAFETY: its initialisers are those of C++ and LLVM.
    let library = unsafe { Library::new(&target) }.map_err(|error| error.to_string());
    // It is mapped; the name is needed no more.
    let _ = std::fs::remove_file(target);
    library
}
