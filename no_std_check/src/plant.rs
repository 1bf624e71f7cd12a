//! What must be found out.

#[cfg(feature = "plant_panic")]
#[unsafe(no_mangle)]
pub fn prove_planted_panic(bytes: &[u8], index: usize) -> u8 {
    bytes[index]
}

#[cfg(feature = "plant_alloc")]
mod planted_alloc {
    extern crate alloc;

    #[unsafe(no_mangle)]
    pub fn prove_planted_alloc(byte: u8) -> alloc::boxed::Box<u8> {
        alloc::boxed::Box::new(byte)
    }
}

#[cfg(feature = "plant_std")]
extern crate std;
