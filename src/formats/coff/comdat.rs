//! COMDAT sections: of those whose leaders have one name, one is kept, and what is associative with it.

use super::file::File;
use crate::link::{ObjectError, Part, Problem};
use alloc::vec;
use alloc::vec::Vec;
use object::LittleEndian as LE;
use object::pe::{self, ComdatSelection};

/// What the table of symbols says of the COMDAT sections, by their numbers.
#[derive(Debug)]
pub(super) struct Comdats {
    comdats: Vec<Option<Comdat>>,
    /// The section that leads a group, and one that is kept with it; sorted.
    members: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Comdat {
    selection: ComdatSelection,
    /// The section that it is associative with.
    with: u32,
    /// The first symbol in it but the section's own, if others see that.
    leader: Leader,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leader {
    NotYet,
    Local,
    Global(u32),
}

impl Comdats {
    pub(super) fn read(file: &File<'_>) -> Result<Self, ObjectError> {
        let mut comdats = Self { comdats: vec![None; file.sections.len()], members: Vec::new() };
        comdats.find_leaders(file);
        for (number, header) in (1..).zip(file.sections) {
            if header.characteristics.get(LE).contains(pe::IMAGE_SCN_LNK_COMDAT) {
                let group =
                    comdats.group_of(file, number).map_err(|problem| Part::Section(number as usize).error(problem))?;
                comdats.members.extend(group.map(|group| (group, number)));
            }
        }
        comdats.members.sort_unstable();
        Ok(comdats)
    }

    /// Of a COMDAT section, the first symbol says how it is selected, and the second is its leader (PE Format, "COMDAT
    /// Sections").
    fn find_leaders(&mut self, file: &File<'_>) {
        let records = &file.records;
        for index in 0..records.len() {
            let Some(record) = records.get(index) else { continue };
            let Some(number) = record.section.index() else { continue };
            let Some(comdat) = self.comdats.get_mut(number as usize - 1) else { continue };
            match comdat {
                None if records.defines_section(index) => {
                    let Some(section) = records.section(index) else { continue };
                    let high = if records.are_big() { u32::from(section.high_number.get(LE)) } else { 0 };
                    let with = high << 16 | u32::from(section.number.get(LE));
                    *comdat = Some(Comdat { selection: section.selection, with, leader: Leader::NotYet });
                }
                Some(comdat) if comdat.leader == Leader::NotYet => {
                    let is_global = record.class == pe::IMAGE_SYM_CLASS_EXTERNAL;
                    comdat.leader = if is_global { Leader::Global(index as u32) } else { Leader::Local };
                }
                _ => {}
            }
        }
    }

    /// The section that leads the group of COMDAT section `number`; `None` where it is in none.
    fn group_of(&self, file: &File<'_>, number: u32) -> Result<Option<u32>, Problem> {
        let comdat = self.get(number).ok_or(Problem::Malformed("a COMDAT section without a symbol"))?;
        match (comdat.selection, comdat.leader) {
            (pe::IMAGE_COMDAT_SELECT_ASSOCIATIVE, _) => {
                let missing = Problem::Malformed("a section is associative with one that is not there");
                let header = file.header(comdat.with).ok_or(missing)?;
                if !header.characteristics.get(LE).contains(pe::IMAGE_SCN_LNK_COMDAT) {
                    return Ok(None);
                }
                match self.get(comdat.with).map(|other| other.selection) {
                    Some(pe::IMAGE_COMDAT_SELECT_ASSOCIATIVE) => {
                        Err(Problem::Unsupported("a section associative with an associative one"))
                    }
                    _ => self.group_of(file, comdat.with),
                }
            }
            // All are kept, and two definitions of the leader are an error as ever.
            (pe::IMAGE_COMDAT_SELECT_NODUPLICATES, _) => Ok(None),
            (_, Leader::NotYet) => Err(Problem::Malformed("a COMDAT section without a leader")),
            (
                pe::IMAGE_COMDAT_SELECT_ANY
                | pe::IMAGE_COMDAT_SELECT_SAME_SIZE
                | pe::IMAGE_COMDAT_SELECT_EXACT_MATCH
                | pe::IMAGE_COMDAT_SELECT_LARGEST,
                leader,
            ) => Ok(matches!(leader, Leader::Global(_)).then_some(number)),
            (pe::IMAGE_COMDAT_SELECT_NEWEST, _) => Err(Problem::Unsupported("IMAGE_COMDAT_SELECT_NEWEST")),
            (other, _) => Err(Problem::Unknown("COMDAT selection", other.0.into())),
        }
    }

    fn get(&self, number: u32) -> Option<Comdat> {
        *self.comdats.get((number as usize).checked_sub(1)?)?
    }

    /// The index of the symbol whose name is the key of the group that section `number` leads.
    pub(super) fn leader(&self, number: u32) -> Option<usize> {
        match self.get(number)?.leader {
            Leader::Global(symbol) if !self.members(number).is_empty() => Some(symbol as usize),
            _ => None,
        }
    }

    /// How COMDAT section `number` is selected.
    pub(super) fn selection(&self, number: u32) -> Option<ComdatSelection> {
        Some(self.get(number)?.selection)
    }

    /// The members of the group that section `number` leads, itself among them.
    pub(super) fn members(&self, number: u32) -> &[(u32, u32)] {
        let start = self.members.partition_point(|&(leader, _)| leader < number);
        let end = self.members.partition_point(|&(leader, _)| leader <= number);
        self.members.get(start..end).unwrap_or_default()
    }
}
