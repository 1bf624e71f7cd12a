//! Guarded pages, where the processor itself says whether an indirect branch may land (Arm ARM, `BTI`).

use crate::linked::{files, load};
use crate::{DISTANCES, TEXT};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::link::{Pin, Policy};
use aarch64_reloc::load::Image;

/// `PROT_BTI` of Linux on AArch64.
const PROT_BTI: i32 = 0x10;

/// Guards the page at `addr`; whether the system can.
fn guard(addr: Addr) -> bool {
    let page = addr.page().get() as *mut libc::c_void;
    // SAFETY: the page is of an image's text, which stays readable and executable.
    unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC | PROT_BTI) == 0 }
}

/// How a child ends that exits with what `near` makes of 20.
fn end_of(image: &Image) -> i32 {
    // SAFETY: such a function is there, and the image outlives it.
    let near: extern "C" fn(u64) -> u64 = unsafe { image.function(image.symbol("near").unwrap()) }.unwrap();
    let mut status = 0;
    // SAFETY: the child calls `near` and nothing of this process that another thread may hold.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(near(20) as i32),
            child => assert_eq!(libc::waitpid(child, &mut status, 0), child),
        }
    }
    status
}

#[test]
fn a_landing_pad_is_where_a_veneer_may_land() {
    let files = files("far", &["guarded.o"]);
    for landing_pads in [true, false] {
        let ways = (0..64).map(|nth| Addr::new(TEXT + (nth << 28)));
        let pins = |text: &Addr| {
            let far = text.plus(DISTANCES[0].cast_signed());
            vec![Pin { section: ".text", addr: *text }, Pin { section: "far", addr: far }]
        };
        let (image, _) = load(&files, Policy { landing_pads, ..Policy::ALL }, ways, pins, |_, _| None);
        assert_eq!(image.summary().pads, usize::from(landing_pads));
        let status = end_of(&image);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 31, "{status:#x} where nothing is guarded");
        let is_guarded = ["near", "away"].map(|name| guard(image.symbol(name).unwrap())) == [true; 2];
        if !is_guarded {
            eprintln!("this processor guards no pages");
            return;
        }
        let status = end_of(&image);
        if landing_pads {
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 31, "{status:#x}");
        } else {
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGILL, "{status:#x}");
        }
    }
}
