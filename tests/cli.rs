//! The example from its command line: what it refuses and how, and what it passes on.
#![cfg(all(target_os = "linux", feature = "std", feature = "object"))]

mod common;
#[allow(dead_code)]
mod objects;

use elf::abi;
use elf::endian::LittleEndian;
use elf::{ElfBytes, section::SectionHeader};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

/// A run of the example.
struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn errors(&self) -> Vec<&str> {
        assert_eq!(self.status, Some(1), "{}{}", self.stdout, self.stderr);
        self.stderr.lines().collect()
    }
}

/// Runs the example in the folder of the small objects; `None` where it cannot be started.
fn link(args: &[&str]) -> Option<Run> {
    let output = objects::example()?.args(args).current_dir(objects::path("bad")).output();
    Some(Run::of(output.unwrap()))
}

/// A folder for an image, and the image's path there.
fn image() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    (folder, path)
}

/// Emits what `args` say, which must be refused in these lines, and leave no file.
fn refused(args: &[&str]) -> Option<Vec<String>> {
    let (folder, path) = image();
    let emit = ["--emit", path.to_str().unwrap()];
    let run = link(&[args, &emit].concat())?;
    assert_eq!(run.stdout, "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?} left a file");
    Some(run.errors().into_iter().map(str::to_owned).collect())
}

/// Emits what `args` say, and reads the image.
fn emitted(args: &[&str]) -> Option<Vec<u8>> {
    let (_folder, path) = image();
    let emit = ["--emit", path.to_str().unwrap()];
    let run = link(&[args, &emit].concat())?;
    assert_eq!((run.status, &*run.stdout, &*run.stderr), (Some(0), "", ""));
    Some(std::fs::read(&path).unwrap())
}

