//! What there is of qemu's `virt`: a UART to report, semihosting to exit, and registers that tell what runs here.

use core::arch::asm;
use core::fmt::{self, Write};

/// The data register of the PL011.
const UART: *mut u32 = 0x0900_0000 as *mut u32;

pub struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the register is mapped as a device, and takes any byte.
            unsafe { UART.write_volatile(byte.into()) };
        }
        Ok(())
    }
}

/// A line of the report.
macro_rules! say {
    ($($text:tt)*) => {{
        use core::fmt::Write as _;
        // The UART takes everything.
        let _ = writeln!($crate::board::Uart, $($text)*);
    }};
}
pub(crate) use say;

/// Ends qemu with this status.
pub fn exit(status: u64) -> ! {
    // `ADP_Stopped_ApplicationExit`, and the status.
    let block = [0x20026, status];
    loop {
        // SAFETY: `SYS_EXIT_EXTENDED` reads the block and does not return.
        unsafe { asm!("hlt #0xf000", in("w0") 0x20, in("x1") &raw const block) };
    }
}

/// The exception level.
pub fn level() -> u64 {
    let level: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, CurrentEL", out(reg) level, options(nomem, nostack, preserves_flags)) };
    level >> 2 & 3
}

/// The part number of the core.
pub fn part() -> u64 {
    let id: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, midr_el1", out(reg) id, options(nomem, nostack, preserves_flags)) };
    id >> 4 & 0xfff
}

pub const CORTEX_A53: u64 = 0xd03;

/// Whether a store to `addr` would go through.
pub fn is_writable(addr: u64) -> bool {
    let result: u64;
    // SAFETY: translates an address and tells how that went.
    unsafe {
        match level() {
            2 => asm!("at s1e2w, {}", "isb", in(reg) addr),
            _ => asm!("at s1e1w, {}", "isb", in(reg) addr),
        }
        asm!("mrs {}, par_el1", out(reg) result);
    }
    result & 1 == 0
}
