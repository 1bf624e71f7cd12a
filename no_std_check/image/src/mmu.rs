//! Translation tables of 4 KiB pages for 39 bits of addresses (Arm ARM D8), the same at EL1 and EL2.
//!
//! ```text
//! 0x00_0900_0000  the UART
//! 0x00_4000_0000  the image: text r-x, constants r--, the rest rw-
//! 0x00_6000_0000  memory for modules, 2 MiB: rw- until it is protected; out of reach of a call from the image
//! 0x40_0000_0000  the image's constants again: out of reach of an ADRP from the modules
//! ```
//!
//! What is writable is never executable: no entry says so, and `WXN` would overrule it.

use crate::board::level;
use aarch64_reloc::{Addr, Prot};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }

    fn set(&self, index: u64, entry: u64) {
        if let Some(slot) = self.0.get(index as usize) {
            slot.store(entry, Relaxed);
        }
    }

    fn point_to(&self, index: u64, next: &'static Table) {
        self.set(index, &raw const *next as u64 | TABLE);
    }
}

static ROOT: Table = Table::new();
static DEVICES: Table = Table::new();
static RAM: Table = Table::new();
static IMAGE: Table = Table::new();
static MODULES: Table = Table::new();
static FAR: Table = Table::new();
static FAR_PAGES: Table = Table::new();

const PAGE: u64 = 0x1000;
const IMAGE_BASE: u64 = 0x4000_0000;
/// Memory for modules.
pub const MODULES_BASE: u64 = 0x6000_0000;
pub const MODULES_LEN: u64 = 512 * PAGE;
/// Where the image's memory from [`IMAGE_BASE`] on can be read, too.
const FAR_BASE: u64 = 0x40_0000_0000;

const TABLE: u64 = 0b11;
/// A page that was accessed, of normal memory, shared by all cores.
const NORMAL: u64 = 0b11 | 1 << 10 | 0b11 << 8;
/// A block of 2 MiB of device memory, which nothing executes.
const DEVICE: u64 = 0b01 | 1 << 10 | 1 << 2 | UXN | PXN;
const READ_ONLY: u64 = 1 << 7;
const PXN: u64 = 1 << 53;
/// `XN` of EL2.
const UXN: u64 = 1 << 54;

/// What an entry says beside the address.
fn attributes(prot: Prot) -> u64 {
    // At EL2 bit 6 is RES1, and bit 53 RES0.
    let (level, never) = if level() == 2 { (1 << 6, UXN) } else { (0, UXN | PXN) };
    let executable = if level == 0 { UXN } else { 0 };
    NORMAL
        | level
        | match prot {
            Prot::ReadExec => READ_ONLY | executable,
            Prot::Read => READ_ONLY | never,
            Prot::ReadWrite => never,
        }
}

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
    static rodata_end: u8;
}

/// Fills in the tables and turns the MMU and the caches on.
pub fn enable() {
    ROOT.point_to(0, &DEVICES);
    DEVICES.set(0x0900_0000 >> 21, 0x0900_0000 | if level() == 2 { DEVICE & !PXN | 1 << 6 } else { DEVICE });
    ROOT.point_to(1, &RAM);
    RAM.point_to(0, &IMAGE);
    RAM.point_to((MODULES_BASE - IMAGE_BASE) >> 21, &MODULES);
    ROOT.point_to(FAR_BASE >> 30, &FAR);
    FAR.point_to(0, &FAR_PAGES);
    let [text, constants, rest] =
        [&raw const text_start, &raw const text_end, &raw const rodata_end].map(|end| end as u64);
    for index in 0..512 {
        let page = IMAGE_BASE + index * PAGE;
        let prot = match page {
            _ if page < text || page >= rest => Prot::ReadWrite,
            _ if page < constants => Prot::ReadExec,
            _ => Prot::Read,
        };
        IMAGE.set(index, page | attributes(prot));
        FAR_PAGES.set(index, page | attributes(Prot::Read));
        MODULES.set(index, (MODULES_BASE + index * PAGE) | attributes(Prot::ReadWrite));
    }
    let root = &raw const ROOT as u64;
    // Attribute 0 is write-back memory, attribute 1 a device.
    let kinds = 0xff_u64;
    // 39 bits, tables in shared write-back memory.
    let control = 25_u64 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12;
    const M_C_I_WXN: u64 = 1 | 1 << 2 | 1 << 12 | 1 << 19;
    // SAFETY: the tables map what runs and what it uses where it is.
    unsafe {
        if level() == 2 {
            asm!(
                "msr mair_el2, {kinds}", "msr tcr_el2, {control}", "msr ttbr0_el2, {root}", "dsb sy", "tlbi alle2",
                "dsb sy", "isb", "mrs {t}, sctlr_el2", "orr {t}, {t}, {on}", "msr sctlr_el2, {t}", "isb",
                kinds = in(reg) kinds, control = in(reg) control | 0b010 << 16 | 1 << 23 | 1 << 31,
                root = in(reg) root, on = in(reg) M_C_I_WXN, t = out(reg) _,
            );
        } else {
            asm!(
                "msr mair_el1, {kinds}", "msr tcr_el1, {control}", "msr ttbr0_el1, {root}", "dsb sy", "tlbi vmalle1",
                "dsb sy", "isb", "mrs {t}, sctlr_el1", "orr {t}, {t}, {on}", "msr sctlr_el1, {t}", "isb",
                kinds = in(reg) kinds, control = in(reg) control | 0b010 << 32 | 1 << 23,
                root = in(reg) root, on = in(reg) M_C_I_WXN, t = out(reg) _,
            );
        }
    }
}

/// Protects pages of the memory for modules; any other is an error.
pub fn protect(addr: Addr, len: u64, prot: Prot) -> Result<(), Addr> {
    let offset = addr.get().wrapping_sub(MODULES_BASE);
    let end = offset.checked_add(len).filter(|&end| end <= MODULES_LEN && offset.is_multiple_of(PAGE));
    for index in offset / PAGE..end.ok_or(addr)?.div_ceil(PAGE) {
        let page = MODULES_BASE + index * PAGE;
        MODULES.set(index, page | attributes(prot));
        // A change of what is allowed needs no break before make (Arm ARM D8.16.1).
        // SAFETY: forgets a translation.
        unsafe {
            match level() {
                2 => asm!("dsb ishst", "tlbi vae2is, {}", "dsb ish", "isb", in(reg) page >> 12),
                _ => asm!("dsb ishst", "tlbi vaae1is, {}", "dsb ish", "isb", in(reg) page >> 12),
            }
        }
    }
    Ok(())
}

/// How many pages of the memory for modules can be executed.
pub fn executable_pages() -> usize {
    let executable = attributes(Prot::ReadExec);
    MODULES.0.iter().filter(|entry| entry.load(Relaxed) & !(0xff_ffff_f000) == executable).count()
}

/// The address in the far mapping of what the image has at `addr`.
pub fn far(addr: u64) -> Addr {
    Addr::new(addr.wrapping_sub(IMAGE_BASE).wrapping_add(FAR_BASE))
}