#[test]
fn help_is_help() {
    for option in ["--help", "-h"] {
        let Some(run) = link(&[option]) else { return };
        assert_eq!((run.status, &*run.stderr), (Some(0), ""));
        for option in ["--entry", "--define", "--base", "--place", "--no-rescue", "--load", "--emit", "--map", "usage:"]
        {
            assert!(run.stdout.contains(option), "{option}");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let cases: [(&[&str], &str); 10] = [
        (&["--nonsense"], "--nonsense"),
        (&["-x"], "-x"),
        (&["--emit"], "--emit"),
        (&["--base", "here"], "here"),
        (&["--base", "0x10000000000000000"], "0x10000000000000000"),
        (&["--base", "0x400010"], "0x400010: not a multiple of 0x1000"),
        (&["--place", ".text"], ".text"),
        (&["--define", "name=0xyz"], "0xyz"),
        (&["no-such-file.o"], "no-such-file.o: No such file"),
        (&["status.o", "--entry", "absent", "--emit", "/nonexistent/image"], "absent"),
    ];
    for (args, named) in cases {
        let Some(run) = link(args) else { return };
        let errors = run.errors();
        assert!(errors.len() == 1 && errors[0].contains(named), "{args:?}: {errors:?}");
    }
}

#[test]
fn what_is_not_handled_is_refused_by_its_name() {
    let cases = [
        ("../make.sh", "not an ELF file"),
        ("x86.o", "unknown machine 62"),
        ("elf32.o", "a 32-bit object (ELF32)"),
        ("executable", "an executable"),
        ("shared.so", "a shared object"),
        ("tls-use.o", "undefined (symbol 'errno')"),
        ("ifunc.o", "an indirect function, whose resolver nothing calls before the image runs (symbol 'chosen')"),
        ("write-execute.o", "section 3: not supported: a section both writable and executable"),
    ];
    for (file, named) in cases {
        let Some(errors) = refused(&[file]) else { return };
        assert!(errors.iter().all(|line| line.starts_with(&format!("{file}: "))), "{errors:?}");
        assert!(errors.iter().any(|line| line.contains(named)), "{file}: {errors:?}");
    }
}

#[test]
fn a_function_out_of_reach_is_one_line() {
    let args = ["--no-rescue", "--place", ".text=0x10000", "--place", ".got=0x140010000", "address.o"];
    let Some(errors) = refused(&args) else { return };
    assert_eq!(
        errors,
        ["address.o: .text+0x4: R_AARCH64_ADR_GOT_PAGE at 0x10004: GOT page 0x140010000 is +0x140000000 bytes away, \
          outside -0x100000000..=+0xfffff000; needs a detour, which the policy does not allow (symbol 'taken')"]
    );
    // A page less is in reach.
    let args = ["--no-rescue", "--place", ".text=0x10000", "--place", ".got=0x10000f000", "address.o"];
    emitted(&args);
}

#[test]
fn everything_that_is_wrong_is_listed() {
    let Some(errors) = refused(&["wants.o", "twice.o"]) else { return };
    assert_eq!(
        errors,
        [
            "twice.o: defined already in wants.o (symbol 'one')",
            "twice.o: defined already in wants.o (symbol 'other')",
            "wants.o: .text+0x0: undefined (symbol 'absent_function')",
            "wants.o: .text+0x4: undefined (symbol 'absent_data')",
            "wants.o: .data+0x0: undefined (symbol 'absent_in_data')",
            "twice.o: .text+0x0: undefined (symbol 'absent_function')",
        ]
    );
}

#[test]
fn common_symbols_and_groups_are_shared_by_objects() {
    // Each object twice: what they bring is there once.
    let Some(bytes) = emitted(&["common.o", "common.o", "comdat.o", "comdat.o"]) else { return };
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes).unwrap();
    assert_eq!(section(&file, "COMMON").sh_size, 8);
    assert_eq!(section(&file, ".text").sh_size, 4);
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let cases: [(&[&str], &str); 5] = [
        (&["--place", ".nowhere=0x10000"], "there is no output section .nowhere to be placed"),
        (&["--place", ".text=0x10002"], ".text cannot be placed at 0x10002: it is not a multiple of 0x4"),
        (&["--place", ".text=0x10000", "--place", ".data=0x10008"], ".text and .data overlap"),
        (&["--place", ".data=0x400000"], ".data and .text overlap"),
        (&["--place", ".data=0x10000", "--place", ".data=0x20000"], ".data is to be placed at two addresses"),
    ];
    for (args, line) in cases {
        let Some(errors) = refused(&[args, &["calls.o", "--define", "outside=0x10"]].concat()) else { return };
        assert_eq!(errors[0], line, "{args:?}");
    }
    // Where there is nothing, nothing is shared.
    emitted(&["status.o", "--place", ".text=0x10000", "--place", ".got=0x10000"]);
}

#[test]
fn what_a_loader_cannot_map_is_refused() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["calls.o", "--place", ".text=0x600000", "--place", ".data=0x600800"],
            ".text and .data are segments of their own, and share the page at 0x600000",
        ),
        (
            &["calls.o", "--place", ".data=0x600000", "--place", ".text=0x600800"],
            ".data and .text are segments of their own, and share the page at 0x600000",
        ),
        (
            &["calls.o", "--place", ".text=0xfffffffffffff000"],
            ".text at 0xfffffffffffff000: the address space ends within its pages",
        ),
        (
            &["calls.o", "--base", "0xffffffffffff0000"],
            "no room for a segment: the address space ends before the image",
        ),
    ];
    for (args, line) in cases {
        let Some(errors) = refused(&[args, &["--define", "outside=0x10"]].concat()) else { return };
        assert_eq!(errors, [line], "{args:?}");
    }
    emitted(&["calls.o", "--define", "outside=0x10", "--place", ".text=0x600000", "--place", ".data=0x601000"]);
}

