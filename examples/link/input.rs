//! The files to be linked: read, and of archives the members selected that are needed.

use super::AnyObject;
use super::options::{Given, Options};
use aarch64_reloc::formats::archive::Archive;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::formats::detect::Format;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::formats::select::{Chosen, Outside, Selection, Take, Unreadable};
use aarch64_reloc::link::{Binding, Definition, Object, ObjectError};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// The object that comes with the crate: `hello.c`, compiled by `hello.sh`.
const HELLO: &[u8] = include_bytes!("hello.o");

/// A file that was read.
pub struct File {
    name: String,
    bytes: Vec<u8>,
    take: Take,
}

/// Reads what the command line names, in its order.
pub fn read(options: &Options) -> Result<Vec<File>, Box<dyn Error>> {
    if options.files.is_empty() {
        return Ok(vec![File { name: "hello.o".to_owned(), bytes: HELLO.to_vec(), take: Take::Needed }]);
    }
    let read = |given: &Given| {
        let path = find(given, &options.folders)?;
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
        Ok(File { name, bytes, take: if given.whole { Take::Whole } else { Take::Needed } })
    };
    options.files.iter().map(read).collect()
}

fn find(given: &Given, folders: &[PathBuf]) -> Result<PathBuf, String> {
    if !given.searched {
        return Ok(given.path.clone());
    }
    let paths = folders.iter().map(|folder| folder.join(&given.path));
    let found = paths.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| format!("{}: in none of the folders that -L names", given.path.display()))
}

/// The objects that are linked: those of `files`, and the members of archives that they or the entry want.
pub fn select<'data>(files: &'data [File], entry: &'data str) -> Result<Vec<Chosen<AnyObject<'data>>>, Box<dyn Error>> {
    let mut selection = Selection::new(parse, load);
    for File { name, bytes, take } in files {
        match Archive::is(bytes) {
            true => selection.archive(name, bytes, *take),
            false => selection.object(name, bytes),
        }
    }
    selection.want(entry);
    let lines = |files: &[Unreadable<'_, io::Error>]| files.iter().map(Unreadable::to_string).collect::<Vec<_>>();
    let selected = selection.finish().map_err(|failures| lines(&failures).join("\n"))?;
    for line in lines(&selected.skipped) {
        eprintln!("{line}: skipped");
    }
    Ok(selected.objects)
}

/// Reads an object of whichever format.
fn parse(bytes: &[u8]) -> Result<AnyObject<'_>, ObjectError> {
    match Format::of(bytes) {
        Format::Elf => Elf::parse(bytes).map(AnyObject::Elf),
        Format::MachO => MachO::parse(bytes).map(AnyObject::MachO),
        Format::Coff => Coff::parse(bytes).map(AnyObject::Coff),
    }
}

/// Reads the file of a thin archive's member.
fn load<'data>(file: Outside<'_>) -> io::Result<&'data [u8]> {
    let folder = Path::new(file.archive).parent().unwrap_or(Path::new(""));
    // It is linked from until the program ends.
    Ok(std::fs::read(folder.join(file.path))?.leak())
}

/// Prints which objects are linked, and which of them define or want the symbols to be traced.
pub fn trace(options: &Options, objects: &[Chosen<AnyObject<'_>>]) {
    for Chosen { name, object } in objects {
        if options.trace {
            println!("{name}");
        }
        for symbol in (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok()) {
            if symbol.binding != Binding::Local && options.trace_symbols.iter().any(|traced| traced == symbol.name) {
                let what = if symbol.definition == Definition::Undefined { "reference to" } else { "definition of" };
                println!("{name}: {what} {}", symbol.name);
            }
        }
    }
}
