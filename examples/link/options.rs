//! The command line.

use lexopt::prelude::*;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub const HELP: &str = "\
Links relocatable AArch64 objects (ELF64), checks every relocation, and runs the result.

usage: link [OPTIONS] OBJECT... [-- ARGS]

  --entry NAME          the function to call, as int NAME(int argc, char **argv) [main];
                        an entry called _start is jumped to, and only in an emitted image
  --define NAME=ADDR    the address of a symbol that no object defines
  --base ADDR           link for this address
  --place SECTION=ADDR  put an output section, such as .text or .got, at this address
  --no-rescue           use GOT slots and call veneers, and nothing else, for what is out of reach
  --load LIB            look undefined symbols up in this shared library too (on AArch64)
  --emit FILE           write the image as an ELF64 executable, and do not run it
  --map                 print where everything lies
  --help                print this

Without --emit the entry is called in this process on AArch64, with undefined symbols from the process itself;
elsewhere qemu-aarch64 (version 10 or newer) runs the image where it is installed and nothing is undefined.
Without OBJECT, an object that comes with the crate is linked. ADDR is decimal, or hexadecimal after 0x.
The exit status is the program's, or 1 with one line for each error.
";

#[derive(Debug, Default)]
pub struct Options {
    pub objects: Vec<PathBuf>,
    pub args: Vec<OsString>,
    pub entry: Option<String>,
    pub defines: Vec<(String, u64)>,
    pub base: Option<u64>,
    pub places: Vec<(String, u64)>,
    pub load: Vec<PathBuf>,
    pub emit: Option<PathBuf>,
    pub map: bool,
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
        let mut parser = lexopt::Parser::from_args(own);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("entry") => options.entry = Some(parser.value()?.string()?),
                Long("define") => options.defines.push(parser.value()?.parse_with(name_and_addr)?),
                Long("base") => options.base = Some(parser.value()?.parse_with(addr)?),
                Long("place") => options.places.push(parser.value()?.parse_with(name_and_addr)?),
                // Nothing else is used yet, whatever is said.
                Long("no-rescue") => {}
                Long("load") => options.load.push(parser.value()?.into()),
                Long("emit") => options.emit = Some(parser.value()?.into()),
                Long("map") => options.map = true,
                Long("help") | Short('h') => options.help = true,
                Value(object) => options.objects.push(object.into()),
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }

    /// The arguments that the program sees: its name first.
    pub fn argv(&self) -> impl Iterator<Item = &OsStr> {
        let name = self.objects.first().map_or(OsStr::new("link"), |object| object.as_os_str());
        std::iter::once(name).chain(self.args.iter().map(OsString::as_os_str))
    }
}

fn name_and_addr(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("no '=' in it")?;
    Ok((name.to_owned(), addr(number)?))
}

fn addr(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|error| format!("{text}: {error}"))
}