#[test]
fn zeros_take_no_room_in_an_image() {
    let Some(image) = emitted(&["huge.o"]) else { return };
    assert!(image.len() < 1 << 20, "{} bytes", image.len());
    let file = ElfBytes::<LittleEndian>::minimal_parse(&image).unwrap();
    assert_eq!(section(&file, ".bss").sh_size, 0x4000_0000_0000);
}

#[test]
fn a_file_by_the_name_of_the_start_routine_is_a_file() {
    let Some(mut example) = objects::example() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(objects::path("bad/calls.o"), folder.path().join("start")).unwrap();
    let args = ["start", "--define", "outside=0x10", "--emit", "image"];
    assert!(example.args(args).current_dir(&folder).status().unwrap().success());
    let bytes = std::fs::read(folder.path().join("image")).unwrap();
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes).unwrap();
    let (symbols, names) = file.symbol_table().unwrap().unwrap();
    let entered = symbols.iter().filter(|symbol| symbol.st_value == file.ehdr.e_entry && symbol.st_name > 0);
    let names = entered.map(|symbol| names.get(symbol.st_name as usize).unwrap());
    // Beside the mark of where code begins (AAELF64, "Mapping symbols").
    assert_eq!(names.filter(|name| !name.starts_with('$')).collect::<Vec<_>>(), ["_start"]);
}

#[test]
fn what_is_no_file_is_written_to() {
    // A link to a device: were it replaced, it would be a file.
    let (_folder, path) = image();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    let Some(run) = link(&["status.o", "--emit", path.to_str().unwrap()]) else { return };
    assert_eq!((run.status, &*run.stderr), (Some(0), ""));
    assert!(path.is_symlink());
}

fn section<'data>(file: &ElfBytes<'data, LittleEndian>, name: &str) -> SectionHeader {
    file.section_header_by_name(name).unwrap().unwrap_or_else(|| panic!("no section {name}"))
}

#[test]
fn an_image_says_where_everything_is() {
    let outside = 0x7fff_0000_1000_u64;
    let args = ["calls.o", "--base", "0x12340000", "--place", ".data=0x10008", "--define", "outside=0x7fff00001000"];
    let Some(bytes) = emitted(&args) else { return };
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes).unwrap();
    assert_eq!((file.ehdr.e_type, file.ehdr.e_machine), (abi::ET_EXEC, abi::EM_AARCH64));

    let (symbols, names) = file.symbol_table().unwrap().unwrap();
    let find = |name: &str| {
        let named = |symbol: &elf::symbol::Symbol| names.get(symbol.st_name as usize).is_ok_and(|found| found == name);
        symbols.iter().find(named).unwrap_or_else(|| panic!("no symbol {name}"))
    };
    let word = |name: &str, addr: u64| {
        let header = section(&file, name);
        let offset = (header.sh_offset + (addr - header.sh_addr)) as usize;
        u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
    };
    assert_eq!(find("main").st_value, 0x1234_0000);
    assert_eq!(find("table").st_value, 0x1_0008);
    assert_eq!(find("zeros").st_value, section(&file, ".bss").sh_addr);
    assert_eq!(file.ehdr.e_entry, find("_start").st_value);
    // Slots hold the addresses of what they are named after; data does as the object says.
    assert_eq!(word(".got", find("outside@got").st_value), outside);
    assert_eq!(word(".got", find("table@got").st_value), 0x1_0008);
    assert_eq!(word(".data", 0x1_0008), find("local_label").st_value);
    assert_eq!((find("local_label").st_bind(), find("main").st_bind()), (abi::STB_LOCAL, abi::STB_GLOBAL));
    // The first word of `main` is a BL to the veneer.
    let branch = word(".text", 0x1234_0000) as u32;
    let veneer = 0x1234_0000 + 4 * u64::from(branch & 0x3ff_ffff);
    assert_eq!((branch >> 26, veneer), (0x25, find("outside@plt").st_value));

    let loads: Vec<_> = file.segments().unwrap().iter().filter(|program| program.p_type == abi::PT_LOAD).collect();
    assert!(loads.is_sorted_by_key(|program| program.p_vaddr), "{loads:?}");
    assert!(loads.iter().all(|program| program.p_vaddr % program.p_align == program.p_offset % program.p_align));
}

