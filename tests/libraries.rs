//! Whole libraries and whole languages: what the example links into its own process prints what the same files print when
//! the system's linker has linked them.
//!
//! On a machine that is not AArch64, where the example for AArch64 runs under qemu-user. `.ci/env` says where Debian's
//! compiler for that target and the libraries are.
#![cfg(all(target_os = "linux", not(target_arch = "aarch64")))]

mod common;
#[allow(dead_code)]
mod objects;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The longest that a program may run.
const SECONDS: &str = "120";

/// What it takes to build for AArch64, and to run that.
struct Tools {
    rustc: PathBuf,
    /// The example, for AArch64.
    link: PathBuf,
    /// Where the distribution's libraries are unpacked.
    arm64: PathBuf,
}

impl Tools {
    /// `None` where something is missing, which standard error then says.
    fn get() -> Option<&'static Self> {
        static TOOLS: OnceLock<Option<Tools>> = OnceLock::new();
        TOOLS.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        for tool in ["qemu-aarch64", "timeout", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "clang-19"] {
            common::require(tool)?;
        }
        let path = |name: &str| match std::env::var_os(name) {
            Some(path) => Some(PathBuf::from(path)),
            None => {
                common::skip(format!("{name} is not set: source .ci/env, after .ci/setup"));
                None
            }
        };
        let (rustc, arm64) = (path("AARCH64_RELOC_RUSTC")?, path("AARCH64_RELOC_ARM64")?);
        Some(Self { link: build_example(&rustc), rustc, arm64 })
    }

    fn headers(&self) -> [OsString; 3] {
        ["usr/include", "usr/include/aarch64-linux-gnu", "usr/include/lua5.4"].map(|folder| {
            let mut flag = OsString::from("-I");
            flag.push(self.arm64.join(folder));
            flag
        })
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.arm64.join("usr/lib/aarch64-linux-gnu").join(name)
    }

    /// Runs a program for AArch64: what it writes to standard output, and its status.
    fn run(&self, program: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let mut command = Command::new("timeout");
        let output = command.args([SECONDS, "qemu-aarch64"]).arg(program).args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let Some(status) = output.status.code().filter(|status| ![124, 137].contains(status)) else {
            panic!("{}: {} after:\n{text}", program.display(), output.status);
        };
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.is_empty(), "{}: {errors}after:\n{text}", program.display());
        text + &format!("status {status}\n")
    }
}

/// The example for AArch64, where `cross cargo test` has it, too.
fn build_example(rustc: &Path) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.ancestors().nth(3).unwrap().join("cross");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--profile", "test", "--example", "link", "--target", TARGET, "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).arg("--target-dir").arg(&folder);
    assert!(cargo.env("RUSTC", rustc).status().unwrap().success());
    folder.join(TARGET).join("debug/examples/link")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(name)
}

fn call(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A program: what is linked, and what runs it.
struct Program<'a> {
    tools: &'a Tools,
    folder: TempDir,
    /// The compiler that calls the system's linker, and what it is told.
    driver: &'a [&'a str],
    files: Vec<PathBuf>,
    /// What only the example is given.
    own: Vec<PathBuf>,
    /// Shared libraries: for the example, and for the system's linker.
    libraries: Vec<(PathBuf, PathBuf)>,
    args: Vec<PathBuf>,
}

