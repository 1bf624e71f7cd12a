//! The command line.

use aarch64_reloc::arena::PageSize;
use aarch64_reloc::link::{Policy, Tags};
use lexopt::prelude::*;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub const HELP: &str = "\
Links relocatable AArch64 objects (ELF64), checks every relocation, and runs the result.

usage: link [OPTIONS] FILE... [-- ARGS]

FILE is an object, or an archive, whose members are linked as far as they are needed, whatever the order of the files.

  -l NAME               link libNAME.a, from the first folder that has it
  -L FOLDER             look there for what -l names
  --whole-archive       link all members of the archives that follow,
  --no-whole-archive    and from here on those that are needed
  --entry NAME          the function to call, as int NAME(int argc, char **argv) [main];
   -e NAME              an entry called _start is jumped to, and only in an emitted image
  --define NAME=ADDR    the address of a symbol that no object defines
   --defsym NAME=ADDR
  --base ADDR           link for this address
  --place SECTION=ADDR  put an output section, such as .text or .got, at this address; .eh_frame, whose data must reach
                        .text, goes within 2 GiB of that
   --section-start SECTION=HEX
  --no-rescue           use GOT slots and call veneers, and nothing else, for what is out of reach
  --no-x16              let veneers use no register
  --bti                 give functions that have none a landing pad where a veneer needs it
  --execute-only        refuse what reads text
  --fix-cortex-a53-843419
                        leave no ADRP where that erratum makes it go wrong
  --tags keep|strip|refuse
                        what becomes of bits 63:56 of addresses that are measured from their place [keep]
  --load LIB            look undefined symbols up in this shared library too (on AArch64)
  --emit FILE, -o FILE  write the image as an ELF64 executable, and do not run it
  --emit-relocs         with --emit: keep the relocations in the image, for --verify
  --verify IMAGE        link nothing, but say of an image that was linked with --emit-relocs --no-relax,
                        by this or another linker, which places do not reach what their relocations say
  --map                 print where everything lies
  --needs               with --emit: print as a Rust constant how long a loader's tables must be for this link
  --gdb                 tell a debugger of this process the names of what is linked (on AArch64)
  --perf-map            tell perf, in /tmp/perf-PID.map (on AArch64)
  --trace               print which objects are linked, in their order
  --trace-symbol NAME   print which objects define or want this symbol
  --help                print this

Without --emit the entry is called in this process on AArch64, with undefined symbols from the process itself;
elsewhere qemu-aarch64 (version 10 or newer) runs the image where it is installed and nothing is undefined.
Without FILE, an object that comes with the crate is linked. ADDR is decimal, or hexadecimal after 0x; HEX is
hexadecimal with 0x or without, as GNU ld has it. The exit status is the program's, 0 where
it was linked and cannot be run, or 1 with one line for each error.
";

/// A file that the command line names.
#[derive(Debug)]
pub struct Given {
    pub path: PathBuf,
    /// It is in one of the folders that `-L` names.
    pub searched: bool,
    /// Of an archive, all members are linked.
    pub whole: bool,
}

#[derive(Debug, Default)]
pub struct Options {
    pub files: Vec<Given>,
    pub folders: Vec<PathBuf>,
    pub args: Vec<OsString>,
    pub entry: Option<String>,
    pub defines: Vec<(String, u64)>,
    pub base: Option<u64>,
    pub places: Vec<(String, u64)>,
    pub policy: Policy,
    pub load: Vec<PathBuf>,
    pub emit: Option<PathBuf>,
    pub emit_relocs: bool,
    pub verify: Vec<PathBuf>,
    pub map: bool,
    pub needs: bool,
    pub gdb: bool,
    pub perf_map: bool,
    pub trace: bool,
    pub trace_symbols: Vec<String>,
    pub help: bool,
}

