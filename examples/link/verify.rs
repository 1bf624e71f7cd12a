//! `--verify`: whether every place of an image reaches what its relocation says.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::image::{Dynamic, Image};
use aarch64_reloc::link::ObjectError;
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::Reloc;
use aarch64_reloc::verify::{Found, Memory, Unverified, View};
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// Where imported symbols are said to be: no address of a user.
const IMPORTS: Addr = Addr::new(0xff00_0000_0000_0000);

/// Prints one line for each place of the image `path` that is wrong, and what was verified.
pub fn verify(path: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let in_file = |error: &dyn Error| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| in_file(&error))?;
    let image = Image::parse(&bytes).map_err(|error| in_file(&error))?;
    let (loaded, imports) = load(&image).map_err(|error| in_file(&error))?;
    let sections = loaded.iter().map(|(name, addr, bytes)| (*name, View { addr: *addr, bytes }));
    let is_got = |name: &str| matches!(name, ".got" | ".got.plt");
    let got: Vec<View<'_>> = sections.clone().filter(|(name, _)| is_got(name)).map(|(_, view)| view).collect();
    let views: Vec<View<'_>> = sections.map(|(_, view)| view).collect();
    let mut bases: Vec<Addr> = image.bases().collect();
    bases.sort();
    bases.dedup();
    if bases.len() > MOST_BASES {
        return Err(format!("{}: more than {MOST_BASES} values of _GLOBAL_OFFSET_TABLE_", path.display()).into());
    }
    // Linkers that need no such symbol measure from the section.
    bases.extend(got.first().filter(|_| bases.is_empty()).map(|view| view.addr));
    let memory = Memory { views: &views, got: &got, bases: &bases, endian: image.endian() };
    let mut is_other_code = false;
    let counts = image.verify(&memory, &mut |name| imports.get(name).copied(), &mut |applied, wrong| {
        is_other_code |= matches!(wrong.found, Found::Refused(_));
        match applied.symbol {
            "" => println!("{wrong}"),
            symbol => println!("{wrong} (symbol '{symbol}')"),
        }
    });
    let counts = counts.map_err(|error| in_file(&error))?;
    if counts.verified == 0 && counts.unverified.iter().all(|&count| count == 0) {
        return Err(
            format!("{}: no relocations are kept; link it with --emit-relocs --no-relax", path.display()).into()
        );
    }
    let mut line = format!("{} relocations verified", counts.verified);
    for (why, count) in Unverified::ALL.iter().zip(counts.unverified) {
        if count > 0 {
            line += &format!(", {count} not verified ({why})");
        }
    }
    println!("{line}, {} wrong", counts.wrong);
    if is_other_code {
        eprintln!("instructions other than the relocations': was {} linked with --no-relax?", path.display());
    }
    Ok(if counts.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many bases of the GOT are tried for each offset.
const MOST_BASES: usize = 1024;

/// A section: its name, address and bytes.
type Loaded<'data> = (&'data str, Addr, Vec<u8>);

/// The sections of `image` that have bytes, in the order of addresses, as the dynamic linker leaves them, were it to put the
/// image where it was linked; and where the symbols are that the image imports. Nothing says where that will be: each is given
/// an address of its own, far from all.
fn load<'data>(image: &Image<'data>) -> Result<(Vec<Loaded<'data>>, HashMap<&'data str, Addr>), ObjectError> {
    let own = |section: Result<(&'data str, View<'data>), _>| {
        section.map(|(name, view)| (name, view.addr, view.bytes.to_vec()))
    };
    let mut loaded: Vec<Loaded<'data>> = image.sections().map(own).collect::<Result<_, _>>()?;
    loaded.retain(|(_, _, bytes)| !bytes.is_empty());
    loaded.sort_by_key(|(_, addr, _)| *addr);
    let mut imports = HashMap::new();
    for dynamic in image.dynamic() {
        let Dynamic { place, symbol, addr, addend } = dynamic?;
        let next = IMPORTS.at(imports.len() * Addr::PAGE as usize);
        let addr = addr.unwrap_or_else(|| *imports.entry(symbol).or_insert(next));
        let after = loaded.partition_point(|(_, start, _)| *start <= place);
        if let Some((_, start, bytes)) = loaded[..after].last_mut() {
            let mut section = Section::new(bytes, *start).with_endian(image.endian());
            // To what is outside of all sections nothing refers.
            let _ = section.patch(section.offset_of(place), Reloc::ABS64, addr.plus(addend));
        }
    }
    Ok((loaded, imports))
}
