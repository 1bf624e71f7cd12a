//! Which format a file is of, by its first bytes.

/// A format of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// ELF, or nothing that is known: the reader of ELF says what it is not.
    Elf,
    /// Mach-O, of whatever machine, or a fat file of such.
    MachO,
    /// COFF: an object for Windows on Arm, or for a machine that is refused by its name.
    Coff,
}

impl Format {
    /// The format of a file of these bytes. It is the format's reader that says whether it can be linked.
    pub const fn of(bytes: &[u8]) -> Self {
        match bytes {
            // MH_MAGIC and MH_MAGIC_64 in either byte order, FAT_MAGIC and FAT_MAGIC_64.
            [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
            | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
            | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => Self::MachO,
            // IMAGE_FILE_MACHINE_ARM64, ARM64EC, ARM64X, AMD64, I386, ARMNT; or none and the sign of another header.
            [0x64, 0xaa, ..] | [0x41 | 0x4e, 0xa6, ..] | [0x64, 0x86, ..] | [0x4c, 0x01, ..] | [0xc4, 0x01, ..] => {
                Self::Coff
            }
            [0x00, 0x00, 0xff, 0xff, ..] => Self::Coff,
            _ => Self::Elf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(Format::of(include_bytes!("../../tests/formats/status.macho.o")), Format::MachO);
        assert_eq!(Format::of(include_bytes!("../../tests/formats/status.coff.obj")), Format::Coff);
        assert_eq!(Format::of(include_bytes!("../../examples/link/hello.o")), Format::Elf);
        assert_eq!(Format::of(b""), Format::Elf);
        assert_eq!(Format::of(b"!<arch>\n"), Format::Elf);
    }
}
