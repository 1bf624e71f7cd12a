//! Links relocatable AArch64 objects and runs the result: `cargo run --release --example link -- --help`.

#[path = "link/emit.rs"]
mod emit;
#[path = "link/input.rs"]
mod input;
#[path = "link/options.rs"]
mod options;
#[path = "link/run.rs"]
mod run;
#[path = "link/start.rs"]
mod start;
#[path = "link/symbols.rs"]
mod symbols;
#[path = "link/verify.rs"]
mod verify;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{
    self, Binding, Cursor, Definition, Failure, Input, Kind, Needs, Object, ObjectError, Pin, Plan, Policy, Refused,
    Relocation, Request, Section, Storage, Symbol, Tls, measure,
};
use aarch64_reloc::patch::Endian;
use options::Options;
use start::Start;
use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;

/// Where an image begins whose address nothing decides.
const BASE: u64 = 0x40_0000;

fn main() -> ExitCode {
    match Options::parse(std::env::args_os().skip(1)).map_err(Into::into).and_then(|options| link(&options)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn link(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    if options.help {
        print!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    }
    if let [first, rest @ ..] = &*options.verify {
        if !rest.is_empty() || !options.files.is_empty() {
            return Err("--verify judges one image, and links nothing".into());
        }
        return verify::verify(first);
    }
    if options.emit_relocs && options.emit.is_none() {
        return Err("--emit-relocs keeps relocations in an image, which --emit names".into());
    }
    let files = input::read(options)?;
    let entry = options.entry.as_deref().unwrap_or("main");
    let objects = input::select(&files, entry)?;
    input::trace(options, &objects);
    let (names, objects): (Vec<_>, Vec<_>) = objects.into_iter().map(|chosen| (chosen.name, chosen.object)).unzip();
    let inputs: Vec<_> = names.iter().zip(objects).map(|(name, object)| Input { name, object }).collect();
    let pins: Vec<Pin<'_>> =
        options.places.iter().map(|(section, addr)| Pin { section, addr: Addr::new(*addr) }).collect();
    let job = Job { options, entry, pins: &pins };
    match &options.emit {
        Some(path) => {
            // An image needs no entry; one that is asked for must be there.
            let entry = options.entry.is_some().then_some(entry).or(job.defines(&inputs, entry).then_some(entry));
            let image = job.image(inputs, entry, &mut |_| None)?;
            if options.map {
                print!("{}", image.map);
            }
            if options.needs {
                println!("pub const NEEDS: Needs = {:?};", image.needs);
            }
            run::write_executable(path, &image.bytes)?;
            Ok(ExitCode::SUCCESS)
        }
        None => run::run(&job, inputs),
    }
}

/// What is linked, and how.
struct Job<'a> {
    options: &'a Options,
    entry: &'a str,
    pins: &'a [Pin<'a>],
}

/// An image that was linked: as a file, and drawn.
struct Image {
    bytes: Vec<u8>,
    map: String,
    needs: Needs,
}

