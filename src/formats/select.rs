//! Which objects are linked: all that the user names, and of archives the members that are needed.
//!
//! The rule is that of ld.lld. Files are read in the order of the command line. An archive offers the symbols that its
//! members define, and a name is taken from who offers it first, in whatever order archives and objects come. A member is
//! pulled in once an object of the link wants a symbol that it offers and that no object defines; where the want is weak it
//! pulls nothing. What a member wants is looked for at once, before what else its puller wants, so that objects come in the
//! order in which ld.lld has them.
//!
//! A member is parsed once, and only if it is linked or its archive brings no index; a symbol is hashed once for each mention.
//! So the time is linear in symbols.

use super::archive::{Archive, ArchiveError, Member, Source};
use crate::link::{Binding, Definition, Object, ObjectError};
use alloc::string::{String, ToString};
use alloc::vec::{IntoIter, Vec};
use core::fmt;
use core::mem::replace;
use hashbrown::HashMap;

/// Objects on their way into the link, in the order of the command line.
///
/// `parse` makes an object of a file's bytes. `load` brings the file of a thin archive's member.
///
/// ```
/// # use aarch64_reloc::formats::{elf::Elf, select::{Outside, Selection, Take}};
/// # let (program, library) = (include_bytes!("../../tests/archive/main.o"), include_bytes!("../../tests/archive/gnu.a"));
/// let no_file = |file: Outside<'_>| Err(format!("{} is not read", file.path));
/// let mut selection = Selection::new(Elf::parse, no_file);
/// selection.archive("libc.a", library, Take::Needed);
/// selection.object("main.o", program);
/// let objects = selection.finish().map_err(|failures| failures[0].to_string())?.objects;
/// let names: Vec<&str> = objects.iter().map(|chosen| chosen.name.as_str()).collect();
/// assert_eq!(names[..3], ["main.o", "libc.a(a_long_name_of_a_member.o)", "libc.a(d.o)"]);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Selection<'data, O, E, P, L> {
    parse: P,
    load: L,
    names: HashMap<&'data str, State>,
    offers: Vec<Offer<'data, O>>,
    chosen: Vec<Chosen<O>>,
    failures: Vec<Unreadable<'data, E>>,
    skipped: Vec<Unreadable<'data, E>>,
}

/// Which members of an archive are linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// Those that define what is wanted.
    Needed,
    /// All, as between `--whole-archive` and `--no-whole-archive`.
    Whole,
}

/// The file of a thin archive's member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outside<'a> {
    /// The archive's name.
    pub archive: &'a str,
    /// The path of the file: from the archive's folder, unless it is absolute.
    pub path: &'a str,
}

/// An object that is linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen<O> {
    /// Its name: the file's, or for a member `libfoo.a(member.o)`.
    pub name: String,
    /// The object.
    pub object: O,
}

/// What was selected.
#[derive(Debug)]
pub struct Selected<'data, O, E> {
    /// The objects, in the order in which they came into the link.
    pub objects: Vec<Chosen<O>>,
    /// Members of archives without an index that could not be read, whole or in part, and were not needed as far as can be
    /// known: what they define is not offered.
    pub skipped: Vec<Unreadable<'data, E>>,
}

/// A file that could not be read. `Display` is one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable<'data, E> {
    /// The file's name, or for a member `libfoo.a(member.o)`.
    pub name: String,
    /// The symbol for whose sake it was needed, where there is one.
    pub symbol: Option<&'data str>,
    /// Why not.
    pub cause: Cause<E>,
}

/// Why a file could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause<E> {
    /// It is not a proper archive.
    Archive(ArchiveError),
    /// It is not a proper object.
    Object(ObjectError),
    /// The file of a thin archive's member could not be had.
    Load(E),
}

/// What is known of a name.
#[derive(Clone, Copy, Debug)]
enum State {
    /// An object wants it, and nothing offers it so far.
    Wanted,
    /// The member behind the offer of this number defines it.
    Offered(usize),
    /// An object defines it.
    Defined,
}

/// A member that can be pulled in.
#[derive(Debug)]
struct Offer<'data, O> {
    archive: &'data str,
    member: Member<'data>,
    stage: Stage<O>,
}

