//! Panics, in its own frames and in those of the standard library, and catches that.

use std::any::Any;
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook};

/// Says when it ends, and so how far the stack was unwound.
struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

#[inline(never)]
fn deep(depth: u32) -> u32 {
    let _loud = Loud("deep");
    if depth == 0 {
        panic!("at the bottom")
    }
    deep(depth - 1) + 1
}

fn attempt(name: &str, run: impl FnOnce() -> u32) {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => println!("{name}: {value}"),
        Err(what) => println!("{name}: caught {}", message(&*what)),
    }
}

fn message(what: &(dyn Any + Send)) -> String {
    match (what.downcast_ref::<&str>(), what.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (_, Some(text)) => text.clone(),
        _ => "something".to_owned(),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn main(argc: c_int, _: *const *const c_char) -> c_int {
    set_hook(Box::new(|info| println!("hook: {}", message(info.payload()))));
    let zero = argc as usize - 1;
    attempt("no panic", || 7);
    attempt("deep", || deep(3));
    attempt("index", || [1, 2, 3][3 + zero]);
    attempt("division", || 1 / zero as u32);
    attempt("sort", || {
        let _loud = Loud("frame below sort");
        let mut numbers = [3, 1, 2];
        numbers.sort_by(|a, b| if (a, b) == (&2, &3) || (a, b) == (&2, &1) { panic!("in a callback") } else { a.cmp(b) });
        numbers[0]
    });
    attempt("resume", || resume_unwind(Box::new(5)));
    let words: Vec<String> = (0..3).map(|number| format!("{number:>3}")).collect();
    println!("{}", words.join(","));
    5
}