impl<'a> Job<'a> {
    fn defines(&self, inputs: &[Input<'a, AnyObject<'a>>], name: &str) -> bool {
        let defines = |object: &AnyObject<'a>| {
            let symbols = (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok());
            symbols.into_iter().any(|symbol| symbol.name == name && !matches!(symbol.definition, Definition::Undefined))
        };
        inputs.iter().any(|input| defines(&input.object))
    }

    /// Links an executable that begins at `entry`. `--define` says where undefined symbols are, then `resolve`.
    fn image(
        &self,
        inputs: Vec<Input<'a, AnyObject<'a>>>,
        entry: Option<&'a str>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
    ) -> Result<Image, Box<dyn Error>> {
        let room = start::room(&inputs);
        let mut inputs: Vec<Input<'_, AnyObject<'_>>> = inputs;
        let start = entry.filter(|&entry| entry != start::NAME);
        if let Some(entry) = start {
            let endian = inputs.first().map_or(Endian::default(), |input| input.object.endian());
            inputs.push(Input { name: "start", object: AnyObject::Start(Start::new(entry, endian, &room)?) });
        }
        let mut storage = Storage::new(measure(&inputs, self.pins.len()));
        let mut next = self.options.base.unwrap_or(BASE);
        let place = |requests: &mut [Request]| {
            for request in requests {
                let align = request.align.max(emit::ALIGN);
                let first = next == self.options.base.unwrap_or(BASE);
                let addr = if first { Some(next) } else { next.checked_next_multiple_of(align) };
                let end = addr.and_then(|addr| addr.checked_add(request.size));
                let (addr, end) = addr.zip(end).ok_or("the address space ends before the image")?;
                (request.addr, next) = (Addr::new(addr), end);
            }
            Ok::<_, &str>(())
        };
        let tls = Tls::Static { resolver: start::RESOLVER };
        let policy = Policy { resolvers: start.is_some(), ..self.options.policy };
        let options = link::Options { pins: self.pins, policy, tls, in_place: None };
        let mut lines = Vec::new();
        let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
        let resolve = &mut |name: &str| self.defined(name).or_else(|| resolve(name));
        let plan = match Plan::new(&inputs, &options, storage.lend(), resolve, place, report) {
            Ok(plan) => plan,
            Err(Refused::Failures(_)) => return Err(lines.join("\n").into()),
            Err(error) => return Err(error.to_string().into()),
        };
        let start = match entry {
            Some(start::NAME) => plan.find(start::NAME),
            Some(_) => start::find(&plan, start::NAME),
            None => None,
        };
        if entry.is_some() && start.is_none() {
            return Err(format!("the entry {} is not defined", self.entry).into());
        }
        let bytes = emit::executable(&plan, start, self.options.emit_relocs)?;
        if !self.options.map && !self.options.needs {
            run::tell(&plan.summary());
        }
        Ok(Image { bytes, map: run::draw(&plan), needs: plan.needs() })
    }

    /// The address that `--define` gives.
    fn defined(&self, name: &str) -> Option<Addr> {
        let defines = &self.options.defines;
        defines.iter().rev().find(|(defined, _)| defined == name).map(|(_, addr)| Addr::new(*addr))
    }
}

/// An object of any kind that this program links.
enum AnyObject<'data> {
    Elf(Elf<'data>),
    MachO(MachO<'data>),
    Coff(Coff<'data>),
    Start(Start<'data>),
}

impl<'data> AnyObject<'data> {
    fn get(&self) -> &dyn Object<'data> {
        match self {
            Self::Elf(object) => object,
            Self::MachO(object) => object,
            Self::Coff(object) => object,
            Self::Start(object) => object,
        }
    }
}

impl<'data> Object<'data> for AnyObject<'data> {
    fn endian(&self) -> Endian {
        self.get().endian()
    }

    fn section_count(&self) -> usize {
        self.get().section_count()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        self.get().section(index)
    }

    fn kind(&self, index: usize) -> Result<Kind<'data>, ObjectError> {
        self.get().kind(index)
    }

    fn symbol_count(&self) -> usize {
        self.get().symbol_count()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.get().symbol(index)
    }

    fn linked_symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.get().linked_symbol(index)
    }

    fn fetch_symbols(&self, indices: Range<usize>) {
        self.get().fetch_symbols(indices);
    }

    fn definition(&self, index: usize) -> Result<(Binding, Definition), ObjectError> {
        self.get().definition(index)
    }

    fn is_named(&self, index: usize, name: &str) -> bool {
        self.get().is_named(index, name)
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.get().relocation(section, index)
    }

    fn relocation_name(&self, section: usize, index: usize) -> &'static str {
        self.get().relocation_name(section, index)
    }

    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        self.get().read_relocations(section, cursor, batch)
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        self.get().member(section, index)
    }
}