#[derive(Debug)]
enum Stage<O> {
    Unread,
    Read(O),
    Taken,
}

impl<'data, O, E, P, L> Selection<'data, O, E, P, L>
where
    O: Object<'data>,
    P: FnMut(&'data [u8]) -> Result<O, ObjectError>,
    L: FnMut(Outside<'_>) -> Result<&'data [u8], E>,
{
    /// Nothing is selected yet.
    pub fn new(parse: P, load: L) -> Self {
        Self {
            parse,
            load,
            names: HashMap::new(),
            offers: Vec::new(),
            chosen: Vec::new(),
            failures: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Adds the object `name`.
    pub fn object(&mut self, name: &str, bytes: &'data [u8]) {
        match (self.parse)(bytes) {
            Ok(object) => self.add(name.to_string(), object),
            Err(error) => self.fail(name.to_string(), None, Cause::Object(error)),
        }
    }

    /// Adds members of the archive `name`: all, or those that are needed now or by what comes later.
    pub fn archive(&mut self, name: &'data str, bytes: &'data [u8], take: Take) {
        match Archive::parse(bytes) {
            Ok(archive) if take == Take::Whole => self.whole(name, &archive),
            Ok(archive) => self.offer(name, &archive),
            Err(error) => self.fail(name.to_string(), None, Cause::Archive(error)),
        }
    }

    /// Wants the symbol `name`, as an undefined symbol of an object does: before the files as `--undefined` has it, after
    /// them as `--entry`.
    pub fn want(&mut self, name: &'data str) {
        if let Some(wants) = self.want_one(name) {
            self.pull_all(wants);
        }
    }

    /// The objects, once all files have been added.
    ///
    /// # Errors
    ///
    /// Every file that is needed and could not be read.
    pub fn finish(self) -> Result<Selected<'data, O, E>, Vec<Unreadable<'data, E>>> {
        match self.failures.is_empty() {
            true => Ok(Selected { objects: self.chosen, skipped: self.skipped }),
            false => Err(self.failures),
        }
    }

    fn whole(&mut self, name: &'data str, archive: &Archive<'data>) {
        self.names.reserve(archive.index().len());
        for member in archive.members() {
            match read(&mut self.parse, &mut self.load, name, member) {
                Ok(object) => self.add(member_name(name, member), object),
                Err(cause) => self.fail(member_name(name, member), None, cause),
            }
        }
    }

    fn offer(&mut self, name: &'data str, archive: &Archive<'data>) {
        let first = self.offers.len();
        self.names.reserve(archive.index().len());
        let offer = |member: &Member<'data>| Offer { archive: name, member: *member, stage: Stage::Unread };
        self.offers.extend(archive.members().iter().map(offer));
        for entry in archive.index() {
            self.offer_one(entry.symbol, first + entry.member);
        }
        if archive.index().is_empty() {
            for number in first..self.offers.len() {
                for symbol in self.look_into(number) {
                    self.offer_one(symbol, number);
                }
            }
        }
    }

    /// Offers `symbol`, which the member behind the offer `number` defines.
    fn offer_one(&mut self, symbol: &'data str, number: usize) {
        if self.offers.get(number).is_none_or(|offer| matches!(offer.stage, Stage::Taken)) {
            return;
        }
        match self.names.get(symbol) {
            None => _ = self.names.insert(symbol, State::Offered(number)),
            Some(State::Wanted) => {
                let wants = self.pull(number, symbol);
                self.pull_all(wants);
            }
            Some(State::Offered(_) | State::Defined) => {}
        }
    }

    /// What the member behind the offer `number` defines, for an archive that has no index.
    fn look_into(&mut self, number: usize) -> Vec<&'data str> {
        let mut defined = Vec::new();
        let Some(offer) = self.offers.get_mut(number) else { return defined };
        let mut unreadable = None;
        match read(&mut self.parse, &mut self.load, offer.archive, &offer.member) {
            Ok(object) => {
                for index in 0..object.symbol_count() {
                    match object.linked_symbol(index) {
                        Ok(symbol) if symbol.binding == Binding::Local => {}
                        Ok(symbol) if symbol.definition == Definition::Undefined => {}
                        Ok(symbol) => defined.push(symbol.name),
                        Err(error) => unreadable = unreadable.or(Some(Cause::Object(error))),
                    }
                }
                offer.stage = Stage::Read(object);
            }
            Err(cause) => unreadable = Some(cause),
        }
        let name = || member_name(offer.archive, &offer.member);
        self.skipped.extend(unreadable.map(|cause| Unreadable { name: name(), symbol: None, cause }));
        defined
    }

    /// Adds an object, and all that it needs.
    fn add(&mut self, name: String, object: O) {
        let wants = self.enter(name, object);
        self.pull_all(wants);
    }

    /// Pulls in what defines `wants`, and what that wants in turn: depth first.
    fn pull_all(&mut self, wants: IntoIter<&'data str>) {
        let mut open = Vec::from([wants]);
        while let Some(wants) = open.last_mut() {
            match wants.next() {
                Some(name) => open.extend(self.want_one(name)),
                None => _ = open.pop(),
            }
        }
    }

    /// Wants `name`: the wants of the member that is pulled in for it, if one is.
    fn want_one(&mut self, name: &'data str) -> Option<IntoIter<&'data str>> {
        match *self.names.entry(name).or_insert(State::Wanted) {
            State::Offered(number) => Some(self.pull(number, name)),
            State::Wanted | State::Defined => None,
        }
    }

    /// Adds the member behind the offer `number`, for the sake of `symbol`. Answers what it wants.
    fn pull(&mut self, number: usize, symbol: &'data str) -> IntoIter<&'data str> {
        let Some(offer) = self.offers.get_mut(number) else { return IntoIter::default() };
        let object = match replace(&mut offer.stage, Stage::Taken) {
            Stage::Unread => read(&mut self.parse, &mut self.load, offer.archive, &offer.member),
            Stage::Read(object) => Ok(object),
            Stage::Taken => return IntoIter::default(),
        };
        let name = member_name(offer.archive, &offer.member);
        match object {
            Ok(object) => self.enter(name, object),
            Err(cause) => {
                self.fail(name, Some(symbol), cause);
                IntoIter::default()
            }
        }
    }

    /// Adds an object that is at hand. Answers which symbols it wants; those that cannot be read the linker will report.
    fn enter(&mut self, name: String, object: O) -> IntoIter<&'data str> {
        let mut wants = Vec::with_capacity(object.symbol_count());
        for index in 0..object.symbol_count() {
            let Ok(symbol) = object.linked_symbol(index) else { continue };
            match (symbol.binding, symbol.definition) {
                (Binding::Local, _) | (Binding::Weak, Definition::Undefined) => {}
                (_, Definition::Undefined) => wants.push(symbol.name),
                _ => _ = self.names.insert(symbol.name, State::Defined),
            }
        }
        self.chosen.push(Chosen { name, object });
        wants.into_iter()
    }

    fn fail(&mut self, name: String, symbol: Option<&'data str>, cause: Cause<E>) {
        self.failures.push(Unreadable { name, symbol, cause });
    }
}

fn read<'data, O, E>(
    parse: &mut impl FnMut(&'data [u8]) -> Result<O, ObjectError>,
    load: &mut impl FnMut(Outside<'_>) -> Result<&'data [u8], E>,
    archive: &str,
    member: &Member<'data>,
) -> Result<O, Cause<E>> {
    let bytes = match member.source() {
        Source::Inside(bytes) => bytes,
        Source::Outside => load(Outside { archive, path: &member.name() }).map_err(Cause::Load)?,
    };
    parse(bytes).map_err(Cause::Object)
}

fn member_name(archive: &str, member: &Member<'_>) -> String {
    [archive, "(", &member.name(), ")"].concat()
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Unreadable<'_, E> {}

impl<E: fmt::Display> fmt::Display for Unreadable<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.cause {
            Cause::Archive(error) => write!(f, "{error}")?,
            Cause::Object(error) => write!(f, "{error}")?,
            Cause::Load(error) => write!(f, "{error}")?,
        }
        match self.symbol {
            Some(symbol) => write!(f, " (needed for symbol '{symbol}')"),
            None => Ok(()),
        }
    }
}