#[test]
fn an_image_is_readable_by_the_usual_tools() {
    let (_folder, path) = image();
    let args = ["calls.o", "--define", "outside=0x7fff00001000", "--emit", path.to_str().unwrap()];
    let Some(run) = link(&args) else { return };
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let cases: [(&str, &[&str], &str); 3] = [
        ("aarch64-linux-gnu-readelf", &["--all", "--wide"], "outside@got"),
        ("aarch64-linux-gnu-objdump", &["--disassemble"], "<outside@plt>"),
        ("aarch64-linux-gnu-nm", &["--numeric-sort"], "t local_label"),
    ];
    for (tool, args, wanted) in cases {
        let Some(mut tool) = common::require(tool) else { return };
        let run = Run::of(tool.args(args).arg(&path).output().unwrap());
        assert_eq!((run.status, &*run.stderr), (Some(0), ""), "{tool:?}");
        assert!(run.stdout.contains(wanted), "{}", run.stdout);
    }
}

#[test]
fn status_and_arguments_are_passed_on() {
    if !cfg!(target_arch = "aarch64") && common::require("qemu-aarch64").is_none() {
        return;
    }
    let cases: [(&[&str], i32); 6] = [
        (&["status.o"], 41),
        (&["archive.a"], 41),
        (&["weak.o"], 44),
        (&["status.o", "--", "one", "--help"], 43),
        (&["status.o", "--base", "0x7000000000", "--", "one"], 42),
        (&["status.o", "--place", ".text=0x5550000000", "--", "one"], 42),
    ];
    for (args, status) in cases {
        let Some(run) = link(args) else { return };
        assert_eq!((run.status, &*run.stdout, &*run.stderr), (Some(status), "", ""), "{args:?}");
    }
    if !cfg!(target_arch = "aarch64") {
        let Some(run) = link(&["start.o", "--entry", "_start", "--", "one"]) else { return };
        assert_eq!((run.status, &*run.stderr), (Some(62), ""));
    }
}

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn what_cannot_run_here_is_linked_and_says_why() {
    let run = link(&["calls.o"]).unwrap();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.ends_with("linked, but not run: undefined outside an AArch64 process: outside\n"));

    let without_qemu = objects::example().unwrap().env("PATH", "").output();
    let run = Run::of(without_qemu.unwrap());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("linked, but not run: this machine is not AArch64, and there is no qemu-aarch64"));
}

#[test]
fn a_map_names_what_lies_where() {
    let (_folder, path) = image();
    let args = ["calls.o", "--define", "outside=0x10", "--map", "--emit", path.to_str().unwrap()];
    let Some(run) = link(&args) else { return };
    assert_eq!((run.status, &*run.stderr), (Some(0), ""));
    for line in ["r-x  .text", "rw-  .data", "rw-  .bss", "33 relocations, 2 GOT slots\n", "1 through 1 veneer\n"] {
        assert!(run.stdout.contains(line), "{}", run.stdout);
    }
}

#[test]
fn the_tables_that_a_loader_needs_are_a_constant() {
    let (_folder, path) = image();
    let Some(run) = link(&["calls.o", "--define", "outside=0x10", "--needs", "--emit", path.to_str().unwrap()]) else {
        return;
    };
    assert_eq!((run.status, &*run.stderr), (Some(0), ""));
    assert!(run.stdout.starts_with("pub const NEEDS: Needs = Needs { objects: 2, "), "{}", run.stdout);
    assert!(run.stdout.ends_with(" slots: 2, islands: 1, veneers: 1, fixups: 33 };\n"), "{}", run.stdout);
}
