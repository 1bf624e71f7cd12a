//! Running what was linked: in this process on AArch64, by qemu-aarch64 elsewhere.

use super::{AnyObject, Job};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::{Arena, Block, PageSize};
#[cfg(not(target_arch = "aarch64"))]
use aarch64_reloc::link::{Binding, Definition};
use aarch64_reloc::link::{Input, Object, Plan, Summary};
use aarch64_reloc::veneer::{Callee, Occupant};
#[cfg(not(target_arch = "aarch64"))]
use std::collections::HashSet;
use std::error::Error;
use std::io::Write;
use std::path::Path;
#[cfg(not(target_arch = "aarch64"))]
use std::process::Command;
use std::process::ExitCode;

/// The oldest qemu-aarch64 that maps and runs what is linked here as a machine does.
#[cfg(not(target_arch = "aarch64"))]
const QEMU_VERSION: u32 = 10;

/// Runs the job's entry, and answers with its status.
#[cfg(target_arch = "aarch64")]
pub fn run<'a>(job: &Job<'a>, inputs: Vec<Input<'a, AnyObject<'a>>>) -> Result<ExitCode, Box<dyn Error>> {
    in_process::run(job, inputs)
}

/// Runs the job's entry, and answers with its status; without a means to run it, says so.
#[cfg(not(target_arch = "aarch64"))]
pub fn run<'a>(job: &Job<'a>, inputs: Vec<Input<'a, AnyObject<'a>>>) -> Result<ExitCode, Box<dyn Error>> {
    // What is undefined here, a process on AArch64 may define. Until then it is nowhere, which a slot of the GOT can say.
    // What may be missing everywhere is not asked for.
    let wanted = wanted(&inputs);
    if !job.defines(&inputs, job.entry) && job.defined(job.entry).is_none() {
        return Err(format!("the entry {} is not defined", job.entry).into());
    }
    let mut undefined = Vec::new();
    let image = job.image(inputs, Some(job.entry), &mut |name| {
        wanted.contains(name).then(|| {
            undefined.push(name.to_owned());
            Addr::new(0)
        })
    })?;
    let reason = if !undefined.is_empty() {
        format!("undefined outside an AArch64 process: {}", undefined.join(", "))
    } else if qemu_version().is_none_or(|version| version < QEMU_VERSION) {
        format!("this machine is not AArch64, and there is no qemu-aarch64 of version {QEMU_VERSION} or newer")
    } else {
        if job.options.map {
            print!("{}", image.map);
        }
        return under_qemu(job, &image.bytes);
    };
    print!("{}", image.map);
    println!("linked, but not run: {reason}");
    Ok(ExitCode::SUCCESS)
}

/// The symbols that some object cannot do without, should no object define them.
#[cfg(not(target_arch = "aarch64"))]
fn wanted<'a>(inputs: &[Input<'a, AnyObject<'a>>]) -> HashSet<&'a str> {
    let symbols = inputs.iter().flat_map(|input| {
        let object = &input.object;
        (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok())
    });
    let strong = symbols.filter(|symbol| symbol.binding == Binding::Global);
    strong.filter(|symbol| symbol.definition == Definition::Undefined).map(|symbol| symbol.name).collect()
}