impl<'a> Program<'a> {
    fn new(tools: &'a Tools, driver: &'a [&'a str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { tools, folder, driver, files: Vec::new(), own: Vec::new(), libraries: Vec::new(), args: Vec::new() }
    }

    /// Compiles `source` by `compiler` with `flags`.
    fn compile(&self, compiler: &str, flags: &[&str], source: &Path) -> PathBuf {
        let object = self.folder.path().join(source.file_name().unwrap()).with_extension("o");
        let mut command = Command::new(compiler);
        command.args(flags).args(self.tools.headers()).arg("-c").arg(source).arg("-o").arg(&object);
        call(command);
        object
    }

    /// The library whose file is `name` when the program runs, and which the system's linker calls `-l` and `short`.
    fn library(&mut self, name: &str, short: &str) {
        self.libraries.push((name.into(), format!("-l{short}").into()));
    }

    /// What it prints when the example has linked it, which is what it prints when the system's linker has.
    fn output(&self) -> String {
        let loads = self.libraries.iter().flat_map(|(library, _)| [Path::new("--load"), library]);
        let files = self.files.iter().chain(&self.own).map(PathBuf::as_path);
        let args = loads.chain(files).chain([Path::new("--")]);
        let here = self.tools.run(&self.tools.link, args.chain(self.args.iter().map(PathBuf::as_path)));
        let path = self.folder.path().join("program");
        let mut linker = Command::new(self.driver[0]);
        linker
            .args(&self.driver[1..])
            .args(&self.files)
            .args(self.libraries.iter().map(|(_, library)| library))
            .arg("-o")
            .arg(&path);
        call(linker);
        let there = self.tools.run(&path, &self.args);
        assert_eq!(here, there, "linked here, and by {:?}", self.driver);
        here
    }
}

/// The C program `name` with archives of the distribution.
fn with_archive(name: &str, archives: &[&str], args: &[&str]) -> Option<String> {
    let tools = Tools::get()?;
    let mut program = Program::new(tools, &["aarch64-linux-gnu-gcc"]);
    program.files.push(program.compile("aarch64-linux-gnu-gcc", &["-O2"], &source(name)));
    program.files.extend(archives.iter().map(|archive| tools.archive(archive)));
    program.library("libm.so.6", "m");
    program.args = args.iter().map(|arg| source(arg)).collect();
    Some(program.output())
}

#[test]
fn a_lua_script_runs() {
    let Some(output) = with_archive("lua.c", &["liblua5.4.a"], &["script.lua"]) else { return };
    assert!(output.starts_with("1,4,9,16,25,36,49,64,81,100\t0.8414709848079\t3\t-2\t"), "{output}");
    assert!(output.ends_with("table: ADDRESS\nstatus 0\n"), "{output}");
}

#[test]
fn a_database_is_filled_and_queried() {
    let Some(output) = with_archive("sqlite.c", &["libsqlite3.a"], &[]) else { return };
    assert!(output.contains("count(*)=4 round(sum(mass), 3)=1.977"), "{output}");
    assert!(output.ends_with("body=the quick brown fox \nintegrity_check=ok \nstatus 0\n"), "{output}");
}

#[test]
fn text_is_compressed_and_got_back() {
    let Some(output) = with_archive("zlib.c", &["libz.a"], &[]) else { return };
    assert_eq!(output.matches("the same").count(), 4, "{output}");
}

#[test]
fn exceptions_pass_all_frames_and_objects_begin_and_end_in_order() {
    let Some(tools) = Tools::get() else { return };
    for (compiler, flags, kind) in [
        ("aarch64-linux-gnu-g++", &["-O2"][..], "-pie"),
        ("aarch64-linux-gnu-g++", &["-O0", "-fno-pie"], "-no-pie"),
        ("clang-19", &["--target=aarch64-linux-gnu", "-O1", "-fPIC"], "-pie"),
    ] {
        let driver = ["aarch64-linux-gnu-g++", kind];
        let mut program = Program::new(tools, &driver);
        for name in ["throw.cc", "frames.cc"] {
            program.files.push(program.compile(compiler, flags, &source(name)));
        }
        program.library("libstdc++.so.6", "stdc++");
        let output = program.output();
        assert!(
            output.starts_with("log: 101 102 65000 main-plain main-object frames-plain frames-object\n"),
            "{output}"
        );
        assert!(output.contains("~frame below qsort\nthrough qsort: caught failure 13\n"), "{output}");
        assert!(output.ends_with("destructor 200 of frames\nstatus 3\n"), "{output}");
    }
}

#[test]
fn a_rust_panic_is_caught() {
    let Some(tools) = Tools::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let search = format!("-Wl,-rpath={}", folder.path().display());
    let driver = ["aarch64-linux-gnu-gcc", &search];
    let mut program = Program::new(tools, &driver);
    let rustc = |flags: &[&str], input: PathBuf, output: &Path| {
        let mut rustc = Command::new(&tools.rustc);
        rustc.args(["--edition", "2024", "--target", TARGET, "-C", "linker=aarch64-linux-gnu-gcc"]);
        rustc.args(flags).arg(input).arg("-o").arg(output);
        call(rustc);
    };
    // The distribution has no shared standard library for this target: one that holds the static one takes its part.
    std::fs::write(path("standard.rs"), "pub use std;").unwrap();
    let (shared, object) = (path("libstandard.so"), path("panic.o"));
    rustc(&["--crate-type", "dylib"], path("standard.rs"), &shared);
    rustc(&["--crate-type", "lib", "--emit", "obj", "-O"], source("panic.rs"), &object);
    program.files.push(object);
    program.libraries.push((shared.clone(), shared));
    let output = program.output();
    assert!(output.contains("hook: at the bottom\ndropped deep\ndropped deep\n"), "{output}");
    assert!(output.contains("dropped frame below sort\nsort: caught in a callback\n"), "{output}");
    assert!(output.ends_with("  0,  1,  2\nstatus 5\n"), "{output}");
}

#[test]
fn every_code_model_prints_the_same() {
    let Some(tools) = Tools::get() else { return };
    let expected = String::from_utf8(objects::read("expected.txt")).unwrap();
    let compilers = [("aarch64-linux-gnu-gcc", &[][..]), ("clang-19", &["--target=aarch64-linux-gnu"])];
    // Neither compiler has position independent code of the large model.
    let models =
        ["tiny", "small"].into_iter().flat_map(|model| ["-fno-pic", "-fpic", "-fPIC", "-fPIE"].map(|pic| (model, pic)));
    for (model, pic) in models.chain([("large", "-fno-pic")]) {
        for (compiler, target) in compilers {
            let driver = if pic == "-fno-pic" {
                &["aarch64-linux-gnu-gcc", "-no-pie"][..]
            } else {
                &["aarch64-linux-gnu-gcc", "-pie"]
            };
            let mut program = Program::new(tools, driver);
            let model = &*format!("-mcmodel={model}");
            let flags = [target, &["-O2", pic, model]].concat();
            for name in ["main.c", "shapes.c"] {
                program.files.push(program.compile(compiler, &flags, &objects::path(name)));
            }
            if (model, pic) == ("-mcmodel=tiny", "-fno-pic") {
                program.own.push(program.compile("aarch64-linux-gnu-gcc", &["-O2", "-fPIC"], &source("copy.c")));
            }
            program.args = ["one", "two words"].map(PathBuf::from).to_vec();
            assert_eq!(program.output(), expected, "{compiler} {flags:?}");
        }
    }
}
