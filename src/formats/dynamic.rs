//! Dynamic relocations (AAELF64 5.7.12): what a linker leaves to the dynamic linker, and no object has.

/// One line for each: its code, and its name without `R_AARCH64_`.
macro_rules! table {
    ($($code:literal $name:ident;)*) => {
        /// The name of the dynamic relocation of this code. `None` where it is not one.
        ///
        /// 1029 is no such, for it may be static, in debug information.
        pub(crate) const fn name(code: u32) -> Option<&'static str> {
            Some(match code {
                $($code => concat!("R_AARCH64_", stringify!($name)),)*
                _ => return None,
            })
        }
    };
}

table! {
    1024 COPY;
    1025 GLOB_DAT;
    1026 JUMP_SLOT;
    1027 RELATIVE;
    1028 TLS_DTPMOD;
    1030 TLS_TPREL;
    1031 TLSDESC;
    1032 IRELATIVE;
    1041 AUTH_RELATIVE;
    1042 AUTH_GLOB_DAT;
    1043 AUTH_TLSDESC;
    1044 AUTH_IRELATIVE;
}