impl Options {
    /// What follows the program's name; what follows `--` is for the linked program.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let (own, rest) = match args.iter().position(|arg| arg == "--") {
            Some(at) => (&args[..at], &args[at + 1..]),
            None => (&args[..], &[][..]),
        };
        let mut options = Self { args: rest.to_vec(), ..Self::default() };
        let mut whole = false;
        let mut parser = lexopt::Parser::from_args(own);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("entry") | Short('e') => options.entry = Some(parser.value()?.string()?),
                Long("define" | "defsym") => options.defines.push(parser.value()?.parse_with(name_and_addr)?),
                Long("base") => options.base = Some(parser.value()?.parse_with(page)?),
                Long("place") => options.places.push(parser.value()?.parse_with(name_and_addr)?),
                Long("section-start") => options.places.push(parser.value()?.parse_with(name_and_hex)?),
                Long("no-rescue") => {
                    let Policy { hops, detours, .. } = Policy::NO_RESCUE;
                    options.policy = Policy { hops, detours, ..options.policy };
                }
                Long("no-x16") => options.policy.scratch = false,
                Long("bti") => options.policy.landing_pads = true,
                Long("execute-only") => options.policy.execute_only = true,
                Long("fix-cortex-a53-843419") => options.policy.erratum_843419 = true,
                Long("tags") => options.policy.tags = parser.value()?.parse_with(tags)?,
                Long("load") => options.load.push(parser.value()?.into()),
                Long("emit") | Short('o') => options.emit = Some(parser.value()?.into()),
                Long("emit-relocs") => options.emit_relocs = true,
                Long("verify") => options.verify.push(parser.value()?.into()),
                Long("map") => options.map = true,
                Long("needs") => options.needs = true,
                Long("gdb") => options.gdb = true,
                Long("perf-map") => options.perf_map = true,
                Long("trace") => options.trace = true,
                Long("trace-symbol") => options.trace_symbols.push(parser.value()?.string()?),
                Long("whole-archive") => whole = true,
                Long("no-whole-archive") => whole = false,
                Short('L') => options.folders.push(parser.value()?.into()),
                Short('l') => {
                    let path = format!("lib{}.a", parser.value()?.string()?).into();
                    options.files.push(Given { path, searched: true, whole });
                }
                Long("help") | Short('h') => options.help = true,
                Value(file) => options.files.push(Given { path: file.into(), searched: false, whole }),
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }

    /// The arguments that the program sees: its name first.
    pub fn argv(&self) -> impl Iterator<Item = &OsStr> {
        let name = self.files.first().map_or(OsStr::new("link"), |file| file.path.as_os_str());
        std::iter::once(name).chain(self.args.iter().map(OsString::as_os_str))
    }
}

fn tags(text: &str) -> Result<Tags, String> {
    match text {
        "keep" => Ok(Tags::Keep),
        "strip" => Ok(Tags::Strip),
        "refuse" => Ok(Tags::Refuse),
        other => Err(format!("{other} is neither keep, strip nor refuse")),
    }
}

fn name_and_addr(text: &str) -> Result<(String, u64), String> {
    let (name, number) = name_and_number(text)?;
    Ok((name.to_owned(), addr(number)?))
}

fn name_and_hex(text: &str) -> Result<(String, u64), String> {
    let (name, number) = name_and_number(text)?;
    Ok((name.to_owned(), hex(number.strip_prefix("0x").unwrap_or(number))?))
}

fn name_and_number(text: &str) -> Result<(&str, &str), String> {
    text.split_once('=').ok_or("no '=' in it".to_owned())
}

fn addr(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x") {
        Some(digits) => hex(digits),
        None => text.parse().map_err(|error| format!("{text}: {error}")),
    }
}

/// The address of a page, of the smallest that there are.
fn page(text: &str) -> Result<u64, String> {
    let size = PageSize::K4.bytes();
    match addr(text)? {
        addr if addr.is_multiple_of(size) => Ok(addr),
        _ => Err(format!("{text}: not a multiple of {size:#x}")),
    }
}

fn hex(digits: &str) -> Result<u64, String> {
    u64::from_str_radix(digits, 16).map_err(|error| format!("{digits}: {error}"))
}