#[cfg(not(target_arch = "aarch64"))]
fn under_qemu(job: &Job<'_>, image: &[u8]) -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("image");
    write_executable(&path, image)?;
    std::io::stdout().flush()?;
    let mut argv = job.options.argv();
    let mut command = Command::new("qemu-aarch64");
    if let Some(name) = argv.next() {
        command.arg("-0").arg(name);
    }
    let status = command.arg(&path).args(argv).status()?;
    match status.code() {
        Some(code) => Ok(ExitCode::from(code as u8)),
        None => Err(format!("the program was ended: {status}").into()),
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn qemu_version() -> Option<u32> {
    let output = Command::new("qemu-aarch64").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// Says what was rescued, where anything was that a static linker would have refused.
pub fn tell(summary: &Summary) {
    if summary.rungs.hop + summary.rungs.detour > 0 {
        eprintln!("{summary}");
    }
}

/// Writes a file that can be executed, in one piece: what fails half way leaves nothing under that name. What is no file,
/// such as a device or a pipe, is written to.
pub fn write_executable(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Ok(std::fs::write(path, bytes)?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(mode()).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn mode() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

/// The map of a plan: its segments in the range that they span, and the names of the output sections in each.
pub fn draw<'data, O: Object<'data>>(plan: &Plan<'_, 'data, O>) -> String {
    let page = PageSize::K4.bytes();
    let used = || plan.segments().iter().filter(|segment| segment.size() > 0);
    let first = |addr: Addr| addr.get() & !(page - 1);
    let (Some(start), Some(end)) = (
        used().map(|segment| first(segment.addr())).min(),
        used().map(|segment| (segment.addr().get() + segment.size()).next_multiple_of(page)).max(),
    ) else {
        return String::new();
    };
    let mut outputs: Vec<_> = plan.outputs().iter().filter(|output| output.size() > 0).collect();
    outputs.sort_by_key(|output| output.addr());
    let mut text = String::new();
    for output in outputs {
        let (addr, size) = (output.addr().to_string(), output.size());
        text += &format!("{addr:<18} {size:#10x}  {}  {}\n", output.prot(), output.name());
    }
    text += &format!("{}\n", plan.summary());
    for (_, occupant, name) in plan.occupants() {
        text += &format!("{:<18} {}\n", occupant.addr().to_string(), describe(occupant, name));
    }
    text += "\n";
    let storage = vec![Block::EMPTY; 4 * plan.segments().len() + 4];
    let Ok(mut arena) = Arena::new(storage, Addr::new(start), end - start, PageSize::K4) else { return text };
    let mut names = Vec::new();
    for (index, segment) in plan.segments().iter().enumerate().filter(|(_, segment)| segment.size() > 0) {
        let start = first(segment.addr());
        let len = segment.addr().get() + segment.size() - start;
        if let Ok(placed) = arena.alloc_at(segment.prot(), Addr::new(start), len) {
            let outputs = plan.outputs().iter().filter(|output| output.segment() == Some(index) && output.size() > 0);
            names.push((placed.addr(), outputs.map(|output| output.name()).collect::<Vec<_>>().join(" ")));
        }
    }
    let name = |segment: &aarch64_reloc::arena::Segment| {
        names.iter().find(|(addr, _)| *addr == segment.addr()).map(|(_, name)| name.as_str())
    };
    text += &arena.map(name).to_string();
    text
}

/// What stands in an island, in words; `name` is what a veneer through a slot of the GOT is for.
fn describe(occupant: Occupant, name: &str) -> String {
    match occupant {
        Occupant::Veneer(veneer) => match veneer.callee() {
            Callee::Slot(slot) => format!("veneer to {name}, by the slot at {}", slot.addr()),
            Callee::Addr(addr) => format!("veneer to {addr}"),
        },
        Occupant::Hop { target, .. } => format!("hop to {target}"),
        Occupant::Detour { detour, .. } => {
            let what = if detour.is_load() { "what is at " } else { "" };
            format!("detour of {}: x{} = {what}{}", detour.place(), detour.register().number(), detour.address())
        }
        Occupant::Pad { callee, .. } => format!("landing pad of {callee}"),
        other => format!("{other:?}"),
    }
}

#[cfg(target_arch = "aarch64")]
mod in_process {
    use super::*;
    use aarch64_reloc::link::{Failure, Kind, Options, Refused};
    use aarch64_reloc::load::{Image, LoadError};
    use aarch64_reloc::mem::Reservation;
    use libloading::os::unix::Library;
    use std::ffi::{CString, OsStr, c_char, c_int};
    use std::os::unix::ffi::OsStrExt;

    /// Address space for an image: if it is a small one, so little that `ADR` and literal loads reach all of it, which is all
    /// that code of the tiny model has; else so little that `ADRP` does.
    fn space<'a>(inputs: &[Input<'a, AnyObject<'a>>]) -> usize {
        let sections = inputs.iter().flat_map(|Input { object, .. }| {
            (0..object.section_count()).filter_map(|index| match object.section(index).ok()?.kind {
                Kind::Loaded { content, .. } => Some(content.size()),
                _ => None,
            })
        });
        let size = sections.fold(0, u64::saturating_add);
        if size < 1 << 17 { 1 << 20 } else { 1 << 30 }
    }

    pub fn run<'a>(job: &Job<'a>, inputs: Vec<Input<'a, AnyObject<'a>>>) -> Result<ExitCode, Box<dyn Error>> {
        let libraries = libraries(job)?;
        let space = space(&inputs);
        let reservation = match job.options.base {
            Some(base) => Reservation::at(Addr::new(base), space)?,
            None => Reservation::new(space)?,
        };
        let mut lines = Vec::new();
        let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
        let resolve = &mut |name: &str| job.defined(name).or_else(|| look_up(&libraries, name));
        let mut image = match Image::load(
            &reservation,
            &inputs,
            &Options { pins: job.pins, policy: job.options.policy, ..Options::default() },
            resolve,
            report,
        ) {
            Ok(image) => image,
            Err(LoadError::Plan(Refused::Failures(_))) => return Err(lines.join("\n").into()),
            Err(error) => return Err(error.into()),
        };
        if job.options.map {
            println!("{}\n", image.summary());
            print!("{}", image.map());
        } else {
            tell(&image.summary());
        }
        if job.options.gdb {
            image.announce();
        }
        if job.options.perf_map {
            image.append_perf_map()?;
        }
        let entry = image.symbol(job.entry).ok_or_else(|| format!("the entry {} is not defined", job.entry))?;
        let args = job.options.argv().map(|arg: &OsStr| CString::new(arg.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let mut argv: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
        argv.push(std::ptr::null());
        std::io::stdout().flush()?;
        // SAFETY: the user wants the objects run; `image` and `libraries` live until `main` has returned.
        let image = unsafe { image.start(&argv)? };
        // SAFETY: the user says that the entry is a `main`.
        let main: extern "C" fn(c_int, *const *const c_char) -> c_int = unsafe { image.function(entry)? };
        let status = main(args.len() as c_int, argv.as_ptr());
        drop(image);
        // What the program left in the C library's buffers, it would have written on its way out.
        // SAFETY: a null stream means all of them.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        Ok(ExitCode::from(status as u8))
    }

    fn libraries(job: &Job<'_>) -> Result<Vec<Library>, Box<dyn Error>> {
        let open = |path: &std::path::PathBuf| {
            // SAFETY: the user names the library, whose initialisers run now.
            unsafe { Library::new(path) }
        };
        let named = job.options.load.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(named.into_iter().chain([Library::this()]).collect())
    }

    fn look_up(libraries: &[Library], name: &str) -> Option<Addr> {
        let find = |library: &Library| {
            // SAFETY: only the address is taken; what is there the object's author knows.
            let symbol = unsafe { library.get::<*const ()>(name) }.ok()?;
            Some(Addr::new(symbol.into_raw() as u64))
        };
        libraries.iter().find_map(find)
    }
}
