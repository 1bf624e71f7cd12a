//! `--verify`: whether every place of an image reaches what its relocation says.

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::image::Image;
use aarch64_reloc::verify::{Memory, Unverified, View};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// Prints one line for each place of the image `path` that is wrong, and what was verified.
pub fn verify(path: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let in_file = |error: &dyn Error| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| in_file(&error))?;
    let image = Image::parse(&bytes).map_err(|error| in_file(&error))?;
    let sections = image.sections().collect::<Result<Vec<_>, _>>().map_err(|error| in_file(&error))?;
    let sections = sections.iter().copied();
    let is_got = |name: &str| matches!(name, ".got" | ".got.plt");
    let got: Vec<View<'_>> = sections.clone().filter(|(name, _)| is_got(name)).map(|(_, view)| view).collect();
    let views: Vec<View<'_>> = sections.map(|(_, view)| view).collect();
    let mut bases: Vec<Addr> = image.bases().collect();
    // Linkers that need no such symbol measure from the section.
    bases.extend(got.first().filter(|_| bases.is_empty()).map(|view| view.addr));
    let memory = Memory { views: &views, got: &got, bases: &bases, ..Memory::default() };
    let counts = image.verify(&memory, &mut |applied, wrong| match applied.symbol {
        "" => println!("{wrong}"),
        symbol => println!("{wrong} (symbol '{symbol}')"),
    });
    let counts = counts.map_err(|error| in_file(&error))?;
    if counts.verified == 0 && counts.unverified.iter().all(|&count| count == 0) {
        return Err(
            format!("{}: no relocations are kept; link it with --emit-relocs --no-relax", path.display()).into()
        );
    }
    let mut line = format!("{} relocations verified", counts.verified);
    for (why, count) in Unverified::ALL.iter().zip(counts.unverified) {
        if count > 0 || *why == Unverified::ThreadLocal {
            line += &format!(", {count} not verified ({why})");
        }
    }
    println!("{line}, {} wrong", counts.wrong);
    Ok(if counts.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
