//! Which types an entry point can be called as.

#![allow(unsafe_code)]

/// The function pointers of the C calling convention, safe and unsafe, of up to eight arguments.
///
/// Implemented here for all there are; nobody else can. Arguments of reference type need one lifetime the caller names, or
/// a raw pointer: `extern "C" fn(&u64)` is a type for *every* lifetime, and not among them.
pub trait Function: entry::Entry {}

pub(crate) mod entry {
    pub trait Entry: Copy {
        /// The function at `entry`.
        ///
        /// # Safety
        /// Code of this very type starts there.
        unsafe fn at(entry: *const ()) -> Self;
    }
}

macro_rules! functions {
    ($($arg:ident)*) => {
        functions!(@ extern "C" fn($($arg),*) -> R, $($arg)*);
        functions!(@ unsafe extern "C" fn($($arg),*) -> R, $($arg)*);
    };
    (@ $type:ty, $($arg:ident)*) => {
        impl<R, $($arg),*> Function for $type {}

        impl<R, $($arg),*> entry::Entry for $type {
            unsafe fn at(entry: *const ()) -> Self {
                // SAFETY: both are pointers of one size, and the caller vouches for the code behind it.
                unsafe { core::mem::transmute::<*const (), Self>(entry) }
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C D);
functions!(A B C D E);
functions!(A B C D E F);
functions!(A B C D E F G);
functions!(A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::Function;

    extern "C" fn add(a: u32, b: u64) -> u64 {
        u64::from(a) + b
    }

    fn through<F: Function>(entry: *const ()) -> F {
        // SAFETY: the tests below give an entry of the very type.
        unsafe { F::at(entry) }
    }

    #[test]
    fn an_entry_is_called_as_its_type() {
        let entry = (add as extern "C" fn(u32, u64) -> u64) as *const ();
        assert_eq!(through::<extern "C" fn(u32, u64) -> u64>(entry)(2, 40), 42);
        let unsafely = through::<unsafe extern "C" fn(u32, u64) -> u64>(entry);
        // SAFETY: `add` asks for nothing.
        assert_eq!(unsafe { unsafely(40, 2) }, 42);
    }
}
